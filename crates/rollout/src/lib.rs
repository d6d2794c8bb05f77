//! The decisions of a rollout, as pure functions: [`start`] and [`step`] take what happened and the time, and return the
//! next state, the decisions to record, the actions to take, and through [`report`] what is waited for.
//!
//! Nothing here reads a clock, a file or a socket, so the same records give the same decisions, byte for byte
//! (invariant 9): a crashed controller, the simulation and an auditor all call the same [`step`].

pub mod acceptance;
pub mod approval;
pub mod plan;
pub mod rehearsal;
pub mod rejudge;

mod canary;
mod configuration;
mod decide;
mod event;
mod evidence;
mod evidence_root;
mod found;
mod landmarks;
mod leak;
mod measure;
mod principal;
mod record;
mod report;
mod shard;
mod state;
mod steady;
mod timeline;

pub use canary::{Canaries, ENOUGH as ENOUGH_CANARIES, InClear};
pub use configuration::Configuration;
pub use decide::{GATE_LIMIT_MS, Step, judge_config, review, review_is_overdue, start, step};
pub use event::{Action, Cause, Command, Decision, Event, HoldReason, Outcome, RolloutId, Shift, Start};
pub use evidence::{JudgeEvidence, JudgeEvidenceError};
pub use evidence_root::EvidenceRoot;
pub use found::{Group, GroupReport, ranked_groups};
pub use judge;
pub use landmarks::{Landmarks, ProofRecords};
pub use leak::{Found as FoundLeak, Leaks};
pub use model::{GateResult, GateVerdict};
pub use principal::{KnownPrincipal, MAX_KEYS_CHARACTERS, MAX_NAME_CHARACTERS, MAX_OF_EACH, MAX_PRINCIPALS, Principal};
pub use record::{
    Body, DeletedBecause, FINDING_ID_DIGITS, FindingName, MAX_DELETED, MAX_TARGETS, NotificationTarget, Record, Replay,
    ReplayError, replay,
};
pub use report::{PastReturn, Progress, Report, StepReport, report};
pub use shard::{ShardStart, may_end};
pub use state::{Approval, BrokenGlass, Halt, MetricState, Phase, Review, Stage, State};
pub use steady::SteadyWeights;
pub use timeline::{ArmReport, Evidence, GuardLine, GuardPoint, ShiftPoint, TimelineReport, Timelines, WindowReport};

#[cfg(test)]
mod tests;
