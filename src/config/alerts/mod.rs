//! The section `[alerts]`: what is worth telling without being asked, and in `[alerts.…]` where it is told.

mod places;

use toml::de::DeValue;

use super::reader::{Section, Whole};
use crate::templates::Lang;

pub use places::{AlertMail, AlertPost, AlertSecurity, AlertSeverity, AlertWebhook};

/// `[alerts]`: what is told, and where beside the log.
#[derive(Clone, Debug)]
pub struct Alerts {
    /// From where on a window is at caution, warning and critical.
    pub levels: [AlertThreshold; 3],
    /// Whether it is told that a window of which a level was told has ended.
    pub recovered: bool,
    /// The language of what is told; `None` is the owner's.
    pub language: Option<Lang>,
    /// From so many percent of failed calls on; 0 is never.
    pub error_rate_percent: u64,
    /// After a provider has not answered for so many minutes; 0 is never.
    pub provider_down_minutes: u64,
    /// From so many times the cost of a usual hour on; 0 is never.
    pub cost_spike_factor: u64,
    /// Prompts above so many tokens are large.
    pub large_prompt_tokens: u64,
    /// Where a large prompt is told.
    pub large_prompts: LargePrompts,
    /// Whether the admins are told in their chats.
    pub chats: bool,
    /// A program of the owner's.
    pub webhook: Option<AlertWebhook>,
    /// A channel of Slack's.
    pub slack: Option<AlertPost>,
    /// A channel of Discord's.
    pub discord: Option<AlertPost>,
    /// Mailboxes.
    pub mail: Option<AlertMail>,
}

/// From where on a level holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlertThreshold {
    /// From so many thousandths of the cap on.
    Permille(u32),
    /// From so many tokens on; of windows that count something else, the usual share.
    Tokens(u64),
}

/// Where a large prompt is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LargePrompts {
    /// In the log alone.
    #[default]
    Log,
    /// As an alert, everywhere.
    Chat,
}

/// The levels by their keys, with what holds where nothing is said.
const LEVELS: [(&str, u32); 3] = [("caution", 800), ("warning", 900), ("critical", 950)];

impl Default for Alerts {
    fn default() -> Alerts {
        Alerts {
            levels: LEVELS.map(|(_, permille)| AlertThreshold::Permille(permille)),
            recovered: true,
            language: None,
            error_rate_percent: 5,
            provider_down_minutes: 2,
            cost_spike_factor: 3,
            large_prompt_tokens: 2_000,
            large_prompts: LargePrompts::default(),
            chats: true,
            webhook: None,
            slack: None,
            discord: None,
            mail: None,
        }
    }
}

impl Alerts {
    pub(super) fn read(section: &mut Section<'_>) -> Alerts {
        let default = Alerts::default();
        let levels = LEVELS.map(|(key, permille)| threshold(section, key, permille));
        check_order(section, levels);
        let mut whole = |key, min, max, unit, default| {
            section.whole(key, Whole { min, max, unit, example: default }).unwrap_or(default)
        };
        let error_rate_percent = whole("error_rate_percent", 0, 100, "percent (0: never)", default.error_rate_percent);
        let provider_down_minutes =
            whole("provider_down_minutes", 0, 1_440, "minutes (0: never)", default.provider_down_minutes);
        let cost_spike_factor = whole("cost_spike_factor", 0, 1_000, "times (0: never)", default.cost_spike_factor);
        let large_prompt_tokens = whole("large_prompt_tokens", 1, 10_000_000, "tokens", default.large_prompt_tokens);
        if cost_spike_factor == 1 {
            let text = "`alerts.cost_spike_factor` is `1`: every hour above the usual would be told; expected 0 for \
                        never, or 2 and more, for example `cost_spike_factor = 3`";
            section.wrong("cost_spike_factor", text.to_owned());
        }
        Alerts {
            levels,
            recovered: section.flag("recovered").unwrap_or(default.recovered),
            language: section.choice("language", &Lang::ALL.map(|lang| (lang.code(), lang))),
            error_rate_percent,
            provider_down_minutes,
            cost_spike_factor,
            large_prompt_tokens,
            large_prompts: section
                .choice("large_prompts", &[("log", LargePrompts::Log), ("chat", LargePrompts::Chat)])
                .unwrap_or_default(),
            chats: section.flag("chats").unwrap_or(default.chats),
            webhook: section.table("webhook", AlertWebhook::read),
            slack: section.table("slack", AlertPost::read),
            discord: section.table("discord", AlertPost::read),
            mail: section.table("mail", AlertMail::read),
        }
    }
}

/// `80`, `"80%"` or `"1200000 tokens"`.
fn threshold(section: &mut Section<'_>, key: &'static str, usual: u32) -> AlertThreshold {
    let usual_threshold = AlertThreshold::Permille(usual);
    let Some(item) = section.find(key) else { return usual_threshold };
    let read = match item.value {
        DeValue::Integer(digits) => percent(digits.as_str()),
        DeValue::String(text) => match (text.trim().strip_suffix('%'), text.trim().strip_suffix("tokens")) {
            (Some(share), _) => percent(share.trim()),
            (None, Some(count)) => tokens(count.trim()),
            (None, None) => None,
        },
        _ => None,
    };
    if read.is_none() {
        item.wrong(
            "1% to 100% of the cap, or a number of tokens (`\"1200000 tokens\"`)",
            &format!("\"{}%\"", usual / 10),
        );
    }
    read.unwrap_or(usual_threshold)
}

/// A share from 1 to 100, with at most one digit behind the point.
fn percent(text: &str) -> Option<AlertThreshold> {
    let (whole, tenth) = text.split_once('.').unwrap_or((text, "0"));
    let is_number = |part: &str, digits: usize| {
        (1..=digits).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    if !is_number(whole, 3) || !is_number(tenth, 1) {
        return None;
    }
    let permille = whole.parse::<u32>().ok()? * 10 + tenth.parse::<u32>().ok()?;
    (10..=1_000).contains(&permille).then_some(AlertThreshold::Permille(permille))
}

fn tokens(text: &str) -> Option<AlertThreshold> {
    let count = text.replace('_', "").parse::<u64>().ok()?;
    (1..=1_000_000_000_000).contains(&count).then_some(AlertThreshold::Tokens(count))
}

/// Each level begins above the one before it, as far as both are said in the same unit.
fn check_order(section: &Section<'_>, levels: [AlertThreshold; 3]) {
    for (low, high) in [(0, 1), (0, 2), (1, 2)] {
        let is_below = match (levels[low], levels[high]) {
            (AlertThreshold::Permille(low), AlertThreshold::Permille(high)) => low < high,
            (AlertThreshold::Tokens(low), AlertThreshold::Tokens(high)) => low < high,
            _ => true,
        };
        if !is_below {
            let (low_key, high_key) = (LEVELS[low].0, LEVELS[high].0);
            let at = if section.has(high_key) { high_key } else { low_key };
            let text = format!(
                "`{}` begins at {} and `{high_key}` at {}; expected each level above the one before, for example \
                 `caution = \"80%\"`, `warning = \"90%\"`, `critical = \"95%\"`",
                section.path_of(low_key),
                shown(levels[low]),
                shown(levels[high])
            );
            section.wrong(at, text);
            return;
        }
    }
}

fn shown(threshold: AlertThreshold) -> String {
    match threshold {
        AlertThreshold::Permille(permille) if permille % 10 == 0 => format!("{}%", permille / 10),
        AlertThreshold::Permille(permille) => format!("{}.{}%", permille / 10, permille % 10),
        AlertThreshold::Tokens(tokens) => format!("{tokens} tokens"),
    }
}
