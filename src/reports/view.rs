//! Which part of the books a person looks at.

use serde::{Deserialize, Serialize};

/// A view of the `/stats` screen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum View {
    /// Everything that matters, on one screen.
    #[default]
    Overview,
    /// One block per model.
    Models,
    /// One line per request type.
    Types,
    /// One block per limit.
    Limits,
    /// One line per person, those who used most first; for admins.
    Users,
}

impl View {
    /// Every view.
    pub const ALL: [View; 5] = [View::Overview, View::Models, View::Types, View::Limits, View::Users];

    /// Those of a report, which knows nothing of people.
    pub const OF_REPORT: [View; 4] = [View::Overview, View::Models, View::Types, View::Limits];

    /// The name programs use, which is also the template's.
    pub fn as_str(self) -> &'static str {
        match self {
            View::Overview => "overview",
            View::Models => "models",
            View::Types => "types",
            View::Limits => "limits",
            View::Users => "users",
        }
    }
}
