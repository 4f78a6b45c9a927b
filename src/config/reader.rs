//! Reading a parsed TOML document key by key, collecting every mistake instead of stopping at the first.
//!
//! A [`Section`] knows which keys were asked for: what nobody asked for is unknown, and said so when it closes.

use std::cell::RefCell;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::mistakes::{Finding, Lines, looks_like_key, nearest};
use super::secrets::{Env, SecretFiles};

/// No more mistakes of one file are collected.
pub(super) const MAX_MISTAKES: usize = 1_000;

/// What is known about one file while it is read.
pub(super) struct Report<'a> {
    lines: Lines,
    pub(super) env: &'a dyn Env,
    pub(super) files: &'a dyn SecretFiles,
    /// The syntax is damaged: then nothing is said to be missing, and nothing more of the damaged lines.
    damaged_lines: Vec<usize>,
    mistakes: RefCell<Vec<Finding>>,
    /// Secrets that are not there, which matters to whoever uses them.
    absent: RefCell<Vec<Finding>>,
    warnings: RefCell<Vec<Finding>>,
    /// Every key that was asked for, as `providers[].url`: a test holds the example file against it.
    #[cfg(test)]
    asked: RefCell<std::collections::BTreeSet<String>>,
}

/// What a reader found in a file.
#[derive(Default)]
pub(super) struct Findings {
    pub(super) mistakes: Vec<Finding>,
    pub(super) absent: Vec<Finding>,
    pub(super) warnings: Vec<Finding>,
    #[cfg(test)]
    pub(super) asked: std::collections::BTreeSet<String>,
}

/// A range of whole numbers, and what they count.
pub(super) struct Whole {
    pub(super) min: u64,
    pub(super) max: u64,
    /// What is counted, such as `tokens`.
    pub(super) unit: &'static str,
    /// A value to show as an example.
    pub(super) example: u64,
}

/// One table of the file: the top, `[http]`, one of `[[providers]]`. An absent table reads as an empty one.
pub(super) struct Section<'a> {
    pub(super) report: &'a Report<'a>,
    path: String,
    pattern: String,
    table: Option<&'a DeTable<'a>>,
    at: usize,
    known: Vec<&'static str>,
}

/// One value of the file and where it stands.
pub(super) struct Item<'a> {
    report: &'a Report<'a>,
    key: &'static str,
    path: String,
    at: usize,
    pub(super) value: &'a DeValue<'a>,
}

impl<'a> Report<'a> {
    pub(super) fn new(lines: Lines, env: &'a dyn Env, files: &'a dyn SecretFiles, syntax: Vec<Finding>) -> Report<'a> {
        let damaged_lines = syntax.iter().map(|finding| finding.line).collect();
        Report {
            lines,
            env,
            files,
            damaged_lines,
            mistakes: RefCell::new(syntax),
            absent: RefCell::default(),
            warnings: RefCell::default(),
            #[cfg(test)]
            asked: RefCell::default(),
        }
    }

    pub(super) fn into_findings(self) -> Findings {
        let mistakes = self.mistakes.into_inner();
        let mut warnings = self.warnings.into_inner();
        warnings.sort_by_key(|finding| finding.line);
        Findings {
            mistakes,
            absent: self.absent.into_inner(),
            warnings,
            #[cfg(test)]
            asked: self.asked.into_inner(),
        }
    }

    fn mistake(&self, at: usize, key: &str, text: String) {
        if self.is_full() {
            return;
        }
        let line = self.lines.line_at(at);
        if !self.damaged_lines.contains(&line) {
            self.mistakes.borrow_mut().push(Finding { line, key: key.to_owned(), text, excerpt: None });
        }
    }

    /// A secret is not there.
    fn absence(&self, at: usize, key: &str, text: String) {
        let line = self.lines.line_at(at);
        if !self.damaged_lines.contains(&line) {
            self.absent.borrow_mut().push(Finding { line, key: key.to_owned(), text, excerpt: None });
        }
    }

    fn is_full(&self) -> bool {
        self.mistakes.borrow().len() >= MAX_MISTAKES
    }

    fn warning(&self, at: usize, key: &str, text: String) {
        let line = self.lines.line_at(at);
        self.warnings.borrow_mut().push(Finding { line, key: key.to_owned(), text, excerpt: None });
    }
}

impl<'a> Section<'a> {
    /// The whole file.
    pub(super) fn top(report: &'a Report<'a>, table: &'a DeTable<'a>) -> Section<'a> {
        Section { report, path: String::new(), pattern: String::new(), table: Some(table), at: 0, known: Vec::new() }
    }

    /// Whether the file has this section at all.
    pub(super) fn is_present(&self) -> bool {
        self.table.is_some()
    }

    /// Whether `key` stands in this section.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.is_some_and(|table| table.keys().any(|name| name.get_ref() == key))
    }

    /// The value of `key` as it stands there; the key is not known by that.
    pub(super) fn peek(&self, key: &str) -> Option<&'a DeValue<'a>> {
        let (_, value) = self.table?.iter().find(|(name, _)| name.get_ref() == key)?;
        Some(value.get_ref())
    }

    /// The path of a key of this section, as it is shown.
    pub(super) fn path_of(&self, key: &str) -> String {
        joined(&self.path, key)
    }

    /// The value of `key`, if it is there; the key is known from now on.
    pub(super) fn find(&mut self, key: &'static str) -> Option<Item<'a>> {
        self.known.push(key);
        #[cfg(test)]
        self.report.asked.borrow_mut().insert(joined(&self.pattern, key));
        let (_, value) = self.table?.iter().find(|(name, _)| name.get_ref() == key)?;
        let (report, path) = (self.report, self.path_of(key));
        Some(Item { report, key, path, at: value.span().start, value: value.get_ref() })
    }

    /// A string that `parse` understands; `expected` and `example` (as TOML) are for when it does not.
    pub(super) fn parsed<T>(
        &mut self,
        key: &'static str,
        expected: &str,
        example: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let item = self.find(key)?;
        let parsed = item.value.as_str().and_then(parse);
        if parsed.is_none() {
            item.wrong(expected, example);
        }
        parsed
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(&mut self, key: &'static str, choices: &[(&'static str, T)]) -> Option<T> {
        let item = self.find(key)?;
        let word = item.value.as_str().unwrap_or("");
        let chosen = choices.iter().find(|(name, _)| *name == word);
        if chosen.is_none() {
            let names: Vec<String> = choices.iter().map(|(name, _)| format!("`\"{name}\"`")).collect();
            let meant = nearest(word, choices.iter().map(|(name, _)| *name)).unwrap_or(choices[0].0);
            item.wrong(&format!("one of {}", names.join(", ")), &format!("\"{meant}\""));
        }
        chosen.map(|(_, value)| *value)
    }

    /// A whole number within a range.
    pub(super) fn whole(&mut self, key: &'static str, range: Whole) -> Option<u64> {
        self.whole_or(key, range, "")
    }

    /// A whole number within a range; `or` says what else is understood, which the caller has looked for.
    pub(super) fn whole_or(&mut self, key: &'static str, range: Whole, or: &str) -> Option<u64> {
        let item = self.find(key)?;
        let number = match item.value {
            DeValue::Integer(digits) => {
                i128::from_str_radix(&digits.as_str().replace('_', ""), digits.radix()).unwrap_or(i128::MAX)
            }
            _ => -1,
        };
        let found = u64::try_from(number).ok().filter(|n| (range.min..=range.max).contains(n));
        if found.is_none() {
            let meant = item.value.as_str().and_then(number_in_words);
            let example = meant.filter(|n| (range.min..=range.max).contains(n)).unwrap_or(range.example);
            let expected = format!("a whole number of {} from {} to {}{or}", range.unit, range.min, range.max);
            item.wrong(&expected, &example.to_string());
        }
        found
    }

    /// `true` or `false`.
    pub(super) fn flag(&mut self, key: &'static str) -> Option<bool> {
        let item = self.find(key)?;
        let flag = item.value.as_bool();
        if flag.is_none() {
            item.wrong("`true` or `false`, without quotes", "true");
        }
        flag
    }

    /// A list whose every element `parse` understands.
    pub(super) fn list<T>(
        &mut self,
        key: &'static str,
        max_len: usize,
        expected: &str,
        example: &str,
        parse: impl Fn(&DeValue<'_>) -> Option<T>,
    ) -> Option<Vec<T>> {
        let item = self.find(key)?;
        let Some(values) = item.value.as_array() else {
            item.wrong(expected, example);
            return None;
        };
        if values.len() > max_len {
            item.says(&format!("has {} entries; at most {max_len} are allowed", values.len()));
            return None;
        }
        let mut list = Vec::with_capacity(values.len());
        for value in values.iter() {
            match parse(value.get_ref()) {
                Some(entry) => list.push(entry),
                None => item.entry_wrong(value, expected, example),
            }
        }
        Some(list)
    }

    /// A table inside this one, read by `read` and then checked for unknown keys.
    pub(super) fn table<T>(&mut self, key: &'static str, read: impl FnOnce(&mut Section<'a>) -> T) -> T {
        let item = self.find(key);
        let pattern = joined(&self.pattern, key);
        let (table, at) = match &item {
            Some(item) => (item.value.as_table(), item.at),
            None => (None, self.at),
        };
        if let (Some(item), None) = (&item, table) {
            // Inside an element of a list there is no such header; there it is written in place.
            let form = if item.path.contains('[') { format!("{key} = {{ … }}") } else { format!("[{}]", item.path) };
            item.says(&format!("is {}; expected a section: `{form}`", shown(item.value)));
        }
        let path = self.path_of(key);
        let mut section = Section { report: self.report, path, pattern, table, at, known: Vec::new() };
        let value = read(&mut section);
        section.close();
        value
    }

    /// The tables of `[[key]]`, each read by `read` and then checked for unknown keys.
    pub(super) fn tables<T>(
        &mut self,
        key: &'static str,
        max_len: usize,
        mut read: impl FnMut(&mut Section<'a>) -> Option<T>,
    ) -> Vec<T> {
        let Some(item) = self.find(key) else { return Vec::new() };
        let Some(values) = item.value.as_array() else {
            item.says(&match item.value {
                DeValue::Table(_) => {
                    format!("is one section; it may stand several times: write `[[{key}]]` with two brackets")
                }
                value => format!("is {}; expected sections: `[[{key}]]`", shown(value)),
            });
            return Vec::new();
        };
        if values.len() > max_len {
            item.says(&format!("stands {} times; at most {max_len} are allowed", values.len()));
            return Vec::new();
        }
        let mut rows = Vec::with_capacity(values.len());
        for (index, value) in values.iter().enumerate() {
            let Some(table) = value.get_ref().as_table() else {
                item.entry_wrong(value, &format!("sections `[[{key}]]`"), "[]");
                continue;
            };
            let (path, pattern) = (format!("{key}[{index}]"), format!("{key}[]"));
            let at = value.span().start;
            let mut section = Section { report: self.report, path, pattern, table: Some(table), at, known: Vec::new() };
            rows.extend(read(&mut section));
            section.close();
        }
        rows
    }

    /// Says that a required key is not there.
    pub(super) fn missing(&self, key: &str, expected: &str, example: &str) {
        if self.report.damaged_lines.is_empty() {
            let path = self.path_of(key);
            let text = format!("`{path}` is missing; expected {expected}, for example `{key} = {example}`");
            self.report.mistake(self.at, &path, text);
        }
    }

    /// Says that something is wrong with the section as a whole, or with a key that stands nowhere.
    pub(super) fn wrong(&self, key: &str, text: String) {
        if self.report.damaged_lines.is_empty() {
            self.report.mistake(self.line_start(key), &self.path_of(key), text);
        }
    }

    /// Says that something is wrong with a key of one of the tables `[[list]]`, or with the table as a whole.
    pub(super) fn wrong_in(&self, list: &str, index: usize, key: &str, text: String) {
        let tables = self.peek(list).and_then(DeValue::as_array);
        let Some(value) = tables.and_then(|tables| tables.get(index)) else { return self.wrong(list, text) };
        let (path, at) = (format!("{list}[{index}]"), value.span().start);
        let table = value.get_ref().as_table();
        let section = Section { report: self.report, pattern: String::new(), path, table, at, known: Vec::new() };
        section.wrong(key, text);
    }

    /// Whether nothing wrong was found below a key by now: only then its tables can be compared.
    pub(super) fn is_sound(&self, key: &str) -> bool {
        let path = self.path_of(key);
        !self.report.mistakes.borrow().iter().any(|mistake| mistake.key.starts_with(&path))
    }

    /// Says of a secret that it is not there: a mistake for whoever uses it.
    pub(super) fn absent(&self, key: &str, text: String) {
        if self.report.damaged_lines.is_empty() {
            self.report.absence(self.line_start(key), &self.path_of(key), text);
        }
    }

    /// A variable of the environment that no key names.
    pub(super) fn variable(&self, name: &str) -> Option<String> {
        self.report.env.get(name)
    }

    /// Says something that does not stop the start.
    pub(super) fn warn(&self, key: &str, text: String) {
        self.report.warning(self.line_start(key), &self.path_of(key), text);
    }

    /// Where `key` (or what it is in) stands, or else the section.
    fn line_start(&self, key: &str) -> usize {
        let first = key.split('.').next().unwrap_or(key);
        let entry = self.table.and_then(|table| table.iter().find(|(name, _)| name.get_ref() == first));
        entry.map_or(self.at, |(name, _)| name.span().start)
    }

    /// Reports the keys nobody asked for; not of a damaged file, where they may have slipped out of their section.
    pub(super) fn close(self) {
        let Some(table) = self.table.filter(|_| self.report.damaged_lines.is_empty()) else { return };
        for (name, _) in table.iter() {
            let key: &str = name.get_ref();
            if !self.known.contains(&key) && !self.report.is_full() {
                self.report.mistake(name.span().start, &self.path_of(&cut(key)), self.unknown_key(key));
            }
        }
    }

    fn unknown_key(&self, key: &str) -> String {
        let path = self.path_of(&cut(key));
        if let Some(env_key) = self.key_named_by(key) {
            return format!(
                "`{path}`: a key never stands in this file; put it into an environment variable and name that one, \
                 for example `{env_key} = \"{0}\"` after `export {0}=…`",
                example_variable(env_key)
            );
        }
        if self.known.is_empty() {
            return format!("`{path}` is not known");
        }
        match nearest(key, self.known.iter().copied()) {
            Some(meant) => format!("`{path}` is not known; did you mean `{meant}`?"),
            None => {
                let known: Vec<String> = self.known.iter().map(|known| format!("`{known}`")).collect();
                format!("`{path}` is not known; known here: {}", known.join(", "))
            }
        }
    }

    /// The key that should name the variable, when `key` looks like a place for the secret itself.
    fn key_named_by(&self, key: &str) -> Option<&'static str> {
        const SECRETS: [&str; 9] =
            ["api_key", "apikey", "key", "secret", "password", "token", "bot_token", "api_token", "auth_token"];
        let key = key.to_lowercase().replace('-', "_");
        let same = self.known.iter().find(|known| known.strip_suffix("_env") == Some(key.as_str()));
        let any = || self.known.iter().find(|known| known.ends_with("_env"));
        same.or_else(|| SECRETS.contains(&key.as_str()).then(any).flatten()).copied()
    }
}

impl Item<'_> {
    /// Says what the value is and what it should be; `example` is TOML.
    pub(super) fn wrong(&self, expected: &str, example: &str) {
        self.says(&format!("is {}; expected {expected}, for example `{} = {example}`", shown(self.value), self.key));
    }

    /// Says something about the key that has this value.
    pub(super) fn says(&self, text: &str) {
        self.report.mistake(self.at, &self.path, format!("`{}` {text}", self.path));
    }

    /// Says of the secret that it leads to that it is not there.
    pub(super) fn lacks(&self, text: &str) {
        self.report.absence(self.at, &self.path, format!("`{}` {text}", self.path));
    }

    fn entry_wrong(&self, entry: &Spanned<DeValue<'_>>, expected: &str, example: &str) {
        let text = format!(
            "`{}` holds {}; expected {expected}, for example `{} = {example}`",
            self.path,
            shown(entry.get_ref()),
            self.key
        );
        self.report.mistake(entry.span().start, &self.path, text);
    }
}

/// A value as it is shown in a sentence: short, printable, and never a key.
fn shown(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) if looks_like_key(text) => "a text that looks like a key (not repeated)".to_owned(),
        DeValue::String(text) => format!("`\"{}\"`", cut(text)),
        DeValue::Integer(number) => format!("`{number}`"),
        DeValue::Float(number) => format!("`{number}`"),
        DeValue::Boolean(flag) => format!("`{flag}`"),
        DeValue::Datetime(time) => format!("`{time}`"),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a section".to_owned(),
    }
}

fn joined(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

fn cut(text: &str) -> String {
    if looks_like_key(text) {
        return "…".to_owned();
    }
    let mut out: String = text.chars().take(60).flat_map(char::escape_debug).collect();
    if text.chars().count() > 60 {
        out.push('…');
    }
    out
}

/// The number somebody means by `150k`, `1.000`, `2M` or `"15"`.
fn number_in_words(text: &str) -> Option<u64> {
    let text = text.trim().to_lowercase().replace(['_', ',', '.', ' ', '\''], "");
    let (digits, factor) = match text.strip_suffix(['k', 'm']) {
        Some(digits) if text.ends_with('k') => (digits, 1_000),
        Some(digits) => (digits, 1_000_000),
        None => (text.as_str(), 1),
    };
    digits.parse::<u64>().ok()?.checked_mul(factor)
}

/// A variable to show as an example for a key.
pub(super) fn example_variable(env_key: &str) -> &'static str {
    match env_key {
        "read_token_env" => "TALLYBOT_READ_TOKEN",
        "admin_token_env" => "TALLYBOT_ADMIN_TOKEN",
        "token_env" => "TELOXIDE_TOKEN",
        "secret_env" => "TALLYBOT_ALERTS_SECRET",
        "url_env" => "TALLYBOT_ALERTS_URL",
        "password_env" => "TALLYBOT_MAIL_PASSWORD",
        _ => "OPENAI_API_KEY",
    }
}
