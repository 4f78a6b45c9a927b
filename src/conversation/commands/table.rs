//! The table of commands: the one place that says which there are. The parser and the help text are made from it.

use super::command::Command;
use crate::conversation::budgets;
use crate::conversation::people::PrivateText;
use crate::conversation::words;
use crate::templates::{Lang, fold};

/// Who may use a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// Everyone who may speak.
    Everyone,
    /// Admins only.
    Admin,
}

/// Where a conversation is held, and where a command makes sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A messenger: nobody can leave it.
    Chat,
    /// A console of one person's own, which ends when they leave.
    Console,
}

/// One row of the table.
#[derive(Debug)]
pub struct CommandSpec {
    /// The word after the slash.
    pub name: &'static str,
    /// Other words for it, folded (lower case, no accents).
    pub aliases: &'static [&'static str],
    /// Who may use it.
    pub who: Who,
    /// `None`: everywhere.
    pub place: Option<Place>,
    /// Shown in the help text.
    pub listed: bool,
    /// Understood without its slash, in a chat of one's own.
    pub bare: bool,
    /// Reads what follows; `None` when these are not its arguments.
    pub(super) read: fn(&[&str]) -> Option<Command>,
}

const ROW: CommandSpec =
    CommandSpec { name: "", aliases: &[], who: Who::Everyone, place: None, listed: true, bare: false, read: |_| None };

/// Every command, in the order help shows them.
pub const COMMANDS: &[CommandSpec] = &[
    CommandSpec {
        name: "stats",
        aliases: &["stat", "status", "estadisticas", "estadistica", "estado", "estatisticas", "statistiques", "etat"],
        bare: true,
        read: read_stats,
        ..ROW
    },
    CommandSpec {
        name: "reset_stats",
        aliases: &["resetstats", "reiniciar", "reiniciar_stats", "zerar", "reinitialiser"],
        who: Who::Admin,
        read: read_reset,
        ..ROW
    },
    CommandSpec { name: "usage", aliases: &["uso", "consumo", "consommation"], read: read_usage, ..ROW },
    CommandSpec {
        name: "cost",
        aliases: &["costs", "costo", "coste", "custo", "cout"],
        read: |words| bare(words, Command::Cost),
        ..ROW
    },
    CommandSpec {
        name: "budget",
        aliases: &["budgets", "presupuesto", "presupuestos", "orcamento", "orcamentos"],
        read: |words| Some(Command::Budget(budgets::read(words))),
        ..ROW
    },
    CommandSpec {
        name: "model",
        aliases: &["models", "modelo", "modelos", "modele", "modeles"],
        read: |words| at_most_one(words).map(Command::Model),
        ..ROW
    },
    CommandSpec {
        name: "new",
        aliases: &["nuevo", "nueva", "novo", "nova", "nouveau", "nouvelle"],
        read: |words| bare(words, Command::New),
        ..ROW
    },
    CommandSpec {
        name: "retry",
        aliases: &["reintentar", "repetir", "reessayer"],
        read: |words| bare(words, Command::Retry),
        ..ROW
    },
    CommandSpec {
        name: "cancel",
        aliases: &["stop", "cancelar", "parar", "annuler"],
        read: |words| bare(words, Command::Cancel),
        ..ROW
    },
    CommandSpec {
        name: "lang",
        aliases: &["language", "idioma", "lingua", "langue"],
        read: |words| at_most_one(words).map(Command::Lang),
        ..ROW
    },
    CommandSpec {
        name: "help",
        aliases: &["?", "ayuda", "ajuda", "aide"],
        bare: true,
        read: |_| Some(Command::Help),
        ..ROW
    },
    CommandSpec { name: "id", aliases: &["whoami"], read: |words| bare(words, Command::Id), ..ROW },
    CommandSpec {
        name: "start",
        aliases: &["inicio", "comenzar", "comecar", "demarrer"],
        listed: false,
        read: |_| Some(Command::Start), // a deep link's payload may follow
        ..ROW
    },
    CommandSpec {
        name: "allow",
        aliases: &["permitir", "autoriser"],
        who: Who::Admin,
        place: Some(Place::Chat),
        read: |words| at_most_one(words).map(Command::Allow),
        ..ROW
    },
    CommandSpec {
        name: "deny",
        aliases: &["denegar", "negar", "refuser"],
        who: Who::Admin,
        place: Some(Place::Chat),
        read: |words| at_most_one(words).map(Command::Deny),
        ..ROW
    },
    CommandSpec {
        name: "health",
        aliases: &["salud", "saude", "sante"],
        who: Who::Admin,
        read: |words| bare(words, Command::Health),
        ..ROW
    },
    CommandSpec {
        name: "claim",
        aliases: &[],
        place: Some(Place::Chat),
        listed: false,
        read: |words| Some(Command::Claim((!words.is_empty()).then(|| words.concat().into()))), // however it is spaced
        ..ROW
    },
    CommandSpec {
        name: "quit",
        aliases: &["exit", "bye", "salir", "sair", "quitter"],
        place: Some(Place::Console),
        read: |words| bare(words, Command::Quit),
        ..ROW
    },
];

/// The command a folded word names in `place`.
pub(super) fn lookup(folded: &str, place: Place) -> Option<&'static CommandSpec> {
    offered(place).find(|spec| spec.name == folded || spec.aliases.contains(&folded))
}

/// The commands that make sense in `place`.
pub(in crate::conversation) fn offered(place: Place) -> impl Iterator<Item = &'static CommandSpec> {
    COMMANDS.iter().filter(move |spec| spec.place.is_none_or(|only| only == place))
}

fn bare(words: &[&str], command: Command) -> Option<Command> {
    words.is_empty().then_some(command)
}

fn at_most_one(words: &[&str]) -> Option<Option<PrivateText>> {
    match words {
        [] => Some(None),
        [word] => Some(Some((*word).into())),
        _ => None,
    }
}

fn read_stats(typed: &[&str]) -> Option<Command> {
    if let Some((first, rest)) = typed.split_first()
        && words::resets(&fold(first))
    {
        return read_reset(rest);
    }
    let (mut period, mut view) = (None, None);
    for word in typed {
        let word = fold(word);
        match (words::period(&word), words::view(&word)) {
            (Some(said), _) if period.is_none() => period = Some(said),
            (None, Some(said)) if view.is_none() => view = Some(said),
            _ => return None,
        }
    }
    Some(Command::Stats { period: period.unwrap_or_default(), view: view.unwrap_or_default() })
}

fn read_reset(typed: &[&str]) -> Option<Command> {
    match typed {
        [] => Some(Command::ResetStats { confirmed: false }),
        [word] if words::undoes(&fold(word)) => Some(Command::UndoReset),
        [word] if words::confirms(&fold(word)) => Some(Command::ResetStats { confirmed: true }),
        _ => None,
    }
}

fn read_usage(typed: &[&str]) -> Option<Command> {
    match typed {
        [] => Some(Command::Usage(None)),
        [word] => words::switch(&fold(word)).map(|switch| Command::Usage(Some(switch))),
        _ => None,
    }
}

/// The code word that confirms a reset, in a language.
pub(in crate::conversation) fn confirm_word(lang: Lang) -> &'static str {
    match lang {
        Lang::En => "confirm",
        Lang::Es | Lang::Pt => "confirmar",
        Lang::Fr => "confirmer",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_folded_and_names_nothing_twice() {
        let mut seen = std::collections::HashSet::new();
        for spec in COMMANDS {
            for name in std::iter::once(&spec.name).chain(spec.aliases) {
                assert_eq!(fold(name), *name);
                assert!(seen.insert(*name), "`{name}` stands twice");
            }
        }
    }
}
