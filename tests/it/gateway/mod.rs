//! The gateway end to end: scripted upstreams, every API, every byte.

mod kit;
mod splitting;
mod wire;
