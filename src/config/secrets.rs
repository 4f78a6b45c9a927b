//! Keys and tokens: from a named environment variable or a file only the owner can read, never from the file itself.
//!
//! Reads no environment and no file: both come in as arguments. A secret is never part of a sentence.

use std::path::PathBuf;

use secrecy::SecretString;

use super::mistakes::looks_like_key;
use super::reader::{Section, example_variable};

/// The environment a configuration is checked against; any `Fn(&str) -> Option<String>` is one.
pub trait Env {
    /// The value of a variable, if it is set.
    fn get(&self, name: &str) -> Option<String>;
}

impl<F: Fn(&str) -> Option<String>> Env for F {
    fn get(&self, name: &str) -> Option<String> {
        self(name)
    }
}

/// A file that holds one secret.
pub struct SecretFile {
    /// Its content; white space around the secret is ignored.
    pub content: SecretString,
    /// Its permission bits.
    pub mode: u32,
}

/// Reads secret files; any `Fn(&str) -> Result<SecretFile, String>` is one. The error says why in a few words.
pub trait SecretFiles {
    /// The content and the mode of a file, its path as written in the configuration.
    ///
    /// # Errors
    /// Why it cannot be read, for example `no such file`.
    fn read(&self, path: &str) -> Result<SecretFile, String>;
}

impl<F: Fn(&str) -> Result<SecretFile, String>> SecretFiles for F {
    fn read(&self, path: &str) -> Result<SecretFile, String> {
        self(path)
    }
}

/// How much a secret must hold that is not simply what a server gave.
#[derive(Clone, Copy)]
pub(super) struct Least {
    /// Its characters.
    pub(super) chars: usize,
    /// Where somebody who has a shorter one gets another.
    pub(super) from: &'static str,
}

impl Least {
    /// So many characters that nobody can guess.
    pub(super) const fn random(chars: usize) -> Least {
        Least { chars, from: "for example those of `openssl rand -hex 32`" }
    }
}

/// The shortest token that is accepted for our own doors, in characters.
pub const MIN_TOKEN_CHARS: usize = 32;

/// No secret is longer, in bytes.
const MAX_SECRET_BYTES: usize = 8 * 1024;

impl Section<'_> {
    /// The secret that one of two keys leads to: a variable's name, or a file.
    pub(super) fn secret(
        &mut self,
        env_key: &'static str,
        file_key: &'static str,
        least: Option<Least>,
    ) -> Option<SecretString> {
        if self.has(env_key) && self.has(file_key) {
            let text = format!("`{}` stands beside `{env_key}`; expected one of them", self.path_of(file_key));
            self.wrong(file_key, text);
        }
        let from_env = self.secret_from_env(env_key, None, least);
        let from_file = self.secret_from_file(file_key, least);
        from_env.or(from_file)
    }

    /// The secret in the variable that `key` names; without `key`, in the variable `default`, which may be unset.
    pub(super) fn secret_from_env(
        &mut self,
        key: &'static str,
        default: Option<&str>,
        least: Option<Least>,
    ) -> Option<SecretString> {
        let Some(item) = self.find(key) else {
            let name = default?;
            return self.usable(self.report.env.get(name)?, key, &format!("the variable `{name}`"), least);
        };
        let Some(name) = item.value.as_str().filter(|name| is_variable_name(name)) else {
            let example = example_variable(key);
            item.says(&format!(
                "is not the name of an environment variable (its value is not repeated here, it may be a key); \
                 expected letters, digits and `_`, for example `{key} = \"{example}\"` after `export {example}=…`"
            ));
            return None;
        };
        let secret = self.report.env.get(name);
        if let Some(secret) = secret.clone().filter(|secret| !secret.trim().is_empty()) {
            return self.usable(secret, key, &format!("the variable `{name}`"), least);
        }
        let state = if secret.is_some() { "empty" } else { "not set" };
        item.lacks(&format!("names the variable `{name}`, which is {state}; set it first: `export {name}=…`"));
        None
    }

    /// The secret in the file that `key` names.
    fn secret_from_file(&mut self, key: &'static str, least: Option<Least>) -> Option<SecretString> {
        let path = self.path(key)?;
        let shown = path.display().to_string();
        match self.report.files.read(&shown) {
            Ok(file) if file.mode & 0o077 != 0 => {
                let text = format!(
                    "`{}` is `{shown}`, which others can read (mode {:04o}); expected mode 0600: \
                     `chmod 600 {shown}`",
                    self.path_of(key),
                    file.mode & 0o7777
                );
                self.wrong(key, text);
                None
            }
            Ok(file) => {
                let content = secrecy::ExposeSecret::expose_secret(&file.content).to_owned();
                self.usable(content, key, &format!("the file `{shown}`"), least)
            }
            Err(why) => {
                let text = format!("`{}` is `{shown}`, which cannot be read: {why}", self.path_of(key));
                self.absent(key, text);
                None
            }
        }
    }

    /// A path that is used as it is written.
    pub(super) fn path(&mut self, key: &'static str) -> Option<PathBuf> {
        let expected = "a path (`~` is not expanded)";
        self.parsed(key, expected, &format!("\"/srv/tallybot/{key}\""), |text| {
            let usable = !text.trim().is_empty()
                && !text.starts_with('~')
                && !text.chars().any(char::is_control)
                && text.len() <= 4096
                && (text.contains('/') || !looks_like_key(text));
            usable.then(|| PathBuf::from(text))
        })
    }

    fn usable(&self, secret: String, key: &str, source: &str, least: Option<Least>) -> Option<SecretString> {
        let trimmed = secret.trim();
        let held = trimmed.chars().count();
        let problem = if trimmed.is_empty() {
            "is empty".to_owned()
        } else if trimmed.chars().any(|c| c.is_control() || c.is_whitespace()) {
            "holds spaces or line breaks; expected the secret alone".to_owned()
        } else if trimmed.len() > MAX_SECRET_BYTES {
            format!("holds {} bytes; expected at most {MAX_SECRET_BYTES}", trimmed.len())
        } else if let Some(Least { chars, from }) = least.filter(|least| held < least.chars) {
            format!("holds {held} characters; expected at least {chars}, {from}")
        } else {
            return Some(SecretString::from(trimmed));
        };
        self.wrong(key, format!("`{}`: {source} {problem}", self.path_of(key)));
        None
    }
}

fn is_variable_name(name: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let in_capitals = name.contains('_') && !name.contains(|c: char| c.is_ascii_lowercase());
    starts_well && name.len() <= 64 && name.chars().all(word) && (in_capitals || !looks_like_key(name))
}
