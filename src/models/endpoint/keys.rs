//! The keys of a request that decide what is done and paid: their values, where they stand, and the two changes that may
//! be made to them: spliced in by offset, every other byte as it came.

use std::ops::Range;

use super::Endpoint;
use super::request::MalformedRequest;
use super::scan::{Found, MAX_DEPTH, MAX_WORD_BYTES, Scanner, Shape};
use super::steps::{Step, leaf, node, root};
use crate::models::Kind;
use crate::models::json::{count_of, whole};

/// What a key that decides is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Model,
    /// Models to be asked instead, where the first fails (OpenRouter, LiteLLM).
    OtherModels,
    /// How fast it is to be served, which changes the price.
    Tier,
    Stream,
    StreamOptions,
    IncludeUsage,
    /// What holds others.
    Settings,
    /// A limit of the output.
    Cap,
    /// How many answers are to be made.
    Answers,
}

/// So many models are named to be asked instead; servers take a few.
const MAX_OTHER_MODELS: usize = 100;

/// A key as errors name it.
pub(super) type Named = (Key, &'static str);

/// Gemini's settings, under one of the names that they go by.
macro_rules! generation_keys {
    ($named:path, $settings:literal) => {
        node(
            $settings,
            $named((Key::Settings, $settings)),
            &[
                leaf("maxOutputTokens", $named((Key::Cap, concat!($settings, ".maxOutputTokens")))),
                leaf("max_output_tokens", $named((Key::Cap, concat!($settings, ".max_output_tokens")))),
                leaf("candidateCount", $named((Key::Answers, concat!($settings, ".candidateCount")))),
                leaf("candidate_count", $named((Key::Answers, concat!($settings, ".candidate_count")))),
            ],
        )
    };
}
pub(super) use generation_keys;

/// The steps to some values, and to the keys that decide, as what `$named` makes of a [`Named`].
macro_rules! with_keys {
    ($named:path; $($step:expr),* $(,)?) => {
        root(&[
            $($step,)*
            leaf("model", $named((Key::Model, "model"))),
            leaf("models", $named((Key::OtherModels, "models"))),
            node(
                "fallbacks",
                $named((Key::OtherModels, "fallbacks")),
                &[leaf("model", $named((Key::OtherModels, "fallbacks")))],
            ),
            leaf("service_tier", $named((Key::Tier, "service_tier"))),
            leaf("serviceTier", $named((Key::Tier, "serviceTier"))),
            leaf("speed", $named((Key::Tier, "speed"))),
            leaf("stream", $named((Key::Stream, "stream"))),
            node(
                "stream_options",
                $named((Key::StreamOptions, "stream_options")),
                &[leaf("include_usage", $named((Key::IncludeUsage, "stream_options.include_usage")))],
            ),
            leaf("max_tokens", $named((Key::Cap, "max_tokens"))),
            leaf("max_completion_tokens", $named((Key::Cap, "max_completion_tokens"))),
            leaf("max_output_tokens", $named((Key::Cap, "max_output_tokens"))),
            leaf("n", $named((Key::Answers, "n"))),
            leaf("best_of", $named((Key::Answers, "best_of"))),
            node(
                "options",
                $named((Key::Settings, "options")),
                &[leaf("num_predict", $named((Key::Cap, "options.num_predict")))],
            ),
            $crate::models::endpoint::keys::generation_keys!($named, "generationConfig"),
            $crate::models::endpoint::keys::generation_keys!($named, "generation_config"),
        ])
    };
}
pub(super) use with_keys;

const PATHS: Step<Named> = with_keys!(std::convert::identity;);

/// The keys that stand in a body.
#[derive(Debug)]
pub(super) struct Keys<'a> {
    body: &'a str,
    values: Vec<Value>,
    wrong: Option<MalformedRequest>,
}

/// A value that decides.
#[derive(Debug)]
struct Value {
    named: Named,
    shape: Shape,
    /// Where it stands in the body.
    range: Range<usize>,
    /// What a text says.
    text: String,
}

impl<'a> Keys<'a> {
    /// Reads the keys of a body that every server reads as we do.
    pub(super) fn read(body: &'a [u8]) -> Result<Keys<'a>, MalformedRequest> {
        let mut keys = Keys::of(body)?;
        let mut scanner = Scanner::of_request(&PATHS);
        scanner.push_text(keys.body(), &mut keys);
        keys.checked(&scanner)
    }

    /// Takes in a body to read the keys of.
    pub(super) fn of(body: &'a [u8]) -> Result<Keys<'a>, MalformedRequest> {
        let body = std::str::from_utf8(body).map_err(|_| MalformedRequest::NotAnObject)?;
        Ok(Keys { body, values: Vec::new(), wrong: None })
    }

    /// The body.
    pub(super) fn body(&self) -> &'a str {
        self.body
    }

    /// The keys as they were found, if the body is one JSON object, and every server reads them as we do. `scanner`: what
    /// read all of the body.
    pub(super) fn checked<W: Copy>(self, scanner: &Scanner<W>) -> Result<Keys<'a>, MalformedRequest> {
        let wrong = self.wrong.or_else(|| self.values.iter().find_map(|value| value.wrong_type(self.body)));
        match wrong {
            _ if !self.is_object(scanner) => Err(MalformedRequest::NotAnObject),
            _ if scanner.deepest() > MAX_DEPTH => Err(MalformedRequest::TooDeep),
            Some(wrong) => Err(wrong),
            None => Ok(self),
        }
    }

    /// Whether the body is one JSON object. Where the scanner has seen all of it, it knows; else it is read once more.
    fn is_object<W: Copy>(&self, scanner: &Scanner<W>) -> bool {
        let has_controls = self.body.bytes().fold(false, |any, byte| any | (byte < b' '));
        let is_json = || serde_json::from_str::<serde::de::IgnoredAny>(self.body).is_ok();
        self.body.trim_ascii_start().starts_with('{') && (scanner.is_one_value() && !has_controls || is_json())
    }

    fn find(&self, key: Key) -> Option<&Value> {
        self.values.iter().find(|value| value.named.0 == key)
    }

    /// The model it names; to be asked for once.
    pub(super) fn take_model(&mut self) -> Option<String> {
        let model = self.values.iter_mut().find(|value| value.named.0 == Key::Model)?;
        (model.shape == Shape::Text).then(|| std::mem::take(&mut model.text))
    }

    /// The models that may be asked instead.
    pub(super) fn take_other_models(&mut self) -> Vec<String> {
        let others = self.values.iter_mut().filter(|value| value.named.0 == Key::OtherModels);
        others.map(|other| std::mem::take(&mut other.text)).collect()
    }

    /// How fast it is to be served; to be asked for once.
    pub(super) fn take_tier(&mut self, heeded: &Heeded) -> Option<String> {
        let mut values = self.values.iter_mut();
        let tier = values.find(|value| value.shape == Shape::Text && heeded.tiers.contains(&value.named.1))?;
        Some(std::mem::take(&mut tier.text))
    }

    /// A yes or no; `None` when it is not there, or null.
    pub(super) fn flag(&self, key: Key) -> Option<bool> {
        self.find(key)?.scalar(self.body)?.parse().ok()
    }

    /// How many answers are to be made.
    pub(super) fn answers(&self, heeded: &Heeded) -> u64 {
        self.highest(heeded.answers).unwrap_or(1).max(1)
    }

    /// The most tokens all answers may have together: of several limits the highest, for servers differ in which they
    /// heed. A limit of nothing limits nothing: so some take it, and the others refuse it.
    pub(super) fn output_cap(&self, heeded: &Heeded) -> Option<u64> {
        let cap = self.highest(heeded.caps).filter(|cap| *cap > 0)?;
        Some(cap.saturating_mul(self.answers(heeded)))
    }

    fn highest(&self, names: &[&str]) -> Option<u64> {
        let values = self.values.iter().filter(|value| names.contains(&value.named.1));
        values.filter_map(|value| count_of(value.scalar(self.body)?)).max()
    }
}

/// The keys that an API heeds. What another one heeds may stand in its bodies as well, and does nothing there.
pub(super) struct Heeded {
    caps: &'static [&'static str],
    answers: &'static [&'static str],
    tiers: &'static [&'static str],
    /// Whether there may be several prompts, each answered by itself.
    pub(super) each_prompt: bool,
}

impl Heeded {
    /// By each API's reference; of those that Ollama serves besides its own, it says itself what it passes over.
    pub(super) fn by(endpoint: Endpoint, kind: Kind) -> Heeded {
        let tiers: &[&str] = if endpoint == Endpoint::Messages { &["speed"] } else { &["service_tier", "serviceTier"] };
        let each_prompt = endpoint == Endpoint::Completions && kind != Kind::Ollama;
        let heeded = |caps, answers| Heeded { caps, answers, tiers, each_prompt };
        match (endpoint, kind) {
            (Endpoint::ChatCompletions | Endpoint::Completions, Kind::Ollama) => heeded(&["max_tokens"], &[]),
            (Endpoint::ChatCompletions, _) => heeded(&["max_tokens", "max_completion_tokens"], &["n"]),
            (Endpoint::Completions, _) => heeded(&["max_tokens"], &["n", "best_of"]),
            (Endpoint::Responses, _) => heeded(&["max_output_tokens"], &[]),
            (Endpoint::Messages, _) => heeded(&["max_tokens"], &[]),
            (Endpoint::Interactions, _) => heeded(&["generation_config.max_output_tokens"], &[]),
            (Endpoint::OllamaChat | Endpoint::OllamaGenerate, _) => heeded(&["options.num_predict"], &[]),
            (Endpoint::GenerateContent | Endpoint::StreamGenerateContent, _) => heeded(
                &[
                    "generationConfig.maxOutputTokens",
                    "generationConfig.max_output_tokens",
                    "generation_config.maxOutputTokens",
                    "generation_config.max_output_tokens",
                ],
                &[
                    "generationConfig.candidateCount",
                    "generationConfig.candidate_count",
                    "generation_config.candidateCount",
                    "generation_config.candidate_count",
                ],
            ),
            _ => heeded(&[], &[]),
        }
    }
}

impl Found<Named> for Keys<'_> {
    fn begins(&mut self, named: Named, shape: Shape, at: usize, exact: bool) {
        let (_, key) = named;
        if !exact {
            self.wrong.get_or_insert(MalformedRequest::OtherCase { key });
        }
        if named.0 == Key::OtherModels {
            return self.begins_another_model(named, shape, at);
        }
        // What stands in a list is the list's, and that is of a wrong type.
        let is_within = self.values.iter().any(|value| value.named == named && value.range.is_empty());
        if is_within {
            return;
        }
        if self.values.iter().any(|value| value.named == named) {
            self.wrong.get_or_insert(MalformedRequest::Twice { key });
            return;
        }
        self.values.push(Value { named, shape, range: at..at, text: String::new() });
    }

    fn text(&mut self, _named: Named, piece: &str) {
        // Of what is refused anyway no text is wanted.
        if let Some(value) = self.values.last_mut().filter(|_| self.wrong.is_none()) {
            value.text.push_str(piece);
        }
    }

    fn scalar(&mut self, _named: Named, _raw: &str) {}

    fn ends(&mut self, named: Named, at: usize) {
        if let Some(value) = self.values.iter_mut().rfind(|value| value.named == named) {
            value.range.end = at;
        }
    }

    fn document(&mut self) {}
}

impl Keys<'_> {
    /// Each text of the list counts.
    fn begins_another_model(&mut self, named: Named, shape: Shape, at: usize) {
        if shape != Shape::Text {
            return;
        }
        if self.values.iter().filter(|value| value.named == named).count() >= MAX_OTHER_MODELS {
            let expected = "a list of at most 100 models";
            self.wrong.get_or_insert(MalformedRequest::WrongType { key: named.1, expected });
            return;
        }
        self.values.push(Value { named, shape, range: at..at, text: String::new() });
    }
}

impl Value {
    /// A scalar as it stands; `None` of another shape, or when it is longer than any that means something.
    fn scalar<'a>(&self, body: &'a str) -> Option<&'a str> {
        let is_one = self.shape == Shape::Scalar && self.range.len() <= MAX_WORD_BYTES;
        body.get(self.range.clone()).filter(|_| is_one)
    }

    fn wrong_type(&self, body: &str) -> Option<MalformedRequest> {
        let (key, name) = self.named;
        let expected = match key {
            Key::Model | Key::OtherModels | Key::Tier => "a text, for example \"gpt-4o-mini\"",
            Key::Stream | Key::IncludeUsage => "true or false",
            Key::StreamOptions | Key::Settings => "an object, for example {}",
            Key::Cap | Key::Answers => "a whole number, for example 1",
        };
        let scalar = self.scalar(body);
        let is_right = match key {
            Key::Tier => true, // another server may mean something else by it
            Key::Model | Key::OtherModels => self.shape == Shape::Text,
            Key::Stream | Key::IncludeUsage => matches!(scalar, Some("true" | "false")),
            Key::StreamOptions | Key::Settings => self.shape == Shape::Object,
            Key::Cap | Key::Answers => scalar.is_some_and(is_whole_number),
        };
        (!is_right && scalar != Some("null")).then_some(MalformedRequest::WrongType { key: name, expected })
    }
}

fn is_whole_number(word: &str) -> bool {
    let digits = whole(word);
    let digits = digits.strip_prefix('-').unwrap_or(digits);
    !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit())
}

/// The body with `stream_options.include_usage` true, where a stream would not tell its usage otherwise; `None` when
/// nothing is to change.
pub fn with_usage_asked(endpoint: Endpoint, body: &[u8]) -> Option<Vec<u8>> {
    let keys = Keys::read(body).ok()?;
    let is_asked = keys.flag(Key::IncludeUsage) == Some(true);
    if !endpoint.must_be_asked() || is_asked || keys.flag(Key::Stream) != Some(true) {
        return None;
    }
    if let Some(flag) = keys.find(Key::IncludeUsage) {
        return Some(spliced(body, flag.range.clone(), b"true"));
    }
    match keys.find(Key::StreamOptions) {
        Some(options) if options.shape != Shape::Object => {
            Some(spliced(body, options.range.clone(), br#"{"include_usage":true}"#))
        }
        Some(options) => {
            let inside = options.range.start + 1;
            let is_empty = body[inside..].trim_ascii_start().starts_with(b"}");
            let flag: &[u8] = if is_empty { br#""include_usage":true"# } else { br#""include_usage":true,"# };
            Some(spliced(body, inside..inside, flag))
        }
        None => {
            let inside = body.iter().position(|&byte| byte == b'{')? + 1;
            Some(spliced(body, inside..inside, br#""stream_options":{"include_usage":true},"#))
        }
    }
}

/// The body with another model; `None` when it names none.
pub fn with_model(body: &[u8], model: &str) -> Option<Vec<u8>> {
    let keys = Keys::read(body).ok()?;
    let old = keys.find(Key::Model)?;
    Some(spliced(body, old.range.clone(), &serde_json::to_vec(model).ok()?))
}

fn spliced(body: &[u8], range: Range<usize>, new: &[u8]) -> Vec<u8> {
    [&body[..range.start], new, &body[range.end..]].concat()
}
