//! The access rules as the HTTP server asks for them: host, origin, token, and a pause for those who guess.

use std::net::IpAddr;

use http::StatusCode;

use crate::access::{self, HostGuard, RequestOrigin, Throttle, Tokens};
use crate::config::Http;
use crate::http::{Denied, Guard, RequestHead, Role};
use crate::usage::Now;

/// The rules of the REST door.
pub struct Door {
    hosts: HostGuard,
    tokens: Tokens,
    throttle: Throttle,
}

impl Door {
    /// The rules of a configuration.
    pub fn new(http: &Http) -> Door {
        Door {
            hosts: HostGuard::new(http.listen, &http.allowed_hosts),
            tokens: Tokens::new(http.read_token.as_ref(), http.admin_token.as_ref()),
            throttle: Throttle::default(),
        }
    }
}

impl Guard for Door {
    fn check(&self, head: &RequestHead<'_>, need: Role, now: Now) -> Result<(), Denied> {
        let origin = RequestOrigin { host: head.host, origin: head.origin, sec_fetch_site: head.sec_fetch_site };
        self.hosts.check(origin).map_err(|rejected| Denied {
            status: StatusCode::FORBIDDEN,
            code: "host_or_origin",
            message: rejected.to_string(),
            retry_after_secs: None,
        })?;
        let role = match need {
            Role::Public => return Ok(()),
            Role::Read => access::Role::Read,
            Role::Admin => access::Role::Admin,
        };
        self.tokens.check(role, head.authorization).map_err(|denied| self.denied(&denied, head.peer.ip(), now))
    }
}

impl Door {
    /// What whoever has no right token is told. Who guesses waits; who has a right one does not wait for them.
    fn denied(&self, denied: &access::Denied, from: IpAddr, now: Now) -> Denied {
        if denied.is_guess() {
            if let Err(secs) = self.throttle.check(from, now) {
                return Denied {
                    status: StatusCode::TOO_MANY_REQUESTS,
                    code: "too_many_wrong_tokens",
                    message: "too many wrong tokens from this address; wait a little".to_owned(),
                    retry_after_secs: Some(u32::try_from(secs).unwrap_or(u32::MAX)),
                };
            }
            self.throttle.failed(from, now);
        }
        Denied {
            status: StatusCode::from_u16(denied.http_status()).unwrap_or(StatusCode::UNAUTHORIZED),
            code: "token",
            message: denied.to_string(),
            retry_after_secs: None,
        }
    }
}
