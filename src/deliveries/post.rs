//! One try to post a body to a URL.

use std::time::Duration;

use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, USER_AGENT};
use reqwest::redirect::Policy;
use reqwest::{Client, Url};

use super::failure::{DeliveryError, Failed};
use super::parcel::Parcel;
use crate::models::Observed;

/// A try may take so long.
const TRY_SECS: u64 = 10;
const CONNECT_SECS: u64 = 5;

/// By this header a receiver knows an alert it has had already.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// A URL to post to, and the client that does it.
pub(super) struct Post {
    client: Client,
    url: Url,
}

impl Post {
    /// Redirects are not followed: an alert goes to the address the owner wrote, or nowhere.
    pub(super) fn new(url: &str) -> Result<Post, DeliveryError> {
        let url = Url::parse(url).map_err(|_| DeliveryError::Misconfigured)?;
        let client = Client::builder()
            .connect_timeout(Duration::from_secs(CONNECT_SECS))
            .timeout(Duration::from_secs(TRY_SECS))
            .redirect(Policy::none());
        // Plain HTTP is for this machine alone, and no proxy stands between us and ourselves.
        let client = if url.scheme() == "http" { client.no_proxy() } else { client };
        Ok(Post { client: client.build().map_err(|_| DeliveryError::Misconfigured)?, url })
    }

    /// Posts a body, once. Of the answer only its head is read.
    pub(super) async fn send(&self, parcel: &Parcel, extra: Option<(&'static str, String)>) -> Result<(), Failed> {
        let request = self
            .client
            .post(self.url.clone())
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .header(USER_AGENT, concat!("tallybot/", env!("CARGO_PKG_VERSION")))
            .header(IDEMPOTENCY_KEY, &parcel.key)
            .body(parcel.body.clone());
        let request = extra.into_iter().fold(request, |request, (name, value)| request.header(name, value));
        let answer = request.send().await.map_err(|error| Failed::from(trouble(&error)))?;
        let code = answer.status().as_u16();
        let error = match code {
            200..=299 => return Ok(()),
            300..=399 => DeliveryError::Elsewhere(code),
            408 | 425 | 429 | 500..=599 => DeliveryError::Busy(code),
            _ => DeliveryError::Refused(code),
        };
        Err(Failed { error, wait: Observed::from_headers(answer.headers()).retry_after })
    }
}

/// Takes nothing of the error along: its URL may be a secret.
fn trouble(error: &reqwest::Error) -> DeliveryError {
    if error.is_timeout() { DeliveryError::Timeout } else { DeliveryError::NoConnection }
}
