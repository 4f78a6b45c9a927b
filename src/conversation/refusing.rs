//! What a person is told when a limit says no: whose it is, when it is back, and what to do until then.

use super::message::LimitView;
use super::people::Person;
use crate::limits::{Facet, Label, Measure, Refusal};
use crate::usage::{Timestamp, Zone};

/// By how much an admin is offered to raise a limit.
const RAISE: &str = "+20%";

/// Who asked, and what else they could do.
pub(super) struct Asked<'a> {
    /// The text of their subject id.
    pub(super) user: String,
    pub(super) person: &'a Person,
    /// Providers and models on the owner's machine.
    pub(super) local_models: Vec<(&'a str, &'a str)>,
    /// The owner's zone: what times are told in.
    pub(super) zone: Zone,
}

impl Asked<'_> {
    /// What they are told.
    pub(super) fn view(&self, refusal: &Refusal, now: Timestamp) -> LimitView {
        let never_fits = refusal.until().is_none() && !refusal.held && !refusal.is_of_a_prepaid_rest();
        let may_raise = self.person.admin && self.person.group.is_none() && !refusal.learned && !refusal.stopped;
        let helps = may_raise && !never_fits && refusal.max > 0;
        LimitView {
            limit: refusal.limit.as_str().to_owned(),
            scope: self.scope(&refusal.label),
            own: self.own(&refusal.label),
            used: refusal.used,
            max: refusal.max,
            figures: self.person.group.is_none(),
            // By the clock as it will be then, which may be another than it is now.
            resets_at: refusal.until().map(|at| at.shown_in(self.zone)),
            resets_in_seconds: refusal.wait_ms().map(|millis| millis.div_ceil(1000)),
            now,
            never_fits,
            learned: refusal.learned,
            stopped: refusal.stopped,
            held: refusal.held,
            local_model: self.local_model(refusal),
            raise: helps.then(|| format!("/budget {} {RAISE}", self.typed(&refusal.label))),
        }
    }

    /// What it is about beside themselves; nobody is shown a hash of who they are.
    fn scope(&self, label: &Label) -> Option<String> {
        let own = self.own(label);
        let others = label.0.iter().filter(|(facet, _)| own != Some(facet.as_str()));
        let rest = Label(others.cloned().collect());
        (!rest.0.is_empty() || own.is_none()).then(|| rest.to_string())
    }

    fn own(&self, label: &Label) -> Option<&'static str> {
        let is_own_user = label.get(Facet::User) == Some(&self.user);
        let team = self.person.group.as_ref().map(|group| group.team.as_str());
        let is_own_team = team.is_some() && label.get(Facet::Team) == team;
        let own = if is_own_user { Some(Facet::User) } else { is_own_team.then_some(Facet::Team) };
        own.map(Facet::as_str)
    }

    /// A model that the limit does not hold for: where money is short, any that costs none.
    fn local_model(&self, refusal: &Refusal) -> Option<String> {
        let (provider, model) = (refusal.label.get(Facet::Provider), refusal.label.get(Facet::Model));
        let is_free = refusal.limit.measure() == Measure::Money;
        let is_other = |(of, name): &&(&str, &str)| {
            provider.is_some_and(|provider| provider != *of) || model.is_some_and(|model| model != *name)
        };
        self.local_models.iter().find(|other| is_free || is_other(other)).map(|(_, model)| (*model).to_owned())
    }

    /// The label as it is typed.
    fn typed(&self, label: &Label) -> String {
        let value = |(facet, value): &(Facet, Box<str>)| match **value == *self.user {
            true => (*facet, self.person.id.as_str().into()),
            false => (*facet, value.clone()),
        };
        Label(label.0.iter().map(value).collect()).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{LimitKind, NextSafe};

    fn at(secs: i64) -> Timestamp {
        Timestamp::new(1_795_305_600_000_000 + secs * 1_000_000, 0)
    }

    fn refusal(limit: LimitKind, label: &[(Facet, &str)]) -> Refusal {
        Refusal {
            limit,
            label: Label(label.iter().map(|(facet, value)| (*facet, (*value).into())).collect()),
            used: 9,
            max: 10,
            budget: false,
            at_limit: None,
            learned: false,
            stopped: false,
            held: false,
            next: NextSafe::At { at: at(60), wait_ms: 60_000 },
        }
    }

    fn asked(person: &Person) -> Asked<'_> {
        let local_models = vec![("ollama", "llama3.2")];
        Asked { user: "k7f3".into(), person, local_models, zone: Zone::UTC }
    }

    #[test]
    fn an_admin_is_told_the_words_that_raise_it_and_nobody_a_hash() {
        let (admin, user) = (Person::new("111", true), Person::new("111", false));
        let own = refusal(LimitKind::UsdPerDay, &[(Facet::Provider, "cloud"), (Facet::User, "k7f3")]);
        let view = asked(&admin).view(&own, at(0));
        assert_eq!((view.scope.as_deref(), view.own), (Some("provider:cloud"), Some("user")));
        assert_eq!(view.raise.as_deref(), Some("/budget provider:cloud user:111 +20%"));
        assert_eq!(asked(&user).view(&own, at(0)).raise, None);
        let only_own = refusal(LimitKind::UsdPerDay, &[(Facet::User, "k7f3")]);
        assert_eq!(asked(&user).view(&only_own, at(0)).scope, None);
        let all = asked(&user).view(&refusal(LimitKind::UsdPerDay, &[]), at(0));
        assert_eq!((all.scope.as_deref(), all.own), (Some("everything"), None));
    }

    #[test]
    fn a_local_model_is_named_where_the_limit_does_not_hold_for_it() {
        let user = Person::new("111", false);
        let model = |limit, label: &[(Facet, &str)]| asked(&user).view(&refusal(limit, label), at(0)).local_model;
        assert_eq!(model(LimitKind::UsdPerMonth, &[]).as_deref(), Some("llama3.2"));
        assert_eq!(model(LimitKind::RequestsPerDay, &[(Facet::Provider, "cloud")]).as_deref(), Some("llama3.2"));
        assert_eq!(model(LimitKind::RequestsPerDay, &[(Facet::Provider, "ollama")]), None);
        assert_eq!(model(LimitKind::TokensPerDay, &[(Facet::User, "k7f3")]), None);
    }

    #[test]
    fn what_is_prepaid_and_used_up_is_not_too_large() {
        let user = Person::new("111", true);
        let gone = Refusal { next: NextSafe::Never, ..refusal(LimitKind::UsdPrepaid, &[]) };
        let view = asked(&user).view(&gone, at(0));
        assert!(!view.never_fits && view.resets_at.is_none() && view.raise.is_some());
        let large = Refusal { next: NextSafe::Never, ..refusal(LimitKind::TokensPerDay, &[]) };
        let view = asked(&user).view(&large, at(0));
        assert!(view.never_fits && view.raise.is_none());
        let held = asked(&user).view(&Refusal { held: true, ..large }, at(0));
        assert!(held.held && !held.never_fits);
    }
}
