//! The gateway end to end: scripted upstreams, every API, every byte.

mod abuse;
mod asking;
mod ending;
mod equality;
mod keys;
mod kit;
mod limits;
mod providers;
mod records;
mod splitting;
mod wire;
