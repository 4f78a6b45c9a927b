//! A word to stop, said once and heard by everyone who holds a copy.

use tokio::sync::watch;

use crate::usage::ErrorKind;

/// Why a generation is to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CancelReason {
    /// A person said so.
    Person,
    /// The channel that asked went away.
    Gone,
    /// The program is stopping.
    Shutdown,
}

impl CancelReason {
    /// The class a record of the cancelled call carries.
    pub fn kind(self) -> ErrorKind {
        match self {
            CancelReason::Person => ErrorKind::CancelledByUser,
            CancelReason::Gone => ErrorKind::ClientGone,
            CancelReason::Shutdown => ErrorKind::Shutdown,
        }
    }
}

/// Tells a task to stop. Clones share one state; the first reason given stays.
#[derive(Clone, Debug)]
pub struct CancelToken(watch::Sender<Option<CancelReason>>);

impl CancelToken {
    /// A token nobody has cancelled yet.
    pub fn new() -> CancelToken {
        CancelToken(watch::Sender::new(None))
    }

    /// Says stop. Saying it again changes nothing.
    pub fn cancel(&self, reason: CancelReason) {
        self.0.send_if_modified(|state| state.is_none() && state.replace(reason).is_none());
    }

    /// The reason, if somebody said stop.
    pub fn reason(&self) -> Option<CancelReason> {
        *self.0.borrow()
    }

    /// Waits until somebody says stop; for ever, if nobody does.
    pub async fn cancelled(&self) -> CancelReason {
        let mut state = self.0.subscribe();
        let reason = *state.wait_for(Option::is_some).await.expect("this token holds the sender");
        reason.expect("waited for a reason")
    }
}

impl Default for CancelToken {
    fn default() -> Self {
        CancelToken::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_reason_is_heard_by_all_copies_before_and_after() {
        let token = CancelToken::new();
        let copy = token.clone();
        let waiting = async { copy.cancelled().await };
        let (heard, ()) = tokio::join!(waiting, async {
            token.cancel(CancelReason::Person);
            token.cancel(CancelReason::Shutdown);
        });
        assert_eq!(heard, CancelReason::Person);
        assert_eq!(token.cancelled().await.kind().as_str(), "cancelled_by_user");
    }
}
