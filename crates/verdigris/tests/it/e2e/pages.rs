//! The pages in a real Chromium: a rollout watched from its start to its rollback, and every page looked at.

use super::lab::{Lab, Tapping, outcome};
use super::peers::{Processor, Protocol};
use crate::process::{Process, verdigris};
use crate::wait::seconds;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Bytes of a rollout's page with everything that it needs.
const MAX_PAGE_BYTES: u64 = 100_000;

/// Green's collector writes elsewhere, with another token, and in another batch: all of it is declared.
const BLUE: &str = "\
receivers: { otlp: { protocols: { grpc: { endpoint: 0.0.0.0:4317 } } } }
processors: { batch: { send_batch_size: 512 } }
exporters: { otlp: { endpoint: blue-store:4317, headers: { authorization: Bearer of-blue-0123456789 } } }
service: { pipelines: { traces: { receivers: [otlp], processors: [batch], exporters: [otlp] } } }
";
const DECLARED: &str = "{ drift: { expected: [ \
    { path: exporters.otlp, reason: each writes to its own back end }, \
    { path: processors.batch, reason: green is larger } ] } }";

fn installed(name: &str) -> PathBuf {
    PathBuf::from(std::env::var_os(name).unwrap_or_else(|| panic!("{name} is set by cargo xtask test")))
}

/// Where the screenshots stay: `target/pages`, beside what else a test leaves.
fn pictures() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../pages");
    std::fs::create_dir_all(&folder).expect("the target folder is ours");
    folder
}

#[test]
fn a_rollout_is_watched_from_its_start_to_its_rollback_and_every_page_is_fit_to_be_read() {
    let lab = Lab::open(Processor::DropService("cartservice"), Tapping::InLine, &[Protocol::Grpc]);
    let green = BLUE.replace("blue-store", "green-store").replace("of-blue", "of-green").replace("512", "1024");
    let watching = lab.start_rollout_comparing(BLUE, &green, DECLARED);
    lab.server.eventually_reports("the rollout to begin", seconds(60), |report| report["rollout"].is_string());
    let rollout = lab.server.report().expect("a rollout")["rollout"].as_str().expect("its name").to_owned();
    let web = &lab.server.said["web"];
    let text = |key: &str| web[key].as_str().unwrap_or_else(|| panic!("{web} has no {key}")).to_owned();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../e2e/pages.py");
    let axe = installed("VERDIGRIS_E2E_NODE").join("node_modules/axe-core/axe.min.js");
    let mut command = Command::new(installed("VERDIGRIS_E2E_PYTHON"));
    command.arg(script).args([text("url"), text("operatorToken"), rollout]).arg(axe).arg(pictures());
    let looked = Process::start("pages.py", &mut command).wait(seconds(400)).expect(0);
    let found: Value = looked.json();
    assert_eq!(outcome(watching).0, 3, "it was rolled back");

    assert_eq!(found["stayed"], true, "the page told of the end without being loaded again: {found}");
    for nothing in ["console", "axe", "wide"] {
        assert_eq!(found[nothing], Value::from(Vec::<Value>::new()), "{nothing}");
    }
    let weight = found["weight"].as_u64().expect("a number");
    assert!(weight <= MAX_PAGE_BYTES, "{weight} bytes");
    let pages = found["pages"].to_string();
    for page in ["/plan", "/drift", "/findings/", "/traces/", "/approvals", "/map", "/ledger/2"] {
        assert!(pages.contains(page), "{page} is not among {pages}");
    }
    let plots = found["plots"].as_object().expect("the plots by their names");
    for name in ["Green's share", "Traces a second", "Errors", "Loss", "Latency", "Evidence of blindSpots"] {
        assert!(plots.get(name).is_some_and(|lines| lines.as_u64() > Some(2)), "{name}: {plots:?}");
    }
    assert!(found["csv_lines"].as_u64() >= Some(2), "{}", found["csv_lines"]);
    assert!(found["gates"].as_str().is_some_and(|text| text.contains("probe: Pass")), "{}", found["gates"]);
    let drift = found["drift"].as_str().expect("a text");
    for part in ["Pass", "green-store:4317", "each writes to its own back end", "1 value was taken for a secret"] {
        assert!(drift.contains(part), "{part}: {drift}");
    }
    assert!(!drift.contains("of-blue") && !drift.contains("of-green"), "{drift}");
    let map = found["map"].as_str().expect("a text");
    for part in ["What verification joined", "never came out of green", "cartservice"] {
        assert!(map.contains(part), "{part}: {map}");
    }
    assert_eq!(found["keys"], Value::from(Vec::<Value>::new()), "keys in the tree of a trace");
    let verified = found["verified"].to_string();
    for part in ["signed the checkpoint", "byte for byte", "entry 2 is in the ledger"] {
        assert!(verified.contains(part) && !verified.contains("Does not hold"), "{part}: {verified}");
    }
    println!("the page of a rollout has {weight} bytes, and was painted after {} ms", found["first_paint_ms"]);
}

/// The script has the authenticator, the browser and the server to itself, and ends with what an auditor's check says.
#[test]
fn a_passkey_approves_a_rollout_and_an_auditor_takes_it() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../e2e/passkey.py");
    let mut command = Command::new(installed("VERDIGRIS_E2E_PYTHON"));
    command.arg(script).arg(verdigris().get_program()).arg(pictures());
    Process::start("passkey.py", &mut command).wait(seconds(240)).expect(0);
}

/// The module that the browser runs, against a ledger that the store wrote, and against forged ones.
#[test]
fn the_check_of_the_ledger_in_a_browser_refuses_what_is_forged() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../e2e/node");
    let mut command = Command::new(installed("VERDIGRIS_E2E_NODE").join("node"));
    command.arg("--test").arg(tests.join("verify.test.mjs"));
    let ran = Process::start("node --test", &mut command).wait(seconds(120)).expect(0);
    assert!(ran.stdout.contains("fail 0") && !ran.stdout.contains("pass 0"), "{}", ran.stdout);
}
