//! The inside of a JSON string, in pieces cut anywhere: escapes undone, characters whole.

/// Where the reading of a string stands.
#[derive(Default)]
pub(super) struct Pieces {
    escape: Escape,
    /// The first half of a pair of `\u` escapes.
    high: Option<u16>,
    /// The first bytes of a character.
    held: [u8; 4],
    held_len: usize,
    /// Whether there were escapes that JSON does not have, or that were not looked at.
    doubtful: bool,
}

#[derive(Clone, Copy, Default)]
enum Escape {
    #[default]
    None,
    Begun,
    Unicode {
        digits: u8,
        code: u16,
    },
}

impl Pieces {
    /// Whether anything was passed over that JSON may not have: escapes that it does not know, or that nobody looked at.
    pub(super) fn are_doubtful(&self) -> bool {
        self.doubtful
    }

    /// Gives `each` the pieces up to the closing quote; says how many bytes were taken and whether it was among them.
    pub(super) fn take(&mut self, bytes: &[u8], mut each: impl FnMut(&str)) -> (usize, bool) {
        let mut at = 0;
        while at < bytes.len() {
            if !matches!(self.escape, Escape::None) {
                self.escaped(bytes[at], &mut each);
                at += 1;
                continue;
            }
            let plain = mark_in(&bytes[at..]).unwrap_or(bytes.len() - at);
            if plain > 0 {
                self.half_alone(&mut each);
                self.characters(&bytes[at..at + plain], &mut each);
            }
            at += plain;
            match bytes.get(at) {
                Some(b'"') => {
                    self.half_alone(&mut each);
                    self.cut_alone(&mut each);
                    return (at + 1, true);
                }
                Some(_) => {
                    self.cut_alone(&mut each);
                    self.escape = Escape::Begun;
                    at += 1;
                }
                None => {}
            }
        }
        (at, false)
    }

    /// The same without looking at what it says.
    pub(super) fn pass(&mut self, bytes: &[u8]) -> (usize, bool) {
        let mut at = 0;
        while at < bytes.len() {
            if !matches!(self.escape, Escape::None) {
                self.escape = Escape::None;
                at += 1;
                continue;
            }
            match mark_in(&bytes[at..]) {
                None => return (bytes.len(), false),
                Some(plain) if bytes[at + plain] == b'"' => return (at + plain + 1, true),
                Some(plain) => {
                    (self.escape, self.doubtful) = (Escape::Begun, true);
                    at += plain + 1;
                }
            }
        }
        (at, false)
    }

    fn escaped(&mut self, byte: u8, each: &mut impl FnMut(&str)) {
        self.escape = match self.escape {
            Escape::Begun if byte == b'u' => Escape::Unicode { digits: 0, code: 0 },
            Escape::Unicode { digits, code } => {
                let digit = char::from(byte).to_digit(16).and_then(|digit| u16::try_from(digit).ok());
                self.doubtful |= digit.is_none();
                let code = code << 4 | digit.unwrap_or(0);
                if digits < 3 {
                    Escape::Unicode { digits: digits + 1, code }
                } else {
                    self.unit(code, each);
                    Escape::None
                }
            }
            Escape::Begun | Escape::None => {
                self.half_alone(each);
                self.doubtful |= !matches!(byte, b'n' | b't' | b'r' | b'b' | b'f' | b'"' | b'\\' | b'/');
                each(match byte {
                    b'n' => "\n",
                    b't' => "\t",
                    b'r' => "\r",
                    b'b' => "\u{8}",
                    b'f' => "\u{c}",
                    b'"' => "\"",
                    b'\\' => "\\",
                    b'/' => "/",
                    _ => "\u{fffd}",
                });
                Escape::None
            }
        };
    }

    /// A unit of UTF-16: a character, or half of one.
    fn unit(&mut self, code: u16, each: &mut impl FnMut(&str)) {
        let pair = [self.high.unwrap_or(code), code];
        let units = if self.high.is_some() { &pair[..] } else { &pair[1..] };
        if (0xd800..0xdc00).contains(&code) {
            self.half_alone(each);
            self.high = Some(code);
            return;
        }
        self.high = None;
        for character in char::decode_utf16(units.iter().copied()) {
            each(character.unwrap_or(char::REPLACEMENT_CHARACTER).encode_utf8(&mut [0; 4]));
        }
    }

    fn half_alone(&mut self, each: &mut impl FnMut(&str)) {
        if self.high.take().is_some() {
            each("\u{fffd}");
        }
    }

    fn cut_alone(&mut self, each: &mut impl FnMut(&str)) {
        if std::mem::take(&mut self.held_len) > 0 {
            each("\u{fffd}");
        }
    }

    fn characters(&mut self, mut bytes: &[u8], each: &mut impl FnMut(&str)) {
        while self.held_len > 0 && !bytes.is_empty() {
            bytes = self.completed(bytes, each);
        }
        while !bytes.is_empty() {
            let error = match std::str::from_utf8(bytes) {
                Ok(text) => return each(text),
                Err(error) => error,
            };
            let (text, rest) = bytes.split_at(error.valid_up_to());
            if let Some(text) = std::str::from_utf8(text).ok().filter(|text| !text.is_empty()) {
                each(text);
            }
            let Some(bad) = error.error_len() else {
                self.held[..rest.len()].copy_from_slice(rest);
                self.held_len = rest.len();
                return;
            };
            each("\u{fffd}");
            bytes = &rest[bad..];
        }
    }

    /// Puts the next byte to the held ones; gives the character once it is whole, or proves to be none.
    fn completed<'a>(&mut self, bytes: &'a [u8], each: &mut impl FnMut(&str)) -> &'a [u8] {
        self.held[self.held_len] = bytes[0];
        let held = &self.held[..=self.held_len];
        match std::str::from_utf8(held) {
            Ok(character) => each(character),
            Err(error) if error.error_len().is_none() => {
                self.held_len += 1;
                return &bytes[1..];
            }
            Err(_) => {
                each("\u{fffd}");
                self.held_len = 0;
                return bytes;
            }
        }
        self.held_len = 0;
        &bytes[1..]
    }
}

/// The inside of a string up to its closing quote, when it lies whole in these bytes, and as it reads.
#[inline]
pub(super) fn plain(bytes: &[u8]) -> Option<&[u8]> {
    let end = mark_in(bytes)?;
    (bytes[end] == b'"').then(|| &bytes[..end])
}

/// Where the next quote or backslash is. Keys and words end sooner than a search of long texts has begun.
#[inline]
fn mark_in(bytes: &[u8]) -> Option<usize> {
    const NEAR: usize = 32;
    let mut at = 0;
    while at < NEAR
        && let Some(word) = bytes[at..].first_chunk()
    {
        let word = u64::from_le_bytes(*word);
        let marks = zeros_of(word ^ QUOTES) | zeros_of(word ^ BACKSLASHES);
        if marks != 0 {
            return Some(at + marks.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    Some(at + memchr::memchr2(b'"', b'\\', &bytes[at..])?)
}

const EACH_BYTE: u64 = 0x0101_0101_0101_0101;
const QUOTES: u64 = EACH_BYTE * b'"' as u64;
const BACKSLASHES: u64 = EACH_BYTE * b'\\' as u64;

/// The high bits of the bytes that are zero; of those above the first maybe more.
fn zeros_of(word: u64) -> u64 {
    word.wrapping_sub(EACH_BYTE) & !word & (EACH_BYTE << 7)
}
