//! Everything that is tested from outside the crate, one module per subject.

mod layout; // the shape of the source: who imports whom, sizes, words
