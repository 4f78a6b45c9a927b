//! Model providers that play a script: a raw TCP server that answers what a test says, byte for byte.
//!
//! [`ollama`], [`openai`], [`anthropic`] and [`gemini`] make the replies of polite servers; [`Reply`]'s methods turn any reply into that of an evil
//! one: split, dripped, cut, lied about, reset.

#![allow(dead_code, reason = "every test uses a part of it")]

pub mod anthropic;
pub mod gemini;
pub mod ollama;
pub mod openai;
mod reply;
mod server;

pub use reply::{Reply, Step, gzip};
pub use server::{Hit, ScriptedProvider, unchunked};
