//! Why something that was asked of the controller did not happen: an enum for each thing that can be asked.

use model::Environment;
use rollout::RolloutId;
use rollout::plan::PlanErrors;

/// Why a rollout does not start. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The plan says something that cannot be.
    #[error("the plan is refused")]
    Plan(PlanErrors),
    /// One at a time.
    #[error("{rollout} is under way: one rollout runs at a time; wait for it, or roll it back")]
    Running {
        /// Which.
        rollout: RolloutId,
    },
    /// The plan starts from somewhere else than the traffic is.
    #[error(
        "blue's endpoint is {plan}, but traffic is served by {serving}: blue must be the environment that is active \
         now; expected environments.blue.otlp to name {serving}"
    )]
    NotActive {
        /// What the plan says.
        plan: String,
        /// What serves.
        serving: String,
    },
    /// A tap that the gateway does not have.
    #[error("environments.{environment}.tap is {tap:?}, but the gateway has the taps {known}")]
    UnknownTap {
        /// Which environment.
        environment: Environment,
        /// What the plan says.
        tap: String,
        /// What there is.
        known: String,
    },
    /// A policy of the security gate cannot be used.
    #[error(transparent)]
    Policy(#[from] crate::PolicyError),
    /// More cosignatures than there can be.
    #[error(
        "proofs.cosignatures is {needed}, but this server asks {asked} witness(es): see ledger.witnesses in verdigris.yaml"
    )]
    TooFewWitnesses {
        /// What the plan says.
        needed: u32,
        /// How many there are.
        asked: usize,
    },
    /// It could not be recorded.
    #[error("the ledger did not take it, so nothing was started: {0}")]
    Ledger(String),
    /// The controller is gone.
    #[error("the controller has stopped")]
    Stopped,
}

/// Why a command did nothing.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// No such rollout.
    #[error("there is no {}; `verdigris rollout list` shows those there are", if name.is_empty() { "rollout yet" } else { name })]
    Unknown {
        /// What was asked for.
        name: String,
    },
    /// The rollout's state does not allow it. The refusal is recorded.
    #[error("{command} was refused: {reason}")]
    Refused {
        /// Which command.
        command: String,
        /// Why.
        reason: String,
    },
    /// It could not be recorded.
    #[error("the ledger did not take it, so nothing was done: {0}")]
    Ledger(String),
    /// The controller is gone.
    #[error("the controller has stopped")]
    Stopped,
}

impl CommandError {
    /// There is no rollout of this name, or none at all.
    pub(crate) fn unknown(rollout: Option<&RolloutId>) -> CommandError {
        CommandError::Unknown { name: rollout.map(RolloutId::to_string).unwrap_or_default() }
    }
}

/// Why nothing was erased.
#[derive(Debug, thiserror::Error)]
pub enum EraseError {
    /// The configuration would bring it back.
    #[error(
        "verdigris.yaml still says who {name} is: take `person` out of it, have it read again (SIGHUP), and erase then"
    )]
    StillNamed {
        /// Whose.
        name: String,
    },
    /// There is no such thing.
    #[error(
        "nothing is kept of {subject}: expected the name of a principal with a `person`, or trace: and the id of a kept \
         example"
    )]
    Nothing {
        /// What was asked for.
        subject: String,
    },
    /// Not the id of a trace.
    #[error("trace:{found} is no trace: expected 32 hexadecimal digits")]
    NotATrace {
        /// What was asked for.
        found: String,
    },
    /// It could not be recorded, so nothing was destroyed.
    #[error("the ledger did not take it, so nothing was erased: {0}")]
    Ledger(String),
    /// It is recorded, and the disk failed: the next start destroys what is left.
    #[error(
        "the erasure is recorded, but what it names is not destroyed yet; it is tried again at the next start: {0}"
    )]
    Disk(String),
    /// The controller is gone.
    #[error("the controller has stopped")]
    Stopped,
}

/// Why the taps stay what they are.
#[derive(Debug, thiserror::Error)]
pub enum TapsError {
    /// Traffic comes in there.
    #[error("the route table that applies says that {environment} exports to the tap {tap:?}: keep it")]
    InUse {
        /// Whose tap.
        environment: Environment,
        /// Its name.
        tap: String,
    },
    /// The controller is gone.
    #[error("the controller has stopped")]
    Stopped,
}

/// Why the ledger is not released. Everything goes on.
#[derive(Debug, thiserror::Error)]
pub enum ReleaseError {
    /// The stop could not be recorded.
    #[error("the ledger did not take the record of the stop: {0}")]
    Ledger(String),
    /// The controller is gone.
    #[error("the controller has stopped")]
    Stopped,
}
