//! The public table of faults, `docs/faults.md`: every row of the list is in it, and names every test that is named after
//! the row. Its last column is written anew by `TALLYBOT_WRITE_FAULTS=1 cargo test --test it faults::table`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The rows of the list, part by part.
const PARTS: [(char, u32); 8] = [('a', 11), ('b', 7), ('c', 9), ('d', 8), ('e', 5), ('f', 5), ('g', 12), ('j', 8)];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn rows() -> Vec<String> {
    PARTS.iter().flat_map(|(part, last)| (1..=*last).map(move |number| format!("{part}{number}"))).collect()
}

/// The names of the functions in a source that begin with a row, such as `a1_`; one may hold two rows: `a2_b5_`.
fn tests_in(source: &str) -> Vec<&str> {
    let after = source.split("fn ").skip(1);
    after.filter_map(|rest| rest.split(|c: char| c != '_' && !c.is_ascii_alphanumeric()).next()).collect()
}

fn tests_by_row() -> BTreeMap<String, Vec<String>> {
    let rows = rows();
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for folder in ["src", "tests"] {
        let mut files: Vec<PathBuf> = Vec::new();
        crate::running::walk(&root().join(folder), &mut |path| {
            if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path.to_owned());
            }
        });
        for file in files {
            let source = fs::read_to_string(&file).expect("UTF-8");
            for name in tests_in(&source) {
                for row in name.split('_').take_while(|part| rows.iter().any(|row| row == part)) {
                    found.entry(row.to_owned()).or_default().push(name.to_owned());
                }
            }
        }
    }
    found.values_mut().for_each(|names| names.sort_unstable());
    found
}

/// The page with its last column as the sources say it. A row without a test keeps its words.
fn filled(page: &str, tests: &BTreeMap<String, Vec<String>>) -> String {
    let line = |line: &str| -> String {
        let cells: Vec<&str> = line.split(" | ").collect();
        let row = cells[0].trim_start_matches("| ").to_lowercase();
        match tests.get(&row) {
            Some(names) if cells.len() == 4 => {
                let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
                format!("{} | {} | {} | {} |", cells[0], cells[1], cells[2], names.join("<br>"))
            }
            _ => line.to_owned(),
        }
    };
    page.lines().map(line).collect::<Vec<_>>().join("\n") + "\n"
}

#[test]
fn the_table_of_faults_has_every_row_and_every_test() {
    let path = root().join("docs/faults.md");
    let page = fs::read_to_string(&path).expect("the page is there");
    let tests = tests_by_row();
    let expected = filled(&page, &tests);
    if std::env::var_os("TALLYBOT_WRITE_FAULTS").is_some() {
        fs::write(&path, &expected).expect("writable");
    } else {
        assert_eq!(page, expected, "write it anew: TALLYBOT_WRITE_FAULTS=1 cargo test --test it faults::table");
    }
    let rows: Vec<String> = rows();
    let listed: Vec<String> = page
        .lines()
        .filter_map(|line| Some(line.strip_prefix("| ")?.split(" | ").next()?.to_lowercase()))
        .filter(|first| rows.contains(first))
        .collect();
    assert_eq!(listed, rows, "each row once, in order");
    for line in expected.lines().filter(|line| line.starts_with("| ") && !line.contains('`')) {
        let words = line.trim_end_matches(" |").rsplit(" | ").next().unwrap_or_default();
        assert!(words == "test" || words.starts_with("No test"), "no test, and no words why: {line}");
    }
}
