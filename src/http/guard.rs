//! Who may ask what: the seam to the access rules, and what of a request they see. Decides nothing itself.

use std::net::SocketAddr;

use http::request::Parts;
use http::{HeaderMap, HeaderName, StatusCode, header};

use crate::usage::Now;

/// What a route asks of its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Nothing; the host is still checked.
    Public,
    /// May see numbers.
    Read,
    /// May change what is shown and what is in the books.
    Admin,
}

/// The rules of access.
///
/// Called once per request, before its body is read, for unknown paths and wrong methods as well (as
/// [`Role::Public`]), so that a foreign host or origin learns nothing.
pub trait Guard: Send + Sync + 'static {
    /// Admits a request or says why not.
    ///
    /// # Errors
    /// When the host is not one of ours, a page of a foreign origin sent it, or `need` asks for a token that is
    /// missing, wrong or tried too often.
    fn check(&self, head: &RequestHead<'_>, need: Role, now: Now) -> Result<(), Denied>;
}

/// What a guard sees of a request. Has no `Debug`: it holds a token.
#[derive(Clone, Copy)]
pub struct RequestHead<'a> {
    /// Where the connection comes from.
    pub peer: SocketAddr,
    /// The host the request was sent to, with its port if it names one; `None` only in HTTP/1.0.
    pub host: Option<&'a str>,
    /// `Origin`: the page that sent it, as browsers say it.
    pub origin: Option<&'a str>,
    /// `Sec-Fetch-Site`: how that page relates to us, as browsers say it.
    pub sec_fetch_site: Option<&'a str>,
    /// `Authorization`, as it came.
    pub authorization: Option<&'a str>,
    /// `Content-Type`, as it came.
    pub content_type: Option<&'a str>,
}

/// A refusal, as the client will read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    /// 401 (answered with `WWW-Authenticate: Bearer`), 403, 421 or 429.
    pub status: StatusCode,
    /// A stable word for programs, such as `token_missing`.
    pub code: &'static str,
    /// A sentence for people; no token, and no header longer than a few words.
    pub message: String,
    /// When asking again makes sense, in seconds.
    pub retry_after_secs: Option<u32>,
}

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

impl<'a> RequestHead<'a> {
    /// The head of a request; `None` when it is ambiguous: a header that decides about access is there twice or is
    /// not text, or the target and `Host` name different hosts.
    pub fn read(parts: &'a Parts, peer: SocketAddr) -> Option<RequestHead<'a>> {
        let host_header = only(&parts.headers, &header::HOST)?;
        let authority = parts.uri.authority().map(|authority| authority.as_str());
        let host = match (authority, host_header) {
            (Some(target), Some(header)) if !target.eq_ignore_ascii_case(header) => return None,
            (Some(target), _) => Some(target),
            (None, header) => header,
        };
        if host.is_none() && parts.version >= http::Version::HTTP_11 {
            return None;
        }
        Some(RequestHead {
            peer,
            host,
            origin: only(&parts.headers, &header::ORIGIN)?,
            sec_fetch_site: only(&parts.headers, &SEC_FETCH_SITE)?,
            authorization: only(&parts.headers, &header::AUTHORIZATION)?,
            content_type: only(&parts.headers, &header::CONTENT_TYPE)?,
        })
    }
}

/// The one value of a header: `Some(None)` when absent, `None` when it is repeated or not text.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<Option<&'a str>> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Some(None),
        (Some(value), None) => value.to_str().ok().map(Some),
        (Some(_), Some(_)) => None,
    }
}
