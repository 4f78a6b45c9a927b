//! Where in its channel something came from: what an answer refers to, and how the channel learns that all is done.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

/// A message, by its channel's own name for it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MessageRef(pub Arc<str>);

/// How a channel that keeps account of what it took in follows one thing of it. Its last clone is dropped when
/// everything that came of it has been shown, or has failed to be.
pub trait Ticket: Any + Send + Sync {
    /// A call to a model is about to be made for it.
    fn asking(&self);

    /// A whole message of it was shown, or cannot be, however long one tries.
    fn said(&self) {}
}

/// Where something came from. What comes of it carries a clone.
#[derive(Clone, Default)]
pub struct Origin {
    /// The message a person wrote, or the one whose button they pressed.
    pub message: Option<MessageRef>,
    /// The question whose answer the message replies to.
    pub about: Option<MessageRef>,
    /// The press of a button, which its channel wants answered.
    pub press: Option<Arc<str>>,
    /// The channel's account of it.
    pub ticket: Option<Arc<dyn Ticket>>,
}

impl Origin {
    /// A message of a channel that keeps no account.
    pub fn of(message: MessageRef) -> Origin {
        Origin { message: Some(message), ..Origin::default() }
    }

    /// A call to a model is about to be made for it.
    pub(super) fn asking(&self) {
        if let Some(ticket) = &self.ticket {
            ticket.asking();
        }
    }
}

impl PartialEq for Origin {
    /// Of the same message or press, whoever keeps account of it.
    fn eq(&self, other: &Origin) -> bool {
        (&self.message, &self.press) == (&other.message, &other.press)
    }
}

impl Eq for Origin {}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Origin").field("message", &self.message).field("press", &self.press).finish_non_exhaustive()
    }
}
