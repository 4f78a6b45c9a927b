//! The figures that the requirement documents print, as labelled sets beside the true prices.

use std::sync::{Arc, OnceLock};

use serde::Deserialize;

use super::PriceRow;
use super::book::Origin;
use super::layer::Layer;

/// One document's own figures. For samples and comparisons; live calls are priced by the bundled book.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DocumentSet {
    /// Requirement 2: three Claude models.
    Requirement2,
    /// Requirement 3: seven OpenAI models.
    Requirement3,
    /// Requirement 4: $45 per million tokens of any kind.
    Requirement4,
    /// Requirement 4, where it quotes GitHub Models: $30 and $60 for input and output.
    Requirement4GitHub,
}

impl DocumentSet {
    /// Every set.
    pub const ALL: [DocumentSet; 4] = [
        DocumentSet::Requirement2,
        DocumentSet::Requirement3,
        DocumentSet::Requirement4,
        DocumentSet::Requirement4GitHub,
    ];

    /// The label, which begins the set's price ids.
    pub fn name(self) -> &'static str {
        match self {
            DocumentSet::Requirement2 => "requirement2",
            DocumentSet::Requirement3 => "requirement3",
            DocumentSet::Requirement4 => "requirement4",
            DocumentSet::Requirement4GitHub => "requirement4-github",
        }
    }

    /// The set's rows, read once.
    pub(super) fn layer(self) -> Arc<Layer> {
        static LAYERS: OnceLock<Vec<Arc<Layer>>> = OnceLock::new();
        let layers = LAYERS.get_or_init(|| DocumentSet::ALL.map(read).to_vec());
        let at = DocumentSet::ALL.iter().position(|set| *set == self).expect("ALL holds every set");
        Arc::clone(&layers[at])
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    documents: Vec<Document>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    name: String,
    rows: Vec<PriceRow>,
}

fn read(set: DocumentSet) -> Arc<Layer> {
    let file: File = toml::from_str(include_str!("documents.toml")).expect("a test reads the documents' figures");
    let document = file.documents.into_iter().find(|document| document.name == set.name());
    let rows = document.expect("a test reads every set").rows;
    Arc::new(Layer::new(Origin::Document(set), rows).expect("a test checks the documents' figures"))
}
