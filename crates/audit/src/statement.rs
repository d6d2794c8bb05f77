//! What the log's key states of gates, verdicts and decisions: in-toto Statements v1, for programs that know nothing of ledgers.
//!
//! | of a record | predicate |
//! | --- | --- |
//! | a gate that ended in Pass or Fail | `https://in-toto.io/attestation/test-result/v0.1` |
//! | a gate that ended in Inconclusive or Error | [`DECISION`]: the test result has no word for these, and neither is a warning (invariant 4) |
//! | an approval that counts, a verdict, a rollback, a promotion, an end | [`DECISION`] |
//!
//! A statement says nothing that its record does not: it is derived, and compared when a bundle is verified. Its subjects are the
//! plan, by the digest that approvals name, and what the plan says is deployed, where it says so.

use crate::bundle::{Bundle, EntryContent};
use crate::derived::{PLAN, started};
use crate::moment::rfc3339;
use model::Environment;
use rollout::{Body, Decision, Event, GateResult, GateVerdict, Record, Start};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;

/// What a payload is (in-toto attestation v1, *envelope.md*).
pub(crate) const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

const STATEMENT: &str = "https://in-toto.io/Statement/v1";
const TEST_RESULT: &str = "https://in-toto.io/attestation/test-result/v0.1";
/// A record's event or decision, as the record has it.
pub const DECISION: &str = "https://verdigris.dev/attestation/decision/v1";

/// Why a bundle's own format always gives JSON.
const IS_JSON: &str = "text keys, texts and what was read from JSON are JSON";

/// The statements that the records which are shown lead to, by the index of the record: canonical JSON (RFC 8785). None if the
/// record that started the rollout is hidden.
pub(crate) fn statements(bundle: &Bundle, origin: &str, records: &[(u64, Record)]) -> BTreeMap<u64, String> {
    let Some((_, start)) = started(records) else { return BTreeMap::new() };
    let stated = records.iter().filter_map(|(index, record)| {
        let (predicate_type, mut predicate) = predicate(start, record)?;
        predicate["verdigrisRecord"] = reference(bundle, origin, *index, record);
        let statement = json!({
            "_type": STATEMENT,
            "subject": subjects(start),
            "predicateType": predicate_type,
            "predicate": predicate,
        });
        Some((*index, serde_json_canonicalizer::to_string(&statement).expect(IS_JSON)))
    });
    stated.collect()
}

/// What is stated of a record; nothing of most.
fn predicate(start: &Start, record: &Record) -> Option<(&'static str, Value)> {
    match &record.body {
        Body::Happened(event) => match &**event {
            Event::GateFinished { gate, run, result } => Some(gate_result(start, gate.name(), *run, result)),
            Event::Tick
            | Event::Observed(_)
            | Event::Measured { .. }
            | Event::CanaryFollowed(_)
            | Event::LeaksSearched(_)
            | Event::ConfigurationsRead(_)
            | Event::ApprovalSubmitted(_)
            | Event::SignedOff(_)
            | Event::Applied { .. }
            | Event::Commanded { .. }
            | Event::Restarted => None,
        },
        Body::Decided(decision) => match &**decision {
            Decision::Judged { .. }
            | Decision::Approved { .. }
            | Decision::GlassBroken { .. }
            | Decision::PointPassed { .. }
            | Decision::ApprovalsVoid { .. }
            | Decision::SignedOff { .. }
            | Decision::RollbackOrdered(_)
            | Decision::PromotionOrdered
            | Decision::Ended(_) => {
                Some((DECISION, json!({ "decision": serde_json::to_value(decision).expect(IS_JSON) })))
            }
            Decision::StepEntered { .. }
            | Decision::ShiftOrdered(_)
            | Decision::ShiftObserved(_)
            | Decision::GateRequested { .. }
            | Decision::SourceFails { .. }
            | Decision::SourceAnswers { .. }
            | Decision::Refused { .. }
            | Decision::Paused
            | Decision::Resumed
            | Decision::Skipped { .. }
            | Decision::Held(_)
            | Decision::Extended { .. } => None,
        },
        Body::ServerStarted { .. }
        | Body::ServerStopped
        | Body::Started(_)
        | Body::EvidenceKept { .. }
        | Body::EvidenceDeleted { .. }
        | Body::KeyRotated { .. }
        | Body::ShardBegan(_)
        | Body::EntriesPruned { .. }
        | Body::EvidenceRead { .. }
        | Body::TrafficRecorded { .. }
        | Body::AccessRefused { .. }
        | Body::NotificationsRead { .. }
        | Body::Notified { .. }
        | Body::PrincipalsRead { .. }
        | Body::Heartbeat
        | Body::Erased { .. }
        | Body::Reviewed { .. }
        | Body::ReviewOverdue { .. } => None,
    }
}

fn gate_result(start: &Start, gate: &str, run: u32, result: &GateResult) -> (&'static str, Value) {
    let GateResult { verdict, reasons, evidence } = result;
    let word = match verdict {
        GateVerdict::Pass => "PASSED",
        GateVerdict::Fail => "FAILED",
        GateVerdict::Inconclusive | GateVerdict::Error => {
            let told = json!({ "gate": gate, "run": run, "result": serde_json::to_value(result).expect(IS_JSON) });
            return (DECISION, told);
        }
    };
    let by_word = |of: &str| if of == word { vec![gate] } else { Vec::new() };
    let predicate = json!({
        "result": word,
        "configuration": [{ "name": PLAN, "digest": digest_set(&start.plan_digest) }],
        "passedTests": by_word("PASSED"),
        "warnedTests": [],
        "failedTests": by_word("FAILED"),
        "verdigrisGate": { "run": run, "reasons": reasons, "evidence": evidence },
    });
    (TEST_RESULT, predicate)
}

/// The plan, and what is deployed.
fn subjects(start: &Start) -> Vec<Value> {
    let mut subjects = vec![json!({ "name": PLAN, "digest": digest_set(&start.plan_digest) })];
    for environment in Environment::BOTH {
        if let Some(artifact) = &start.plan.environments[environment].artifact {
            subjects.push(json!({ "name": environment.to_string(), "digest": digest_set(artifact) }));
        }
    }
    subjects
}

/// `sha256:…` as a DigestSet.
fn digest_set(digest: &str) -> Value {
    json!({ "sha256": digest.strip_prefix("sha256:").unwrap_or(digest) })
}

/// Where it stands: in which ledger, and the digest of the record's bytes.
fn reference(bundle: &Bundle, origin: &str, index: u64, record: &Record) -> Value {
    json!({
        "ledger": origin,
        "entry": index,
        "rollout": bundle.rollout,
        "sequence": record.sequence,
        "at": rfc3339(record.at),
        "by": record.by,
        "digest": { "sha256": sha256_of_entry(bundle, index) },
    })
}

/// The SHA-256 of a record's bytes, as of the file that it is in a bundle. Not its leaf hash, which other tools do not make.
pub(crate) fn sha256_of_entry(bundle: &Bundle, index: u64) -> String {
    match bundle.entries.get(&index).map(|entry| &entry.content) {
        Some(EntryContent::Shown(bytes)) => sha256(bytes),
        Some(EntryContent::Hidden(_)) | None => String::new(),
    }
}

/// 64 hexadecimal digits.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}
