//! Sorting more entries than memory should hold: sorted runs go to a temporary file and are merged when read.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::sync::Arc;

use crate::ledger::disk::{Access, DiskFile};
use crate::ledger::files::DataFolder;

/// Bytes read ahead of each run, at least.
const READ_AHEAD: usize = 16 << 10;

/// Takes entries of `N` bytes in any order, gives them sorted by those bytes.
pub(super) struct Sorter<const N: usize> {
    data: DataFolder,
    /// The temporary file's name.
    name: String,
    file: Option<Arc<dyn DiskFile>>,
    end: u64,
    runs: Vec<(u64, u64)>,
}

impl<const N: usize> Sorter<N> {
    /// A sorter whose temporary file has that name, should it need one.
    pub(super) fn new(data: &DataFolder, name: String) -> Sorter<N> {
        Sorter { data: data.clone(), name, file: None, end: 0, runs: Vec::new() }
    }

    /// Puts entries aside; the list is empty afterwards.
    pub(super) fn put_aside(&mut self, entries: &mut Vec<[u8; N]>) -> io::Result<()> {
        if entries.is_empty() {
            return Ok(());
        }
        entries.sort_unstable();
        let file = match &self.file {
            Some(file) => file,
            None => self.file.insert(self.data.create_new(&self.name, Access::Append)?),
        };
        let start = self.end;
        for chunk in entries.chunks(4096) {
            file.append(chunk.as_flattened())?;
            self.end += chunk.as_flattened().len() as u64;
        }
        self.runs.push((start, self.end));
        entries.clear();
        Ok(())
    }

    /// Hands on every entry in order, those put aside and the rest; equal ones come next to each other.
    pub(super) fn for_each_sorted(
        self,
        mut rest: Vec<[u8; N]>,
        mut on_entry: impl FnMut(&[u8; N]) -> io::Result<()>,
    ) -> io::Result<()> {
        rest.sort_unstable();
        let mut runs: Vec<Run<N>> = self.runs.iter().map(|run| Run::new(self.file.clone(), *run)).collect();
        runs.push(Run { entries: rest, next: 0, file: None, offset: 0, end: 0 });
        let mut heap = BinaryHeap::new();
        for (number, run) in runs.iter_mut().enumerate() {
            heap.extend(run.next()?.map(|entry| Reverse((entry, number))));
        }
        while let Some(Reverse((entry, number))) = heap.pop() {
            on_entry(&entry)?;
            heap.extend(runs[number].next()?.map(|entry| Reverse((entry, number))));
        }
        Ok(())
    }
}

impl<const N: usize> Drop for Sorter<N> {
    fn drop(&mut self) {
        if self.file.take().is_some() {
            // What stays is taken away at the next start.
            let _ = self.data.remove(&self.name);
        }
    }
}

/// A sorted run, read piece by piece.
struct Run<const N: usize> {
    entries: Vec<[u8; N]>,
    next: usize,
    file: Option<Arc<dyn DiskFile>>,
    offset: u64,
    end: u64,
}

impl<const N: usize> Run<N> {
    fn new(file: Option<Arc<dyn DiskFile>>, (offset, end): (u64, u64)) -> Run<N> {
        Run { entries: Vec::new(), next: 0, file, offset, end }
    }

    fn next(&mut self) -> io::Result<Option<[u8; N]>> {
        if self.next == self.entries.len()
            && let Some(file) = &self.file
            && self.offset < self.end
        {
            let left = ((self.end - self.offset) / N as u64) as usize;
            self.entries.resize(left.min(READ_AHEAD.div_ceil(N)), [0; N]);
            let bytes = self.entries.as_flattened_mut();
            file.read_exact_at(bytes, self.offset)?;
            self.offset += bytes.len() as u64;
            self.next = 0;
        }
        let entry = self.entries.get(self.next).copied();
        self.next += usize::from(entry.is_some());
        Ok(entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_on_disk_and_in_memory_come_back_in_one_order() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let data = DataFolder::real(folder.path());
        let entry = |n: u32| (n.wrapping_mul(2_654_435_761) % 5_000).to_be_bytes();
        for aside in [0, 1, 7] {
            let mut sorter = Sorter::<4>::new(&data, "sorting.tmp".into());
            for run in 0..aside {
                let mut entries: Vec<_> = (run * 6_000..(run + 1) * 6_000).map(entry).collect();
                sorter.put_aside(&mut entries).expect("put aside");
            }
            let rest = (aside * 6_000..aside * 6_000 + 10).map(entry).collect();
            let mut sorted = Vec::new();
            let push = |entry: &[u8; 4]| {
                sorted.push(*entry);
                Ok(())
            };
            sorter.for_each_sorted(rest, push).expect("read back");
            let mut expected: Vec<_> = (0..aside * 6_000 + 10).map(entry).collect();
            expected.sort_unstable();
            assert_eq!(sorted, expected);
            assert!(!folder.path().join("sorting.tmp").exists(), "nothing is left behind");
        }
    }
}
