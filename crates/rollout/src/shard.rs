//! How a year's part of the ledger begins: with the checkpoint under which the one before it ended, and with all of its state
//! that decisions still need. It begins while no rollout runs, so that each rollout stands in one part.

use crate::landmarks::ProofRecords;
use crate::record::Replay;
use crate::state::State;
use model::RouteTable;
use serde::{Deserialize, Serialize};

/// Entry 0 of a part of the ledger that is not the first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ShardStart {
    /// The last checkpoint of the part that ended, as it was signed (C2SP tlog-checkpoint).
    pub checkpoint: String,
    /// The year with which that one ended: its folder is the ledger's with `-` and the year behind its name.
    pub ended: u16,
    /// How many rollouts there were so far, so that no two have one name.
    pub rollouts: u64,
    /// The table that traffic follows; none if there was no rollout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<RouteTable>,
    /// The last one that needed no proof or had one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standing: Option<RouteTable>,
    /// The entries that prove the table, where a rollout ordered it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<ProofRecords>,
    /// The folder that the last plan's relative paths start from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_dir: Option<String>,
}

impl ShardStart {
    /// What the next part must know of the one that ends under this checkpoint; `proof` is of its table.
    pub fn of(replay: &Replay, checkpoint: String, ended: u16, proof: Option<ProofRecords>) -> ShardStart {
        ShardStart {
            checkpoint,
            ended,
            rollouts: replay.rollout_count(),
            table: replay.table().cloned(),
            standing: replay.standing().cloned(),
            proof,
            base_dir: replay.base_dir().map(str::to_owned),
        }
    }
}

/// Whether the ledger can go on in another part: nothing of this one is still to be decided.
pub fn may_end(replay: &Replay) -> bool {
    let under_review = |state: &State| state.glass.as_ref().is_some_and(|glass| glass.review.is_none());
    replay.running().is_none() && replay.unrecorded() == 0 && !replay.rollouts.iter().any(under_review)
}
