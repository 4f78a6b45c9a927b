//! The lines of a file of any size, one at a time, none of them longer than a bound.

use std::io::{self, BufRead};

/// The longest line that is looked at. A longer one is passed over, and said to be there.
pub(super) const MAX_BYTES: usize = 64 * 1024;

/// One line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line<'a> {
    /// Its bytes, without what ends it and without a byte order mark.
    Bytes(&'a [u8]),
    /// It is longer than [`MAX_BYTES`].
    TooLong,
}

/// Calls `on_line` with each line that is not blank and its number, from 1.
///
/// # Errors
/// When the reader fails.
pub(super) fn for_each(mut reader: impl BufRead, mut on_line: impl FnMut(u64, Line<'_>)) -> io::Result<()> {
    let (mut line, mut number) = (Vec::new(), 0);
    loop {
        line.clear();
        let Some(whole) = next(&mut reader, &mut line)? else { return Ok(()) };
        number += 1;
        let content = line.strip_prefix(b"\xef\xbb\xbf").filter(|_| number == 1).unwrap_or(&line).trim_ascii();
        if !whole {
            on_line(number, Line::TooLong);
        } else if !content.is_empty() {
            on_line(number, Line::Bytes(content));
        }
    }
}

/// Reads the next line; false when it is too long and not all of it was kept; `None` at the end.
fn next(reader: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<Option<bool>> {
    let (mut whole, mut begun) = (true, false);
    loop {
        let block = reader.fill_buf()?;
        if block.is_empty() {
            return Ok(begun.then_some(whole));
        }
        begun = true;
        let end = memchr::memchr(b'\n', block);
        let piece = &block[..end.unwrap_or(block.len())];
        whole &= line.len() + piece.len() <= MAX_BYTES;
        if whole {
            line.extend_from_slice(piece);
        }
        let used = piece.len() + usize::from(end.is_some());
        reader.consume(used);
        if end.is_some() {
            return Ok(Some(whole));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_numbered_and_bounded_whatever_the_blocks_are() {
        let long = "x".repeat(10 * 1024 * 1024);
        let text = format!("\u{feff}one\r\n\n{long}\n  three  \nlast");
        for block in [1, 7, 8192] {
            let mut seen = Vec::new();
            let text = if block < 8192 { text.replace(&long, &long[..MAX_BYTES + 1]) } else { text.clone() };
            let reader = io::BufReader::with_capacity(block, text.as_bytes());
            for_each(reader, |number, line| {
                seen.push((number, if let Line::Bytes(bytes) = line { bytes.to_vec() } else { b"TOO LONG".to_vec() }));
            })
            .expect("memory can be read");
            let seen: Vec<_> = seen.iter().map(|(number, line)| (*number, line.as_slice())).collect();
            assert_eq!(seen, [(1, &b"one"[..]), (3, b"TOO LONG"), (4, b"three"), (5, b"last")]);
        }
    }
}
