//! About how many tokens a request's prompt is: the texts that a model reads, weighed by their script, and its pictures.
//!
//! Base64 is never weighed: of what holds it only the kind is looked at.

use super::Endpoint;
use super::keys::{Key, Keys, Named, with_keys};
use super::request::MalformedRequest;
use super::scan::{Found, Scanner, Shape};
use super::steps::{Paths, Step, group, leaf, node, root, whole};
use crate::models::Kind;
use crate::usage::{TOKENS_PER_MESSAGE, TokenEstimator, Vocabulary};

/// What stands at a place of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// Nothing of the prompt: a key that decides.
    Decides(Named),
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
        Endpoint::Responses | Endpoint::ResponsesInputTokens => &RESPONSES,
        Endpoint::Messages | Endpoint::MessagesCountTokens => &ANTHROPIC,
        Endpoint::GenerateContent
        | Endpoint::StreamGenerateContent
        | Endpoint::EmbedContent
        | Endpoint::CountTokens => &GEMINI,
        Endpoint::Interactions => &INTERACTIONS,
        Endpoint::OllamaChat | Endpoint::OllamaGenerate => &OLLAMA,
        Endpoint::Other => &NOTHING,
    }
}

const NOTHING: Step<Part> = with_keys!(Decides;);

const OPENAI: Step<Part> = with_keys![Decides;
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
];

const PLAIN: Step<Part> = with_keys![Decides; leaf("prompt", Message), leaf("input", Message), leaf("suffix", Text)];

const RESPONSES: Step<Part> = with_keys![Decides;
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
];

const ANTHROPIC: Step<Part> = with_keys![Decides;
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
];

const MEDIA: &[Step<Part>] = &[leaf("mimeType", Type), leaf("mime_type", Type)];

const INSTRUCTIONS: &[Step<Part>] = &[group("parts", &[leaf("text", System)])];

const GEMINI: Step<Part> = with_keys![Decides;
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
];

const INTERACTIONS: Step<Part> = with_keys![Decides;
    leaf("system_instruction", System),
    node(
        "input",
        Message,
        &[
            leaf("type", Type),
            leaf("text", Text),
            node("content", Text, &[leaf("type", Type), leaf("text", Text)]),
            leaf("name", Text),
            whole("arguments", Tree),
            whole("result", Tree),
        ],
    ),
    whole("tools", Tree),
    whole("response_format", Tree),
];

const OLLAMA: Step<Part> = with_keys![Decides;
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
];

/// Tokens by vocabulary: the model tells which it is, and that may stand behind all texts.
#[derive(Clone, Copy, Default)]
struct Tokens {
    usual: u64,
    fine: u64,
}

impl Tokens {
    fn of(text: &TokenEstimator) -> Tokens {
        let [usual, fine] = [Vocabulary::Usual, Vocabulary::FineLatin].map(|vocabulary| text.tokens_in(vocabulary));
        Tokens { usual, fine }
    }

    fn in_any(count: u64) -> Tokens {
        Tokens { usual: count, fine: count }
    }

    fn plus(self, other: Tokens) -> Tokens {
        Tokens { usual: self.usual.saturating_add(other.usual), fine: self.fine.saturating_add(other.fine) }
    }

    fn of_vocabulary(self, vocabulary: Vocabulary) -> u64 {
        match vocabulary {
            Vocabulary::Usual => self.usual,
            Vocabulary::FineLatin => self.fine,
        }
    }
}

/// What the prompt of a request comes to.
#[derive(Default)]
pub(super) struct Prompt {
    /// The text of the message, or other part, being read.
    text: TokenEstimator,
    /// The role or the kind being read.
    word: String,
    in_message: bool,
    is_system: bool,
    tokens: Tokens,
    system_tokens: Option<Tokens>,
    pictures: u64,
    /// Files and sounds: what they come to nobody can tell, so each counts as a picture.
    files: u64,
    /// The texts beside any message, and the lists that they, or the numbers of tokens, stand in.
    texts: u64,
    lists: u64,
}

/// No role or kind that we know is longer.
const MAX_WORD_BYTES: usize = 64;

/// The keys that decide and the prompt, read in one go.
struct Asking<'a> {
    keys: Keys<'a>,
    prompt: Prompt,
}

/// Reads a request's keys that decide, and its prompt.
///
/// # Errors
/// When servers could read it in more than one way.
pub(super) fn read(endpoint: Endpoint, body: &[u8]) -> Result<(Keys<'_>, Prompt), MalformedRequest> {
    let mut asking = Asking { keys: Keys::of(body)?, prompt: Prompt::default() };
    let mut scanner = Scanner::of_request(paths(endpoint));
    scanner.push_text(asking.keys.body(), &mut asking);
    asking.prompt.weigh();
    Ok((asking.keys.checked(&scanner)?, asking.prompt))
}

impl Prompt {
    /// The estimate, for a provider whose pictures count so much.
    pub(super) fn tokens(&self, kind: Kind, vocabulary: Vocabulary) -> u64 {
        let seen = self.pictures.saturating_add(self.files);
        self.tokens.of_vocabulary(vocabulary).saturating_add(seen.saturating_mul(kind.image_tokens()))
    }

    /// The part of it that is system text.
    pub(super) fn system_tokens(&self, vocabulary: Vocabulary) -> Option<u64> {
        self.system_tokens.map(|tokens| tokens.of_vocabulary(vocabulary))
    }

    /// Whether there are pictures.
    pub(super) fn has_pictures(&self) -> bool {
        self.pictures > 0
    }

    /// How many prompts there are where each is answered by itself: texts, or lists of the numbers of tokens.
    pub(super) fn prompts(&self) -> u64 {
        if self.texts > 0 { self.texts } else { self.lists.saturating_sub(1).max(1) }
    }

    /// Adds the text read so far; gives what it came to.
    fn weigh(&mut self) -> Tokens {
        let tokens = Tokens::of(&std::mem::take(&mut self.text));
        self.tokens = self.tokens.plus(tokens);
        tokens
    }

    fn note_system(&mut self, tokens: Tokens) {
        self.system_tokens = Some(self.system_tokens.unwrap_or_default().plus(tokens));
    }

    fn frame_message(&mut self) {
        self.tokens = self.tokens.plus(Tokens::in_any(TOKENS_PER_MESSAGE));
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

impl Found<Part> for Asking<'_> {
    fn begins(&mut self, part: Part, shape: Shape, at: usize, exact: bool) {
        match part {
            Decides(named) => self.keys.begins(named, shape, at, exact),
            part => self.prompt.begins(part, shape),
        }
    }

    fn text(&mut self, part: Part, piece: &str) {
        match part {
            Decides(named) => self.keys.text(named, piece),
            part => self.prompt.text(part, piece),
        }
    }

    fn scalar(&mut self, part: Part, raw: &str) {
        if part == Message && raw.starts_with(|first: char| first.is_ascii_digit()) {
            self.prompt.tokens = self.prompt.tokens.plus(Tokens::in_any(1));
        }
    }

    fn ends(&mut self, part: Part, at: usize) {
        match part {
            Decides(named) => self.keys.ends(named, at),
            part => self.prompt.ends(part),
        }
    }

    fn document(&mut self) {}
}

impl Prompt {
    fn begins(&mut self, part: Part, shape: Shape) {
        self.word.clear();
        match (part, shape) {
            (Message, Shape::Object) => {
                self.weigh();
                self.in_message = true;
            }
            (Message, Shape::Text) => self.texts += 1,
            (Message, Shape::List) => self.lists += 1,
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
            Picture | Decides(_) => {}
        }
    }

    fn ends(&mut self, part: Part) {
        match part {
            Message if self.in_message => self.message_ended(),
            Role => self.is_system = matches!(self.word.as_str(), "system" | "developer"),
            System if self.text.tokens() > 0 => self.system_ended(),
            Type => self.take_type(),
            _ => {}
        }
    }
}
