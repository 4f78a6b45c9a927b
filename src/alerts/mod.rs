//! What somebody should hear of without asking: pure, from what the books and the gate show before and after.
//!
//! A [`Watch`] looks once a second and finds [`Notice`]s. What was told before it knows from the owner's acts, so that
//! each thing is told once, whatever is restarted: an id is written as firing before anybody is told, and as fired when
//! everybody was. A crash in between repeats it once, under the same id.

mod levels;
mod memory;
mod notice;
mod outlet;
mod policy;
mod view;
mod watch;

pub use levels::{budget_of, level_id};
pub use notice::{Alert, Notice, Severity, WindowAlert};
pub use outlet::{Outlet, Told};
pub use policy::Policy;
pub use view::{AlertView, Happened, WindowView, scope};
pub use watch::{Due, Found, Look, Watch};
