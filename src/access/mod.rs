//! Who may come in: tokens for programs, allow-lists for people, and the check that a browser was not tricked.
//!
//! Pure: no I/O and no clock; a secret is held as its digest and never shown.

mod host;
mod people;
mod throttle;
mod tokens;

pub use host::{HostGuard, Rejected, RequestOrigin};
pub use people::People;
pub use throttle::Throttle;
pub use tokens::{Denied, Role, Tokens};
