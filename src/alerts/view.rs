//! A notice as texts and wires show it: the context of the template `alert`, and the body of a webhook.

use serde::Serialize;

use super::notice::{Alert, Notice, WindowAlert};
use crate::limits::{Facet, Label, LimitKind, Measure};
use crate::usage::{Money, Timestamp};

/// A notice with every number and name it says; a field that does not belong to what happened is not there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AlertView {
    /// The same for ever for the same event.
    pub id: String,
    /// When it was noticed, in the owner's zone.
    pub at: Timestamp,
    /// `info`, `caution`, `warning` or `critical`.
    pub severity: &'static str,
    /// What happened; its name is the field `alert`.
    #[serde(flatten)]
    pub happened: Happened,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "alert", rename_all = "snake_case")]
pub enum Happened {
    /// A window reached a level.
    Level {
        /// `caution`, `warning` or `critical`.
        level: &'static str,
        /// Which window.
        #[serde(flatten)]
        window: WindowView,
    },
    /// More windows of one rule reached a level than are told one by one.
    Many {
        /// `caution`, `warning` or `critical`.
        level: &'static str,
        /// Whose: as in [`WindowView`], with `*` for each of many.
        scope: Option<String>,
        /// What they count, such as `usd_per_day`.
        limit: LimitKind,
        /// So many at least have reached it, those told one by one among them.
        count: u64,
    },
    /// A window of which a level was told is normal again.
    Recovered {
        /// Which window.
        #[serde(flatten)]
        window: WindowView,
    },
    /// Too many calls fail.
    ErrorRate {
        /// Failed calls.
        failed: u64,
        /// All calls that ended ok or failed.
        total: u64,
        /// In the last so many minutes.
        minutes: u64,
        /// `failed` of `total`, rounded down.
        percent: u64,
    },
    /// Calls succeed again.
    ErrorRateBack,
    /// A provider does not answer.
    ProviderDown {
        /// Its name in the configuration.
        provider: String,
        /// How it fails: a class, as in `error_name`.
        kind: &'static str,
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
        hour_usd: Money,
        /// What an hour like this costs otherwise.
        usual_usd: Money,
    },
    /// The books cannot be written.
    LedgerDown {
        /// What the system says.
        trouble: String,
    },
    /// They can be written again.
    LedgerBack,
    /// Somebody sent a large prompt.
    LargePrompt {
        /// The model.
        model: String,
        /// Its tokens.
        tokens: u64,
    },
    /// Somebody tries whether alerts arrive.
    Test,
    /// It was about to be told when tallybot stopped, and what it said is no longer known.
    Forgotten,
}

/// A window of a limit. Of tokens and requests `used` and `max` are there, of money `used_usd` and `max_usd`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WindowView {
    /// Whose, for the filter `scope`: a provider's name alone, else facets and values (`team:sales`); missing for
    /// everything.
    pub scope: Option<String>,
    /// What it counts, such as `usd_per_day`, for the filter `limit_name`.
    pub limit: LimitKind,
    /// `day`, `week`, `month` or `prepaid`.
    pub span: &'static str,
    /// The first day of the window, in the zone of its rule, such as `2026-11-22`.
    pub window: String,
    /// Requests or tokens used.
    pub used: Option<u64>,
    /// Of so many.
    pub max: Option<u64>,
    /// Money spent.
    pub used_usd: Option<Money>,
    /// Of so much.
    pub max_usd: Option<Money>,
    /// How much of it is used, in whole percent, rounded down; 100 of a cap of 0.
    pub percent: u64,
    /// When it is empty again; missing for a prepaid one.
    pub resets_at: Option<Timestamp>,
    /// How long until then.
    pub resets_in_seconds: Option<u64>,
}

impl Notice {
    /// The notice as it is shown. `who` gives the name that a person (a subject id) is shown by; where it gives none,
    /// the id is shown.
    pub fn view(&self, who: impl Fn(&str) -> Option<String>) -> AlertView {
        let window = |window: &WindowAlert| window_view(window, self.at, &who);
        let happened = match &self.alert {
            Alert::Level { window: of, level } => Happened::Level { level: level.as_str(), window: window(of) },
            Alert::Many { label, limit, level, count, .. } => {
                Happened::Many { level: level.as_str(), scope: scope(label, &who), limit: *limit, count: *count }
            }
            Alert::Recovered { window: of } => Happened::Recovered { window: window(of) },
            Alert::ErrorRate { failed, total, minutes } => Happened::ErrorRate {
                failed: *failed,
                total: *total,
                minutes: *minutes,
                percent: percent(*failed, *total),
            },
            Alert::ErrorRateBack => Happened::ErrorRateBack,
            Alert::ProviderDown { provider, kind, since } => {
                Happened::ProviderDown { provider: provider.clone(), kind: kind.as_str(), since: *since }
            }
            Alert::ProviderBack { provider, seconds } => {
                Happened::ProviderBack { provider: provider.clone(), seconds: *seconds }
            }
            Alert::UnknownPrice { provider, model, others } => {
                Happened::UnknownPrice { provider: provider.clone(), model: model.clone(), others: *others }
            }
            Alert::CostSpike { hour, usual } => Happened::CostSpike { hour_usd: *hour, usual_usd: *usual },
            Alert::LedgerDown { trouble } => Happened::LedgerDown { trouble: trouble.clone() },
            Alert::LedgerBack => Happened::LedgerBack,
            Alert::LargePrompt { model, tokens } => Happened::LargePrompt { model: model.clone(), tokens: *tokens },
            Alert::Test => Happened::Test,
            Alert::Forgotten => Happened::Forgotten,
        };
        AlertView { id: self.id.clone(), at: self.at, severity: self.severity().as_str(), happened }
    }
}

fn window_view(window: &WindowAlert, now: Timestamp, who: &impl Fn(&str) -> Option<String>) -> WindowView {
    let is_money = window.limit.measure() == Measure::Money;
    let count = |amount: u64| (!is_money).then_some(amount);
    let money = |amount: u64| is_money.then_some(Money::from_pico_usd(i128::from(amount)));
    WindowView {
        scope: scope(&window.label, who),
        limit: window.limit,
        span: window.limit.span().as_str(),
        window: window.window.to_string(),
        used: count(window.used),
        max: count(window.max),
        used_usd: money(window.used),
        max_usd: money(window.max),
        percent: percent(window.used, window.max),
        resets_at: window.resets_at,
        resets_in_seconds: window.resets_at.map(|at| at.seconds_since(now)),
    }
}

/// Whose something is, for the filter `scope`: a provider's name alone, else facets and values (`team:sales`); `None`
/// for everything. `who` gives the name that a person is shown by, as in [`Notice::view`].
pub fn scope(label: &Label, who: &impl Fn(&str) -> Option<String>) -> Option<String> {
    let mut shown = label.clone();
    for (facet, value) in &mut shown.0 {
        if let Some(name) = (*facet == Facet::User).then(|| who(value)).flatten() {
            *value = name.into();
        }
    }
    match &shown.0[..] {
        [] => None,
        [(Facet::Provider, name)] => Some(name.to_string()),
        _ => Some(shown.to_string()),
    }
}

/// In whole percent, rounded down; all of nothing is 100.
fn percent(part: u64, whole: u64) -> u64 {
    (u128::from(part) * 100).checked_div(u128::from(whole)).map_or(100, |percent| percent as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Level;
    use crate::usage::Day;

    fn window(limit: LimitKind, facet: Facet, value: &str) -> WindowAlert {
        let label = Label(vec![(facet, value.into())]);
        let resets_at = Some(Timestamp::new(86_460_000_000, 0));
        WindowAlert { label, limit, window: Day(0), used: 1_900_000_000_000, max: 2_000_000_000_000, resets_at }
    }

    fn view(alert: Alert) -> serde_json::Value {
        let notice = Notice { id: "a1".into(), at: Timestamp::new(86_400_000_000, 0), alert };
        let name = |id: &str| (id == "k7").then(|| "111".to_owned());
        serde_json::to_value(notice.view(name)).expect("plain data")
    }

    #[test]
    fn money_is_told_in_dollars_and_people_by_the_name_they_have() {
        let of =
            |value| Alert::Level { window: window(LimitKind::UsdPerDay, Facet::User, value), level: Level::Critical };
        let shown = view(of("k7"));
        assert_eq!(shown["alert"], "level");
        assert_eq!((&shown["used_usd"], &shown["max_usd"]), (&"1.9".into(), &"2".into()));
        assert_eq!(
            (&shown["used"], &shown["percent"], &shown["resets_in_seconds"]),
            (&().into(), &95.into(), &60.into())
        );
        assert_eq!((&shown["scope"], &view(of("x"))["scope"]), (&"user:111".into(), &"user:x".into()));
        assert_eq!((&shown["severity"], &shown["window"]), (&"critical".into(), &"1970-01-01".into()));
    }

    #[test]
    fn counts_are_counts_and_a_provider_is_told_by_its_name() {
        let shown = view(Alert::Recovered { window: window(LimitKind::TokensPerDay, Facet::Provider, "cloud") });
        assert_eq!((&shown["alert"], &shown["scope"]), (&"recovered".into(), &"cloud".into()));
        assert_eq!((&shown["max"], &shown["max_usd"]), (&2_000_000_000_000_u64.into(), &().into()));
        assert_eq!(percent(0, 0), 100);
    }
}
