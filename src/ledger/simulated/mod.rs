//! The ledger on a disk that forgets, tears, refuses and lies, and the checks that hold its files against what it said.
//!
//! [`disk`] is the disk, [`steps`] what is done to the ledger, [`model`] does it and remembers what was acknowledged,
//! [`history`] compares, [`crashes`] runs many seeds and shortens the steps of one that fails. [`killing`] does the same to
//! a process on the real disk.

pub(super) mod chance;
mod crashes;
mod disk;
pub(super) mod history;
pub(super) mod killing;
mod model;
mod regressions;
mod steps;
