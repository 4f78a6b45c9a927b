//! One line of the inbox: words with numbers in them, and a checksum at its end.

use super::{Entry, Language, Stage};

/// The first line of the file, which is also the version of its form.
pub(super) const HEADER: &str = "tallybot telegram inbox 1";

/// Something that happened to an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Record {
    Received(Entry),
    Started(u64),
    Placed(u64, i64),
    Sending(u64),
    Reopened(u64),
    /// With the Unix time in seconds.
    Done(u64, i64),
}

impl Record {
    /// The record that brings a received update to this stage; none for the first.
    pub(super) fn of_stage(update: u64, stage: Stage) -> Option<Record> {
        match stage {
            Stage::Received => None,
            Stage::Started => Some(Record::Started(update)),
            Stage::Placed(message) => Some(Record::Placed(update, message)),
            Stage::Sending => Some(Record::Sending(update)),
        }
    }

    /// Adds it as a line.
    pub(super) fn write(self, lines: &mut String) {
        let line = match self {
            Record::Received(Entry { update, chat, thread, message, language }) => {
                format!("received {update} {chat} {} {message} {}", thread.unwrap_or(0), language.as_str())
            }
            Record::Started(update) => format!("started {update}"),
            Record::Placed(update, message) => format!("placed {update} {message}"),
            Record::Sending(update) => format!("sending {update}"),
            Record::Reopened(update) => format!("reopened {update}"),
            Record::Done(update, secs) => format!("done {update} {secs}"),
        };
        let crc = crc32c::crc32c(line.as_bytes());
        lines.push_str(&format!("{line} {crc:08x}\n"));
    }

    /// Reads a line without its end; `None` if it is damaged.
    pub(super) fn read(line: &[u8]) -> Option<Record> {
        let (text, crc) = std::str::from_utf8(line).ok()?.rsplit_once(' ')?;
        if crc.len() != 8 || u32::from_str_radix(crc, 16).ok()? != crc32c::crc32c(text.as_bytes()) {
            return None;
        }
        let mut words = text.split(' ');
        let kind = words.next()?;
        let update = words.next()?.parse().ok()?;
        let mut number = || words.next()?.parse::<i64>().ok();
        let record = match kind {
            "received" => {
                let (chat, thread, message) = (number()?, number()?, number()?);
                let thread = Some(thread).filter(|thread| *thread != 0);
                Record::Received(Entry { update, chat, thread, message, language: Language::new(words.next()?) })
            }
            "started" => Record::Started(update),
            "placed" => Record::Placed(update, number()?),
            "sending" => Record::Sending(update),
            "reopened" => Record::Reopened(update),
            "done" => Record::Done(update, number()?),
            _ => return None,
        };
        words.next().is_none().then_some(record)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_form_does_not_change_within_a_version() {
        let entry = Entry { update: 7, chat: -100_123, thread: Some(4), message: 55, language: Language::new("pt-br") };
        let mut lines = String::new();
        let steps = [Record::Started(7), Record::Placed(7, 56), Record::Sending(7), Record::Reopened(7)];
        Record::Received(entry).write(&mut lines);
        for record in steps.into_iter().chain([Record::Done(7, 1_770_000_000)]) {
            record.write(&mut lines);
        }
        let texts: Vec<&str> = lines.lines().filter_map(|line| Some(line.rsplit_once(' ')?.0)).collect();
        let expected = [
            "received 7 -100123 4 55 pt-br",
            "started 7",
            "placed 7 56",
            "sending 7",
            "reopened 7",
            "done 7 1770000000",
        ];
        assert_eq!(texts, expected);
        assert!(lines.starts_with("received 7 -100123 4 55 pt-br ") && lines.lines().all(|line| line.len() < 128));
    }

    #[test]
    fn a_changed_byte_is_seen() {
        let mut line = String::new();
        Record::Placed(123, 456).write(&mut line);
        let line = line.trim_end().as_bytes();
        for index in 0..line.len() {
            for bit in 0..8 {
                let mut changed = line.to_vec();
                changed[index] ^= 1 << bit;
                let read = Record::read(&changed);
                // Hexadecimal digits mean the same in capitals.
                assert!(read.is_none() || changed.eq_ignore_ascii_case(line), "{read:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn every_record_comes_back(
            update: u64, chat: i64, thread in prop::option::of(1i64..), message: i64, language in "[a-zA-Z-]{0,12}"
        ) {
            let entry = Entry { update, chat, thread, message, language: Language::new(&language) };
            let done = Record::Done(update, message);
            for record in [Record::Received(entry), Record::Started(update), Record::Placed(update, message), done] {
                let mut line = String::new();
                record.write(&mut line);
                prop_assert_eq!(Record::read(line.strip_suffix('\n').unwrap_or_default().as_bytes()), Some(record));
            }
        }

        #[test]
        fn no_bytes_break_it(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = Record::read(&bytes);
        }
    }
}
