//! Shifts that carry their proof: with witnesses that cosign, and with one that is gone.

use crate::approvals::key_of;
use crate::plan::Plan;
use crate::process::run;
use crate::server::{Config, Server};
use crate::stage::Stage;
use crate::wait::{eventually, seconds};
use crate::witnesses::Witness;
use serde_json::Value;

/// A server whose ledger two witnesses cosign.
struct Scene {
    stage: Stage,
    witnesses: Vec<Witness>,
    _folders: Vec<tempfile::TempDir>,
}

impl Scene {
    fn set() -> Scene {
        let mut stage = Stage::set();
        let key = stage.server.verifier_key();
        stage.server.kill();
        let folders: Vec<_> = (0..2).map(|_| tempfile::tempdir().expect("a temporary folder")).collect();
        let start = |folder: &tempfile::TempDir| Witness::start(folder.path(), std::slice::from_ref(&key));
        let witnesses: Vec<Witness> = folders.iter().map(start).collect();
        let entry = |witness: &Witness| format!("{{ url: \"{}\", key: \"{}\" }}", witness.url, witness.key);
        let list = witnesses.iter().map(entry).collect::<Vec<_>>().join(", ");
        let person = |name: &str| {
            let key = key_of(name).public();
            format!("  - {{ name: {name}, roles: [approver], keys: [\"{key}\"] }}\n")
        };
        let people = person("bob") + &person("carol");
        let more = format!("ledger: {{ witnesses: [{list}], quorum: 2 }}\nprincipals:\n{people}");
        let config = Config { more, ..Config::of(&stage.blue.endpoint()) };
        stage.server = Server::start(stage.folder.path(), &config);
        Scene { stage, witnesses, _folders: folders }
    }

    fn plan(&self, steps: &[&'static str]) -> Plan {
        Plan { proofs: Some(2), ..self.stage.plan(steps) }
    }

    fn observed(&self, what: &str, weight: u64) -> Value {
        self.stage.server.eventually_reports(what, seconds(60), |report| report["weightObserved"] == weight)
    }
}

#[test]
fn a_weight_rises_only_as_far_as_the_witnesses_cosign_and_goes_back_without_them() {
    let mut scene = Scene::set();
    let mut three = scene.plan(&["setWeight: 100%", "bake: { for: 1s }"]);
    three.proofs = Some(3);
    scene.stage.start(&three).expect(2).says(&["proofs.cosignatures is 3", "asks 2 witness(es)"]);
    let plan = scene.plan(&["setWeight: 10%", "pause: {}", "setWeight: 100%", "bake: { for: 1s }"]);
    scene.stage.start(&plan).expect(0);
    scene.observed("the first shift", 1_000);

    scene.witnesses[1].kill();
    scene.stage.server.rollout(&["resume"]).expect(0);
    let waits = "the shift waits for its proof: 1 of 2 witness(es) have cosigned it so far";
    eventually("the second shift to wait", seconds(60), || scene.stage.server.log().contains(waits).then_some(()));
    let report = scene.stage.server.report().expect("a report");
    assert_eq!((&report["weightOrdered"], &report["weightObserved"]), (&10_000.into(), &1_000.into()), "{report}");
    let waits_for = report["waitsFor"][0].as_str().expect("text");
    assert!(waits_for.contains("upon a proof of its order that 2 witness(es) cosigned"), "{waits_for}");

    // Through a kill: what was proved is proved again from the disk, and what was not is not.
    scene.stage.server.kill_and_start();
    eventually("it to wait again", seconds(60), || scene.stage.server.log().contains(waits).then_some(()));
    let log = scene.stage.server.log();
    assert!(!log.contains("not warranted"), "{log}");

    scene.stage.server.rollout(&["rollback", "--reason", "enough"]).expect(0);
    let ended = scene.stage.server.eventually_reports("the end", seconds(60), |it| it["progress"] == "rolledBack");
    assert_eq!(ended["cause"]["guard"], "operator", "{ended}");
    scene.stage.server.ledger_command(&["verify"]).expect(0);
}

#[test]
fn with_approvals_and_cosignatures_a_rollout_is_promoted_and_the_next_one_begins() {
    let scene = Scene::set();
    let mut plan = scene.plan(&["gate: approval", "setWeight: 100%", "bake: { for: 1s }"]);
    plan.gates = "{ approval: { role: approver, count: 2, expires: 1h } }";
    plan.guards = "{ blindSpots: { atMost: 0 } }";
    scene.stage.start(&plan).expect(0);
    for name in ["bob", "carol"] {
        let key = scene.stage.folder.path().join(name);
        std::fs::write(&key, key_of(name).to_openssh()).expect("the folder is ours");
        let socket = scene.stage.server.socket().display().to_string();
        run(&["approve", "--socket", &socket, "--key", &key.display().to_string(), "--yes"]).expect(0);
    }
    scene.observed("the shift", 10_000);
    let resumed = scene.stage.server.eventually_reports("the end of the bake", seconds(60), |report| {
        report["progress"] == "held" || report["progress"] == "promoted"
    });
    if resumed["progress"] == "held" {
        scene.stage.server.rollout(&["promote"]).expect(0);
    }
    scene.stage.server.eventually_reports("the promotion", seconds(60), |report| report["progress"] == "promoted");
    // From green on, which a proof shows too.
    let mut next = scene.plan(&["setWeight: 100%", "bake: { for: 1s }"]);
    std::mem::swap(&mut next.blue, &mut next.green);
    scene.stage.start(&next).expect(0);
    scene.observed("the next rollout's shift", 10_000);
    scene.stage.server.ledger_command(&["verify"]).expect(0);
}
