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

    #[test]
    fn a_file_with_something_else_in_it_is_survived(
        file in 0..FILES.len(),
        at in any::<prop::sample::Index>(),
        cut in 0usize..40,
        put in prop_oneof![
            Just("SECRET"), Just("-1"), Just("1e999"), Just("null"), Just("9223372036854775807"), Just("\""), Just("["),
            Just("{}"), Just("\u{feff}"), Just("\n"), Just("0.1"), Just("1000000000000"),
        ],
    ) {
        let mut content = FILES[file].as_bytes().to_vec();
        let at = at.index(content.len());
        let end = (at + cut).min(content.len());
        content.splice(at..end, put.bytes());
        check(&read_in_every_way(&content))?;
    }
}
