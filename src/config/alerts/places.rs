//! The sections `[alerts.webhook]`, `[alerts.slack]`, `[alerts.discord]` and `[alerts.mail]`: where alerts go beside the
//! log and the chats. A URL that lets whoever knows it write is a secret, and is read as one.

use secrecy::{ExposeSecret, SecretString};
use toml::de::DeValue;

use crate::config::reader::Section;
use crate::config::secrets::{Least, MIN_TOKEN_CHARS};

/// From which alerts on a place is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum AlertSeverity {
    /// All of them, good news too.
    #[default]
    Info,
    /// What is worth watching, and worse.
    Caution,
    /// What is worth doing something about, and worse.
    Warning,
    /// Only where somebody has to do something.
    Critical,
}

/// `[alerts.webhook]`: a program of the owner's, which gets JSON with a signature.
#[derive(Clone, Debug)]
pub struct AlertWebhook {
    /// Where it listens.
    pub url: String,
    /// What the signature is made with; `None`: alerts are not signed.
    pub secret: Option<SecretString>,
    /// From which alerts on.
    pub min_level: AlertSeverity,
}

/// `[alerts.slack]`, `[alerts.discord]`: a channel behind a URL of its own.
#[derive(Clone, Debug)]
pub struct AlertPost {
    /// The URL, which is all that is needed to write there.
    pub url: SecretString,
    /// From which alerts on.
    pub min_level: AlertSeverity,
}

/// `[alerts.mail]`: mailboxes, by way of a mail server of the owner's.
#[derive(Clone, Debug)]
pub struct AlertMail {
    /// The name or address of the server.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is secured.
    pub security: AlertSecurity,
    /// Who signs in, and with what; `None`: nobody.
    pub login: Option<(String, SecretString)>,
    /// Whom it is from.
    pub from: String,
    /// Whom it goes to; never empty.
    pub to: Vec<String>,
    /// From which alerts on.
    pub min_level: AlertSeverity,
}

/// How a connection to a mail server is secured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AlertSecurity {
    /// It begins in the open and is secured before anything is said (port 587).
    #[default]
    StartTls,
    /// It is secured from its first byte on (port 465).
    Tls,
    /// Not at all: only to a server on this machine.
    None,
}

const LEVELS: [(&str, AlertSeverity); 4] = [
    ("info", AlertSeverity::Info),
    ("caution", AlertSeverity::Caution),
    ("warning", AlertSeverity::Warning),
    ("critical", AlertSeverity::Critical),
];

/// No more mailboxes.
const MAX_MAILBOXES: usize = 20;

fn min_level(section: &mut Section<'_>) -> AlertSeverity {
    section.choice("min_level", &LEVELS).unwrap_or_default()
}

impl AlertWebhook {
    pub(super) fn read(section: &mut Section<'_>) -> Option<AlertWebhook> {
        let url = webhook_url(section);
        let secret = section.secret("secret_env", "secret_file", Some(Least::random(MIN_TOKEN_CHARS)));
        let is_named = section.has("secret_env") || section.has("secret_file");
        if section.is_present() && !is_named {
            let text = "`alerts.webhook` has no secret, so its alerts are not signed, and whoever finds the URL can \
                        send others; for example `secret_env = \"TALLYBOT_ALERTS_SECRET\"` after `export \
                        TALLYBOT_ALERTS_SECRET=$(openssl rand -hex 32)`";
            section.warn("url", text.to_owned());
        }
        Some(AlertWebhook { min_level: min_level(section), url: url?, secret })
    }
}

impl AlertPost {
    pub(super) fn read(section: &mut Section<'_>) -> Option<AlertPost> {
        let keys = ["url_env", "url_file", "url"]; // of the last it is said that it is no place for a secret
        if section.is_present() && !keys.iter().any(|key| section.has(key)) {
            let expected = "the environment variable that holds the URL, which is a secret: who has it can write there";
            section.missing("url_env", expected, "\"TALLYBOT_ALERTS_URL\"");
        }
        let url = section.secret("url_env", "url_file", None);
        let url = url.filter(|url| {
            let is_safe = is_safe_url(url.expose_secret());
            if !is_safe {
                let key = if section.has("url_env") { "url_env" } else { "url_file" };
                let text = format!(
                    "`{}` leads to something that is no `https://` URL (not repeated here); expected the whole URL as \
                     the service shows it, beginning with `https://`",
                    section.path_of(key)
                );
                section.wrong(key, text);
            }
            is_safe
        });
        Some(AlertPost { min_level: min_level(section), url: url? })
    }
}

impl AlertMail {
    pub(super) fn read(section: &mut Section<'_>) -> Option<AlertMail> {
        for (key, expected, example) in [
            ("smtp", "the mail server and its port", "\"smtp.example.com:587\""),
            ("from", "an address", "\"tallybot@example.com\""),
            ("to", "addresses", "[\"ana@example.com\"]"),
        ] {
            if section.is_present() && !section.has(key) {
                section.missing(key, expected, example);
            }
        }
        let server = section.parsed("smtp", "the mail server and its port", "\"smtp.example.com:587\"", host_and_port);
        let words = [("starttls", AlertSecurity::StartTls), ("tls", AlertSecurity::Tls), ("none", AlertSecurity::None)];
        let security = section.choice("security", &words).unwrap_or_default();
        let login = login(section);
        let from = section
            .parsed("from", "an address", "\"tallybot@example.com\"", |text| is_address(text).then(|| text.to_owned()));
        let to = section.list("to", MAX_MAILBOXES, "addresses", "[\"ana@example.com\"]", address);
        if section.has("to") && to.as_ref().is_some_and(Vec::is_empty) {
            section.wrong(
                "to",
                "`alerts.mail.to` is empty; expected addresses, for example `to = [\"ana@example.com\"]`".into(),
            );
        }
        if let Some((host, _)) = server.as_ref().filter(|_| security == AlertSecurity::None)
            && !is_here(host)
        {
            let text = "`alerts.mail.security` is `\"none\"`, and the server is not on this machine: the password and \
                        the alerts would travel unencrypted; expected `\"starttls\"` or `\"tls\"`";
            section.wrong("security", text.to_owned());
        }
        check_built(section);
        let (host, port) = server?;
        let to = to.filter(|to| !to.is_empty())?;
        Some(AlertMail { min_level: min_level(section), host, port, security, login, from: from?, to })
    }
}

/// Mail needs a part of the program that may have been left out.
fn check_built(section: &Section<'_>) {
    if section.is_present() && !cfg!(feature = "mail") {
        let text = "`alerts.mail` asks for mail, and this tallybot was built without it; build it with `--features \
                    mail`, or take this section out";
        section.wrong("smtp", text.to_owned());
    }
}

fn login(section: &mut Section<'_>) -> Option<(String, SecretString)> {
    let user = section.parsed("user", "the name to sign in with", "\"tallybot@example.com\"", |text| {
        let usable = !text.is_empty() && text.len() <= 256 && !text.chars().any(char::is_control);
        usable.then(|| text.to_owned())
    });
    let password = section.secret("password_env", "password_file", None);
    let has_password = section.has("password_env") || section.has("password_file");
    match (section.has("user"), has_password) {
        (true, false) => {
            section.missing("password_env", "the environment variable of the password", "\"TALLYBOT_MAIL_PASSWORD\"");
        }
        (false, true) => section.missing("user", "the name to sign in with", "\"tallybot@example.com\""),
        _ => {}
    }
    user.zip(password)
}

fn webhook_url(section: &mut Section<'_>) -> Option<String> {
    let expected = "an `https://` URL without a user and without `#` (`http://` only on this machine)";
    let example = "\"https://alerts.example.com/tallybot\"";
    if section.is_present() && !section.has("url") {
        section.missing("url", expected, example);
    }
    let item = section.find("url")?;
    let url = item.value.as_str().filter(|text| is_safe_url(text));
    if url.is_none() {
        let said =
            format!("is not repeated here, it may hold a key; expected {expected}, for example `url = {example}`");
        item.says(&said);
    }
    url.map(str::to_owned)
}

/// HTTPS, except on this machine; no user in it, which would be a secret, and nothing a server never sees.
fn is_safe_url(text: &str) -> bool {
    let Ok(uri) = text.parse::<http::Uri>() else { return false };
    let Some(host) = uri.host().filter(|host| !host.is_empty()) else { return false };
    let is_safe = uri.scheme_str() == Some("https") || (uri.scheme_str() == Some("http") && is_here(host));
    is_safe && uri.authority().is_some_and(|authority| !authority.as_str().contains('@')) && !text.contains('#')
}

fn is_here(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn host_and_port(text: &str) -> Option<(String, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let is_host = is_domain(bare) || bare.parse::<std::net::IpAddr>().is_ok();
    let port = port.parse::<u16>().ok().filter(|port| *port > 0)?;
    is_host.then(|| (bare.to_owned(), port))
}

fn address(value: &DeValue<'_>) -> Option<String> {
    value.as_str().filter(|text| is_address(text)).map(str::to_owned)
}

/// A bare address: `name@domain`, in ASCII.
fn is_address(text: &str) -> bool {
    let Some((name, domain)) = text.rsplit_once('@') else { return false };
    let of_name = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~.".contains(&byte);
    let is_dotted = !name.starts_with('.') && !name.ends_with('.') && !name.contains("..");
    (1..=64).contains(&name.len()) && name.bytes().all(of_name) && is_dotted && is_domain(domain)
}

fn is_domain(text: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= 253 && text.split('.').all(is_label)
}
