//! What `verdigris demo` and the end-to-end tests put around the real gateway: a shop that sends traces, pipelines that
//! carry them (and that can be broken), back ends that keep count.
//!
//! Everything here speaks real OTLP/gRPC over TCP. Nothing here knows the gateway, the controller or the ledger, and
//! nothing of theirs may depend on it. Time stamps come from a clock that is an argument, randomness from a seed.

pub mod backend;
pub mod client;
pub mod delivery;
pub mod fault;
pub mod keys;
pub mod pipeline;
pub mod random;
pub mod redaction;
pub mod server;
pub mod shop;

use std::sync::Arc;

/// Microseconds since the Unix epoch. Only time stamps are read from it; waiting is done with tokio's timers.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;
