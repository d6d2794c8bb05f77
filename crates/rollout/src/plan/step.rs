//! The entries of the strategy.

use super::GateName;
use model::{BasisPoints, ShortDuration};
use serde::{Deserialize, Serialize};
use std::fmt;

/// One entry of the strategy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Step {
    /// A check that runs once.
    Gate(GateName),
    /// The candidate gets a copy of everything; the active environment alone serves.
    Mirror {
        /// How long, in milliseconds, before the next step.
        for_ms: u64,
    },
    /// A share of the traces goes to the candidate, from here on.
    SetWeight {
        /// More than in every step before.
        weight: BasisPoints,
    },
    /// Waits until every guard is proved to hold, or one is proved broken.
    Analysis {
        /// How long at most, in milliseconds; then it is inconclusive.
        at_most_ms: u64,
    },
    /// Waits.
    Pause {
        /// How long, in milliseconds; `None` until a person resumes.
        for_ms: Option<u64>,
    },
    /// Watches the guards and waits.
    Bake {
        /// How long, in milliseconds.
        for_ms: u64,
    },
    /// From here on a rollback is not safe: waits for approvals of its own, as
    /// [`Plan::point_of_no_return`](super::Plan::point_of_no_return) says; nothing rolls back by itself after it.
    PointOfNoReturn,
}

/// As the plan writes it: `setWeight 10%`.
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Gate(gate) => write!(f, "gate {}", gate.name()),
            Step::Mirror { for_ms } => write!(f, "mirror for {}", ShortDuration(*for_ms)),
            Step::SetWeight { weight } => write!(f, "setWeight {weight}"),
            Step::Analysis { at_most_ms } => {
                write!(f, "analysis until conclusive, at most {}", ShortDuration(*at_most_ms))
            }
            Step::Pause { for_ms: Some(ms) } => write!(f, "pause for {}", ShortDuration(*ms)),
            Step::Pause { for_ms: None } => f.write_str("pause until a person resumes"),
            Step::Bake { for_ms } => write!(f, "bake for {}", ShortDuration(*for_ms)),
            Step::PointOfNoReturn => f.write_str("pointOfNoReturn"),
        }
    }
}
