//! What a limit counts and over what time, and the caps of a rule.

use std::fmt;

use serde::{Serialize, Serializer};

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Measure {
    /// Requests, from their admission.
    Requests,
    /// Tokens, input and output: reserved at admission, booked at settlement.
    Tokens,
    /// Money, in pico-dollars (10⁻¹² US dollars): reserved at admission, booked at settlement.
    Money,
}

/// Over what time it is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Span {
    /// Any sixty seconds.
    Minute,
    /// A calendar day of the rule's zone.
    Day,
    /// A calendar week of the rule's zone, from Monday.
    Week,
    /// A calendar month of the rule's zone.
    Month,
    /// For ever, or from a first day on: what is used up never comes back by itself.
    Prepaid,
}

impl Span {
    /// The name in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Span::Minute => "minute",
            Span::Day => "day",
            Span::Week => "week",
            Span::Month => "month",
            Span::Prepaid => "prepaid",
        }
    }
}

macro_rules! kinds {
    ($($kind:ident $name:literal $measure:ident $span:ident $meaning:literal)*) => {
        /// What a limit counts, and over what time.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum LimitKind {
            $(#[doc = $meaning] $kind,)*
        }

        impl LimitKind {
            /// Every kind, in the order in which they are shown.
            pub const ALL: [LimitKind; 14] = [$(LimitKind::$kind),*];

            /// The name in the configuration, in records and in `/stats`.
            pub fn as_str(self) -> &'static str {
                match self { $(LimitKind::$kind => $name),* }
            }

            /// What it counts.
            pub fn measure(self) -> Measure {
                match self { $(LimitKind::$kind => Measure::$measure),* }
            }

            /// Over what time.
            pub fn span(self) -> Span {
                match self { $(LimitKind::$kind => Span::$span),* }
            }
        }
    };
}

kinds! {
    RequestsPerMinute "requests_per_minute" Requests Minute "Requests admitted in a sliding minute."
    RequestsPerDay "requests_per_day" Requests Day "Requests admitted on a day of the rule's zone."
    TokensPerMinute "tokens_per_minute" Tokens Minute "Tokens settled in a sliding minute, and all that is reserved."
    TokensPerDay "tokens_per_day" Tokens Day "Tokens of the calls admitted on a day, used or reserved."
    RequestsPerWeek "requests_per_week" Requests Week "Requests admitted in a calendar week."
    RequestsPerMonth "requests_per_month" Requests Month "Requests admitted in a calendar month."
    RequestsPrepaid "requests_prepaid" Requests Prepaid "Requests admitted since the beginning."
    TokensPerWeek "tokens_per_week" Tokens Week "Tokens of the calls admitted in a week, used or reserved."
    TokensPerMonth "tokens_per_month" Tokens Month "Tokens of the calls admitted in a month, used or reserved."
    TokensPrepaid "tokens_prepaid" Tokens Prepaid "Tokens of the calls admitted since the beginning, used or reserved."
    UsdPerDay "usd_per_day" Money Day "Money, in pico-dollars, of the calls admitted on a day, spent or reserved."
    UsdPerWeek "usd_per_week" Money Week "Money of the calls admitted in a week, spent or reserved."
    UsdPerMonth "usd_per_month" Money Month "Money of the calls admitted in a month, spent or reserved."
    UsdPrepaid "usd_prepaid" Money Prepaid "Money of the calls admitted since the beginning, spent or reserved."
}

impl LimitKind {
    /// The kind of a name.
    pub fn parse(text: &str) -> Option<LimitKind> {
        LimitKind::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// The kind that counts a measure over a time; there is no money per minute.
    pub fn of(measure: Measure, span: Span) -> Option<LimitKind> {
        LimitKind::ALL.into_iter().find(|kind| (kind.measure(), kind.span()) == (measure, span))
    }

    /// Whether it counts tokens.
    pub fn counts_tokens(self) -> bool {
        self.measure() == Measure::Tokens
    }

    /// Whether it runs over days of a calendar, not over a sliding minute.
    pub fn is_calendar(self) -> bool {
        self.span() != Span::Minute
    }
}

/// Some of the kinds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Kinds(u16);

impl Kinds {
    pub(super) fn of(kinds: impl IntoIterator<Item = LimitKind>) -> Kinds {
        Kinds(kinds.into_iter().fold(0, |kinds, kind| kinds | 1 << kind as u16))
    }

    pub(super) fn contain(self, kind: LimitKind) -> bool {
        self.0 & 1 << kind as u16 != 0
    }

    pub(super) fn and(self, other: Kinds) -> Kinds {
        Kinds(self.0 | other.0)
    }
}

impl fmt::Display for LimitKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for LimitKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// How much is allowed. A cap of 0 refuses everything; a kind without a cap says nothing, and leaves it to the default
/// where there is one (a rule for `*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cap {
    /// As much as one likes, whatever the default is.
    Unlimited,
    /// At most this: requests, tokens or pico-dollars.
    At(u64),
}

/// The caps of a rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Caps([Option<Cap>; LimitKind::ALL.len()]);

impl Caps {
    /// Caps of some kinds, in requests, tokens or pico-dollars.
    pub fn of(caps: impl IntoIterator<Item = (LimitKind, u64)>) -> Caps {
        caps.into_iter().fold(Caps::default(), |caps, (kind, max)| caps.with(kind, Some(Cap::At(max))))
    }

    /// The same caps, but for one kind.
    pub fn with(mut self, kind: LimitKind, cap: Option<Cap>) -> Caps {
        self.0[kind as usize] = cap;
        self
    }

    /// What is said of a kind; `None` when nothing is.
    pub fn said(&self, kind: LimitKind) -> Option<Cap> {
        self.0[kind as usize]
    }

    /// The cap of a kind; `None` when it has none.
    pub fn get(&self, kind: LimitKind) -> Option<u64> {
        match self.said(kind)? {
            Cap::At(max) => Some(max),
            Cap::Unlimited => None,
        }
    }

    /// Whether nothing is said at all.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(Option::is_none)
    }

    /// The kinds of which something is said, be it that they are unlimited.
    pub fn said_kinds(&self) -> impl Iterator<Item = LimitKind> {
        LimitKind::ALL.into_iter().filter(|kind| self.said(*kind).is_some())
    }

    /// The kinds that are capped, with their caps.
    pub fn set(&self) -> impl Iterator<Item = (LimitKind, u64)> {
        LimitKind::ALL.into_iter().filter_map(|kind| Some((kind, self.get(kind)?)))
    }
}
