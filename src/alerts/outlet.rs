//! Where alerts are told.

use futures_util::future::BoxFuture;

use super::Notice;

/// A place that alerts are told at. Each has a queue and a task of its own, so that one that is slow holds no other up.
pub trait Outlet: Send + Sync {
    /// What the log calls it.
    fn name(&self) -> &'static str;

    /// Tells a notice, with as many tries as it takes; ends when it was told, or will not be.
    fn tell<'a>(&'a self, notice: &'a Notice) -> BoxFuture<'a, Told>;
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// It was told, or there is nobody to tell there.
    Done,
    /// It cannot be told, and will not be tried again.
    GivenUp(String),
    /// The program ends; it is told again at the next start.
    Stopped,
}
