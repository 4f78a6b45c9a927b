//! What a closed day adds up to is the same sealed, live and folded plainly from its lines; what is damaged is made
//! again; an id of somebody else's counts once, sealed or not.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use super::*;
use crate::ledger::disk::{Access, Disk, DiskFile, RealDisk};
use crate::ledger::sealed::{FoldState, check, fuzzed, load_for, rebuild};
use crate::stats::{UserSums, Who, counted_model};
use crate::usage::{Day, SubjectId};

/// Sums by user, day and model.
type ByUser = BTreeMap<(Who, Day, String), UserSums>;

fn day(days: i64) -> Timestamp {
    at(days * DAY)
}

/// The same records again, with the marks the journal gave them.
fn plain_fold(folder: &Path, since: Option<Timestamp>) -> ByUser {
    let mut rows = ByUser::new();
    let add = |record: &UsageRecord<'_>| {
        if Some(record.timestamp) >= since {
            let who = record.user.map_or(Who::Absent, Who::User);
            let key = (who, record.timestamp.day(), counted_model(record).to_owned());
            rows.entry(key).or_default().merge(&UserSums::of(record));
        }
    };
    Folder::new(folder).for_each_record(add).expect("readable");
    rows
}

fn asked(users: &Users, today: Day) -> ByUser {
    let mut rows = ByUser::new();
    let mut totals: BTreeMap<Who, UserSums> = BTreeMap::new();
    users
        .for_each_user(Period::All, today, |who, sums| assert!(totals.insert(who, *sums).is_none()))
        .expect("readable");
    for (who, total) in totals {
        let Who::User(user) = who else {
            rows.insert((who, Day::default(), String::new()), total);
            continue;
        };
        let mut sum = UserSums::default();
        for ((day, model), sums) in users.of(user, Period::All, today).expect("readable") {
            sum.merge(&sums);
            rows.insert((who, day, model), sums);
        }
        assert_eq!(sum, total, "a user's rows sum to the user");
    }
    rows
}

/// What `asked` tells: everything of users, and the sum of records without one.
fn comparable(rows: ByUser) -> ByUser {
    let mut told = ByUser::new();
    for ((who, day, model), sums) in rows {
        let key = if who == Who::Absent { (who, Day::default(), String::new()) } else { (who, day, model) };
        told.entry(key).or_default().merge(&sums);
    }
    told
}

fn fold_files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> =
        fs::read_dir(folder.join("derived")).expect("there").map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    files
}

#[test]
fn of_new_books_everybody_is_known() {
    let folder = quick_folder();
    let (ledger, _) = open(folder.path());
    ledger.seal().expect("there is nothing to seal");
    assert!(ledger.users().is_complete());
    ledger.append(&plain(1, at(0)), at(0)).expect("appended");
    assert!(ledger.users().is_complete());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn sealed_and_live_are_the_plain_fold_before_and_after_a_restart(
        records in prop::collection::vec((record(), 0i64..3), 1..40), reset in 0usize..40, snapshot in 0usize..40
    ) {
        let folder = quick_folder();
        let (ledger, _) = open(folder.path());
        let mut records = records;
        records.sort_by_key(|(_, arrival)| *arrival);
        let (mut begin, mut now) = (None, day(0));
        for (n, (record, arrival)) in records.iter().enumerate() {
            now = day(*arrival);
            if n == reset {
                begin = Some(ledger.reset(now).expect("reset"));
            }
            if n == snapshot {
                ledger.snapshot(now).expect("written");
            }
            match ledger.append(record, now) {
                Ok(_) | Err(LedgerError::Duplicate) => {}
                Err(error) => return Err(TestCaseError::fail(error.to_string())),
            }
        }
        ledger.sync().expect("synced");
        let expected = comparable(plain_fold(folder.path(), begin));
        prop_assert_eq!(asked(&ledger.users(), now.day()), expected.clone(), "live");
        ledger.seal().expect("sealed");
        prop_assert!(ledger.users().is_complete());
        prop_assert_eq!(asked(&ledger.users(), now.day()), expected.clone(), "sealed");
        let picture = ledger.picture();
        let total = ledger.users().top(Period::All, now.day(), 1, UsersBy::Tokens).expect("readable").total;
        let all = picture.select(Period::All, now.day()).total(|_| true);
        prop_assert_eq!((total.records, total.prompt, total.completion, total.cost), (all.records, all.prompt, all.completion, all.cost));
        let acts = ledger.acts();
        drop(ledger);
        let reading = Folder::new(folder.path());
        let seen = reading.read(&mut (), now).expect("readable").picture;
        prop_assert_eq!(asked(&reading.users(&seen).expect("readable"), now.day()), expected.clone(), "read from outside");

        // The cubes of the sealed files, and the lines of the open day, are the whole.
        let data = DataFolder::real(folder.path());
        let files = data.journal_files().expect("readable");
        let mut sum = Stats::new(acts.resets.clone());
        for file in &files {
            match load_for(&data, &acts, *file) {
                Ok(fold) => {
                    prop_assert_eq!(check(&data, &acts, *file).expect("readable"), FoldState::Matches);
                    let mut stats = fold.stats().expect("readable");
                    prop_assert!(stats.set_resets(&acts.resets));
                    sum.merge(&stats);
                }
                Err(state) => {
                    prop_assert_eq!(state, FoldState::Missing);
                    prop_assert_eq!(Some(file), files.last(), "only the open day is not sealed");
                    let ids = recovery::ids_before(&data, &files, *file).expect("readable");
                    let apply = |record: &UsageRecord<'_>, _| {
                        if !ids.contains(&record.id) {
                            sum.apply(record);
                        }
                    };
                    replay::scan_file(&data, *file, 0, &mut replay::Sequence::default(), apply).expect("readable");
                }
            }
        }
        let rolled = |mut stats: Stats| {
            stats.roll(now);
            stats.picture().saved().canonical()
        };
        prop_assert_eq!(rolled(sum), rolled(picture.saved().restored()));

        let (ledger, _) = open_as(folder.path(), Durability::Kill, now);
        ledger.seal().expect("sealed");
        prop_assert_eq!(asked(&ledger.users(), now.day()), expected, "restarted");
        drop(ledger);
        for snapshot in ["metrics.json", "metrics.previous.json"] {
            let _ = fs::remove_file(folder.path().join(snapshot));
        }
        let (ledger, opened) = open_as(folder.path(), Durability::Kill, now);
        let mut lines = 0;
        Folder::new(folder.path()).for_each_record(|_| lines += 1).expect("readable");
        prop_assert_eq!(opened.replayed, lines);
        prop_assert_eq!(rolled(ledger.picture().saved().restored()), rolled(picture.saved().restored()), "from folds");
    }
}

/// A ledger of three days with two users, all sealed but the last.
fn three_days(folder: &Path) -> Ledger {
    let (ledger, _) = open(folder);
    for n in 0..30u8 {
        let now = day(i64::from(n / 10));
        let mut record = plain(n, now);
        record.user = Some(SubjectId::from_bytes([n % 2; 12]));
        record.source = Some(Given { name: "s".into(), id: n.to_string().into() });
        ledger.append(&record, now).expect("appended");
    }
    ledger.sync().expect("synced");
    ledger.seal().expect("sealed");
    ledger
}

#[test]
fn c1_what_cannot_be_written_to_the_end_leaves_no_room_taken() {
    let folder = quick_folder();
    let ledger = three_days(folder.path());
    ledger.close(day(2)).expect("closed");
    drop(ledger);
    let (fold, totals) = (fold_files(folder.path()).remove(0), folder.path().join("token_stats.json"));
    for path in [&fold, &totals] {
        fs::remove_file(path).expect("it is there");
        fs::create_dir(path).expect("something in its place");
    }
    // Without a thread that seals at a moment of its own.
    let (data, options) = (DataFolder::real(folder.path()), options(Durability::Kill));
    let opened = Ledger::open_locked(data, None, Syncing::ByHand, options, Uuid::from_u128(1), day(3));
    let (ledger, _) = opened.expect("opens");
    ledger.seal().expect_err("its name is taken");
    ledger.update_side_files();
    for path in [&fold, &totals] {
        let begun = PathBuf::from(format!("{}.tmp", path.display()));
        assert!(!begun.exists(), "{}", begun.display());
        fs::remove_dir(path).expect("it was left alone");
    }
    ledger.seal().expect("sealed");
}

/// The fold that bytes of anybody's making are mutated from: `TALLYBOT_WRITE_CORPUS=1` writes it in today's form.
#[test]
fn the_fold_of_the_corpus_is_whole() {
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/fold/three_days.fold");
    if std::env::var_os("TALLYBOT_WRITE_CORPUS").is_some() {
        let folder = quick_folder();
        drop(three_days(folder.path()));
        fs::copy(&fold_files(folder.path())[0], &kept).expect("writable");
    }
    assert!(fuzzed(&fs::read(&kept).expect("the corpus has a fold")), "TALLYBOT_WRITE_CORPUS=1 makes it anew");
}

#[test]
fn a_fold_that_is_damaged_or_of_another_file_is_made_again() {
    let folder = quick_folder();
    let acts = three_days(folder.path()).acts();
    let data = DataFolder::real(folder.path());
    let files = data.journal_files().expect("readable");
    let folds = fold_files(folder.path());
    assert_eq!(folds.len(), 2);
    let whole: Vec<_> = folds.iter().map(|fold| fs::read(fold).expect("readable")).collect();
    let state = |n: usize| check(&data, &acts, files[n]).expect("readable");
    // Every byte of a fold is guarded.
    for at in 0..whole[0].len() {
        let mut bytes = whole[0].clone();
        bytes[at] ^= 1;
        fs::write(&folds[0], &bytes).expect("writable");
        assert!(matches!(state(0), FoldState::DoesNotMatch(_)), "byte {at} of {}", bytes.len());
    }
    for length in [0, 8, 16, whole[0].len() - 17, whole[0].len() - 1] {
        fs::write(&folds[0], &whole[0][..length]).expect("writable");
        assert!(matches!(state(0), FoldState::DoesNotMatch(_)), "cut at {length}");
    }
    rebuild(&data, &acts, files[0]).expect("made again");
    assert_eq!(fs::read(&folds[0]).expect("readable"), whole[0], "the same fold, to the byte");
    // Of another file, of another ledger, of a file that changed.
    fs::copy(&folds[0], &folds[1]).expect("copied");
    assert!(matches!(state(1), FoldState::DoesNotMatch(_)));
    fs::remove_file(&folds[1]).expect("removed");
    assert_eq!(state(1), FoldState::Missing);
    rebuild(&data, &acts, files[1]).expect("made again");
    assert_eq!(state(1), FoldState::Matches);
    let mut foreign = acts.clone();
    foreign.lineage = Uuid::from_u128(99);
    assert!(matches!(check(&data, &foreign, files[0]), Ok(FoldState::DoesNotMatch(_))));
    let raw = folder.path().join(files[0].to_string());
    let mut lines = fs::read(&raw).expect("readable");
    lines[30] ^= 1;
    fs::write(&raw, &lines).expect("writable");
    assert!(matches!(state(0), FoldState::DoesNotMatch(_)), "the whole file is compared");
    lines.truncate(lines.len() - 1);
    fs::write(&raw, &lines).expect("writable");
    assert!(load_for(&data, &acts, files[0]).is_err(), "its length is compared each time");
    fs::write(folder.path().join("derived/tokens_2026-11-22.fold.users.tmp"), "left by a crash").expect("writable");
    let (ledger, _) = open_as(folder.path(), Durability::Kill, day(2));
    ledger.seal().expect("sealed again");
    let states: Vec<_> = (0..2).map(state).collect();
    assert_eq!(states, [FoldState::Matches, FoldState::Matches], "and what was made on it with it");
    assert!(fold_files(folder.path()).iter().all(|path| path.extension().is_some_and(|end| end == "fold")));
    assert_eq!(asked(&ledger.users(), day(2).day()), comparable(plain_fold(folder.path(), None)));
}

/// A disk on which something happens right after a file was looked for that is not there. Nothing changes through it.
struct SomethingHappens<F>(F);

impl<F: Fn() + Send + Sync> Disk for SomethingHappens<F> {
    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn DiskFile>> {
        let opened = RealDisk.open(path, access);
        if opened.is_err() {
            (self.0)();
        }
        opened
    }
    fn create_new(&self, path: &Path, _: Access) -> io::Result<Arc<dyn DiskFile>> {
        unreachable!("{} is made", path.display())
    }
    fn rename(&self, from: &Path, _: &Path) -> io::Result<()> {
        unreachable!("{} is renamed", from.display())
    }
    fn link(&self, from: &Path, _: &Path) -> io::Result<()> {
        unreachable!("{} is linked", from.display())
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        unreachable!("{} is removed", path.display())
    }
    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        RealDisk.list(folder)
    }
    fn make_folder(&self, folder: &Path) -> io::Result<()> {
        unreachable!("{} is made", folder.display())
    }
    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        unreachable!("{} is synced", folder.display())
    }
}

#[test]
fn a_fold_that_is_made_while_somebody_looks_is_missing_or_there_and_never_passed_over() {
    let folder = quick_folder();
    let acts = three_days(folder.path()).acts();
    let real = DataFolder::real(folder.path());
    let files = real.journal_files().expect("readable");
    for file in &files[..2] {
        fold_files(folder.path()).iter().for_each(|fold| fs::remove_file(fold).expect("removed"));
        let (data, sealed) = (real.clone(), (acts.clone(), files.clone()));
        let seal = move || sealed.1[..2].iter().for_each(|file| rebuild(&data, &sealed.0, *file).expect("made"));
        let looking = DataFolder::on(Arc::new(SomethingHappens(seal)), folder.path());
        assert_eq!(check(&looking, &acts, *file).expect("readable"), FoldState::Missing, "{file}");
        assert_eq!(check(&looking, &acts, *file).expect("readable"), FoldState::Matches, "{file}");
    }
}

#[test]
fn a_given_id_counts_once_whether_its_day_is_open_or_sealed_or_its_fold_is_gone() {
    let folder = quick_folder();
    let taken = |ledger: &Ledger, n: u8, now: Timestamp| {
        let mut record = plain(n, now);
        record.source = Some(Given { name: "s".into(), id: n.to_string().into() });
        match ledger.append_or_queue(&record, now) {
            Ok(_) => false,
            Err(LedgerError::Duplicate) => true,
            Err(error) => panic!("{error}"),
        }
    };
    let ledger = three_days(folder.path());
    assert!((0..30).all(|n| taken(&ledger, n, day(2))) && !taken(&ledger, 30, day(2)));
    drop(ledger);
    // Loaded from folds; then sealed while they are in memory; then without any fold.
    let (ledger, _) = open_as(folder.path(), Durability::Kill, day(2));
    ledger.seal().expect("sealed");
    assert!((0..=30).all(|n| taken(&ledger, n, day(2))) && !taken(&ledger, 31, day(3)));
    ledger.sync().expect("synced");
    ledger.seal().expect("sealed");
    assert!((0..=31).all(|n| taken(&ledger, n, day(3))));
    drop(ledger);
    fs::remove_dir_all(folder.path().join("derived")).expect("removed");
    let (ledger, _) = open_as(folder.path(), Durability::Kill, day(3));
    assert!((0..=31).all(|n| taken(&ledger, n, day(3))));
    // Thirty-five days after its arrival an id may come again.
    ledger.sync().expect("synced");
    ledger.seal().expect("sealed");
    assert!(!taken(&ledger, 0, day(35)) && taken(&ledger, 10, day(35)));
}

#[test]
fn an_id_whose_record_waits_for_the_disk_is_taken() {
    let folder = TempDir::new().expect("a temporary folder");
    let (ledger, _) = open(folder.path());
    let mut record = plain(0, day(0));
    record.source = Some(Given { name: "s".into(), id: "0".into() });
    ledger.append(&record, day(0)).expect("appended, and the ids are known from now on");
    let blocked = block_day(folder.path(), DAY);
    let mut record = plain(1, day(1));
    record.source = Some(Given { name: "s".into(), id: "1".into() });
    ledger.append_or_queue(&record, day(1)).expect("queued");
    assert!(matches!(ledger.append_or_queue(&record, day(1)), Err(LedgerError::Duplicate)));
    fs::remove_dir(blocked).expect("removed");
    assert!(wait_until(|| ledger.health().queued == 0));
    assert!(matches!(ledger.append(&record, day(1)), Err(LedgerError::Duplicate)));
    ledger.append(&plain(2, day(2)), day(2)).expect("the next day");
    ledger.sync().expect("synced");
    ledger.seal().expect("sealed");
    assert!(matches!(ledger.append(&record, day(2)), Err(LedgerError::Duplicate)));
    drop(ledger);
    assert_eq!(open_as(folder.path(), Durability::Kill, day(2)).1.replayed, 3);
}

#[test]
fn beyond_the_cap_users_are_other_live_and_exact_once_sealed() {
    const USERS: u32 = 20_000;
    let folder = quick_folder();
    let (ledger, _) = open(folder.path());
    ledger.inner.journal.cap_users_for_test(5_000, 6_000);
    for n in 0..USERS {
        let now = at(i64::from(n));
        let mut record = plain(1, now);
        record.user = Some(SubjectId::of(b"p", "telegram", &(n % (USERS / 2)).to_string()));
        (record.model, record.feature) = (format!("m{n}").into(), Some(format!("f{n}").into()));
        (record.tokens.prompt, record.cost) = (u64::from(n), Some(crate::usage::Money::from_pico_usd(7)));
        ledger.append(&record, now).expect("appended");
    }
    ledger.sync().expect("synced");
    let today = at(0).day();
    let top = |ledger: &Ledger| ledger.users().top(Period::All, today, 3, UsersBy::Tokens).expect("readable");
    let sum = u128::from(USERS) as i128 * i128::from(USERS - 1) / 2;
    let live = top(&ledger);
    assert_eq!((live.users, live.total.records, live.total.prompt), (5_000, i64::from(USERS), sum));
    assert!(live.others.records > 0 && live.top.iter().all(|(_, sums)| sums.prompt > 0));
    ledger.append(&plain(2, at(DAY)), at(DAY)).expect("the next day");
    ledger.sync().expect("synced");
    ledger.seal().expect("sealed");
    let sealed = top(&ledger);
    assert_eq!(
        (sealed.users, sealed.total.records, sealed.total.prompt),
        (u64::from(USERS / 2), i64::from(USERS) + 1, sum + 2)
    );
    assert_eq!((sealed.others, sealed.absent.records), (UserSums::default(), 1));
    let most = |n: u32| SubjectId::of(b"p", "telegram", &(USERS / 2 - 1 - n).to_string());
    assert_eq!(sealed.top.iter().map(|(user, _)| *user).collect::<Vec<_>>(), [most(0), most(1), most(2)]);
    assert_eq!(asked(&ledger.users(), at(DAY).day()), comparable(plain_fold(folder.path(), None)));
    drop(ledger);
    let (ledger, _) = open_as(folder.path(), Durability::Kill, at(DAY));
    ledger.seal().expect("nothing is to be sealed");
    assert_eq!(top(&ledger), sealed);
}
