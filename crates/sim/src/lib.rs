//! Seeded simulation of the whole decision path over the pure crates: traffic, a gateway, two pipelines, verification, the
//! judge, the rollout and its ledger, with faults, crashes and late messages. Development only.
//!
//! Virtual time, one stream of random numbers a seed, ordered maps: the same seed gives the same records, byte for byte
//! (invariant 9). What must hold is checked after every event by `watch`, from the records alone where that is possible,
//! and a breach panics with the seed. Nothing here has a clock, a thread or a file.

mod controller;
mod gateway;
mod log;
mod pipeline;
mod plans;
mod random;
mod scenario;
mod traffic;
mod watch;
mod world;

pub use pipeline::{Fault, Noise};
pub use random::Random;
pub use scenario::{People, Roughness, Scenario};
pub use world::{End, Outcome, World};

/// Simulates what the seed says: any plan, fault, people and crashes. Panics, with the seed, where an invariant breaks.
pub fn run(seed: u64) -> Outcome {
    World::new(seed, Scenario::of(seed)).run()
}

#[cfg(test)]
mod tests;
