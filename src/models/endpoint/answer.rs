//! What is known of an answer: a fold of what its frames say.

use super::Endpoint;
use super::answers::Said;
use super::framing::{Frame, Framed};
use super::reported::Counts;
use super::scan::{Found, Shape};
use super::words::Words;
use crate::models::anthropic::FAST;
use crate::models::json::count_of;
use crate::models::{ChatEvent, Finish, Learned};
use crate::usage::names::Name;
use crate::usage::{ErrorKind, TokenEstimator};

/// What is known of an answer.
pub(super) struct Answer {
    endpoint: Endpoint,
    learned: Learned,
    output: TokenEstimator,
    counts: Counts,
    object: Object,
    /// The text being read, as far as a name may be long.
    word: String,
    /// Whether the text being read said anything.
    has_said: bool,
    /// What is said, where somebody listens.
    words: Option<Words>,
    /// Under which of its two names this server gives its thinking.
    thinks_as: Option<Said>,
    /// It ran in a mode that has its own price, whatever tier is named beside it.
    is_fast: bool,
    called_tools: bool,
    is_values: bool,
    /// Whether anything was this API's.
    recognised: bool,
    told_error: bool,
    was_bad: bool,
    /// The first of both before its end.
    failed_midway: Option<ErrorKind>,
    /// `[DONE]` came: what follows is not read.
    is_done: bool,
    /// The body has ended.
    ended: bool,
    /// The object read last only told usage; and so did the event that ended last.
    object_only_usage: bool,
    event_only_usage: bool,
}

/// What the outermost object being read holds.
#[derive(Default)]
struct Object {
    has_usage: bool,
    /// `choices` stands there, and is empty.
    no_choices: bool,
    choice_index: u64,
    /// Why the choice being read stopped, and why the first did.
    stopped: Option<Finish>,
    finish: Option<Finish>,
    is_done: bool,
    did_nothing: bool,
    event: Event,
    status: Status,
}

/// The events that matter, by their `type`.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Event {
    #[default]
    Other,
    Error,
    /// The last of an answer.
    Last,
    /// Sound, in Base64.
    Sound,
}

/// The states of a response of OpenAI's: it goes on, as far as is said, until it ends.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Status {
    #[default]
    Pending,
    Ended,
    Failed,
}

/// No name or word that is looked at is longer.
const MAX_WORD_BYTES: usize = 256;

impl Answer {
    /// Nothing is known yet.
    pub(super) fn of(endpoint: Endpoint, model_asked: &str) -> Answer {
        Answer {
            endpoint,
            learned: Learned::default(),
            output: TokenEstimator::for_model(model_asked),
            counts: Counts::default(),
            object: Object::default(),
            word: String::new(),
            has_said: false,
            words: None,
            thinks_as: None,
            is_fast: false,
            called_tools: false,
            is_values: false,
            recognised: false,
            told_error: false,
            was_bad: false,
            failed_midway: None,
            is_done: false,
            ended: false,
            object_only_usage: false,
            event_only_usage: false,
        }
    }

    /// The same, with its words.
    pub(super) fn with_words(self) -> Answer {
        Answer { words: Some(Words::default()), ..self }
    }

    /// Gives the words that came since it was last asked.
    pub(super) fn take_words(&mut self, events: &mut Vec<ChatEvent>) {
        if let Some(words) = &mut self.words {
            words.take(events);
        }
    }

    /// How an answer failed whose reader goes no further than that, so far.
    pub(super) fn failed_midway(&self) -> Option<ErrorKind> {
        self.failed_midway.or((self.ended && !self.recognised).then_some(ErrorKind::BadResponse))
    }

    pub(super) fn learned(&self) -> &Learned {
        &self.learned
    }

    pub(super) fn output_tokens(&self) -> u64 {
        self.output.tokens()
    }

    pub(super) fn was_only_usage(&self) -> bool {
        self.event_only_usage
    }

    pub(super) fn failed(&self) -> Option<ErrorKind> {
        let is_bad = self.ended && (!self.recognised || self.was_bad && !self.learned.complete);
        match (self.told_error, is_bad) {
            (true, _) => Some(ErrorKind::StreamError),
            (false, true) => Some(ErrorKind::BadResponse),
            (false, false) => None,
        }
    }

    #[cfg(test)]
    pub(super) fn held_bytes(&self) -> usize {
        self.word.capacity()
    }

    /// The body ended; within a frame that had begun well, when `is_cut`.
    pub(super) fn end(&mut self, is_cut: bool) {
        self.recognised |= is_cut;
        self.ended = true;
    }

    /// An error behind the end of an answer is no error of it.
    fn tell_error(&mut self) {
        self.recognised = true;
        self.told_error |= !self.learned.complete;
        self.fail_midway(ErrorKind::StreamError);
    }

    fn fail_midway(&mut self, kind: ErrorKind) {
        if !self.learned.complete {
            self.failed_midway.get_or_insert(kind);
        }
    }

    fn output(&mut self, what: Said, piece: &str) {
        let thinks = matches!(what, Said::Thinking | Said::ThinkingAgain);
        let is_again = thinks && *self.thinks_as.get_or_insert(what) != what;
        if !is_again && self.object.event != Event::Sound {
            self.output.push(piece);
            self.has_said |= !piece.is_empty();
            if let Some(words) = &mut self.words {
                words.piece(what, piece);
            }
        }
    }

    /// Whether the object that ended was the last of the answer.
    fn is_end(&self, object: &Object, finish: Option<Finish>) -> bool {
        // A response in the background is yet to be made; the answer that says so is whole.
        let is_whole = self.is_values && object.status != Status::Failed;
        match self.endpoint {
            Endpoint::StreamGenerateContent => finish.is_some(),
            Endpoint::OllamaChat | Endpoint::OllamaGenerate => object.is_done || finish.is_some(),
            Endpoint::Responses | Endpoint::Interactions => {
                is_whole || object.status == Status::Ended || object.event == Event::Last
            }
            _ => is_whole || finish.is_some() || object.event == Event::Last,
        }
    }

    fn learn_usage(&mut self, object: &Object) {
        let is_ollamas = matches!(self.endpoint, Endpoint::OllamaChat | Endpoint::OllamaGenerate);
        if is_ollamas && self.learned.complete {
            let said_nothing = self.learned.pieces == 0 && self.learned.usage.completion.is_none();
            self.learned.usage.replace_with(self.counts.of_ollama(said_nothing, object.did_nothing));
        } else if object.has_usage || self.endpoint == Endpoint::OllamaEmbed {
            let is_told = self.learned.complete || self.learned.pieces == 0;
            self.learned.usage.replace_with(self.counts.of(self.endpoint, is_told));
        }
    }
}

impl Framed for Answer {
    fn is_values(&mut self) {
        self.is_values = true;
    }

    fn frame(&mut self, frame: Frame) {
        self.object = Object::default();
        self.event_only_usage = std::mem::take(&mut self.object_only_usage) && frame == Frame::Event;
        if let Some(words) = &mut self.words {
            words.drop_object();
        }
        match frame {
            Frame::Event => {}
            Frame::Bad => {
                self.was_bad = true;
                self.fail_midway(ErrorKind::BadResponse);
            }
            Frame::Error => self.tell_error(),
            Frame::Done => {
                self.recognised = true;
                self.is_done = true;
                self.learned.complete = true;
                self.learned.terminal = true;
            }
        }
    }
}

impl Found<Said> for Answer {
    fn begins(&mut self, what: Said, shape: Shape, _at: usize, _exact: bool) {
        self.word.clear();
        match what {
            Said::Error if shape != Shape::Scalar => self.tell_error(),
            Said::ItemType if shape == Shape::Object => self.called_tools = true,
            Said::Usage if shape == Shape::Object => {
                self.object.has_usage = true;
                self.counts.begin();
            }
            Said::Iteration if shape == Shape::List => self.counts.begin_iterations(),
            Said::Choice => {
                self.object.no_choices = shape == Shape::List;
                self.object.choice_index = 0;
                self.words.iter_mut().for_each(Words::choice);
            }
            Said::Passage => self.words.iter_mut().for_each(Words::part),
            _ => {}
        }
        let is_ours = matches!(what, Said::Choice | Said::Usage | Said::Known | Said::Text | Said::Type | Said::Done);
        self.recognised |= is_ours && (what != Said::Usage || shape == Shape::Object);
    }

    fn text(&mut self, what: Said, piece: &str) {
        match what {
            Said::Text | Said::Thinking | Said::ThinkingAgain | Said::Aside => self.output(what, piece),
            _ => {
                let room = MAX_WORD_BYTES.saturating_sub(self.word.len());
                self.word.push_str(&piece[..piece.floor_char_boundary(room)]);
            }
        }
    }

    fn scalar(&mut self, what: Said, raw: &str) {
        match what {
            Said::Error if raw != "null" => self.tell_error(),
            Said::Index => self.object.choice_index = count_of(raw).unwrap_or(0),
            Said::Done => self.object.is_done = raw == "true",
            Said::IsThought if raw == "true" => self.words.iter_mut().for_each(Words::is_thought),
            _ => self.counts.take(what, raw),
        }
    }

    fn ends(&mut self, what: Said, _at: usize) {
        let word = self.word.as_str();
        match what {
            Said::Text | Said::Thinking | Said::ThinkingAgain | Said::Aside => {
                self.learned.pieces += u64::from(std::mem::take(&mut self.has_said));
                self.words.iter_mut().for_each(|words| words.text_ended(what));
            }
            Said::Passage => self.words.iter_mut().for_each(Words::part_ended),
            Said::Model => learn_name(word, &mut self.learned.served_model),
            Said::Tier if !self.is_fast => learn_name(word, &mut self.learned.service_tier),
            Said::Speed if word == FAST => {
                self.is_fast = true;
                learn_name(word, &mut self.learned.service_tier);
            }
            Said::RequestId if !word.is_empty() => self.learned.request_id = Some(word.to_owned()),
            Said::Remote => self.learned.remote |= !word.is_empty(),
            Said::ItemType => self.called_tools |= word.ends_with("_call"),
            Said::Type => self.object.event = event_of(word),
            Said::Status => self.object.status = status_of(word),
            Said::Finish => {
                self.object.stopped = finish_of(word);
                self.object.did_nothing = matches!(word, "load" | "unload");
            }
            Said::IterationKind => self.counts.iterates(word),
            Said::Iteration => self.counts.end_iteration(),
            Said::Choice => {
                let stopped = self.object.stopped.take();
                // Only the first choice is the answer; others are paid for.
                let is_first = self.object.choice_index == 0;
                if is_first {
                    self.object.finish = stopped.or(self.object.finish);
                }
                self.words.iter_mut().for_each(|words| words.choice_ended(is_first));
            }
            _ => {}
        }
    }

    fn document(&mut self) {
        let object = std::mem::take(&mut self.object);
        if let Some(words) = &mut self.words {
            if self.is_done || self.failed_midway.is_some() { words.drop_object() } else { words.object_ended() }
        }
        if self.is_done {
            return;
        }
        self.object_only_usage = object.has_usage && object.no_choices;
        if object.event == Event::Error || object.status == Status::Failed {
            self.tell_error();
        }
        let said = object.finish.or(object.stopped);
        if !self.told_error && self.recognised && self.is_end(&object, said) {
            self.learned.complete = true;
            self.learned.terminal |= object.is_done || object.event == Event::Last || object.status == Status::Ended;
            let calls = self.called_tools && !matches!(said, Some(Finish::Length));
            self.learned.finish = match said {
                _ if calls => Some(Finish::ToolCalls),
                Some(finish) => Some(finish),
                None if object.status == Status::Ended => Some(Finish::Stop),
                None if object.is_done => self.learned.finish.or(Some(Finish::Other)),
                None => self.learned.finish,
            };
        }
        self.learn_usage(&object);
    }
}

/// The same name again costs nothing.
fn learn_name(word: &str, name: &mut Option<Name<'static>>) {
    if !word.is_empty() && name.as_deref() != Some(word) {
        *name = Some(Name::clean(word));
    }
}

fn event_of(word: &str) -> Event {
    match word {
        "error" => Event::Error,
        "message_stop"
        | "response.completed"
        | "response.incomplete"
        | "response.done"
        | "interaction.completed"
        | "interaction.complete" => Event::Last,
        _ if word.ends_with("audio.delta") => Event::Sound,
        _ => Event::Other,
    }
}

fn status_of(word: &str) -> Status {
    match word {
        "completed" | "incomplete" | "requires_action" => Status::Ended,
        "failed" => Status::Failed,
        _ => Status::Pending,
    }
}

/// Why the model stopped, in the words of all APIs: none means one thing here and another there.
fn finish_of(word: &str) -> Option<Finish> {
    let finish = match word {
        "" => return None,
        "stop" | "STOP" | "end_turn" | "stop_sequence" => Finish::Stop,
        "length" | "MAX_TOKENS" | "max_tokens" | "max_output_tokens" | "model_context_window_exceeded" => {
            Finish::Length
        }
        "tool_calls" | "function_call" | "tool_use" => Finish::ToolCalls,
        "content_filter" | "refusal" | "SAFETY" | "RECITATION" | "LANGUAGE" | "BLOCKLIST" | "PROHIBITED_CONTENT"
        | "SPII" | "IMAGE_SAFETY" => Finish::ContentFilter,
        _ => Finish::Other,
    };
    Some(finish)
}
