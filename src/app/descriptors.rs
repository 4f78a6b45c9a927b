//! Open files: connections never take the last ones, so that the journal can always begin its next file.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors that no connection of a client takes: the journal, its next file, snapshots, the log, providers.
const RESERVED: u64 = 64;

/// Asks the system for as many open files as it allows.
pub(super) fn raise() {
    let limit = getrlimit(Resource::Nofile);
    // Where it may not be raised, fewer connections have to do.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}

/// How many of the connections asked for may be open at once.
pub(super) fn connections(wanted: usize) -> usize {
    getrlimit(Resource::Nofile).current.map_or(wanted, |open_files| bounded(wanted, open_files))
}

/// Half of very few are kept back rather than all of them.
fn bounded(wanted: usize, open_files: u64) -> usize {
    let room = open_files.saturating_sub(RESERVED).max(open_files / 2).max(1);
    wanted.min(usize::try_from(room).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_descriptors_for_the_books() {
        assert_eq!(bounded(1024, 1024), 960);
        assert_eq!(bounded(1024, 20_000), 1024);
        assert_eq!(bounded(1024, 96), 48);
        assert_eq!(bounded(10, 0), 1);
    }
}
