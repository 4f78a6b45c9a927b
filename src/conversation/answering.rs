//! The one path of a chat answer: open at the door, call the provider, stream, finish. Each attempt its own record.

use std::sync::Arc;

use super::driver::{Assistant, DeltaSink};
use super::refusing::Asked;
use super::{
    AnswerOutcome, CancelReason, CancelToken, Instead, Job, Message, ModelChoice, Problem, ReceiptView, Role, Turn,
};
use crate::ledger::People;
use crate::limits::{AtLimit, Facet, Refusal};
use crate::metering::{Call, Metering, Outcome, Patience, Permit, Place, Receipt, Refused};
use crate::models::openai::Dialect;
use crate::models::{
    self, CallError, ChatEvent, ChatMessage, ChatRequest, ChatStream, Finish, Image, ImageError, Kind, Provider, Retry,
    RetryPolicy,
};
use crate::usage::names::{Name, VISION};
use crate::usage::{
    Clock, ErrorKind, Estimated, Failure, OutputCap, Status, Timestamp, TokenEstimator, UsageSource, Zone,
    estimate_tokens,
};

/// Answers questions with the configured providers, through the one door.
pub struct Answering {
    /// The door.
    pub metering: Metering,
    /// The providers, the first being the default.
    pub providers: Arc<[Provider]>,
    /// Who is who.
    pub people: Arc<People>,
    /// The only clock.
    pub clock: Arc<dyn Clock>,
    /// The owner's zone: what times are told in.
    pub zone: Zone,
    /// The only source of chance.
    pub random: fn() -> [u8; 16],
    /// When a failed attempt is followed by another.
    pub retries: RetryPolicy,
    /// How long a question waits in line at a limit.
    pub patience: Patience,
    /// The cap on output tokens sent along; `None` leaves it to the provider.
    pub max_output_tokens: Option<u64>,
}

/// How one attempt ended.
struct Attempt {
    text: String,
    receipt: Receipt,
    /// Whether the model stopped at the cap on its output.
    cut_off: bool,
    error: Option<CallError>,
    cancelled: Option<CancelReason>,
}

impl Assistant for Answering {
    async fn ask(&self, mut job: Job, sink: DeltaSink, cancel: CancelToken) -> AnswerOutcome {
        let Some(mut provider) = self.providers.iter().find(|provider| provider.name() == job.choice.provider) else {
            return AnswerOutcome::failed(ErrorKind::NotFound);
        };
        if let Some(model) = provider.vision_model().filter(|_| !job.photos.is_empty()) {
            job.choice = choice_of(provider, model);
        }
        let Ok(messages) = messages(&job) else {
            return AnswerOutcome::failed(ErrorKind::BadRequest); // not what any model reads as a picture
        };
        let mut call = self.call(&job, provider, &messages);
        let mut limited: Option<Box<Refusal>> = None;
        let mut dialect = provider.dialect();
        loop {
            let permit = match self.open(&mut call, &sink, &cancel).await {
                Ok(permit) => permit,
                Err(Refused::Limit(refusal)) => {
                    // Once, so never in circles; where that one says no as well, what said no first is told.
                    if limited.is_none()
                        && let Some(other) = self.fallback(&refusal, provider)
                    {
                        (provider, dialect) = (other, other.dialect());
                        job.choice = choice_of(other, model_for(&job, other));
                        let (first, attempt) = (call.call, call.attempt);
                        call = Call { call: first, attempt, ..self.call(&job, other, &messages) };
                        limited = Some(refusal);
                        continue;
                    }
                    return AnswerOutcome::problem(self.refusal(&job, Refused::Limit(limited.unwrap_or(refusal))));
                }
                Err(refused) => return AnswerOutcome::problem(self.refusal(&job, refused)),
            };
            let id = permit.id();
            let attempt = self.attempt((provider, dialect), &job, messages.clone(), permit, &sink, &cancel).await;
            let retry = attempt.error.as_ref().filter(|_| attempt.cancelled.is_none());
            let delay = retry.and_then(|error| self.retries.next_delay(call.attempt, error, (self.random)()[0]));
            let instead = limited.as_ref().map(|refusal| self.instead(refusal));
            let Some(delay) = delay else {
                return AnswerOutcome { instead, ..outcome(&job, attempt) };
            };
            tokio::select! {
                () = tokio::time::sleep(delay) => {}
                reason = cancel.cancelled() => return outcome(&job, Attempt { cancelled: Some(reason), ..attempt }),
            }
            if let Some(Retry::Adjusted(adjusted)) = attempt.error.map(|error| error.retry) {
                dialect = adjusted;
            }
            call.call.get_or_insert(id);
            call.attempt += 1;
        }
    }
}

impl Answering {
    /// Opens a call at the door. While it waits in line its place is told, and its seat is left to others.
    async fn open(&self, call: &mut Call, sink: &DeltaSink, cancel: &CancelToken) -> Result<Permit, Refused> {
        let mut last = None;
        let told = |place: &Place| {
            let next_at = self.until(&place.refusal);
            let shown = (place.position, next_at.map(|at| at.unix_micros() / 1_000_000));
            if last.replace(shown) != Some(shown) {
                sink.waits(&Message::Waiting { position: place.position as u64, next_at });
            }
        };
        let left = async { cancel.cancelled().await.kind() };
        let permit = self.metering.open_in_line(call, self.clock.now(), &self.patience, told, left).await?;
        tokio::select! {
            biased;
            _no_seats_at_the_end = sink.goes_on() => Ok(permit),
            reason = cancel.cancelled() => {
                // It was not sent, so nothing is booked.
                let kind = reason.kind();
                permit.finish(Outcome::failed(Status::Refused, Failure::of(kind)), self.clock.now()).await;
                Err(Refused::Left(kind))
            }
        }
    }

    /// Who is asked instead where a limit says so: the provider it names, else the first one whose own model is local.
    /// What costs money is asked only by its name.
    fn fallback(&self, refusal: &Refusal, from: &Provider) -> Option<&Provider> {
        let Some(AtLimit::Fallback(name)) = &refusal.at_limit else { return None };
        let mut others = self.providers.iter().filter(|provider| provider.name() != from.name());
        others.find(|provider| match name {
            Some(name) => provider.name() == &**name,
            None => provider.is_local(provider.model()),
        })
    }

    /// When a limit has room again; `None` when not known, and where calls in flight may make room at any time.
    fn until(&self, refusal: &Refusal) -> Option<Timestamp> {
        refusal.until().filter(|_| !refusal.held).map(|at| at.shown_in(self.zone))
    }

    fn instead(&self, refusal: &Refusal) -> Instead {
        Instead {
            limited: refusal.label.get(Facet::Provider).map(str::to_owned),
            until: self.until(refusal),
            now: self.clock.now().at,
        }
    }

    fn call(&self, job: &Job, provider: &Provider, messages: &[ChatMessage]) -> Call {
        let channel = job.chat.channel;
        let mut call = Call::new(provider.name(), provider.kind().as_str(), &job.choice.model, channel);
        call.local = provider.is_local(&job.choice.model);
        call.api_key_suffix = provider.key_suffix();
        call.user = Some(self.people.subject(channel, &job.person.id));
        call.team = job.person.group.as_ref().map(|group| Name::clean(&group.team));
        call.session = Some(self.people.hash(channel, &job.session));
        if !job.photos.is_empty() {
            call.request_type = VISION.into();
        }
        call.prompt_tokens = provider.estimate_prompt_tokens(messages);
        let system = job.turns.iter().filter(|turn| turn.role == Role::System);
        call.system_tokens = system.map(|turn| estimate_tokens(&turn.text)).reduce(u64::saturating_add);
        call.output_cap = self.max_output_tokens.map(|cap| OutputCap { asked: Some(cap), granted: Some(cap) });
        call
    }

    /// One attempt, from its permit to its record.
    async fn attempt(
        &self,
        (provider, dialect): (&Provider, Dialect),
        job: &Job,
        messages: Vec<ChatMessage>,
        mut permit: Permit,
        sink: &DeltaSink,
        cancel: &CancelToken,
    ) -> Attempt {
        let request = ChatRequest {
            model: job.choice.model.clone(),
            messages,
            max_output_tokens: permit.call().output_cap.and_then(|cap| cap.granted),
            lang: job.lang,
        };
        let mut answer = Answer { text: String::new(), output: TokenEstimator::for_model(&job.choice.model) };
        let opened = tokio::select! {
            opened = provider.chat_in(dialect, request) => opened,
            reason = cancel.cancelled() => {
                let outcome = Outcome::cut_short(reason.kind(), None, Answer::unseen(&permit));
                let receipt = permit.finish(outcome, self.clock.now()).await;
                return Attempt { text: answer.text, receipt, cut_off: false, error: None, cancelled: Some(reason) };
            }
        };
        let mut stream = match opened {
            Ok(stream) => stream,
            Err(error) => {
                self.metering.heard(provider.name(), &job.choice.model, error.observed, self.clock.now());
                let outcome = Outcome::unanswered(&error, Answer::unseen(&permit));
                let receipt = permit.finish(outcome, self.clock.now()).await;
                return Attempt { text: answer.text, receipt, cut_off: false, error: Some(error), cancelled: None };
            }
        };
        self.metering.heard(provider.name(), &job.choice.model, stream.observed(), self.clock.now());
        let ended = self.read(&mut stream, &mut answer, &mut permit, sink, cancel).await;
        let ending = stream.ending();
        drop(stream); // closes the upstream connection: nobody pays for what nobody reads
        let cut_off = ending.finish == Finish::Length;
        let guess = answer.guess(job, &permit, &ending.usage).await;
        let mut outcome = match &ended {
            Ended::Whole => Outcome::whole(ending, guess),
            Ended::Failed(error) => Outcome::broken(ending, error.failure, guess),
            Ended::Cancelled(reason) => Outcome::cut_short(reason.kind(), Some(ending), guess),
        };
        // The answer may have told that another machine did the work.
        outcome.local = Some(provider.is_local(&job.choice.model));
        let receipt = permit.finish(outcome, self.clock.now()).await;
        let (error, cancelled) = match ended {
            Ended::Whole => (None, None),
            Ended::Failed(error) => (Some(*error), None),
            Ended::Cancelled(reason) => (None, Some(reason)),
        };
        Attempt { text: answer.text, receipt, cut_off, error, cancelled }
    }

    async fn read(
        &self,
        stream: &mut ChatStream,
        answer: &mut Answer,
        permit: &mut Permit,
        sink: &DeltaSink,
        cancel: &CancelToken,
    ) -> Ended {
        loop {
            let event = tokio::select! {
                biased;
                reason = cancel.cancelled() => return Ended::Cancelled(reason),
                event = stream.next() => event,
            };
            match event {
                None => return Ended::Whole,
                Some(Err(error)) => return Ended::Failed(Box::new(error)),
                Some(Ok(ChatEvent::Thinking(text))) => answer.output.push(&text),
                Some(Ok(ChatEvent::Text(text))) => {
                    answer.output.push(&text);
                    answer.text.push_str(&text);
                    sink.push(&text);
                }
            }
            permit.saw_output(answer.output.tokens());
        }
    }

    fn refusal(&self, job: &Job, refused: Refused) -> Problem {
        match refused {
            Refused::Limit(refusal) => {
                let asked = Asked {
                    user: self.people.hash(job.chat.channel, &job.person.id).to_string(),
                    person: &job.person,
                    local_models: self.local_models(),
                    zone: self.zone,
                };
                Problem::Refused(asked.view(&refusal, self.clock.now().at))
            }
            Refused::Busy => failed(ErrorKind::Busy),
            Refused::Ledger(_) => failed(ErrorKind::LedgerUnavailable),
            Refused::Left(kind) => failed(kind),
        }
    }

    /// The models on the owner's machine that providers have by themselves, with the names of those.
    fn local_models(&self) -> Vec<(&str, &str)> {
        let local = self
            .providers
            .iter()
            .filter(|provider| provider.is_local(provider.model()) && provider.kind() != Kind::Demo);
        local.map(|provider| (provider.name(), provider.model())).collect()
    }
}

enum Ended {
    Whole,
    Failed(Box<CallError>),
    Cancelled(CancelReason),
}

/// What came of the answer so far.
struct Answer {
    text: String,
    /// All output, thinking included.
    output: TokenEstimator,
}

impl Answer {
    /// What is recorded of a call of which nothing came, unless it was reported.
    fn unseen(permit: &Permit) -> Estimated {
        Estimated { prompt: permit.call().prompt_tokens, output: 0 }
    }

    /// What is recorded of what was not reported: exact where the vocabulary of the model is built in, else calibrated.
    async fn guess(&self, job: &Job, permit: &Permit, usage: &models::ReportedUsage) -> Estimated {
        let seen = self.output.tokens();
        let guess = Estimated { output: permit.calibrated_output(seen), ..Answer::unseen(permit) };
        if usage.prompt.is_some() && usage.completion.is_some() {
            return guess;
        }
        let messages: Vec<&str> = job.turns.iter().map(|turn| &*turn.text).collect();
        let Some(exact) = models::exact_counts(&job.choice.model, &messages, &self.text).await else { return guess };
        let thinking = seen.saturating_sub(estimate_tokens(&self.text));
        Estimated {
            prompt: if job.photos.is_empty() { exact.prompt } else { guess.prompt },
            output: exact.answer.saturating_add(thinking),
        }
    }
}

/// What is sent: the turns, and with the question the photos that it is about.
fn messages(job: &Job) -> Result<Vec<ChatMessage>, ImageError> {
    let images = job.photos.iter().map(|photo| Image::new(Arc::clone(photo.bytes()))).collect::<Result<_, _>>()?;
    let mut messages: Vec<ChatMessage> = job.turns.iter().map(message).collect();
    if let Some(question) = messages.pop() {
        messages.push(question.with_images(images)?);
    }
    Ok(messages)
}

fn message(turn: &Turn) -> ChatMessage {
    let role = match turn.role {
        Role::System => models::Role::System,
        Role::User => models::Role::User,
        Role::Assistant => models::Role::Assistant,
    };
    ChatMessage::new(role, &*turn.text)
}

fn outcome(job: &Job, attempt: Attempt) -> AnswerOutcome {
    let result = match (attempt.cancelled, &attempt.error, attempt.receipt.status) {
        (Some(CancelReason::Person), ..) => Err(Problem::Cancelled),
        (Some(reason), ..) => Err(failed(reason.kind())),
        (None, Some(error), _) if error.sees_no_images && !job.photos.is_empty() => {
            Err(Problem::NoVision(job.choice.clone()))
        }
        (None, Some(error), _) => {
            let asked = match error.retry {
                Retry::After(wait) => wait,
                Retry::No | Retry::Adjusted(_) => None,
            };
            Err(Problem::Failed {
                kind: error.failure.kind,
                http_status: error.failure.http_status,
                retry_in_seconds: asked.or(error.observed.retry_after).map(|wait| wait.as_secs().max(1)),
            })
        }
        (None, None, Status::Ok) if attempt.cut_off => Err(Problem::CutOff),
        (None, None, Status::Ok) => Ok(()),
        (None, None, _) => Err(failed(ErrorKind::StreamCut)),
    };
    let (text, receipt) = (attempt.text.as_str().into(), Some(receipt_view(job, &attempt.receipt)));
    AnswerOutcome { text, receipt, instead: None, result }
}

fn receipt_view(job: &Job, receipt: &Receipt) -> ReceiptView {
    let known = |count: u64| (receipt.usage_source != UsageSource::None).then_some(count);
    ReceiptView {
        choice: ModelChoice { local: receipt.local, ..job.choice.clone() },
        prompt_tokens: known(receipt.tokens.prompt),
        cached_tokens: known(receipt.tokens.cached).filter(|cached| *cached > 0),
        completion_tokens: known(receipt.tokens.completion),
        total_tokens: known(receipt.tokens.total()),
        estimated: receipt.usage_source.has_estimates(),
        cost_usd: receipt.cost,
        latency_ms: receipt.latency_ms,
    }
}

fn failed(kind: ErrorKind) -> Problem {
    Problem::Failed { kind, http_status: None, retry_in_seconds: None }
}

/// A provider's own model for a question.
fn model_for<'a>(job: &Job, provider: &'a Provider) -> &'a str {
    provider.vision_model().filter(|_| !job.photos.is_empty()).unwrap_or(provider.model())
}

/// A provider's model as a person chooses it.
pub fn choice_of(provider: &Provider, model: &str) -> ModelChoice {
    ModelChoice {
        provider: provider.name().to_owned(),
        model: model.to_owned(),
        local: provider.is_local(model),
        demo: provider.kind() == Kind::Demo,
    }
}
