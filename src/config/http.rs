//! The section `[http]`: the REST door, its tokens and its bounds.

use std::net::{Ipv4Addr, SocketAddr};

use secrecy::{ExposeSecret, SecretString};
use toml::de::DeValue;

use super::reader::{Section, Whole};
use super::secrets::{Least, MIN_TOKEN_CHARS};

/// `[http]`: the REST door.
#[derive(Clone, Debug)]
pub struct Http {
    /// Where to listen; anything but loopback needs both tokens.
    pub listen: SocketAddr,
    /// Opens what reads; `None` leaves reading open (loopback only).
    pub read_token: Option<SecretString>,
    /// Opens what changes and what reads.
    pub admin_token: Option<SecretString>,
    /// Names, besides loopback and the listen address, by which a client may call us.
    pub allowed_hosts: Vec<String>,
    /// At most this many connections at the same time.
    pub max_connections: u64,
    /// The head of a request must be complete after this time, counted from the connection or the last answer: so long
    /// is an idle connection kept.
    pub header_timeout_secs: u64,
    /// The body of a request must be complete after this time.
    pub body_timeout_secs: u64,
}

impl Default for Http {
    fn default() -> Http {
        Http {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 5000)),
            read_token: None,
            admin_token: None,
            allowed_hosts: Vec::new(),
            max_connections: 1_024,
            header_timeout_secs: 10,
            body_timeout_secs: 60,
        }
    }
}

impl Http {
    pub(super) fn read(section: &mut Section<'_>) -> Http {
        let default = Http::default();
        let expected = "an IP address and a port (a name is not enough)";
        let listen = section
            .parsed("listen", expected, "\"127.0.0.1:5000\"", |text| text.parse().ok())
            .unwrap_or(default.listen);
        let read_token = token(section, "read_token_env", "TALLYBOT_READ_TOKEN");
        let admin_token = token(section, "admin_token_env", "TALLYBOT_ADMIN_TOKEN");
        let allowed_hosts = section
            .list("allowed_hosts", 64, "host names without scheme and port", "[\"stats.example.com\"]", host_name)
            .unwrap_or_default();
        let mut whole = |key, min, max, unit, default| {
            section.whole(key, Whole { min, max, unit, example: default }).unwrap_or(default)
        };
        let http = Http {
            listen,
            read_token,
            admin_token,
            allowed_hosts,
            max_connections: whole("max_connections", 1, 65_536, "connections", default.max_connections),
            header_timeout_secs: whole("header_timeout_secs", 1, 300, "seconds", default.header_timeout_secs),
            body_timeout_secs: whole("body_timeout_secs", 1, 3_600, "seconds", default.body_timeout_secs),
        };
        http.check_public(section);
        http.check_tokens_differ(section);
        http
    }

    /// One token for both doors would make every reader an admin.
    fn check_tokens_differ(&self, section: &Section<'_>) {
        if let (Some(read), Some(admin)) = (&self.read_token, &self.admin_token)
            && read.expose_secret() == admin.expose_secret()
        {
            let text = "`http.admin_token_env` and `read_token_env` lead to the same token, so that whoever reads may \
                        also reset; expected two, for example `export TALLYBOT_ADMIN_TOKEN=$(openssl rand -hex 32)`";
            section.wrong("admin_token_env", text.to_owned());
        }
    }

    /// Beyond loopback nobody reads or changes anything without a token.
    fn check_public(&self, section: &Section<'_>) {
        if self.listen.ip().is_loopback() {
            return;
        }
        let tokens = [
            (&self.read_token, "read_token_env", "TALLYBOT_READ_TOKEN"),
            (&self.admin_token, "admin_token_env", "TALLYBOT_ADMIN_TOKEN"),
        ];
        let missing: Vec<_> = tokens.iter().filter(|(token, ..)| token.is_none()).collect();
        if !missing.is_empty() {
            let keys: Vec<String> = missing.iter().map(|(_, key, _)| format!("`{key}`")).collect();
            let exports: Vec<String> =
                missing.iter().map(|(.., name)| format!("`export {name}=$(openssl rand -hex 32)`")).collect();
            let text = format!(
                "`http.listen` is `\"{}\"`, which others can reach, and there is no token for {}; expected tokens \
                 ({}) or an address of this machine alone, for example `listen = \"127.0.0.1:5000\"`",
                self.listen,
                keys.join(" and "),
                exports.join(" and ")
            );
            section.absent("listen", text);
        }
        if self.listen.ip().is_unspecified() && self.allowed_hosts.is_empty() {
            let text = "`http.listen` is every address of this machine, and `allowed_hosts` is empty: requests are \
                        answered under loopback names only; name the others, for example \
                        `allowed_hosts = [\"stats.example.com\"]`";
            section.warn("listen", text.to_owned());
        }
    }
}

fn token(section: &mut Section<'_>, key: &'static str, variable: &str) -> Option<SecretString> {
    section.secret_from_env(key, Some(variable), Some(Least::random(MIN_TOKEN_CHARS)))
}

/// A host name or address as it stands in a `Host` header, without a port; in lower case.
fn host_name(value: &DeValue<'_>) -> Option<String> {
    let text = value.as_str()?.to_ascii_lowercase();
    let is_address = text.parse::<std::net::IpAddr>().is_ok();
    let is_name = text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.')
        && !text.starts_with(['.', '-'])
        && !text.ends_with(['.', '-']);
    (is_address || (is_name && (1..=253).contains(&text.len()))).then_some(text)
}
