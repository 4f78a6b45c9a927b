//! The ledger on a disk that forgets, tears, refuses and lies, and the checks that hold its files against what it said.
//!
//! [`disk`] is the disk, [`steps`] what is done to the ledger, [`model`] does it and remembers what was acknowledged,
//! [`history`] compares, [`crashes`] runs many seeds and shortens the steps of one that fails.

mod chance;
mod crashes;
mod disk;
mod history;
mod model;
mod steps;
