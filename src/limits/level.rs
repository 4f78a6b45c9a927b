//! How near a window is to its cap, in words.

use super::kind::{LimitKind, Measure};

/// How near a window is to its cap, the nearest last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Level {
    /// Far from it.
    #[default]
    Normal,
    /// Worth watching.
    Caution,
    /// Worth doing something.
    Warning,
    /// As good as used up, or used up.
    Critical,
}

impl Level {
    /// Those that are worth telling, the lowest first.
    pub const TOLD: [Level; 3] = [Level::Caution, Level::Warning, Level::Critical];

    /// Its name in the configuration, in files and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Level::Normal => "normal",
            Level::Caution => "caution",
            Level::Warning => "warning",
            Level::Critical => "critical",
        }
    }
}

/// From where on a level holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Threshold {
    /// From this many thousandths of the cap on.
    Permille(u32),
    /// From this many tokens on; of windows that count something else, the level's usual share.
    Tokens(u64),
}

/// From where on each of [`Level::TOLD`] holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds(pub [Threshold; 3]);

/// 80, 90 and 95 percent.
const USUAL_PERMILLE: [u32; 3] = [800, 900, 950];

impl Default for Thresholds {
    fn default() -> Thresholds {
        Thresholds(USUAL_PERMILLE.map(Threshold::Permille))
    }
}

impl Thresholds {
    /// The level of a window of which `used` (requests, tokens or pico-dollars) is used. A cap of 0 is always used up.
    pub fn level(&self, limit: LimitKind, used: u64, max: u64) -> Level {
        let reached = |at: usize| {
            let permille = match self.0[at] {
                Threshold::Tokens(tokens) if limit.measure() == Measure::Tokens => return used >= tokens.min(max),
                Threshold::Tokens(_) => USUAL_PERMILLE[at],
                Threshold::Permille(permille) => permille,
            };
            u128::from(used) * 1000 >= u128::from(max) * u128::from(permille)
        };
        let highest = (0..Level::TOLD.len()).rev().find(|at| reached(*at));
        highest.map_or(Level::Normal, |at| Level::TOLD[at])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_level_begins_at_its_threshold() {
        let of = |used| Thresholds::default().level(LimitKind::RequestsPerDay, used, 100);
        let found = [0, 79, 80, 89, 90, 94, 95, 100, 250].map(of);
        use Level::{Caution, Critical, Normal, Warning};
        assert_eq!(found, [Normal, Normal, Caution, Caution, Warning, Warning, Critical, Critical, Critical]);
        assert_eq!(Thresholds::default().level(LimitKind::RequestsPerDay, 0, 0), Critical);
    }

    #[test]
    fn thresholds_in_tokens_hold_for_tokens_and_the_usual_share_for_all_else() {
        let thresholds = Thresholds([Threshold::Tokens(10), Threshold::Tokens(20), Threshold::Permille(999)]);
        assert_eq!(thresholds.level(LimitKind::TokensPerDay, 10, 1_000), Level::Caution);
        assert_eq!(thresholds.level(LimitKind::TokensPerDay, 20, 1_000), Level::Warning);
        assert_eq!(thresholds.level(LimitKind::TokensPerDay, 999, 1_000), Level::Critical);
        assert_eq!(thresholds.level(LimitKind::RequestsPerDay, 20, 1_000), Level::Normal);
        assert_eq!(thresholds.level(LimitKind::RequestsPerDay, 800, 1_000), Level::Caution);
    }
}
