//! `verdigris demo`: every fault ends as the issue says, and says so in the object that it prints.

use crate::process::{Process, Ran, run, run_within, verdigris};
use crate::wait::{eventually, seconds};
use crate::web_port::ask;
use serde_json::Value;
use std::path::Path;
use std::sync::{Condvar, Mutex, PoisonError};

/// The demo promises two minutes; more means that it hangs.
const DEMO_LIMIT: std::time::Duration = seconds(180);
/// Each makes 2,000 spans a second, and the numbers are of use only if the machine keeps up.
const AT_ONCE: usize = 2;

static RUNNING: Mutex<usize> = Mutex::new(0);
static FREE: Condvar = Condvar::new();

/// A place among those that run at once.
struct Place;

impl Place {
    fn take() -> Place {
        let running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        let full = |running: &mut usize| *running >= AT_ONCE;
        *FREE.wait_while(running, full).unwrap_or_else(PoisonError::into_inner) += 1;
        Place
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        *RUNNING.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        FREE.notify_one();
    }
}

/// Runs the demo with this fault; `guards` are those that may roll it back, none of them if it is to be promoted.
fn check(fault: &str, guards: &[&str]) -> Value {
    let _place = Place::take();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let keep = folder.path().join("kept").display().to_string();
    let arguments = ["demo", "--format", "json", "--fault", fault, "--keep", &keep];
    let ran = run_within(&arguments, DEMO_LIMIT);
    let said = ran.json();
    shape(&said);
    let guard = said.pointer("/cause/guard").and_then(Value::as_str);
    if guards.is_empty() {
        assert_eq!((said["outcome"].as_str(), ran.code), (Some("promoted"), 0), "{said}");
        assert_eq!(guard, None, "{said}");
        assert_eq!(said["traces"]["torn"], 0, "{said}");
        assert_eq!(said["spans"]["lost"], 0, "{said}");
    } else {
        assert_eq!((said["outcome"].as_str(), ran.code), (Some("rolled_back"), 3), "{said}");
        assert!(guard.is_some_and(|guard| guards.contains(&guard)), "{said}");
        assert!(said["cause"]["finding"].as_str().is_some_and(|finding| !finding.is_empty()), "{said}");
        assert!(said["detection_ms"].is_u64() && said["rollback_ms"].is_number(), "{said}");
    }
    assert!(said["spans"]["acknowledged"].as_u64().is_some_and(|spans| spans > 1_000), "{said}");
    ledger_holds(&said);
    canaries_are_followed_and_counted_nowhere(fault, &said);
    verdicts_come_again(&said, folder.path());
    example_is_shown(fault, &said);
    said
}

/// The trace that shows why is in the evidence, and what was done to it can be seen.
fn example_is_shown(fault: &str, said: &Value) {
    let expect = match fault {
        "blind-spot" | "span-loss" => "lost",
        "attribute-drop" => "missing",
        "reparent" => "reparented",
        _ => return,
    };
    let text = |pointer: &str| said.pointer(pointer).and_then(Value::as_str).expect("the shape was checked");
    let at = ["--dir", text("/ledger/dir"), "--key", text("/ledger/verifier_key"), "--format", "json"];
    let trace = text("/cause/example_trace");
    let shown = run(&[&["trace", "show", trace][..], &at].concat()).expect(0).json();
    let comparisons = shown["comparisons"].as_array().expect("a list");
    let green = comparisons.iter().find(|one| one["environment"] == "green").expect("it was sent to green");
    assert!(green["counts"][expect].as_u64().is_some_and(|count| count > 0), "{shown}");
    let listed = run(&[&["trace", "show"][..], &at].concat()).expect(0).json();
    let cause = listed["examples"].as_array().expect("a list").iter().find(|one| one["trace"] == trace);
    assert!(cause.is_some_and(|one| one["isCause"] == true && one["isThere"] == true), "{listed}");
}

/// The object has the fields, and no others.
fn shape(said: &Value) {
    let keys = |pointer: &str| -> Vec<&str> {
        let object = said.pointer(pointer).and_then(Value::as_object).unwrap_or_else(|| panic!("{pointer} of {said}"));
        object.keys().map(String::as_str).collect()
    };
    let sorted = |list: &str| -> Vec<String> {
        let mut names: Vec<String> = list.split(' ').map(str::to_owned).collect();
        names.sort();
        names
    };
    assert_eq!(keys(""), sorted("outcome cause traces spans detection_ms rollback_ms ledger"));
    assert_eq!(keys("/traces"), sorted("sent torn"));
    assert_eq!(keys("/spans"), sorted("sent acknowledged delivered lost"));
    assert_eq!(keys("/ledger"), sorted("dir size root verifier_key"));
    if !said["cause"].is_null() {
        assert_eq!(keys("/cause"), sorted("guard finding example_trace"));
    }
}

/// What an outsider sees of the kept ledger is what the demo said of it.
fn ledger_holds(said: &Value) {
    let text = |pointer: &str| said.pointer(pointer).and_then(Value::as_str).expect("the shape was checked");
    let arguments = ["ledger", "verify", "--dir", text("/ledger/dir"), "--key", text("/ledger/verifier_key")];
    let verified: Ran = run(&[&arguments[..], &["--format", "json"]].concat()).expect(0);
    let verified = verified.json();
    assert_eq!(verified["size"], said["ledger"]["size"], "{verified} {said}");
    assert_eq!(verified["root"], said["ledger"]["root"], "{verified} {said}");
}

/// What was planted came out, masked or not as green does it, and neither verification nor the judge knows of it.
fn canaries_are_followed_and_counted_nowhere(fault: &str, said: &Value) {
    let text = |pointer: &str| said.pointer(pointer).and_then(Value::as_str).expect("the shape was checked");
    let at = ["--dir", text("/ledger/dir"), "--key", text("/ledger/verifier_key"), "--format", "json"];
    let shown = run(&[&["ledger", "show"][..], &at].concat()).expect(0).stdout;
    let records = shown.lines().map(|line| serde_json::from_str::<Value>(line).expect("one JSON value a line"));
    let events: Vec<Value> = records.map(|record| record["record"]["body"]["happened"].clone()).collect();
    let canaries: Vec<&Value> =
        events.iter().map(|event| &event["canaryFollowed"]).filter(|it| !it.is_null()).collect();
    for observed in events.iter().map(|event| &event["observed"]).filter(|observed| !observed.is_null()) {
        assert!(!observed.to_string().contains("verdigris-canary"), "{observed}");
        assert!(canaries.iter().all(|canary| !observed.to_string().contains(canary["trace"].as_str().expect("an id"))));
        if fault == "none" {
            assert_eq!(observed["arms"]["green"]["events"]["fabricatedSpan"], Value::Null, "{observed}");
        }
    }
    let leaks =
        |canary: &Value, environment: &str| canary["fates"][environment]["out"]["leaks"].as_array().map(Vec::len);
    if let "none" | "leak" = fault {
        assert!(canaries.len() >= 2, "{canaries:?}");
        let expected = if fault == "leak" { 13 } else { 0 };
        for canary in canaries {
            assert_eq!((leaks(canary, "blue"), leaks(canary, "green")), (Some(0), Some(expected)), "{canary}");
        }
    }
}

/// The recorded verdicts come again from the ledger, from a file of its records, and from the blob that a decision names;
/// and a blob that was changed is found.
fn verdicts_come_again(said: &Value, folder: &Path) {
    let text = |pointer: &str| said.pointer(pointer).and_then(Value::as_str).expect("the shape was checked");
    let (dir, key) = (text("/ledger/dir"), text("/ledger/verifier_key"));
    let last = |ran: Ran| -> Value {
        let line = ran.stdout.lines().last().expect("it says something").to_owned();
        serde_json::from_str(&line).expect("one JSON value a line")
    };
    let replay =
        |evidence: &str, more: &[&str]| run(&[&["judge", "replay", evidence, "--format", "json"], more].concat());
    let from_ledger = last(replay(dir, &["--key", key]).expect(0));
    assert_eq!((&from_ledger["same"], &from_ledger["other"]), (&Value::Bool(true), &Value::Null));
    let records = run(&["ledger", "show", "--dir", dir, "--key", key, "--format", "json"]).expect(0).stdout;
    let file = folder.join("records.jsonl").display().to_string();
    std::fs::write(&file, &records).expect("the folder is ours");
    assert_eq!(last(replay(&file, &[]).expect(0)), from_ledger);
    let other = last(replay(&file, &["--false-alarm", "0.000000001"]).expect(0));
    assert_eq!(other["recorded"], from_ledger["recorded"]);
    assert!(other["other"]["logThreshold"].as_f64().is_some_and(|log| log > 20.0), "{other}");

    let evidence = "/record/body/decided/judged/evidence";
    let lines = records.lines().map(|line| serde_json::from_str::<Value>(line).expect("one JSON value a line"));
    let named: Vec<String> =
        lines.filter_map(|line| Some(line.pointer(evidence)?.as_str()?.strip_prefix("sha256:")?.to_owned())).collect();
    // A canary is no matter of evidence that the judge gathers.
    let judged = said.pointer("/cause/guard").is_none_or(|guard| guard != "canary");
    assert!(!judged || !named.is_empty(), "a promotion follows from a pass, a rollback from a fail");
    for hex in named {
        let blob = Path::new(dir).with_file_name("evidence").join(&hex);
        let again = last(replay(&blob.display().to_string(), &[]).expect(0));
        assert_eq!(again["evidence"], format!("sha256:{hex}"));
        let changed = std::fs::read_to_string(&blob).expect("it is kept").replacen("\"traces\":", "\"traces\": ", 1);
        let copy = folder.join(&hex);
        std::fs::write(&copy, changed).expect("the folder is ours");
        replay(&copy.display().to_string(), &[]).expect(5);
    }
}

#[test]
fn a_healthy_green_is_promoted() {
    let said = check("none", &[]);
    assert_eq!(said["spans"]["delivered"], said["spans"]["acknowledged"], "{said}");
}

#[test]
fn a_blind_spot_is_rolled_back_and_shown() {
    let said = check("blind-spot", &["blindSpots"]);
    assert!(said["cause"]["finding"].as_str().is_some_and(|finding| finding.contains("payment")), "{said}");
    assert_eq!(said["cause"]["example_trace"].as_str().map(str::len), Some(32), "{said}");
}

#[test]
fn span_loss_is_rolled_back() {
    check("span-loss", &["spanLoss"]);
}

#[test]
fn a_dropped_attribute_is_rolled_back_and_named() {
    let said = check("attribute-drop", &["findings"]);
    assert!(said["cause"]["finding"].as_str().is_some_and(|finding| finding.contains("http.route")), "{said}");
}

#[test]
fn a_masked_value_is_rolled_back_and_named() {
    let said = check("mask", &["findings"]);
    let finding = said["cause"]["finding"].as_str().unwrap_or_default();
    assert!(finding.starts_with("changed values `http.route` in frontend"), "{said}");
}

#[test]
fn secrets_that_green_alone_lets_through_are_rolled_back_and_named() {
    let said = check("leak", &["canary"]);
    let finding = said["cause"]["finding"].as_str().unwrap_or_default();
    let expected = "green puts out card numbers, bearer tokens and e-mail addresses in clear that blue masks: \
                    attribute payment.card.number";
    assert!(finding.starts_with(expected), "{said}");
}

/// A call whose callee hangs onto another parent is seen no more either: the changed parent is the cause.
#[test]
fn changed_parents_are_rolled_back_and_named() {
    let said = check("reparent", &["findings"]);
    assert!(said["cause"]["finding"].as_str().is_some_and(|finding| finding.contains("catalogue")), "{said}");
}

#[test]
fn a_slow_green_is_rolled_back() {
    check("slow", &["latency"]);
}

#[test]
fn a_refusing_green_is_rolled_back() {
    check("errors", &["errorRate"]);
}

#[test]
fn a_green_that_goes_away_is_rolled_back() {
    check("crash", &["errorRate", "spanLoss"]);
}

/// What a person does with it: looks at its page, and has it stay until they have seen enough.
#[test]
fn its_pages_stay_open_until_somebody_presses_enter() {
    let _place = Place::take();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut command = verdigris();
    command.args(["demo", "--plain", "--hold", "--fault", "blind-spot", "--keep"]).arg(folder.path());
    let mut demo = Process::before_somebody("the demo", &mut command);
    let held = eventually("the demo to wait for Enter", DEMO_LIMIT, || {
        assert!(demo.ended().is_none(), "it must not end by itself");
        let said = demo.stdout();
        said.contains("press Enter to end the demo").then_some(said)
    });
    let address = held.split("the pages are at http://").nth(1).and_then(|rest| rest.split(": ").next());
    let address = address.and_then(|address| address.parse().ok()).unwrap_or_else(|| panic!("no address in {held}"));
    let path = folder.path().join("operator.token");
    assert!(held.contains(&format!("sign in with the token in {}", path.display())), "{held}");
    let token = std::fs::read_to_string(&path).expect("the token is there").trim().to_owned();
    assert!(!held.contains(&token), "the token is shown to nobody");
    let page = |path: &str| ask(address, &format!("GET {path} HTTP/1.1\r\nAuthorization: Bearer {token}"), "");
    assert!(page("/rollouts/demo.1").contains("rolled back: blindSpots"), "{}", page("/rollouts/demo.1"));
    assert!(page("/ledger").starts_with("HTTP/1.1 200 ") && page("/map").starts_with("HTTP/1.1 200 "));
    demo.press_enter();
    let ran = demo.wait(DEMO_LIMIT).expect(3);
    assert!(ran.stdout.contains("verdigris ledger verify"), "{}", ran.stdout);
    assert!(!path.exists(), "the token goes with the demo");
}
