//! The single words of one language (`words.toml`): names of periods, request types, limits and errors, words to type,
//! and the descriptions of the commands. Whole sentences are templates.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Surface;

/// The words of one language.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Vocabulary {
    /// Month names as they stand in a date.
    pub months: [String; 12],
    /// Headings of the periods, by canonical name.
    pub periods: BTreeMap<String, String>,
    /// Request types, by their name in records.
    pub types: BTreeMap<String, String>,
    /// Limits, by their name in the report.
    pub limits: BTreeMap<String, String>,
    /// What a limit may be about: `everything`, and the facets before a value.
    pub scopes: BTreeMap<String, String>,
    /// What is typed for what a budget counts, over what time, and what is done to it.
    pub typed: BTreeMap<String, String>,
    /// One and several of each kind of error.
    pub errors: BTreeMap<String, [String; 2]>,
    /// What stands on buttons.
    pub buttons: BTreeMap<String, String>,
    /// The commands, in the order help shows them.
    pub commands: Vec<CommandHelp>,
}

/// A line of help: how a command is typed and what it does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommandHelp {
    /// The canonical name, without the slash.
    pub name: String,
    /// What may follow the name; empty when nothing does.
    #[serde(default)]
    pub args: String,
    /// What it does, in a few words.
    pub description: String,
    /// What it does, where a chat needs other words than a terminal.
    #[serde(default)]
    pub in_chat: Option<String>,
}

impl CommandHelp {
    /// What it does, as said on a surface: in a chat also what its menu shows.
    pub fn description_on(&self, surface: Surface) -> &str {
        let in_chat = self.in_chat.as_deref().filter(|_| surface != Surface::Plain);
        in_chat.unwrap_or(&self.description)
    }

    /// How it is typed: `/stats [today|7d|30d|all]`.
    pub fn usage(&self) -> String {
        format!("/{} {}", self.name, self.args).trim_end().to_owned()
    }
}

impl Vocabulary {
    /// What is shown of a command, by its canonical name.
    pub(super) fn command(&self, name: &str) -> Option<&CommandHelp> {
        self.commands.iter().find(|command| command.name == name)
    }

    /// The names a vocabulary defines, to compare two languages.
    pub(super) fn keys(&self) -> Vec<String> {
        let maps = [
            ("periods", &self.periods),
            ("types", &self.types),
            ("limits", &self.limits),
            ("scopes", &self.scopes),
            ("typed", &self.typed),
            ("buttons", &self.buttons),
        ];
        let mut keys: Vec<String> =
            maps.iter().flat_map(|(map, words)| words.keys().map(move |key| format!("{map}.{key}"))).collect();
        keys.extend(self.errors.keys().map(|key| format!("errors.{key}")));
        keys.extend(self.commands.iter().map(|command| format!("commands.{}", command.name)));
        keys
    }

    /// What a limit is about, such as `provider:cloud user:k7f3`: the facets in words, their values as they are.
    pub(super) fn scope(&self, label: &str) -> String {
        let part = |part: &str| match part.split_once(':') {
            Some((facet, value)) => format!("{}:{value}", word(&self.scopes, facet)),
            None => part.to_owned(),
        };
        match label {
            "everything" => word(&self.scopes, label).to_owned(),
            label => label.split(' ').map(part).collect::<Vec<_>>().join(" "),
        }
    }

    /// An order as it is typed, such as `/budget user:111 pause`.
    pub(super) fn order(&self, order: &str) -> String {
        let part = |part: &str| match part.split_once(':') {
            Some(_) => self.scope(part),
            None if part == "everything" => self.scope(part),
            None => word(&self.typed, part).to_owned(),
        };
        order.split(' ').map(part).collect::<Vec<_>>().join(" ")
    }

    /// What is typed for a limit: `tokens day` for `tokens_per_day`.
    pub(super) fn typed(&self, limit: &str) -> String {
        let parts = limit.split('_').filter(|part| *part != "per");
        parts.map(|part| word(&self.typed, part)).collect::<Vec<_>>().join(" ")
    }

    /// The words for `count` errors of a kind; the kind itself when it is not known here.
    pub(super) fn error<'a>(&'a self, kind: &'a str, count: u64) -> &'a str {
        match self.errors.get(kind) {
            Some([one, several]) => {
                if count == 1 {
                    one
                } else {
                    several
                }
            }
            None => kind,
        }
    }
}

/// The word for `name`; names nobody gave a word (an owner's own request type) stand for themselves.
pub(super) fn word<'a>(words: &'a BTreeMap<String, String>, name: &'a str) -> &'a str {
    words.get(name).map_or(name, String::as_str)
}
