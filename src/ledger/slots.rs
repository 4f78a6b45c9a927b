//! `open.slots`: the calls in flight. A call is written here before it is made and leaves when its record is in the
//! journal, so that a crash leaves a trace of every call that may have been billed.
//!
//! What has left is mostly written over by the next call; the rest is erased now and then. A start that finds a slot
//! looks for its record first.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use super::LedgerError;
use super::disk::{Access, DiskFile};
use super::files::DataFolder;
use super::open_call::{MAX_CALL_BYTES, OpenCall};
use crate::usage::RecordId;

/// How many calls may be open at once.
pub const SLOTS: usize = 4096;

/// Room for every name of a call as long as it is; written is what the call needs of it.
pub(super) const SLOT_BYTES: usize = 2048;
const _: () = assert!(MAX_CALL_BYTES <= SLOT_BYTES);
/// Slots read at once: not the whole file, whose memory the allocator would keep.
const SLOTS_AT_ONCE: usize = 32;
const _: () = assert!(SLOTS.is_multiple_of(SLOTS_AT_ONCE));

/// Slots that are erased in one go.
const ERASED_AT_ONCE: usize = 64;

const SLOT_FILE: &str = "open.slots";

/// Which slot a call holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotNumber(u16);

/// The open file of slots.
pub(super) struct Slots {
    data: DataFolder,
    file: Arc<dyn DiskFile>,
    free: Mutex<Free>,
}

/// Slots that can be taken.
#[derive(Default)]
struct Free {
    /// They hold nothing.
    clean: Vec<u16>,
    /// They hold a call that has left.
    left: Vec<u16>,
    /// What the system said when a call could not be noted, until something can be written here again.
    trouble: Option<String>,
}

impl Slots {
    /// Opens the slots of a folder, and gives the calls that are open in them. One that was being written when the
    /// process died was never made.
    pub(super) fn open(data: &DataFolder) -> Result<(Slots, Vec<(SlotNumber, OpenCall)>), LedgerError> {
        let file = data.open_or_create(SLOT_FILE).map_err(data.failed("open", SLOT_FILE))?;
        // Before it gets its length: what was never there need not be read.
        let open_calls = read(&*file).map_err(data.failed("read", SLOT_FILE))?;
        let length = (SLOTS * SLOT_BYTES) as u64;
        file.set_len(length).map_err(data.failed("extend", SLOT_FILE))?;
        // A disk that fills up keeps no call from being noted then. Where it has no room now, there may be enough for some.
        let _ = file.reserve(0, length);
        let used: Vec<u16> = open_calls.iter().map(|(slot, _)| slot.0).collect();
        let clean = (0..SLOTS as u16).rev().filter(|slot| !used.contains(slot)).collect();
        let free = Mutex::new(Free { clean, ..Free::default() });
        Ok((Slots { data: data.clone(), file, free }, open_calls))
    }

    pub(super) fn take(&self, call: &OpenCall) -> Result<SlotNumber, LedgerError> {
        let (slot, is_troubled) = {
            let mut free = self.lock();
            let slot = free.left.pop().or_else(|| free.clean.pop()).ok_or(LedgerError::TooManyOpenCalls)?;
            (slot, free.trouble.is_some())
        };
        match self.write(slot, call) {
            Ok(()) => {
                if is_troubled {
                    self.lock().trouble = None;
                }
                Ok(SlotNumber(slot))
            }
            Err(error) => {
                self.failed(slot, &error);
                Err(self.data.failed("write", SLOT_FILE)(error))
            }
        }
    }

    fn write(&self, slot: u16, call: &OpenCall) -> io::Result<()> {
        self.file.write_all_at(call.encode(&mut [0; MAX_CALL_BYTES]), offset(slot))
    }

    /// A slot could not be written: it is tried again before others. Told in the log once, until one can be.
    fn failed(&self, slot: u16, error: &io::Error) {
        let is_new = {
            let mut free = self.lock();
            free.left.push(slot);
            free.trouble.replace(error.to_string()).is_none()
        };
        if is_new {
            tracing::error!(error = %error, "calls cannot be noted, so none is made");
        }
    }

    /// What the system said, if calls cannot be noted.
    pub(super) fn trouble(&self) -> Option<String> {
        self.lock().trouble.clone()
    }

    pub(super) fn update(&self, slot: SlotNumber, call: &OpenCall) {
        // What cannot be written leaves the note as it was.
        let _ = self.write(slot.0, call);
    }

    /// Frees a slot, whose call has its record.
    pub(super) fn free(&self, slot: SlotNumber) {
        self.lock().left.push(slot.0);
    }

    /// Erases what the calls that have left still hold. Where that fails it is tried again the next time; where it does
    /// not, calls can be noted again.
    pub(super) fn erase(&self) {
        loop {
            // Some at a time: meanwhile nobody can take them.
            let mut some = {
                let left = &mut self.lock().left;
                left.split_off(left.len().saturating_sub(ERASED_AT_ONCE))
            };
            let erased = some.extract_if(.., |slot| self.file.write_all_at(&[0], offset(*slot)).is_ok());
            let erased: Vec<u16> = erased.collect();
            let is_over = erased.is_empty();
            let mut free = self.lock();
            if is_over {
                free.trouble.take_if(|_| some.is_empty());
            }
            free.left.append(&mut some);
            free.clean.extend(erased);
            if is_over {
                return;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Free> {
        self.free.lock().expect("nobody panics while holding it")
    }

    pub(super) fn sync(&self) -> Result<(), LedgerError> {
        self.file.sync().map_err(self.data.failed("sync", SLOT_FILE))
    }
}

/// The open calls of a folder that is only looked at.
pub(super) fn look(data: &DataFolder) -> Result<Vec<(SlotNumber, OpenCall)>, LedgerError> {
    match data.open(SLOT_FILE, Access::Read) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        opened => opened.and_then(|file| read(&*file)).map_err(data.failed("read", SLOT_FILE)),
    }
}

fn read(file: &(dyn DiskFile + 'static)) -> io::Result<Vec<(SlotNumber, OpenCall)>> {
    let mut open = Vec::new();
    let mut content = vec![0; SLOTS_AT_ONCE * SLOT_BYTES];
    for first in (0..SLOTS as u16).step_by(SLOTS_AT_ONCE) {
        let read = read_up_to(file, &mut content, offset(first))?;
        if read == 0 {
            break;
        }
        let calls = (first..).zip(content[..read].chunks(SLOT_BYTES));
        open.extend(calls.filter_map(|(n, slot)| Some((SlotNumber(n), OpenCall::decode(slot)?))));
    }
    Ok(open)
}

/// Fills the buffer as far as the file goes, and gives how far that is. One that is shorter than it should be is of an
/// older version, or was not given its length before a crash.
fn read_up_to(file: &(dyn DiskFile + 'static), buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], offset + filled as u64)? {
            0 => break,
            read => filled += read,
        }
    }
    Ok(filled)
}

fn offset(slot: u16) -> u64 {
    u64::from(slot) * SLOT_BYTES as u64
}

/// The ids of some open calls.
pub(super) fn ids(calls: &[(SlotNumber, OpenCall)]) -> std::collections::HashSet<RecordId> {
    calls.iter().map(|(_, call)| call.id).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usage::names::Name;

    fn call(model: &str) -> OpenCall {
        OpenCall { model: Name::clean(model), ..OpenCall::full() }
    }

    #[test]
    fn a_call_survives_its_process_and_leaves_when_freed() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let data = DataFolder::real(folder.path());
        let (slots, _) = Slots::open(&data).expect("a new file");
        let first = slots.take(&call("llama3.2")).expect("a free slot");
        let second = slots.take(&call(&"ñ".repeat(200))).expect("a free slot");
        let (again, open) = Slots::open(&data).expect("the same file");
        assert_eq!(open[0], (first, call("llama3.2")));
        assert_eq!(open[1], (second, call(&"ñ".repeat(64))), "with its whole name");
        again.free(first);
        again.free(second);
        again.erase();
        assert!(look(&data).expect("readable").is_empty());
    }

    #[test]
    fn every_slot_is_given_once_and_then_no_more() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let data = DataFolder::real(folder.path());
        let (slots, _) = Slots::open(&data).expect("a new file");
        for _ in 0..SLOTS {
            slots.take(&call("m")).expect("a free slot");
        }
        assert!(matches!(slots.take(&call("m")), Err(LedgerError::TooManyOpenCalls)));
        slots.free(SlotNumber(17));
        assert_eq!(slots.take(&call("m")).expect("the one that was freed"), SlotNumber(17));
    }

    #[test]
    fn a_slot_that_was_freed_is_written_over_first() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let data = DataFolder::real(folder.path());
        let (slots, _) = Slots::open(&data).expect("a new file");
        let [first, second] = ["a", "b"].map(|model| slots.take(&call(model)).expect("a free slot"));
        slots.free(first);
        assert_eq!(look(&data).expect("readable").len(), 2, "nothing is written for it");
        assert_eq!(slots.take(&call("c")).expect("a free slot"), first);
        slots.erase();
        let open = look(&data).expect("readable");
        assert_eq!(open, [(first, call("c")), (second, call("b"))]);
    }

    #[test]
    fn a_slot_that_cannot_be_written_is_trouble_until_it_can_though_nobody_calls() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let data = DataFolder::real(folder.path());
        let (mut slots, _) = Slots::open(&data).expect("a new file");
        let refusing = data.open(SLOT_FILE, Access::Read).expect("it is there");
        let taking = std::mem::replace(&mut slots.file, refusing);
        assert!(slots.take(&call("m")).is_err());
        slots.erase();
        assert!(slots.trouble().is_some_and(|trouble| trouble.contains("Bad file descriptor")));
        slots.file = taking;
        slots.erase();
        assert_eq!(slots.trouble(), None);
        let free = slots.lock();
        assert_eq!((free.left.len(), free.clean.len()), (0, SLOTS), "and every slot can be taken");
    }

    #[test]
    fn the_file_has_its_room_from_the_start() {
        use std::os::unix::fs::MetadataExt;
        let folder = tempfile::tempdir().expect("a temporary folder");
        drop(Slots::open(&DataFolder::real(folder.path())).expect("a new file"));
        let file = std::fs::metadata(folder.path().join(SLOT_FILE)).expect("it is there");
        assert_eq!((file.len(), file.blocks() * 512 >= file.len()), ((SLOTS * SLOT_BYTES) as u64, true));
    }

    #[test]
    fn a_short_call_over_a_long_one_is_read_as_itself_and_an_erased_one_not_at_all() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let data = DataFolder::real(folder.path());
        let (slots, _) = Slots::open(&data).expect("a new file");
        let slot = slots.take(&call(&"m".repeat(128))).expect("a free slot");
        slots.update(slot, &call("m"));
        assert_eq!(look(&data).expect("readable"), [(slot, call("m"))]);
        slots.free(slot);
        slots.erase();
        assert_eq!(look(&data).expect("readable"), []);
    }

    #[test]
    fn a_file_of_the_version_before_is_not_misread_and_gets_its_length() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let data = DataFolder::real(folder.path());
        // As it was: slots of 256 bytes that begin with a 1, each with its checksum at its end.
        let mut older = [b'x'; 256];
        (older[0], older[88], older[89]) = (1, 252, 0);
        let crc = crc32c::crc32c(&older[..252]);
        older[252..].copy_from_slice(&crc.to_le_bytes());
        std::fs::write(folder.path().join(SLOT_FILE), older.repeat(SLOTS)).expect("writable");
        assert_eq!(look(&data).expect("readable, though it is short"), []);
        let (slots, open) = Slots::open(&data).expect("the same file");
        assert_eq!(slots.file.length().expect("it is there"), (SLOTS * SLOT_BYTES) as u64);
        assert_eq!(open, []);
        let taken = slots.take(&call("m")).expect("a free slot");
        assert_eq!(look(&data).expect("readable"), [(taken, call("m"))]);
    }
}
