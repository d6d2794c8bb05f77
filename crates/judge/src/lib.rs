//! Verdicts that stay valid however often they are looked at: anytime-valid tests over [`model::Observation`] batches.
//!
//! The formulas and their sources are STATISTICS.md's; the names R, L and NI in the comments are its names. Pure: no
//! clock, no randomness, no I/O. Logarithms come from `libm` and maps are ordered, so that the same records give the
//! same verdicts on every machine, byte for byte.
//!
//! What is never done: pooling counts over batches to decide (a ramp while the base rate drifts would then look like a
//! regression), resetting evidence between steps, or passing for want of evidence.

mod assess;
mod assignment;
mod blind_spot;
mod config;
mod culprit;
mod effect;
mod external;
pub mod forms;
pub mod formula;
mod holm;
mod judge;
mod latency;
mod noise;
mod odds;
mod operation;
pub mod planning;
mod process;
mod rate;
mod recent;
pub mod simulate;
mod words;

#[cfg(test)]
mod tests;

pub use assess::{Assessment, Failure, GuardEvidence, Verdict};
pub use assignment::AssignmentEvidence;
pub use config::{BlindSpots, Config, ErrorRate, Findings, Guard, Guards, Latency, MetricGuard, SpanLoss};
pub use culprit::naming_rank;
pub use effect::{CONFIDENCE, Effect, Measure, share_interval};
pub use external::Source;
pub use judge::{Judge, MAX_TRACES_PER_BATCH};
pub use noise::{NoiseAssessment, NoiseFloor};
pub use odds::Counts;
pub use recent::Estimate;
