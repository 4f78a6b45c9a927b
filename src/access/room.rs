//! The memory that the bodies of requests take together while they are read and sent.

use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};

/// So much of each body is held without asking: small calls find room whatever large ones do.
const UNASKED_BYTES: usize = 16 * 1024;

/// How long a body waits for room among the others before its sender is asked to come again.
const WAIT: Duration = Duration::from_secs(5);

/// There was no room for a body within the time that one waits for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many large bodies at a time")]
pub struct NoRoom;

/// Room for all bodies.
#[derive(Debug)]
pub struct Rooms {
    free_kib: Semaphore,
    all_kib: usize,
}

/// What one body takes of it, until it is dropped.
#[derive(Debug)]
pub struct Room<'a> {
    rooms: &'a Rooms,
    held: Option<SemaphorePermit<'a>>,
}

impl Rooms {
    /// Room for so many bytes.
    pub fn new(bytes: usize) -> Rooms {
        let all_kib = (bytes / 1024).clamp(1, Semaphore::MAX_PERMITS.min(u32::MAX as usize));
        Rooms { free_kib: Semaphore::new(all_kib), all_kib }
    }

    /// Nothing yet, for a body that is about to come: what it announces takes no room of those that are here.
    pub fn one(&self) -> Room<'_> {
        Room { rooms: self, held: None }
    }
}

impl Room<'_> {
    /// Holds as much as a body has by now, and waits for it where others hold too much.
    ///
    /// # Errors
    /// When they do for five seconds.
    pub async fn hold(&mut self, bytes: usize) -> Result<(), NoRoom> {
        let held = self.held.as_ref().map_or(0, SemaphorePermit::num_permits);
        let needed = bytes.saturating_sub(UNASKED_BYTES).div_ceil(1024).min(self.rooms.all_kib);
        let more = u32::try_from(needed.saturating_sub(held)).unwrap_or(u32::MAX);
        if more == 0 {
            return Ok(());
        }
        match tokio::time::timeout(WAIT, self.rooms.free_kib.acquire_many(more)).await {
            Ok(Ok(more)) => match &mut self.held {
                Some(held) => held.merge(more),
                None => self.held = Some(more),
            },
            _ => return Err(NoRoom),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_body_takes_the_room_of_what_has_come_and_small_ones_none() {
        let rooms = Rooms::new(64 * 1024);
        let (mut first, mut second, mut small) = (rooms.one(), rooms.one(), rooms.one());
        assert!(first.hold(1).await.is_ok() && rooms.free_kib.available_permits() == 64);
        assert!(first.hold(UNASKED_BYTES + 1).await.is_ok() && rooms.free_kib.available_permits() == 63);
        assert!(first.hold(UNASKED_BYTES + 60 * 1024).await.is_ok() && rooms.free_kib.available_permits() == 4);
        assert_eq!(second.hold(UNASKED_BYTES + 5 * 1024).await, Err(NoRoom));
        assert!(small.hold(UNASKED_BYTES).await.is_ok());
        let (waited, ()) = tokio::join!(second.hold(UNASKED_BYTES + 5 * 1024), async { drop(first) });
        assert!(waited.is_ok() && rooms.free_kib.available_permits() == 59);
        drop(second);
        assert!(rooms.one().hold(1 << 30).await.is_ok(), "the largest takes all there is, and not more");
    }
}
