//! The sections `[[providers]]`: where models run, how they are reached and what they allow.

use secrecy::SecretString;

use super::limits::Rates;
use super::mistakes::has_key_prefix;
use super::reader::{Section, Whole};

/// One of `[[providers]]`.
#[derive(Clone, Debug)]
pub struct Provider {
    /// Its name in records, commands and `/gateway/{name}/`.
    pub name: String,
    /// Which API it speaks.
    pub kind: ProviderKind,
    /// The base of its URLs, without a slash at the end; empty for the demo model.
    pub url: String,
    /// The model that answers unless another is asked for.
    pub model: String,
    /// The model that is shown pictures; `None` for that of the chat.
    pub vision_model: Option<String>,
    /// Its key, if it needs one.
    pub api_key: Option<SecretString>,
    /// What the plan is called in `/stats`.
    pub plan: Option<String>,
    /// What the provider allows.
    pub limits: Rates,
    /// How long to wait for it.
    pub timeouts: Timeouts,
    /// Who is asked instead by the gateway when it fails: a provider of the same kind.
    pub fallback: Option<String>,
    /// Whether its models run on the owner's machines and are free; `None`: decided per model.
    pub local: Option<bool>,
    /// The vendor whose prices hold, when the provider's kind does not say it (`groq` behind an OpenAI API).
    pub price_vendor: Option<String>,
}

/// Which API a provider speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProviderKind {
    /// Ollama's own API.
    Ollama,
    /// Any OpenAI-compatible chat API.
    OpenAi,
    /// Anthropic's Messages API.
    Anthropic,
    /// Google's Gemini API.
    Gemini,
    /// Canned answers, for trying the program out.
    Demo,
}

impl ProviderKind {
    /// Every kind, in the order in which they are named to the owner.
    pub const ALL: [ProviderKind; 5] =
        [ProviderKind::Ollama, ProviderKind::OpenAi, ProviderKind::Anthropic, ProviderKind::Gemini, ProviderKind::Demo];

    /// The word in the configuration, and `api_type` in records.
    pub fn as_str(self) -> &'static str {
        match self {
            ProviderKind::Ollama => "ollama",
            ProviderKind::OpenAi => "openai",
            ProviderKind::Anthropic => "anthropic",
            ProviderKind::Gemini => "gemini",
            ProviderKind::Demo => "demo",
        }
    }

    /// Who bills behind an API that is mostly its maker's; one that many speak says nothing about that.
    pub fn vendor(self) -> Option<&'static str> {
        match self {
            ProviderKind::Anthropic => Some("anthropic"),
            ProviderKind::Gemini => Some("google"),
            ProviderKind::Ollama | ProviderKind::OpenAi | ProviderKind::Demo => None,
        }
    }

    /// A model of it, and the usual name of the variable with its key, for examples.
    fn example(self) -> (&'static str, &'static str) {
        match self {
            ProviderKind::OpenAi => ("gpt-4o", "OPENAI_API_KEY"),
            ProviderKind::Anthropic => ("claude-haiku-4-5", "ANTHROPIC_API_KEY"),
            ProviderKind::Gemini => ("gemini-2.5-flash", "GEMINI_API_KEY"),
            ProviderKind::Ollama | ProviderKind::Demo => ("llama3.2", "OLLAMA_API_KEY"),
        }
    }

    /// Whether it is mostly spoken by clouds, which ask for a key.
    fn is_mostly_cloud(self) -> bool {
        matches!(self, ProviderKind::OpenAi | ProviderKind::Anthropic | ProviderKind::Gemini)
    }
}

/// How long to wait for a provider, in whole seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Until a connection stands.
    pub connect_secs: u64,
    /// Until the first byte of the answer; long, since a model may have to be loaded.
    pub first_byte_secs: u64,
    /// From one piece of the answer to the next.
    pub between_chunks_secs: u64,
    /// For the whole call.
    pub total_secs: u64,
}

impl Default for Timeouts {
    fn default() -> Timeouts {
        Timeouts { connect_secs: 10, first_byte_secs: 300, between_chunks_secs: 120, total_secs: 1_800 }
    }
}

impl Timeouts {
    fn read(section: &mut Section<'_>) -> Timeouts {
        let default = Timeouts::default();
        let mut secs = |key, max, default| {
            section.whole(key, Whole { min: 1, max, unit: "seconds", example: default }).unwrap_or(default)
        };
        Timeouts {
            connect_secs: secs("connect_secs", 300, default.connect_secs),
            first_byte_secs: secs("first_byte_secs", 3_600, default.first_byte_secs),
            between_chunks_secs: secs("between_chunks_secs", 3_600, default.between_chunks_secs),
            total_secs: secs("total_secs", 86_400, default.total_secs),
        }
    }
}

impl Provider {
    /// Reads one provider; `names` are those of the providers before it, and its own is added.
    pub(super) fn read(section: &mut Section<'_>, names: &mut Vec<String>) -> Option<Provider> {
        let name = unique_name(section, names);
        let kind = kind(section);
        let url = base_url(section, "url", default_url(kind));
        let model = model(section, kind);
        let vision_model = label(section, "vision_model", "llava");
        let api_key = section.secret("api_key_env", "api_key_file", None);
        let plan = label(section, "plan", "free");
        let limits = section.table("limits", |section| Rates::read(section, None));
        let timeouts = section.table("timeouts", Timeouts::read);
        let fallback = label(section, "fallback", "other");
        let local = section.flag("local");
        let price_vendor = label(section, "price_vendor", "openai");
        let provider = Provider {
            name: name?,
            kind: kind?,
            url: url.unwrap_or_default(),
            model: model?,
            vision_model,
            api_key,
            plan,
            limits,
            timeouts,
            fallback,
            local,
            price_vendor,
        };
        provider.warn_of_slips(section);
        Some(provider)
    }

    fn warn_of_slips(&self, section: &Section<'_>) {
        let is_far = !self.url.is_empty() && !is_on_this_machine(&self.url);
        if is_far && self.api_key.is_some() && self.url.starts_with("http://") {
            let text = format!("`{}`: the key travels unencrypted; use `https://`", section.path_of("url"));
            section.warn("url", text);
        }
        if is_far && self.kind.is_mostly_cloud() && self.api_key.is_none() && !section.has("api_key_env") {
            let text = format!(
                "`{}` is not there, and most cloud APIs ask for a key; for example `api_key_env = \"{}\"`",
                section.path_of("api_key_env"),
                self.kind.example().1
            );
            section.warn("", text);
        }
        if !is_far && self.kind.is_mostly_cloud() && self.local.is_none() {
            let text = format!(
                "`{}` is not there: do the models at `{}` run on this machine? `local = true` says so and makes them \
                 free, `local = false` that they are billed",
                section.path_of("local"),
                self.url
            );
            section.warn("", text);
        }
    }
}

fn name(section: &mut Section<'_>) -> Option<String> {
    let expected = "1 to 64 lower-case letters, digits, `-`, `_` or `.`";
    if !section.has("name") {
        section.missing("name", expected, "\"ollama\"");
    }
    section.parsed("name", expected, "\"ollama\"", |text| {
        let word = text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(&b));
        (word && (1..=64).contains(&text.len()) && !text.starts_with('.')).then(|| text.to_owned())
    })
}

fn unique_name(section: &mut Section<'_>, names: &mut Vec<String>) -> Option<String> {
    let name = name(section)?;
    if names.contains(&name) {
        let text = format!(
            "`{}` is `\"{name}\"`, like that of a provider above; each needs its own, for example \
             `name = \"{name}-2\"`",
            section.path_of("name")
        );
        section.wrong("name", text);
    }
    names.push(name.clone());
    Some(name)
}

fn kind(section: &mut Section<'_>) -> Option<ProviderKind> {
    let choices = ProviderKind::ALL.map(|kind| (kind.as_str(), kind));
    if !section.has("kind") {
        let expected = choices.map(|(name, _)| format!("`\"{name}\"`")).join(", ");
        section.missing("kind", &format!("one of {expected}"), "\"ollama\"");
    }
    section.choice("kind", &choices)
}

fn default_url(kind: Option<ProviderKind>) -> &'static str {
    match kind {
        Some(ProviderKind::Ollama) => "http://127.0.0.1:11434",
        Some(ProviderKind::OpenAi) => "https://api.openai.com/v1",
        Some(ProviderKind::Anthropic) => "https://api.anthropic.com",
        Some(ProviderKind::Gemini) => "https://generativelanguage.googleapis.com/v1beta",
        Some(ProviderKind::Demo) | None => "",
    }
}

fn model(section: &mut Section<'_>, kind: Option<ProviderKind>) -> Option<String> {
    let (example, _) = kind.unwrap_or(ProviderKind::Ollama).example();
    let found = label(section, "model", example);
    if found.is_some() || section.has("model") {
        return found;
    }
    if kind == Some(ProviderKind::Demo) {
        return Some("demo".to_owned());
    }
    section.missing("model", "the name of a model", &format!("\"{example}\""));
    None
}

/// A short name that is shown as it is.
pub(super) fn label(section: &mut Section<'_>, key: &'static str, example: &str) -> Option<String> {
    let expected = "a name of 1 to 128 bytes";
    section.parsed(key, expected, &format!("\"{example}\""), |text| {
        let usable = !text.trim().is_empty() && text.trim().len() == text.len() && text.len() <= 128;
        (usable && !text.chars().any(char::is_control) && !has_key_prefix(text)).then(|| text.to_owned())
    })
}

/// The base of a service's URLs: scheme, host and perhaps a path, no slash at the end.
pub(super) fn base_url(section: &mut Section<'_>, key: &'static str, default: &str) -> Option<String> {
    let Some(item) = section.find(key) else {
        return (!default.is_empty()).then(|| default.to_owned());
    };
    let example = if default.is_empty() { "http://127.0.0.1:11434" } else { default };
    let Some(text) = item.value.as_str() else {
        item.wrong("a URL", &format!("\"{example}\""));
        return None;
    };
    if text.contains('@') || text.contains('?') || has_key_prefix(text) {
        item.says(&format!(
            "holds a user, a key or a query (not repeated here); expected the bare URL, for example \
             `{key} = \"{example}\"`, and the key by `api_key_env`"
        ));
        return None;
    }
    let url = text.trim_end_matches('/');
    let parsed = url.parse::<http::Uri>().ok().filter(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some_and(|host| !host.is_empty())
    });
    if parsed.is_none() || url.contains('#') {
        item.wrong("a URL that begins with `http://` or `https://`", &format!("\"{example}\""));
        return None;
    }
    Some(url.to_owned())
}

fn is_on_this_machine(url: &str) -> bool {
    let Ok(uri) = url.parse::<http::Uri>() else { return false };
    let host = uri.host().unwrap_or("").trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}
