//! The commands as data, and the words for their arguments in every language.

use crate::conversation::people::PrivateText;

/// A command, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Show the books.
    Stats {
        /// Of which time; everything since the last reset when not said.
        period: Period,
        /// Which part of them.
        view: View,
    },
    /// Start counting from zero.
    ResetStats {
        /// The code word was given.
        confirmed: bool,
    },
    /// The line under each answer; changes to the other state when not said.
    Usage(Option<Switch>),
    /// What the last answer cost.
    Cost,
    /// List the models, or choose one by number, name or `provider/model`.
    Model(Option<PrivateText>),
    /// Forget what was said.
    New,
    /// Ask the last question again.
    Retry,
    /// Stop the answer being written.
    Cancel,
    /// Choose a language, or list them.
    Lang(Option<PrivateText>),
    /// What there is.
    Help,
    /// Who am I.
    Id,
    /// A first greeting.
    Start,
    /// Leave the terminal.
    Quit,
}

/// A span of time the books are shown for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Period {
    /// The owner's calendar day.
    Today,
    /// Seven calendar days, today included.
    Week,
    /// Thirty calendar days, today included.
    Month,
    /// Since the last reset.
    #[default]
    All,
}

impl Period {
    /// The name programs use.
    pub fn as_str(self) -> &'static str {
        match self {
            Period::Today => "today",
            Period::Week => "7d",
            Period::Month => "30d",
            Period::All => "all",
        }
    }

    pub(super) fn of_word(folded: &str) -> Option<Period> {
        Some(match folded {
            "today" | "day" | "hoy" | "hoje" | "aujourd'hui" | "aujourdhui" => Period::Today,
            "7d" | "7" | "week" | "semana" | "semaine" => Period::Week,
            "30d" | "30" | "month" | "mes" | "mois" => Period::Month,
            "all" | "todo" | "tudo" | "tout" | "total" => Period::All,
            _ => return None,
        })
    }
}

/// A part of the books.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum View {
    /// The screen that answers whether all is well and what it costs.
    #[default]
    Overview,
    /// By model.
    Models,
    /// By request type.
    Types,
    /// The limits and how full they are.
    Limits,
}

impl View {
    /// The name programs use.
    pub fn as_str(self) -> &'static str {
        match self {
            View::Overview => "overview",
            View::Models => "models",
            View::Types => "types",
            View::Limits => "limits",
        }
    }

    pub(super) fn of_word(folded: &str) -> Option<View> {
        Some(match folded {
            "models" | "model" | "modelos" | "modelo" | "modeles" | "modele" => View::Models,
            "types" | "type" | "tipos" | "tipo" => View::Types,
            "limits" | "limit" | "limites" | "limite" => View::Limits,
            _ => return None,
        })
    }
}

/// On or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Switch {
    /// On.
    On,
    /// Off.
    Off,
}
