//! Identities: of records, of people and chats (never by name), of keys (never whole).

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::str::FromStr;

use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::Sha256;
use smol_str::SmolStr;
use uuid::Uuid;

use super::lately::Lately;

/// The id of a record: a UUIDv7, made before the call, so that a retry of writing it is the same record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordId(pub Uuid);

impl RecordId {
    /// A UUIDv7 from a wall time and ten random bytes.
    pub fn new(at: super::Timestamp, random: [u8; 10]) -> RecordId {
        let millis = (at.unix_micros() / 1000).max(0) as u64;
        RecordId(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
    }

    /// The text of [`Display`](fmt::Display), as it stands in lines.
    pub fn ascii(self) -> [u8; 36] {
        let mut text = [0; 36];
        self.0.as_hyphenated().encode_lower(&mut text);
        text
    }
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_hyphenated().fmt(f)
    }
}

impl FromStr for RecordId {
    type Err = uuid::Error;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::try_parse(text).map(RecordId)
    }
}

impl Serialize for RecordId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RecordId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expected = "a UUID such as `0199b0c2-8a4e-7c00-8000-000000000000`";
        super::text::parsed(deserializer, expected, |text| text.parse().ok())
    }
}

/// An installation's secret, ready to hash with. The same few people and keys come again and again: what was hashed last
/// is not hashed again. Their texts are not kept, only 128 bits of each that nobody can make without this process.
pub struct Pepper {
    mac: Hmac<Sha256>,
    marked_by: (RandomState, foldhash::quality::RandomState),
    recent: Lately<Hashed>,
}

/// What was hashed, by its mark, and its subject.
type Hashed = ([u64; 2], SubjectId);

/// Subjects that are remembered at most.
const RECENT_MAX: usize = 1024;

impl Pepper {
    /// The secret of these bytes.
    pub fn new(secret: &[u8]) -> Pepper {
        let mac = <Hmac<Sha256> as KeyInit>::new_from_slice(secret).expect("HMAC takes keys of any length");
        Pepper { mac, marked_by: Default::default(), recent: Lately::new(RECENT_MAX) }
    }

    /// The subject of `identity` on `channel`.
    pub fn subject(&self, channel: &str, identity: &str) -> SubjectId {
        let (by, by_too) = &self.marked_by;
        let mark = [by.hash_one((channel, identity)), by_too.hash_one((channel, identity))];
        self.recent.find(mark, |(known, _)| *known == mark, || (mark, self.hashed(channel, identity))).1
    }

    fn hashed(&self, channel: &str, identity: &str) -> SubjectId {
        let mut mac = self.mac.clone();
        mac.update(&(channel.len() as u64).to_le_bytes());
        mac.update(channel.as_bytes());
        mac.update(identity.as_bytes());
        let digest = mac.finalize().into_bytes();
        let mut bytes = [0; 12];
        bytes.copy_from_slice(&digest[..12]);
        SubjectId(bytes)
    }
}

impl fmt::Debug for Pepper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pepper")
    }
}

/// A person or a conversation, as a keyed hash of 96 bits: 20 letters and digits that say nothing about who it is.
///
/// `data/people.json` maps them back for display; without that row the hash cannot be undone.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SubjectId([u8; 12]);

impl SubjectId {
    /// The subject of `identity` on `channel`, under the installation's secret `pepper`.
    pub fn of(pepper: &[u8], channel: &str, identity: &str) -> SubjectId {
        Pepper::new(pepper).subject(channel, identity)
    }

    /// A subject from its 96 bits.
    pub fn from_bytes(bytes: [u8; 12]) -> SubjectId {
        SubjectId(bytes)
    }

    /// The 96 bits.
    pub fn as_bytes(&self) -> &[u8; 12] {
        &self.0
    }

    /// The text of [`Display`](fmt::Display), as it stands in lines.
    pub(super) fn ascii(self) -> [u8; SUBJECT_CHARS] {
        const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
        let [a, b, c, d, e, f, g, h, rest @ ..] = self.0;
        let (first, rest) = (u64::from_be_bytes([a, b, c, d, e, f, g, h]), u64::from(u32::from_be_bytes(rest)));
        let rest = (first << 32 | rest) << 4;
        let mut text = [0; SUBJECT_CHARS];
        // Twelve letters of the first sixty bits; eight of the others and four that say nothing.
        let (of_first, of_rest) = text.split_at_mut(12);
        for (at, letter) in of_first.iter_mut().enumerate() {
            *letter = LETTERS[(first >> (59 - 5 * at) & 31) as usize];
        }
        for (at, letter) in of_rest.iter_mut().enumerate() {
            *letter = LETTERS[(rest >> (35 - 5 * at) & 31) as usize];
        }
        text
    }

    /// The same as a value of its own, that takes no memory elsewhere.
    pub fn to_text(self) -> SmolStr {
        std::str::from_utf8(&self.ascii()).expect("letters and digits").into()
    }

    /// Reads the 20 characters of [`Display`](fmt::Display): base 32, whose last four bits say nothing.
    pub fn parse(text: &str) -> Option<SubjectId> {
        let (mut bits, mut pending, mut made) = (0u32, 0, 0);
        let mut bytes = [0; 12];
        if text.len() != SUBJECT_CHARS {
            return None;
        }
        for letter in text.bytes() {
            let value = match letter {
                b'a'..=b'z' => letter - b'a',
                b'A'..=b'Z' => letter - b'A',
                b'2'..=b'7' => letter - b'2' + 26,
                _ => return None,
            };
            bits = bits << 5 | u32::from(value);
            pending += 5;
            if pending >= 8 {
                pending -= 8;
                bytes[made] = (bits >> pending) as u8;
                made += 1;
            }
        }
        Some(SubjectId(bytes))
    }
}

/// Ninety-six bits at five a letter.
const SUBJECT_CHARS: usize = 20;

impl fmt::Display for SubjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.ascii()).expect("letters and digits"))
    }
}

impl fmt::Debug for SubjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SubjectId({self})")
    }
}

impl Serialize for SubjectId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SubjectId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        super::text::parsed(deserializer, "a subject id of 20 letters and digits", SubjectId::parse)
    }
}

/// The last characters of an API key, to tell keys apart without holding one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KeySuffix(SmolStr);

impl KeySuffix {
    /// At most this many characters of a key are kept.
    pub const MAX_CHARS: usize = 4;

    /// The last four characters of a whole key; `None` when the key is so short (under 20) that four give it away.
    pub fn of_key(key: &str) -> Option<KeySuffix> {
        (key.chars().count() >= 20).then(|| KeySuffix::of_text(key)).flatten()
    }

    /// The last four characters of whatever a caller calls a suffix (it may well be the whole key).
    pub fn of_text(text: &str) -> Option<KeySuffix> {
        let chars: Vec<char> = text.chars().filter(|c| !c.is_control()).collect();
        let tail: SmolStr = chars[chars.len().saturating_sub(Self::MAX_CHARS)..].iter().copied().collect();
        (!tail.is_empty()).then_some(KeySuffix(tail))
    }

    /// The characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Serialize for KeySuffix {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for KeySuffix {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Lines come from outside too: whoever wrote a whole key there, no more of it than four characters goes on.
        let tail = |text: &str| (!text.contains(char::is_control)).then(|| KeySuffix::of_text(text)).flatten();
        super::text::parsed(deserializer, "the last characters of a key, such as `abcd`", tail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_depends_on_secret_channel_and_identity_and_survives_text() {
        let id = SubjectId::of(b"pepper", "telegram", "111");
        assert_eq!(id.to_string().len(), 20);
        assert_eq!(SubjectId::parse(&id.to_string()), Some(id));
        assert_ne!(id, SubjectId::of(b"other", "telegram", "111"));
        assert_ne!(SubjectId::of(b"p", "a", "bc"), SubjectId::of(b"p", "ab", "c"));
        assert_eq!(SubjectId::parse("short"), None);
        for n in 0..=u8::MAX {
            let id = SubjectId(std::array::from_fn(|at| n.rotate_left(at as u32) ^ at as u8));
            assert_eq!(id.to_string(), data_encoding::BASE32_NOPAD.encode(id.as_bytes()).to_ascii_lowercase());
            assert_eq!(SubjectId::parse(&id.to_text()), Some(id));
        }
    }

    #[test]
    fn a_subject_that_is_remembered_is_the_one_that_was_hashed_whoever_took_its_place() {
        let pepper = Pepper::new(b"pepper");
        for round in 0..2 {
            for n in 0..3 * RECENT_MAX {
                let (channel, identity) = (["telegram", "gateway"][n % 2], (n / 2).to_string());
                assert_eq!(pepper.subject(channel, &identity), pepper.hashed(channel, &identity), "{round}: {n}");
                assert_eq!(pepper.subject(channel, &identity), pepper.hashed(channel, &identity), "at once: {n}");
            }
        }
    }

    #[test]
    fn a_key_shows_four_characters_at_most_and_a_short_one_none() {
        assert_eq!(KeySuffix::of_key("sk-0123456789abcdefWXYZ").as_ref().map(KeySuffix::as_str), Some("WXYZ"));
        assert_eq!(KeySuffix::of_key("secret"), None);
        assert_eq!(KeySuffix::of_text("abc123").as_ref().map(KeySuffix::as_str), Some("c123"));
        assert_eq!(KeySuffix::of_text(""), None);
        let read = |json: &str| serde_json::from_str::<KeySuffix>(json).ok().map(|suffix| suffix.0);
        assert_eq!(read("\"sk-0123456789abcdefWXYZ\"").as_deref(), Some("WXYZ"), "a whole key in a line is cut, too");
        assert_eq!([read("\"ab\\u001bcd\""), read("\"\""), read("7")], [None, None, None]);
    }
}
