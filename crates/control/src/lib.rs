//! The controller: one loop over one closed enum of inputs. It drives [`rollout::step`], writes the ledger, and takes
//! the actions once their records are durable (invariant 1).
//!
//! It never touches traffic: it publishes route tables, and hears from the gateway through its inputs. Appending to the
//! ledger blocks on fsync, so the loop wants a thread of its own.

mod accepting;
mod actions;
mod approving;
mod behaviour;
mod configurations;
mod controller;
mod erasing;
mod errors;
mod evidence;
mod gating;
mod handle;
mod journal;
mod kept;
mod loading;
mod looking;
mod measuring;
mod notifying;
mod older_traces;
mod proving;
mod release;
mod rotation;
mod securing;
mod sharding;
mod watching;

pub use accepting::{MAX_TRIED_TRACES, SaidOff, TriedTrace};
pub use approving::HandedIn;
pub use controller::{Controller, OpenError, Outlook, Settings};
pub use erasing::{Erasure, NoteError, Persons};
pub use errors::{CommandError, EraseError, ReleaseError, StartError, TapsError};
pub use gates::drift;
pub use gating::{SeenDependencies, Surroundings, run_gate};
pub use handle::{Handle, Input, Offer, RolloutSummary};
pub use journal::{Extent, Journal, JournalError, OpenStore, decode};
pub use loading::CountsLoad;
pub use looking::{LookError, Recording};
pub use older_traces::trace_store;
pub use proving::{Order, Prover};
pub use rollout;
pub use rotation::{RotateKeyError, key_change, rotate_key};
pub use securing::{PolicyError, check_policies};
pub use watching::{CountedMetric, Watching};

use std::sync::Arc;

/// The target of spans that tell of our own work: gate runs, decisions, and whatever asks for them. They carry names and
/// numbers of ours, and nothing of the traffic.
pub const OWN_SPANS: &str = "verdigris::own";

/// The time, from whoever made the controller: milliseconds since the Unix epoch.
pub type Clock = Arc<dyn Fn() -> model::UnixMillis + Send + Sync>;

/// Sixteen bytes that nobody can guess, from whoever made the controller.
pub type Random = Arc<dyn Fn() -> [u8; 16] + Send + Sync>;

/// What is known of a trace, as JSON for the evidence: what was sent and what came out of an environment.
pub type Examples = Arc<dyn Fn(model::TraceId) -> Option<serde_json::Value> + Send + Sync>;

#[cfg(test)]
mod tests;
