//! The figures that documents of other programs print, as labelled sets beside the true prices.

use std::sync::{Arc, OnceLock};

use serde::Deserialize;

use super::PriceRow;
use super::book::Origin;
use super::layer::Layer;

/// One document's own figures. For samples and comparisons; live calls are priced by the bundled book.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DocumentSet {
    /// A guide to consumption tracking: three Claude models.
    ConsumptionTracking,
    /// A token tracker: seven OpenAI models.
    TokenTracker,
    /// Raymundo: $45 per million tokens of any kind.
    Raymundo,
    /// Raymundo, where it quotes GitHub Models: $30 and $60 for input and output.
    RaymundoGitHub,
}

impl DocumentSet {
    /// Every set.
    pub const ALL: [DocumentSet; 4] = [
        DocumentSet::ConsumptionTracking,
        DocumentSet::TokenTracker,
        DocumentSet::Raymundo,
        DocumentSet::RaymundoGitHub,
    ];

    /// The label, which begins the set's price ids.
    pub fn name(self) -> &'static str {
        match self {
            DocumentSet::ConsumptionTracking => "consumption-tracking",
            DocumentSet::TokenTracker => "token-tracker",
            DocumentSet::Raymundo => "raymundo",
            DocumentSet::RaymundoGitHub => "raymundo-github",
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
