//! How others reach the controller.

use crate::accepting::{SaidOff, TriedTrace};
use crate::approving::HandedIn;
use crate::erasing::{Erasure, Persons};
use crate::errors::{CommandError, EraseError, ReleaseError, StartError, TapsError};
use crate::looking::{LookError, Recording};
use model::{
    BasisPoints, Canary, Environment, GateResult, LeakSearch, Measurement, Observation, PerEnvironment, Routed,
    UnixMillis,
};
use rollout::approval::{Act, Statement};
use rollout::plan::{GateName, Plan};
use rollout::{
    Command, Configuration, KnownPrincipal, NotificationTarget, Principal, Progress, Report, RolloutId, TimelineReport,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// Everything that the controller can be told.
#[derive(Debug)]
pub enum Input {
    /// Verification closed a batch of a rollout.
    Observed {
        /// Which.
        rollout: RolloutId,
        /// What it saw.
        observation: Box<Observation>,
    },
    /// The gateway routes by this generation now.
    Applied {
        /// The generation.
        generation: u64,
        /// Traces torn by rollbacks since the gateway started.
        torn: u64,
        /// How it divides the traffic.
        routed: Routed,
    },
    /// There is a proof for the table of this generation.
    Proved {
        /// Which.
        generation: u64,
        /// As text.
        proof: Arc<str>,
    },
    /// A gate's runner came back.
    GateFinished {
        /// For which rollout.
        rollout: RolloutId,
        /// Which gate.
        gate: GateName,
        /// Which run.
        run: u32,
        /// With what.
        result: GateResult,
        /// What that rests on, where there is something to keep.
        evidence: Option<Vec<u8>>,
    },
    /// The gateway let clients not in, because of their certificates.
    ClientsRefused {
        /// How many since it started.
        clients: u64,
        /// From where the last one came.
        from: Option<String>,
        /// Why that one.
        reason: String,
    },
    /// Somebody who is known was refused something.
    AccessRefused {
        /// What, in words.
        what: String,
        /// Who.
        by: Principal,
    },
    /// Callers whom nobody knows were refused at the web port.
    CallersRefused {
        /// How many of which kind, in words; nothing of what they showed.
        what: String,
        /// From where the last one came.
        from: Option<String>,
    },
    /// Other programs may be run for a configuration from now on.
    Commands(Vec<PathBuf>),
    /// A metric's source was asked.
    Measured {
        /// For which rollout.
        rollout: RolloutId,
        /// Which metric.
        metric: String,
        /// With what.
        measurement: Measurement,
    },
    /// A canary of a rollout was followed to its end.
    CanaryFollowed {
        /// Of which rollout.
        rollout: RolloutId,
        /// What became of it.
        canary: Box<Canary>,
    },
    /// What comes out was searched for sensitive values.
    LeaksSearched {
        /// For which rollout.
        rollout: RolloutId,
        /// What was found.
        search: Box<LeakSearch>,
    },
    /// Green acknowledged spans of testers' traces.
    Tried {
        /// Of which rollout.
        rollout: RolloutId,
        /// Whose.
        tester: Arc<str>,
        /// Which.
        traces: Vec<TriedTrace>,
    },
    /// A tester says what they think of a rollout.
    SignOff {
        /// Of which; the last one if it is not said.
        rollout: Option<RolloutId>,
        /// What, and who.
        said: Box<SaidOff>,
        /// Where the answer goes.
        reply: SignOffReply,
    },
    /// Somebody starts a rollout.
    Start {
        /// The plan, as YAML.
        yaml: String,
        /// The folder that its relative paths start from.
        base_dir: String,
        /// Who.
        by: Principal,
        /// Where the answer goes.
        reply: oneshot::Sender<Result<Box<Report>, StartError>>,
    },
    /// Somebody asks something of a rollout.
    Command {
        /// Of which; the last one if it is not said.
        rollout: Option<RolloutId>,
        /// What.
        command: Command,
        /// Who.
        by: Principal,
        /// Where the answer goes.
        reply: oneshot::Sender<Result<Box<Report>, CommandError>>,
    },
    /// The configurations of a rollout's environments were read.
    ConfigurationsRead {
        /// Of which.
        rollout: RolloutId,
        /// What they are.
        configurations: PerEnvironment<Configuration>,
    },
    /// Somebody wants to approve, and asks what there is to sign.
    Offer {
        /// Of which rollout; the last one if it is not said.
        rollout: Option<RolloutId>,
        /// What is to be said.
        act: Act,
        /// Where the answer goes.
        reply: oneshot::Sender<Result<Box<Offer>, CommandError>>,
    },
    /// Somebody hands in a signed statement.
    HandIn {
        /// What, and who.
        handed: Box<HandedIn>,
        /// Where the answer goes.
        reply: SubmitReply,
    },
    /// The same, once the configurations were read for it.
    Submit {
        /// What, and who.
        handed: Box<HandedIn>,
        /// Where the answer goes.
        reply: SubmitReply,
    },
    /// Somebody asks where a rollout stands.
    Report {
        /// Which; the last one if it is not said.
        rollout: Option<RolloutId>,
        /// Where the answer goes.
        reply: oneshot::Sender<Option<Box<Report>>>,
    },
    /// Somebody asks which plan a rollout follows.
    Plan {
        /// Which; the last one if it is not said.
        rollout: Option<RolloutId>,
        /// Where the answer goes.
        reply: oneshot::Sender<Option<Box<Plan>>>,
    },
    /// Somebody asks what a rollout did over time.
    Timeline {
        /// Which; the last one if it is not said.
        rollout: Option<RolloutId>,
        /// Where the answer goes.
        reply: oneshot::Sender<Option<Box<TimelineReport>>>,
    },
    /// Somebody asks whether the ledger is open.
    IsOpen {
        /// Where the answer goes.
        reply: oneshot::Sender<bool>,
    },
    /// Somebody asks which rollouts there are.
    List {
        /// Where the answer goes.
        reply: oneshot::Sender<Vec<RolloutSummary>>,
    },
    /// The configuration has others notified from now on.
    Notifications(Vec<NotificationTarget>),
    /// A notification was delivered, or given up.
    Notified {
        /// Which.
        id: String,
        /// How often it was tried.
        tries: u32,
        /// Why it was given up, if it was.
        gave_up: Option<String>,
    },
    /// The configuration names others from now on.
    Principals {
        /// In the order of their names.
        principals: Vec<KnownPrincipal>,
        /// Who they are.
        persons: Persons,
    },
    /// Somebody asks for a blob of evidence.
    Look {
        /// The blob's digest.
        digest: String,
        /// Who asks.
        by: Principal,
        /// Where the answer goes.
        reply: oneshot::Sender<Result<Vec<u8>, LookError>>,
    },
    /// Somebody asks to have recorded what the gateway receives.
    Record {
        /// What would be recorded.
        recording: Recording,
        /// Who asks.
        by: Principal,
        /// Where the answer goes.
        reply: oneshot::Sender<Result<(), LookError>>,
    },
    /// Somebody asks to be forgotten, or somebody else for them.
    Erase {
        /// A principal's name, or `trace:` and a trace id.
        subject: String,
        /// Who asks.
        by: Principal,
        /// Where the answer goes.
        reply: oneshot::Sender<Result<Erasure, EraseError>>,
    },
    /// The gateway has other taps from now on.
    Taps {
        /// Their names.
        taps: BTreeSet<String>,
        /// Where the answer goes.
        reply: oneshot::Sender<Result<(), TapsError>>,
    },
    /// Close the ledger in order, so that another process can open it, and decide nothing until it is taken back.
    Release {
        /// Where the answer goes.
        reply: oneshot::Sender<Result<(), ReleaseError>>,
    },
    /// Open the ledger again, as soon as the other process has closed it, and go on.
    TakeBack,
    /// Close the ledger in order and end.
    Stop,
}

/// Where the answer to a sign-off goes.
pub(crate) type SignOffReply = oneshot::Sender<Result<Box<Report>, CommandError>>;

/// Where the answer to a signed statement goes.
pub(crate) type SubmitReply = oneshot::Sender<Result<Box<Report>, CommandError>>;

/// What an approver signs, and what they want to see before they do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Offer {
    /// What is to be signed.
    pub statement: Statement,
    /// The plan whose digest is in it.
    pub plan: Plan,
    /// The folder that the plan's relative paths start from.
    pub base_dir: String,
    /// Where the rollout stands.
    pub report: Report,
}

/// One line of `rollout list`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RolloutSummary {
    /// The rollout's name.
    pub rollout: RolloutId,
    /// In one word.
    pub progress: Progress,
    /// In one sentence.
    pub headline: String,
    /// The share of traces that green serves.
    pub green_serves: BasisPoints,
    /// Who serves the rest.
    pub active: Environment,
    /// When it started.
    pub started_at: UnixMillis,
    /// When it ended.
    pub ended_at: Option<UnixMillis>,
    /// What of it is not as the rules have it: a broken glass that nobody has reviewed.
    pub exceptions: Vec<String>,
}

/// Talks to the controller; cheap to clone.
#[derive(Clone)]
pub struct Handle {
    inputs: mpsc::Sender<Input>,
}

impl Handle {
    /// Inputs that may wait for the controller: observations come every batch, and readings of at most 16 metrics every
    /// interval (1 s at the least each), so this is a quarter of a minute and mostly minutes; who tells then waits.
    pub const QUEUE: usize = 256;

    /// The handle and the other end of its queue.
    pub fn new() -> (Handle, mpsc::Receiver<Input>) {
        let (inputs, queue) = mpsc::channel(Handle::QUEUE);
        (Handle { inputs }, queue)
    }

    /// Tells the controller something; waits while its queue is full.
    pub async fn tell(&self, input: Input) {
        // A controller that has stopped hears nothing, and whoever tells it something stops with it.
        let _ = self.inputs.send(input).await;
    }

    /// As [`Handle::tell`], for a thread that is not asynchronous.
    pub fn tell_blocking(&self, input: Input) {
        let _ = self.inputs.blocking_send(input);
    }

    /// Starts a rollout.
    pub async fn start(&self, yaml: String, base_dir: String, by: Principal) -> Result<Box<Report>, StartError> {
        let (reply, answer) = oneshot::channel();
        self.tell(Input::Start { yaml, base_dir, by, reply }).await;
        answer.await.unwrap_or(Err(StartError::Stopped))
    }

    /// Asks something of a rollout, the last one if none is named.
    pub async fn command(
        &self,
        rollout: Option<RolloutId>,
        command: Command,
        by: Principal,
    ) -> Result<Box<Report>, CommandError> {
        let (reply, answer) = oneshot::channel();
        self.tell(Input::Command { rollout, command, by, reply }).await;
        answer.await.unwrap_or(Err(CommandError::Stopped))
    }

    /// Where a rollout stands, the last one if none is named.
    pub async fn report(&self, rollout: Option<RolloutId>) -> Option<Box<Report>> {
        let (reply, answer) = oneshot::channel();
        self.tell(Input::Report { rollout, reply }).await;
        answer.await.ok().flatten()
    }

    /// The plan that a rollout follows, the last one if none is named.
    pub async fn plan(&self, rollout: Option<RolloutId>) -> Option<Box<Plan>> {
        let (reply, answer) = oneshot::channel();
        self.tell(Input::Plan { rollout, reply }).await;
        answer.await.ok().flatten()
    }

    /// What a rollout did over time, the last one if none is named. None if there is no such rollout, or if so many began
    /// since that only the ledger knows.
    pub async fn timeline(&self, rollout: Option<RolloutId>) -> Option<Box<TimelineReport>> {
        let (reply, answer) = oneshot::channel();
        self.tell(Input::Timeline { rollout, reply }).await;
        answer.await.unwrap_or_default()
    }

    /// Whether the controller answers, and has the ledger open.
    pub async fn is_deciding(&self) -> bool {
        let (reply, answer) = oneshot::channel();
        self.tell(Input::IsOpen { reply }).await;
        answer.await.unwrap_or(false)
    }

    /// Tells which taps the gateway is about to have. Refused if the table that applies needs another one.
    pub async fn taps(&self, taps: BTreeSet<String>) -> Result<(), TapsError> {
        let (reply, answer) = oneshot::channel();
        self.tell(Input::Taps { taps, reply }).await;
        answer.await.unwrap_or(Err(TapsError::Stopped))
    }

    /// Has the ledger closed in order, so that another process can open it. Nothing is decided from then on; the table
    /// that applies goes on to apply.
    pub async fn release(&self) -> Result<(), ReleaseError> {
        let (reply, answer) = oneshot::channel();
        self.tell(Input::Release { reply }).await;
        answer.await.unwrap_or(Err(ReleaseError::Stopped))
    }

    /// What there is to sign for a rollout, the last one if none is named.
    pub async fn offer(&self, rollout: Option<RolloutId>, act: Act) -> Result<Box<Offer>, CommandError> {
        let (reply, answer) = oneshot::channel();
        self.tell(Input::Offer { rollout, act, reply }).await;
        answer.await.unwrap_or(Err(CommandError::Stopped))
    }

    /// Hands in a signed statement.
    pub async fn hand_in(&self, handed: HandedIn) -> Result<Box<Report>, CommandError> {
        let (reply, answer) = oneshot::channel();
        self.tell(Input::HandIn { handed: Box::new(handed), reply }).await;
        answer.await.unwrap_or(Err(CommandError::Stopped))
    }

    /// A tester signs off.
    pub async fn sign_off(&self, rollout: Option<RolloutId>, said: SaidOff) -> Result<Box<Report>, CommandError> {
        let (reply, answer) = oneshot::channel();
        self.tell(Input::SignOff { rollout, said: Box::new(said), reply }).await;
        answer.await.unwrap_or(Err(CommandError::Stopped))
    }

    /// Has what is kept of a person or a trace destroyed.
    pub async fn erase(&self, subject: String, by: Principal) -> Result<Erasure, EraseError> {
        let (reply, answer) = oneshot::channel();
        self.tell(Input::Erase { subject, by, reply }).await;
        answer.await.unwrap_or(Err(EraseError::Stopped))
    }

    /// A blob of evidence; that somebody looked at it is recorded.
    pub async fn look(&self, digest: String, by: Principal) -> Result<Vec<u8>, LookError> {
        let (reply, answer) = oneshot::channel();
        self.tell(Input::Look { digest, by, reply }).await;
        answer.await.unwrap_or(Err(LookError::Stopped))
    }

    /// Whether somebody may record what the gateway receives; that it is recorded stands in the ledger then.
    pub async fn record(&self, recording: Recording, by: Principal) -> Result<(), LookError> {
        let (reply, answer) = oneshot::channel();
        self.tell(Input::Record { recording, by, reply }).await;
        answer.await.unwrap_or(Err(LookError::Stopped))
    }

    /// All rollouts of this ledger, the last one last.
    pub async fn list(&self) -> Vec<RolloutSummary> {
        let (reply, answer) = oneshot::channel();
        self.tell(Input::List { reply }).await;
        answer.await.unwrap_or_default()
    }
}
