//! Who used most, for admins: some people by name, the others and what no person asked for as one row each, so that the
//! rows sum to the total.

use serde::Serialize;

use super::spent::{Certainty, Spent, has_estimates};
use super::{Heading, Look, PeopleUse};
use crate::reports::Facts;
use crate::reports::fill::{count, tokens_of};
use crate::stats::{Sums, UserSums};
use crate::usage::SubjectId;

/// Letters shown of somebody whose name is not known.
const UNNAMED_LETTERS: usize = 8;

#[derive(Debug, Serialize)]
pub(super) struct PeopleScreen<'a> {
    #[serde(flatten)]
    heading: Heading<'a>,
    people: Vec<PersonLine>,
    more: u64,
    /// How many people there are is an estimate.
    more_estimated: bool,
    rest: Rest,
    nobody: Rest,
    requests: u64,
    tokens: u64,
    estimated: bool,
    reading: bool,
}

#[derive(Debug, Serialize)]
struct PersonLine {
    name: String,
    share: Option<f64>,
    #[serde(flatten)]
    spent: Spent,
}

/// Requests and tokens of many, or of nobody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
struct Rest {
    requests: u64,
    tokens: u64,
}

impl<'a> PeopleScreen<'a> {
    pub(super) fn of(
        look: &Look,
        facts: &Facts<'a>,
        people: &PeopleUse,
        name_of: impl Fn(&SubjectId) -> Option<String>,
    ) -> PeopleScreen<'a> {
        let selection = facts.picture.select(look.period, facts.now.day());
        let certainty = Certainty::of(&selection);
        let total = selection.total(|_| true);
        let all = &people.all;
        let Split { rest, nobody } = Split::of(people, &total);
        let line = |(person, rows): &(SubjectId, super::Rows)| {
            let spent = certainty.spent(rows.iter().map(|((_, model), sums)| (model.as_str(), sums)));
            let share = (total.tokens() > 0).then(|| spent.tokens as f64 / total.tokens() as f64);
            PersonLine { name: name_of(person).unwrap_or_else(|| unnamed(person)), share, spent }
        };
        let more_estimated = all.others != UserSums::default();
        let users = if more_estimated { all.users.max(selection.users()) } else { all.users };
        PeopleScreen {
            heading: Heading::of(look, facts),
            people: people.people.iter().map(line).collect(),
            more: users.saturating_sub(people.people.len() as u64),
            more_estimated,
            rest,
            nobody,
            requests: count(total.records),
            tokens: tokens_of(total.tokens()),
            estimated: has_estimates(&selection.total(|key| key.usage_source.has_estimates())),
            reading: people.incomplete,
        }
    }
}

/// What is not in the rows of those named: the total is all of it.
struct Split {
    rest: Rest,
    nobody: Rest,
}

impl Split {
    fn of(people: &PeopleUse, total: &Sums) -> Split {
        let all = &people.all;
        let (mut named, mut everybody) = (UserSums::default(), all.total);
        all.top.iter().for_each(|(_, sums)| named.merge(sums));
        everybody.records -= all.absent.records;
        let everybodys_tokens = all.total.tokens() - all.absent.tokens();
        Split {
            rest: Rest {
                requests: count(everybody.records - named.records),
                tokens: tokens_of(everybodys_tokens - named.tokens()),
            },
            // What programs sent without a user, and totals taken over from elsewhere.
            nobody: Rest {
                requests: count(total.records - everybody.records),
                tokens: tokens_of(total.tokens() - everybodys_tokens),
            },
        }
    }
}

/// Somebody whose row is gone from `people.json`.
fn unnamed(person: &SubjectId) -> String {
    format!("{:.UNNAMED_LETTERS$}…", person.to_string())
}
