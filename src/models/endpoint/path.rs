//! What the paths of the APIs mean, and the model that some of them name.

use super::Endpoint;
use crate::models::Kind;

/// How often a path may have been percent-encoded over before it is read as it stands.
const MAX_ENCODINGS: usize = 3;

/// What a POST to `path` does.
pub(super) fn endpoint_of(kind: Kind, path: &str) -> Endpoint {
    let plain = normalized(path);
    let mut parts = plain.rsplit('/');
    let (last, before, third) =
        (parts.next().unwrap_or_default(), parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let of_ollama = before == "api" || kind == Kind::Ollama && before.is_empty();
    match (before, last) {
        ("chat", "completions") => Endpoint::ChatCompletions,
        (_, "completions") => Endpoint::Completions,
        (_, "responses") | ("responses", "compact") => Endpoint::Responses,
        ("api", "embeddings") if kind == Kind::Ollama => Endpoint::OllamaEmbed,
        (_, "embeddings") => Endpoint::Embeddings,
        ("messages", "count_tokens") => Endpoint::MessagesCountTokens,
        (_, "messages") if third != "threads" => Endpoint::Messages,
        (_, "chat") if of_ollama => Endpoint::OllamaChat,
        (_, "generate") if of_ollama => Endpoint::OllamaGenerate,
        (_, "embed") if of_ollama => Endpoint::OllamaEmbed,
        _ => last.rsplit_once(':').map_or(Endpoint::Other, |(_, action)| of_gemini(action)),
    }
}

fn of_gemini(action: &str) -> Endpoint {
    match action {
        "generatecontent" => Endpoint::GenerateContent,
        "streamgeneratecontent" => Endpoint::StreamGenerateContent,
        "embedcontent" | "batchembedcontents" => Endpoint::EmbedContent,
        "counttokens" => Endpoint::CountTokens,
        _ => Endpoint::Other,
    }
}

/// The path as the most lenient server reads it: decoded, in lower case, without empty parts, `.`, `..`, parameters
/// behind `;` and what a stray `?` or `#` cuts off.
fn normalized(path: &str) -> String {
    let mut text = path.to_ascii_lowercase();
    for _ in 0..MAX_ENCODINGS {
        let decoded = percent_decoded(&text).to_ascii_lowercase();
        if decoded == text {
            break;
        }
        text = decoded;
    }
    let text = text.split(['?', '#']).next().unwrap_or_default();
    let mut parts: Vec<&str> = Vec::new();
    for part in text.split(['/', '\\']) {
        match part.split(';').next().unwrap_or_default().trim() {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let coded = (byte == b'%').then(|| after.get(..2)).flatten().and_then(hex_byte);
        bytes.push(coded.unwrap_or(byte));
        rest = if coded.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn hex_byte(digits: &[u8]) -> Option<u8> {
    let value = |digit: u8| char::from(digit).to_digit(16);
    u8::try_from(value(digits[0])? * 16 + value(digits[1])?).ok()
}

/// Where in `path` the model's name stands: from behind the last `/` to the last `:` of the last part.
fn model_range(path: &str) -> Option<std::ops::Range<usize>> {
    let path = path.trim_end_matches('/');
    let start = path.rfind('/').map_or(0, |slash| slash + 1);
    let colon = path[start..].rfind(':').or_else(|| path[start..].to_ascii_lowercase().rfind("%3a"))?;
    (colon > 0).then_some(start..start + colon)
}

/// The model that Gemini's paths name: `gemini-2.5-flash` of `/v1beta/models/gemini-2.5-flash:generateContent`.
pub(super) fn model_of(path: &str) -> Option<String> {
    model_range(path).map(|range| percent_decoded(&path[range]))
}

/// The path with another model, where the path is what names it (Gemini); `None` for all other paths.
pub fn path_with_model(kind: Kind, path: &str, model: &str) -> Option<String> {
    if !endpoint_of(kind, path).names_model_in_path() {
        return None;
    }
    let range = model_range(path)?;
    Some([&path[..range.start], &percent_encoded(model), &path[range.end..]].concat())
}

/// What may stand in a part of a path stays, everything else is encoded.
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(char::from(byte)),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

impl Endpoint {
    /// Whether the path, and not the body, names the model.
    pub(super) fn names_model_in_path(self) -> bool {
        matches!(
            self,
            Endpoint::GenerateContent
                | Endpoint::StreamGenerateContent
                | Endpoint::EmbedContent
                | Endpoint::CountTokens
        )
    }
}
