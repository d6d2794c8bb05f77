//! A good proof passes, and none of many that are forged, replayed, stale or of something else does.

use super::*;
use crate::tests::{encoded, proof, root};
use ledger::{CosignerKey, Hash, KeyName, SignerKey};
use model::{BasisPoints, PerEnvironment, Pins, RouteKey, UnixMillis};
use rollout::approval::{ApproverKey, CheckpointCheck, LogHead, SignedStatement, Submission};
use rollout::plan::parse;
use rollout::{Action, Configuration, GateResult, GateVerdict, Landmarks, Principal, RolloutId, start, step};

pub(crate) const PLAN: &str = r#"
apiVersion: verdigris.dev/v1alpha1
kind: Rollout
metadata: { name: demo, reason: a test, authors: [anna] }
spec:
  subject: pipeline
  environments:
    blue: { version: "1", otlp: { grpc: "http://127.0.0.1:14317" } }
    green: { version: "2", otlp: { grpc: "http://127.0.0.1:24317" }, config: [{ files: green }] }
  strategy:
    steps:
      - gate: probe
      - gate: approval
      - setWeight: 10%
      - pause: {}
      - setWeight: 100%
      - bake: { for: 20s }
  gates:
    approval: { role: approver, count: 2, expires: 90s, breakGlass: { reviewWithin: 10m } }
  guards: { spanLoss: { atMost: 1% } }
  analysis: { falseAlarm: 0.001, onInconclusive: hold, batch: 1s }
  verification: { horizon: 2s, linger: 1s }
  pin: 1s
  proofs: { cosignatures: 2 }
"#;

fn name(text: &str) -> KeyName {
    KeyName::new(text).unwrap()
}

pub(crate) fn log_key(seed: u8) -> SignerKey {
    SignerKey::new(name("verdigris.example/ledger"), &[seed; 32])
}

fn witness(seed: u8) -> CosignerKey {
    CosignerKey::new(name(&format!("witness-{seed}.example")), &[seed; 32])
}

pub(crate) fn approver(who: &str) -> ApproverKey {
    let mut seed = [0; 32];
    seed[..who.len()].copy_from_slice(who.as_bytes());
    ApproverKey::from_seed(&seed)
}

/// A rollout up to its first shift, and the ledger that it stands in.
#[derive(Clone)]
pub(crate) struct Scene {
    pub(crate) records: Vec<Record>,
    pub(crate) state: rollout::State,
    now: UnixMillis,
    tables: Vec<RouteTable>,
}

impl Scene {
    fn begin(yaml: &str, named: &str) -> Scene {
        let plan = parse(yaml).unwrap();
        let now = UnixMillis(1_700_000_000_000);
        let begun = Start {
            rollout: RolloutId(named.into()),
            plan_digest: plan.digest(),
            plan,
            by: Principal::new("alice", vec!["approver".into()]),
            program: "test".into(),
            route_key: RouteKey([7; 16]),
            base_dir: "/".into(),
            log: "verdigris.example/ledger".into(),
            last_generation: 7,
        };
        let first = start(&begun, now);
        let mut scene = Scene { records: Vec::new(), state: first.state.clone(), now, tables: Vec::new() };
        scene.note(Body::Started(Box::new(begun)), first);
        scene
    }

    fn note(&mut self, input: Body, next: rollout::Step) {
        let decided = next.decisions.iter().map(|decision| Body::Decided(Box::new(decision.clone())));
        for body in std::iter::once(input).chain(decided) {
            let (sequence, rollout) = (self.records.len() as u64, Some(self.state.rollout.clone()));
            let (at, by) = (self.now, "test".into());
            self.records.push(Record { version: Record::VERSION, rollout, sequence, at, by, body });
        }
        self.tables.extend(next.actions.into_iter().filter_map(|action| match action {
            Action::Publish(table) => Some(*table),
            Action::RunGate { .. } => None,
        }));
        self.state = next.state;
    }

    fn happen(&mut self, event: Event) {
        let next = step(&self.state, &event, self.now);
        self.note(Body::Happened(Box::new(event)), next);
    }

    fn apply(&mut self) {
        let (generation, routed) = (self.state.table.generation, self.state.table.routed());
        self.happen(Event::Applied { generation, torn: 0, routed });
    }

    pub(crate) fn signed(&self, who: &str, change: impl FnOnce(&mut Statement)) -> SignedStatement {
        let head = LogHead { size: 1, root: "root".into() };
        let mut statement = Statement::of(&self.state, Act::Approve, head, self.now).unwrap();
        change(&mut statement);
        approver(who).sign(&statement)
    }

    pub(crate) fn approve(&mut self, who: &str, change: impl FnOnce(&mut Statement)) {
        let signed = self.signed(who, change);
        self.hand_in(who, signed);
    }

    pub(crate) fn hand_in(&mut self, who: &str, signed: SignedStatement) {
        let signer = Some(Principal::new(who, vec!["approver".into()]));
        let submission = Submission { signed, signer, checkpoint: CheckpointCheck::Holds };
        self.happen(Event::ApprovalSubmitted(Box::new(submission)));
    }

    /// At the approval gate.
    pub(crate) fn at_the_gate(yaml: &str, named: &str) -> Scene {
        let mut scene = Scene::begin(yaml, named);
        let read = Configuration::Read { digest: "sha256:1".into() };
        let read = PerEnvironment { blue: Configuration::Undeclared, green: read };
        scene.happen(Event::ConfigurationsRead(read));
        scene.apply();
        let result = GateResult { verdict: GateVerdict::Pass, reasons: vec![], evidence: None };
        scene.happen(Event::GateFinished { gate: GateName::Probe, run: scene.state.gate_runs, result });
        scene
    }

    /// The weight is ordered.
    pub(crate) fn shifted(mut self) -> Scene {
        self.now = self.now.plus_ms(2_000);
        self.happen(Event::Tick);
        assert_eq!(self.state.table.weight.get(), 1_000, "{:#?}", self.state.phase);
        self
    }

    pub(crate) fn good() -> Scene {
        let mut scene = Scene::at_the_gate(PLAN, "demo.1");
        scene.approve("bob", |_| {});
        scene.approve("carol", |_| {});
        scene.shifted()
    }

    fn leaves(&self) -> Vec<Hash> {
        self.records.iter().map(|record| Hash::of_leaf(&encoded(record))).collect()
    }

    /// Proofs of these entries under a checkpoint of its own for each of the witnesses.
    fn prove(&self, indices: &[u64], key: &SignerKey, witnesses: &[&CosignerKey]) -> ShiftProof {
        let leaves = self.leaves();
        let note = Checkpoint::new(key.verifier().name(), leaves.len() as u64, root(&leaves)).sign(key);
        let cosigned = |cosigner: &&CosignerKey| {
            let cosignature = cosigner.cosign(note.text(), 1_700_000_000);
            note.with_signatures([cosignature]).unwrap()
        };
        let mut notes: Vec<Note> = witnesses.iter().map(cosigned).collect();
        if notes.is_empty() {
            notes.push(note.clone());
        }
        let one = |note: &Note, index: &u64| {
            let (hashes, checkpoint) = (proof(&leaves, *index as usize), note.clone());
            LogProof { extra: None, index: *index, hashes, checkpoint }.to_string()
        };
        ShiftProof {
            records: indices
                .iter()
                .map(|at| String::from_utf8(encoded(&self.records[*at as usize])).unwrap())
                .collect(),
            proofs: notes.iter().map(|note| indices.iter().map(|index| one(note, index)).collect()).collect(),
        }
    }

    fn indices(&self) -> Vec<u64> {
        let mut landmarks = Landmarks::default();
        (0..).zip(&self.records).for_each(|(index, record)| landmarks.take(index, record));
        landmarks.of(self.state.table.generation).unwrap().records
    }

    fn proof(&self) -> ShiftProof {
        self.prove(&self.indices(), &log_key(1), &[&witness(1), &witness(2)])
    }

    /// Whether the gateway would take the newest table over the one before with this proof.
    fn offer(&self, proof: &ShiftProof) -> Result<(), ShiftProofError> {
        self.offered(|table| table.proof = Some(proof.to_text().into()))
    }

    fn offered(&self, change: impl FnOnce(&mut RouteTable)) -> Result<(), ShiftProofError> {
        let [.., before, table] = &self.tables[..] else { panic!("two tables") };
        let mut table = table.clone();
        change(&mut table);
        check(Some(before), &table, &trusted())
    }
}

fn trusted() -> Trusted {
    let principal = |who: &str, roles: &[&str]| KnownPrincipal {
        name: who.into(),
        roles: roles.iter().map(|role| (*role).to_owned()).collect(),
        uids: vec![],
        keys: vec![approver(who).public()],
        person: None,
    };
    Trusted {
        log: log_key(1).verifier().clone(),
        witnesses: (1..=3).map(|seed| witness(seed).verifier().clone()).collect(),
        principals: vec![
            principal("alice", &["approver"]),
            principal("anna", &["approver"]),
            principal("bob", &["approver"]),
            principal("carol", &["approver"]),
            principal("dave", &["operator"]),
        ],
    }
}

#[test]
fn a_shift_passes_with_its_proof_and_what_raises_nothing_passes_without() {
    let scene = Scene::good();
    scene.offer(&scene.proof()).unwrap();
    let text = scene.proof().to_text();
    assert_eq!(ShiftProof::from_text(&text).unwrap(), scene.proof());
    let raised = scene.tables.last().unwrap();
    // Back, without any proof; and the same weight again, for its proof was looked at before.
    let back = RouteTable { generation: 99, weight: BasisPoints::ZERO, pins: Pins::Tear, ..raised.clone() };
    check(Some(raised), &back, &trusted()).unwrap();
    check(Some(raised), raised, &trusted()).unwrap();
    let promoted = RouteTable { active: Environment::Green, weight: BasisPoints::ZERO, ..raised.clone() };
    assert!(matches!(check(Some(raised), &promoted, &trusted()), Err(ShiftProofError::Missing)));
    check(Some(&promoted), &back, &trusted()).unwrap();
    // A gateway that starts anew has no weight yet.
    assert!(matches!(check(None, raised, &trusted()), Err(ShiftProofError::Missing)));
    check(None, &back, &trusted()).unwrap();
    // The next rollout, from where traffic is now; it begins with a proof too, but without approvals.
    let mut next =
        Scene::begin(&PLAN.replace("14317", "34317").replace("24317", "14317").replace("34317", "24317"), "demo.2");
    next.tables[0].key = RouteKey([9; 16]);
    if let Body::Started(start) = &mut next.records[0].body {
        start.route_key = RouteKey([9; 16]);
    }
    let mut first = RouteTable { generation: 100, ..next.tables[0].clone() };
    if let Body::Decided(decision) = &mut next.records[1].body {
        **decision = Decision::ShiftOrdered(rollout::Shift::from(&first));
    }
    assert!(matches!(check(Some(&promoted), &first, &trusted()), Err(ShiftProofError::Missing)));
    first.proof = Some(next.prove(&[0, 1], &log_key(1), &[&witness(1), &witness(2)]).to_text().into());
    check(Some(&promoted), &first, &trusted()).unwrap();
    // A rollout that asks for none needs none.
    let none = |table: &RouteTable| RouteTable { proofs: None, proof: None, ..table.clone() };
    check(Some(&none(&scene.tables[0])), &none(raised), &trusted()).unwrap();
}

#[test]
fn one_approval_is_enough_when_the_glass_was_broken() {
    let mut scene = Scene::at_the_gate(PLAN, "demo.1");
    scene.approve("bob", |statement| statement.act = Act::BreakGlass { reason: "nobody answers".into() });
    let scene = scene.shifted();
    scene.offer(&scene.proof()).unwrap();
    // Where the plan does not allow it, it is one approval of two.
    let plan = PLAN.replace(", breakGlass: { reviewWithin: 10m }", "");
    let mut other = Scene::at_the_gate(&plan, "demo.1");
    let glass = other.signed("bob", |statement| statement.act = Act::BreakGlass { reason: "nobody answers".into() });
    other.approve("bob", |_| {});
    other.approve("carol", |_| {});
    let mut other = other.shifted();
    let [started, bob, _, ordered] = other.indices()[..] else { panic!("two approvals") };
    submission(&mut other.records[bob as usize]).unwrap().signed = glass;
    let proof = other.prove(&[started, bob, ordered], &log_key(1), &[&witness(1), &witness(2)]);
    let error = other.offer(&proof).unwrap_err().to_string();
    assert_eq!(error, "1 approval(s) are in the proof, and the plan asks for 2");
}

pub(crate) fn submission(record: &mut Record) -> Option<&mut Submission> {
    match &mut record.body {
        Body::Happened(event) => match &mut **event {
            Event::ApprovalSubmitted(submission) => Some(submission),
            _ => None,
        },
        _ => None,
    }
}

/// The ledger with one of its records changed, signed and cosigned all the same: the log's own key is not believed alone.
fn rewritten(change: impl Fn(&mut Record)) -> (Scene, ShiftProof) {
    let mut scene = Scene::good();
    let indices = scene.indices();
    scene.records.iter_mut().for_each(change);
    let proof = scene.prove(&indices, &log_key(1), &[&witness(1), &witness(2)]);
    (scene, proof)
}

/// With the submission of this person changed.
fn resubmitted(who: &'static str, change: impl Fn(&mut Submission, &mut UnixMillis)) -> (Scene, ShiftProof) {
    rewritten(move |record| {
        let mut at = record.at;
        let is_theirs = |it: &&mut Submission| it.signer.as_ref().is_some_and(|signer| signer.name == who);
        if let Some(theirs) = submission(record).filter(is_theirs) {
            change(theirs, &mut at);
        }
        record.at = at;
    })
}

/// Bob's statement is another one, signed by somebody.
fn restated(who: &'static str, change: fn(&mut Statement)) -> (Scene, ShiftProof) {
    let mut before = Scene::at_the_gate(PLAN, "demo.1");
    before.approve("carol", |_| {});
    let signed = before.signed(who, change);
    resubmitted("bob", move |submission, _| submission.signed = signed.clone())
}

fn reordered(change: fn(&mut rollout::Shift)) -> (Scene, ShiftProof) {
    rewritten(move |record| {
        if let Body::Decided(decision) = &mut record.body
            && let Decision::ShiftOrdered(shift) = &mut **decision
        {
            change(shift);
        }
    })
}

fn restarted(change: fn(&mut Start)) -> (Scene, ShiftProof) {
    rewritten(move |record| {
        if let Body::Started(start) = &mut record.body {
            change(start);
        }
    })
}

fn reproved(change: impl FnOnce(&mut ShiftProof)) -> (Scene, ShiftProof) {
    let scene = Scene::good();
    let mut proof = scene.proof();
    change(&mut proof);
    (scene, proof)
}

fn proved_by(key: &SignerKey, witnesses: &[&CosignerKey]) -> (Scene, ShiftProof) {
    let scene = Scene::good();
    let proof = scene.prove(&scene.indices(), key, witnesses);
    (scene, proof)
}

fn without(left_out: usize) -> (Scene, ShiftProof) {
    let scene = Scene::good();
    let mut indices = scene.indices();
    indices.remove(left_out);
    let proof = scene.prove(&indices, &log_key(1), &[&witness(1), &witness(2)]);
    (scene, proof)
}

fn in_order(choose: impl FnOnce(&[u64]) -> Vec<u64>) -> (Scene, ShiftProof) {
    let scene = Scene::good();
    let proof = scene.prove(&choose(&scene.indices()), &log_key(1), &[&witness(1), &witness(2)]);
    (scene, proof)
}

/// What a table with a proof for something else is met with.
fn of_another(scene: Scene) -> (Scene, ShiftProof) {
    let proof = scene.proof();
    (Scene::good(), proof)
}

#[test]
fn no_proof_that_is_forged_replayed_stale_or_of_something_else_moves_any_weight() {
    let two = || [witness(1), witness(2)];
    let cases: Vec<(&str, (Scene, ShiftProof))> = vec![
        // The log and its witnesses.
        ("does not hold", proved_by(&log_key(2), &[&two()[0], &two()[1]])),
        ("does not hold", {
            let other = SignerKey::new(name("other.example/ledger"), &[1; 32]);
            proved_by(&other, &[&two()[0], &two()[1]])
        }),
        ("0 witness(es) cosigned it", proved_by(&log_key(1), &[])),
        ("1 witness(es) cosigned it", proved_by(&log_key(1), &[&witness(1)])),
        ("1 witness(es) cosigned it", proved_by(&log_key(1), &[&witness(1), &witness(1)])),
        ("0 witness(es) cosigned it", proved_by(&log_key(1), &[&witness(8), &witness(9)])),
        (
            // A witness' name with another key.
            "1 witness(es) cosigned it",
            proved_by(&log_key(1), &[&CosignerKey::new(name("witness-1.example"), &[9; 32]), &witness(2)]),
        ),
        (
            "different ones",
            reproved(|proof| {
                let (first, second) = (proof.proofs[0][1].clone(), proof.proofs[1][1].clone());
                (proof.proofs[0][1], proof.proofs[1][1]) = (second, first);
            }),
        ),
        ("does not hold", reproved(|proof| proof.proofs[0].swap(0, 1))),
        ("is no tlog-proof", reproved(|proof| proof.proofs[1][0].truncate(30))),
        ("is no tlog-proof", reproved(|proof| proof.proofs[0][0] = proof.proofs[0][0].replace("proof@v1", "proof@v2"))),
        ("does not hold", reproved(|proof| proof.proofs[0][0] = proof.proofs[0][0].replace("index 0", "index 1"))),
        ("another number of records", reproved(|proof| proof.proofs.clear())),
        ("another number of records", reproved(|proof| drop(proof.proofs[1].pop()))),
        ("another number of records", reproved(|proof| drop(proof.records.pop()))),
        // The records.
        ("does not hold", reproved(|proof| proof.records[3] = proof.records[3].replace("1000", "10000"))),
        ("does not hold", reproved(|proof| proof.records[0].push(' '))),
        ("is no record", reproved(|proof| proof.records[0] = "{}".into())),
        ("the first record is not the start", without(0)),
        ("the last record", without(3)),
        ("not of one rollout, in their order", in_order(|all| vec![all[0], all[2], all[1], all[3]])),
        ("not of one rollout, in their order", in_order(|all| vec![all[0], all[1], all[1], all[3]])),
        ("is no approval", in_order(|all| vec![all[0], all[1], all[2], all[2] + 1, all[3]])),
        ("is of version 2", rewritten(|record| record.version = 2)),
        (
            "not of one rollout",
            rewritten(|record| {
                if !matches!(record.body, Body::Started(_)) {
                    record.rollout = Some(RolloutId("demo.2".into()));
                }
            }),
        ),
        ("not of one rollout", rewritten(|record| record.sequence += 1)),
        // The order.
        ("orders generation 99", reordered(|shift| shift.generation = 99)),
        ("weight 100%", reordered(|shift| shift.weight = BasisPoints::ALL)),
        ("green active", reordered(|shift| shift.active = Environment::Green)),
        ("the ledger orders", reordered(|shift| shift.mirror = true)),
        ("the ledger orders", reordered(|shift| shift.pins = Pins::Tear)),
        ("has another digest", restarted(|start| start.plan.name = "other".into())),
        ("has another digest", restarted(|start| start.plan_digest = "sha256:0".into())),
        ("divides traces otherwise", restarted(|start| start.route_key = RouteKey([8; 16]))),
        // The same key signs each year's part of the ledger.
        ("of another ledger than the start", restarted(|start| start.log = "verdigris.example/ledger/2027".into())),
        (
            "other proofs than the plan",
            restarted(|start| {
                start.plan.proofs = None;
                start.plan_digest = start.plan.digest();
            }),
        ),
        (
            "other endpoints than the plan",
            restarted(|start| {
                start.plan.environments.green.upstream.endpoint = "http://127.0.0.1:6666".into();
                start.plan_digest = start.plan.digest();
            }),
        ),
        (
            "approved another rollout",
            restarted(|start| {
                start.plan.reason = "another plan".into();
                start.plan_digest = start.plan.digest();
            }),
        ),
        // The approvals.
        ("1 approval(s) are in the proof, and the plan asks for 2", without(1)),
        ("1 approval(s) are in the proof, and the plan asks for 2", without(2)),
        ("0 approval(s)", in_order(|all| vec![all[0], all[3]])),
        ("carol approved twice", restated("carol", |_| {})),
        ("no principal has the key", restated("mallory", |_| {})),
        ("alice wrote or started the plan", restated("alice", |_| {})),
        ("anna wrote or started the plan", restated("anna", |_| {})),
        ("dave does not have the role", restated("dave", |_| {})),
        ("approved another rollout", restated("bob", |it| it.rollout = RolloutId("demo.2".into()))),
        ("approved another rollout", restated("bob", |it| it.plan = "sha256:0".into())),
        ("approved another rollout", restated("bob", |it| it.log = "other.example/ledger".into())),
        ("different configurations", restated("bob", |it| it.configurations.green = Some("sha256:2".into()))),
        ("is no approval", restated("bob", |it| it.act = Act::Review)),
        ("was not valid when", restated("bob", |it| it.expires_at = UnixMillis(1_700_000_000_000))),
        ("was not valid when", restated("bob", |it| it.expires_at = it.expires_at.plus_ms(86_400_000))),
        ("expired before there were enough", resubmitted("carol", |_, at| *at = at.plus_ms(90_000))),
        (
            "an approval in the proof does not hold",
            resubmitted("bob", |submission, _| {
                submission.signed.statement = submission.signed.statement.replace("sha256:1", "sha256:2");
            }),
        ),
        (
            "an approval in the proof does not hold",
            resubmitted("bob", |submission, _| {
                submission.signed.signature =
                    approver("carol").sign(&Statement::from_text(&submission.signed.statement).unwrap()).signature;
                submission.signed.statement = submission.signed.statement.replace("\"size\":1", "\"size\":2");
            }),
        ),
        // Another rollout's, another plan's.
        ("divides traces otherwise", {
            let mut other = Scene::good();
            other.records[0].body = match other.records[0].body.clone() {
                Body::Started(mut start) => {
                    start.route_key = RouteKey([9; 16]);
                    Body::Started(start)
                }
                body => body,
            };
            of_another(other)
        }),
        ("the ledger orders generation 8", {
            let scene = Scene::good();
            let first: Vec<u64> = vec![0, 1];
            let proof = scene.prove(&first, &log_key(1), &[&witness(1), &witness(2)]);
            (scene, proof)
        }),
        ("other endpoints than the plan", {
            let plan = PLAN.replace("24317", "24318");
            let mut other = Scene::at_the_gate(&plan, "demo.1");
            other.approve("bob", |_| {});
            other.approve("carol", |_| {});
            of_another(other.shifted())
        }),
    ];
    assert!(cases.len() >= 50, "{}", cases.len());
    for (at, (expected, (scene, proof))) in cases.into_iter().enumerate() {
        let error = scene.offer(&proof).expect_err(expected);
        let words = model::with_causes(&error);
        assert!(words.contains(expected), "case {at}: {expected:?} is not in {words:?}");
    }
}

#[test]
fn a_table_that_is_not_the_one_which_was_proved_moves_no_weight() {
    let scene = Scene::good();
    let text: std::sync::Arc<str> = scene.proof().to_text().into();
    let changes: [fn(&mut RouteTable); 9] = [
        |table| table.weight = BasisPoints::ALL,
        |table| table.generation += 1,
        |table| table.active = Environment::Green,
        |table| table.mirror = true,
        |table| table.pins = Pins::Tear,
        |table| table.key = RouteKey([9; 16]),
        |table| table.pin_ms = 1,
        |table| table.proofs = Some(0),
        |table| table.upstreams.green.as_mut().unwrap().endpoint = "http://127.0.0.1:6666".into(),
    ];
    for (at, change) in changes.into_iter().enumerate() {
        let refused = scene.offered(|table| {
            table.proof = Some(text.clone());
            change(table);
        });
        assert!(refused.is_err(), "change {at}");
    }
    assert!(matches!(scene.offered(|table| table.proof = None), Err(ShiftProofError::Missing)));
    // To leave the question out does not help, nor to do so without a weight first, nor under another key.
    let silent = scene.offered(|table| (table.proof, table.proofs) = (None, None));
    assert!(matches!(silent, Err(ShiftProofError::Missing)));
    let first = scene.offered(|table| {
        (table.proof, table.proofs, table.weight) = (None, None, BasisPoints::ZERO);
    });
    assert!(matches!(first, Err(ShiftProofError::Missing)));
    let rekeyed = scene.offered(|table| (table.key, table.weight) = (RouteKey([9; 16]), BasisPoints::ZERO));
    assert!(matches!(rekeyed, Err(ShiftProofError::Missing)));
    // And a way back that leads elsewhere is none.
    let elsewhere = scene.offered(|table| {
        table.weight = BasisPoints::ZERO;
        table.upstreams.blue.as_mut().unwrap().endpoint = "http://127.0.0.1:6666".into();
    });
    assert!(matches!(elsewhere, Err(ShiftProofError::Order(_))));
    assert!(matches!(scene.offered(|table| table.proof = Some("no proof".into())), Err(ShiftProofError::Shape(_))));
}
