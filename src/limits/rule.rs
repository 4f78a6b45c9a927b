//! What is limited, and by how much: rules as data, the subject of a call, and the names of both.

use std::fmt;

use super::kind::{Caps, LimitKind};
use crate::usage::{Day, Zone};

/// Something a limit can be for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Facet {
    /// The configured provider.
    Provider,
    /// The model.
    Model,
    /// A person, by the text of a subject id.
    User,
    /// A team.
    Team,
    /// A feature.
    Feature,
    /// A gateway key's name.
    Key,
    /// A channel.
    Channel,
}

impl Facet {
    /// Every facet, in the order of [`Scope`] and of labels.
    pub const ALL: [Facet; 7] =
        [Facet::Provider, Facet::Model, Facet::User, Facet::Team, Facet::Feature, Facet::Key, Facet::Channel];

    /// The name in the configuration and in labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Facet::Provider => "provider",
            Facet::Model => "model",
            Facet::User => "user",
            Facet::Team => "team",
            Facet::Feature => "feature",
            Facet::Key => "key",
            Facet::Channel => "channel",
        }
    }

    /// The facet of a name.
    pub fn parse(text: &str) -> Option<Facet> {
        Facet::ALL.into_iter().find(|facet| facet.as_str() == text)
    }
}

/// Which values of a facet a limit is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pick {
    /// Every value, each with a count of its own: `*`. A call without a value is not meant.
    Each,
    /// This value.
    Only(Box<str>),
    /// Of users: everybody whom nobody named, with one count for all of them.
    Guests,
}

/// What stands for [`Pick::Guests`] in the configuration and in labels.
pub(super) const GUESTS: &str = "guests";

impl Pick {
    /// Reads the configuration's form: `*` or a value.
    pub fn parse(text: &str) -> Pick {
        if text == "*" { Pick::Each } else { Pick::Only(text.into()) }
    }

    /// The same for a facet: of users, `guests` are those whom nobody named.
    pub fn of(facet: Facet, text: &str) -> Pick {
        if (facet, text) == (Facet::User, GUESTS) { Pick::Guests } else { Pick::parse(text) }
    }

    fn as_str(&self) -> &str {
        match self {
            Pick::Each => "*",
            Pick::Only(value) => value,
            Pick::Guests => GUESTS,
        }
    }
}

/// Whom a limit is for: all its picks together; without any, every call there is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// In the order of [`Facet::ALL`], each facet at most once.
    picks: Vec<(Facet, Pick)>,
}

impl Scope {
    /// Every call.
    pub fn everything() -> Scope {
        Scope::default()
    }

    /// One provider.
    pub fn provider(name: &str) -> Scope {
        Scope::everything().with(Facet::Provider, Pick::Only(name.into()))
    }

    /// The same scope, narrowed (or told apart) by a facet.
    pub fn with(mut self, facet: Facet, pick: Pick) -> Scope {
        match self.picks.binary_search_by_key(&facet, |(of, _)| *of) {
            Ok(at) => self.picks[at].1 = pick,
            Err(at) => self.picks.insert(at, (facet, pick)),
        }
        self
    }

    /// The facets this scope speaks of, in the order of [`Facet::ALL`].
    pub fn picks(&self) -> impl Iterator<Item = (Facet, &Pick)> {
        self.picks.iter().map(|(facet, pick)| (*facet, pick))
    }

    /// Whether it picks values of a facet.
    pub(super) fn speaks_of(&self, facet: Facet) -> bool {
        self.picks().any(|(of, _)| of == facet)
    }

    /// Whether it is about guests.
    pub fn has_guests(&self) -> bool {
        self.picks().any(|(_, pick)| *pick == Pick::Guests)
    }

    /// Whether a call is meant, by a guest or not.
    pub fn matches(&self, subject: &Subject<'_>, is_guest: bool) -> bool {
        self.picks().all(|(facet, pick)| match (pick, subject.get(facet)) {
            (_, None) => false,
            (Pick::Guests, Some(_)) => is_guest,
            (Pick::Each, Some(_)) => true,
            (Pick::Only(value), Some(given)) => **value == *given,
        })
    }
}

/// Stands between the values of several `*` in the key of an entry; names hold no control characters.
const KEY_SEPARATOR: char = '\u{1f}';

impl Scope {
    /// Writes the key under which a matching call's counts are kept: its values where the scope says `*`.
    pub(super) fn write_key(&self, subject: &Subject<'_>, key: &mut String) {
        key.clear();
        let values = self.picks().filter(|(_, pick)| **pick == Pick::Each).filter_map(|(facet, _)| subject.get(facet));
        for (position, value) in values.enumerate() {
            if position > 0 {
                key.push(KEY_SEPARATOR);
            }
            key.push_str(value);
        }
    }

    /// The value of a facet in the counts kept under a key, where the scope speaks of it.
    pub(super) fn value<'a>(&'a self, key: &'a str, facet: Facet) -> Option<&'a str> {
        let mut values = key.split(KEY_SEPARATOR);
        self.picks().find_map(|(of, pick)| {
            let value = match pick {
                Pick::Guests => GUESTS,
                Pick::Only(value) => value,
                Pick::Each => values.next().unwrap_or(crate::usage::names::OTHER),
            };
            (of == facet).then_some(value)
        })
    }

    /// The key of this scope's values in the counts of another, which tells them apart; `None` where that one does not
    /// mean them, or this one means more than one value of a facet.
    pub(super) fn key_under(&self, other: &Scope) -> Option<String> {
        let mut values = Vec::new();
        if self.picks.len() != other.picks.len() {
            return None;
        }
        for ((facet, pick), (of, theirs)) in self.picks().zip(other.picks()) {
            match (pick, theirs) {
                _ if facet != of => return None,
                (Pick::Guests, Pick::Guests) => {}
                (Pick::Only(value), Pick::Only(theirs)) if value == theirs => {}
                (Pick::Only(value), Pick::Each) => values.push(&**value),
                _ => return None,
            }
        }
        Some(values.join(KEY_SEPARATOR.encode_utf8(&mut [0; 4])))
    }

    /// Whether another scope is one of the values that this one counts (or means the same one).
    pub fn has_value(&self, other: &Scope) -> bool {
        other.key_under(self).is_some()
    }

    /// A call as far as the counts under a key tell: by the values of the facets that the scope speaks of.
    pub(super) fn subject_under<'a>(&'a self, key: &'a str) -> Subject<'a> {
        let value = |facet| self.value(key, facet);
        Subject {
            provider: value(Facet::Provider).unwrap_or_default(),
            model: value(Facet::Model).unwrap_or_default(),
            user: value(Facet::User),
            team: value(Facet::Team),
            feature: value(Facet::Feature),
            key: value(Facet::Key),
            channel: value(Facet::Channel).unwrap_or_default(),
        }
    }

    /// Reads what [`Scope`] and [`Label`] are written as: `team:sales`, `model:m user:*`, `everything`. A space within a
    /// value is one that no facet follows.
    pub fn parse(text: &str) -> Option<Scope> {
        if text == EVERYTHING {
            return Some(Scope::everything());
        }
        let mut pairs: Vec<(Facet, String)> = Vec::new();
        for word in text.split(' ') {
            let pair = word.split_once(':').and_then(|(facet, value)| Some((Facet::parse(facet)?, value)));
            let is_known = |facet| pairs.iter().any(|(known, _)| *known == facet);
            match pair.filter(|(facet, _)| !is_known(*facet)) {
                Some((facet, value)) => pairs.push((facet, value.to_owned())),
                None => {
                    let (_, value) = pairs.last_mut()?;
                    value.push(' ');
                    value.push_str(word);
                }
            }
        }
        Some(
            pairs.iter().fold(Scope::everything(), |scope, (facet, value)| scope.with(*facet, Pick::of(*facet, value))),
        )
    }

    /// The label of the counts kept under a key.
    pub(super) fn label(&self, key: &str) -> Label {
        let mut values = key.split(KEY_SEPARATOR);
        let value = |pick: &Pick, values: &mut std::str::Split<'_, char>| match pick {
            Pick::Guests => GUESTS.into(),
            Pick::Only(value) => value.clone(),
            Pick::Each => values.next().unwrap_or(crate::usage::names::OTHER).into(),
        };
        Label(self.picks().map(|(facet, pick)| (facet, value(pick, &mut values))).collect())
    }
}

/// What stands for every call.
const EVERYTHING: &str = "everything";

/// As its labels, with `*` where it counts each of something apart.
impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_pairs(f, self.picks().map(|(facet, pick)| (facet, pick.as_str())))
    }
}

fn write_pairs<'a>(f: &mut fmt::Formatter<'_>, pairs: impl Iterator<Item = (Facet, &'a str)>) -> fmt::Result {
    let mut gap = "";
    for (facet, value) in pairs {
        write!(f, "{gap}{}:{value}", facet.as_str())?;
        gap = " ";
    }
    if gap.is_empty() { f.write_str(EVERYTHING) } else { Ok(()) }
}

/// Which facets a scope speaks of, and how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Shape {
    facets: u8,
    named: u8,
    guests: u8,
}

impl Shape {
    pub(super) fn of(scope: &Scope) -> Shape {
        scope.picks().fold(Shape::default(), |shape, (facet, pick)| {
            let bit = 1 << facet as u8;
            Shape {
                facets: shape.facets | bit,
                named: shape.named | if matches!(pick, Pick::Only(_)) { bit } else { 0 },
                guests: shape.guests | if *pick == Pick::Guests { bit } else { 0 },
            }
        })
    }

    /// Whether it counts each of something apart.
    pub(super) fn has_each(self) -> bool {
        self.named | self.guests != self.facets
    }

    pub(super) fn has_facets_of(self, other: Shape) -> bool {
        self.facets == other.facets
    }

    /// Whether it names, of the same facets, all that the other names and more.
    pub(super) fn is_narrower_than(self, other: Shape) -> bool {
        (self.facets, self.guests) == (other.facets, other.guests)
            && self.named != other.named
            && self.named & other.named == other.named
    }
}

/// Whose count it is: a facet and its value, for each facet the rule speaks of; empty for everything.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Label(pub Vec<(Facet, Box<str>)>);

impl Label {
    /// The value of a facet, where the rule speaks of it.
    pub fn get(&self, facet: Facet) -> Option<&str> {
        self.0.iter().find(|pair| pair.0 == facet).map(|pair| &*pair.1)
    }
}

/// `provider:cloud user:k7f3…`, or `everything`.
impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_pairs(f, self.0.iter().map(|(facet, value)| (*facet, &**value)))
    }
}

/// One limit: whom it is for, its caps, and the zone in which its day runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Whom it is for.
    pub scope: Scope,
    /// How much is allowed.
    pub caps: Caps,
    /// Where its days, weeks and months begin and end.
    pub day_zone: Zone,
    /// From which day on a prepaid cap counts; `None` from the beginning of the books.
    pub since: Option<Day>,
    /// What happens at a cap; `None` leaves it to who asks.
    pub at_limit: Option<AtLimit>,
    /// Whether it is a budget, not a rate limit.
    pub budget: bool,
}

/// What happens to a call that does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AtLimit {
    /// It waits in line until it fits, as long as that is worth waiting for.
    Wait,
    /// Another provider is asked: the one named, else one whose models are local.
    Fallback(Option<Box<str>>),
    /// It is refused, with the time of the next safe call.
    Refuse,
}

impl Rule {
    /// A rate limit that leaves it to who asks what happens at its caps.
    pub fn new(scope: Scope, caps: Caps, day_zone: Zone) -> Rule {
        Rule { scope, caps, day_zone, since: None, at_limit: None, budget: false }
    }

    /// What the rule counts, as a text that stays the same when only the size of a cap changes: counts saved under it
    /// are still true after such a change.
    pub fn fingerprint(&self) -> String {
        let mut text = String::new();
        for (facet, pick) in self.scope.picks() {
            text.push_str(&format!("{}={:?};", facet.as_str(), pick.as_str()));
        }
        for kind in self.caps.said_kinds() {
            text.push_str(&format!("{kind};"));
        }
        if self.caps.said_kinds().any(LimitKind::is_calendar) {
            text.push_str(self.day_zone.name());
        }
        if let Some(since) = self.since {
            text.push_str(&format!(";{since}"));
        }
        text
    }
}

/// Who and what a call is: the values that rules pick by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Subject<'a> {
    /// The configured provider's name.
    pub provider: &'a str,
    /// The model asked for.
    pub model: &'a str,
    /// The text of the person's subject id.
    pub user: Option<&'a str>,
    /// Whose budget.
    pub team: Option<&'a str>,
    /// Which feature.
    pub feature: Option<&'a str>,
    /// The gateway key's name.
    pub key: Option<&'a str>,
    /// Where the call came from.
    pub channel: &'a str,
}

/// Stands for a value that a call does not have.
const NONE: &str = "\u{1e}";

impl<'a> Subject<'a> {
    /// Writes the subject as one text, which no other subject has.
    pub(super) fn write_text(&self, text: &mut String) {
        text.clear();
        for facet in Facet::ALL {
            text.push_str(self.get(facet).unwrap_or(NONE));
            text.push(KEY_SEPARATOR);
        }
    }

    /// The subject of a text that [`Subject::write_text`] wrote.
    pub(super) fn of_text(text: &'a str) -> Subject<'a> {
        let mut values = text.split(KEY_SEPARATOR).map(|value| Some(value).filter(|value| *value != NONE));
        let mut next = || values.next().flatten();
        Subject {
            provider: next().unwrap_or_default(),
            model: next().unwrap_or_default(),
            user: next(),
            team: next(),
            feature: next(),
            key: next(),
            channel: next().unwrap_or_default(),
        }
    }

    /// The value of a facet; `None` when the call has none.
    pub fn get(&self, facet: Facet) -> Option<&'a str> {
        match facet {
            Facet::Provider => Some(self.provider),
            Facet::Model => Some(self.model),
            Facet::User => self.user,
            Facet::Team => self.team,
            Facet::Feature => self.feature,
            Facet::Key => self.key,
            Facet::Channel => Some(self.channel),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::LimitKind;
    use crate::usage::zone;

    #[test]
    fn a_fingerprint_changes_with_what_is_counted_and_not_with_the_size_of_a_cap() {
        let scope = Scope::provider("cloud").with(Facet::User, Pick::parse("*"));
        let rule = |cap, zone| Rule::new(scope.clone(), Caps::of([(LimitKind::RequestsPerDay, cap)]), zone);
        assert_eq!(rule(1, Zone::UTC).fingerprint(), rule(2, Zone::UTC).fingerprint());
        assert_ne!(rule(1, Zone::UTC).fingerprint(), rule(1, zone("Africa/Cairo")).fingerprint());
        let named = Rule { scope: Scope::provider("cloud").with(Facet::User, Pick::parse("x")), ..rule(1, Zone::UTC) };
        assert_ne!(rule(1, Zone::UTC).fingerprint(), named.fingerprint());
    }

    #[test]
    fn a_label_names_every_facet_of_the_rule() {
        let scope = Scope::provider("cloud").with(Facet::User, Pick::Each).with(Facet::Team, Pick::Each);
        let subject = Subject { provider: "cloud", user: Some("ann"), team: Some("sales"), ..Subject::default() };
        let mut key = String::new();
        scope.write_key(&subject, &mut key);
        assert!(scope.matches(&subject, false));
        assert_eq!(scope.label(&key).to_string(), "provider:cloud user:ann team:sales");
        assert_eq!(Scope::everything().label("").to_string(), "everything");
        assert!(!scope.matches(&Subject { team: None, ..subject }, false));
    }
}
