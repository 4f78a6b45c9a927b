//! What a list of others would change in our prices, and what in it a person should look at first. A list is checked and
//! not trusted: what looks wrong is only taken when somebody names it.

use std::collections::BTreeSet;

use serde::Serialize;

use super::feed::Offer;
use super::{Origin, Price, PriceBook, PriceEntry, PriceRow, Tier};
use crate::usage::{Day, Timestamp};

/// Above this a price of input, in dollars per million tokens, is dearer than any that is known: often cents, or a price
/// per thousand, taken for another unit.
const DEAR_INPUT: Price = Price::whole_dollars(200);
const DEAR_OUTPUT: Price = Price::whole_dollars(800);
/// A thousandth of a dollar per million tokens, below which a price is more likely one per token.
const CHEAP: u64 = 1_000;
/// A price that goes up or down by this factor is more likely a mistake.
const JUMP: u64 = 10;

/// What an offer would do to our prices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// We have no price of this model.
    New,
    /// We have another one.
    Changed,
    /// We have the same.
    Same,
}

/// An offer beside our prices.
#[derive(Clone, Debug, Serialize)]
pub struct Change {
    /// Who bills.
    pub vendor: String,
    /// The model.
    pub model: String,
    /// What it would do.
    pub kind: ChangeKind,
    /// The prices that differ; of a new model all.
    pub prices: Vec<PriceChange>,
    /// Why a person should look at it before it is taken.
    pub look_at: Vec<String>,
    /// What of it is not taken.
    pub notes: Vec<String>,
    /// The rows it consists of.
    #[serde(skip)]
    pub rows: Vec<PriceRow>,
}

/// One price before and after.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PriceChange {
    /// Which: `input`, `output above 272000`, `cache_read from 2027-01-01`.
    pub what: String,
    /// Ours; `None` when we have none.
    pub old: Option<Price>,
    /// Theirs.
    pub new: Option<Price>,
    /// By how much, in tenths of a percent.
    pub permille: Option<i64>,
}

impl PriceChange {
    fn of(what: String, old: Option<Price>, new: Option<Price>) -> PriceChange {
        let permille = old.zip(new).and_then(|(old, new)| {
            let (old, new) = (i128::from(old.micro_usd_per_mtok()), i128::from(new.micro_usd_per_mtok()));
            i64::try_from(((new - old) * 1000).checked_div(old)?).ok()
        });
        PriceChange { what, old, new, permille }
    }
}

/// The five prices of a row with their names.
fn parts(row: &PriceRow) -> [(&'static str, Option<Price>); 5] {
    [
        ("input", Some(row.input)),
        ("output", row.output),
        ("cache_read", row.cache_read),
        ("cache_write", row.cache_write),
        ("cache_write_1h", row.cache_write_1h),
    ]
}

/// Our prices, for comparing others' with them.
pub struct Comparison<'a> {
    book: &'a PriceBook,
    /// Every name with a row of its own.
    names: BTreeSet<&'a str>,
    now: Timestamp,
}

impl<'a> Comparison<'a> {
    /// With the rows of a book, which is that without the owner's own. `now` is the moment at which they would be taken.
    pub fn new(book: &'a PriceBook, now: Timestamp) -> Comparison<'a> {
        let names = book.entries().flat_map(|entry| entry.row.names()).filter(|name| !name.ends_with('*')).collect();
        Comparison { book, names, now }
    }

    /// Compares an offer with ours.
    pub fn of(&self, offer: Offer) -> Change {
        let (book, now) = (self.book, self.now);
        let Offer { rows, notes } = offer;
        let named = rows[0].vendor.as_deref().unwrap_or_default();
        let (vendor, model) = (book.vendor_name(named).to_owned(), rows[0].model.clone());
        let ours = Ours::of(book, &vendor, &model);
        let mut prices = Vec::new();
        // What holds now, and every change that the list announces.
        let later = rows.iter().filter_map(|row| row.from).filter(|from| *from > now);
        let mut moments: Vec<Timestamp> = std::iter::once(now).chain(later).collect();
        moments.sort_unstable();
        moments.dedup();
        for at in moments {
            for row in rows.iter().filter(|row| holds(row, at) && (at == now || row.from == Some(at))) {
                let own = ours.like(row, at);
                let place = place_of(row, (at != now).then_some(at));
                let known = |(_, new): &(&str, Option<Price>)| new.is_some();
                let differs = parts(row).into_iter().filter(known).map(|(part, new)| {
                    let old = own.and_then(|own| parts(own).into_iter().find(|(name, _)| *name == part)?.1);
                    PriceChange::of(format!("{part}{place}"), old, new)
                });
                prices.extend(differs.filter(|change| change.old != change.new));
            }
        }
        let kind = match (ours.rows.is_empty(), prices.is_empty()) {
            (true, _) => ChangeKind::New,
            (false, true) => ChangeKind::Same,
            (false, false) => ChangeKind::Changed,
        };
        let mut look_at = Vec::new();
        if kind != ChangeKind::Same {
            look_at.extend(rows.iter().filter(|row| row.until.is_none_or(|until| until > now)).flat_map(strange));
            look_at.extend(prices.iter().filter_map(jumps));
            look_at.extend(self.caught(&rows));
        }
        if kind == ChangeKind::Changed {
            look_at.extend(ours.dearer_than_checked(&rows, &prices, now));
            look_at.extend(ours.lost(&rows, now));
        }
        look_at.sort_unstable();
        look_at.dedup();
        let rows = to_take(rows, kind, book, &vendor, now);
        Change { vendor, model, kind, prices, look_at, notes, rows }
    }

    /// Names with a price of their own that a beginning (`…*`) would catch too.
    fn caught(&self, rows: &[PriceRow]) -> Vec<String> {
        let is_own = |name: &str| rows[0].names().any(|own| own == name);
        let caught = |beginning: &str| {
            let mut names = self.names.range(beginning..).take_while(|name| name.starts_with(beginning));
            let name = names.find(|name| !is_own(name))?;
            Some(format!("`{beginning}*` also catches `{name}`, which has a price of its own"))
        };
        rows[0].names().filter_map(|name| caught(name.strip_suffix('*')?)).collect()
    }
}

fn holds(row: &PriceRow, at: Timestamp) -> bool {
    row.from.is_none_or(|from| from <= at) && row.until.is_none_or(|until| at < until)
}

fn tier(row: &PriceRow) -> Tier {
    row.tier.unwrap_or(Tier::Standard)
}

/// What part of a price a row is: ` above 272000 batch at Mon-Sun 16:30-24:00 from 2027-01-01`.
fn place_of(row: &PriceRow, from: Option<Timestamp>) -> String {
    let above = row.above.map(|above| format!(" above {above}"));
    let tier = row.tier.filter(|tier| *tier != Tier::Standard).map(|tier| format!(" {}", tier.as_str()));
    let peak = row.peak.as_ref().map(|peak| format!(" at {peak}"));
    let from = from.map(|from| format!(" from {}", from.with_offset(0).day()));
    [above, tier, peak, from].into_iter().flatten().collect()
}

/// Our rows of a model, of the list that wins.
struct Ours<'a> {
    rows: Vec<&'a PriceRow>,
}

impl<'a> Ours<'a> {
    fn of(book: &'a PriceBook, vendor: &str, model: &str) -> Ours<'a> {
        let entries = book.rows_of(Some(vendor), model.trim_end_matches('*'));
        let first = entries.iter().find(|entry| entry.origin != Origin::Owner).map(|entry| entry.origin);
        let wins = |entry: &&PriceEntry<'_>| Some(entry.origin) == first && entry.row.vendor.as_deref() == Some(vendor);
        Ours { rows: entries.iter().filter(wins).map(|entry| entry.row).collect() }
    }

    /// Our row that prices the same calls at a moment.
    fn like(&self, row: &PriceRow, at: Timestamp) -> Option<&'a PriceRow> {
        let same = |own: &&&PriceRow| {
            tier(own) == tier(row)
                && own.above == row.above
                && own.peak.is_some() == row.peak.is_some()
                && holds(own, at)
        };
        self.rows.iter().find(same).copied()
    }

    /// A price above ours, although ours was checked on a later day than the list says it speaks of.
    fn dearer_than_checked(&self, rows: &[PriceRow], prices: &[PriceChange], now: Timestamp) -> Option<String> {
        let is_dearer = prices.iter().any(|change| change.old.zip(change.new).is_some_and(|(old, new)| new > old));
        let checked = self.rows.iter().filter(|own| holds(own, now)).filter_map(|own| own.checked).max()?;
        let of_theirs = |row: &PriceRow| row.checked.max(row.from.map(|from| from.with_offset(0).day()));
        let told: Option<Day> = rows.iter().filter_map(of_theirs).max();
        (is_dearer && told.is_none_or(|told| told <= checked)).then(|| match told {
            Some(told) => format!("dearer than our price, which was checked on {checked}; the list speaks of {told}"),
            None => {
                format!("dearer than our price, which was checked on {checked}; the list does not say when its was")
            }
        })
    }

    /// What our rows know and the list does not: it would no longer count.
    fn lost(&self, rows: &[PriceRow], now: Timestamp) -> Vec<String> {
        let mut lost = Vec::new();
        for own in self.rows.iter().filter(|own| own.until.is_none_or(|until| until > now)) {
            let (at, place) = (own.from.unwrap_or(now).max(now), place_of(own, own.from.filter(|from| *from > now)));
            let theirs = Ours { rows: rows.iter().collect() };
            match theirs.like(own, at) {
                None => {
                    lost.push(format!("ours has a price{place} that would no longer count, since the list has none"))
                }
                Some(_) if own.from.is_some_and(|from| from > now && rows.iter().all(|row| row.from != Some(from))) => {
                    lost.push(format!("ours changes{place}, and the list does not know it"));
                }
                Some(row) => {
                    let missing = parts(own)
                        .into_iter()
                        .zip(parts(row))
                        .find(|((_, own), (_, row))| own.is_some() && row.is_none());
                    lost.extend(
                        missing.map(|((part, _), _)| format!("ours has a price for {part}{place}, the list has none")),
                    );
                }
            }
        }
        lost
    }
}

/// What is strange in a row by itself.
fn strange(row: &PriceRow) -> Vec<String> {
    let mut strange = Vec::new();
    let given = || parts(row).into_iter().filter_map(|(part, price)| Some((part, price?)));
    if given().all(|(_, price)| price == Price::default()) {
        strange.push("it costs nothing".to_owned());
    }
    for (part, price) in given() {
        let most = if part == "output" { DEAR_OUTPUT } else { DEAR_INPUT };
        if price > most {
            strange.push(format!(
                "{part} at ${price} per million tokens: cents, or a price per thousand, taken for dollars?"
            ));
        }
        if (1..CHEAP).contains(&price.micro_usd_per_mtok()) {
            strange
                .push(format!("{part} at ${price} per million tokens: a price per token taken for one per million?"));
        }
    }
    if row.output.is_some_and(|output| output < row.input) {
        strange.push("output is cheaper than input".to_owned());
    }
    if row.cache_read.is_some_and(|read| read > row.input) {
        strange.push("reading from the cache is dearer than fresh input".to_owned());
    }
    strange
}

/// A price that goes up or down tenfold or more, or to nothing.
fn jumps(change: &PriceChange) -> Option<String> {
    let (old, new) = (change.old?.micro_usd_per_mtok(), change.new?.micro_usd_per_mtok());
    let (low, high) = (old.min(new), old.max(new));
    (high >= low.saturating_mul(JUMP)).then(|| {
        format!("{} goes from ${} to ${}", change.what, change.old.unwrap_or_default(), change.new.unwrap_or_default())
    })
}

/// The rows as they would be kept. A price that changes counts from the day it is taken on; what is past stays as it was.
fn to_take(rows: Vec<PriceRow>, kind: ChangeKind, book: &PriceBook, vendor: &str, now: Timestamp) -> Vec<PriceRow> {
    let today = start_of(now);
    // A model that somebody else is known to sell is only theirs where the vendor is known.
    let only_named = book.is_anothers(vendor, &rows[0].model);
    let holds_still = |row: &PriceRow| kind == ChangeKind::New || row.until.is_none_or(|until| until > today);
    let kept = rows.into_iter().filter(holds_still).map(|row| PriceRow {
        vendor: Some(vendor.to_owned()),
        from: if kind == ChangeKind::New { row.from } else { Some(row.from.unwrap_or(today).max(today)) },
        only_named,
        ..row
    });
    kept.collect()
}

/// The first moment of a moment's day in UTC.
pub(super) fn start_of(at: Timestamp) -> Timestamp {
    Timestamp::new(i64::from(at.with_offset(0).day().0) * 86_400_000_000, 0)
}
