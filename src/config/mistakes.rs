//! What is wrong in a configuration, all of it at once, in words that say how to mend it.
//!
//! Values that look like keys are never repeated, neither in a sentence nor in a quoted line.

use std::fmt;

/// One thing to mend or to know: where it is and what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The line in the file, from 1.
    pub line: usize,
    /// The path of the key, such as `providers[0].url`; empty for a mistake of syntax.
    pub key: String,
    /// The sentence, with the value, what was expected and an example.
    pub text: String,
    /// The line itself with a caret under the place; only for mistakes of syntax.
    pub excerpt: Option<String>,
}

/// Every mistake of one configuration, in the order of the file. Its `Display` is what `check-config` prints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistakes {
    /// What the file is called in the messages, usually its path.
    pub label: String,
    /// The mistakes, never empty.
    pub findings: Vec<Finding>,
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let noun = if self.findings.len() == 1 { "mistake" } else { "mistakes" };
        write!(f, "{} {noun} in `{}`", self.findings.len(), self.label)?;
        for finding in &self.findings {
            write!(f, "\n{}:{finding}", self.label)?;
        }
        Ok(())
    }
}

impl std::error::Error for Mistakes {}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.line, self.text)?;
        match &self.excerpt {
            Some(excerpt) => write!(f, "\n{excerpt}"),
            None => Ok(()),
        }
    }
}

/// Where each line of a file begins.
pub(super) struct Lines(Vec<usize>);

impl Lines {
    pub(super) fn of(text: &str) -> Lines {
        Lines(std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect())
    }

    /// The line, from 1, that holds the byte `at`.
    pub(super) fn line_at(&self, at: usize) -> usize {
        self.0.partition_point(|start| *start <= at)
    }

    fn start_of(&self, line: usize) -> usize {
        self.0[line - 1]
    }
}

/// At most so many characters of a line are quoted, around the place.
const EXCERPT_CHARS: usize = 120;

/// A mistake of syntax, with the line it is on and a caret under the place.
pub(super) fn syntax_finding(text: &str, lines: &Lines, error: &toml::de::Error) -> Finding {
    let span = error.span().unwrap_or(text.len()..text.len());
    let (from, to) = (floor_boundary(text, span.start), floor_boundary(text, span.end));
    let line = lines.line_at(from);
    let start = lines.start_of(line);
    let content = text[start..].lines().next().unwrap_or("");
    let column = text[start..from].chars().count();
    let skipped = column.saturating_sub(EXCERPT_CHARS / 2);
    let quoted: String = masked_line(content).chars().skip(skipped).take(EXCERPT_CHARS).collect();
    let pad = " ".repeat(column - skipped);
    let carets = text[from..to].chars().take(EXCERPT_CHARS / 2).take_while(|c| *c != '\n').count().max(1);
    let gutter = " ".repeat(line.to_string().len());
    let excerpt = format!("{gutter} |\n{line} | {quoted}\n{gutter} | {pad}{}", "^".repeat(carets));
    Finding { line, key: String::new(), text: format!("not TOML: {}", error.message()), excerpt: Some(excerpt) }
}

fn floor_boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// A line of the file without anything secret: where a key or a token is set, nothing of the value is left.
fn masked_line(line: &str) -> String {
    const SECRET_ENDS: [&str; 4] = ["key", "token", "secret", "password"];
    if let Some((name, value)) = line.split_once('=')
        && SECRET_ENDS.iter().any(|end| name.trim().trim_matches(['"', '\'']).to_lowercase().ends_with(end))
    {
        let stars: String = value.chars().map(|c| if c.is_whitespace() { ' ' } else { '*' }).collect();
        return format!("{}={stars}", masked(name));
    }
    masked(line)
}

/// The text with every word that could be a key replaced by as many stars.
fn masked(line: &str) -> String {
    let is_break = |c: char| c.is_whitespace() || "\"'`=,[]{}#".contains(c);
    let mut out = String::with_capacity(line.len());
    let mut word = String::new();
    for c in line.chars().chain(std::iter::once('\n')) {
        if !is_break(c) {
            word.push(c);
            continue;
        }
        if looks_like_key(&word) {
            out.extend(std::iter::repeat_n('*', word.chars().count()));
        } else {
            out.push_str(&word);
        }
        word.clear();
        out.push(if c == '\t' { ' ' } else { c });
    }
    out.pop();
    out
}

/// Whether a text may well be a secret: a known prefix, or a long word that mixes letters and digits.
pub(super) fn looks_like_key(text: &str) -> bool {
    let is_mixed = |word: &str| {
        let digits = word.bytes().filter(u8::is_ascii_digit).count();
        let letters = word.bytes().filter(u8::is_ascii_alphabetic).count();
        word.len() >= 20 && digits >= 3 && letters >= 3
    };
    has_key_prefix(text) || words(text).any(is_mixed)
}

/// Whether a word of the text begins as only keys do.
pub(super) fn has_key_prefix(text: &str) -> bool {
    const PREFIXES: [&str; 10] = ["sk-", "sk_", "gsk_", "xai-", "AIza", "ghp_", "gho_", "github_pat_", "xoxb-", "hf_"];
    let is_key = |word: &str| PREFIXES.iter().any(|prefix| word.len() >= prefix.len() + 8 && word.starts_with(prefix));
    text.starts_with("Bearer ") || words(text).any(is_key)
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-')
}

/// The one of `known` that is nearest to `word`, when it is near enough to be meant; a beginning is very near.
pub(super) fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let word = word.to_lowercase();
    let allowed = (word.chars().count() / 3).clamp(1, 4);
    let steps = |candidate: &str| {
        let candidate = candidate.to_lowercase();
        if word.len() >= 3 && candidate.starts_with(&word) { 1 } else { distance(&word, &candidate) }
    };
    known
        .into_iter()
        .map(|candidate| (steps(candidate), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// How many single edits (insert, delete, replace, swap of neighbours) lie between two words.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().take(64).collect(), b.chars().take(64).collect());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    rows[0] = (0..=b.len()).collect();
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replaced.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[a.len()][b.len()]
}
