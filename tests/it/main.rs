//! Everything that is tested from outside the crate, one module per subject.

mod layout; // the shape of the source: who imports whom, sizes, words
//! The integration tests: one binary, everything on loopback, no network, no sleeps.

/// Model providers that play a script.
mod providers;

/// `Provider` against scripted servers: every status, every fault, every timeout.
mod models;
