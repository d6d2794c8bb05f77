//! What somebody can ask of a server.

use serde::{Deserialize, Serialize};
use std::fmt;

/// One thing that is allowed or refused. Every endpoint asks for exactly one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Action {
    /// Rollouts, their plans, reports, gates, drift, service map, without values of the traffic.
    SeeRollouts,
    /// What the server says of itself: addresses, counters, metrics.
    SeeServer,
    /// Records, proofs and checkpoints.
    SeeLedger,
    /// A bundle for an auditor.
    ExportLedger,
    /// Example traces and evidence: values of the traffic. Each look is recorded.
    SeeExamples,
    /// What would a plan do.
    CheckPlan,
    /// Begin a rollout.
    Start,
    /// Pause, resume, promote, roll back.
    Steer,
    /// Say as a tester whether green is good. Who is a tester, the plan says.
    SignOff,
    /// What there is to sign.
    SeeStatement,
    /// Hand in what was signed.
    Approve,
    /// Have what a pipeline changes learned from the traffic.
    Learn,
    /// Have the traffic recorded.
    Record,
    /// Have what is kept of a person destroyed.
    Erase,
    /// Be told the route table, and tell what was applied.
    FollowTable,
    /// Write to the tap of one's own environment.
    Export,
}

impl Action {
    /// All of them, in the order of the table.
    pub const ALL: [Action; 16] = [
        Action::SeeRollouts,
        Action::SeeServer,
        Action::SeeLedger,
        Action::ExportLedger,
        Action::SeeExamples,
        Action::CheckPlan,
        Action::Start,
        Action::Steer,
        Action::SignOff,
        Action::SeeStatement,
        Action::Approve,
        Action::Learn,
        Action::Record,
        Action::Erase,
        Action::FollowTable,
        Action::Export,
    ];

    /// In words, after "may".
    pub fn words(self) -> &'static str {
        match self {
            Action::SeeRollouts => "see rollouts",
            Action::SeeServer => "see what the server says of itself",
            Action::SeeLedger => "read the ledger",
            Action::ExportLedger => "export a bundle of the ledger",
            Action::SeeExamples => "see example traces and evidence",
            Action::CheckPlan => "check a plan",
            Action::Start => "start a rollout",
            Action::Steer => "pause, resume, promote and roll back",
            Action::SignOff => "sign off as a tester",
            Action::SeeStatement => "see what there is to approve",
            Action::Approve => "approve",
            Action::Learn => "have a pipeline's changes learned",
            Action::Record => "record traffic",
            Action::Erase => "erase what is kept of a person",
            Action::FollowTable => "follow the route table",
            Action::Export => "write to a tap",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.words())
    }
}
