//! Everything that is tested from outside the crate: one binary, everything on loopback, no network, no sleeps.

mod layout; // the shape of the source: who imports whom, sizes, words
mod models; // `Provider` against scripted servers: every status, every fault, every timeout
mod providers; // model providers that play a script
