//! What is left of the inbox after anything that can happen to a process or a file.

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use proptest::prelude::*;

use super::*;

fn at(secs: i64) -> Timestamp {
    Timestamp::new(secs * 1_000_000, 0)
}

fn entry(update: u64) -> Entry {
    Entry {
        update,
        chat: -100_000 - update as i64,
        thread: update.is_multiple_of(2).then_some(7),
        message: update as i64 * 10,
        language: Language::new("es"),
    }
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Folder {
        Folder(tempfile::tempdir().expect("a temporary folder"))
    }

    fn path(&self) -> PathBuf {
        self.0.path().join(FILE_NAME)
    }

    fn open(&self) -> (Inbox, Vec<Pending>) {
        Inbox::open(&self.path(), at(1_770_000_000)).expect("it opens")
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.path()).expect("a folder");
        let mut names: Vec<String> =
            entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }
}

#[derive(Clone, Debug)]
enum Step {
    Received(Vec<u64>),
    Started(u64),
    Placed(u64, i64),
    Done(u64),
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let update = 0u64..12;
    let step = prop_oneof![
        4 => prop::collection::vec(update.clone(), 1..4).prop_map(Step::Received),
        3 => update.clone().prop_map(Step::Started),
        2 => (update.clone(), 1i64..99).prop_map(|(update, message)| Step::Placed(update, message)),
        2 => update.prop_map(Step::Done),
        1 => Just(Step::Reopen),
    ];
    prop::collection::vec(step, 1..30)
}

/// What should be pending, told without any file.
#[derive(Clone, Debug, Default)]
struct Model {
    pending: BTreeMap<u64, Stage>,
    done: Vec<u64>,
}

impl Model {
    /// The updates of these that are new.
    fn step(&mut self, step: &Step) -> Vec<u64> {
        let mut new = Vec::new();
        match step {
            Step::Received(updates) => {
                for update in updates {
                    if !self.done.contains(update) && !self.pending.contains_key(update) {
                        self.pending.insert(*update, Stage::Received);
                        new.push(*update);
                    }
                }
            }
            Step::Started(update) => self.advance(*update, Stage::Started),
            Step::Placed(update, message) => self.advance(*update, Stage::Placed(*message)),
            Step::Done(update) => {
                if self.pending.remove(update).is_some() {
                    self.done.push(*update);
                }
            }
            Step::Reopen => {}
        }
        new
    }

    fn advance(&mut self, update: u64, to: Stage) {
        self.pending.entry(update).and_modify(|stage| *stage = (*stage).max(to));
    }

    fn expected(&self) -> Vec<Pending> {
        self.pending.iter().map(|(update, stage)| Pending { entry: entry(*update), stage: *stage }).collect()
    }
}

fn play(folder: &Folder, inbox: &mut Inbox, step: &Step) -> Vec<u64> {
    let played = match step {
        Step::Received(updates) => {
            let entries: Vec<Entry> = updates.iter().map(|update| entry(*update)).collect();
            return inbox.received(&entries).expect("room").iter().map(|entry| entry.update).collect();
        }
        Step::Started(update) => inbox.started(*update),
        Step::Placed(update, message) => inbox.placed(*update, *message),
        Step::Done(update) => inbox.done(*update, at(1_770_000_000)),
        Step::Reopen => {
            *inbox = folder.open().0;
            Ok(())
        }
    };
    played.expect("it is written");
    Vec::new()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// A killed process leaves what it wrote: nothing is done when an inbox is dropped.
    #[test]
    fn killed_after_any_step_everything_open_is_pending_with_its_stage(steps in steps()) {
        let folder = Folder::new();
        let (mut inbox, pending) = folder.open();
        prop_assert!(pending.is_empty());
        let mut model = Model::default();
        for step in &steps {
            prop_assert_eq!(play(&folder, &mut inbox, step), model.step(step));
            prop_assert_eq!(inbox.pending(), model.pending.len());
            let copy = Folder::new();
            fs::copy(folder.path(), copy.path()).expect("a copy");
            let (mut again, pending) = copy.open();
            prop_assert_eq!(pending, model.expected());
            let known: Vec<Entry> = model.done.iter().chain(model.pending.keys()).map(|update| entry(*update)).collect();
            prop_assert_eq!(again.received(&known).expect("room"), Vec::new(), "a duplicate was taken in");
            prop_assert_eq!(copy.names(), [FILE_NAME]);
        }
    }
}

#[test]
fn cut_at_any_byte_it_is_what_it_was_after_the_last_whole_line() {
    let folder = Folder::new();
    let (mut inbox, _) = folder.open();
    let mut model = Model::default();
    let length = || fs::metadata(folder.path()).expect("the file").len();
    let mut history = vec![(0, Vec::new()), (length(), Vec::new())];
    let steps = [
        Step::Received(vec![1]),
        Step::Started(1),
        Step::Received(vec![2]),
        Step::Placed(1, 55),
        Step::Started(2),
        Step::Done(1),
        Step::Received(vec![3]),
        Step::Done(3),
        Step::Placed(2, -4),
    ];
    for step in &steps {
        play(&folder, &mut inbox, step);
        model.step(step);
        history.push((length(), model.expected()));
    }
    let content = fs::read(folder.path()).expect("the file");
    for cut in 0..=content.len() {
        let copy = Folder::new();
        fs::write(copy.path(), &content[..cut]).expect("a copy");
        let (mut again, pending) = copy.open();
        let expected = history.iter().rev().find(|(length, _)| *length <= cut as u64).map(|(_, pending)| pending);
        assert_eq!(Some(&pending), expected, "cut at {cut}");
        assert_eq!(copy.names(), [FILE_NAME], "what a crash leaves is no damage");
        if cut.is_multiple_of(8) {
            again.received(&[entry(99)]).expect("room");
            drop(again);
            assert_eq!(copy.open().1.len(), pending.len() + 1, "after a torn tail the next line is whole");
        }
    }
}

#[test]
fn a_batch_is_one_write_and_gives_what_is_new_once() {
    let folder = Folder::new();
    let (mut inbox, _) = folder.open();
    let new = inbox.received(&[entry(5), entry(6), entry(5)]).expect("room");
    assert_eq!(new, [entry(5), entry(6)]);
    assert_eq!(inbox.received(&[entry(6), entry(7), entry(5)]).expect("room"), [entry(7)]);
    inbox.done(6, at(0)).expect("written");
    assert!(inbox.received(&[entry(6)]).expect("room").is_empty(), "done is known too");
    for unknown in [inbox.started(100), inbox.placed(100, 1), inbox.done(100, at(0))] {
        unknown.expect("nothing happens");
    }
    assert_eq!(inbox.received(&[entry(100)]).expect("room"), [entry(100)]);
}

#[test]
fn no_more_wait_than_there_is_room_for() {
    let folder = Folder::new();
    let (mut inbox, _) = folder.open();
    let entries: Vec<Entry> = (0..MAX_PENDING as u64).map(entry).collect();
    assert_eq!(inbox.received(&entries).expect("room").len(), MAX_PENDING);
    let before = fs::metadata(folder.path()).expect("the file").len();
    assert!(matches!(inbox.received(&[entry(20_000), entry(20_001)]), Err(InboxError::Full)));
    assert_eq!(fs::metadata(folder.path()).expect("the file").len(), before, "all or nothing");
    assert!(inbox.received(&[entry(3)]).expect("a duplicate needs no room").is_empty());
    inbox.done(3, at(0)).expect("written");
    assert_eq!(inbox.received(&[entry(20_000)]).expect("room").len(), 1);
    drop(inbox);
    assert_eq!(folder.open().1.len(), MAX_PENDING);
}

#[test]
fn a_damaged_file_is_kept_aside_and_the_rest_of_it_holds() {
    let folder = Folder::new();
    let (mut inbox, _) = folder.open();
    inbox.received(&[entry(1), entry(2), entry(3)]).expect("room");
    inbox.done(3, at(0)).expect("written");
    drop(inbox);
    let mut content = fs::read(folder.path()).expect("the file");
    let second = String::from_utf8_lossy(&content).find("received 2").expect("a line");
    content[second + 12] ^= 1;
    fs::write(folder.path(), &content).expect("damaged");
    let (mut inbox, pending) = folder.open();
    assert_eq!(pending, [Pending { entry: entry(1), stage: Stage::Received }]);
    assert_eq!(folder.names(), [FILE_NAME.to_owned(), format!("{FILE_NAME}.damaged-1770000000")]);
    let kept = folder.0.path().join(&folder.names()[1]);
    assert_eq!(fs::read(&kept).expect("kept"), content);
    assert_eq!(fs::metadata(kept).expect("kept").mode() & 0o777, 0o600);
    assert_eq!(inbox.received(&[entry(2), entry(3)]).expect("room"), [entry(2)]);
    drop(inbox);
    assert_eq!(folder.open().1.len(), 2);
    assert_eq!(folder.names().len(), 2, "the new file is whole");
}

#[test]
fn a_file_that_is_none_of_ours_is_kept_aside_each_time() {
    let folder = Folder::new();
    for foreign in ["something else\n", "tallybot telegram inbox 2\nreceived", "tallybotx", "\0\0\0\0"] {
        fs::write(folder.path(), foreign).expect("a file");
        assert!(folder.open().1.is_empty());
    }
    assert_eq!(folder.names().len(), 5, "{:?}", folder.names());
    fs::write(folder.path(), "tallybot tele").expect("a torn beginning");
    folder.open();
    assert_eq!(folder.names().len(), 5, "that is no damage");
}

#[test]
fn zeros_at_the_end_are_what_a_power_cut_leaves() {
    let folder = Folder::new();
    folder.open().0.received(&[entry(1)]).expect("room");
    let mut content = fs::read(folder.path()).expect("the file");
    content.extend([0; 4_096]);
    fs::write(folder.path(), content).expect("a tail");
    assert_eq!(folder.open().1.len(), 1);
    assert_eq!(folder.names(), [FILE_NAME]);
}

#[test]
fn the_file_is_private_and_holds_numbers_only() {
    let folder = Folder::new();
    fs::write(folder.path(), "").expect("a file");
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o644)).expect("open to all");
    let (mut inbox, _) = folder.open();
    let code = Language::new("es was ist das");
    inbox.received(&[Entry { language: code, ..entry(1) }]).expect("room");
    assert_eq!(fs::metadata(folder.path()).expect("the file").mode() & 0o777, 0o600);
    assert!(!fs::read_to_string(folder.path()).expect("text").contains("was"));
    assert_eq!(
        ["pt-br", "", "zh-hans-cn", "é"].map(|code| Language::new(code).as_str().to_owned()),
        ["pt-br", "-", "zh-hans-", "-"]
    );
}

#[test]
fn a_link_in_its_place_is_not_followed() {
    let folder = Folder::new();
    let other = folder.0.path().join("other");
    fs::write(&other, "precious").expect("a file");
    std::os::unix::fs::symlink(&other, folder.path()).expect("a link");
    assert!(Inbox::open(&folder.path(), at(0)).is_err());
    assert_eq!(fs::read_to_string(other).expect("text"), "precious");
}

#[test]
fn it_is_written_anew_now_and_then_and_left_over_files_do_not_matter() {
    let folder = Folder::new();
    let (mut inbox, _) = folder.open();
    let mut longest = 0;
    for update in 0..60_000 {
        inbox.add(&[Record::Received(entry(update))], false).expect("written");
        inbox.done(update, at(update as i64 * 60)).expect("written");
        longest = longest.max(fs::metadata(folder.path()).expect("the file").len());
    }
    assert!(longest < 4 << 20, "{longest}");
    inbox.received(&[entry(70_000)]).expect("room");
    fs::write(folder.0.path().join(format!("{FILE_NAME}.tmp")), "killed while it was written anew").expect("a file");
    let (mut inbox, pending) = folder.open();
    assert_eq!(pending, [Pending { entry: entry(70_000), stage: Stage::Received }]);
    assert_eq!(folder.names(), [FILE_NAME]);
    assert!(inbox.received(&[entry(59_999), entry(50_000)]).expect("room").is_empty());
    assert_eq!(inbox.received(&[entry(40_000)]).expect("room").len(), 1, "forgotten after a day and ten thousand");
}

#[test]
fn after_a_failed_write_the_next_one_begins_a_new_file() {
    let folder = Folder::new();
    let (mut inbox, _) = folder.open();
    inbox.received(&[entry(1)]).expect("room");
    inbox.file = File::open(folder.path()).expect("a handle that cannot write");
    assert!(matches!(inbox.started(1), Err(InboxError::Io { doing: "append to", .. })));
    assert!(inbox.is_suspect);
    fs::write(folder.path(), "torn by the failed write").expect("a torn file");
    inbox.started(1).expect("a new file");
    inbox.received(&[entry(2)]).expect("room");
    drop(inbox);
    let stages: Vec<Stage> = folder.open().1.iter().map(|pending| pending.stage).collect();
    assert_eq!(stages, [Stage::Started, Stage::Received]);
    assert_eq!(folder.names(), [FILE_NAME]);
}

#[test]
fn a_folder_that_is_gone_is_an_error_that_says_so() {
    let folder = Folder::new();
    let path = folder.0.path().join("gone").join(FILE_NAME);
    let error = Inbox::open(&path, at(0)).expect_err("no folder");
    assert!(error.to_string().starts_with("cannot write `") && error.to_string().ends_with("telegram.inbox`"));
}
