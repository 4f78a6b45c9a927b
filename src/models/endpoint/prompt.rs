//! About how many tokens a request's prompt is: the texts that a model reads, weighed by their script, and its pictures.
//!
//! Base64 is never weighed: of what holds it only the kind is looked at.

use super::Endpoint;
use super::scan::{Found, Paths, Scanner, Shape, Step, group, leaf, node, root, whole};
use crate::models::Kind;
use crate::usage::{TOKENS_PER_MESSAGE, TokenEstimator};

/// What stands at a place of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// A message if it is an object; text, or the numbers of tokens, if it is not.
    Message,
    Role,
    Text,
    /// Text beside the messages that is the owner's instructions.
    System,
    /// JSON that is given to the model, keys and all.
    Tree,
    /// What kind of thing a part of a message is, or its media type.
    Type,
    /// A picture, in Base64.
    Picture,
}

use Part::*;

fn paths(endpoint: Endpoint) -> Paths<Part> {
    match endpoint {
        Endpoint::ChatCompletions => &OPENAI,
        Endpoint::Completions | Endpoint::Embeddings | Endpoint::OllamaEmbed => &PLAIN,
        Endpoint::Responses => &RESPONSES,
        Endpoint::Messages | Endpoint::MessagesCountTokens => &ANTHROPIC,
        Endpoint::GenerateContent
        | Endpoint::StreamGenerateContent
        | Endpoint::EmbedContent
        | Endpoint::CountTokens => &GEMINI,
        Endpoint::OllamaChat | Endpoint::OllamaGenerate => &OLLAMA,
        Endpoint::Other => &NOTHING,
    }
}

const NOTHING: Step<Part> = root(&[]);

const OPENAI: Step<Part> = root(&[
    node(
        "messages",
        Message,
        &[
            leaf("role", Role),
            node("content", Text, &[leaf("type", Type), leaf("text", Text), leaf("refusal", Text)]),
            leaf("reasoning_content", Text),
            group("tool_calls", &[group("function", &[leaf("name", Text), whole("arguments", Tree)])]),
            group("function_call", &[leaf("arguments", Text)]),
        ],
    ),
    whole("tools", Tree),
    whole("functions", Tree),
    group("response_format", &[whole("json_schema", Tree)]),
]);

const PLAIN: Step<Part> = root(&[leaf("prompt", Message), leaf("input", Message), leaf("suffix", Text)]);

const RESPONSES: Step<Part> = root(&[
    leaf("instructions", System),
    node(
        "input",
        Message,
        &[
            leaf("role", Role),
            node("content", Text, &[leaf("type", Type), leaf("text", Text), leaf("refusal", Text)]),
            group("summary", &[leaf("text", Text)]),
            leaf("name", Text),
            leaf("arguments", Text),
            leaf("input", Text),
            node("output", Text, &[leaf("type", Type), leaf("text", Text)]),
        ],
    ),
    whole("tools", Tree),
    group("text", &[whole("format", Tree)]),
]);

const ANTHROPIC: Step<Part> = root(&[
    node("system", System, &[leaf("text", System)]),
    node(
        "messages",
        Message,
        &[
            leaf("role", Role),
            node(
                "content",
                Text,
                &[
                    leaf("type", Type),
                    leaf("text", Text),
                    leaf("thinking", Text),
                    leaf("name", Text),
                    whole("input", Tree),
                    node("content", Text, &[leaf("type", Type), leaf("text", Text)]),
                ],
            ),
        ],
    ),
    whole("tools", Tree),
]);

const MEDIA: &[Step<Part>] = &[leaf("mimeType", Type), leaf("mime_type", Type)];

const INSTRUCTIONS: &[Step<Part>] = &[group("parts", &[leaf("text", System)])];

const GEMINI: Step<Part> = root(&[
    group("systemInstruction", INSTRUCTIONS),
    group("system_instruction", INSTRUCTIONS),
    node(
        "contents",
        Message,
        &[group(
            "parts",
            &[
                leaf("text", Text),
                group("functionCall", &[leaf("name", Text), whole("args", Tree)]),
                group("function_call", &[whole("args", Tree)]),
                group("functionResponse", &[whole("response", Tree)]),
                group("function_response", &[whole("response", Tree)]),
                group("inlineData", MEDIA),
                group("inline_data", MEDIA),
                group("fileData", MEDIA),
                group("file_data", MEDIA),
            ],
        )],
    ),
    group("content", &[group("parts", &[leaf("text", Text)])]),
    group("requests", &[group("content", &[group("parts", &[leaf("text", Text)])])]),
    whole("tools", Tree),
]);

const OLLAMA: Step<Part> = root(&[
    leaf("system", System),
    leaf("prompt", Text),
    leaf("suffix", Text),
    leaf("images", Picture),
    node(
        "messages",
        Message,
        &[
            leaf("role", Role),
            leaf("content", Text),
            leaf("thinking", Text),
            leaf("images", Picture),
            group("tool_calls", &[group("function", &[leaf("name", Text), whole("arguments", Tree)])]),
        ],
    ),
    whole("tools", Tree),
]);

/// What the prompt of a request comes to.
pub(super) struct Prompt {
    /// The text of the message, or other part, being read.
    text: TokenEstimator,
    empty: TokenEstimator,
    /// The role or the kind being read.
    word: String,
    in_message: bool,
    is_system: bool,
    tokens: u64,
    system_tokens: Option<u64>,
    pictures: u64,
    /// Files and sounds: what they come to nobody can tell, so each counts as a picture.
    files: u64,
}

/// No role or kind that we know is longer.
const MAX_WORD_BYTES: usize = 64;

impl Prompt {
    /// Reads the prompt of a body that is JSON.
    pub(super) fn of(endpoint: Endpoint, model: &str, body: &[u8]) -> Prompt {
        let empty = TokenEstimator::for_model(model);
        let mut prompt = Prompt {
            text: empty.clone(),
            empty,
            word: String::new(),
            in_message: false,
            is_system: false,
            tokens: 0,
            system_tokens: None,
            pictures: 0,
            files: 0,
        };
        Scanner::in_any_case(paths(endpoint)).push(body, &mut prompt);
        prompt.weigh();
        prompt
    }

    /// The estimate, for a provider whose pictures count so much.
    pub(super) fn tokens(&self, kind: Kind) -> u64 {
        let seen = self.pictures.saturating_add(self.files);
        self.tokens.saturating_add(seen.saturating_mul(kind.image_tokens()))
    }

    /// The part of it that is system text.
    pub(super) fn system_tokens(&self) -> Option<u64> {
        self.system_tokens
    }

    /// Whether there are pictures.
    pub(super) fn has_pictures(&self) -> bool {
        self.pictures > 0
    }

    /// Adds the text read so far; gives what it came to.
    fn weigh(&mut self) -> u64 {
        let tokens = std::mem::replace(&mut self.text, self.empty.clone()).tokens();
        self.tokens = self.tokens.saturating_add(tokens);
        tokens
    }

    fn note_system(&mut self, tokens: u64) {
        self.system_tokens = Some(self.system_tokens.unwrap_or(0).saturating_add(tokens));
    }

    fn frame_message(&mut self) {
        self.tokens = self.tokens.saturating_add(TOKENS_PER_MESSAGE);
    }

    fn message_ended(&mut self) {
        let tokens = self.weigh();
        self.frame_message();
        if std::mem::take(&mut self.is_system) {
            self.note_system(tokens);
        }
        self.in_message = false;
    }

    /// The texts that stand beside the messages are one message together.
    fn system_ended(&mut self) {
        let tokens = self.weigh();
        if self.system_tokens.is_none() {
            self.frame_message();
        }
        self.note_system(tokens);
    }

    fn take_type(&mut self) {
        match self.word.as_str() {
            "image" | "image_url" | "input_image" | "computer_screenshot" => self.pictures += 1,
            "document" | "file" | "input_file" | "input_audio" | "video_url" => self.files += 1,
            word if word.starts_with("image/") => self.pictures += 1,
            word if word.contains('/') => self.files += 1,
            _ => {}
        }
    }
}

impl Found<Part> for Prompt {
    fn begins(&mut self, part: Part, shape: Shape, _at: usize, _exact: bool) {
        self.word.clear();
        match (part, shape) {
            (Message, Shape::Object) => {
                self.weigh();
                self.in_message = true;
            }
            (System, Shape::Text) => drop(self.weigh()),
            (Picture, Shape::Text) => self.pictures += 1,
            _ => {}
        }
    }

    fn text(&mut self, part: Part, piece: &str) {
        match part {
            Message | Text | System => self.text.push(piece),
            Tree => {
                self.text.push("\"");
                self.text.push(piece);
            }
            Role | Type => {
                let room = MAX_WORD_BYTES.saturating_sub(self.word.len());
                self.word.push_str(&piece[..piece.floor_char_boundary(room)]);
            }
            Picture => {}
        }
    }

    fn scalar(&mut self, part: Part, raw: &str) {
        if part == Message && raw.starts_with(|first: char| first.is_ascii_digit()) {
            self.tokens = self.tokens.saturating_add(1);
        }
    }

    fn ends(&mut self, part: Part, _at: usize) {
        match part {
            Message if self.in_message => self.message_ended(),
            Role => self.is_system = matches!(self.word.as_str(), "system" | "developer"),
            System if self.text.tokens() > 0 => self.system_ended(),
            Type => self.take_type(),
            _ => {}
        }
    }

    fn document(&mut self) {}
}
