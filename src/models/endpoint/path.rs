//! What the paths of the APIs mean, and the model that some of them name.

use std::borrow::Cow;

use super::Endpoint;
use crate::models::Kind;

/// How often a path may have been percent-encoded over before it is read as it stands.
const MAX_ENCODINGS: usize = 3;

/// What a POST to `path` does.
pub(super) fn endpoint_of(kind: Kind, path: &str) -> Endpoint {
    let plain = if is_plain(path) { Cow::Borrowed(path.trim_start_matches('/')) } else { Cow::Owned(normalized(path)) };
    let mut parts = plain.as_bytes().rsplit(|byte| *byte == b'/');
    let mut next = || parts.next().unwrap_or_default();
    let (last, before, third) = (next(), next(), next());
    let of_ollama = before == b"api" || kind == Kind::Ollama && before.is_empty();
    match (before, last) {
        (b"chat", b"completions") => Endpoint::ChatCompletions,
        (_, b"completions") => Endpoint::Completions,
        (_, b"responses") | (b"responses", b"compact") => Endpoint::Responses,
        (b"responses", b"input_tokens") => Endpoint::ResponsesInputTokens,
        (b"api", b"embeddings") if kind == Kind::Ollama => Endpoint::OllamaEmbed,
        (_, b"embeddings") => Endpoint::Embeddings,
        (b"messages", b"count_tokens") => Endpoint::MessagesCountTokens,
        (_, b"interactions") => Endpoint::Interactions,
        (_, b"messages") if third != b"threads" => Endpoint::Messages,
        (_, b"chat") if of_ollama => Endpoint::OllamaChat,
        (_, b"generate") if of_ollama => Endpoint::OllamaGenerate,
        (_, b"embed") if of_ollama => Endpoint::OllamaEmbed,
        _ => last.iter().rposition(|byte| *byte == b':').map_or(Endpoint::Other, |colon| of_gemini(&last[colon + 1..])),
    }
}

fn of_gemini(action: &[u8]) -> Endpoint {
    match action {
        b"generatecontent" => Endpoint::GenerateContent,
        b"streamgeneratecontent" => Endpoint::StreamGenerateContent,
        b"embedcontent" | b"batchembedcontents" => Endpoint::EmbedContent,
        b"counttokens" => Endpoint::CountTokens,
        _ => Endpoint::Other,
    }
}

/// Whether every server reads the path as it stands.
fn is_plain(path: &str) -> bool {
    let is_plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'/' | b'_' | b'-' | b':' | b'.');
    path.bytes().all(is_plain) && !path.contains("//") && !path.contains("/.") && !path.ends_with('/')
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

/// The text with `%41` for `A` and the like undone; what is no such code stays.
pub(super) fn percent_decoded(text: &str) -> String {
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

/// The model that Azure's paths name, whatever the body says: `X` of `/openai/deployments/X/chat/completions`.
pub fn deployment_of(path: &str) -> Option<String> {
    deployment_range(path).map(|range| percent_decoded(&path[range]))
}

fn deployment_range(path: &str) -> Option<std::ops::Range<usize>> {
    let (mut start, mut is_next) = (0, false);
    for part in path.split('/') {
        let range = start..start + part.len();
        if is_next {
            return (!range.is_empty()).then_some(range);
        }
        is_next = part.eq_ignore_ascii_case("deployments");
        start = range.end + 1;
    }
    None
}

/// The path with another model, where the path is what names it (Gemini, Azure); `None` for all other paths.
pub fn path_with_model(kind: Kind, path: &str, model: &str) -> Option<String> {
    let range = match endpoint_of(kind, path).names_model_in_path() {
        true => model_range(path)?,
        false => deployment_range(path)?,
    };
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

#[cfg(test)]
mod tests {
    use super::*;
    use http::Method;

    fn of(kind: Kind, path: &str) -> Endpoint {
        Endpoint::of(kind, &Method::POST, path)
    }

    #[test]
    fn the_paths_of_every_api_are_known_below_any_beginning() {
        use Endpoint::*;
        let known = [
            (Kind::OpenAi, "/v1/chat/completions", ChatCompletions),
            (Kind::OpenAi, "/chat/completions", ChatCompletions),
            (Kind::OpenAi, "/inference/chat/completions", ChatCompletions),
            (Kind::OpenAi, "/openai/deployments/d/chat/completions", ChatCompletions),
            (Kind::OpenAi, "/v1/completions", Completions),
            (Kind::OpenAi, "/v1/responses", Responses),
            (Kind::OpenAi, "/v1/responses/compact", Responses),
            (Kind::OpenAi, "/v1/responses/input_tokens", ResponsesInputTokens),
            (Kind::OpenAi, "/v1/embeddings", Embeddings),
            (Kind::OpenAi, "/v1/messages", Messages),
            (Kind::Gemini, "/v1beta/interactions", Interactions),
            (Kind::Gemini, "/v1beta/openai/chat/completions", ChatCompletions),
            (Kind::Gemini, "/v1beta/openai/embeddings", Embeddings),
            (Kind::Anthropic, "/v1/messages", Messages),
            (Kind::Anthropic, "/v1/messages/count_tokens", MessagesCountTokens),
            (Kind::Gemini, "/v1beta/models/gemini-2.5-flash:generateContent", GenerateContent),
            (Kind::Gemini, "/models/gemini-2.5-flash:streamGenerateContent", StreamGenerateContent),
            (Kind::Gemini, "/v1/tunedModels/mine-1:generateContent", GenerateContent),
            (Kind::Gemini, "/v1beta/models/e:embedContent", EmbedContent),
            (Kind::Gemini, "/v1beta/models/e:batchEmbedContents", EmbedContent),
            (Kind::Gemini, "/v1beta/models/m:countTokens", CountTokens),
            (Kind::Ollama, "/api/chat", OllamaChat),
            (Kind::Ollama, "/chat", OllamaChat),
            (Kind::Ollama, "/api/generate", OllamaGenerate),
            (Kind::Ollama, "/api/embed", OllamaEmbed),
            (Kind::Ollama, "/api/embeddings", OllamaEmbed),
            (Kind::Ollama, "/v1/embeddings", Embeddings),
            (Kind::Ollama, "/v1/chat/completions", ChatCompletions),
            (Kind::Ollama, "/v1/completions", Completions),
            (Kind::Ollama, "/v1/responses", Responses),
            (Kind::Ollama, "/v1/messages", Messages),
        ];
        for (kind, path, endpoint) in known {
            assert_eq!(of(kind, path), endpoint, "{path}");
            assert_eq!(Endpoint::of(kind, &Method::GET, path), Other, "GET {path}");
            assert_eq!(of(Kind::Demo, path), Other, "the demo model has no API");
        }
    }

    #[test]
    fn everything_else_is_passed_and_not_metered() {
        let others = [
            "",
            "/",
            "/v1/models",
            "/v1/responses/resp_1",
            "/v1beta/interactions/int_1/cancel",
            "/v1/responses/resp_1/cancel",
            "/v1/chat/completions/chatcmpl-1",
            "/v1/threads/t1/messages",
            "/v1/messages/batches",
            "/v1/files",
            "/api/tags",
            "/api/show",
            "/v1beta/models/m",
            "/v1beta/models/m:predict",
            "/v1beta/models:generateContents",
            "/chat",
            "/generate",
            "/v1/chat/completionsx",
            "/v1/xchat/completion",
        ];
        for path in others {
            assert_eq!(of(Kind::OpenAi, path), Endpoint::Other, "{path}");
        }
    }

    /// What some server could still take for a metered path is metered.
    #[test]
    fn no_spelling_of_a_metered_path_goes_unmetered() {
        let spellings = [
            "/v1//chat/completions",
            "/v1/chat/completions/",
            "/v1/./chat/completions",
            "/V1/Chat/COMPLETIONS",
            "//v1/chat//completions//",
            "/v1/models/../chat/completions",
            "/v1/chat%2Fcompletions",
            "/v1/ch%61t/completion%73",
            "/v1/chat/completions%2f",
            "/v1/chat/completions%3Fx",
            "/v1/chat/completions;a=1",
            "/v1;a/chat;b/completions",
            "/v1\\chat\\completions",
            "/v1/%2563hat/completions",
            "/v1/chat/completions%20",
            "/v1/%2e/chat/completions",
            "/v1/chat/completions/x/..",
            "/v1/chat/completions%23",
        ];
        for path in spellings {
            assert_eq!(of(Kind::OpenAi, path), Endpoint::ChatCompletions, "{path}");
        }
        let post = Method::from_bytes(b"post").expect("a method");
        assert_eq!(Endpoint::of(Kind::OpenAi, &post, "/v1/chat/completions"), Endpoint::ChatCompletions);
        for path in [
            "/v1beta/models/m%3AgenerateContent",
            "/v1beta/models/m:GENERATECONTENT/",
            "/v1beta//models/m:generateContent",
        ] {
            assert_eq!(of(Kind::Gemini, path), Endpoint::GenerateContent, "{path}");
        }
        for damaged in ["/%", "/%2", "/v1/%zz/chat/completions%", "/%ff%fe/chat/completions"] {
            of(Kind::OpenAi, damaged);
        }
    }

    #[test]
    fn the_model_in_a_path_is_read_and_replaced() {
        let model = |path: &str| model_of(path);
        assert_eq!(model("/v1beta/models/gemini-2.5-flash:generateContent").as_deref(), Some("gemini-2.5-flash"));
        assert_eq!(model("/v1beta/models/a%20b%3Ac:generateContent/").as_deref(), Some("a b:c"));
        assert_eq!(model("models/m%3AgenerateContent").as_deref(), Some("m"));
        assert_eq!(model("/v1beta/models/:generateContent"), None);
        let path = "/v1beta//models/old%2F1:streamGenerateContent";
        let new = path_with_model(Kind::Gemini, path, "gemini-3 pro/x:y").expect("a path that names a model");
        assert_eq!(new, "/v1beta//models/gemini-3%20pro%2Fx%3Ay:streamGenerateContent");
        assert_eq!(model_of(&new).as_deref(), Some("gemini-3 pro/x:y"));
        let azure = "/openai/deployments/a%20b/chat/completions";
        assert_eq!(deployment_of(azure).as_deref(), Some("a b"));
        let other = path_with_model(Kind::OpenAi, azure, "c/d");
        assert_eq!(other.as_deref(), Some("/openai/deployments/c%2Fd/chat/completions"));
        for path in ["/openai/deployments", "/openai/deployments//chat/completions", "/v1/chat/completions"] {
            assert_eq!((deployment_of(path), path_with_model(Kind::OpenAi, path, "m")), (None, None), "{path}");
        }
        assert_eq!(path_with_model(Kind::Gemini, "/v1beta/models/m:predict", "m"), None);
    }
}
