//! Names as small numbers: each text is kept once, and rows hold its symbol.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::FixedState;

/// A name in a [`Names`] table. Symbol 0 is "not given".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Symbol(pub(super) u32);

impl Symbol {
    /// The dimension was not given.
    pub const ABSENT: Symbol = Symbol(0);
}

/// The table of names. Only grows; what is in it is bounded by the cap on names at append.
#[derive(Clone, Debug)]
pub struct Names {
    texts: Vec<Arc<str>>,
    symbols: HashMap<Arc<str>, Symbol, FixedState>,
}

impl Default for Names {
    fn default() -> Self {
        Names { texts: vec![Arc::from("")], symbols: HashMap::default() }
    }
}

impl Names {
    /// The symbol of a name that is in the table.
    pub fn find(&self, text: &str) -> Option<Symbol> {
        if text.is_empty() { Some(Symbol::ABSENT) } else { self.symbols.get(text).copied() }
    }

    /// The symbol of a name, added if it is new.
    pub fn intern(&mut self, text: &str) -> Symbol {
        if let Some(symbol) = self.find(text) {
            return symbol;
        }
        let text: Arc<str> = Arc::from(text);
        let symbol = Symbol(u32::try_from(self.texts.len()).expect("names are capped far below 2^32"));
        self.texts.push(Arc::clone(&text));
        self.symbols.insert(text, symbol);
        symbol
    }

    /// The text of a symbol; `None` for "not given".
    pub fn text(&self, symbol: Symbol) -> Option<&str> {
        (symbol != Symbol::ABSENT).then(|| &*self.texts[symbol.0 as usize])
    }

    /// Every name, in the order of its symbol, without "not given".
    pub(super) fn texts(&self) -> impl Iterator<Item = &str> {
        self.texts.iter().skip(1).map(|text| &**text)
    }
}
