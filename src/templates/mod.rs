//! Load, check and render `templates/`: every sentence a person reads, a folder per language.
//!
//! With an owner's folder everything is rendered once with samples when it is loaded, so that a broken template stops the
//! start and not a chat. The built-in texts are what the tests have rendered: a language of them is read when it is
//! first spoken, so who only serves programs neither waits for it nor holds it.
//!
//! Knows nothing of the program: callers hand in plain data ([`messages`] says which). Reads an owner's folder, nothing
//! else; no clock.

mod alerts;
mod budget_messages;
mod filters;
mod fold;
mod lang;
mod markup;
pub mod messages;
pub mod numbers;
mod source;
mod surface;
mod vocabulary;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, Value, ValueKind};
use minijinja::{AutoEscape, Environment, Output, State, UndefinedBehavior};
use serde::Serialize;

pub use filters::LINE_WIDTH;
pub use fold::fold;
pub use lang::Lang;
use source::{Source, WORDS_FILE};
pub use surface::Surface;
pub use vocabulary::CommandHelp;
use vocabulary::Vocabulary;

/// Why the texts cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// The owner's folder, or a file in it, cannot be read.
    #[error("cannot read `{}`; expected a folder such as `my-texts/` with files such as `my-texts/en/help.j2`", path.display())]
    Unreadable {
        /// What could not be read.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file that replaces none of ours: most likely a misspelt name.
    #[error("`{}` replaces no text; expected `<language>/<name>` such as `es/welcome.j2`", path.display())]
    Unknown {
        /// The file.
        path: PathBuf,
    },
    /// A file far larger than any text.
    #[error("`{}` has {bytes} bytes; expected at most 65536", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
    },
    /// A text with a mistake in it.
    #[error("`{file}` line {line}: {reason}")]
    Broken {
        /// The file, as the owner knows it.
        file: String,
        /// The line of the mistake, from 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
}

/// Every text of every language.
#[derive(Debug, Default)]
pub struct Templates {
    /// In the order of [`Lang::ALL`]. One that is not loaded yet speaks the built-in texts.
    speakers: [OnceLock<Speaker>; Lang::ALL.len()],
}

/// One language's texts and words.
#[derive(Debug)]
struct Speaker {
    /// In the order of [`Surface::ALL`].
    envs: [Environment<'static>; 3],
    vocabulary: Arc<Vocabulary>,
}

impl Templates {
    /// The built-in texts, with those replaced that an owner's folder has its own of; then each is rendered once.
    ///
    /// # Errors
    /// When the folder cannot be read, holds an unknown file, or any text is broken; names the file and the line.
    pub fn load(overrides: Option<&Path>) -> Result<Templates, TemplateError> {
        match overrides {
            Some(dir) => Templates::checked(Some(dir)),
            None => Ok(Templates::default()),
        }
    }

    /// Loads every language and renders every text, whoever wrote it.
    fn checked(overrides: Option<&Path>) -> Result<Templates, TemplateError> {
        let mut sources: Vec<Source> = Lang::ALL.into_iter().flat_map(source::built_in).collect();
        if let Some(dir) = overrides {
            source::apply_overrides(dir, &mut sources)?;
        }
        let templates = Templates::default();
        for (lang, place) in Lang::ALL.into_iter().zip(&templates.speakers) {
            let speaker = Speaker::load(lang, &sources)?;
            place.get_or_init(|| speaker);
        }
        templates.check(&sources)?;
        Ok(templates)
    }

    /// Renders the message `name` in `lang` as plain text, without a newline at its end.
    ///
    /// [`messages::MESSAGES`] lists the names and what each takes; what is left out of `context` counts as absent.
    /// A message that cannot be rendered (a wrong name, a wrong type) is logged and shown as its name in brackets.
    pub fn render(&self, lang: Lang, name: &str, context: impl Serialize) -> String {
        self.render_for(Surface::Plain, lang, name, context)
    }

    /// Renders the message `name` in `lang` in the form of a surface: for [`Surface::Telegram`] this is valid HTML.
    ///
    /// All else is as in [`render`](Self::render).
    pub fn render_for(&self, surface: Surface, lang: Lang, name: &str, context: impl Serialize) -> String {
        self.try_render(surface, lang, name, prepared(name, context)).unwrap_or_else(|error| {
            tracing::error!(template = name, %lang, %surface, line = error.line(), kind = ?error.kind(), "a text cannot be rendered");
            markup::written(surface, format!("[{name}]"))
        })
    }

    /// The commands as help and menus show them in `lang`.
    pub fn commands(&self, lang: Lang) -> &[CommandHelp] {
        &self.speaker(lang).vocabulary.commands
    }

    /// What stands on a button in `lang`: `today`, `7d`, `30d`, `all`, `models`, `types`, `limits`, `users`, `refresh`,
    /// `csv`, `reset`, `confirm`, `cancel` or `stop`.
    pub fn button(&self, lang: Lang, name: &str) -> String {
        vocabulary::word(&self.speaker(lang).vocabulary.buttons, name).to_owned()
    }

    fn speaker(&self, lang: Lang) -> &Speaker {
        let built_in = || Speaker::load(lang, &source::built_in(lang)).expect("a test loads the built-in texts");
        self.speakers[lang as usize].get_or_init(built_in)
    }

    fn try_render(&self, surface: Surface, lang: Lang, name: &str, context: Value) -> Result<String, minijinja::Error> {
        let template = self.speaker(lang).envs[surface as usize].get_template(name)?;
        let mut text = markup::written(surface, template.render(context)?);
        text.truncate(text.trim_end_matches('\n').len());
        Ok(text)
    }

    /// Renders every template of every language with each of its samples, on each surface.
    fn check(&self, sources: &[Source]) -> Result<(), TemplateError> {
        for name in source::names() {
            for context in messages::samples(name).into_iter().map(|sample| prepared(name, sample)) {
                for (surface, lang) in Surface::ALL.into_iter().flat_map(|on| Lang::ALL.map(|lang| (on, lang))) {
                    self.try_render(surface, lang, name, context.clone())
                        .map_err(|error| broken(&source::shown_on(surface, sources), lang, name, &error))?;
                }
            }
        }
        Ok(())
    }
}

/// What a template is handed: clean, and with all its fields.
fn prepared(name: &str, context: impl Serialize) -> Value {
    messages::with_absent_fields(name, cleaned(Value::from(Serde(context))))
}

impl Speaker {
    fn load(lang: Lang, sources: &[Source]) -> Result<Speaker, TemplateError> {
        let words = sources.iter().find(|source| source.lang == lang && source.file == WORDS_FILE);
        let vocabulary = Arc::new(read_vocabulary(words.expect("every language has its words"))?);
        let mut env = Environment::new();
        env.set_undefined_behavior(UndefinedBehavior::Strict);
        env.set_auto_escape_callback(|_| AutoEscape::None);
        env.set_formatter(write_value);
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).keep_trailing_newline(true).build();
        env.set_syntax(syntax.expect("the delimiters are the usual ones"));
        filters::add_all(&mut env, lang, &vocabulary);
        let own: Vec<Source> = sources.iter().filter(|source| source.lang == lang).cloned().collect();
        for source in own.iter().filter(|source| source.file != WORDS_FILE && source.surface().is_none()) {
            add_template(&mut env, source)?;
        }
        let on = |surface| on_surface(env.clone(), surface, &vocabulary, &own);
        let envs = [on(Surface::Plain)?, on(Surface::Telegram)?, on(Surface::WhatsApp)?];
        Ok(Speaker { envs, vocabulary })
    }
}

/// The environment of a language with the markup and the own texts of a surface.
fn on_surface(
    mut env: Environment<'static>,
    surface: Surface,
    vocabulary: &Arc<Vocabulary>,
    own: &[Source],
) -> Result<Environment<'static>, TemplateError> {
    filters::add_forms(&mut env, surface, vocabulary);
    markup::add_filters(&mut env, surface);
    for source in own.iter().filter(|source| source.surface() == Some(surface)) {
        add_template(&mut env, source)?;
    }
    Ok(env)
}

fn add_template(env: &mut Environment<'static>, source: &Source) -> Result<(), TemplateError> {
    env.add_template_owned(source.name().to_owned(), source.text.clone())
        .map_err(|error| broken(&[source], source.lang, source.name(), &error))
}

/// Reads `words.toml`, which must define exactly the words that ours defines.
fn read_vocabulary(source: &Source) -> Result<Vocabulary, TemplateError> {
    let at = |line: usize, reason: String| TemplateError::Broken { file: source.shown(), line, reason };
    let read = |text: &str| toml::from_str::<Vocabulary>(text);
    let vocabulary = read(&source.text).map_err(|error| {
        let start = error.span().map_or(0, |span| span.start).min(source.text.len());
        at(source.text[..start].lines().count().max(1), error.message().to_owned())
    })?;
    let ours = source::built_in(source.lang).into_iter().find(|ours| ours.file == WORDS_FILE);
    let ours = read(&ours.expect("every language has its words").text).expect("a test reads the built-in words");
    let (expected, found) = (ours.keys(), vocabulary.keys());
    match expected.iter().find(|key| !found.contains(key)) {
        Some(missing) => Err(at(1, format!("`{missing}` is missing"))),
        None => Ok(vocabulary),
    }
}

/// The error of a template among those of its surface; it may lie in another one it includes.
fn broken(shown: &[&Source], lang: Lang, name: &str, error: &minijinja::Error) -> TemplateError {
    let inner = innermost(error);
    let culprit = inner.name().unwrap_or(name);
    let source = shown.iter().find(|source| source.lang == lang && source.name() == culprit);
    let reason =
        inner.detail().map_or_else(|| inner.kind().to_string(), |detail| format!("{}: {detail}", inner.kind()));
    let file = source.map_or_else(|| format!("{lang}/{culprit}"), |source| source.shown());
    TemplateError::Broken { file, line: inner.line().unwrap_or(1), reason }
}

fn innermost(error: &minijinja::Error) -> &minijinja::Error {
    let mut inner = error;
    while let Some(source) = std::error::Error::source(inner).and_then(|source| source.downcast_ref()) {
        inner = source;
    }
    inner
}

/// Writes a value; what is missing is nothing.
fn write_value(out: &mut Output<'_>, _state: &mut State<'_, '_>, value: &Value) -> Result<(), minijinja::Error> {
    if value.is_none() {
        return Ok(());
    }
    out.write_str(&value.to_string()).map_err(minijinja::Error::from)
}

/// Text from outside without control characters, without marks that reverse the reading direction, and without those
/// that stand for markup.
pub fn clean(text: &str) -> String {
    let is_hidden = |c: char| {
        c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') || markup::is_mark(c)
    };
    text.chars().filter(|c| !is_hidden(*c)).collect()
}

/// A context in which every text is [`clean`]: no value can move the cursor, add lines or pass for markup.
fn cleaned(value: Value) -> Value {
    match value.kind() {
        ValueKind::String => Value::from(clean(&value.to_string())),
        ValueKind::Seq => value.try_iter().map(|items| items.map(cleaned).collect()).unwrap_or(value),
        ValueKind::Map => {
            let entry = |key: Value| {
                let item = value.get_item(&key).unwrap_or_default();
                (key.to_string(), cleaned(item))
            };
            let entries = value.try_iter().map(|keys| keys.map(entry).collect::<BTreeMap<String, Value>>());
            entries.map_or(Value::UNDEFINED, Value::from)
        }
        _ => value,
    }
}

#[cfg(test)]
mod tests;
