//! Joins what was sent to each environment with what came out of it, span by span, and counts what differs.
//!
//! Pure: no clock, no randomness, no I/O. The same calls give the same observations, byte for byte. It sees facts about
//! spans, never the spans; it cannot block or alter traffic.
//!
//! The unit is the trace in one environment. A trace belongs to the batch in which it was first handed over to that
//! environment; the batch closes at a fixed age, and then its traces are judged, once. What cannot be judged fairly is
//! left out of the counts and counted as left out: what the mirror dropped, what is over the bound on memory, and what
//! was in flight when views were lost or when this process started.
//!
//! A hand-over is told when it was answered, or before that if the answer takes long ([`Delivery::Unanswered`]). A span
//! that still waits for an answer when its batch closes was not taken, as far as anyone can tell: a failed export.

mod content;
pub mod diff;
mod digest;
mod example;
mod fact;
mod finding;
mod frequent;
mod histogram;
mod keyed;
mod learn;
mod memory;
mod pace;
mod path;
mod service;
mod settled;
mod share;
mod stray;
mod structure;
mod subject;
mod tally;
mod trace;
mod transformation;
mod verifier;
mod vocabulary;

pub use example::{ExampleDifference, ExampleSpan, ExampleTrace};
pub use fact::{Delivery, SpanFact, Status};
pub use histogram::record;
pub use learn::{Change, Difference, Kept, Learned, Learner, Least, LiveConfig, LiveLearner, Watched};
pub use subject::{CallCount, CallCounts};
pub use transformation::{Part, Precision, Transformations};
pub use verifier::{Config, Stats, Verifier};
