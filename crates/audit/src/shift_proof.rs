//! What a gateway must see before it raises the candidate's weight: that the order stands in the ledger, under as many
//! cosignatures as the plan asks for, with the approvals that the plan asks for. Made by the controller's side from the
//! ledger's files, verified by the gateway's side from public keys alone: neither believes the other.

use ledger::{Checkpoint, LogProof, Note, ParseLogProofError, VerifierKey, VerifyLogProofError, WitnessKey};
use model::{BasisPoints, Environment, RouteTable};
use rollout::approval::{Act, SignatureError, Statement};
use rollout::plan::{AcceptanceGate, GateName, Plan, Step};
use rollout::{Body, Decision, Event, KnownPrincipal, Record, Start};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Records that a proof shows: the start, the order, and an approval of each principal, of the gate and of the point of no
/// return.
pub const MAX_RECORDS: usize = 2 + 2 * rollout::MAX_PRINCIPALS;
/// Checkpoints under which they are: one of the log alone, or one of each witness.
pub const MAX_CHECKPOINTS: usize = 15;
/// Bytes of a proof as text. Records of at most 64 KiB are 5 MiB, and 15 proofs of each, of some kilobytes, are less.
pub const MAX_SHIFT_PROOF_BYTES: usize = 16 * 1024 * 1024;

/// A proof for one shift. Its text form is JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ShiftProof {
    /// Entries of the ledger, as canonical JSON: the rollout's start, the approvals that count, the order.
    pub records: Vec<String>,
    /// For each checkpoint a proof (C2SP tlog-proof) of each record, in the same order.
    pub proofs: Vec<Vec<String>>,
}

/// Who is believed.
#[derive(Clone, Debug)]
pub struct Trusted {
    /// The ledger.
    pub log: VerifierKey,
    /// Its witnesses.
    pub witnesses: Vec<WitnessKey>,
    /// Who may approve what.
    pub principals: Vec<KnownPrincipal>,
}

/// A proof that does not hold, or not for this table. The weight stays what it is.
#[derive(Debug, thiserror::Error)]
pub enum ShiftProofError {
    /// There is none.
    #[error("it raises the candidate's weight and comes without a proof that the ledger has the order")]
    Missing,
    /// It cannot be read.
    #[error("the proof is not of its shape: {0}")]
    Shape(String),
    /// One of its proofs cannot be read.
    #[error("proof {record} under checkpoint {checkpoint} is no tlog-proof")]
    Parse {
        /// Which checkpoint, from 0.
        checkpoint: usize,
        /// Which record, from 0.
        record: usize,
        /// Why.
        #[source]
        source: ParseLogProofError,
    },
    /// One of its proofs does not hold.
    #[error("proof {record} under checkpoint {checkpoint} does not hold")]
    Proof {
        /// Which checkpoint, from 0.
        checkpoint: usize,
        /// Which record, from 0.
        record: usize,
        /// Why.
        #[source]
        source: VerifyLogProofError,
    },
    /// Not enough witnesses.
    #[error("{found} witness(es) cosigned it, and the plan asks for {needed}")]
    Cosignatures {
        /// Those that are known, each once.
        found: usize,
        /// So many are needed.
        needed: usize,
    },
    /// A record is none of ours.
    #[error("record {record} of the proof is no record")]
    Record {
        /// Which, from 0.
        record: usize,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// The records are not those of an order of this rollout.
    #[error("{0}")]
    Order(String),
    /// An approval does not hold.
    #[error("an approval in the proof does not hold")]
    Approval(#[from] SignatureError),
    /// The approvals are not enough.
    #[error("{0}")]
    Approvals(String),
}

impl ShiftProof {
    /// Its text form.
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).expect("a proof has text alone")
    }

    /// A proof from its text, within bounds.
    pub fn from_text(text: &str) -> Result<ShiftProof, ShiftProofError> {
        if text.len() > MAX_SHIFT_PROOF_BYTES {
            return Err(ShiftProofError::Shape(format!("{} bytes, at most {MAX_SHIFT_PROOF_BYTES}", text.len())));
        }
        let proof: ShiftProof =
            serde_json::from_str(text).map_err(|error| ShiftProofError::Shape(error.to_string()))?;
        let fits = (2..=MAX_RECORDS).contains(&proof.records.len())
            && (1..=MAX_CHECKPOINTS).contains(&proof.proofs.len())
            && proof.proofs.iter().all(|of_one| of_one.len() == proof.records.len());
        match fits {
            true => Ok(proof),
            false => Err(ShiftProofError::Shape("another number of records or proofs than it needs".to_owned())),
        }
    }
}

/// Whether a table may follow another one: where proofs are asked for ([`RouteTable::needs_proof`]) it needs one, which holds
/// for this very table. Everything else passes, a rollback above all, as long as it leads where traffic went before.
pub fn check(before: Option<&RouteTable>, table: &RouteTable, trusted: &Trusted) -> Result<(), ShiftProofError> {
    let Some(needed) = table.needs_proof(before) else {
        let asks = |before: &&RouteTable| before.proofs.is_some();
        return match before.filter(asks).is_none_or(|before| table.stays(before)) {
            true => Ok(()),
            false => {
                Err(ShiftProofError::Order("traffic would go where it never went, and no proof says so".to_owned()))
            }
        };
    };
    let text = table.proof.as_deref().ok_or(ShiftProofError::Missing)?;
    verify(&ShiftProof::from_text(text)?, table, needed, trusted)
}

/// Whether a proof holds for a table.
pub fn verify(
    proof: &ShiftProof,
    table: &RouteTable,
    cosignatures: u32,
    trusted: &Trusted,
) -> Result<(), ShiftProofError> {
    let records = records(proof)?;
    let origins = in_the_ledger(proof, cosignatures, trusted)?;
    let [(_, first), between @ .., (_, last)] = &records[..] else {
        return Err(ShiftProofError::Order("a start and an order are expected".to_owned()));
    };
    let Body::Started(start) = &first.body else {
        return Err(ShiftProofError::Order("the first record is not the start of a rollout".to_owned()));
    };
    // One key signs each year's part of the ledger.
    if origins.iter().any(|origin| *origin != start.log) {
        return Err(ShiftProofError::Order(
            "the proofs are of another ledger than the start of the rollout names".to_owned(),
        ));
    }
    let ordered =
        records.iter().zip(records.iter().skip(1)).all(|(before, after)| before.1.sequence < after.1.sequence);
    let of_one = records.iter().all(|(_, record)| record.rollout.as_ref() == Some(&start.rollout));
    if first.sequence != 0 || !ordered || !of_one {
        return Err(ShiftProofError::Order("the records are not of one rollout, in their order".to_owned()));
    }
    orders(start, last, table)?;
    approved(start, between.iter().map(|(_, record)| record), table, trusted)
}

fn records(proof: &ShiftProof) -> Result<Vec<(usize, Record)>, ShiftProofError> {
    let read = |(index, text): (usize, &String)| {
        let record: Record =
            serde_json::from_str(text).map_err(|source| ShiftProofError::Record { record: index, source })?;
        match record.version == Record::VERSION {
            true => Ok((index, record)),
            false => Err(ShiftProofError::Order(format!("record {index} is of version {}", record.version))),
        }
    };
    proof.records.iter().enumerate().map(read).collect()
}

/// Every record is in the ledger, under every checkpoint; and so many witnesses cosigned these. Returns which ledgers that are.
fn in_the_ledger(proof: &ShiftProof, needed: u32, trusted: &Trusted) -> Result<BTreeSet<String>, ShiftProofError> {
    let witnesses: Vec<&WitnessKey> = trusted.witnesses.iter().collect();
    let (mut cosigners, mut origins) = (BTreeSet::new(), BTreeSet::new());
    for (checkpoint, proofs) in proof.proofs.iter().enumerate() {
        let mut note: Option<Note> = None;
        for (record, (text, entry)) in proofs.iter().zip(&proof.records).enumerate() {
            let at = |source| ShiftProofError::Proof { checkpoint, record, source };
            let one: LogProof = text.parse().map_err(|source| ShiftProofError::Parse { checkpoint, record, source })?;
            one.verify(entry.as_bytes(), &trusted.log).map_err(at)?;
            if *note.get_or_insert_with(|| one.checkpoint.clone()) != one.checkpoint {
                return Err(ShiftProofError::Order("the proofs of one checkpoint lead to different ones".to_owned()));
            }
        }
        let Some(note) = note else { continue };
        let cosigned = Checkpoint::open_cosigned(&note, &trusted.log, &witnesses);
        let (head, cosigned) =
            cosigned.map_err(|source| ShiftProofError::Proof { checkpoint, record: 0, source: source.into() })?;
        origins.insert(head.origin().to_owned());
        cosigners.extend(cosigned.iter().map(|it| it.witness.to_string()));
    }
    let (found, needed) = (cosigners.len(), usize::try_from(needed).unwrap_or(usize::MAX));
    if found >= needed { Ok(origins) } else { Err(ShiftProofError::Cosignatures { found, needed }) }
}

/// The last record orders this very table, for this very plan.
fn orders(start: &Start, last: &Record, table: &RouteTable) -> Result<(), ShiftProofError> {
    let wrong = |what: &str| Err(ShiftProofError::Order(what.to_owned()));
    let Body::Decided(decision) = &last.body else { return wrong("the last record is no decision") };
    let Decision::ShiftOrdered(shift) = &**decision else { return wrong("the last record orders no shift") };
    if *shift != rollout::Shift::from(table) {
        return Err(ShiftProofError::Order(format!(
            "the ledger orders generation {} ({} active, weight {}), and this is generation {} ({} active, weight {})",
            shift.generation, shift.active, shift.weight, table.generation, table.active, table.weight
        )));
    }
    if start.plan.digest() != start.plan_digest {
        return wrong("the plan in the proof has another digest than the start of the rollout says");
    }
    if start.route_key != table.key || start.plan.pin_ms != table.pin_ms {
        return wrong("the table divides traces otherwise than the rollout's start says");
    }
    let allowed = start.plan.gates.acceptance.as_ref().map(AcceptanceGate::testers);
    if table.testers.is_some() && table.testers != allowed {
        return wrong("the table lets other testers to green than the plan");
    }
    if start.plan.proofs.map(|proofs| proofs.cosignatures) != table.proofs {
        return wrong("the table asks for other proofs than the plan");
    }
    let same = |environment| table.upstreams[environment].as_ref() == Some(&start.upstream(environment));
    match Environment::BOTH.into_iter().all(same) {
        true => Ok(()),
        false => wrong("the table leads to other endpoints than the plan"),
    }
}

/// The approvals that the plan asks for before this shift.
fn approved<'r>(
    start: &Start,
    records: impl Iterator<Item = &'r Record>,
    table: &RouteTable,
    trusted: &Trusted,
) -> Result<(), ShiftProofError> {
    let Some(needed) = needed_before(&start.plan, table) else { return Ok(()) };
    // One that is not even an approval is of the gate, and refused there.
    let is_of_point = |record: &&Record| statement_of(record).is_some_and(|it| it.point_of_no_return.is_some());
    let (of_point, of_gate): (Vec<&Record>, Vec<&Record>) = records.partition(is_of_point);
    if let Some(asked) = &needed.gate {
        enough(start, of_gate, asked, trusted)?;
    }
    match &needed.point {
        Some(asked) => enough(start, of_point, asked, trusted),
        None => Ok(()),
    }
}

fn statement_of(record: &Record) -> Option<Statement> {
    let Body::Happened(event) = &record.body else { return None };
    let Event::ApprovalSubmitted(submission) = &**event else { return None };
    Statement::from_text(&submission.signed.statement).ok()
}

/// Whether these approvals are as many as are asked for, and hold.
fn enough(start: &Start, records: Vec<&Record>, gate: &Asked<'_>, trusted: &Trusted) -> Result<(), ShiftProofError> {
    let last = records.iter().map(|record| record.at).max();
    let mut approvers = BTreeSet::new();
    let mut configurations = None;
    let mut alone = false;
    for record in records {
        let (statement, name) = approval(start, record, gate, trusted)?;
        if configurations.get_or_insert_with(|| statement.configurations.clone()) != &statement.configurations {
            return Err(ShiftProofError::Approvals("the approvals are of different configurations".to_owned()));
        }
        if last.is_some_and(|last| statement.expires_at <= last) {
            return Err(ShiftProofError::Approvals(format!("the approval of {name} expired before there were enough")));
        }
        alone |= matches!(statement.act, Act::BreakGlass { .. }) && gate.break_glass;
        if !approvers.insert(name.clone()) {
            return Err(ShiftProofError::Approvals(format!("{name} approved twice")));
        }
    }
    let needed = if alone { 1 } else { usize::try_from(gate.count).unwrap_or(usize::MAX) };
    match approvers.len() >= needed {
        true => Ok(()),
        false => {
            let found = approvers.len();
            Err(ShiftProofError::Approvals(format!(
                "{found} approval(s) are in the proof, and the plan asks for {needed}"
            )))
        }
    }
}

/// What is asked of approvals of one kind.
struct Asked<'p> {
    role: &'p str,
    count: u32,
    expires_ms: u64,
    break_glass: bool,
    /// The point of no return's reason, which is signed; none for the gate.
    point: Option<&'p str>,
}

/// The approvals that must come before a shift.
struct Needed<'p> {
    gate: Option<Asked<'p>>,
    point: Option<Asked<'p>>,
}

/// The approval gate and the point of no return, if they stand before the step that orders this weight; before a promotion
/// any does.
fn needed_before<'p>(plan: &'p Plan, table: &RouteTable) -> Option<Needed<'p>> {
    let promotes = table.active == Environment::Green;
    // The first table of a rollout, by which the gateway learns of the candidate.
    if !promotes && table.weight == BasisPoints::ZERO && table.testers.is_none() {
        return None;
    }
    let step = |step: &Step| matches!(step, Step::SetWeight { weight } if *weight == table.weight && !promotes);
    let place = |step: &dyn Fn(&Step) -> bool| plan.steps.iter().position(step);
    let until = match (table.weight == BasisPoints::ZERO, table.testers.is_some() && !promotes) {
        // Testers are let in at their gate, or were before this weight.
        (true, true) => place(&|step| *step == Step::Gate(GateName::Acceptance)),
        (false, true) => place(&step).max(place(&|step| *step == Step::Gate(GateName::Acceptance))),
        (_, false) => place(&step),
    };
    let until = until.unwrap_or(plan.steps.len());
    let asks = |wanted: Step| plan.steps[..until].contains(&wanted);
    let gate = plan.gates.approval.as_ref().filter(|_| asks(Step::Gate(GateName::Approval)));
    let point = plan.point_of_no_return.as_ref().filter(|_| asks(Step::PointOfNoReturn));
    Some(Needed {
        gate: gate.map(|gate| Asked {
            role: &gate.role,
            count: gate.count,
            expires_ms: gate.expires_ms,
            break_glass: gate.break_glass.is_some(),
            point: None,
        }),
        point: point.map(|point| Asked {
            role: &point.role,
            count: point.count,
            expires_ms: point.expires_ms,
            break_glass: false,
            point: Some(&point.reason),
        }),
    })
}

fn approval(
    start: &Start,
    record: &Record,
    gate: &Asked<'_>,
    trusted: &Trusted,
) -> Result<(Statement, String), ShiftProofError> {
    let wrong = |what: String| Err(ShiftProofError::Approvals(what));
    let Body::Happened(event) = &record.body else { return wrong("a record between is no approval".to_owned()) };
    let Event::ApprovalSubmitted(submission) = &**event else {
        return wrong("a record between is no approval".to_owned());
    };
    let (statement, key) = submission.signed.open()?;
    let Some(by) = trusted.principals.iter().find(|principal| principal.keys.contains(&key)) else {
        return wrong(format!("no principal has the key {}", key.fingerprint()));
    };
    let of_this =
        statement.log == start.log && statement.rollout == start.rollout && statement.plan == start.plan_digest;
    if !of_this {
        return wrong(format!("{} approved another rollout or plan", by.name));
    }
    if statement.point_of_no_return.as_deref() != gate.point {
        return wrong(format!("what {} approved is another point of no return, or the gate", by.name));
    }
    if gate.point.is_some() && statement.act != Act::Approve {
        return wrong(format!("what {} signed does not pass a point of no return", by.name));
    }
    if statement.act == Act::Review {
        return wrong(format!("what {} signed is no approval", by.name));
    }
    if statement.expires_at <= record.at || statement.expires_at > record.at.plus_ms(gate.expires_ms) {
        return wrong(format!("the approval of {} was not valid when it was handed in", by.name));
    }
    if by.name == start.by.name || start.plan.authors.contains(&by.name) {
        return wrong(format!("{} wrote or started the plan, and cannot approve it", by.name));
    }
    match by.roles.iter().any(|role| role == gate.role) {
        true => Ok((statement, by.name.clone())),
        false => wrong(format!("{} does not have the role {}", by.name, gate.role)),
    }
}

#[cfg(test)]
pub(crate) mod tests;
