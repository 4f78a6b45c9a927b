//! What providers say of their own limits in their headers: shown beside our counts, and believed where it is stricter.

use std::collections::BTreeMap;

use super::count::{Amounts, unsigned};
use super::kind::LimitKind;
use super::refusal::{NextSafe, Refusal};
use super::rule::{Facet, Label};
use crate::usage::{Now, Timestamp};

/// No word of a provider is kept longer than a day: whoever asks for a thousand million seconds is asked again.
pub const LEARNED_MAX_MS: u64 = 86_400_000;

/// Models of one provider that waits are kept for; what any other asks for holds for the whole provider.
const MODELS_MAX: usize = 64;

/// The rate-limit headers of one answer, as durations and counts. `None` is what the provider did not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Observed<'a> {
    /// The model that was asked for: a wait is for it alone. `None` where it is for all of the provider's.
    pub model: Option<&'a str>,
    /// Requests allowed per window of the provider's.
    pub requests_limit: Option<u64>,
    /// Requests left in it.
    pub requests_remaining: Option<u64>,
    /// Milliseconds until it is full again.
    pub requests_reset_ms: Option<u64>,
    /// Tokens allowed per window of the provider's.
    pub tokens_limit: Option<u64>,
    /// Tokens left in it.
    pub tokens_remaining: Option<u64>,
    /// Milliseconds until it is full again.
    pub tokens_reset_ms: Option<u64>,
    /// Milliseconds the provider asks to wait.
    pub retry_after_ms: Option<u64>,
}

/// One quota of a provider, as it last said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quota {
    /// Allowed per window.
    pub limit: Option<u64>,
    /// Left in it when that was told.
    pub remaining: Option<u64>,
    /// When that was.
    pub told_at: Option<Timestamp>,
    /// When it is full again.
    pub resets_at: Option<Timestamp>,
}

impl Quota {
    /// Until when it has no room for so much more after what was admitted since it was told; `None` where it has, or
    /// where the provider does not say enough to know. It fills little by little: long before it is full there is room.
    fn without(&self, spent: u64, asked: u64) -> Option<Timestamp> {
        let (limit, remaining, told_at) = (self.limit?, self.remaining?, self.told_at?);
        let until_full = self.micros_until_full()?;
        let lacks = i128::from(spent.saturating_add(asked)) - i128::from(remaining);
        let missing = i128::from(limit.saturating_sub(remaining));
        let micros = match lacks {
            ..1 => return None,
            _ if lacks >= missing => until_full,
            _ => i64::try_from(i128::from(until_full) * lacks / missing).unwrap_or(until_full),
        };
        Some(told_at.plus_micros(micros))
    }

    /// How long it took to be full again when it was told.
    fn micros_until_full(&self) -> Option<i64> {
        Some(self.resets_at?.unix_micros() - self.told_at?.unix_micros())
    }
}

/// Something that a provider says is in the way of a call.
struct Word<'a> {
    until: Timestamp,
    /// The only model that it is about.
    model: Option<&'a str>,
    quota: Quota,
    /// Admitted since the quota was told.
    spent: u64,
    counts_tokens: bool,
    /// How long what is in the way goes on for, or fills up.
    micros: i64,
}

impl Word<'_> {
    fn limit(&self) -> LimitKind {
        match (self.counts_tokens, self.micros <= 60_000_000) {
            (false, true) => LimitKind::RequestsPerMinute,
            (false, false) => LimitKind::RequestsPerDay,
            (true, true) => LimitKind::TokensPerMinute,
            (true, false) => LimitKind::TokensPerDay,
        }
    }
}

/// What one provider last said of its limits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Learned {
    /// Its requests.
    pub requests: Quota,
    /// Its tokens.
    pub tokens: Quota,
    /// Until when it last asked to be left alone, whichever model that was about.
    pub retry_at: Option<Timestamp>,
    /// When it said so; `None` while it has said nothing.
    pub seen_at: Option<Timestamp>,
}

/// The last word of each configured provider; no other provider takes room. Providers count requests and tokens for
/// themselves as they like, and many per model: what their headers say they have left is held against all of a provider's
/// models, as the last answer told it, but a wait (which may be until their day ends) only against the model it came for.
#[derive(Clone, Debug, Default)]
pub(super) struct Observations(BTreeMap<Box<str>, Known>);

/// A provider's word, and what was admitted since.
#[derive(Clone, Debug, Default)]
struct Known {
    learned: Learned,
    /// Until when it asked to be left alone with a model.
    waits: BTreeMap<Box<str>, Timestamp>,
    /// Until when it asked to be left alone at all.
    closed_until: Option<Timestamp>,
    /// Requests admitted since it spoke of requests.
    requests: u64,
    /// Tokens asked for since it spoke of tokens.
    tokens: u64,
}

impl Known {
    /// Leaves a model alone until then; all of them where none is told, or where it is one too many.
    fn close(&mut self, model: Option<&str>, until: Timestamp, now: Timestamp) {
        if self.waits.len() >= MODELS_MAX {
            self.waits.retain(|_, until| *until > now);
        }
        match model.filter(|model| self.waits.contains_key(*model) || self.waits.len() < MODELS_MAX) {
            Some(model) => drop(self.waits.insert(model.into(), until)),
            None => self.closed_until = Some(until),
        }
    }
}

/// What a provider's own word is about: all of it, or one of its models.
pub(super) fn label_of(provider: &str, model: Option<&str>) -> Label {
    let of_model = model.map(|model| (Facet::Model, model.into()));
    Label([(Facet::Provider, provider.into())].into_iter().chain(of_model).collect())
}

impl Observations {
    pub(super) fn of(providers: impl IntoIterator<Item = impl AsRef<str>>) -> Observations {
        Observations(providers.into_iter().map(|name| (name.as_ref().into(), Known::default())).collect())
    }

    /// Why the provider would refuse a call by its own last word, and until when.
    pub(super) fn refusal(&self, provider: &str, model: &str, asked: &Amounts, now: Now) -> Option<Refusal> {
        let known = self.0.get(provider)?;
        known.learned.seen_at?;
        let micros_to = |until: Timestamp| until.unix_micros() - now.at.unix_micros();
        let asks_to_wait = |until: Option<Timestamp>, model| {
            let (until, quota, spent) = (until?, known.learned.requests, known.requests);
            Some(Word { until, model, quota, spent, counts_tokens: false, micros: micros_to(until) })
        };
        let has_no_room = |quota: Quota, spent, asked, counts_tokens| {
            let (until, micros) = (quota.without(spent, asked)?, quota.micros_until_full()?);
            Some(Word { until, model: None, quota, spent, counts_tokens, micros })
        };
        let words = [
            asks_to_wait(known.waits.get(model).copied(), Some(model)),
            asks_to_wait(known.closed_until, None),
            has_no_room(known.learned.requests, known.requests, 1, false),
            has_no_room(known.learned.tokens, known.tokens, unsigned(asked.tokens).max(1), true),
        ];
        let in_the_way = words.into_iter().flatten().filter(|word| word.until > now.at);
        let word = in_the_way.max_by_key(|word| word.until)?;
        let max = word.quota.limit.unwrap_or_default();
        let left = word.quota.remaining.unwrap_or_default().saturating_sub(word.spent);
        Some(Refusal {
            limit: word.limit(),
            label: label_of(provider, word.model),
            used: max.saturating_sub(left),
            max,
            budget: false,
            at_limit: None,
            learned: true,
            stopped: false,
            held: false,
            next: NextSafe::after_micros(now.at, micros_to(word.until)),
        })
    }

    /// A call was admitted: until the next word there is so much less.
    pub(super) fn admitted(&mut self, provider: &str, asked: &Amounts) {
        if let Some(known) = self.0.get_mut(provider) {
            known.requests = known.requests.saturating_add(1);
            known.tokens = known.tokens.saturating_add(unsigned(asked.tokens));
        }
    }

    /// Takes in an answer's headers. What it does not speak of stays as it was; an empty answer changes nothing.
    pub(super) fn observe(&mut self, provider: &str, observed: Observed<'_>, at: Timestamp) {
        let is_empty = observed == Observed { model: observed.model, ..Observed::default() };
        let Some(known) = self.0.get_mut(provider).filter(|_| !is_empty) else {
            return;
        };
        known.requests = if observed.requests_remaining.is_some() { 0 } else { known.requests };
        known.tokens = if observed.tokens_remaining.is_some() { 0 } else { known.tokens };
        let moment = |ms: Option<u64>| ms.map(|ms| at.plus_micros(ms.min(LEARNED_MAX_MS) as i64 * 1000));
        let asks_to_wait = moment(observed.retry_after_ms);
        asks_to_wait.into_iter().for_each(|until| known.close(observed.model, until, at));
        let learned = &mut known.learned;
        let newer = |old: Quota, limit: Option<u64>, remaining: Option<u64>, reset_ms: Option<u64>| Quota {
            limit: limit.or(old.limit),
            remaining: remaining.or(old.remaining),
            told_at: remaining.map(|_| at).or(old.told_at),
            resets_at: moment(reset_ms).or(old.resets_at),
        };
        *learned = Learned {
            requests: newer(
                learned.requests,
                observed.requests_limit,
                observed.requests_remaining,
                observed.requests_reset_ms,
            ),
            tokens: newer(learned.tokens, observed.tokens_limit, observed.tokens_remaining, observed.tokens_reset_ms),
            retry_at: asks_to_wait.or(learned.retry_at),
            seen_at: Some(at),
        };
    }

    /// Providers that have said something, by name.
    pub(super) fn learned(&self) -> impl Iterator<Item = (&str, &Learned)> {
        let words = self.0.iter().map(|(name, known)| (&**name, &known.learned));
        words.filter(|(_, learned)| learned.seen_at.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_configured_providers_are_kept_and_silence_changes_nothing() {
        let at = Timestamp::parse("2026-11-22T14:00:00Z").expect("a time");
        let mut observations = Observations::of(["cloud"]);
        let first = Observed { requests_limit: Some(15), requests_remaining: Some(3), ..Observed::default() };
        observations.observe("cloud", first, at);
        observations.observe("stranger", first, at);
        observations.observe("cloud", Observed { retry_after_ms: Some(2_000), ..Observed::default() }, at);
        observations.observe("cloud", Observed::default(), at.plus_micros(9));
        let learned: Vec<_> = observations.learned().collect();
        assert_eq!(learned.len(), 1);
        let (name, learned) = learned[0];
        assert_eq!((name, learned.requests.remaining, learned.seen_at), ("cloud", Some(3), Some(at)));
        assert_eq!(learned.retry_at, Some(at.plus_micros(2_000_000)));
    }

    /// Milliseconds that the provider `cloud` would keep a call of ten tokens away, at a moment after it spoke.
    fn waits(observed: Observed<'_>, admitted: usize, after_ms: i64) -> Option<u64> {
        let at = Timestamp::parse("2026-11-22T14:00:00Z").expect("a time");
        let mut observations = Observations::of(["cloud", "local"]);
        observations.observe("cloud", observed, at);
        let asked = Amounts { requests: 1, tokens: 10, pico_usd: 0 };
        (0..admitted).for_each(|_| observations.admitted("cloud", &asked));
        let now = Now { at: at.plus_micros(after_ms * 1000), tick: crate::usage::Tick(1) };
        assert_eq!(observations.refusal("local", "m", &asked, now), None);
        let refusal = observations.refusal("cloud", "m", &asked, now)?;
        assert!(refusal.learned && refusal.label.to_string() == "provider:cloud");
        refusal.wait_ms()
    }

    #[test]
    fn a_provider_is_believed_until_there_is_room_and_each_admitted_call_takes_of_what_it_left() {
        let requests = |remaining, reset| Observed {
            requests_limit: Some(15),
            requests_remaining: remaining,
            requests_reset_ms: reset,
            ..Observed::default()
        };
        let two = requests(Some(2), Some(9_000));
        assert_eq!(
            [waits(two, 1, 0), waits(two, 2, 0), waits(two, 2, 692), waits(two, 2, 693), waits(two, 99, 0)],
            [None, Some(693), Some(1), None, Some(9_000)]
        );
        let of_a_day = |limit, remaining, ms| Observed {
            requests_limit: limit,
            requests_remaining: Some(remaining),
            requests_reset_ms: Some(ms),
            ..Observed::default()
        };
        // Two hundred a day, none left: one comes back every 7 minutes and 12 seconds.
        assert_eq!(waits(of_a_day(Some(200), 0, LEARNED_MAX_MS), 0, 0), Some(432_000));
        let tokens = Observed {
            tokens_limit: Some(100),
            tokens_remaining: Some(25),
            tokens_reset_ms: Some(60_000),
            ..Observed::default()
        };
        assert_eq!([waits(tokens, 1, 0), waits(tokens, 2, 0)], [None, Some(4_000)]);
        let unsaid =
            [requests(None, Some(9_000)), requests(Some(0), None), requests(None, None), of_a_day(None, 0, 9_000)];
        assert_eq!(unsaid.map(|observed| waits(observed, 99, 0)), [None; 4]);
    }

    #[test]
    fn a_silly_wait_is_a_day_and_the_longest_of_several_counts() {
        let observed = |ms| Observed {
            retry_after_ms: Some(ms),
            requests_limit: Some(1),
            requests_remaining: Some(0),
            requests_reset_ms: Some(5_000),
            ..Observed::default()
        };
        assert_eq!(waits(observed(1_000_000_000_000), 0, 0), Some(LEARNED_MAX_MS));
        assert_eq!(waits(observed(u64::MAX), 0, 0), Some(LEARNED_MAX_MS));
        assert_eq!([waits(observed(2_000), 0, 0), waits(observed(0), 0, 0)], [Some(5_000); 2]);
    }

    #[test]
    fn a_wait_that_came_for_one_model_leaves_the_others_open_and_only_so_many_are_told_apart() {
        let at = Timestamp::parse("2026-11-22T14:00:00Z").expect("a time");
        let mut observations = Observations::of(["cloud"]);
        fn wait(model: Option<&str>, ms: u64) -> Observed<'_> {
            Observed { model, retry_after_ms: Some(ms), ..Observed::default() }
        }
        let closed = |observations: &Observations, model: &str, after_ms: i64| {
            let now = Now { at: at.plus_micros(after_ms * 1000), tick: crate::usage::Tick(1) };
            let refusal = observations.refusal("cloud", model, &Amounts { requests: 1, ..Amounts::default() }, now)?;
            Some((refusal.label.to_string(), refusal.wait_ms().expect("it ends")))
        };
        observations.observe("cloud", wait(Some("pro"), LEARNED_MAX_MS), at);
        observations.observe("cloud", wait(Some("lite"), 2_000), at);
        let of = |label: &str, ms| Some((label.to_owned(), ms));
        assert_eq!(closed(&observations, "pro", 0), of("provider:cloud model:pro", LEARNED_MAX_MS));
        assert_eq!(closed(&observations, "lite", 0), of("provider:cloud model:lite", 2_000));
        assert_eq!([closed(&observations, "flash", 0), closed(&observations, "lite", 2_000)], [None, None]);
        assert_eq!(observations.learned().next().expect("it spoke").1.retry_at, Some(at.plus_micros(2_000_000)));
        observations.observe("cloud", Observed { model: Some("pro"), ..Observed::default() }, at.plus_micros(9));
        assert_eq!(observations.learned().next().expect("it spoke").1.seen_at, Some(at), "silence, whatever the model");
        (2..MODELS_MAX).for_each(|n| observations.observe("cloud", wait(Some(&n.to_string()), 5_000), at));
        assert_eq!(closed(&observations, "flash", 0), None);
        observations.observe("cloud", wait(Some("one too many"), 9_000), at);
        assert_eq!(closed(&observations, "flash", 0), of("provider:cloud", 9_000));
        observations.observe("cloud", wait(Some("room again"), 9_000), at.plus_micros(5_000_000));
        assert_eq!(closed(&observations, "room again", 5_000), of("provider:cloud model:room again", 9_000));
        assert_eq!(observations.0["cloud"].waits.len(), 2, "the waits that are over are forgotten");
    }
}
