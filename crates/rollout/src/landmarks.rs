//! Which records a proof of a shift shows: a fold over the ledger, so that a restart knows it again.

use crate::event::{Decision, Event};
use crate::record::{Body, Record};
use model::UnixMillis;
use serde::{Deserialize, Serialize};

/// Which of a rollout's records a proof of an order must show, as indices of the ledger.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Landmarks {
    started: u64,
    submitted: Option<u64>,
    approvals: Vec<Landmark>,
    /// Whether the point of no return is passed: what approved it counts from then on, whatever changes.
    passed: bool,
    shifts: Vec<(u64, u64)>,
    /// The generation that was ordered last in a part of the ledger that ended, and its records.
    before: Option<(u64, ProofRecords)>,
}

/// The records that prove an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProofRecords {
    /// As indices of the ledger.
    pub records: Vec<u64>,
    /// The year with which the part of the ledger ended that they are in; none of the one that is being written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<u16>,
}

/// An approval that counted when it was handed in.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Landmark {
    by: String,
    at: UnixMillis,
    expires_at: UnixMillis,
    index: u64,
    of_point: bool,
}

impl Landmarks {
    /// Takes the next record of the ledger; a rollout's start forgets the one before.
    pub fn take(&mut self, index: u64, record: &Record) {
        match &record.body {
            Body::ShardBegan(start) => {
                let table = start.table.as_ref().zip(start.proof.clone());
                self.before = table.map(|(table, proof)| (table.generation, proof));
            }
            Body::Started(_) => *self = Landmarks { started: index, ..Landmarks::default() },
            Body::Happened(event) => {
                self.submitted = matches!(**event, Event::ApprovalSubmitted(_)).then_some(index);
            }
            Body::Decided(decision) => match &**decision {
                Decision::Approved { by, expires_at, of_point, .. } => {
                    // A decision stands behind the input that it was made upon.
                    let Some(index) = self.submitted else { return };
                    let (by, at, expires_at) = (by.clone(), record.at, *expires_at);
                    let of_point = *of_point;
                    self.approvals
                        .retain(|before| before.of_point != of_point || before.by != by && before.expires_at > at);
                    self.approvals.push(Landmark { by, at, expires_at, index, of_point });
                }
                Decision::PointPassed { .. } => self.passed = true,
                Decision::ApprovalsVoid { .. } => {
                    let passed = self.passed;
                    self.approvals.retain(|before| before.of_point && passed);
                }
                Decision::ShiftOrdered(shift) => self.shifts.push((shift.generation, index)),
                _ => {}
            },
            _ => {}
        }
    }

    /// The records for the shift of this generation; none if the last rollout ordered no such.
    pub fn of(&self, generation: u64) -> Option<ProofRecords> {
        let Some((_, ordered)) = self.shifts.iter().rev().find(|(of, _)| *of == generation) else {
            return self.before.as_ref().filter(|(of, _)| *of == generation).map(|(_, proof)| proof.clone());
        };
        let approvals = self.approvals.iter().map(|approval| approval.index).filter(|index| index < ordered);
        let records = std::iter::once(self.started).chain(approvals).chain(std::iter::once(*ordered)).collect();
        Some(ProofRecords { records, ended: None })
    }
}
