//! One list of rows with its look-up by name, its price ids and its checks. Several lists make a book.

use std::collections::HashMap;

use foldhash::fast::FixedState;

use super::book::Origin;
use super::model_name::ModelName;
use super::{PriceRow, Tier};
use crate::usage::names::Name;

/// No price id is longer.
pub const MAX_PRICE_ID_BYTES: usize = 64;

/// `:ultrafast`, which a multiple may add to a row's id.
const MAX_TIER_SUFFIX_BYTES: usize = 10;

/// A mistake in a list of prices. Rows are counted from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PriceListError {
    /// The model's name cannot be looked up.
    #[error(
        "price row {row}: `{name}` is not a model name; expected for example `gpt-4o`, or `gpt-4o*` for all that begin so"
    )]
    Name {
        /// The row.
        row: usize,
        /// The name.
        name: String,
    },
    /// The row never counts.
    #[error("price row {row}: `until` is not after `from`")]
    Never {
        /// The row.
        row: usize,
    },
    /// Two rows price the same call.
    #[error(
        "price rows {first} and {second} both price `{name}` at the same time; expected `until` on the earlier one"
    )]
    Overlap {
        /// The earlier row.
        first: usize,
        /// The later row.
        second: usize,
        /// The name they share.
        name: String,
    },
}

/// A row and its id.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) row: PriceRow,
    pub(super) id: Name<'static>,
}

/// As what any list of a book has a row of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KnownAs {
    /// As it is written.
    Itself,
    /// As its family only, without its date.
    Family,
    /// No list has either.
    Nothing,
}

/// A list of rows, indexed by name.
#[derive(Debug)]
pub(super) struct Layer {
    pub(super) origin: Origin,
    pub(super) entries: Vec<Entry>,
    /// Fixed hashing is safe: the names are ours or the owner's, and nothing is inserted later.
    exact: HashMap<Box<str>, Vec<usize>, FixedState>,
    /// Names that end in `*`, without it.
    beginnings: HashMap<Box<str>, Vec<usize>, FixedState>,
    /// The length of the longest of them.
    longest: usize,
}

impl Layer {
    /// Checks and indexes rows.
    ///
    /// # Errors
    /// Every mistake in the list.
    pub(super) fn new(origin: Origin, rows: Vec<PriceRow>) -> Result<Layer, Vec<PriceListError>> {
        let mistakes = mistakes(&rows);
        if !mistakes.is_empty() {
            return Err(mistakes);
        }
        let entries: Vec<Entry> =
            rows.into_iter().map(|row| Entry { id: price_id(&origin, &row).into(), row }).collect();
        let mut layer =
            Layer { origin, entries, exact: HashMap::default(), beginnings: HashMap::default(), longest: 0 };
        for at in 0..layer.entries.len() {
            let names: Vec<String> = layer.entries[at].row.names().map(str::to_owned).collect();
            names.into_iter().for_each(|name| layer.index(&name, at));
        }
        Ok(layer)
    }

    fn index(&mut self, name: &str, at: usize) {
        let Some(beginning) = name.strip_suffix('*') else {
            return self.exact.entry(name.into()).or_default().push(at);
        };
        self.longest = self.longest.max(beginning.len());
        self.beginnings.entry(beginning.into()).or_default().push(at);
    }

    /// Whether a row has exactly this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.exact.contains_key(name)
    }

    /// The rows of a name: by its exact form, then by its family, then by how it begins.
    pub(super) fn rows_of(&self, name: &ModelName<'_>, known: KnownAs) -> impl Iterator<Item = &Entry> {
        self.places_of(name, known).map(|at| &self.entries[at])
    }

    /// Where they stand among the entries.
    pub(super) fn places_of(&self, name: &ModelName<'_>, known: KnownAs) -> impl Iterator<Item = usize> {
        let family = name.family.filter(|_| known != KnownAs::Itself);
        // A list of somebody else's is not asked by beginnings where any list knows the name: they catch too much.
        let by_beginning = self.origin != Origin::Taken || known == KnownAs::Nothing;
        [Some(name.whole), Some(name.bare).filter(|bare| *bare != name.whole), family]
            .into_iter()
            .flatten()
            .find_map(|name| self.exact.get(name))
            .or_else(|| self.by_beginning(name).filter(|_| by_beginning))
            .into_iter()
            .flatten()
            .copied()
    }

    /// The rows of the longest beginning that fits.
    fn by_beginning(&self, name: &ModelName<'_>) -> Option<&Vec<usize>> {
        let longest = |text: &str| {
            let beginnings = (0..=text.len().min(self.longest)).rev().filter_map(|end| text.get(..end));
            beginnings.filter_map(|beginning| Some((beginning.len(), self.beginnings.get(beginning)?))).next()
        };
        let found = [name.whole, name.bare].map(longest);
        found.into_iter().flatten().max_by_key(|(length, _)| *length).map(|(_, rows)| rows)
    }
}

/// The row of one vendor that prices this call, and whether it prices the tier itself (or is its standard row).
///
/// Among the rows for which `counts` holds, one that names the tier beats one for every tier, the higher threshold beats the lower, and
/// a row with hours beats one without.
pub(super) fn choose<'a>(
    rows: impl Iterator<Item = &'a Entry>,
    vendor: Option<&str>,
    counts: &impl Fn(&PriceRow) -> bool,
    tier: Option<Tier>,
) -> Option<&'a Entry> {
    rows.filter(|entry| entry.row.vendor.as_deref() == vendor)
        .filter(|entry| entry.row.tier.is_none_or(|priced| Some(priced) == tier))
        .filter(|entry| counts(&entry.row))
        .max_by_key(|entry| (entry.row.tier.is_some(), entry.row.above, entry.row.peak.is_some()))
}

/// Names a row and its version: `openai/gpt-4o@2026-08-21`, then what part of a price it is (`>272k`, `:fast`, `:peak`).
///
/// In the bundled list the version is the first day of validity, else `..` and the day it ended, else the day it was
/// checked. An owner's row, and one taken from others, is told apart by a fingerprint of its content; a document's by its name alone.
fn price_id(origin: &Origin, row: &PriceRow) -> String {
    let model = if row.model == "*" { "any" } else { &row.model };
    let (head, version) = match origin {
        Origin::Document(set) => (set.name().to_owned(), String::new()),
        Origin::Bundled => {
            let day = |at: crate::usage::Timestamp| at.with_offset(0).day();
            let version = match (row.from, row.until, row.checked) {
                (Some(from), _, _) => format!("@{}", day(from)),
                (None, Some(until), _) => format!("@..{}", day(until)),
                (None, None, Some(checked)) => format!("@{checked}"),
                (None, None, None) => format!("#{:08x}", fingerprint(row)),
            };
            (row.vendor.clone().unwrap_or_default(), version)
        }
        Origin::Owner | Origin::Taken => {
            let list = if *origin == Origin::Owner { "own" } else { "taken" };
            let vendor = row.vendor.as_ref().map(|vendor| format!("/{vendor}")).unwrap_or_default();
            (format!("{list}{vendor}"), format!("#{:08x}", fingerprint(row)))
        }
    };
    let threshold = row.above.map(|tokens| match tokens {
        thousands if thousands > 0 && thousands % 1000 == 0 => format!(">{}k", thousands / 1000),
        tokens => format!(">{tokens}"),
    });
    let tier = row.tier.filter(|tier| *tier != Tier::Standard).map(|tier| format!(":{}", tier.as_str()));
    let peak = row.peak.as_ref().map(|_| ":peak");
    let parts = [Some(version.as_str()), threshold.as_deref(), tier.as_deref(), peak].into_iter().flatten();
    bounded(&format!("{head}/{model}"), &parts.collect::<String>())
}

/// Joins both; where that is too long, the first is cut and marked with its checksum.
fn bounded(head: &str, tail: &str) -> String {
    let room = MAX_PRICE_ID_BYTES - MAX_TIER_SUFFIX_BYTES;
    if head.len() + tail.len() <= room && !head.chars().any(char::is_control) {
        return format!("{head}{tail}");
    }
    let mark = format!("~{:08x}", crc32c::crc32c(format!("{head}{tail}").as_bytes()));
    let clean: String = head.chars().filter(|c| !c.is_control()).collect();
    let end = clean.floor_char_boundary(room.saturating_sub(mark.len() + tail.len()));
    let joined = format!("{}{mark}{tail}", &clean[..end]);
    joined[..joined.floor_char_boundary(room)].to_owned()
}

/// A checksum of everything that decides a cost.
fn fingerprint(row: &PriceRow) -> u32 {
    let price = |price: Option<super::Price>| price.map(|price| price.to_string()).unwrap_or_default();
    let moment = |at: Option<crate::usage::Timestamp>| at.map(|at| at.unix_micros().to_string()).unwrap_or_default();
    let days: Vec<String> = row.peak_except.iter().map(ToString::to_string).collect();
    let content = [
        row.names().collect::<Vec<_>>().join(" "),
        row.input.to_string(),
        price(row.cache_read),
        price(row.cache_write),
        price(row.cache_write_1h),
        price(row.output),
        moment(row.from),
        moment(row.until),
        row.peak.as_ref().map(ToString::to_string).unwrap_or_default(),
        days.join(" "),
    ];
    crc32c::crc32c(content.join("|").as_bytes())
}

/// Whether a name can be looked up; a `*` may stand at its end.
pub(super) fn is_name(name: &str) -> bool {
    let inner = name.strip_suffix('*').unwrap_or(name);
    !name.is_empty() && !inner.contains('*') && !name.chars().any(|c| c.is_control() || c.is_whitespace())
}

fn mistakes(rows: &[PriceRow]) -> Vec<PriceListError> {
    let mut mistakes = Vec::new();
    let mut of_name: HashMap<&str, Vec<usize>, FixedState> = HashMap::default();
    for (at, row) in rows.iter().enumerate() {
        if let Some(name) = row.names().find(|name| !is_name(name)) {
            mistakes.push(PriceListError::Name { row: at + 1, name: name.chars().take(60).collect() });
        }
        if row.from.zip(row.until).is_some_and(|(from, until)| until <= from) {
            mistakes.push(PriceListError::Never { row: at + 1 });
        }
        let mut sharing: Vec<usize> = row.names().filter_map(|name| of_name.get(name)).flatten().copied().collect();
        sharing.sort_unstable();
        sharing.dedup();
        row.names().for_each(|name| of_name.entry(name).or_default().push(at));
        for earlier in sharing.into_iter().filter(|earlier| *earlier != at) {
            if let Some(name) = shared_call(&rows[earlier], row) {
                mistakes.push(PriceListError::Overlap { first: earlier + 1, second: at + 1, name: name.to_owned() });
            }
        }
    }
    mistakes
}

/// The name under which two rows price the same call, if there is one.
fn shared_call<'a>(a: &'a PriceRow, b: &PriceRow) -> Option<&'a str> {
    let same_slot =
        a.vendor == b.vendor && a.tier == b.tier && a.above == b.above && a.peak.is_some() == b.peak.is_some();
    let before = |a: &PriceRow, b: &PriceRow| a.until.zip(b.from).is_some_and(|(until, from)| until <= from);
    if !same_slot || before(a, b) || before(b, a) {
        return None;
    }
    a.names().find(|name| b.names().any(|other| other == *name))
}
