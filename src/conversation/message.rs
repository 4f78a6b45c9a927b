//! What the bot says, as data: one variant per template, its fields the template's context.

use std::borrow::Cow;

use serde::Serialize;

use super::budgets::{BudgetChangedView, BudgetLine, BudgetMistakeView, BudgetsView};
use super::house::{HealthView, ListedGroup, ListedPerson, kind_name};
use super::model_choice::ModelChoice;
use super::people::PrivateText;
use crate::alerts::AlertView;
use crate::templates::Lang;
use crate::usage::{ErrorKind, Money, Timestamp};

/// Something to say. Serialises to the context of the template that [`template`](Message::template) names, if to any.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Message {
    /// A greeting.
    Welcome {
        /// The bot's name.
        bot: String,
        /// The person is an admin.
        admin: bool,
        /// Who answers.
        #[serde(flatten)]
        choice: ModelChoice,
    },
    /// The commands this person may use here.
    Help {
        /// The bot's name.
        bot: String,
        /// One row each.
        commands: Vec<HelpLine>,
    },
    /// There is no such command, or not with these words.
    UnknownCommand {
        /// What was typed, with its slash.
        word: PrivateText,
        /// What may have been meant, with its slash.
        suggestion: Option<String>,
        /// The name of the command that was misused; missing when there is no such command.
        misused: Option<&'static str>,
    },
    /// The line under an answer.
    UsageFooter(ReceiptView),
    /// A limit said no.
    RefusedLimit(LimitView),
    /// The question waits in line at a limit.
    Waiting {
        /// Its place: 1 is the next one.
        position: u64,
        /// When the next call is safe; `None` where it goes as soon as an answer that is under way is done.
        next_at: Option<Timestamp>,
    },
    /// Another model answered, because a limit kept the one that was asked away.
    AnsweredInstead {
        /// Who answered.
        #[serde(flatten)]
        choice: ModelChoice,
        /// Whose limit it was.
        #[serde(flatten)]
        instead: Instead,
    },
    /// An answer failed.
    Error {
        /// The class, which also chooses the template.
        #[serde(serialize_with = "kind_name")]
        kind: ErrorKind,
        /// The status the provider answered with.
        http_status: Option<u16>,
        /// When to try again, if the provider said so.
        retry_in_seconds: Option<u64>,
        /// Who was asked; missing when it was none of the providers.
        #[serde(flatten)]
        choice: Option<ModelChoice>,
    },
    /// The answer is as long as one may be, and is not over.
    CutOff,
    /// The answer was stopped.
    Cancelled,
    /// There is no answer to stop.
    NothingToCancel,
    /// An answer is being written.
    Busy,
    /// The question does not fit.
    TooLong {
        /// Its estimated tokens.
        tokens: u64,
        /// What fits.
        max_tokens: u64,
    },
    /// There is no question to ask again.
    RetryNothing,
    /// The conversation starts afresh.
    NewConversation,
    /// Asks for the code word before a reset.
    ResetConfirm {
        /// What to type.
        command: String,
        /// The code word in it.
        code: &'static str,
        /// How long it is valid.
        valid_seconds: u64,
    },
    /// The counts start from zero.
    ResetDone {
        /// Since when.
        counting_since: Timestamp,
    },
    /// A reset is taken back.
    ResetUndone {
        /// Since when is counted now.
        counting_since: Timestamp,
    },
    /// No reset holds that could be taken back.
    ResetNothingToUndo,
    /// No reset after all.
    ResetKept,
    /// Only admins may reset.
    ResetDenied {
        /// The person's id, which the owner can make an admin.
        id: String,
    },
    /// The models there are.
    ModelList {
        /// The one in use.
        current: ModelChoice,
        /// One row each.
        models: Vec<ModelLine>,
        /// How many more there are.
        more: usize,
        /// Providers that did not say what they have.
        silent: Vec<String>,
    },
    /// Another model from the next question on.
    ModelSwitched(ModelChoice),
    /// There is no such model, or more than one.
    ModelUnknown {
        /// What was typed.
        wanted: PrivateText,
        /// What may have been meant.
        suggestion: Option<String>,
    },
    /// Another language from now on.
    LangSwitched {
        /// Its code.
        lang: Lang,
    },
    /// The languages there are.
    LangUnknown {
        /// What was typed; missing when the list was asked for.
        wanted: Option<PrivateText>,
        /// The one in use.
        lang: Lang,
        /// All of them.
        languages: [Lang; 4],
    },
    /// The line under each answer is on.
    UsageOn,
    /// The line under each answer is off.
    UsageOff,
    /// What an answer cost; missing when there was none yet.
    Cost(Option<CostView>),
    /// The answer that is asked about is not remembered any more, or was none.
    CostForgotten,
    /// What is left of budgets.
    Budgets(BudgetsView),
    /// A budget was changed.
    BudgetChanged(BudgetChangedView),
    /// No budget was changed.
    BudgetMistake(BudgetMistakeView),
    /// Who and where one is.
    Id {
        /// The person's id.
        id: String,
        /// The chat's id.
        chat: String,
        /// The channel.
        channel: &'static str,
        /// The person is an admin.
        admin: bool,
    },
    /// The question waits in line.
    Queued {
        /// Its place: 1 is the next one.
        position: u64,
    },
    /// The line is full.
    QueueFull {
        /// How many questions wait.
        waiting: u64,
    },
    /// The bot was restarted while it answered this.
    Restarted,
    /// An answer was stopped by its button; a toast, so shown as plain text.
    Stopped,
    /// The person may not speak here.
    Stranger {
        /// Their id.
        id: String,
        /// Whom to ask, when the owner says so.
        admin_hint: Option<String>,
    },
    /// The group may not be spoken in.
    GroupStranger {
        /// Its id.
        id: String,
    },
    /// The first admin is made.
    ClaimDone {
        /// The bot's name.
        bot: String,
    },
    /// Not the code that was printed.
    ClaimWrong,
    /// There is an admin already.
    ClaimOver,
    /// A pairing link let someone in.
    Paired {
        /// The bot's name.
        bot: String,
    },
    /// A pairing link that is used, expired or wrong.
    PairingWrong,
    /// Too many wrong codes were shown.
    CodeWait {
        /// When the next one is looked at.
        retry_in_seconds: u64,
    },
    /// A link that lets one person in.
    AllowLink {
        /// The link.
        link: PrivateText,
        /// How long it is valid.
        valid_minutes: u64,
    },
    /// What was typed is no id.
    IdExpected {
        /// What it was typed after: `/allow` or `/deny`.
        command: &'static str,
    },
    /// Someone may speak from now on.
    Allowed {
        /// Their id.
        id: String,
        /// It is a group.
        group: bool,
    },
    /// They might speak before.
    AlreadyAllowed {
        /// Their id.
        id: String,
    },
    /// Someone may no longer speak.
    Denied {
        /// Their id.
        id: String,
    },
    /// They might not speak before.
    NotListed {
        /// Their id.
        id: String,
    },
    /// They stand in the configuration, which a command does not change.
    Configured {
        /// Their id.
        id: String,
    },
    /// Who may speak.
    AllowList {
        /// People.
        people: Vec<ListedPerson>,
        /// Groups.
        groups: Vec<ListedGroup>,
    },
    /// Only admins may do that.
    AdminOnly,
    /// Not where others read along.
    PrivateOnly,
    /// Neither text nor a photo.
    Unsupported,
    /// A photo beyond the cap.
    PhotoTooLarge {
        /// The cap.
        max_mb: u64,
    },
    /// A photo that could not be fetched.
    PhotoFailed,
    /// A model that was asked about a photo cannot see pictures.
    NoVision(ModelChoice),
    /// A button of someone else's screen; a toast, so shown as plain text.
    PressForeign,
    /// A button of a screen too old; a toast, so shown as plain text.
    PressOld,
    /// How the bot is, for admins.
    Health(HealthView),
    /// Something that an admin hears of without asking.
    Alert(Box<AlertView>),
    /// What was done about it by a button.
    AlertDone(AlertDone),
    /// How to leave.
    InterruptedHint,
    /// A farewell.
    Goodbye,
}

impl Message {
    /// Something of the program's own failed.
    pub fn failed(kind: ErrorKind) -> Message {
        Message::Error { kind, http_status: None, retry_in_seconds: None, choice: None }
    }

    /// The key of the template this is rendered by.
    pub fn template(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Message::Welcome { .. } => "welcome",
            Message::Help { .. } => "help",
            Message::UnknownCommand { .. } => "unknown_command",
            Message::UsageFooter(_) => "usage_footer",
            Message::RefusedLimit(_) => "refused_limit",
            Message::Waiting { .. } => "waiting",
            Message::AnsweredInstead { .. } => "answered_instead",
            Message::Error { kind, .. } => return Cow::Owned(format!("error/{kind}")),
            Message::CutOff => "cut_off",
            Message::Cancelled => "cancelled",
            Message::NothingToCancel => "nothing_to_cancel",
            Message::Busy => "busy",
            Message::TooLong { .. } => "too_long",
            Message::RetryNothing => "retry_nothing",
            Message::NewConversation => "new_conversation",
            Message::ResetConfirm { .. } => "reset_confirm",
            Message::ResetDone { .. } => "reset_done",
            Message::ResetUndone { .. } => "reset_undone",
            Message::ResetNothingToUndo => "reset_nothing_to_undo",
            Message::ResetKept => "reset_kept",
            Message::ResetDenied { .. } => "reset_denied",
            Message::ModelList { .. } => "model_list",
            Message::ModelSwitched(_) => "model_switched",
            Message::ModelUnknown { .. } => "model_unknown",
            Message::LangSwitched { .. } => "lang_switched",
            Message::LangUnknown { .. } => "lang_unknown",
            Message::UsageOn => "usage_on",
            Message::UsageOff => "usage_off",
            Message::Cost(_) => "cost",
            Message::CostForgotten => "cost_forgotten",
            Message::Budgets(_) => "budgets",
            Message::BudgetChanged(_) => "budget_changed",
            Message::BudgetMistake(_) => "budget_mistake",
            Message::Id { .. } => "id",
            Message::Queued { .. } => "queued",
            Message::QueueFull { .. } => "queue_full",
            Message::Restarted => "restarted",
            Message::Stopped => "stopped",
            Message::Stranger { .. } => "stranger",
            Message::GroupStranger { .. } => "group_stranger",
            Message::ClaimDone { .. } => "claim_done",
            Message::ClaimWrong => "claim_wrong",
            Message::ClaimOver => "claim_over",
            Message::Paired { .. } => "paired",
            Message::PairingWrong => "pairing_wrong",
            Message::CodeWait { .. } => "code_wait",
            Message::AllowLink { .. } => "allow_link",
            Message::IdExpected { .. } => "id_expected",
            Message::Allowed { .. } => "allowed",
            Message::AlreadyAllowed { .. } => "already_allowed",
            Message::Denied { .. } => "denied",
            Message::NotListed { .. } => "not_listed",
            Message::Configured { .. } => "configured",
            Message::AllowList { .. } => "allow_list",
            Message::AdminOnly => "admin_only",
            Message::PrivateOnly => "private_only",
            Message::Unsupported => "unsupported",
            Message::PhotoTooLarge { .. } => "photo_too_large",
            Message::PhotoFailed => "photo_failed",
            Message::NoVision(_) => "no_vision",
            Message::PressForeign => "press_foreign",
            Message::PressOld => "press_old",
            Message::Health(_) => "health",
            Message::Alert(_) => "alert",
            Message::AlertDone(_) => "alert_done",
            Message::InterruptedHint => "interrupted_hint",
            Message::Goodbye => "goodbye",
        })
    }
}

/// One command in the help text. How it is typed and what it does is the template's to say, by `name`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HelpLine {
    /// The word after the slash.
    pub name: &'static str,
    /// For admins only.
    pub admin: bool,
}

/// One model in the list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ModelLine {
    /// What to type to choose it.
    pub number: usize,
    /// Where and which.
    #[serde(flatten)]
    pub choice: ModelChoice,
    /// The one in use.
    pub current: bool,
}

/// What one call used, as its record says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReceiptView {
    /// Who answered.
    #[serde(flatten)]
    pub choice: ModelChoice,
    /// All input; `None` when not known.
    pub prompt_tokens: Option<u64>,
    /// The slice of the input that was cheaper because the provider had it at hand; `None` when not known.
    pub cached_tokens: Option<u64>,
    /// All output; `None` when not known.
    pub completion_tokens: Option<u64>,
    /// Input and output together; `None` when not known.
    pub total_tokens: Option<u64>,
    /// Some of these counts are estimates.
    pub estimated: bool,
    /// The exact cost; `None` when the price is not known.
    pub cost_usd: Option<Money>,
    /// From the question to the end of the answer.
    pub latency_ms: u64,
}

/// What an answer cost, and the budgets it was charged to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CostView {
    /// What it used.
    #[serde(flatten)]
    pub receipt: ReceiptView,
    /// It is the one that is replied to, not simply the last.
    pub replied: bool,
    /// Those it was charged to that the person may see, and what is left of them.
    pub budgets: Vec<BudgetLine>,
}

/// A limit that said no.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LimitView {
    /// Which, for example `requests_per_minute`.
    pub limit: String,
    /// What it holds for beside who asked, for example `provider:cloud`; `None` for everything, and for them alone.
    pub scope: Option<String>,
    /// `user` or `team` when it is that of who asked, or of the group.
    pub own: Option<&'static str>,
    /// How much of it is used: requests, tokens or pico-dollars.
    pub used: u64,
    /// How much there is, likewise.
    pub max: u64,
    /// Whether these two are told: in a group nobody reads figures.
    pub figures: bool,
    /// When the next call is safe; `None` when not known.
    pub resets_at: Option<Timestamp>,
    /// How long until then.
    pub resets_in_seconds: Option<u64>,
    /// When it was refused, to tell a time of today from one of another day.
    pub now: Timestamp,
    /// The call is larger than the whole limit: waiting does not help.
    pub never_fits: bool,
    /// The provider itself said so.
    pub learned: bool,
    /// Somebody stopped it until its window ends.
    pub stopped: bool,
    /// Only answers that are under way are in the way, and what they do not use comes back.
    pub held: bool,
    /// A model on the owner's machine that it does not hold for.
    pub local_model: Option<String>,
    /// What an admin types to raise it; `None` for others, and where that does not help.
    pub raise: Option<String>,
}

/// What a button below an alert did to a budget.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AlertDone {
    /// `raise`, `stop` or `mute`.
    pub done: &'static str,
    /// Whose, for the filter `scope`; `None` for everything.
    pub scope: Option<String>,
    /// What it counts, such as `usd_per_day`.
    pub limit: String,
    /// The cap it has now, in requests or tokens.
    pub max: Option<u64>,
    /// Where it is one of money, the cap it has now.
    pub max_usd: Option<Money>,
    /// When its window ends; `None` for a prepaid one.
    pub resets_at: Option<Timestamp>,
    /// When it was done.
    pub now: Timestamp,
}

/// The limit because of which another model answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Instead {
    /// The provider whose limit it was; `None` for another limit.
    pub limited: Option<String>,
    /// Until when it is reached; `None` when waiting would not have helped.
    pub until: Option<Timestamp>,
    /// When it said no, to tell a time of today from one of another day.
    pub now: Timestamp,
}

/// How a call ended: what came, what it used, and what went wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnswerOutcome {
    /// All that was answered, also if it was not finished.
    pub text: PrivateText,
    /// What it used; `None` when nothing was sent.
    pub receipt: Option<ReceiptView>,
    /// Why another model answered than the one that was asked.
    pub instead: Option<Instead>,
    /// Whether it finished.
    pub result: Result<(), Problem>,
}

/// Why an answer did not finish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// The person stopped it.
    Cancelled,
    /// It is as long as an answer may be.
    CutOff,
    /// A limit said no.
    Refused(LimitView),
    /// This model cannot see the photos of the question.
    NoVision(ModelChoice),
    /// It failed.
    Failed {
        /// The class.
        kind: ErrorKind,
        /// The status the provider answered with.
        http_status: Option<u16>,
        /// When to try again, if the provider said so.
        retry_in_seconds: Option<u64>,
    },
}

impl AnswerOutcome {
    /// An outcome without an answer.
    pub fn problem(problem: Problem) -> AnswerOutcome {
        AnswerOutcome { text: PrivateText::default(), receipt: None, instead: None, result: Err(problem) }
    }

    /// An outcome without an answer, for a class of failure.
    pub fn failed(kind: ErrorKind) -> AnswerOutcome {
        AnswerOutcome::problem(match kind {
            ErrorKind::CancelledByUser => Problem::Cancelled,
            kind => Problem::Failed { kind, http_status: None, retry_in_seconds: None },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_its_templates_context() {
        let choice = ModelChoice { provider: "cloud".into(), model: "gpt-4o".into(), local: false, demo: false };
        let error = Message::Error {
            kind: ErrorKind::RateLimited,
            http_status: Some(429),
            retry_in_seconds: None,
            choice: Some(choice.clone()),
        };
        assert_eq!(error.template(), "error/rate_limited");
        let expected = serde_json::json!(
            {"kind": "rate_limited", "http_status": 429, "retry_in_seconds": null,
             "provider": "cloud", "model": "gpt-4o", "local": false, "demo": false});
        assert_eq!(serde_json::to_value(&error).expect("plain data"), expected);
        let receipt = ReceiptView {
            choice,
            prompt_tokens: Some(12),
            cached_tokens: None,
            completion_tokens: None,
            total_tokens: None,
            estimated: false,
            cost_usd: Some(Money::from_pico_usd(2_500_000_000)),
            latency_ms: 1200,
        };
        let context = serde_json::to_value(Message::UsageFooter(receipt)).expect("plain data");
        assert_eq!((&context["cost_usd"], &context["completion_tokens"]), (&"0.0025".into(), &serde_json::Value::Null));
        assert_eq!(serde_json::to_value(Message::Busy).expect("plain data"), serde_json::Value::Null);
    }

    #[test]
    fn what_was_typed_is_in_the_context_but_not_in_debug() {
        let message = Message::UnknownCommand { word: "/my-secret".into(), suggestion: None, misused: None };
        assert!(!format!("{message:?}").contains("secret"));
        assert_eq!(serde_json::to_value(&message).expect("plain data")["word"], "/my-secret");
    }
}
