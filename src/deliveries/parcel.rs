//! One alert as it is handed to one place.

use std::fmt::Write;

use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::alerts::Notice;
use crate::usage::Timestamp;

/// One alert, made ready for one place.
pub(super) struct Parcel {
    /// The id of the alert, for the log.
    pub(super) id: String,
    /// The same for the same alert, in letters that any header takes: by it a receiver knows a repeat.
    pub(super) key: String,
    /// When it was noticed.
    #[cfg_attr(not(feature = "mail"), expect(dead_code, reason = "only a mail has a date"))]
    pub(super) at: Timestamp,
    /// What is sent: JSON, or the text of a mail.
    pub(super) body: Bytes,
}

impl Parcel {
    pub(super) fn new(notice: &Notice, body: impl Into<Bytes>) -> Parcel {
        Parcel { id: notice.id.clone(), key: key(&notice.id), at: notice.at, body: body.into() }
    }
}

/// The first half of the SHA-256 of an id, in hexadecimal: ids may hold names in any script.
fn key(id: &str) -> String {
    hex(&Sha256::digest(id.as_bytes())[..16])
}

/// Bytes in lower-case hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _written = write!(text, "{byte:02x}");
        text
    })
}

/// A text of at most so many characters, cut with `…`.
pub(super) fn cut(text: &str, max_chars: usize) -> String {
    if text.chars().count() <= max_chars {
        return text.to_owned();
    }
    let kept: String = text.chars().take(max_chars.saturating_sub(1)).collect();
    kept + "…"
}
