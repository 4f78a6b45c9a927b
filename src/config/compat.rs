//! The section `[compat]`: answering as older programs did.

use super::reader::Section;
use crate::usage::Money;

/// `[compat]`: the forms of older programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compat {
    /// Whether `GET /stats` and `POST /metrics/reset` answer in raymundo's form unless another is asked for.
    pub raymundo: bool,
    /// That form's one price: dollars per 1,000 cloud tokens, in whole nano-dollars.
    pub raymundo_usd_per_1000: Money,
}

impl Default for Compat {
    fn default() -> Compat {
        Compat { raymundo: false, raymundo_usd_per_1000: Money::from_pico_usd(45_000_000_000) }
    }
}

impl Compat {
    pub(super) fn read(section: &mut Section<'_>) -> Compat {
        let default = Compat::default();
        let raymundo = section.flag("raymundo").unwrap_or(default.raymundo);
        let price = price(section).unwrap_or(default.raymundo_usd_per_1000);
        if section.flag("gemini_monitor") == Some(true) {
            let text =
                "`compat.gemini_monitor` is `true`, which comes with a later version; write `gemini_monitor = false`";
            section.wrong("gemini_monitor", text.to_owned());
        }
        Compat { raymundo, raymundo_usd_per_1000: price }
    }
}

fn price(section: &mut Section<'_>) -> Option<Money> {
    let expected = "dollars per 1,000 cloud tokens as a decimal in quotes, 0 to 1000 with at most 9 places";
    section.parsed("raymundo_usd_per_1000", expected, "\"0.045\"", |text| {
        let price = Money::parse_usd(text).ok()?;
        let most = Money::from_pico_usd(1_000_000_000_000_000);
        // So that the price of one token is a whole number of pico-dollars.
        (!text.starts_with('-') && price <= most && price.pico_usd() % 1_000 == 0).then_some(price)
    })
}
