//! Bytes of anybody's making against every reader of the folder: none panics, and what is read and written back is read
//! as the same. The corpus of `tests/corpus` and mutations of it run with the other tests, in the crate, for the readers are
//! private; a fuzzer that learns from coverage would need a door to [`TARGETS`].

use std::fs;
use std::path::Path;

use super::control;
use super::open_call::OpenCall;
use super::replay::for_each_line;
use super::sealed;
use super::slots::SLOT_BYTES;
use super::snapshot;
use crate::usage::{UsageRecord, seal_line, unseal_line, write_record};

/// A journal file: lines, each perhaps a record.
fn line(data: &[u8]) {
    let read = for_each_line(data, 0, |line| {
        let _ = unseal_line(line.bytes);
        let Ok(record) = serde_json::from_slice::<UsageRecord<'_>>(line.bytes) else { return };
        let mut written = Vec::new();
        write_record(&record, &mut written);
        let again: UsageRecord<'_> = serde_json::from_slice(&written).expect("what was written is a record");
        assert_eq!(again, record);
        let sealed = seal_line(&mut written, 0, 7);
        assert_eq!(unseal_line(&written[..written.len() - 1]), Ok(sealed));
    });
    read.expect("memory can be read");
}

/// A control file.
fn control(data: &[u8]) {
    control::fuzzed(data);
}

/// A slot.
fn slot(data: &[u8]) {
    let mut slot = [0; SLOT_BYTES];
    let length = data.len().min(slot.len());
    slot[..length].copy_from_slice(&data[..length]);
    OpenCall::fuzzed(&mut slot);
}

/// A snapshot.
fn snapshot(data: &[u8]) {
    // Sealed anew, so that what is behind the checksum is reached.
    let body = memchr::memmem::rfind(data, b",\"seq\":").map_or(data, |at| &data[..at]);
    let mut sealed = [body, b"}"].concat();
    seal_line(&mut sealed, 0, 7);
    for text in [data, &sealed] {
        let Some(snapshot) = snapshot::parse(text) else { continue };
        let _ = snapshot.position();
        let mut written = serde_json::to_vec(&snapshot).expect("plain data can be written");
        seal_line(&mut written, 0, 7);
        let again = snapshot::parse(&written).expect("what was written is a snapshot");
        assert_eq!(again.stats, snapshot.stats);
        let _ = snapshot.stats.restored();
    }
}

/// A sealed fold.
fn fold(data: &[u8]) {
    let _whole = sealed::fuzzed(data);
}

/// A target: takes any bytes and must not panic; what it can read is written and read again as the same.
type Target = fn(&[u8]);

const TARGETS: [(&str, Target); 5] =
    [("line", line), ("control", control), ("slot", slot), ("snapshot", snapshot), ("fold", fold)];

/// Mutations of each file of the corpus.
const MUTATIONS: u64 = 400;

#[test]
fn the_corpus_and_mutations_of_it_are_read_without_a_panic() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    for (target, run) in TARGETS {
        let mut files = 0;
        for entry in fs::read_dir(corpus.join(target)).expect("a folder for each target") {
            let data = fs::read(entry.expect("readable").path()).expect("readable");
            run(&data);
            (0..MUTATIONS).for_each(|seed| run(&mutated(&data, seed)));
            files += 1;
        }
        assert!(files > 1, "{target} has a corpus");
    }
}

/// Some bytes flipped, cut out, doubled or exchanged for what often hurts.
fn mutated(data: &[u8], seed: u64) -> Vec<u8> {
    let mut chance = super::simulated::chance::Chance::of(seed);
    let mut data = data.to_vec();
    for _ in 0..=chance.below(4) {
        let at = chance.below(data.len() as u64 + 1) as usize;
        let end = (at + 1 + chance.below(16) as usize).min(data.len());
        match chance.below(6) {
            0 if at < data.len() => data[at] ^= 1 << chance.below(8),
            1 => drop(data.drain(at.min(end)..end)),
            2 => data.extend_from_within(at.min(end)..end),
            3 => data.truncate(at),
            _ => {
                let hurts: [&[u8]; 8] =
                    [b"\0", b"\n", b"\"", b"-1", b"18446744073709551616", b"1e400", b"\xff\xfe", b"{{[["];
                data.splice(at.min(end)..end, hurts[chance.below(8) as usize].iter().copied());
            }
        }
    }
    data
}
