//! The webhook: JSON for a program of the owner's, signed so that the program knows whom it is from.

use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use sha2::Sha256;

use super::parcel::hex;
use crate::alerts::{AlertView, Notice};
use crate::usage::Timestamp;

/// The header of the signature.
pub(super) const SIGNATURE: &str = "x-tallybot-signature";

/// What is posted. Fields are only ever added; `v` grows when one changes its meaning.
#[derive(Serialize)]
struct Body<'a> {
    v: u8,
    #[serde(flatten)]
    alert: AlertView,
    text: &'a str,
}

/// The JSON of an alert; people by their subject ids.
pub(super) fn body(notice: &Notice, text: &str) -> Vec<u8> {
    let body = Body { v: 1, alert: notice.view(|_| None), text };
    serde_json::to_vec(&body).expect("plain data is JSON")
}

/// `t=1795377800,v1=5257a8…`: the time of sending, and the HMAC-SHA256 of that time, a point and the body.
pub(super) fn signature(secret: &SecretString, now: Timestamp, body: &[u8]) -> String {
    let seconds = now.unix_micros().div_euclid(1_000_000).to_string();
    let mut mac =
        <Hmac<Sha256> as KeyInit>::new_from_slice(secret.expose_secret().as_bytes()).expect("a key of any length");
    mac.update(seconds.as_bytes());
    mac.update(b".");
    mac.update(body);
    format!("t={seconds},v1={}", hex(&mac.finalize().into_bytes()))
}
