//! `token_stats.json`: the totals by API and model in the form that a token log's viewer reads. Made from the
//! fold, never read back, so deleting it or failing to write it changes nothing.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, Weak};

use serde::Serialize;

use super::files::DataFolder;
use crate::stats::{ModelTable, ModelTotals, Picture};
use crate::usage::Timestamp;

pub(super) const TOKEN_STATS: &str = "token_stats.json";

/// One model of one API. Whole numbers of any size, written as such.
#[derive(Serialize)]
struct Totals {
    total_prompt_tokens: i128,
    total_completion_tokens: i128,
    total_tokens: i128,
    total_requests: i64,
    successful_requests: i64,
    failed_requests: i64,
    last_updated: Option<Timestamp>,
}

impl Totals {
    /// Sums are signed because corrections are; what is shown of them never is.
    fn of(totals: &ModelTotals) -> Totals {
        let (prompt, completion) = (totals.prompt.max(0), totals.completion.max(0));
        Totals {
            total_prompt_tokens: prompt,
            total_completion_tokens: completion,
            total_tokens: prompt + completion,
            total_requests: totals.requests.max(0),
            successful_requests: totals.ok.max(0),
            failed_requests: totals.failed.max(0),
            last_updated: totals.last_at,
        }
    }
}

/// The file's text for a picture: everything ever folded, whatever was reset.
pub(super) fn text_of(picture: &Picture) -> Vec<u8> {
    let table = ModelTable::of(&picture.all_time());
    let mut apis: BTreeMap<&str, BTreeMap<&str, Totals>> = BTreeMap::new();
    for (api, model, totals) in table.rows() {
        apis.entry(api).or_default().insert(model, Totals::of(totals));
    }
    let mut text = serde_json::to_vec_pretty(&apis).expect("plain data can be written");
    text.push(b'\n');
    text
}

/// The file of a folder, and what it says now.
pub(super) struct TokenStats {
    data: DataFolder,
    last: Mutex<Last>,
}

#[derive(Default)]
struct Last {
    /// The picture last written. A weak hold keeps its address from being used again and costs the fold nothing.
    written: Weak<Picture>,
    /// That it cannot be written was said already.
    warned: bool,
}

impl TokenStats {
    pub(super) fn new(data: DataFolder) -> TokenStats {
        TokenStats { data, last: Mutex::default() }
    }

    /// Writes the file if the picture is another than the one last written. That it cannot be written is said once.
    pub(super) fn write(&self, picture: &Arc<Picture>) {
        let mut last = self.last.lock().expect("nobody panics while holding it");
        if std::ptr::eq(last.written.as_ptr(), Arc::as_ptr(picture)) {
            return;
        }
        match self.data.replace(TOKEN_STATS, &text_of(picture)) {
            Ok(()) => *last = Last { written: Arc::downgrade(picture), warned: false },
            Err(error) if !last.warned => {
                tracing::warn!(error = %error, "token_stats.json cannot be written; the books themselves are not concerned");
                last.warned = true;
            }
            Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::tests::open_as;
    use crate::ledger::{Durability, Ledger};
    use crate::stats::Stats;
    use crate::usage::{RecordId, Status, UsageRecord};

    fn at(secs: i64) -> Timestamp {
        Timestamp::new(1_795_305_600_000_000 + secs * 1_000_000, -6 * 3600)
    }

    fn record(secs: i64, tokens: (u64, u64), status: Status) -> UsageRecord<'static> {
        let id = RecordId::new(at(secs), [1; 10]);
        let mut record = UsageRecord::new(id, at(secs), "gemini".into(), "gemini-2.5-flash".into());
        (record.tokens.prompt, record.tokens.completion, record.status) = (tokens.0, tokens.1, status);
        record
    }

    #[test]
    fn the_example_of_a_token_log_field_by_field() {
        let mut stats = Stats::default();
        stats.apply(&record(0, (150, 320), Status::Ok));
        stats.reset(at(1));
        stats.apply(&record(2, (200, 450), Status::Ok));
        stats.apply(&record(3, (100, 0), Status::Error));
        let mut lite = record(4, (250, 500), Status::Ok);
        lite.model = "gemini-2.5-flash-lite".into();
        stats.apply(&lite);
        let text = text_of(&stats.picture());
        let expected = r#"{
  "gemini": {
    "gemini-2.5-flash": {
      "total_prompt_tokens": 450,
      "total_completion_tokens": 770,
      "total_tokens": 1220,
      "total_requests": 3,
      "successful_requests": 2,
      "failed_requests": 1,
      "last_updated": "2026-11-21T18:00:03.000000-06:00"
    },
    "gemini-2.5-flash-lite": {
      "total_prompt_tokens": 250,
      "total_completion_tokens": 500,
      "total_tokens": 750,
      "total_requests": 1,
      "successful_requests": 1,
      "failed_requests": 0,
      "last_updated": "2026-11-21T18:00:04.000000-06:00"
    }
  }
}
"#;
        assert_eq!(String::from_utf8_lossy(&text), expected);
    }

    #[test]
    fn sums_beyond_any_integer_type_are_written_digit_by_digit() {
        let mut stats = Stats::default();
        (0..3).for_each(|n| stats.apply(&record(n, (u64::MAX, 1), Status::Ok)));
        let text = String::from_utf8(text_of(&stats.picture())).expect("text");
        assert!(text.contains("\"total_prompt_tokens\": 55340232221128654845,"), "{text}");
        assert!(text.contains("\"total_tokens\": 55340232221128654848,"), "{text}");
    }

    #[test]
    fn it_is_written_when_something_changed_and_only_then_and_never_disturbs() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join(TOKEN_STATS);
        let (file, mut stats) = (TokenStats::new(DataFolder::real(folder.path())), Stats::default());
        let is_written = |stats: &Stats| {
            let _gone = std::fs::remove_file(&path);
            file.write(&stats.picture());
            path.is_file()
        };
        assert_eq!((is_written(&stats), is_written(&stats)), (true, false));
        for secs in 0..3 {
            stats.apply(&record(secs, (1, 1), Status::Ok));
            assert_eq!((is_written(&stats), is_written(&stats)), (true, false));
        }
        std::fs::create_dir(&path).expect("something in its place");
        stats.apply(&record(9, (1, 1), Status::Ok));
        file.write(&stats.picture());
        std::fs::remove_dir(&path).expect("it was left alone");
        assert!(is_written(&stats), "it is tried again");
    }

    #[test]
    fn the_books_do_not_mind_that_it_cannot_be_written_and_at_the_end_it_is_exact() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join(TOKEN_STATS);
        let open = || open_as(folder.path(), Durability::Kill, at(0)).0;
        let append = |ledger: &Ledger, secs: i64, prompt: u64| {
            ledger.append(&record(secs, (prompt, 0), Status::Ok), at(secs)).expect("appended");
        };
        let total = || {
            let stats: serde_json::Value =
                serde_json::from_slice(&std::fs::read(&path).expect("written")).expect("JSON");
            stats["gemini"]["gemini-2.5-flash"]["total_tokens"].as_u64()
        };
        drop(open());
        std::fs::create_dir(&path).expect("something in its place");
        let ledger = open();
        append(&ledger, 1, 1);
        ledger.update_side_files();
        ledger.snapshot(at(1)).expect("the snapshot does not mind");
        ledger.close(at(2)).expect("nor does the end");
        drop(ledger);
        std::fs::remove_dir(&path).expect("it was left alone");
        let ledger = open();
        ledger.reset(at(3)).expect("reset");
        append(&ledger, 4, 2);
        ledger.update_side_files();
        assert_eq!(total(), Some(3), "a reset takes nothing away");
        append(&ledger, 5, 4);
        ledger.close(at(6)).expect("closed");
        assert_eq!(total(), Some(7), "exact at the end");
    }
}
