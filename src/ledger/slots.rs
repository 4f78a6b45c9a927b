//! `open.slots`: the calls in flight. A call is written here before it is made and leaves when its record is in the
//! journal, so that a crash leaves a trace of every call that may have been billed.
//!
//! What has left is mostly written over by the next call; the rest is erased now and then. A start that finds a slot
//! looks for its record first.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use uuid::Uuid;

use super::LedgerError;
use super::disk::{Access, DiskFile};
use super::files::DataFolder;
use crate::usage::names::Name;
use crate::usage::{RecordId, SubjectId, Timestamp};

/// How many calls may be open at once.
pub const SLOTS: usize = 4096;

const SLOT_BYTES: usize = 256;
/// Slots read at once: not the whole megabyte, whose memory the allocator would keep.
const SLOTS_AT_ONCE: usize = 256;
const _: () = assert!(SLOTS.is_multiple_of(SLOTS_AT_ONCE));

/// Slots that are erased in one go.
const ERASED_AT_ONCE: usize = 64;

const SLOT_FILE: &str = "open.slots";
/// First byte of a slot in use; zero is free. Also the version of the format.
const USED: u8 = 1;
const TEXT_AT: usize = 88;
const CRC_AT: usize = SLOT_BYTES - 4;

/// Which slot a call holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotNumber(u16);

/// What is known of a call before it is made. Names are cut to what fits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenCall {
    /// The id of the record it will become.
    pub id: RecordId,
    /// When it was admitted.
    pub admitted: Timestamp,
    /// Which attempt it is.
    pub attempt: u32,
    /// The first attempt, when it is a retry.
    pub call: Option<RecordId>,
    /// Whether the model runs on the owner's machine.
    pub local: bool,
    /// Estimated input tokens.
    pub prompt_tokens: u64,
    /// Estimated output tokens that had come when this was last written.
    pub output_tokens: u64,
    /// Whose it is.
    pub user: Option<SubjectId>,
    /// The conversation.
    pub session: Option<SubjectId>,
    /// The configured provider.
    pub provider: Name<'static>,
    /// The API spoken.
    pub api_type: Name<'static>,
    /// The model.
    pub model: Name<'static>,
    /// What it is for.
    pub request_type: Name<'static>,
    /// Where it comes from.
    pub channel: Name<'static>,
    /// The owner's dimension.
    pub feature: Option<Name<'static>>,
    /// The owner's dimension.
    pub team: Option<Name<'static>>,
    /// The gateway key.
    pub key: Option<Name<'static>>,
}

impl OpenCall {
    fn encode(&self) -> [u8; SLOT_BYTES] {
        let mut slot = [0; SLOT_BYTES];
        let flags = u8::from(self.local)
            | u8::from(self.user.is_some()) << 1
            | u8::from(self.session.is_some()) << 2
            | u8::from(self.call.is_some()) << 3;
        (slot[0], slot[1]) = (USED, flags);
        slot[2..18].copy_from_slice(self.id.0.as_bytes());
        slot[18..26].copy_from_slice(&self.admitted.unix_micros().to_le_bytes());
        slot[26..28].copy_from_slice(&((self.admitted.offset_secs() / 60) as i16).to_le_bytes());
        slot[28..32].copy_from_slice(&self.attempt.to_le_bytes());
        slot[32..40].copy_from_slice(&self.prompt_tokens.to_le_bytes());
        slot[40..52].copy_from_slice(&self.user.map_or([0; 12], |user| *user.as_bytes()));
        slot[52..64].copy_from_slice(&self.session.map_or([0; 12], |session| *session.as_bytes()));
        slot[64..80].copy_from_slice(self.call.unwrap_or(RecordId(Uuid::nil())).0.as_bytes());
        slot[80..88].copy_from_slice(&self.output_tokens.to_le_bytes());
        let optional = |name: &Option<Name<'static>>| name.as_ref().map_or("", |name| name.as_str()).to_owned();
        let texts: [(&str, usize); 8] = [
            (&self.provider, 24),
            (&self.api_type, 12),
            (&self.model, 52),
            (&self.request_type, 16),
            (&self.channel, 10),
            (&optional(&self.feature), 14),
            (&optional(&self.team), 14),
            (&optional(&self.key), 14),
        ];
        let mut at = TEXT_AT;
        for (text, room) in texts {
            let text = cut(text, room);
            slot[at] = text.len() as u8;
            slot[at + 1..at + 1 + text.len()].copy_from_slice(text.as_bytes());
            at += 1 + text.len();
        }
        let crc = crc32c::crc32c(&slot[..CRC_AT]);
        slot[CRC_AT..].copy_from_slice(&crc.to_le_bytes());
        slot
    }

    fn decode(slot: &[u8; SLOT_BYTES]) -> Option<OpenCall> {
        let crc = u32::from_le_bytes(slot[CRC_AT..].try_into().ok()?);
        if slot[0] != USED || crc32c::crc32c(&slot[..CRC_AT]) != crc {
            return None;
        }
        let flag = |bit: u8| slot[1] >> bit & 1 == 1;
        let subject = |at: usize| slot[at..at + 12].try_into().map(SubjectId::from_bytes).ok();
        let micros = i64::from_le_bytes(slot[18..26].try_into().ok()?);
        let offset_minutes = i16::from_le_bytes(slot[26..28].try_into().ok()?);
        let mut rest = &slot[TEXT_AT..CRC_AT];
        let mut text = || -> Option<String> {
            let (length, after) = rest.split_first()?;
            let (text, after) = after.split_at_checked(usize::from(*length))?;
            rest = after;
            Some(std::str::from_utf8(text).ok()?.to_owned())
        };
        Some(OpenCall {
            id: RecordId(Uuid::from_slice(&slot[2..18]).ok()?),
            admitted: Timestamp::new(micros, i32::from(offset_minutes) * 60),
            attempt: u32::from_le_bytes(slot[28..32].try_into().ok()?),
            call: flag(3).then(|| Uuid::from_slice(&slot[64..80]).map(RecordId).ok()).flatten(),
            local: flag(0),
            prompt_tokens: u64::from_le_bytes(slot[32..40].try_into().ok()?),
            output_tokens: u64::from_le_bytes(slot[80..88].try_into().ok()?),
            user: flag(1).then(|| subject(40)).flatten(),
            session: flag(2).then(|| subject(52)).flatten(),
            provider: Name::clean(&text()?),
            api_type: Name::clean(&text()?),
            model: Name::clean(&text()?),
            request_type: Name::clean(&text()?),
            channel: Name::clean(&text()?),
            feature: text()?.as_str().to_name(),
            team: text()?.as_str().to_name(),
            key: text()?.as_str().to_name(),
        })
    }
}

trait ToName {
    fn to_name(self) -> Option<Name<'static>>;
}

impl ToName for &str {
    /// An empty text is no name.
    fn to_name(self) -> Option<Name<'static>> {
        (!self.is_empty()).then(|| Name::clean(self))
    }
}

fn cut(text: &str, room: usize) -> &str {
    &text[..text.floor_char_boundary(room)]
}

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
    pub(super) fn open(data: &DataFolder) -> Result<Slots, LedgerError> {
        let file = data.open_or_create(SLOT_FILE).map_err(data.failed("open", SLOT_FILE))?;
        let length = (SLOTS * SLOT_BYTES) as u64;
        file.set_len(length).map_err(data.failed("extend", SLOT_FILE))?;
        // A disk that fills up keeps no call from being noted then. Where it has no room now, there may be enough for some.
        let _ = file.reserve(0, length);
        let slots = Slots { data: data.clone(), file, free: Mutex::default() };
        let used: Vec<u16> = slots.open_calls()?.iter().map(|(slot, _)| slot.0).collect();
        let free = (0..SLOTS as u16).rev().filter(|slot| !used.contains(slot)).collect();
        slots.lock().clean = free;
        Ok(slots)
    }

    /// The calls that are open in the file. A slot that was being written when the process died was never called.
    pub(super) fn open_calls(&self) -> Result<Vec<(SlotNumber, OpenCall)>, LedgerError> {
        read(&*self.file).map_err(self.data.failed("read", SLOT_FILE))
    }

    pub(super) fn take(&self, call: &OpenCall) -> Result<SlotNumber, LedgerError> {
        let (slot, is_troubled) = {
            let mut free = self.lock();
            let slot = free.left.pop().or_else(|| free.clean.pop()).ok_or(LedgerError::TooManyOpenCalls)?;
            (slot, free.trouble.is_some())
        };
        match self.file.write_all_at(&call.encode(), offset(slot)) {
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
        let _ = self.file.write_all_at(&call.encode(), offset(slot.0));
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
        file.read_exact_at(&mut content, offset(first))?;
        let (slots, _) = content.as_chunks::<SLOT_BYTES>();
        let calls = (first..).zip(slots);
        open.extend(calls.filter_map(|(n, slot)| Some((SlotNumber(n), OpenCall::decode(slot)?))));
    }
    Ok(open)
}

fn offset(slot: u16) -> u64 {
    u64::from(slot) * SLOT_BYTES as u64
}

/// The ids of some open calls.
pub(super) fn ids(calls: &[(SlotNumber, OpenCall)]) -> std::collections::HashSet<RecordId> {
    calls.iter().map(|(_, call)| call.id).collect()
}

#[cfg(test)]
impl OpenCall {
    /// Reads a slot of anybody's making, with and without a right checksum.
    pub(super) fn fuzzed(mut slot: [u8; SLOT_BYTES]) {
        for _ in 0..2 {
            if let Some(call) = OpenCall::decode(&slot) {
                // Names longer than their room are cut when they are written.
                let cut = OpenCall::decode(&call.encode()).expect("what was written is a call");
                assert_eq!(OpenCall::decode(&cut.encode()), Some(cut), "what was written is read as the same");
            }
            slot[0] = USED;
            let crc = crc32c::crc32c(&slot[..CRC_AT]);
            slot[CRC_AT..].copy_from_slice(&crc.to_le_bytes());
        }
    }

    /// A first attempt at a chat, as a terminal asks for it.
    pub(super) fn sample(id: RecordId, admitted: Timestamp) -> OpenCall {
        OpenCall {
            id,
            admitted,
            attempt: 1,
            call: None,
            local: true,
            prompt_tokens: 5,
            output_tokens: 0,
            user: None,
            session: None,
            provider: "ollama".into(),
            api_type: "ollama".into(),
            model: "m".into(),
            request_type: "chat".into(),
            channel: "terminal".into(),
            feature: None,
            team: None,
            key: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(model: &str) -> OpenCall {
        let at = Timestamp::new(1_795_305_600_000_000, -6 * 3600);
        OpenCall {
            id: RecordId::new(at, [3; 10]),
            admitted: at,
            attempt: 2,
            call: Some(RecordId::new(at, [4; 10])),
            local: true,
            prompt_tokens: 77,
            output_tokens: 33,
            user: Some(SubjectId::of(b"p", "terminal", "me")),
            session: None,
            provider: "ollama".into(),
            api_type: "ollama".into(),
            model: Name::clean(model),
            request_type: "chat".into(),
            channel: "terminal".into(),
            feature: None,
            team: Some("sales".into()),
            key: None,
        }
    }

    #[test]
    fn a_call_survives_its_process_and_leaves_when_freed() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let slots = Slots::open(&DataFolder::real(folder.path())).expect("a new file");
        let first = slots.take(&call("llama3.2")).expect("a free slot");
        let second = slots.take(&call(&"ñ".repeat(200))).expect("a free slot");
        let again = Slots::open(&DataFolder::real(folder.path())).expect("the same file");
        let open = again.open_calls().expect("readable");
        assert_eq!(open[0], (first, call("llama3.2")));
        assert_eq!(open[1].1.model.as_str(), "ñ".repeat(26));
        again.free(first);
        again.free(second);
        again.erase();
        assert!(again.open_calls().expect("readable").is_empty());
    }

    #[test]
    fn every_slot_is_given_once_and_then_no_more() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let slots = Slots::open(&DataFolder::real(folder.path())).expect("a new file");
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
        let slots = Slots::open(&DataFolder::real(folder.path())).expect("a new file");
        let [first, second] = ["a", "b"].map(|model| slots.take(&call(model)).expect("a free slot"));
        slots.free(first);
        assert_eq!(slots.open_calls().expect("readable").len(), 2, "nothing is written for it");
        assert_eq!(slots.take(&call("c")).expect("a free slot"), first);
        slots.erase();
        let open = slots.open_calls().expect("readable");
        assert_eq!(open, [(first, call("c")), (second, call("b"))]);
    }

    #[test]
    fn a_slot_that_cannot_be_written_is_trouble_until_it_can_though_nobody_calls() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let data = DataFolder::real(folder.path());
        let mut slots = Slots::open(&data).expect("a new file");
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
    fn a_damaged_slot_is_no_call() {
        let slot = call("m").encode();
        for bit in 0..SLOT_BYTES * 8 {
            let mut damaged = slot;
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(OpenCall::decode(&damaged), None, "bit {bit}");
        }
    }
}
