//! The sections `[ledger]` and `[log]`: how the books are kept, and what is written beside them.

use super::reader::{Section, Whole};

/// `[ledger]`: how the books are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// What an acknowledged record survives.
    pub durability: Durability,
}

/// What an acknowledged record survives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// A loss of power: acknowledged after the disk was told to keep it.
    #[default]
    Power,
    /// A killed process: acknowledged after the write, on the disk within a second.
    Kill,
}

/// `[log]`: the diagnostic log in the data folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// The least important messages that are kept.
    pub level: LogLevel,
    /// The log is cut when it is larger.
    pub max_bytes: u64,
}

/// How important a message must be to be kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogLevel {
    /// Only what failed.
    Error,
    /// And what should be looked at.
    Warn,
    /// And what happened.
    #[default]
    Info,
    /// And how.
    Debug,
    /// Everything.
    Trace,
}

impl LogLevel {
    /// The word in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            LogLevel::Error => "error",
            LogLevel::Warn => "warn",
            LogLevel::Info => "info",
            LogLevel::Debug => "debug",
            LogLevel::Trace => "trace",
        }
    }
}

impl Default for Log {
    fn default() -> Log {
        Log { level: LogLevel::Info, max_bytes: 10 * 1024 * 1024 }
    }
}

impl Ledger {
    pub(super) fn read(section: &mut Section<'_>) -> Ledger {
        let choices = [("power", Durability::Power), ("kill", Durability::Kill)];
        Ledger { durability: section.choice("durability", &choices).unwrap_or_default() }
    }
}

impl Log {
    pub(super) fn read(section: &mut Section<'_>) -> Log {
        let default = Log::default();
        use LogLevel::{Debug, Error, Info, Trace, Warn};
        let levels = [Error, Warn, Info, Debug, Trace].map(|level| (level.as_str(), level));
        let size = Whole { min: 64 * 1024, max: 1 << 30, unit: "bytes", example: default.max_bytes };
        Log {
            level: section.choice("level", &levels).unwrap_or(default.level),
            max_bytes: section.whole("max_bytes", size).unwrap_or(default.max_bytes),
        }
    }
}
