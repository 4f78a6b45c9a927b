//! One alert as it is told, whoever tells it.

use crate::limits::{Label, Level, LimitKind};
use crate::usage::{Day, ErrorKind, Money, Timestamp};

/// Something to tell: in the log, to the admins in their chats, and wherever the owner said.
#[derive(Clone, Debug, PartialEq)]
pub struct Notice {
    /// The same for ever for the same event, in the same books: who is told twice can see it.
    pub id: String,
    /// When it was noticed, in the owner's zone.
    pub at: Timestamp,
    /// What happened.
    pub alert: Alert,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Good news, or a test.
    Info,
    /// Worth watching.
    Caution,
    /// Worth doing something.
    Warning,
    /// Somebody has to do something.
    Critical,
}

impl Severity {
    /// Its name in JSON and on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Caution => "caution",
            Severity::Warning => "warning",
            Severity::Critical => "critical",
        }
    }
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Alert {
    /// A window of a limit or a budget reached a level.
    Level {
        /// Which window, and how full it is.
        window: WindowAlert,
        /// The highest level it reached since the last look.
        level: Level,
    },
    /// More windows of one rule reached a level than are told one by one.
    Many {
        /// Whose, with `*` for each of many.
        label: Label,
        /// What they count.
        limit: LimitKind,
        /// The first day of the windows.
        window: Day,
        /// The level.
        level: Level,
        /// So many at least have reached it, those told one by one among them.
        count: u64,
    },
    /// The window of which a level was told has ended, or its cap was raised.
    Recovered {
        /// Which window, and how full it is now.
        window: WindowAlert,
    },
    /// Too many calls fail.
    ErrorRate {
        /// Failed calls.
        failed: u64,
        /// All calls that ended ok or failed.
        total: u64,
        /// In the last so many minutes.
        minutes: u64,
    },
    /// Calls succeed again.
    ErrorRateBack,
    /// A provider does not answer.
    ProviderDown {
        /// Its name in the configuration.
        provider: String,
        /// How it fails.
        kind: ErrorKind,
        /// Since when.
        since: Timestamp,
    },
    /// It answers again.
    ProviderBack {
        /// Its name in the configuration.
        provider: String,
        /// It was away for so long.
        seconds: u64,
    },
    /// A model without a known price was used.
    UnknownPrice {
        /// The provider.
        provider: String,
        /// The model.
        model: String,
        /// So many others are told with it.
        others: u64,
    },
    /// An hour costs much more than hours usually do.
    CostSpike {
        /// What this hour cost so far.
        hour: Money,
        /// What an hour like this costs otherwise.
        usual: Money,
    },
    /// The books cannot be written: no call is admitted.
    LedgerDown {
        /// What the system says.
        trouble: String,
    },
    /// They can be written again.
    LedgerBack,
    /// Somebody sent a large prompt; told in chats only where that was asked for.
    LargePrompt {
        /// The model.
        model: String,
        /// Its tokens.
        tokens: u64,
    },
    /// Somebody tries whether alerts arrive.
    Test,
    /// It was about to be told when the program ended, and nothing is left that says what it was.
    Forgotten,
}

/// A window as an alert tells it. Amounts are requests, tokens or pico-dollars, by what the limit counts.
#[derive(Clone, Debug, PartialEq)]
pub struct WindowAlert {
    /// Whose it is; people by their subject ids.
    pub label: Label,
    /// What it counts.
    pub limit: LimitKind,
    /// The first day of the window, in the zone of its rule.
    pub window: Day,
    /// Used, without what calls in flight hold.
    pub used: u64,
    /// The cap.
    pub max: u64,
    /// When it is empty again; `None` for a prepaid one.
    pub resets_at: Option<Timestamp>,
}

impl Notice {
    /// How bad it is.
    pub fn severity(&self) -> Severity {
        match &self.alert {
            Alert::Level { level, .. } | Alert::Many { level, .. } => match level {
                Level::Critical => Severity::Critical,
                Level::Warning => Severity::Warning,
                Level::Caution | Level::Normal => Severity::Caution,
            },
            Alert::LedgerDown { .. } => Severity::Critical,
            Alert::ErrorRate { .. } | Alert::ProviderDown { .. } | Alert::CostSpike { .. } => Severity::Warning,
            Alert::UnknownPrice { .. } | Alert::Forgotten => Severity::Warning,
            Alert::LargePrompt { .. } => Severity::Caution,
            Alert::Recovered { .. } | Alert::ErrorRateBack | Alert::ProviderBack { .. } => Severity::Info,
            Alert::LedgerBack | Alert::Test => Severity::Info,
        }
    }
}
