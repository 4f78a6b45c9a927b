//! Limits without numbers: which are nearly full or full, and when they are back.

use serde::Serialize;

use super::Audience;
use crate::limits::{Facet, Window};
use crate::usage::Timestamp;

/// A limit is nearly full from this percentage on.
const NEARLY_FULL_PERCENT: u128 = 80;

/// One limit that is nearly full or full.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NearlyFull {
    /// The provider or the model it is about; `everything` where it is about none, or is the audience's own.
    pub name: String,
    /// The facet that makes it the person's own, or the group's.
    pub own: Option<&'static str>,
    /// Nothing is left of it.
    pub full: bool,
    /// `None` while it is not full, and where it never is back.
    pub back_in_seconds: Option<u64>,
}

/// The limits an audience may run into, the worst of each name, in the order of the rules.
pub fn nearly_full(windows: &[Window], audience: &Audience, now: Timestamp) -> Vec<NearlyFull> {
    let mut found: Vec<NearlyFull> = Vec::new();
    for level in windows.iter().filter_map(|window| level_of(window, audience, now)) {
        match found.iter_mut().find(|other| (&other.name, other.own) == (&level.name, level.own)) {
            Some(other) if (level.full, level.back_in_seconds) > (other.full, other.back_in_seconds) => *other = level,
            Some(_) => {}
            None => found.push(level),
        }
    }
    found
}

fn level_of(window: &Window, audience: &Audience, now: Timestamp) -> Option<NearlyFull> {
    let own = audience.own();
    // Somebody else's, or about what people do not choose: a key, a feature, another channel.
    let concerns = |facet: Facet, value: &str| match facet {
        Facet::Provider | Facet::Model => true,
        _ => own.as_ref().is_some_and(|(of, own)| *of == facet && own == value),
    };
    let held = u128::from(window.used) + u128::from(window.reserved);
    let is_near = held * 100 >= u128::from(window.max) * NEARLY_FULL_PERCENT || window.stopped;
    if !is_near || window.paused || !window.label.0.iter().all(|(facet, value)| concerns(*facet, value)) {
        return None;
    }
    let full = held >= u128::from(window.max) || window.stopped;
    let micros = window.resets_at.map(|at| (at.unix_micros() - now.unix_micros()).max(0).unsigned_abs());
    let own = own.and_then(|(facet, _)| window.label.get(facet).map(|_| facet.as_str()));
    let provider_or_model = || window.provider().or(window.label.get(Facet::Model));
    let name = own.map_or_else(provider_or_model, |_| None).unwrap_or("everything");
    Some(NearlyFull {
        name: name.to_owned(),
        own,
        full,
        back_in_seconds: micros.filter(|_| full && window.max > 0).map(|micros| micros.div_ceil(1_000_000)),
    })
}
