//! What is known of a call before it is made, and its form in a slot of `open.slots`.

use uuid::Uuid;

use crate::usage::names::{MAX_NAME_BYTES, Name};
use crate::usage::{KeySuffix, RecordId, SubjectId, Timestamp};

/// First byte of a call in its slot; zero is a free slot. Also the version of the format.
const USED: u8 = 2;
/// Where it says how many bytes it has, its checksum included.
const LENGTH_AT: usize = 88;
/// Its texts, each behind its length in one byte.
const TEXTS_AT: usize = 90;
const NAMES: usize = 10;
const MAX_SUFFIX_BYTES: usize = KeySuffix::MAX_CHARS * 4;
const CRC_BYTES: usize = 4;
const _: () = assert!(MAX_NAME_BYTES <= u8::MAX as usize);

/// The most bytes a call takes, with every name as long as names can be.
pub(super) const MAX_CALL_BYTES: usize = TEXTS_AT + NAMES * (1 + MAX_NAME_BYTES) + 1 + MAX_SUFFIX_BYTES + CRC_BYTES;

/// What is known of a call before it is made: all that its record needs should nobody get to finish it.
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
    /// Whether nobody takes money for it, whatever the price of its model.
    pub free: bool,
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
    pub agent: Option<Name<'static>>,
    /// The owner's dimension.
    pub operation: Option<Name<'static>>,
    /// The owner's dimension.
    pub team: Option<Name<'static>>,
    /// The gateway key.
    pub key: Option<Name<'static>>,
    /// The last characters of the upstream key.
    pub api_key_suffix: Option<KeySuffix>,
}

impl OpenCall {
    /// Writes it into `room`, and gives the bytes it took. Allocates nothing: every call is written so before it is made.
    pub(super) fn encode<'a>(&self, room: &'a mut [u8; MAX_CALL_BYTES]) -> &'a [u8] {
        let flags = u8::from(self.local)
            | u8::from(self.user.is_some()) << 1
            | u8::from(self.session.is_some()) << 2
            | u8::from(self.call.is_some()) << 3
            | u8::from(self.free) << 4;
        (room[0], room[1]) = (USED, flags);
        room[2..18].copy_from_slice(self.id.0.as_bytes());
        room[18..26].copy_from_slice(&self.admitted.unix_micros().to_le_bytes());
        room[26..28].copy_from_slice(&((self.admitted.offset_secs() / 60) as i16).to_le_bytes());
        room[28..32].copy_from_slice(&self.attempt.to_le_bytes());
        room[32..40].copy_from_slice(&self.prompt_tokens.to_le_bytes());
        room[40..52].copy_from_slice(&self.user.map_or([0; 12], |user| *user.as_bytes()));
        room[52..64].copy_from_slice(&self.session.map_or([0; 12], |session| *session.as_bytes()));
        room[64..80].copy_from_slice(self.call.unwrap_or(RecordId(Uuid::nil())).0.as_bytes());
        room[80..88].copy_from_slice(&self.output_tokens.to_le_bytes());
        let mut end = TEXTS_AT;
        for text in self.names() {
            end = put(room, end, text, MAX_NAME_BYTES);
        }
        let suffix = self.api_key_suffix.as_ref().map_or("", KeySuffix::as_str);
        end = put(room, end, suffix, MAX_SUFFIX_BYTES);
        let length = end + CRC_BYTES;
        room[LENGTH_AT..TEXTS_AT].copy_from_slice(&(length as u16).to_le_bytes());
        let crc = crc32c::crc32c(&room[..end]);
        room[end..length].copy_from_slice(&crc.to_le_bytes());
        &room[..length]
    }

    /// Its names, in the order in which they are written; an empty one is none.
    fn names(&self) -> [&str; NAMES] {
        fn text<'a>(name: &'a Option<Name<'static>>) -> &'a str {
            name.as_deref().unwrap_or_default()
        }
        [
            &self.provider,
            &self.api_type,
            &self.model,
            &self.request_type,
            &self.channel,
            text(&self.feature),
            text(&self.agent),
            text(&self.operation),
            text(&self.team),
            text(&self.key),
        ]
    }

    /// Reads what stands at the beginning of a slot; `None` where that is no whole call of this version.
    pub(super) fn decode(slot: &[u8]) -> Option<OpenCall> {
        if *slot.first()? != USED {
            return None;
        }
        let length = u16::from_le_bytes(slot.get(LENGTH_AT..TEXTS_AT)?.try_into().ok()?);
        let (body, crc) = slot.get(..usize::from(length))?.split_last_chunk::<CRC_BYTES>()?;
        let (head, mut texts) = body.split_at_checked(TEXTS_AT)?;
        if crc32c::crc32c(body) != u32::from_le_bytes(*crc) {
            return None;
        }
        let flag = |bit: u8| head[1] >> bit & 1 == 1;
        let subject = |at: usize| head[at..at + 12].try_into().map(SubjectId::from_bytes).ok();
        let micros = i64::from_le_bytes(head[18..26].try_into().ok()?);
        let offset_minutes = i16::from_le_bytes(head[26..28].try_into().ok()?);
        let mut text = || -> Option<&str> {
            let (length, after) = texts.split_first()?;
            let (text, after) = after.split_at_checked(usize::from(*length))?;
            texts = after;
            std::str::from_utf8(text).ok()
        };
        Some(OpenCall {
            id: RecordId(Uuid::from_slice(&head[2..18]).ok()?),
            admitted: Timestamp::new(micros, i32::from(offset_minutes) * 60),
            attempt: u32::from_le_bytes(head[28..32].try_into().ok()?),
            call: flag(3).then(|| Uuid::from_slice(&head[64..80]).map(RecordId).ok()).flatten(),
            local: flag(0),
            free: flag(4),
            prompt_tokens: u64::from_le_bytes(head[32..40].try_into().ok()?),
            output_tokens: u64::from_le_bytes(head[80..88].try_into().ok()?),
            user: flag(1).then(|| subject(40)).flatten(),
            session: flag(2).then(|| subject(52)).flatten(),
            provider: Name::clean(text()?),
            api_type: Name::clean(text()?),
            model: Name::clean(text()?),
            request_type: Name::clean(text()?),
            channel: Name::clean(text()?),
            feature: name(text()?),
            agent: name(text()?),
            operation: name(text()?),
            team: name(text()?),
            key: name(text()?),
            api_key_suffix: KeySuffix::of_text(text()?),
        })
    }
}

/// An empty text is no name.
fn name(text: &str) -> Option<Name<'static>> {
    (!text.is_empty()).then(|| Name::clean(text))
}

/// Writes a text behind its length, and gives where it ends. One that nobody cleaned may be too long, and is cut.
fn put(room: &mut [u8; MAX_CALL_BYTES], at: usize, text: &str, max_bytes: usize) -> usize {
    let text = &text[..text.floor_char_boundary(max_bytes)];
    let end = at + 1 + text.len();
    room[at] = text.len() as u8;
    room[at + 1..end].copy_from_slice(text.as_bytes());
    end
}

#[cfg(test)]
impl OpenCall {
    /// Reads a slot of anybody's making, with and without a right version and checksum.
    pub(super) fn fuzzed(slot: &mut [u8]) {
        for _ in 0..2 {
            if let Some(call) = OpenCall::decode(slot) {
                assert_eq!(
                    OpenCall::decode(call.encode(&mut [0; MAX_CALL_BYTES])),
                    Some(call),
                    "what is written is read"
                );
            }
            slot[0] = USED;
            let length = u16::from_le_bytes([slot[LENGTH_AT], slot[LENGTH_AT + 1]]);
            let length = usize::from(length).clamp(TEXTS_AT + CRC_BYTES, slot.len());
            slot[LENGTH_AT..TEXTS_AT].copy_from_slice(&(length as u16).to_le_bytes());
            let crc = crc32c::crc32c(&slot[..length - CRC_BYTES]);
            slot[length - CRC_BYTES..length].copy_from_slice(&crc.to_le_bytes());
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
            free: false,
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
            agent: None,
            operation: None,
            team: None,
            key: None,
            api_key_suffix: None,
        }
    }

    /// A second attempt, of which everything is known.
    pub(super) fn full() -> OpenCall {
        let at = Timestamp::new(1_795_305_600_000_000, -6 * 3600);
        OpenCall {
            attempt: 2,
            call: Some(RecordId::new(at, [4; 10])),
            free: true,
            prompt_tokens: 77,
            output_tokens: 33,
            user: Some(SubjectId::of(b"p", "terminal", "me")),
            session: Some(SubjectId::of(b"p", "terminal", "talk")),
            feature: Some("digest".into()),
            agent: Some("nightly".into()),
            operation: Some("rank".into()),
            team: Some("sales".into()),
            key: Some("mobile-backend-staging".into()),
            api_key_suffix: KeySuffix::of_text("wxyz"),
            ..OpenCall::sample(RecordId::new(at, [3; 10]), at)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_again(call: &OpenCall) -> Option<OpenCall> {
        OpenCall::decode(call.encode(&mut [0; MAX_CALL_BYTES]))
    }

    #[test]
    fn a_call_is_read_as_it_was_written_with_names_of_any_length() {
        let full = OpenCall::full();
        let bare = OpenCall::sample(full.id, full.admitted);
        let name = |text: &str| Name::clean(&text.repeat(MAX_NAME_BYTES));
        let [x, longest] = ["x", "ñ"].map(name);
        let long = OpenCall {
            provider: x.clone(),
            api_type: x.clone(),
            model: longest.clone(),
            request_type: x.clone(),
            channel: x.clone(),
            feature: Some(x.clone()),
            agent: Some(x.clone()),
            operation: Some(x.clone()),
            team: Some(longest.clone()),
            key: Some(longest),
            api_key_suffix: KeySuffix::of_text("🔑🔑🔑🔑"),
            ..full.clone()
        };
        for call in [&full, &bare, &long] {
            assert_eq!(read_again(call).as_ref(), Some(call));
        }
        assert_eq!(long.encode(&mut [0; MAX_CALL_BYTES]).len(), MAX_CALL_BYTES, "there is no more to say of a call");
    }

    #[test]
    fn a_name_that_nobody_cleaned_is_cut_at_a_character() {
        let call = OpenCall { team: Some("ñ".repeat(70).into()), ..OpenCall::full() };
        let cut = OpenCall { team: Some("ñ".repeat(64).into()), ..OpenCall::full() };
        assert_eq!(read_again(&call), Some(cut));
    }

    #[test]
    fn a_damaged_or_torn_call_is_none() {
        let mut room = [0; MAX_CALL_BYTES];
        let length = OpenCall::full().encode(&mut room).len();
        for bit in 0..length * 8 {
            let mut damaged = room;
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(OpenCall::decode(&damaged), None, "bit {bit}");
        }
        for written in 0..length {
            let mut torn = [b'x'; MAX_CALL_BYTES];
            torn[..written].copy_from_slice(&room[..written]);
            assert_eq!((OpenCall::decode(&torn), OpenCall::decode(&torn[..written])), (None, None), "{written} bytes");
        }
    }
}
