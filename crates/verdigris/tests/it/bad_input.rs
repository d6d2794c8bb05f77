//! A server that cannot start as it should, and plans that cannot be: each says what, where and what to do, or recovers
//! and says so.

use crate::plan::{Environment, Plan};
use crate::process::{Ran, run};
use crate::server::{Addresses, Config, Server, try_serve};
use crate::stage::Stage;
use crate::wait::seconds;
use std::fs::{self, OpenOptions};
use std::net::TcpListener;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// An environment that nobody is at: port 9 is the discard service, which nothing here runs.
const NOBODY: &str = "http://127.0.0.1:9";

fn refused(config: &Path) -> Ran {
    match try_serve(config) {
        Ok(server) => panic!("it serves, at {:?}", server.addresses),
        Err(ran) => ran,
    }
}

fn stopped_server(folder: &Path) -> PathBuf {
    let server = Server::start(folder, &Config::of(NOBODY));
    let config = server.config().to_owned();
    server.stop().expect(0);
    config
}

#[test]
fn a_port_in_use_is_named_and_nothing_is_made() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let taken_at = taken.local_addr().expect("it is bound");
    let any = "127.0.0.1:0".parse().expect("an address");
    let addresses = Addresses { grpc: taken_at, http: any, blue_tap: any, green_tap: any };
    let config = Config { addresses: Some(addresses), ..Config::of(NOBODY) }.write(folder.path());
    refused(&config).expect(1).says(&[&taken_at.to_string(), "in use"]);
    assert!(!folder.path().join("data").exists(), "no ledger was begun");
}

/// verdigris.yaml is refused before a port is opened or a file made.
fn check_config(yaml: &str, words: &[&str]) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = folder.path().join("verdigris.yaml");
    fs::write(&config, yaml).expect("the folder is ours");
    refused(&config).expect(2).says(&["verdigris.yaml"]).says(words);
    assert!(!folder.path().join("data").exists(), "nothing was made");
}

#[test]
fn a_wrong_configuration_is_refused_with_its_place() {
    let good = "serving: { otlp: { grpc: \"http://127.0.0.1:9\" } }\ndata: data\n";
    check_config(&format!("{good}lisen: {{}}\n"), &["lisen", "line 3"]);
    check_config("data: data\n", &["serving"]);
    check_config("serving: { otlp: { grpc: \"https://x\" } }\ndata: data\n", &["serving", "https://x"]);
    refused(Path::new("/no/such/verdigris.yaml")).expect(2).says(&["/no/such/verdigris.yaml"]);
}

#[test]
fn an_environment_that_cannot_be_reached_fails_the_probe_and_is_rolled_back() {
    let stage = Stage::set();
    let steps = ["gate: probe", "mirror: { for: 1s }", "setWeight: 100%", "bake: { for: 1s }"];
    let mut plan = stage.plan(&steps);
    plan.green = Environment::at(NOBODY);
    let watched = stage.server.start_and_watch(&plan.write(stage.folder.path())).wait(seconds(60)).expect(3).json();
    assert_eq!(watched["progress"], "rolledBack", "{watched}");
    assert_eq!(watched["cause"]["guard"], "probe", "{watched}");
    assert!(watched["cause"].to_string().contains("127.0.0.1:9"), "it says which: {watched}");
    assert_eq!(watched["mirror"], false, "{watched}");
}

#[test]
fn an_active_environment_that_cannot_be_reached_holds_the_rollout() {
    let stage = Stage::set();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = Server::start(folder.path(), &Config::of(NOBODY));
    let steps = ["gate: probe", "mirror: { for: 1s }", "setWeight: 100%", "bake: { for: 1s }"];
    let plan = Plan { blue: Environment::at(NOBODY), ..stage.plan(&steps) }.write(folder.path());
    server.rollout(&["start", &plan.display().to_string()]).expect(0);
    let held = server.eventually_reports("the hold", seconds(60), |report| report["progress"] == "held");
    assert!(held["waitsFor"].to_string().contains("127.0.0.1:9"), "it says which: {held}");
    server.rollout(&["status"]).expect(4);
    server.rollout(&["promote"]).expect(1).says(&["the probe gate cannot be skipped"]);
    server.rollout(&["rollback", "--reason", "blue is down"]).expect(0);
    server.rollout(&["watch"]).expect(3);
}

#[test]
fn somebody_elses_ledger_is_refused() {
    let (ours, theirs) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let config = stopped_server(ours.path());
    stopped_server(theirs.path());
    let ledger = ours.path().join("data/ledger");
    fs::rename(&ledger, ours.path().join("moved")).expect("both are ours");
    fs::rename(theirs.path().join("data/ledger"), &ledger).expect("both are ours");
    let before = fs::read(ledger.join("checkpoint")).expect("a ledger has a checkpoint");
    let ran = refused(&config).says(&["checkpoint", "key"]);
    assert_ne!(ran.code, 0, "{ran:?}");
    assert_eq!(fs::read(ledger.join("checkpoint")).expect("it is still there"), before, "nothing was changed");
}

#[test]
fn a_lost_ledger_beside_its_key_is_not_begun_anew() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = stopped_server(folder.path());
    fs::remove_dir_all(folder.path().join("data/ledger")).expect("it is ours");
    refused(&config).expect(1).says(&["holds no ledger", "restore the ledger from a backup"]);
}

#[test]
fn a_torn_tail_is_cut_off_and_the_server_says_so() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut server = Server::start(folder.path(), &Config::of(NOBODY));
    assert!(server.said["recovered"].is_null(), "{}", server.said);
    server.kill();
    let wal = server.ledger().join("wal");
    let logged = fs::read(&wal).expect("the write-ahead log is there");
    // Frames begin behind two places for heads: length, checksum, index, number of entries, and so many bytes.
    let (mut at, mut next) = (8192, 0);
    let number = |bytes: &[u8]| bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
    while number(&logged[at + 16..at + 20]) > 0 {
        next = number(&logged[at + 8..at + 16]) + number(&logged[at + 16..at + 20]);
        at += 20 + usize::try_from(number(&logged[at..at + 4])).expect("a short ledger");
    }
    let torn = [&16u32.to_be_bytes()[..], &[9; 4], &next.to_be_bytes(), &1u32.to_be_bytes(), b"torn"].concat();
    let file = OpenOptions::new().write(true).open(&wal).expect("the write-ahead log is there");
    file.write_all_at(&torn, at as u64).expect("it is ours");
    let server = try_serve(server.config()).unwrap_or_else(|ran| panic!("it recovers: {}", ran.stderr));
    let recovered = server.said["recovered"].as_str().expect("it says what it did").to_owned();
    assert!(recovered.contains("36 torn bytes cut off"), "{recovered}");
    let shown = server.ledger_command(&["show"]).expect(0).stdout;
    assert_eq!(shown.matches("serverStarted").count(), 2, "what was before is still there: {shown}");
    server.ledger_command(&["verify"]).expect(0);
}

#[test]
fn a_ledger_below_its_checkpoint_is_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = stopped_server(folder.path());
    let ledger = folder.path().join("data/ledger");
    fs::remove_dir_all(ledger.join("tile/entries")).expect("it is ours");
    let ran =
        refused(&config).says(&["shorter than its checkpoint", "restore it from a backup", "nothing was changed"]);
    assert_ne!(ran.code, 0, "{ran:?}");
    let key = folder.path().join("data/ledger.key.pub").display().to_string();
    let dir = ledger.display().to_string();
    run(&["ledger", "verify", "--dir", &dir, "--key", &key]).expect(5).says(&["missing"]);
}

#[test]
fn a_second_server_on_the_same_data_is_refused_and_the_first_goes_on() {
    let stage = Stage::set();
    refused(stage.server.config()).expect(1).says(&["another process", "stop it first"]);
    stage.server.rollout(&["list"]).expect(0);
    stage.server.ledger_command(&["verify"]).expect(0);
}

#[test]
fn the_socket_of_a_killed_server_is_taken_over() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut server = Server::start(folder.path(), &Config::of(NOBODY));
    server.kill();
    assert!(server.socket().exists(), "a killed server leaves its socket");
    server.rollout(&["list"]).expect(1).says(&["no server answers"]);
    server.kill_and_start();
    server.rollout(&["list"]).expect(0);
    let socket = server.socket();
    server.stop().expect(0);
    assert!(!socket.exists(), "one that stops in order takes it away");
}

/// A plan is refused with the place of the mistake, by `plan check` and by `rollout start`, before anything starts.
fn check_plan(plan: &str, place: &str, words: &[&str]) {
    let stage = Stage::set();
    let path = stage.folder.path().join("plan.yaml");
    fs::write(&path, plan).expect("the folder is ours");
    let path = path.display().to_string();
    let at = format!("{path}:{place}: ");
    run(&["plan", "check", &path]).expect(2).says(&[&at]).says(words);
    stage.server.rollout(&["start", &path]).expect(2).says(&[&at.replace('"', "\\\"")]);
    assert_eq!(stage.server.rollout(&["list"]).expect(0).json().as_array().map(Vec::len), Some(0));
}

/// Line and column of the first occurrence, from 1.
fn place_of(text: &str, part: &str) -> String {
    let at = text.find(part).expect("it is there");
    let line_start = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
    format!("{}:{}", 1 + text[..at].matches('\n').count(), 1 + at - line_start)
}

fn plan(steps: &[&'static str]) -> String {
    Plan::of(Environment::at("http://127.0.0.1:14317"), Environment::at("http://127.0.0.1:24317"), steps).yaml()
}

#[test]
fn an_unknown_key_of_a_plan_is_refused_with_its_place() {
    let yaml = plan(&["setWeight: 100%", "bake: { for: 1s }"]).replace("  guards:", "  guard:");
    check_plan(&yaml, &place_of(&yaml, "guard:"), &["the unknown key `guard`", "did you mean `guards`?"]);
}

#[test]
fn a_weight_that_goes_down_is_refused_with_its_place() {
    let yaml = plan(&["setWeight: 20%", "setWeight: 10%", "setWeight: 100%", "bake: { for: 1s }"]);
    let place = place_of(&yaml, "10%\n      - setWeight: 100%");
    check_plan(&yaml, &place, &["found 10%", "expected more than 20%", "a weight only goes down by a rollback"]);
}

#[test]
fn a_good_plan_is_shown_step_by_step() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("plan.yaml");
    fs::write(&path, plan(&["mirror: { for: 10s }", "setWeight: 100%", "bake: { for: 1s }"])).expect("it is ours");
    let path = path.display().to_string();
    let text = run(&["plan", "check", &path]).expect(0).stdout;
    for part in ["1. mirror for 10s", "2. setWeight 100%", "3. bake for 1s", "Rolls back on", "spanLoss"] {
        assert!(text.contains(part), "{text}");
    }
    let json = run(&["plan", "check", &path, "--format", "json"]).expect(0).json();
    assert_eq!(json["steps"].as_array().map(Vec::len), Some(3), "{json}");
    run(&["plan", "check", "/no/such/plan.yaml"]).expect(2).says(&["/no/such/plan.yaml"]);
}
