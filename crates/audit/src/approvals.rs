//! The approvals in a bundle: each that counted is signed by somebody who could approve, over what was the case. Needs no
//! measurement, so that it is checked in a bundle that hides them too.

use ledger::{Origin, VerifierKey};
use model::UnixMillis;
use rollout::approval::{Act, PublicKey, SignatureError, Statement, Submission};
use rollout::{Body, Decision, Event, Record, Start};
use std::collections::{BTreeMap, BTreeSet};

/// Keys that an auditor knows to be somebody's, by principal: what the server said of them is compared.
pub type KnownKeys = BTreeMap<String, BTreeSet<PublicKey>>;

/// An approval that counted, and what was checked of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApprovalFound {
    /// The entry of the decision that it counts.
    pub index: u64,
    /// Whose.
    pub by: String,
    /// The key that signed it.
    pub key: PublicKey,
    /// When it was handed in.
    pub at: UnixMillis,
    /// What was signed.
    pub statement: Statement,
}

/// An approval that should not have counted.
#[derive(Debug, thiserror::Error)]
pub enum ApprovalError {
    /// The decision stands without what was handed in.
    #[error("entry {index} counts an approval, and the record before it that it rests on is none, or is hidden")]
    Nothing {
        /// The decision.
        index: u64,
    },
    /// The signature does not hold.
    #[error("the approval of entry {index} does not hold")]
    Signature {
        /// The decision.
        index: u64,
        /// Why.
        #[source]
        source: SignatureError,
    },
    /// It says something else than what it is taken for.
    #[error("the approval of entry {index}, by {by}: {what}")]
    Wrong {
        /// The decision.
        index: u64,
        /// Whose.
        by: String,
        /// What is wrong.
        what: String,
    },
    /// The weight was raised without them.
    #[error(
        "entry {index} leaves the approval gate or the point of no return, and {found} of {needed} approvals counted then"
    )]
    Missing {
        /// The record that the gate was left by.
        index: u64,
        /// How many there were.
        found: usize,
        /// How many the plan asks for.
        needed: usize,
    },
}

/// Checks every approval that counted in these records of one rollout, and that the gate was not left without enough.
pub fn check(
    records: &[(u64, Record)],
    log: &VerifierKey,
    known: &KnownKeys,
) -> Result<Vec<ApprovalFound>, ApprovalError> {
    let mut checking = Checking {
        log,
        known,
        start: None,
        submitted: None,
        counting: Vec::new(),
        of_point: Vec::new(),
        found: Vec::new(),
    };
    for (index, record) in records.iter().filter(|(_, record)| record.rollout.is_some()) {
        checking.take(*index, record)?;
    }
    Ok(checking.found)
}

struct Checking<'r> {
    log: &'r VerifierKey,
    known: &'r KnownKeys,
    start: Option<&'r Start>,
    /// The input before the decisions, if it was an approval, and when.
    submitted: Option<(&'r Submission, UnixMillis)>,
    /// Those that count now: whose, until when, and whether they pass the gate alone.
    counting: Vec<(String, UnixMillis, bool)>,
    /// Those of the point of no return that count now: whose, and until when.
    of_point: Vec<(String, UnixMillis)>,
    found: Vec<ApprovalFound>,
}

impl<'r> Checking<'r> {
    fn take(&mut self, index: u64, record: &'r Record) -> Result<(), ApprovalError> {
        match &record.body {
            Body::Started(start) => self.start = Some(start),
            Body::Happened(event) => {
                self.submitted = match &**event {
                    Event::ApprovalSubmitted(submission) => Some((submission, record.at)),
                    _ => None,
                };
            }
            Body::Decided(decision) => match &**decision {
                Decision::Approved { by, expires_at, of_point, .. } => {
                    self.approved(index, by, *expires_at, *of_point)?;
                }
                Decision::ApprovalsVoid { .. } => {
                    self.counting.clear();
                    self.of_point.clear();
                }
                Decision::StepEntered { step, .. } => self.entered(index, *step, record.at)?,
                _ => {}
            },
            _ => {}
        }
        Ok(())
    }

    fn approved(&mut self, index: u64, by: &str, expires_at: UnixMillis, of_point: bool) -> Result<(), ApprovalError> {
        let (Some(start), Some((submission, at))) = (self.start, self.submitted) else {
            return Err(ApprovalError::Nothing { index });
        };
        let wrong = |what: String| Err(ApprovalError::Wrong { index, by: by.to_owned(), what });
        let (statement, key) = submission.signed.open().map_err(|source| ApprovalError::Signature { index, source })?;
        let Some(signer) = submission.signer.as_ref().filter(|signer| signer.name == by) else {
            return wrong("it counts for somebody else than the server says signed it".to_owned());
        };
        let asked = match of_point {
            true => start.plan.point_of_no_return.as_ref().map(|point| (&point.role, point.expires_ms)),
            false => start.plan.gates.approval.as_ref().map(|gate| (&gate.role, gate.expires_ms)),
        };
        let Some((role, expires_ms)) = asked else { return wrong("the plan asks for no approval".to_owned()) };
        let point = start.plan.point_of_no_return.as_ref().filter(|_| of_point);
        if statement.point_of_no_return.as_ref() != point.map(|point| &point.reason) {
            return wrong(
                "an approval of the gate is none of the point of no return, nor the other way round".to_owned(),
            );
        }
        if let Some(keys) = self.known.get(by).filter(|keys| !keys.contains(&key)) {
            return wrong(format!(
                "{} signed it, which is none of the {} key(s) that are known",
                key.fingerprint(),
                keys.len()
            ));
        }
        if !self.known.is_empty() && !self.known.contains_key(by) {
            return wrong("no key of this principal is known".to_owned());
        }
        let of_log = Origin::of(self.log.name(), &start.log).is_some() && statement.log == start.log;
        let of_this = of_log && statement.rollout == start.rollout;
        if !of_this || statement.plan != start.plan_digest || start.plan.digest() != start.plan_digest {
            return wrong("it is of another ledger, rollout or plan".to_owned());
        }
        if by == start.by.name || start.plan.authors.iter().any(|author| author == by) {
            return wrong("who wrote or started a plan cannot approve it".to_owned());
        }
        if !signer.roles.contains(role) {
            return wrong(format!("it is not from the role {role}"));
        }
        if statement.expires_at != expires_at || expires_at <= at || expires_at > at.plus_ms(expires_ms) {
            return wrong("it was not valid when it was handed in".to_owned());
        }
        if of_point {
            return self.approved_point(index, by, expires_at, at, key, statement);
        }
        self.counting.retain(|(_, until, _)| *until > at);
        if self.counting.iter().any(|(name, _, _)| name == by) {
            return wrong("it is the second of the same principal".to_owned());
        }
        let alone = match &statement.act {
            Act::Approve => false,
            Act::BreakGlass { .. } if start.plan.gates.approval.as_ref().is_some_and(|it| it.break_glass.is_some()) => {
                true
            }
            Act::BreakGlass { .. } => return wrong("the plan lets nobody break the glass".to_owned()),
            Act::Review => return wrong("what was signed is a review".to_owned()),
        };
        self.counting.push((by.to_owned(), expires_at, alone));
        self.found.push(ApprovalFound { index, by: by.to_owned(), key, at, statement });
        Ok(())
    }

    fn approved_point(
        &mut self,
        index: u64,
        by: &str,
        expires_at: UnixMillis,
        at: UnixMillis,
        key: PublicKey,
        statement: Statement,
    ) -> Result<(), ApprovalError> {
        let wrong = |what: &str| Err(ApprovalError::Wrong { index, by: by.to_owned(), what: what.to_owned() });
        if statement.act != Act::Approve {
            return wrong("the point of no return is passed by approvals alone");
        }
        self.of_point.retain(|(_, until)| *until > at);
        if self.of_point.iter().any(|(name, _)| name == by) {
            return wrong("it is the second of the same principal");
        }
        self.of_point.push((by.to_owned(), expires_at));
        self.found.push(ApprovalFound { index, by: by.to_owned(), key, at, statement });
        Ok(())
    }

    /// A step behind the approval gate begins: there were enough.
    fn entered(&mut self, index: u64, step: usize, at: UnixMillis) -> Result<(), ApprovalError> {
        use rollout::plan::{GateName, Step};
        let Some(start) = self.start else { return Ok(()) };
        // Steps count from 1, so the one before has the index of this less two.
        let before = step.checked_sub(2).and_then(|before| start.plan.steps.get(before));
        if let (Some(Step::PointOfNoReturn), Some(point)) = (before, &start.plan.point_of_no_return) {
            let found = self.of_point.iter().filter(|(_, until)| *until > at).count();
            let needed = usize::try_from(point.count).unwrap_or(usize::MAX);
            return if found >= needed { Ok(()) } else { Err(ApprovalError::Missing { index, found, needed }) };
        }
        let (Some(Step::Gate(GateName::Approval)), Some(gate)) = (before, &start.plan.gates.approval) else {
            return Ok(());
        };
        let counting = self.counting.iter().filter(|(_, until, _)| *until > at);
        let needed = usize::try_from(gate.count).unwrap_or(usize::MAX);
        let (found, alone) = counting.fold((0, false), |(found, alone), (_, _, glass)| (found + 1, alone | *glass));
        match alone || found >= needed {
            true => Ok(()),
            false => Err(ApprovalError::Missing { index, found, needed }),
        }
    }
}

#[cfg(test)]
mod tests;
