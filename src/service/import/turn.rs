//! One import into a folder at a time: each compares what it brings with what is there, and then writes the difference.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::time::Duration;

/// How often whoever waits looks.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The turn to import into a folder; let go when dropped, or by the system when the process dies.
///
/// Not the lock of whoever holds the books: a running tallybot holds those while imports come to it.
#[derive(Debug)]
pub(super) struct Turn(#[expect(dead_code, reason = "locked as long as it is open")] Option<File>);

impl Turn {
    /// Waits for the turn; `on_wait` is told once if somebody else has it. Where there is no folder yet, or its file
    /// system has no locks, it is given at once.
    pub(super) async fn take(folder: &Path, on_wait: impl FnOnce()) -> Turn {
        let Ok(file) = File::open(folder) else { return Turn(None) };
        let mut on_wait = Some(on_wait);
        loop {
            match file.try_lock() {
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(_)) => return Turn(None),
                Ok(()) => return Turn(Some(file)),
            }
            if let Some(on_wait) = on_wait.take() {
                on_wait();
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_second_has_its_turn_when_the_first_has_ended() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let first = Turn::take(folder.path(), || panic!("nobody has it")).await;
        let (waits, mut waiting) = tokio::sync::mpsc::unbounded_channel();
        let second = Turn::take(folder.path(), move || waits.send(()).expect("somebody listens"));
        let end_of_first = async {
            waiting.recv().await.expect("the second waits");
            drop(first);
        };
        tokio::join!(second, end_of_first);
        Turn::take(&folder.path().join("nowhere"), || panic!("there is nothing to wait for")).await;
    }
}
