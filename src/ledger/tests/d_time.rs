//! Rows D1, D2, D4 and D7: clocks that go back, jump, stand still, and midnight within one sync.

use super::*;

const YEAR: i64 = 365 * DAY;

fn names(folder: &Path) -> Vec<String> {
    let files = DataFolder::real(folder).journal_files().expect("readable");
    files.iter().map(ToString::to_string).collect()
}

fn records(ledger: &Ledger, period: Period, now: Timestamp) -> i64 {
    ledger.picture().select(period, now.day()).total(|_| true).records
}

fn put(ledger: &Ledger, n: u8, now: Timestamp) {
    ledger.append(&plain(n, now), now).expect("appended");
}

#[test]
fn d1_a_clock_that_went_back_before_a_start_reopens_no_file_and_loses_no_day() {
    for back in [3_600, DAY, 3 * DAY] {
        let folder = quick_folder();
        let (ledger, _) = open_as(folder.path(), Durability::Kill, at(back));
        put(&ledger, 1, at(back));
        ledger.close(at(back)).expect("closed");
        drop(ledger);
        let before = names(folder.path());
        let (ledger, _) = open_as(folder.path(), Durability::Kill, at(0));
        put(&ledger, 2, at(0));
        put(&ledger, 3, at(1));
        assert_eq!(names(folder.path()), before, "{back}: the file's day does not go back");
        assert_eq!(records(&ledger, Period::Today, at(0)), if back < DAY { 3 } else { 2 });
        drop(ledger);
        let (ledger, opened) = open_as(folder.path(), Durability::Kill, at(back + 10));
        assert_eq!(records(&ledger, Period::All, at(back)), 3, "{opened:?}");
        assert_eq!(records(&ledger, Period::Week, at(back)), 3);
    }
}

#[test]
fn d2_a_year_ahead_and_back_takes_no_day_away_and_every_reader_goes_on() {
    let folder = quick_folder();
    let (ledger, _) = open_as(folder.path(), Durability::Kill, at(0));
    put(&ledger, 1, at(0));
    // The clock is a year ahead for a while; then the process is started again with the right time.
    put(&ledger, 2, at(YEAR));
    ledger.close(at(YEAR)).expect("closed");
    drop(ledger);
    let (ledger, opened) = open_as(folder.path(), Durability::Kill, at(60));
    assert!(!opened.from_snapshot, "a snapshot from a time to come has let go of days that are still asked for");
    put(&ledger, 3, at(60));
    put(&ledger, 4, at(DAY));
    assert_eq!(names(folder.path()).len(), 2, "lines go to the file that is open, however far ahead its day is");
    assert_eq!(records(&ledger, Period::Today, at(60)), 2);
    assert_eq!(records(&ledger, Period::Today, at(DAY)), 1);
    assert_eq!(records(&ledger, Period::All, at(DAY)), 4);
    ledger.close(at(DAY)).expect("closed");
    drop(ledger);
    let (ledger, opened) = open_as(folder.path(), Durability::Kill, at(DAY + 60));
    assert_eq!((opened.from_snapshot, opened.replayed), (true, 0), "starts are quick again");
    assert_eq!(records(&ledger, Period::Today, at(DAY)), 1);
    drop(ledger);
    let folder = Folder::new(folder.path());
    let mut walked = Vec::new();
    let walk = folder.walk(Some(at(2 * DAY).day()), |record| {
        walked.push(record.tokens.prompt);
        std::ops::ControlFlow::Continue(())
    });
    walk.expect("readable");
    assert_eq!(walked, [2, 3, 4], "the file before that day is left out, the one that is open never is");
    assert_eq!(folder.read(&mut (), at(DAY)).expect("readable").picture.all_time().total(|_| true).records, 4);
}

#[test]
fn d4_midnight_between_two_records_of_one_sync_makes_both_days_durable() {
    let folder = quick_folder();
    let (ledger, _) = open_as(folder.path(), Durability::Power, at(DAY - 1));
    put(&ledger, 1, at(DAY - 1));
    put(&ledger, 2, at(DAY));
    ledger.durable_blocking(ledger.newest()).expect("durable");
    assert_eq!(names(folder.path()).len(), 2);
    drop(ledger);
    let (ledger, _) = open_as(folder.path(), Durability::Power, at(DAY));
    assert_eq!((records(&ledger, Period::Today, at(0)), records(&ledger, Period::Today, at(DAY))), (1, 1));
}

/// A call of late evening whose answer comes after midnight.
#[test]
fn d4_a_record_counts_on_the_day_of_its_admission_though_its_line_is_in_the_next_days_file() {
    let folder = quick_folder();
    let (ledger, _) = open_as(folder.path(), Durability::Kill, at(DAY - 1));
    ledger.append(&plain(1, at(DAY - 1)), at(DAY + 5)).expect("appended");
    assert!(names(folder.path())[0].contains(&at(DAY).day().to_string()));
    assert_eq!((records(&ledger, Period::Today, at(0)), records(&ledger, Period::Today, at(DAY))), (1, 0));
}

#[test]
fn d7_equal_and_decreasing_times_change_nothing_the_order_is_the_numbers() {
    let folder = quick_folder();
    let (ledger, _) = open_as(folder.path(), Durability::Kill, at(100));
    let times = [5, 5, 5, 3, 100, 1];
    for (n, secs) in times.into_iter().enumerate() {
        ledger.append(&plain(n as u8, at(secs)), at(100 - n as i64)).expect("appended");
    }
    let live = shown(&ledger);
    drop(ledger);
    let mut order = Vec::new();
    let read = Folder::new(folder.path()).for_each_record(|record| order.push(record.tokens.prompt));
    read.expect("readable");
    assert_eq!(order, (0..times.len() as u64).collect::<Vec<_>>());
    assert_eq!(shown(&open_as(folder.path(), Durability::Kill, at(100)).0), live);
}
