//! Reads what people type.

use super::command::Command;
use super::table::{CommandSpec, Place, lookup, offered};
use crate::conversation::people::PrivateText;
use crate::conversation::words::distance;
use crate::templates::fold;

/// The names the bot answers to.
#[derive(Clone, Debug, Default)]
pub struct BotNames {
    /// The configured name, as shown.
    pub name: String,
    /// The accounts it has in channels, as in `/stats@account`, without the `@`.
    pub handles: Vec<String>,
}

impl BotNames {
    fn is_name(&self, folded: &str) -> bool {
        one_word(&self.name) == folded
    }

    fn is_handle(&self, folded: &str) -> bool {
        self.is_name(folded) || self.handles.iter().any(|handle| one_word(handle) == folded)
    }
}

/// What a text turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A question for the model.
    Text(PrivateText),
    /// A command.
    Command(Command),
    /// Meant as a command, but there is none such, or not with these words.
    Unknown {
        /// What was typed, with its slash.
        word: PrivateText,
        /// What may have been meant, with its slash.
        suggestion: Option<String>,
    },
    /// A command with words that are not its arguments.
    Misused {
        /// What was typed, with its slash.
        word: PrivateText,
        /// The command's name.
        command: &'static str,
    },
    /// Blank, or a command for another bot.
    Nothing,
}

/// Reads what a person typed, where `place` is.
///
/// A text that starts with `//`, or with a slash and a space, or with a path such as `/etc/hosts`, is text. `alone`: in
/// a chat of one's own, where a few words are commands without their slash, if nothing else is said.
pub fn parse(text: &str, names: &BotNames, place: Place, alone: bool) -> Input {
    let text = text.trim();
    if text.is_empty() {
        return Input::Nothing;
    }
    let (first, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let Some(command) = first.strip_prefix('/').filter(|word| !word.contains('/')) else {
        return bare_words(text, place).filter(|_| alone).unwrap_or_else(|| Input::Text(text.into()));
    };
    if command.is_empty() {
        return if rest.is_empty() { unknown(first, Some("/help".into())) } else { Input::Text(text.into()) };
    }
    let rest: Vec<&str> = rest.split_whitespace().collect();
    let (word, handle) = command.split_once('@').unwrap_or((command, ""));
    if !handle.is_empty() && !names.is_handle(&fold(handle)) {
        return Input::Nothing;
    }
    let word = fold(word);
    match lookup(&word, place) {
        Some(spec) => read(spec, &rest, first),
        None if names.is_name(&word) => spoken_to(&rest, place),
        None => unknown(first, closest(&word, place)),
    }
}

/// `/raymundo stats hoy`: the word after the bot's name is the command.
fn spoken_to(words: &[&str], place: Place) -> Input {
    let Some((first, rest)) = words.split_first() else {
        return Input::Command(Command::Help);
    };
    let word = fold(first.trim_start_matches('/'));
    match lookup(&word, place) {
        Some(spec) => read(spec, rest, first),
        None => unknown(first, closest(&word, place)),
    }
}

/// `stats`, `estadísticas hoy`, `ayuda`.
fn bare_words(text: &str, place: Place) -> Option<Input> {
    const MAX_BARE_WORDS: usize = 3;
    let words: Vec<&str> = text.split_whitespace().take(MAX_BARE_WORDS + 1).collect();
    let (first, rest) = words.split_first().filter(|_| place == Place::Chat && words.len() <= MAX_BARE_WORDS)?;
    let spec = lookup(&fold(first), place).filter(|spec| spec.bare)?;
    // Help takes any words; a sentence that begins with it is none.
    (rest.is_empty() || spec.name != "help").then(|| (spec.read)(rest)).flatten().map(Input::Command)
}

fn read(spec: &CommandSpec, words: &[&str], typed: &str) -> Input {
    match (spec.read)(words) {
        Some(command) => Input::Command(command),
        None => Input::Misused { word: echo(&format!("{typed} {}", words.join(" "))), command: spec.name },
    }
}

fn unknown(word: &str, suggestion: Option<String>) -> Input {
    Input::Unknown { word: echo(word), suggestion }
}

/// As much of what was typed as is shown again.
fn echo(typed: &str) -> PrivateText {
    const MAX_ECHO_CHARS: usize = 60;
    typed.chars().filter(|c| !c.is_control()).take(MAX_ECHO_CHARS).collect::<String>().into()
}

fn closest(folded: &str, place: Place) -> Option<String> {
    let most = if folded.chars().count() <= 4 { 1 } else { 2 };
    offered(place)
        .flat_map(|spec| std::iter::once(spec.name).chain(spec.aliases.iter().copied()))
        .filter_map(|name| {
            let prefix = folded.len() >= 3 && name.starts_with(folded);
            let near = if prefix { Some(0) } else { distance(folded, name, most) };
            near.map(|near| (near, name))
        })
        .min_by_key(|(near, _)| *near)
        .map(|(_, name)| format!("/{name}"))
}

fn one_word(name: &str) -> String {
    fold(name).split_whitespace().collect()
}

#[cfg(test)]
mod tests {
    use super::super::command::Switch;
    use super::*;
    use crate::reports::View;
    use crate::stats::Period;
    use proptest::prelude::*;

    fn names() -> BotNames {
        BotNames { name: "Raymundo".into(), handles: vec!["RayBot".into()] }
    }

    fn read(text: &str) -> Input {
        parse(text, &names(), Place::Console, true)
    }

    fn stats(period: Period, view: View) -> Input {
        Input::Command(Command::Stats { period, view })
    }

    #[test]
    fn stats_in_every_language() {
        use Period::*;
        for (texts, period, view) in [
            (
                &["/stats", "/raymundo stats", "/RAYMUNDO Estadísticas", "/raymundo estado", "/estatísticas"][..],
                All,
                View::Overview,
            ),
            (
                &[
                    "/stats today",
                    "/stats hoy",
                    "/stats hoje",
                    "/stats aujourd’hui",
                    "/stats aujourd'hui",
                    "/stats HOY",
                ],
                Today,
                View::Overview,
            ),
            (
                &["/stats 7d", "/stats semana", "/stats semaine", "/stats\nweek", "/raymundo estado semana"],
                Week,
                View::Overview,
            ),
            (&["/stats 30d", "/stats mes", "/stats mês", "/stats mois", "/stats\tmonth"], Month, View::Overview),
            (&["/stats all", "/stats todo", "/stats tudo", "/stats tout"], All, View::Overview),
            (&["/stats models", "/stats modelos", "/stats modèles"], All, View::Models),
            (&["/stats types hoy", "/stats hoy tipos"], Today, View::Types),
            (&["/stats limits", "/stats límites", "/stats@raybot limites"], All, View::Limits),
        ] {
            for text in texts {
                assert_eq!(read(text), stats(period, view), "{text}");
            }
        }
    }

    #[test]
    fn the_other_commands_in_every_language() {
        let one = |command: Command| Input::Command(command);
        for (texts, expected) in [
            (
                &["/help", "/ayuda", "/ajuda", "/aide", "/HELP@Raymundo", "/raymundo", "/?", "/raymundo ayuda"][..],
                one(Command::Help),
            ),
            (&["/new", "/nuevo", "/novo", "/nouveau"], one(Command::New)),
            (&["/retry", "/reintentar", "/repetir", "/réessayer"], one(Command::Retry)),
            (&["/cancel", "/cancelar", "/annuler"], one(Command::Cancel)),
            (&["/cost", "/costo", "/custo", "/coût"], one(Command::Cost)),
            (&["/usage on", "/uso sí", "/uso sim", "/usage oui"], one(Command::Usage(Some(Switch::On)))),
            (&["/usage off", "/uso no", "/uso não", "/usage non"], one(Command::Usage(Some(Switch::Off)))),
            (&["/usage"], one(Command::Usage(None))),
            (&["/model", "/modelo", "/modèle"], one(Command::Model(None))),
            (&["/model gpt-4O", "/modelo gpt-4O"], one(Command::Model(Some("gpt-4O".into())))),
            (&["/lang es", "/idioma es", "/langue es"], one(Command::Lang(Some("es".into())))),
            (
                &["/reset_stats", "/stats reset", "/raymundo stats reiniciar", "/zerar"],
                one(Command::ResetStats { confirmed: false }),
            ),
            (
                &["/reset_stats confirm", "/reset_stats CONFIRMAR", "/stats reset confirmer"],
                one(Command::ResetStats { confirmed: true }),
            ),
            (&["/reset_stats undo", "/stats reset DESHACER", "/zerar desfazer"], one(Command::UndoReset)),
            (&["/id"], one(Command::Id)),
            (&["/start", "/start abc_123"], one(Command::Start)),
            (&["/quit", "/exit", "/salir", "/sair", "/quitter"], one(Command::Quit)),
        ] {
            for text in texts {
                assert_eq!(read(text), expected, "{text}");
            }
        }
    }

    #[test]
    fn what_is_text_and_what_is_not_for_us() {
        for text in ["hello", "// a comment", "/ a b", "/etc/hosts is what?", "1/2", "look: /stats"] {
            assert_eq!(read(text), Input::Text(text.into()), "{text}");
        }
        for text in ["", "  \n", "/stats@otherbot"] {
            assert_eq!(read(text), Input::Nothing, "{text}");
        }
    }

    #[test]
    fn the_unknown_gets_a_suggestion() {
        for (text, suggestion) in [
            ("/stast", Some("/stats")),
            ("/hlep me", Some("/help")),
            ("/estadisiticas", Some("/estadisticas")),
            ("/canc", Some("/cancel")),
            ("/frobnicate", None),
            ("/", Some("/help")),
            ("/raymundo stast", Some("/stats")),
        ] {
            let Input::Unknown { suggestion: found, .. } = read(text) else { panic!("{text} is known") };
            assert_eq!(found.as_deref(), suggestion, "{text}");
        }
        for (text, name) in [("/stats yesterday", "stats"), ("/uso quizás", "usage"), ("/cost please", "cost")] {
            assert_eq!(read(text), Input::Misused { word: text.into(), command: name });
        }
        assert!(
            matches!(parse("/quit", &names(), Place::Chat, true), Input::Unknown { .. }),
            "nobody leaves a messenger"
        );
    }

    proptest! {
        #[test]
        fn any_text_can_be_read(text in "\\PC*|/\\PC{0,20}|[/@ a-z\\n]{0,20}") {
            read(&text);
        }
    }
}
