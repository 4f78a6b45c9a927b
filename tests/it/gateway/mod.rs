//! The gateway end to end: scripted upstreams, every API, every byte.

mod ending;
mod equality;
mod kit;
mod records;
mod splitting;
mod wire;
