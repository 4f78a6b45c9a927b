//! Whatever stands in a file, reading it ends well: no panic, nothing of it repeated, no number out of bounds.

use proptest::prelude::*;

use super::found::Found;
use super::{own_lines, raymundo, session_report, token_log, token_stats, wire};
use crate::service::items::MAX_TOKENS;

const FILES: [&str; 4] = [
    include_str!("../../../tests/it/fixtures/token-log/tokens_2025-02-05.jsonl"),
    include_str!("../../../tests/it/fixtures/token-log/token_stats.json"),
    include_str!("../../../tests/it/fixtures/session-report/report.json"),
    include_str!("../../../tests/it/fixtures/raymundo/metrics.json"),
];

fn read_in_every_way(content: &[u8]) -> Vec<Found> {
    let mut found = Vec::new();
    let mut on = |one| found.push(one);
    token_log::read(content, "s", &mut on).expect("memory can be read");
    own_lines::read(content, "s", &mut on).expect("memory can be read");
    token_stats::read(content, "s", &mut on);
    session_report::read(content, "s", &mut on);
    raymundo::read(content, "s", &mut on);
    let _any = wire::parse_lines(content);
    found
}

fn check(found: &[Found]) -> Result<(), TestCaseError> {
    for one in found {
        match one {
            Found::Item { item, .. } => prop_assert!(item.tokens.is_consistent() && item.given.is_some()),
            Found::Record { record, .. } => prop_assert!(wire::check(record).is_ok()),
            Found::Total(total) => {
                let sums = total.sums;
                let counts = [sums.ok, sums.failed, sums.prompt, sums.completion];
                let most = i64::try_from(MAX_TOKENS).expect("it fits");
                prop_assert!(counts.iter().all(|count| (0..=8 * most).contains(count)), "{sums:?}");
            }
            Found::Bad { line, reason } => {
                prop_assert!(*line > 0 && reason.len() < 600 && !reason.contains("SECRET"), "{reason}");
            }
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn any_bytes_are_survived(content in proptest::collection::vec(any::<u8>(), 0..600)) {
        check(&read_in_every_way(&content))?;
    }
}

/// At every place, instead of nothing, a character, part of a word or a line.
#[test]
fn a_file_with_something_else_in_it_is_survived() {
    let puts = [
        "SECRET",
        "-1",
        "1e999",
        "null",
        "9223372036854775807",
        "\"",
        "[",
        "{}",
        "\u{feff}",
        "\n",
        "0.1",
        "1000000000000",
    ];
    for file in FILES.map(str::as_bytes) {
        for (at, cut) in (0..=file.len()).flat_map(|at| [0, 1, 4, 20].map(|cut| (at, cut))) {
            let rest = &file[(at + cut).min(file.len())..];
            for put in puts {
                let content = [&file[..at], put.as_bytes(), rest].concat();
                if let Err(error) = check(&read_in_every_way(&content)) {
                    panic!("`{put}` instead of {cut} bytes at {at}: {error}\n{}", String::from_utf8_lossy(&content));
                }
            }
        }
    }
}
