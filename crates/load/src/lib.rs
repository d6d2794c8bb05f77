//! An open-loop OTLP load generator, and the verdict of the gate `load`.
//!
//! Requests are due at times that a [`Schedule`] or a recording says, whatever the servers do, and a latency is measured
//! from when a request was due. So a server that stands still for half a second makes every request of that half second
//! late, and that is in the figures; a generator that waits for answers would have sent none, and hidden it (Gil Tene,
//! *How NOT to Measure Latency*, 2013: coordinated omission). What cannot be sent in time is counted, never skipped.
//!
//! The core decides without I/O, clock and randomness: `schedule.rs` when, `topology.rs` and `template.rs` what,
//! `replay.rs` what of a recording, `tally.rs` and `report.rs` what became of it, `judge.rs` the verdict. Around it `run.rs`,
//! `pace.rs` and `send/` have threads, timers and sockets. Both targets get the same bytes at the same times.
//!
//! Nothing is ever sent to an address that [`Targets`] was not allowed, no redirect is followed, and no request is sent
//! twice. Reports hold counts, times, endpoints and status codes: no header, no body and no text of a server.

mod ahead;
mod answer;
mod judge;
mod pace;
mod quantiles;
mod random;
mod recorded;
mod replay;
mod report;
mod run;
mod schedule;
mod send;
mod source;
mod tally;
mod targets;
mod template;
mod topology;

pub use judge::{Judged, LoadDemand, Out, judge};
pub use quantiles::Distribution;
pub use recorded::{RecordedError, open};
pub use replay::{Multiple, Replay, ReplayError};
pub use report::{Report, TargetReport};
pub use run::{Load, LoadError, Pacing, Progress, TargetProgress, run};
pub use schedule::{Arrival, MAX_RUN_MS, Phase, Schedule, ScheduleError};
pub use source::{NewTraceId, Request, Source, Synthetic, seeded};
pub use tally::{Counts, Second, Volume};
pub use targets::{Target, Targets, TargetsError};
pub use template::{Group, Template};
pub use topology::{Shape, Topology, TopologyError};
