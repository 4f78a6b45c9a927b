//! The gateway end to end: scripted upstreams, every API, every byte.

mod ending;
mod equality;
mod keys;
mod kit;
mod limits;
mod records;
mod splitting;
mod wire;
