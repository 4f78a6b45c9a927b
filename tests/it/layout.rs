//! Holds the import table of the design against `src/`, and the few rules about files and words beside it.
//!
//! A scanner, not a parser: comments and string contents are blanked first, then paths that begin with `crate::` or
//! `tallybot::` are read, groups in braces included.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Modules by row, lowest first; a module imports from lower rows only.
const ROWS: [&[&str]; 9] = [
    &["usage", "templates"],
    &["stats", "config", "settings"],
    &["ledger", "models", "limits", "access"],
    &["metering", "reports", "alerts", "tasks"],
    &["conversation", "service"],
    &["channels", "http", "gateway", "dashboard", "deliveries"],
    &["app"],
    &["cli"],
    &["main"],
];

/// Files over 600 lines, each with the reason why it reads better whole.
const LONG_FILES: [(&str, &str); 0] = [];

const MAX_LINES: usize = 600;

const NAMES_THAT_SAY_NOTHING: [&str; 4] = ["util", "common", "helpers", "manager"];

/// One file of `src/`: its path below `src/`, its module and its text.
struct Source {
    path: String,
    module: String,
    text: String,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file below `folder` whose name ends like this, sorted.
fn files_below(folder: &Path, endings: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries {
            let path = entry.expect("a readable folder").path();
            if path.is_dir() {
                folders.push(path);
            } else if endings.iter().any(|ending| path.to_string_lossy().ends_with(ending)) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn sources() -> Vec<Source> {
    let src = root().join("src");
    let read = |path: PathBuf| {
        let below = path.strip_prefix(&src).expect("below src").to_string_lossy().replace('\\', "/");
        let module = below.split('/').next().expect("a path has a first part").trim_end_matches(".rs").to_owned();
        Source { path: below, module, text: fs::read_to_string(&path).expect("UTF-8") }
    };
    let sources: Vec<Source> = files_below(&src, &[".rs"]).into_iter().map(read).collect();
    assert!(sources.len() > 5, "src/ was not found");
    sources
}

/// The row of a module, lowest first. `lib` only declares modules.
fn row_of(module: &str) -> Option<usize> {
    ROWS.iter().position(|row| row.contains(&module))
}

/// The source with comments and the contents of strings and characters blanked, line breaks kept.
fn code_only(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = vec![b' '; bytes.len()];
    let mut at = 0;
    while at < bytes.len() {
        let skipped = skip_comment(bytes, at).or_else(|| skip_raw_string(bytes, at)).or_else(|| skip_quoted(bytes, at));
        let end = skipped.unwrap_or(at + 1);
        for index in at..end {
            if bytes[index] == b'\n' || skipped.is_none() {
                out[index] = bytes[index];
            }
        }
        at = end;
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn skip_comment(bytes: &[u8], at: usize) -> Option<usize> {
    if bytes[at..].starts_with(b"//") {
        return Some(bytes[at..].iter().position(|b| *b == b'\n').map_or(bytes.len(), |len| at + len));
    }
    if !bytes[at..].starts_with(b"/*") {
        return None;
    }
    let (mut depth, mut end) = (1, at + 2);
    while end < bytes.len() && depth > 0 {
        if bytes[end..].starts_with(b"*/") {
            (depth, end) = (depth - 1, end + 2);
        } else if bytes[end..].starts_with(b"/*") {
            (depth, end) = (depth + 1, end + 2);
        } else {
            end += 1;
        }
    }
    Some(end.min(bytes.len()))
}

/// `r"…"`, `r#"…"#` and so on; the `r` must not be the end of a word.
fn skip_raw_string(bytes: &[u8], at: usize) -> Option<usize> {
    let in_word = at > 0 && (bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b'_') && bytes[at - 1] != b'b';
    if bytes[at] != b'r' || in_word {
        return None;
    }
    let hashes = bytes[at + 1..].iter().take_while(|b| **b == b'#').count();
    if bytes.get(at + 1 + hashes) != Some(&b'"') {
        return None;
    }
    let close: Vec<u8> = std::iter::once(b'"').chain(std::iter::repeat_n(b'#', hashes)).collect();
    let body = at + 2 + hashes;
    let len = bytes[body..].windows(close.len()).position(|window| window == close);
    Some(len.map_or(bytes.len(), |len| body + len + close.len()))
}

/// `"…"` with escapes, or a character; a lifetime is left alone.
fn skip_quoted(bytes: &[u8], at: usize) -> Option<usize> {
    match bytes[at] {
        b'"' => {
            let mut end = at + 1;
            while end < bytes.len() && bytes[end] != b'"' {
                end += if bytes[end] == b'\\' { 2 } else { 1 };
            }
            Some((end + 1).min(bytes.len()))
        }
        b'\'' if bytes.get(at + 1) == Some(&b'\\') => {
            let len = bytes[at + 3..].iter().position(|b| *b == b'\'')?;
            Some(at + 3 + len + 1)
        }
        b'\'' => {
            let len =
                std::str::from_utf8(&bytes[at + 1..bytes.len().min(at + 6)]).map_or_else(|e| e.valid_up_to(), str::len);
            let text = std::str::from_utf8(&bytes[at + 1..at + 1 + len]).ok()?;
            let width = text.chars().next()?.len_utf8();
            (bytes.get(at + 1 + width) == Some(&b'\'')).then_some(at + 2 + width)
        }
        _ => None,
    }
}

/// The top modules a code (already without comments and strings) names behind `crate::` and `tallybot::`.
fn imports(code: &str) -> BTreeSet<String> {
    let mut modules = BTreeSet::new();
    for prefix in ["crate::", "tallybot::"] {
        for (at, _) in code.match_indices(prefix) {
            let before = code[..at].chars().next_back();
            if before.is_some_and(|c| c.is_alphanumeric() || c == '_') {
                continue;
            }
            modules.extend(first_names(code[at + prefix.len()..].trim_start()));
        }
    }
    modules
}

/// `name…` gives one name, `{a::b, c}` the first name of each part.
fn first_names(rest: &str) -> Vec<String> {
    let name_of =
        |text: &str| -> String { text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect() };
    let Some(group) = rest.strip_prefix('{') else { return vec![name_of(rest)] };
    let (mut depth, mut names, mut start) = (0, Vec::new(), 0);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            ',' | '}' if depth == 0 => {
                names.push(name_of(&group[start..at]));
                start = at + 1;
                if c == '}' {
                    break;
                }
            }
            '}' => depth -= 1,
            _ => {}
        }
    }
    names
}

#[test]
fn a_module_imports_lower_rows_only() {
    let known: BTreeSet<&str> = ROWS.iter().flat_map(|row| row.iter().copied()).collect();
    let mut wrong = Vec::new();
    for source in sources() {
        if source.module == "lib" {
            continue;
        }
        let Some(row) = row_of(&source.module) else {
            wrong.push(format!("src/{}: `{}` has no row in the table", source.path, source.module));
            continue;
        };
        for import in imports(&code_only(&source.text)) {
            let foreign = import != source.module && known.contains(import.as_str());
            if foreign && row_of(&import).is_some_and(|imported| imported >= row) {
                wrong.push(format!("src/{}: `{}` may not import `{import}`", source.path, source.module));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn modules_are_folders_named_after_the_product() {
    let mut wrong = Vec::new();
    let paths: Vec<String> = sources().into_iter().map(|source| source.path).collect();
    for path in &paths {
        for part in path.trim_end_matches(".rs").split('/') {
            if NAMES_THAT_SAY_NOTHING.contains(&part)
                || NAMES_THAT_SAY_NOTHING.map(|n| format!("{n}s")).contains(&part.to_owned())
            {
                wrong.push(format!("src/{path}: `{part}` says nothing"));
            }
        }
        let folder = format!("{}/", path.trim_end_matches(".rs"));
        if !path.ends_with("mod.rs") && paths.iter().any(|other| other.starts_with(&folder)) {
            wrong.push(format!("src/{path}: stands beside a folder of the same name; make it `{folder}mod.rs`"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_file_opens_with_what_it_holds() {
    let tests = files_below(&root().join("tests"), &[".rs"]);
    let read = |path: PathBuf| (path.display().to_string(), fs::read_to_string(&path).expect("UTF-8"));
    let files = sources().into_iter().map(|source| (source.path, source.text)).chain(tests.into_iter().map(read));
    let silent: Vec<String> = files.filter(|(_, text)| !text.starts_with("//! ")).map(|(path, _)| path).collect();
    assert!(silent.is_empty(), "without a first line `//! …`: {silent:?}");
}

#[test]
fn files_stay_short_or_say_why() {
    let reasons: BTreeMap<&str, &str> = LONG_FILES.into_iter().collect();
    let mut wrong = Vec::new();
    for Source { path, text, .. } in sources() {
        let lines = text.lines().count();
        let is_listed = reasons.contains_key(path.as_str());
        if lines > MAX_LINES && !is_listed {
            wrong.push(format!("src/{path} has {lines} lines; split it, or list it with a reason"));
        }
        if lines <= MAX_LINES && is_listed {
            wrong.push(format!("src/{path} has {lines} lines and no longer needs to be listed"));
        }
        if path == "main.rs" && lines >= 60 {
            wrong.push(format!("src/main.rs has {lines} lines; it parses, runs and prints the error chain"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_library_is_a_map_of_its_modules() {
    let sources = sources();
    let lib = sources.iter().find(|source| source.path == "lib.rs").expect("src/lib.rs");
    let code = code_only(&lib.text);
    let declared: BTreeSet<&str> =
        code.lines().filter_map(|line| line.trim().strip_prefix("pub mod ")?.strip_suffix(';')).collect();
    let on_disk = sources.iter().map(|source| source.module.as_str()).filter(|name| !["lib", "main"].contains(name));
    assert_eq!(declared, on_disk.collect(), "src/lib.rs declares what is in src/, in public");
    let other: Vec<&str> = code
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with("pub mod ") && !line.starts_with('#'))
        .collect();
    assert!(other.is_empty(), "src/lib.rs only declares modules: {other:?}");
}

#[test]
fn no_file_names_the_machine_it_was_written_on() {
    // Put together here, so that this file does not hold them either.
    let words =
        [["/ro", "ot/"], ["/ho", "me/"], ["/wo", "rk/"], ["crates", ".io"], ["py", "pi.org"], ["npm", "js.org"]]
            .map(|parts| parts.concat());
    let endings = [".rs", ".toml", ".md", ".txt", ".json", ".example", ".snap", ".jinja", ".j2", "run", ".yml"];
    let folders = ["src", "tests", "templates", "docs", "examples", "benches", "deploy", ".ci"];
    let top = fs::read_dir(root()).expect("the repository").filter_map(|entry| Some(entry.ok()?.path()));
    let top = top.filter(|path| path.is_file() && endings.iter().any(|e| path.to_string_lossy().ends_with(e)));
    let mut wrong = Vec::new();
    for path in top.chain(folders.iter().flat_map(|folder| files_below(&root().join(folder), &endings))) {
        let text = fs::read_to_string(&path).unwrap_or_default();
        for (number, line) in text.lines().enumerate() {
            wrong.extend(words.iter().filter(|word| line.contains(word.as_str())).map(|word| {
                let path = path.strip_prefix(root()).unwrap_or(&path).display();
                format!("{path}:{} holds `{word}`", number + 1)
            }));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_scanner_sees_what_it_should() {
    let code = code_only(
        "use crate::{usage::{Day, names}, stats};\nfn a<'x>(c: char) { c == '\"' || c == '\\'' || c == 'é'; crate::limits::go() }\n\
         // crate::app\n/* crate::cli /* */ crate::http */ let s = \"crate::gateway \\\" crate::tasks\";\n\
         let r = r#\"crate::alerts \" \"#; use tallybot::ledger; let mycrate::models = 1;",
    );
    let expected = ["ledger", "limits", "stats", "usage"].map(str::to_owned);
    assert_eq!(imports(&code), BTreeSet::from(expected), "{code}");
}
