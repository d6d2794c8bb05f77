//! What goes into a decision and what comes out of it. All of it stands in the ledger, so every type is serialised.

use crate::acceptance::{SignOff, SignedOff};
use crate::approval::Submission;
use crate::configuration::Configuration;
use crate::plan::{GateName, Plan};
use crate::principal::Principal;
use judge::Assessment;
use model::{
    BasisPoints, Canary, Environment, GateResult, GateVerdict, LeakSearch, Measurement, Observation, PerEnvironment,
    Pins, RouteKey, RouteTable, Routed, ShortDuration, TraceId, UnixMillis, Upstream,
};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::Path;

/// Names one rollout of one ledger: the plan's name and the sequence number of rollouts in the ledger,
/// `collector-0-131.1`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RolloutId(pub String);

impl fmt::Display for RolloutId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The first event of a rollout.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Start {
    /// The rollout's name.
    pub rollout: RolloutId,
    /// What is to happen.
    pub plan: Plan,
    /// [`Plan::digest`]: what approvals bind to.
    pub plan_digest: String,
    /// Who started it. They count as the plan's author: they cannot approve it (invariant 10).
    pub by: Principal,
    /// The version of the program that decides: another version may decide otherwise upon the same records.
    pub program: String,
    /// The origin of the ledger that this stands in: what approvals bind to.
    pub log: String,
    /// The key from trace id to bucket for this rollout.
    pub route_key: RouteKey,
    /// The folder that the plan's relative paths start from.
    pub base_dir: String,
    /// The newest generation that was ever published; this rollout's are above it.
    pub last_generation: u64,
}

impl Start {
    /// Where an environment is reached: as the plan says, with its relative paths starting from the plan's folder. The
    /// table that holds it outlives the plan.
    pub fn upstream(&self, environment: Environment) -> Upstream {
        self.plan.environments[environment].upstream.under(Path::new(&self.base_dir))
    }
}

/// What an operator may ask for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Command {
    /// Stop advancing; guards go on.
    Pause,
    /// Go on after a pause, or analyse again after a hold.
    Resume,
    /// End the wait of the present step and go on with the next. No gate is skipped, and no alarm.
    Promote,
    /// Back to the active environment.
    Rollback {
        /// Why, in the operator's words.
        reason: String,
        /// Whether it is asked for although the point of no return is passed.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        past_point_of_no_return: bool,
    },
}

impl Command {
    /// The command's name on the command line.
    pub fn name(&self) -> &'static str {
        match self {
            Command::Pause => "pause",
            Command::Resume => "resume",
            Command::Promote => "promote",
            Command::Rollback { .. } => "rollback",
        }
    }
}

/// Everything that can happen to a rollout.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Event {
    /// Time went by.
    Tick,
    /// A batch of traces was checked.
    Observed(Box<Observation>),
    /// A gate that was asked for has ended.
    GateFinished {
        /// Which gate.
        gate: GateName,
        /// Which of its runs.
        run: u32,
        /// How.
        result: GateResult,
    },
    /// A metric's source was asked.
    Measured {
        /// Which metric.
        metric: String,
        /// What came of it.
        measurement: Measurement,
    },
    /// The configurations were read, for the first time or with another digest than before.
    ConfigurationsRead(PerEnvironment<Configuration>),
    /// Somebody handed in a signed statement.
    ApprovalSubmitted(Box<Submission>),
    /// A tester signed off.
    SignedOff(Box<SignOff>),
    /// A canary was followed to its end.
    CanaryFollowed(Box<Canary>),
    /// What comes out was searched for sensitive values for some seconds.
    LeaksSearched(Box<LeakSearch>),
    /// The gateway routes by this generation now.
    Applied {
        /// The generation.
        generation: u64,
        /// Traces torn by rollbacks since the gateway started.
        torn: u64,
        /// How it divides the traffic.
        routed: Routed,
    },
    /// A person, or a program for them, asked for something.
    Commanded {
        /// What.
        command: Command,
        /// Who.
        by: Principal,
    },
    /// The controller started again: what was under way outside must be asked for again.
    Restarted,
}

/// A change of traffic: what of a [`RouteTable`] a reader of the ledger needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Shift {
    /// The table's generation.
    pub generation: u64,
    /// Who serves.
    pub active: Environment,
    /// The candidate's share.
    pub weight: BasisPoints,
    /// Whether the candidate gets copies.
    pub mirror: bool,
    /// What becomes of traces in flight.
    pub pins: Pins,
    /// Whether the candidate serves testers' traces, whatever its share.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub testers: bool,
}

impl From<&RouteTable> for Shift {
    fn from(table: &RouteTable) -> Shift {
        Shift {
            generation: table.generation,
            active: table.active,
            weight: table.weight,
            mirror: table.mirror,
            pins: table.pins,
            testers: table.testers.is_some(),
        }
    }
}

/// Why a rollout was rolled back: the first line that a person reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Cause {
    /// The guard, gate or command: `blindSpots`, `drift`, `canary`, `operator`.
    pub guard: String,
    /// What was found, in words.
    pub finding: String,
    /// A trace that shows it.
    pub example_trace: Option<TraceId>,
    /// When the first trace that is known to show it was assigned.
    pub first_seen: Option<UnixMillis>,
    /// The numbers behind it.
    pub reasons: Vec<String>,
}

/// Why a rollout stands still until somebody acts, or until its source of evidence is back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum HoldReason {
    /// The analysis ended without a verdict.
    Inconclusive {
        /// What is missing.
        missing: Vec<String>,
    },
    /// A gate could not tell.
    Gate {
        /// Which.
        gate: GateName,
        /// Inconclusive or Error.
        verdict: GateVerdict,
        /// Why.
        reasons: Vec<String>,
    },
    /// What was approved is not what is there any more.
    ApprovalsVoid {
        /// Why.
        because: String,
    },
    /// No gateway applied the table in time.
    NotApplied {
        /// The generation that was ordered.
        generation: u64,
    },
    /// Traces are not divided as the weight says, so that no comparison means anything.
    SplitBroken {
        /// The shares expected and seen, and the evidence.
        reason: String,
    },
    /// The source of a metric fails that the plan does not do without. Ends by itself when it answers again.
    SourceFails {
        /// Which metric.
        metric: String,
        /// Why.
        reason: String,
    },
    /// Verification says nothing any more. Ends by itself when it does again.
    SourceSilent {
        /// For how long, in milliseconds.
        for_ms: u64,
    },
    /// Something would have rolled back, and a rollback is not safe any more.
    PastReturn {
        /// Why it would have.
        cause: Cause,
    },
    /// Blue differs from itself: nothing can be concluded from what is measured, for green or against it.
    MeasurementBroken {
        /// How the halves of blue differ, in the judge's words.
        differences: Vec<String>,
    },
}

impl fmt::Display for HoldReason {
    /// In one phrase, without what to do about it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HoldReason::Inconclusive { .. } => f.write_str("the analysis is inconclusive"),
            HoldReason::Gate { gate, verdict, .. } => write!(f, "the {gate} gate ended in {verdict:?}"),
            HoldReason::ApprovalsVoid { because } => write!(f, "nothing approves it any more: {because}"),
            HoldReason::NotApplied { generation } => write!(f, "the gateway did not apply generation {generation}"),
            HoldReason::SplitBroken { .. } => f.write_str("the traces are not divided as the weight says"),
            HoldReason::SourceFails { metric, .. } => write!(f, "the source of metric {metric} fails"),
            HoldReason::SourceSilent { for_ms } => write!(f, "verification was silent for {}", ShortDuration(*for_ms)),
            HoldReason::PastReturn { cause } => {
                write!(f, "would roll back, but the point of no return is passed: {}: {}", cause.guard, cause.finding)
            }
            HoldReason::MeasurementBroken { .. } => f.write_str("the measurement is broken: blue differs from blue"),
        }
    }
}

impl HoldReason {
    /// What it rests on, a line each: what is missing, why a gate could not tell, how traces were divided, why a source
    /// fails, how blue differs from itself, the numbers behind what would have rolled back.
    pub fn details(&self) -> &[String] {
        match self {
            HoldReason::Inconclusive { missing: details }
            | HoldReason::Gate { reasons: details, .. }
            | HoldReason::PastReturn { cause: Cause { reasons: details, .. } }
            | HoldReason::MeasurementBroken { differences: details } => details,
            HoldReason::SplitBroken { reason } | HoldReason::SourceFails { reason, .. } => std::slice::from_ref(reason),
            HoldReason::ApprovalsVoid { .. } | HoldReason::NotApplied { .. } | HoldReason::SourceSilent { .. } => &[],
        }
    }
}

/// How a rollout ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// The candidate is active.
    Promoted,
    /// Everything is back at the environment that was active.
    RolledBack(Cause),
}

/// What was decided, and why. Each is a record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Decision {
    /// A step of the strategy begins; steps count from 1.
    StepEntered {
        /// Which.
        step: usize,
        /// In the plan's words: `setWeight 10%`.
        does: String,
    },
    /// Traffic is to change.
    ShiftOrdered(Shift),
    /// Traffic has changed.
    ShiftObserved(Shift),
    /// A gate is to run.
    GateRequested {
        /// Which.
        gate: GateName,
        /// Its how many-eth run.
        run: u32,
        /// Whether it runs as a guard, beside the steps.
        guard: bool,
    },
    /// The verdict of the judge changed.
    Judged {
        /// What it says now.
        assessment: Box<Assessment>,
        /// `sha256:…` of the [`JudgeEvidence`](crate::JudgeEvidence) that a Pass or a Fail was made from.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        evidence: Option<String>,
    },
    /// The source of a metric fails, or fails for another reason than before.
    SourceFails {
        /// Which metric.
        metric: String,
        /// Why.
        reason: String,
    },
    /// The source of a metric answers again.
    SourceAnswers {
        /// Which metric.
        metric: String,
    },
    /// An approval counts.
    Approved {
        /// Who approved.
        by: String,
        /// The fingerprint of the key that signed it, as `ssh-keygen -l` prints it.
        key: String,
        /// Until then.
        expires_at: UnixMillis,
        /// How many there are now.
        count: u32,
        /// How many are needed.
        needed: u32,
        /// Whether it is of the point of no return, and not of the approval gate.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        of_point: bool,
    },
    /// The point of no return is passed: from now on nothing rolls back by itself.
    PointPassed {
        /// The step that it is, counted from 1.
        step: usize,
        /// Why a rollback is not safe any more, in the plan's words.
        reason: String,
        /// Whose approvals counted then.
        of: Vec<String>,
    },
    /// One approval alone passes the gate, in an emergency.
    GlassBroken {
        /// Whose.
        by: String,
        /// Why nobody else could approve.
        reason: String,
        /// Until then somebody else must review it.
        review_until: UnixMillis,
    },
    /// Approvals do not count any more.
    ApprovalsVoid {
        /// Why.
        because: String,
        /// Whose they were.
        of: Vec<String>,
    },
    /// A tester said what they think of the candidate.
    SignedOff {
        /// Who, what, and on what.
        word: Box<SignedOff>,
        /// How many acceptances count now.
        count: u32,
        /// How many are needed.
        needed: u32,
    },
    /// A command changes nothing.
    Refused {
        /// The command's name.
        command: String,
        /// Why.
        reason: String,
    },
    /// An operator stops the advance.
    Paused,
    /// It goes on.
    Resumed,
    /// An operator ended the wait of a step.
    Skipped {
        /// Which step.
        step: usize,
    },
    /// The rollout stands still.
    Held(HoldReason),
    /// An inconclusive analysis goes on.
    Extended {
        /// For how long, in milliseconds.
        by_ms: u64,
        /// How many times it was extended.
        times: u32,
    },
    /// Everything goes back.
    RollbackOrdered(Cause),
    /// The candidate becomes active.
    PromotionOrdered,
    /// The rollout is over.
    Ended(Outcome),
}

/// What the shell must do once the records are durable.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Give this table to the gateway.
    Publish(Box<RouteTable>),
    /// Run a gate and come back with [`Event::GateFinished`].
    RunGate {
        /// Which.
        gate: GateName,
        /// Which of its runs.
        run: u32,
    },
}
