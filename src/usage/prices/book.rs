//! The book: lists of rows in the order in which they win, and the one question they answer, what a call cost.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use foldhash::fast::FixedState;
use serde::Deserialize;

use super::layer::{Entry, KnownAs, Layer, choose};
use super::model_name::ModelName;
use super::{DocumentSet, Multiple, Price, PriceListError, PriceRow, Tier};
use crate::usage::names::Name;
use crate::usage::{Lately, Money, Timestamp, TokenCounts};

/// Prices by vendor, model, tier, size and time. Cheap to clone.
///
/// How a call finds its row:
/// 1. A local model costs nothing (`local`).
/// 2. An owner's row wins over one taken from somebody else's list, and that over a bundled one, except that a row for
///    `gpt-4o` does not take over a dated snapshot that has a row of its own, and that the beginnings (`…*`) of taken
///    rows count only for names that no list knows.
/// 3. A name is looked up as written, then without publisher prefix, then without its date, then by `…*` rows.
/// 4. The vendor is the one given, else the publisher in the name. Without either, all vendors are searched, and a name
///    that several know is not priced. A given vendor that the book does not know has no prices.
/// 5. Of the vendor's rows that count at that moment and size, the one for the served tier is taken; else the standard
///    one times the vendor's multiple; else the price is not known.
#[derive(Clone, Debug)]
pub struct PriceBook {
    /// The first list that prices a call wins.
    layers: Vec<Arc<Layer>>,
    vendors: Arc<Vendors>,
    unknown: UnknownPrice,
    /// What its lists have under the names that were asked for last.
    lately: Arc<Lately<Arc<Named>>>,
}

/// Names of which it is remembered at most.
const NAMES_MAX: usize = 64;

/// What a book has under a name that somebody asked for: it hangs on neither the time nor the tokens of a call.
#[derive(Debug)]
struct Named {
    /// Who bills and the model, as they were asked for.
    asked: (Option<Box<str>>, Box<str>),
    /// Whose rows they are, as far as that is known.
    vendor: Option<Box<str>>,
    /// The places of its rows in each list.
    rows: Box<[Box<[usize]>]>,
}

/// What a call of a model without a price is taken to cost at most, in dollars per million tokens: the owner's figure.
/// It holds money back from a budget and never becomes the cost of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownPrice {
    /// For each token of the prompt.
    pub input: Price,
    /// For each token of the answer.
    pub output: Price,
}

impl Default for UnknownPrice {
    /// $10 and $30, dearer than most: a budget is to end early rather than late.
    fn default() -> UnknownPrice {
        UnknownPrice { input: Price::whole_dollars(10), output: Price::whole_dollars(30) }
    }
}

impl UnknownPrice {
    /// What tokens are charged to a budget.
    pub fn charge(&self, prompt: u64, completion: u64) -> Money {
        Money::of_tokens(prompt, self.input.micro_usd_per_mtok())
            + Money::of_tokens(completion, self.output.micro_usd_per_mtok())
    }
}

/// What is known about vendors, apart from their rows.
#[derive(Debug, Default)]
struct Vendors {
    multiples: Vec<Multiple>,
    /// Every name of every vendor, and the one that rows use.
    names: HashMap<String, String, FixedState>,
    hosts: HashMap<String, String, FixedState>,
}

/// Which list a row stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The list that comes with the program.
    Bundled,
    /// What an owner took over from somebody else's list.
    Taken,
    /// The owner's `[[prices]]`.
    Owner,
    /// Another program's figures.
    Document(DocumentSet),
}

impl Origin {
    /// The list's name for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Origin::Bundled => "bundled",
            Origin::Taken => "taken",
            Origin::Owner => "yours",
            Origin::Document(set) => set.name(),
        }
    }

    /// The place of its list in a book: an earlier one wins.
    fn rank(self) -> u8 {
        match self {
            Origin::Owner => 0,
            Origin::Taken => 1,
            Origin::Bundled | Origin::Document(_) => 2,
        }
    }
}

/// A row of the book with its name, for lists.
#[derive(Clone, Copy, Debug)]
pub struct PriceEntry<'a> {
    /// What records call it (a tier priced by a multiple adds `:tier`).
    pub price_id: &'a str,
    /// The list it stands in.
    pub origin: Origin,
    /// The row.
    pub row: &'a PriceRow,
}

/// One call, as far as its price depends on it.
#[derive(Clone, Copy, Debug)]
pub struct PriceQuery<'a> {
    /// Who bills, where that is known: from the provider's address ([`PriceBook::vendor_of_host`]) or a kind that only
    /// one vendor serves. An API that many imitate (`openai`) says nothing about who bills.
    pub vendor: Option<&'a str>,
    /// The model that served the call.
    pub model: &'a str,
    /// The tier the provider says it served; before the call, the one it is asked for.
    pub service_tier: Option<&'a str>,
    /// When the call was admitted.
    pub at: Timestamp,
    /// Whether the model ran on the owner's machine.
    pub local: bool,
    /// What it used.
    pub tokens: &'a TokenCounts,
}

/// A cost, and the row that gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Priced {
    /// The exact cost.
    pub cost: Money,
    /// The row and its version, at most [`MAX_PRICE_ID_BYTES`](super::MAX_PRICE_ID_BYTES) long.
    pub price_id: Name<'static>,
}

/// The price id of a call that cost nothing because the model ran on the owner's machine.
const LOCAL: &str = "local";

impl PriceBook {
    /// The prices that come with the program.
    pub fn bundled() -> PriceBook {
        static BOOK: OnceLock<PriceBook> = OnceLock::new();
        BOOK.get_or_init(|| read_bundled(include_str!("bundled.toml"))).clone()
    }

    /// Another program's own figures, and nothing else.
    pub fn document(set: DocumentSet) -> PriceBook {
        PriceBook::of(vec![set.layer()], PriceBook::bundled().vendors)
    }

    fn of(layers: Vec<Arc<Layer>>, vendors: Arc<Vendors>) -> PriceBook {
        PriceBook { layers, vendors, unknown: UnknownPrice::default(), lately: Arc::new(Lately::new(NAMES_MAX)) }
    }

    /// The same book with an owner's rows in front; they replace earlier ones.
    ///
    /// # Errors
    /// Every mistake in the rows.
    pub fn with_overrides(&self, rows: Vec<PriceRow>) -> Result<PriceBook, Vec<PriceListError>> {
        self.with_list(Origin::Owner, rows)
    }

    /// The same book with rows taken from somebody else's list, behind the owner's and in front of all others; they
    /// replace earlier ones.
    ///
    /// # Errors
    /// Every mistake in the rows.
    pub fn with_taken(&self, rows: Vec<PriceRow>) -> Result<PriceBook, Vec<PriceListError>> {
        self.with_list(Origin::Taken, rows)
    }

    fn with_list(&self, origin: Origin, mut rows: Vec<PriceRow>) -> Result<PriceBook, Vec<PriceListError>> {
        for vendor in rows.iter_mut().filter_map(|row| row.vendor.as_mut()) {
            *vendor = self.vendor_name(vendor).to_owned();
        }
        let mut vendors = Vendors {
            multiples: self.vendors.multiples.clone(),
            names: self.vendors.names.clone(),
            hosts: self.vendors.hosts.clone(),
        };
        for vendor in rows.iter().filter_map(|row| row.vendor.as_ref()) {
            vendors.names.insert(vendor.clone(), vendor.clone());
        }
        let others = self.layers.iter().filter(|layer| layer.origin != origin).cloned();
        let mut layers: Vec<_> = std::iter::once(Arc::new(Layer::new(origin, rows)?)).chain(others).collect();
        layers.sort_by_key(|layer| layer.origin.rank());
        Ok(PriceBook::of(layers, Arc::new(vendors)).with_unknown(self.unknown))
    }

    /// The rows of one list alone, with what is known of vendors.
    pub fn only(&self, origin: Origin) -> PriceBook {
        let layers = self.layers.iter().filter(|layer| layer.origin == origin).cloned().collect();
        PriceBook::of(layers, Arc::clone(&self.vendors)).with_unknown(self.unknown)
    }

    /// The same book with another figure for models it does not know.
    pub fn with_unknown(self, unknown: UnknownPrice) -> PriceBook {
        PriceBook { unknown, ..self }
    }

    /// What the call cost, exactly; `None` when no row says so, which is not the same as nothing.
    pub fn price(&self, query: &PriceQuery<'_>) -> Option<Priced> {
        if query.local {
            return Some(Priced { cost: Money::ZERO, price_id: Name::from(LOCAL) });
        }
        let tokens = query.tokens.made_consistent();
        let (entry, multiple) = self.find(&PriceQuery { tokens: &tokens, ..*query })?;
        let cost = cost(&entry.row, multiple, &tokens)?;
        let price_id = match multiple {
            None => entry.id.clone(),
            Some(multiple) => Name::from(format!("{}:{}", entry.id, multiple.tier.as_str())),
        };
        Some(Priced { cost, price_id })
    }

    /// What the call would cost at most: by the book, at the standard tier or the one that is asked for, whichever is
    /// dearer; by the owner's figure where the book does not know the model, nothing where it is local.
    ///
    /// All input counts at the dearest of its prices (fresh, or written to a cache), by the row for a prompt of that
    /// size, at the dearer hour of the week. A model that gives no output is not charged for any.
    pub fn upper_bound(&self, query: &PriceQuery<'_>) -> Money {
        if query.local {
            return Money::ZERO;
        }
        let TokenCounts { prompt, completion, .. } = *query.tokens;
        let at_most = |input: Price, output: Price| {
            Money::of_tokens(prompt, input.micro_usd_per_mtok())
                + Money::of_tokens(completion, output.micro_usd_per_mtok())
        };
        let by_row = |(entry, multiple): (&Entry, Option<&Multiple>)| {
            let row = &entry.row;
            let written = row.cache_write.max(row.cache_write_1h).unwrap_or(row.input);
            let times = |price: Price| multiple.and_then(|rule| price.scaled(rule.times_micros)).unwrap_or(price);
            at_most(times(row.input.max(written)), times(row.output.unwrap_or_default()))
        };
        let named = self.named(query.vendor, query.model);
        let tiers = std::iter::once(None).chain(query.service_tier.map(Some));
        let known = tiers.flat_map(|service_tier| {
            let query = PriceQuery { service_tier, ..*query };
            let at_peak = self.find_by(&named, &query, |row| row.counts_at_any_hour(query.at, prompt));
            let off_peak =
                self.find_by(&named, &query, |row| row.peak.is_none() && row.counts_at_any_hour(query.at, prompt));
            [at_peak, off_peak]
        });
        known.flatten().map(by_row).max().unwrap_or_else(|| at_most(self.unknown.input, self.unknown.output))
    }

    /// Whether a row has exactly this name. Dated forms of a name do not count: there is no end of them.
    pub fn knows(&self, model: &str) -> bool {
        self.layers.iter().any(|layer| layer.has(model))
    }

    /// The row that prices a call, and the multiple by which it does where its tier has no row.
    pub fn winner(&self, query: &PriceQuery<'_>) -> Option<(PriceEntry<'_>, Option<&Multiple>)> {
        let (entry, multiple) = self.find(query)?;
        let origin =
            self.layers.iter().find(|layer| layer.entries.iter().any(|other| std::ptr::eq(other, entry)))?.origin;
        Some((PriceEntry { price_id: &entry.id, origin, row: &entry.row }, multiple))
    }

    /// Every row that answers to a model's name, of one vendor or of any, in the order in which lists win.
    pub fn rows_of(&self, vendor: Option<&str>, model: &str) -> Vec<PriceEntry<'_>> {
        let name = self.name(model);
        let vendor = vendor.or(name.publisher).map(|vendor| self.vendor_name(vendor));
        let known = self.known_as(&name);
        let rows = self.layers.iter().flat_map(|layer| {
            layer.rows_of(&name, known).map(move |entry| PriceEntry {
                price_id: &entry.id,
                origin: layer.origin,
                row: &entry.row,
            })
        });
        rows.filter(|entry| vendor.is_none() || entry.row.vendor.as_deref().is_none_or(|own| Some(own) == vendor))
            .collect()
    }

    /// The one vendor whose row prices a model where nobody says who bills.
    pub fn usual_vendor(&self, model: &str) -> Option<&str> {
        let name = self.name(model);
        self.only_vendor(&name, self.known_as(&name))
    }

    /// Whether a model is known to be billed by somebody else where nobody says who bills.
    pub fn is_anothers(&self, vendor: &str, model: &str) -> bool {
        self.usual_vendor(model).is_some_and(|usual| usual != self.vendor_name(vendor))
    }

    /// Whose prices a host bills: `api.openai.com` → `openai`.
    pub fn vendor_of_host(&self, host: &str) -> Option<&str> {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        self.vendors.hosts.get(&host).map(String::as_str)
    }

    /// Every row, in the order in which lists win.
    pub fn entries(&self) -> impl Iterator<Item = PriceEntry<'_>> {
        self.layers.iter().flat_map(|layer| {
            layer.entries.iter().map(|entry| PriceEntry { price_id: &entry.id, origin: layer.origin, row: &entry.row })
        })
    }

    /// What tiers without rows cost.
    pub fn multiples(&self) -> &[Multiple] {
        &self.vendors.multiples
    }

    /// What calls of unknown models are taken to cost at most; see [`UnknownPrice`].
    pub fn unknown_price(&self) -> UnknownPrice {
        self.unknown
    }

    /// The row and the multiple that price a call.
    fn find(&self, query: &PriceQuery<'_>) -> Option<(&Entry, Option<&Multiple>)> {
        self.find_by(&self.named(query.vendor, query.model), query, |row| row.counts(query.at, query.tokens.prompt))
    }

    /// The same among the rows of a name for which `counts` holds.
    fn find_by(
        &self,
        named: &Named,
        query: &PriceQuery<'_>,
        counts: impl Fn(&PriceRow) -> bool,
    ) -> Option<(&Entry, Option<&Multiple>)> {
        let vendor = named.vendor.as_deref();
        let tier = Tier::served(query.service_tier, vendor);
        self.layers.iter().zip(&named.rows).find_map(|(layer, rows)| {
            let row = |vendor, tier| choose(rows.iter().map(|at| &layer.entries[*at]), vendor, &counts, tier);
            let own_tier = || Some((row(Some(vendor?), tier)?, None));
            let by_multiple = || {
                let entry = row(Some(vendor?), Some(Tier::Standard))?;
                let (vendor, tier) = (vendor?, tier?);
                let mut multiples = self.vendors.multiples.iter();
                let multiple = multiples.find(|rule| rule.holds(vendor, &entry.row.model, tier, query.at))?;
                Some((entry, Some(multiple)))
            };
            own_tier().or_else(by_multiple).or_else(|| Some((row(None, tier)?, None)))
        })
    }

    /// What it has under a name.
    fn named(&self, vendor: Option<&str>, model: &str) -> Arc<Named> {
        let is_it = |named: &Arc<Named>| *named.asked.1 == *model && named.asked.0.as_deref() == vendor;
        self.lately.find((vendor, model), is_it, || {
            let name = self.name(model);
            let known = self.known_as(&name);
            let of = match vendor.or(name.publisher) {
                Some(vendor) => Some(self.vendor_name(vendor)),
                None => self.only_vendor(&name, known),
            };
            let rows = self.layers.iter().map(|layer| layer.places_of(&name, known).collect());
            Arc::new(Named {
                asked: (vendor.map(Box::from), model.into()),
                vendor: of.map(Box::from),
                rows: rows.collect(),
            })
        })
    }

    /// The one vendor that has rows of this name; `None` when there is none or more than one.
    fn only_vendor(&self, name: &ModelName<'_>, known: KnownAs) -> Option<&str> {
        let mut vendors = self
            .layers
            .iter()
            .flat_map(|layer| layer.rows_of(name, known))
            .filter(|entry| !entry.row.only_named)
            .filter_map(|entry| entry.row.vendor.as_deref());
        let first = vendors.next()?;
        vendors.all(|vendor| vendor == first).then_some(first)
    }

    fn name<'n>(&self, model: &'n str) -> ModelName<'n> {
        ModelName::read(model, |part| self.vendors.names.contains_key(part))
    }

    fn known_as(&self, name: &ModelName<'_>) -> KnownAs {
        let has = |name: &str| self.layers.iter().any(|layer| layer.has(name));
        match name.family {
            _ if has(name.whole) || has(name.bare) => KnownAs::Itself,
            Some(family) if has(family) => KnownAs::Family,
            _ => KnownAs::Nothing,
        }
    }

    pub(super) fn vendor_name<'a>(&'a self, name: &'a str) -> &'a str {
        self.vendors.names.get(name).map_or(name, String::as_str)
    }
}

/// Tokens times prices; `None` when a slice that is not empty has no price.
fn cost(row: &PriceRow, multiple: Option<&Multiple>, tokens: &TokenCounts) -> Option<Money> {
    let writes_are_input = row.cache_write.is_none() && row.cache_write_1h.is_none();
    let write = |price: Option<Price>| if writes_are_input { Some(row.input) } else { price };
    let slices = [
        (tokens.fresh(), Some(row.input)),
        (tokens.cached, row.cache_read.or(Some(row.input))),
        (tokens.cache_write, write(row.cache_write)),
        (tokens.cache_write_1h, write(row.cache_write_1h)),
        (tokens.completion, row.output),
    ];
    let mut total = Money::ZERO;
    for (count, price) in slices.into_iter().filter(|(count, _)| *count > 0) {
        let price = match multiple {
            Some(multiple) => price?.scaled(multiple.times_micros)?,
            None => price?,
        };
        total += Money::of_tokens(count, price.micro_usd_per_mtok());
    }
    Some(total)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    rows: Vec<PriceRow>,
    multiples: Vec<Multiple>,
    vendors: HashMap<String, String>,
    hosts: HashMap<String, String>,
}

/// Reads the bundled list, in which a row without a tier is the standard one.
fn read_bundled(text: &str) -> PriceBook {
    let mut file: File = toml::from_str(text).expect("a test reads the bundled prices");
    file.rows.iter_mut().for_each(|row| row.tier = row.tier.or(Some(Tier::Standard)));
    let own_names = file.rows.iter().filter_map(|row| row.vendor.clone());
    let billed = file.vendors.values().chain(file.hosts.values()).cloned();
    let mut names: HashMap<String, String, FixedState> =
        own_names.chain(billed).map(|vendor| (vendor.clone(), vendor)).collect();
    names.extend(file.vendors);
    let layer = Layer::new(Origin::Bundled, file.rows).expect("a test checks the bundled prices");
    let vendors = Vendors { multiples: file.multiples, names, hosts: file.hosts.into_iter().collect() };
    PriceBook::of(vec![Arc::new(layer)], Arc::new(vendors))
}
