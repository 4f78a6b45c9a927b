//! Who may come in: tokens and keys for programs, allow-lists and one-time codes for people, the check that a browser was not
//! tricked, and the memory that what comes in may take.
//!
//! Pure but for the wait for that memory: no I/O and no clock; a secret is held as its digest and never shown.

mod codes;
mod guests;
mod host;
pub mod keys;
mod room;
mod throttle;
mod tokens;

pub use codes::{Codes, NotOpened, PAIRING_MINUTES, Spent};
pub use guests::{Guests, chat_id};
pub use host::{HostGuard, Rejected, RequestOrigin};
pub use room::{NoRoom, Room, Rooms};
pub use throttle::Throttle;
pub use tokens::{Denied, Role, Tokens, bearer};
