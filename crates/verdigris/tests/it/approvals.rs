//! Approvals by people: signed on a server's machine or on another one, refused, void, in an emergency, and reviewed.

use crate::process::{Ran, run};
use crate::server::Config;
use crate::stage::Stage;
use crate::wait::seconds;
use rollout::approval::ApproverKey;
use serde_json::Value;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

const STEPS: &[&str] = &["gate: approval", "setWeight: 100%", "pause: {}", "bake: { for: 1s }"];
const GATE: &str = "{ approval: { role: approver, count: 2, expires: 1h, breakGlass: { reviewWithin: 1h } } }";

/// A server that knows some people, and a rollout that waits for their approvals.
struct Scene {
    stage: Stage,
}

impl Scene {
    fn set() -> Scene {
        let uid = std::fs::metadata("/proc/self").expect("Linux").uid();
        let person =
            |name: &str, more: &str| format!("  - {{ name: {name}, keys: [\"{}\"]{more} }}\n", key_of(name).public());
        let more = [
            "principals:\n".to_owned(),
            person("ada", &format!(", roles: [approver], uids: [{uid}]")),
            person("bob", ", roles: [approver]"),
            person("carol", ", roles: [approver]"),
            person("dave", ""),
        ];
        let stage = Stage::set_as(|config| Config { more: more.concat(), ..config });
        for name in ["ada", "bob", "carol", "dave", "mallory"] {
            std::fs::write(stage.folder.path().join(name), key_of(name).to_openssh()).expect("the folder is ours");
        }
        let config = stage.folder.path().join("green.yaml");
        std::fs::write(config, "exporters: {}\n").expect("the folder is ours");
        Scene { stage }
    }

    fn start(&self) -> Value {
        let mut plan = self.stage.plan(STEPS);
        plan.gates = GATE;
        plan.green.config = Some("green.yaml".to_owned());
        let started = self.stage.start(&plan).expect(0).json();
        self.stage
            .server
            .eventually_reports("the configurations to be read", seconds(30), |_| self.approve(&[]).code == 0);
        started
    }

    fn path(&self, name: &str) -> String {
        self.stage.folder.path().join(name).display().to_string()
    }

    /// `verdigris approve` of the rollout that started last.
    fn approve(&self, arguments: &[&str]) -> Ran {
        let socket = self.stage.server.socket().display().to_string();
        run(&[&["approve", "--socket", &socket, "--format", "json"], arguments].concat())
    }

    fn sign(&self, name: &str, more: &[&str]) -> Ran {
        self.approve(&[&["--key", &self.path(name), "--yes"], more].concat())
    }

    fn shown(&self) -> String {
        let dir = self.stage.server.ledger().display().to_string();
        run(&["ledger", "show", "--dir", &dir]).expect(0).stdout
    }

    fn weight(&self) -> u64 {
        self.stage.server.report().expect("a report")["weightOrdered"].as_u64().expect("a number")
    }
}

fn prints(ran: &Ran, wanted: &[&str]) {
    for text in wanted {
        assert!(ran.stdout.contains(text), "{text:?} is not in {ran:?}");
    }
}

pub(crate) fn key_of(name: &str) -> ApproverKey {
    let mut seed = [0; 32];
    seed[..name.len()].copy_from_slice(name.as_bytes());
    ApproverKey::from_seed(&seed)
}

#[test]
fn one_signs_here_and_one_on_a_machine_that_reaches_no_server() {
    let scene = Scene::set();
    let started = scene.start();
    assert_eq!(started["startedBy"], "ada");
    let shown = run(&["approve", "--socket", &scene.stage.server.socket().display().to_string()]).expect(0);
    prints(&shown, &["an approval of e2e.1", started["planDigest"].as_str().expect("text"), "nothing was signed"]);
    let report = scene.sign("bob", &[]).expect(0).json();
    assert_eq!((report["approvals"][0]["by"].as_str(), &report["weightOrdered"]), (Some("bob"), &Value::from(0)));
    scene.sign("bob", &[]).expect(1).says(&["bob approved already"]);

    let (file, signature) = (scene.path("statement.json"), scene.path("statement.json.sig"));
    let written = scene.approve(&["--out", &file]).expect(0);
    prints(&written, &["ssh-keygen -Y sign", "approval@verdigris.dev"]);
    scene.approve(&["--out", &file]).expect(1).says(&["cannot be written"]);
    let sign = ["approve", "--sign", &file, "--key", &scene.path("carol"), "--socket", "/nowhere"];
    run(&sign).expect(2).says(&["--yes"]);
    let plan = scene.path("plan.yaml");
    run(&[&sign[..], &["--yes", "--plan", &plan]].concat()).expect(0).says(&["an approval of e2e.1", "setWeight 100%"]);
    assert!(PathBuf::from(&signature).exists());
    scene.approve(&["--statement", &file]).expect(0);
    scene.stage.server.eventually_reports("the shift", seconds(60), |report| report["weightOrdered"] == 10_000);
    scene.approve(&["--statement", &file]).expect(1).says(&["carol approved already"]);
    let shown = scene.shown();
    assert!(shown.contains("approved by bob (SHA256:") && shown.contains("approved by carol (SHA256:"), "{shown}");
    assert!(
        shown.contains("the configuration names ada (approver); bob (approver); carol (approver); dave"),
        "{shown}"
    );
    scene.stage.server.ledger_command(&["verify"]).expect(0);
    // What both saw of the ledger is a beginning of what the bundle is from, and their keys are those that an auditor knows.
    let bundle = scene.path("bundle.tar");
    scene.stage.server.ledger_command(&["export", "e2e.1", "--out", &bundle]).expect(0);
    let key = scene.stage.server.folder().join("data/ledger.key.pub").display().to_string();
    let allowed = scene.path("allowed");
    let line = |name: &str| format!("{name} {}\n", key_of(name).public());
    let verify = ["audit", "verify", &bundle, "--key", &key, "--approvers", &allowed, "--format", "json"];
    std::fs::write(&allowed, line("bob") + &line("carol")).expect("the folder is ours");
    assert_eq!(run(&verify).expect(0).json()["approvals"], 2);
    std::fs::write(&allowed, line("bob")).expect("the folder is ours");
    run(&verify).expect(5).says(&["no key of this principal is known"]);
}

#[test]
fn who_may_not_approve_is_refused_and_recorded() {
    let scene = Scene::set();
    scene.start();
    scene.sign("carol", &[]).expect(0);
    for (name, says) in [
        ("ada", "ada started this rollout, and who wrote a plan cannot approve it"),
        ("dave", "dave does not have the role approver"),
        ("mallory", "no principal has the key SHA256:"),
    ] {
        scene.sign(name, &[]).expect(1).says(&[says]);
        assert!(scene.shown().contains(says), "{says} is in the ledger");
    }
    // A plan that says another thing is found before anything is signed.
    let file = scene.path("statement.json");
    scene.approve(&["--out", &file]).expect(0);
    let mut other = scene.stage.plan(STEPS);
    other.gates = "{ approval: { role: approver, count: 1, expires: 1h } }";
    std::fs::create_dir(scene.path("other")).expect("the folder is ours");
    let other = other.write(&PathBuf::from(scene.path("other"))).display().to_string();
    let sign = ["approve", "--sign", &file, "--key", &scene.path("bob"), "--yes", "--plan", &other];
    run(&sign).expect(2).says(&["its digest is sha256:"]);
    // What was changed after it was signed is not handed in at all.
    run(&["approve", "--sign", &file, "--key", &scene.path("bob"), "--yes"]).expect(0);
    let text = std::fs::read_to_string(&file).expect("it was written");
    std::fs::write(&file, text.replace("e2e.1", "e2e.2")).expect("the folder is ours");
    scene.approve(&["--statement", &file]).expect(2).says(&["does not hold"]);
    assert_eq!(scene.weight(), 0);
    scene.stage.server.rollout(&["promote"]).expect(1).says(&["approvals cannot be skipped"]);
}

#[test]
fn a_changed_configuration_makes_what_was_signed_void() {
    let scene = Scene::set();
    scene.start();
    scene.sign("bob", &[]).expect(0);
    let file = scene.path("statement.json");
    scene.approve(&["--out", &file]).expect(0);
    run(&["approve", "--sign", &file, "--key", &scene.path("carol"), "--yes"]).expect(0);
    std::fs::write(scene.path("green.yaml"), "exporters: { debug: {} }\n").expect("the folder is ours");
    scene.approve(&["--statement", &file]).expect(1).says(&["a configuration is not the one that was signed"]);
    let shown = scene.shown();
    assert!(shown.contains("approvals of bob are void: the configuration of green changed"), "{shown}");
    assert_eq!(scene.weight(), 0);
    scene.sign("bob", &[]).expect(0);
    scene.sign("carol", &[]).expect(0);
    scene.stage.server.eventually_reports("the shift", seconds(60), |report| report["weightOrdered"] == 10_000);
    // It changes again, while the traffic is with green already: nothing goes on until it is approved.
    std::fs::write(scene.path("green.yaml"), "exporters: { nop: {} }\n").expect("the folder is ours");
    let held = scene.stage.server.eventually_reports("the hold", seconds(60), |report| report["progress"] == "held");
    assert!(held["headline"].as_str().is_some_and(|it| it.contains("nothing approves it any more")), "{held}");
    scene.stage.server.rollout(&["resume"]).expect(1).says(&["have it approved again"]);
    scene.sign("carol", &[]).expect(0);
    let report = scene.sign("bob", &[]).expect(0).json();
    assert_ne!(report["progress"], "held", "{report}");
}

#[test]
fn a_broken_glass_is_shown_everywhere_until_somebody_else_reviews_it() {
    let scene = Scene::set();
    scene.start();
    scene.sign("dave", &["--break-glass", "nobody answers"]).expect(1).says(&["does not have the role"]);
    let report = scene.sign("bob", &["--break-glass", "nobody answers"]).expect(0).json();
    let broken = "GLASS BROKEN by bob: nobody answers";
    assert!(report["exceptions"][0].as_str().is_some_and(|it| it.starts_with(broken)), "{report}");
    scene.stage.server.eventually_reports("the shift", seconds(60), |report| report["weightOrdered"] == 10_000);
    scene.stage.server.rollout(&["rollback", "--reason", "enough"]).expect(0);
    scene.stage.server.eventually_reports("the end", seconds(60), |report| report["progress"] == "rolledBack");
    let socket = scene.stage.server.socket().display().to_string();
    for command in ["status", "list"] {
        prints(&run(&["rollout", command, "--socket", &socket]), &[broken]);
    }
    scene.sign("bob", &["--review"]).expect(1).says(&["bob broke the glass: somebody else reviews it"]);
    scene.sign("ada", &["--review"]).expect(1).says(&["ada started this rollout"]);
    // Another rollout does not bury it.
    scene.start();
    let review = ["approve", "e2e.1", "--socket", &socket, "--key", &scene.path("carol"), "--yes", "--review"];
    prints(&run(&review).expect(0), &["a review of a broken glass of e2e.1 is in the ledger"]);
    let listed = run(&["rollout", "list", "--socket", &socket]).expect(0);
    assert!(!listed.stdout.contains("GLASS BROKEN"), "{listed:?}");
    let shown = scene.shown();
    assert!(shown.contains("the broken glass of e2e.1 was reviewed"), "{shown}");
    scene.stage.server.ledger_command(&["verify"]).expect(0);
}

#[test]
fn past_the_point_of_no_return_only_a_person_goes_back() {
    let scene = Scene::set();
    let point = "pointOfNoReturn: { reason: the old schema is dropped, role: approver, count: 1, expires: 1h }";
    let plan = scene.stage.plan(&[
        "setWeight: 50%",
        "bake: { for: 1s }",
        point,
        "pause: {}",
        "setWeight: 100%",
        "bake: { for: 1s }",
    ]);
    scene.stage.start(&plan).expect(0);
    let bakes = |report: &Value| report["steps"][1]["current"] == true;
    scene.stage.server.eventually_reports("the bake", seconds(120), bakes);
    // Nothing is sent here, so that there is nothing to conclude: an operator goes on.
    scene.stage.server.rollout(&["promote"]).expect(0);
    let waits = scene
        .stage
        .server
        .eventually_reports("the point of no return", seconds(60), |report| report["steps"][2]["current"] == true);
    assert!(waits["pastReturn"].is_null() && waits["exceptions"] == Value::from(Vec::<Value>::new()), "{waits}");
    scene.sign("dave", &[]).expect(1).says(&["does not have the role"]);
    scene.sign("ada", &[]).expect(1).says(&["ada started this rollout"]);
    scene.sign("bob", &[]).expect(0);
    let past =
        scene.stage.server.eventually_reports("it to be passed", seconds(60), |report| !report["pastReturn"].is_null());
    assert_eq!(
        (&past["pastReturn"]["step"], &past["pastReturn"]["reason"]),
        (&Value::from(3), &Value::from("the old schema is dropped")),
        "{past}"
    );
    let socket = scene.stage.server.socket().display().to_string();
    for command in ["status", "list"] {
        prints(
            &run(&["rollout", command, "--socket", &socket]),
            &["PAST THE POINT OF NO RETURN since step 3: the old schema is dropped"],
        );
    }

    scene.stage.server.rollout(&["rollback", "--reason", "enough"]).expect(1).says(&["--past-the-point-of-no-return"]);
    assert_eq!(scene.weight(), 5_000, "a refused rollback moves nothing");
    scene.stage.server.rollout(&["rollback", "--reason", "enough", "--past-the-point-of-no-return"]).expect(0);
    scene.stage.server.eventually_reports("the end", seconds(60), |report| report["progress"] == "rolledBack");

    let bundle = scene.path("bundle.tar");
    scene.stage.server.ledger_command(&["export", "e2e.1", "--out", &bundle]).expect(0);
    let key = scene.stage.server.folder().join("data/ledger.key.pub").display().to_string();
    let allowed = scene.path("allowed");
    let verify = ["audit", "verify", &bundle, "--key", &key, "--approvers", &allowed, "--format", "json"];
    std::fs::write(&allowed, format!("bob {}\n", key_of("bob").public())).expect("the folder is ours");
    assert_eq!(run(&verify).expect(0).json()["approvals"], 1);
    std::fs::write(&allowed, format!("carol {}\n", key_of("carol").public())).expect("the folder is ours");
    run(&verify).expect(5).says(&["no key of this principal is known"]);
}
