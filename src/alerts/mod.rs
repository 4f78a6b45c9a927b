//! What somebody should hear of without asking: pure, from what the books and the gate show before and after.

mod notice;
mod view;

pub use notice::{Alert, Notice, Severity, WindowAlert};
pub use view::{AlertView, Happened, WindowView};
