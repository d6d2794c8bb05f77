//! Bundles of a small rollout: written, checked, replayed, and tampered with.

mod assessed;
mod consistent;
mod keyed;
mod reported;
mod stated;
mod tampered;

use crate::Verified;
use crate::{Bundle, Entry, EntryContent, ReplayBundleError, Sequence, VerifyBundleError, Words, is_measurement};
use ledger::{Checkpoint, CosignerKey, Envelope, Hash, KeyName, LogProof, LogSigner, SignerKey};
use model::{Check, Environment, Observation, RouteKey, UnixMillis};
use rollout::plan::{GateName, parse};
use rollout::{
    Action, Body, Decision, Event, JudgeEvidence, Outcome, Principal, Record, RolloutId, Start, start, step,
};
use rollout::{GateResult, GateVerdict};
use std::collections::BTreeMap;

const PLAN: &str = r#"
apiVersion: verdigris.dev/v1alpha1
kind: Rollout
metadata: { name: demo, reason: a test }
spec:
  subject: pipeline
  environments:
    blue: { version: "1", otlp: { grpc: "http://127.0.0.1:14317" } }
    green: { version: "2", otlp: { grpc: "http://127.0.0.1:24317" } }
  strategy:
    steps:
      - setWeight: 50%
      - analysis: { until: conclusive, atMost: 60s }
      - setWeight: 100%
      - bake: { for: 20s }
  guards: { spanLoss: { atMost: 1% } }
  analysis: { falseAlarm: 0.001, onInconclusive: hold, batch: 1s }
  verification: { horizon: 2s, linger: 1s }
  pin: 1s
"#;

/// A ledger with a rollout between records of the server.
struct Ledger {
    key: SignerKey,
    old_key: Option<SignerKey>,
    witnesses: Vec<CosignerKey>,
    now: UnixMillis,
    records: Vec<Record>,
    evidence: BTreeMap<String, Vec<u8>>,
}

fn key(seed: u8) -> SignerKey {
    SignerKey::new(KeyName::new("verdigris.example/ledger").unwrap(), &[seed; 32])
}

pub(crate) fn encoded(record: &Record) -> Vec<u8> {
    serde_json_canonicalizer::to_vec(record).unwrap()
}

impl Ledger {
    /// Green loses a span in every second trace, and is rolled back.
    fn of_a_rollback() -> Ledger {
        let witness =
            |seed| CosignerKey::new(KeyName::new(&format!("example.com/witness-{seed}")).unwrap(), &[seed; 32]);
        let mut ledger = Ledger {
            key: key(1),
            old_key: None,
            witnesses: vec![witness(11), witness(12)],
            now: UnixMillis(1_700_000_000_000),
            records: Vec::new(),
            evidence: BTreeMap::new(),
        };
        ledger.note(None, 7, Body::ServerStarted { version: "1".into() });
        let plan = parse(PLAN).unwrap();
        let begun = Start {
            rollout: RolloutId("demo.1".into()),
            plan_digest: plan.digest(),
            plan,
            by: Principal::new("alice", vec![]),
            program: "test".into(),
            route_key: RouteKey([7; 16]),
            base_dir: "/".into(),
            log: "example.com/ledger".into(),
            last_generation: 7,
        };
        let mut next = start(&begun, ledger.now);
        ledger.decided(Body::Started(Box::new(begun)), &next);
        for batch in 1..60 {
            let state = next.state.clone();
            let ordered = next.actions.iter().any(|action| matches!(action, Action::Publish(_)));
            ledger.now = ledger.now.plus_ms(1_000);
            let event = match ordered {
                true => Event::Applied { generation: state.table.generation, torn: 0, routed: state.table.routed() },
                false => Event::Observed(Box::new(lossy(batch, ledger.now))),
            };
            next = step(&state, &event, ledger.now);
            if let Some(Decision::Judged { evidence: Some(_), assessment }) = judged(&next.decisions) {
                let blob = JudgeEvidence::of(&next.state, assessment);
                let digest = blob.digest().trim_start_matches("sha256:").to_owned();
                ledger.evidence.insert(digest, blob.to_bytes());
            }
            ledger.decided(Body::Happened(Box::new(event)), &next);
            if batch == 2 {
                ledger.note(None, 8, Body::ServerStopped);
            }
            if next.decisions.iter().any(|decision| matches!(decision, Decision::Ended(Outcome::RolledBack(_)))) {
                ledger.note(None, 9, Body::ServerStopped);
                return ledger;
            }
        }
        panic!("not rolled back: {:#?}", next.state.phase);
    }

    /// The fewest records with which a bundle has each kind of file. What they say does not follow from each other.
    fn of_each_kind_of_file() -> Ledger {
        let mut ledger = Ledger::of_a_rollback();
        let blob = b"what a gate rests on".to_vec();
        let digest = crate::statement::sha256(&blob);
        let result =
            GateResult { verdict: GateVerdict::Pass, reasons: vec![], evidence: Some(format!("sha256:{digest}")) };
        let gate = Body::Happened(Box::new(Event::GateFinished { gate: GateName::Drift, run: 1, result }));
        ledger.evidence = BTreeMap::from([(digest, blob)]);
        let mut take = |is_it: fn(&Body) -> bool| {
            let at = ledger.records.iter().position(|record| is_it(&record.body)).unwrap();
            ledger.records.remove(at).body
        };
        let started = take(|body| matches!(body, Body::Started(_)));
        let observed = take(|body| matches!(body, Body::Happened(event) if matches!(**event, Event::Observed(_))));
        let ended = take(|body| matches!(body, Body::Decided(decision) if matches!(**decision, Decision::Ended(_))));
        ledger.records.clear();
        let (old, new) = (key(2).verifier().to_string(), key(1).verifier().to_string());
        ledger.old_key = Some(key(2));
        ledger.note(None, 6, Body::KeyRotated { old, new });
        ledger.note(None, 7, Body::ServerStarted { version: "1".into() });
        for (sequence, body) in (0..).zip([started, observed, gate, ended]) {
            ledger.note(Some(RolloutId("demo.1".into())), sequence, body);
            if sequence == 1 {
                ledger.note(None, 8, Body::ServerStopped);
            }
        }
        ledger
    }

    fn decided(&mut self, input: Body, next: &rollout::Step) {
        let decided = next.decisions.iter().map(|decision| Body::Decided(Box::new(decision.clone())));
        for body in std::iter::once(input).chain(decided) {
            let sequence = self.records.iter().filter(|record| record.rollout.is_some()).count() as u64;
            self.note(Some(next.state.rollout.clone()), sequence, body);
        }
    }

    fn note(&mut self, rollout: Option<RolloutId>, sequence: u64, body: Body) {
        let (at, by) = (self.now, "test".into());
        self.records.push(Record { version: Record::VERSION, rollout, sequence, at, by, body });
    }

    /// The first record says so.
    fn changed_from(&self, old: &SignerKey) -> LogProof {
        let record = encoded(&self.records[0]);
        let checkpoint = Checkpoint::new(old.verifier().name(), 1, Hash::of_leaf(&record));
        let (old, new) = (LogSigner::from(old.clone()), LogSigner::from(self.key.clone()));
        let checkpoint = checkpoint.signed_by(&[&old, &new]).unwrap();
        LogProof { extra: Some(record), index: 0, hashes: Vec::new(), checkpoint }
    }

    /// The part that is the rollout's.
    fn bundle(&self) -> Bundle {
        let leaves: Vec<Hash> = self.records.iter().map(|record| Hash::of_leaf(&encoded(record))).collect();
        let of_rollout = |(_, record): &(usize, &Record)| record.rollout.is_some();
        let indexed = || self.records.iter().enumerate();
        let first = indexed().find(of_rollout).unwrap().0;
        let last = indexed().rfind(of_rollout).unwrap().0;
        let checkpoint = Checkpoint::new(self.key.verifier().name(), leaves.len() as u64, root(&leaves));
        let signed = checkpoint.sign(&self.key);
        let cosigned = self.witnesses.iter().zip(50..).map(|(witness, at_s)| witness.cosign(signed.text(), at_s));
        let entry = |index: usize| {
            let content = EntryContent::Shown(encoded(&self.records[index]));
            (index as u64, Entry { content, proof: proof(&leaves, index) })
        };
        let mut bundle = Bundle {
            rollout: RolloutId("demo.1".into()),
            checkpoint: signed.with_signatures(cosigned).unwrap(),
            witnesses: self.witnesses.iter().map(|witness| witness.verifier().clone()).collect(),
            key_changes: self.old_key.iter().map(|old| (0, self.changed_from(old))).collect(),
            consistency: BTreeMap::new(),
            entries: (first..=last).map(entry).collect(),
            evidence: self.evidence.clone(),
            statements: BTreeMap::new(),
        };
        bundle.sign_statements(&self.key);
        bundle
    }
}

fn judged(decisions: &[Decision]) -> Option<&Decision> {
    decisions.iter().find(|decision| matches!(decision, Decision::Judged { evidence: Some(_), .. }))
}

fn lossy(batch: u64, now: UnixMillis) -> Observation {
    let mut observation = Observation::of_nothing(batch, now, now.plus_ms(1_000));
    for environment in Environment::BOTH {
        let arm = &mut observation.arms[environment];
        (arm.traces, arm.spans_acknowledged, arm.spans_out) = (100, 100, 100);
    }
    let green = &mut observation.arms.green;
    green.events.insert(Check::LostSpan, 50);
    green.spans_out = 50;
    observation
}

/// RFC 6962, section 2.1, by its recursion.
pub(crate) fn root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => Hash::of_empty_tree(),
        [one] => *one,
        many => {
            let (left, right) = many.split_at(many.len().next_power_of_two() / 2);
            Hash::of_node(root(left), root(right))
        }
    }
}

/// RFC 6962, section 2.1.1.
pub(crate) fn proof(leaves: &[Hash], index: usize) -> Vec<Hash> {
    if leaves.len() <= 1 {
        return Vec::new();
    }
    let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
    let (mut inner, other) = match index < left.len() {
        true => (proof(left, index), root(right)),
        false => (proof(right, index - left.len()), root(left)),
    };
    inner.push(other);
    inner
}

#[test]
fn a_bundle_is_checked_and_replayed_by_the_key_alone() {
    let ledger = Ledger::of_a_rollback();
    let bytes = ledger.bundle().to_bytes();
    assert_eq!(bytes, ledger.bundle().to_bytes(), "the same bundle has the same bytes");
    let (bundle, verified) = Bundle::verify(&bytes, ledger.key.verifier()).unwrap();
    assert_eq!(bundle, ledger.bundle());
    let cosigned: Vec<_> = verified.cosigned.iter().map(|it| (it.witness.clone(), it.at_s)).collect();
    let expected: Vec<_> = ledger.witnesses.iter().map(|it| it.verifier().clone()).zip(50..).collect();
    assert_eq!(cosigned, expected);
    let shown = ledger.records.len() as u64 - 3;
    assert_eq!(verified.sequence, Sequence { shown, hidden: 0, of_server: 1 });
    assert_eq!(verified.missing_evidence, Vec::<String>::new());
    let replayed = bundle.replay(&verified).unwrap();
    assert!(matches!(replayed.state.outcome(), Some(Outcome::RolledBack(_))));
    let decided = ledger.records.iter().filter(|record| matches!(record.body, Body::Decided(_))).count() as u64;
    assert_eq!((replayed.decisions, replayed.judged_again), (decided, 1));
}

#[test]
fn what_is_hidden_is_still_proved_and_cannot_be_replayed() {
    let ledger = Ledger::of_a_rollback();
    let mut bundle = ledger.bundle();
    let mut hidden = 0;
    for (index, entry) in &mut bundle.entries {
        if is_measurement(&ledger.records[*index as usize]) {
            *entry = entry.clone().hidden();
            hidden += 1;
        }
    }
    assert!(hidden > 0);
    let bytes = bundle.to_bytes();
    assert!(!String::from_utf8_lossy(&bytes).contains("spansAcknowledged"), "what is hidden is not there");
    let (read, verified) = Bundle::verify(&bytes, ledger.key.verifier()).unwrap();
    assert_eq!((read, verified.sequence.hidden), (bundle, hidden));
    let refused = ledger.bundle().replay(&verified);
    assert!(matches!(refused, Err(ReplayBundleError::Hidden { hidden: found }) if found == hidden));
}

#[test]
fn evidence_that_was_deleted_is_told_and_changes_nothing_else() {
    let mut ledger = Ledger::of_a_rollback();
    let digests: Vec<String> = std::mem::take(&mut ledger.evidence).into_keys().collect();
    let (bundle, verified) = Bundle::verify(&ledger.bundle().to_bytes(), ledger.key.verifier()).unwrap();
    assert_eq!(verified.missing_evidence, digests);
    assert_eq!(bundle.replay(&verified).unwrap().judged_again, 0);
}

#[test]
fn what_a_gate_rests_on_is_evidence_too() {
    let mut ledger = Ledger::of_a_rollback();
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let evidence = Some(format!("sha256:{empty}"));
    let result = GateResult { verdict: GateVerdict::Pass, reasons: vec![], evidence };
    let happened = ledger.records.iter_mut().find(|record| matches!(record.body, Body::Happened(_))).unwrap();
    happened.body = Body::Happened(Box::new(Event::GateFinished { gate: GateName::Drift, run: 1, result }));
    let (_, verified) = Bundle::verify(&ledger.bundle().to_bytes(), ledger.key.verifier()).unwrap();
    assert_eq!(verified.missing_evidence, [empty]);
    ledger.evidence.insert(empty.to_owned(), Vec::new());
    let (_, verified) = Bundle::verify(&ledger.bundle().to_bytes(), ledger.key.verifier()).unwrap();
    assert_eq!(verified.missing_evidence, Vec::<String>::new());
}

#[test]
fn decisions_that_do_not_follow_are_found_though_they_are_signed() {
    let mut ledger = Ledger::of_a_rollback();
    let decided = |record: &&mut Record| matches!(record.body, Body::Decided(_));
    let record = ledger.records.iter_mut().rfind(decided).unwrap();
    record.body = Body::Decided(Box::new(Decision::Ended(Outcome::Promoted)));
    let (bundle, verified) = Bundle::verify(&ledger.bundle().to_bytes(), ledger.key.verifier()).unwrap();
    assert!(matches!(bundle.replay(&verified), Err(ReplayBundleError::Contradiction { .. })));
    // And one that ends before the decisions that follow from its last record.
    let mut ledger = Ledger::of_a_rollback();
    let last = ledger.records.iter().rposition(|record| record.rollout.is_some()).unwrap();
    ledger.records.truncate(last);
    let (bundle, verified) = Bundle::verify(&ledger.bundle().to_bytes(), ledger.key.verifier()).unwrap();
    assert!(matches!(bundle.replay(&verified), Err(ReplayBundleError::Incomplete { missing: 1 })));
}

#[test]
fn a_judge_that_says_something_else_is_found() {
    let mut ledger = Ledger::of_a_rollback();
    let (digest, blob) = ledger.evidence.pop_first().unwrap();
    let mut evidence = JudgeEvidence::from_bytes(&blob).unwrap();
    evidence.judge = judge::Judge::new(evidence.judge.config().clone());
    let other = evidence.digest().trim_start_matches("sha256:").to_owned();
    let text = serde_json::to_string(&ledger.records).unwrap().replace(&digest, &other);
    ledger.records = serde_json::from_str(&text).unwrap();
    ledger.evidence.insert(other, evidence.to_bytes());
    let (bundle, verified) = Bundle::verify(&ledger.bundle().to_bytes(), ledger.key.verifier()).unwrap();
    // The decision names a blob that the state machine would not.
    assert!(matches!(bundle.replay(&verified), Err(ReplayBundleError::Contradiction { .. })));
}

#[test]
fn the_key_decides_whose_it_is() {
    let bytes = Ledger::of_a_rollback().bundle().to_bytes();
    let refused = Bundle::verify(&bytes, key(2).verifier());
    assert!(matches!(refused, Err(VerifyBundleError::Checkpoint(_))), "{refused:?}");
}
