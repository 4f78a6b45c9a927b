//! Who sees what: everything, one person's own use, or a group's totals. Decided once, by [`Audience::of`]; what an
//! audience may not know does not reach its screen's template.

mod group;
mod levels;
mod own;
mod people;
mod spent;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io;

pub use levels::{NearlyFull, nearly_full};
use serde::Serialize;

use super::stats::ServiceStatus;
use super::{Facts, StatsReport, View, with_names};
use crate::ledger::{TopUsers, Users, UsersBy};
use crate::limits::Facet;
use crate::stats::{Period, UserSums};
use crate::templates::{Lang, Surface, Templates};
use crate::usage::{Day, SubjectId, Timestamp};

/// People named on the screen of those who used most.
pub const PEOPLE_SHOWN: usize = 7;

/// For whom a screen is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Audience {
    /// An admin in a chat of their own.
    Everything,
    /// A person in a chat of their own: what they used themselves.
    Person(SubjectId),
    /// A group, where everybody reads along: the totals of its team, without names and cost.
    Group(String),
}

impl Audience {
    /// The audience of a person who asks; `team` is that of the group they ask in. In a group, an admin is one of many.
    pub fn of(person: SubjectId, admin: bool, team: Option<&str>) -> Audience {
        match (team, admin) {
            (Some(team), _) => Audience::Group(team.to_owned()),
            (None, true) => Audience::Everything,
            (None, false) => Audience::Person(person),
        }
    }

    /// The facet and the value of it that are the audience's own; nothing for those who see everything.
    pub fn own(&self) -> Option<(Facet, String)> {
        match self {
            Audience::Everything => None,
            Audience::Person(person) => Some((Facet::User, person.to_string())),
            Audience::Group(team) => Some((Facet::Team, team.clone())),
        }
    }
}

/// Who looks at what, in which words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    /// For whom.
    pub audience: Audience,
    /// Of which time in the current epoch.
    pub period: Period,
    /// Which part. Those that an audience may not see, or of which the books do not say what is its own, show what the
    /// overview shows.
    pub view: View,
    /// In which language.
    pub lang: Lang,
    /// In what form.
    pub surface: Surface,
}

/// What stands above every screen of an audience.
#[derive(Debug, Serialize)]
struct Heading<'a> {
    bot: &'a str,
    period: Period,
    since: Option<Timestamp>,
    status: ServiceStatus,
    uptime_seconds: Option<u64>,
}

impl<'a> Heading<'a> {
    fn of(look: &Look, facts: &Facts<'a>) -> Heading<'a> {
        Heading {
            bot: facts.bot,
            period: look.period,
            since: facts.picture.last_reset(),
            status: facts.status,
            uptime_seconds: facts.uptime_seconds(),
        }
    }
}

/// What people used, as far as a [`Look`] may know it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeopleUse {
    /// Lines of the last days are still being read.
    incomplete: bool,
    /// By day and model: of the asking person, or of those who used most, most first.
    people: Vec<(SubjectId, Rows)>,
    /// All people.
    all: TopUsers,
}

/// The sums of one person by day and model.
type Rows = BTreeMap<(Day, String), UserSums>;

impl Look {
    /// Reads what the screen says of people. Reads sealed days from the disk.
    ///
    /// # Errors
    /// When a sealed day cannot be read.
    pub fn people(&self, users: &Users, today: Day) -> io::Result<PeopleUse> {
        let incomplete = !users.is_complete();
        match (&self.audience, self.view) {
            (Audience::Person(person), _) => {
                let people = vec![(*person, users.of(*person, self.period, today)?)];
                Ok(PeopleUse { incomplete, people, all: TopUsers::default() })
            }
            (Audience::Everything, View::Users) => {
                let all = users.top(self.period, today, PEOPLE_SHOWN, UsersBy::Tokens)?;
                let rows = |(person, _): &(SubjectId, _)| Ok((*person, users.of(*person, self.period, today)?));
                let people = all.top.iter().map(rows).collect::<io::Result<_>>()?;
                Ok(PeopleUse { incomplete, people, all })
            }
            _ => Ok(PeopleUse::default()),
        }
    }

    /// The screen. `facts.windows` should be those about [`Audience::own`]; of others' limits nothing is shown.
    /// `name_of` tells who somebody is, for those who may know.
    pub fn text(
        &self,
        facts: &Facts<'_>,
        people: &PeopleUse,
        name_of: impl Fn(&SubjectId) -> Option<String>,
        templates: &Templates,
    ) -> String {
        let (surface, lang) = (self.surface, self.lang);
        match (&self.audience, self.view) {
            (Audience::Everything, View::Users) => {
                let screen = people::PeopleScreen::of(self, facts, people, name_of);
                templates.render_for(surface, lang, "stats_users", screen)
            }
            (Audience::Everything, view) => {
                let mut report = StatsReport::of(facts, self.period);
                // Names with spaces would be several.
                let name_of = |id: &SubjectId| name_of(id).filter(|name| !name.contains(char::is_whitespace));
                for subject in report.limits.iter_mut().filter_map(|limit| limit.subject.as_mut()) {
                    *subject = with_names(subject, name_of);
                }
                report.text_for(templates, surface, lang, view)
            }
            (Audience::Person(_), _) => {
                templates.render_for(surface, lang, "stats_own", own::OwnScreen::of(self, facts, people))
            }
            (Audience::Group(team), _) => {
                templates.render_for(surface, lang, "stats_group", group::GroupScreen::of(self, facts, team))
            }
        }
    }
}
