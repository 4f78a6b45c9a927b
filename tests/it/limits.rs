//! Limits on the one path.
