//! Who may come in: tokens and keys for programs, allow-lists and one-time codes for people, and the check that a browser was not
//! tricked.
//!
//! Pure: no I/O and no clock; a secret is held as its digest and never shown.

mod codes;
mod guests;
mod host;
pub mod keys;
mod throttle;
mod tokens;

pub use codes::{Codes, NotOpened, PAIRING_MINUTES, Spent};
pub use guests::{Guests, chat_id};
pub use host::{HostGuard, Rejected, RequestOrigin};
pub use throttle::Throttle;
pub use tokens::{Denied, Role, Tokens, bearer};
