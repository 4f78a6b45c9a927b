//! Keeps web pages away from the REST door: a foreign page may neither call it nor point its own name at it.
//!
//! A page can make a browser send requests to loopback, and with DNS rebinding even read the answers. The name in
//! `Host` must therefore be one of ours, addresses of a private network included, and no foreign page may ask.

use std::net::{IpAddr, SocketAddr};

/// The headers of a request that say where it comes from, as they were received.
#[derive(Clone, Copy, Debug, Default)]
pub struct RequestOrigin<'a> {
    /// `Host`, or the authority of the request line.
    pub host: Option<&'a str>,
    /// `Origin`.
    pub origin: Option<&'a str>,
    /// `Sec-Fetch-Site`.
    pub sec_fetch_site: Option<&'a str>,
}

/// Why a request is not answered. The received value is not repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// No usable `Host`.
    #[error("the `Host` header is missing or not a name; expected for example `Host: localhost:5000`")]
    NoHost,
    /// A name that is not ours.
    #[error("the `Host` header is not a name of this program; the owner may add it to `http.allowed_hosts`")]
    ForeignHost,
    /// A web page from elsewhere asks.
    #[error("requests by pages of other sites are not answered")]
    ForeignOrigin,
}

/// The names under which this program answers.
#[derive(Clone, Debug)]
pub struct HostGuard {
    names: Vec<String>,
}

impl HostGuard {
    /// Loopback names, the address itself unless it stands for all, and what the owner allows.
    pub fn new(listen: SocketAddr, allowed_hosts: &[String]) -> HostGuard {
        let mut names: Vec<String> = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).to_vec();
        if !listen.ip().is_unspecified() {
            names.push(listen.ip().to_string());
        }
        names.extend(allowed_hosts.iter().map(|name| canonical(name)));
        HostGuard { names }
    }

    /// Whether a request with these headers is answered at all.
    ///
    /// # Errors
    /// Why not: the `Host` is missing or foreign, or a page of another site asks.
    pub fn check(&self, request: RequestOrigin<'_>) -> Result<(), Rejected> {
        let host = request.host.and_then(authority).ok_or(Rejected::NoHost)?;
        let is_ours = |name: &str| self.names.iter().any(|ours| ours == name);
        if !is_ours(host.name) && !is_ours(&canonical(host.name)) {
            return Err(Rejected::ForeignHost);
        }
        let is_own_page = match request.origin {
            Some(origin) => page_authority(origin).is_some_and(|page| page.is_of(&host)),
            None => true,
        };
        let is_own_fetch = request.sec_fetch_site.is_none_or(|site| matches!(site, "same-origin" | "none"));
        if is_own_page && is_own_fetch { Ok(()) } else { Err(Rejected::ForeignOrigin) }
    }
}

#[derive(Debug)]
struct Authority<'a> {
    /// As it was written.
    name: &'a str,
    /// `None` is the default port of the scheme.
    port: Option<u16>,
}

impl Authority<'_> {
    fn is_of(&self, other: &Authority<'_>) -> bool {
        self.port == other.port && canonical(self.name) == canonical(other.name)
    }
}

/// Reads `name`, `name:port`, `[v6]` or `[v6]:port`.
fn authority(text: &str) -> Option<Authority<'_>> {
    let (name, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (address, after) = rest.split_once(']')?;
            address.parse::<std::net::Ipv6Addr>().ok()?;
            (address, if after.is_empty() { None } else { Some(after.strip_prefix(':')?) })
        }
        None => text.split_once(':').map_or((text, None), |(name, port)| (name, Some(port))),
    };
    let port = match port {
        Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => Some(digits.parse().ok()?),
        Some(_) => return None,
        None => None,
    };
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b':');
    (!name.is_empty() && name.bytes().all(is_name)).then_some(Authority { name, port })
}

/// The authority of an `Origin` such as `https://stats.example.com`; `null` has none.
fn page_authority(origin: &str) -> Option<Authority<'_>> {
    let (scheme, rest) = origin.split_once("://")?;
    let default_port = match scheme {
        "http" => 80,
        "https" => 443,
        _ => return None,
    };
    let mut page = authority(rest)?;
    page.port = page.port.filter(|port| *port != default_port);
    Some(page)
}

/// Lower case; addresses in their one usual form.
fn canonical(name: &str) -> String {
    let name = name.to_ascii_lowercase();
    name.parse::<IpAddr>().map_or(name, |ip| ip.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(listen: &str, allowed: &[&str]) -> HostGuard {
        let allowed: Vec<String> = allowed.iter().map(|name| (*name).to_owned()).collect();
        HostGuard::new(listen.parse().expect("an address"), &allowed)
    }

    fn host(guard: &HostGuard, host: &str) -> Result<(), Rejected> {
        guard.check(RequestOrigin { host: Some(host), ..RequestOrigin::default() })
    }

    #[test]
    fn only_our_own_names_are_answered() {
        let loopback = guard("127.0.0.1:5000", &[]);
        for name in ["localhost", "LOCALHOST:5000", "127.0.0.1:5000", "[::1]:5000", "[0:0:0:0:0:0:0:1]", "localhost:80"]
        {
            assert_eq!(host(&loopback, name), Ok(()), "{name}");
        }
        let foreign = ["evil.example", "192.168.1.5:5000", "10.0.0.1", "localhost.evil.example", "127.0.0.1.nip.io"];
        for name in foreign {
            assert_eq!(host(&loopback, name), Err(Rejected::ForeignHost), "{name}");
        }
        for name in
            ["", ":5000", "a b", "localhost:", "localhost:x", "localhost:99999", "[::1", "x@localhost", "[::1]x"]
        {
            assert_eq!(host(&loopback, name), Err(Rejected::NoHost), "{name}");
        }
        assert_eq!(loopback.check(RequestOrigin::default()), Err(Rejected::NoHost));
    }

    #[test]
    fn a_public_bind_answers_under_its_address_and_the_allowed_names_only() {
        let one = guard("192.0.2.7:80", &["Stats.Example.com"]);
        assert_eq!(host(&one, "192.0.2.7"), Ok(()));
        assert_eq!(host(&one, "stats.example.COM:443"), Ok(()));
        let all = guard("0.0.0.0:80", &[]);
        assert_eq!(host(&all, "0.0.0.0"), Err(Rejected::ForeignHost));
        assert_eq!(host(&all, "192.0.2.7"), Err(Rejected::ForeignHost));
    }

    #[test]
    fn pages_of_other_sites_are_turned_away() {
        let guard = guard("127.0.0.1:5000", &["stats.example.com"]);
        let check =
            |host, origin, sec_fetch_site| guard.check(RequestOrigin { host: Some(host), origin, sec_fetch_site });
        let own = "127.0.0.1:5000";
        assert_eq!(check(own, Some("http://127.0.0.1:5000"), Some("same-origin")), Ok(()));
        assert_eq!(check(own, None, Some("none")), Ok(()));
        assert_eq!(check("stats.example.com", Some("https://stats.example.com"), None), Ok(()));
        assert_eq!(check("stats.example.com", Some("https://stats.example.com:443"), None), Ok(()));
        for origin in ["null", "http://evil.example", "http://127.0.0.1:3000", "http://localhost:5000", "file://", ""] {
            assert_eq!(check(own, Some(origin), None), Err(Rejected::ForeignOrigin), "{origin}");
        }
        for site in ["cross-site", "same-site", "CROSS-SITE", ""] {
            assert_eq!(check(own, None, Some(site)), Err(Rejected::ForeignOrigin), "{site}");
        }
    }
}
