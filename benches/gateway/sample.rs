//! What is measured, how the load is told to do so, and what it brings back.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::answers::Ask;
use super::targets::{DIRECT, LITELLM, Target};

/// Connections at once, of the measures that have many.
const MANY: usize = 32;
const PACED: usize = 16;
pub const OPEN: usize = 1_000;

/// A kind of sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Measure {
    Json1,
    Json32,
    Stream1,
    Stream32,
    Paced,
    Memory,
}

impl Measure {
    /// In the order they are taken.
    pub const ALL: [Measure; 6] =
        [Measure::Json1, Measure::Json32, Measure::Stream1, Measure::Stream32, Measure::Paced, Measure::Memory];

    /// Its word on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Measure::Json1 => "json-1",
            Measure::Json32 => "json-32",
            Measure::Stream1 => "stream-1",
            Measure::Stream32 => "stream-32",
            Measure::Paced => "paced",
            Measure::Memory => "memory",
        }
    }

    /// Whether it says something of a target. LiteLLM does not get to a thousand streams before the first ones end.
    pub fn fits(self, target: &Target) -> bool {
        self != Measure::Memory || ![DIRECT, LITELLM].contains(&target.name)
    }

    fn ask(self) -> (Ask, usize) {
        match self {
            Measure::Json1 => (Ask::Json, 1),
            Measure::Json32 => (Ask::Json, MANY),
            Measure::Stream1 => (Ask::Burst, 1),
            Measure::Stream32 => (Ask::Burst, MANY),
            Measure::Paced => (Ask::Paced, PACED),
            Measure::Memory => (Ask::Held, OPEN),
        }
    }
}

/// What the load is to do.
#[derive(Debug, Serialize, Deserialize)]
pub struct Order {
    pub address: SocketAddr,
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub ask: Ask,
    pub connections: usize,
    pub seconds: f64,
    /// Whether the target has one processor and everything else the other.
    pub alone: bool,
    /// The process that is measured, and the model behind it.
    pub target: u32,
    pub mock: u32,
}

impl Order {
    /// For one sample of a target.
    pub fn new(measure: Measure, target: &Target, mock: u32, seconds: f64) -> Order {
        let (ask, connections) = measure.ask();
        Order {
            address: target.address,
            path: target.path.clone(),
            headers: target.headers.clone(),
            ask,
            connections,
            seconds,
            alone: connections == 1,
            target: target.id(),
            mock,
        }
    }
}

/// What a sample found. What a measure does not look at is 0.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Sample {
    /// Whole answers per second.
    pub rate: f64,
    /// From the question to the end of its answer.
    pub p50_us: f64,
    pub p99_us: f64,
    /// From the question to the first bytes of the answer's body.
    pub first_p50_us: f64,
    /// From a piece's making to the load's reading it.
    pub age_p50_us: f64,
    pub age_p99_us: f64,
    /// User and system time of the target for each answer.
    pub cpu_us: f64,
    /// What the target holds in memory at the end, or at most while the streams are open.
    pub memory_mib: f64,
    /// The most streams open at the same time.
    pub open: usize,
    /// Of all processors, what other programs took, and what the machine below took.
    pub others_percent: f64,
    pub stolen_percent: f64,
    /// Answers that did not come, or not whole, and one of the reasons.
    pub failures: usize,
    pub reason: Option<String>,
    /// Answers that came whole, in other bytes than the model's.
    pub altered: usize,
}
