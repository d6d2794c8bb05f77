//! `verdigris trace`, as a process: two files, standard input, and the evidence that a ledger names; and what is said of
//! evidence that was deleted.

use crate::process::{Ran, root, run, verdigris};
use ledger::KeyName;
use model::{Check, TraceId, UnixMillis};
use rollout::{Body, DeletedBecause, FindingName, Record, RolloutId};
use serde_json::{Value, json};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use store::{Evidence, Retention, Store};

const TRACE: &str = "5b8efff798038103d269b633813fc60c";

fn example(name: &str) -> String {
    root().join("examples/traces").join(name).display().to_string()
}

/// Runs `verdigris trace diff` with a file as its standard input.
fn diff_from(stdin: &str, arguments: &[&str]) -> Ran {
    let mut command = verdigris();
    command.args(["trace", "diff"]).args(arguments).stdin(File::open(stdin).expect("it is there"));
    let output = command.stdout(Stdio::piped()).stderr(Stdio::piped()).output().expect("it starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    Ran { code: output.status.code().unwrap_or(-1), stdout: text(output.stdout), stderr: text(output.stderr) }
}

#[test]
fn two_files_differ_or_are_equal_as_diff_has_it() {
    let (blue, green) = (example("blue.json"), example("green.json"));
    let differ = run(&["trace", "diff", &blue, &green]).expect(1);
    assert!(differ.stdout.is_ascii() && differ.stderr.is_empty(), "{differ:?}");
    for line in [
        "  1 lost, 1 fabricated, 1 duplicated, 1 re-parented, 1 orphan",
        "- |- frontend: CartService/GetCart (client, 5.70ms)  lost",
        "+ frontend: healthz (server, 100us)  fabricated",
        "attribute http.route missing (it was \"/cart\")",
        "attribute app.cart.items changed: 3 -> \"3\"",
        "resource service.version changed: \"1.4.2\" -> \"1.4.3\"",
    ] {
        assert!(differ.stdout.contains(line), "{line} in\n{}", differ.stdout);
    }
    let equal = run(&["trace", "diff", &blue, &blue]).expect(0);
    assert!(equal.stdout.contains("\n  equal\n"), "{}", equal.stdout);
    let json = run(&["trace", "diff", &blue, &green, "--format", "json"]).expect(1).json();
    assert_eq!(json["comparisons"][0]["counts"]["lost"], 1, "{json}");
    assert_eq!(diff_from(&green, &[&blue, "-"]).expect(1).stdout, differ.stdout.replace(&green, "standard input"));
}

#[test]
fn one_trace_is_taken_out_of_many_and_of_any_format() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).expect("the folder is ours");
        path.display().to_string()
    };
    let blue = std::fs::read_to_string(example("blue.json")).expect("it is there");
    let other = blue.replace(TRACE, "00000000000000000000000000000001").replace("GET /cart", "GET /");
    let lines = format!("{}\n{}\n", blue.replace('\n', " "), other.replace('\n', " "));
    let many = write("many.jsonl", lines.as_bytes());
    let protobuf = otlp::json::request_to_protobuf(otlp::Signal::Traces, blue.as_bytes()).expect("OTLP");
    let protobuf = write("blue.pb", &protobuf);
    run(&["trace", "diff", &many, &protobuf]).expect(0);
    run(&["trace", "diff", &many, &protobuf, "--trace", TRACE]).expect(0);
    let unclear = run(&["trace", "diff", &many, &many]).expect(2);
    assert!(unclear.stderr.contains("several traces: name one with --trace"), "{}", unclear.stderr);
    let two = ["--trace", TRACE, "--trace", "0000000000000001"];
    let places = run(&[&["trace", "diff", &many, &many], &two[..]].concat()).expect(1);
    assert!(places.stdout.contains("two traces, span by span by their places"), "{}", places.stdout);
    assert!(places.stdout.contains("- frontend: GET /cart (server, 12.3ms)  lost"), "{}", places.stdout);
    let zipkin = write(
        "zipkin.json",
        format!(
            r#"[{{"traceId": "{TRACE}", "id": "a000000000000001", "kind": "SERVER", "name": "GET /cart",
                "timestamp": 1764475200000000, "duration": 12345, "localEndpoint": {{"serviceName": "frontend"}}}}]"#
        )
        .as_bytes(),
    );
    let lossy = run(&["trace", "diff", &protobuf, &zipkin]).expect(1).stdout;
    assert!(lossy.contains("end changed: -678ns") && lossy.contains("5 lost"), "{lossy}");
}

#[test]
fn what_cannot_be_compared_is_wrong_usage_and_never_a_difference() {
    let blue = example("blue.json");
    let plan = root().join("examples/plan.yaml").display().to_string();
    for (arguments, expect) in [
        (&["nowhere.json", &blue][..], "nowhere.json: cannot be read"),
        (&[&blue], "a trace alone; name the trace that it is compared with"),
        (&["-", "-"], "both sides are standard input"),
        (&[&plan, &blue], "expected OTLP in JSON"),
        (
            &[&blue, &blue, "--trace", "00000000000000000000000000000007"],
            "no trace 00000000000000000000000000000007 in it",
        ),
        (&[&blue, &blue, "--trace", "7"], "expected 32 hexadecimal digits"),
        (&[&blue, &blue, "--trace", TRACE, "--trace", TRACE, "--trace", TRACE], "given more than twice"),
    ] {
        let ran = run(&[&["trace", "diff"], arguments].concat());
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{arguments:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(expect), "{arguments:?}: {}", ran.stderr);
    }
}

/// A ledger that names three blobs of evidence; one is there, one was deleted, and one is neither.
struct Store3 {
    folder: tempfile::TempDir,
    digests: [String; 3],
}

impl Store3 {
    fn make() -> Store3 {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let key = KeyName::new("test/ledger").expect("a name");
        let key = store::load_or_create_signing_key(&folder.path().join("ledger.key"), &key, [7; 32]).expect("a key");
        let mut store = Store::create(&folder.path().join("ledger"), key).expect("a new ledger");
        let retention = Retention { keep_ms: u64::MAX, max_bytes: 1 << 20 };
        let mut evidence = Evidence::open(&folder.path().join("evidence"), retention).expect("a folder");
        let digests = ["11", "22", "33"].map(|trace| {
            let span = json!({ "span": "00000000000000a1", "parent": "0000000000000000", "kind": 2, "service": "cart",
                "operation": "GET /", "sent": true, "out": 0, "missingKeys": [], "cameOutParent": null, "startUs": 0,
                "durationUs": 1500, "differences": [] });
            let blob = json!([{ "trace": trace.repeat(16), "environment": "green", "spans": [span], "omitted": 0 }]);
            evidence.keep(blob.to_string().as_bytes(), 1_700_000_000_000).expect("room")
        });
        evidence.delete(&digests[1..]).expect("they are ours");
        let finding = FindingName {
            check: Check::LostSpan,
            service: "cart".to_owned(),
            operation: "GET /".to_owned(),
            key: None,
        };
        let kept = |(number, digest): (u8, &String)| Body::EvidenceKept {
            digest: digest.clone(),
            trace: TraceId([0x11 * number; 16]),
            findings: if number == 1 { vec![] } else { vec![finding.clone()] },
        };
        let because = DeletedBecause::TooOld { keep_ms: 30 * 24 * 3_600_000 };
        let deleted = Body::EvidenceDeleted { digests: vec![digests[1].clone()], because };
        let bodies: Vec<Body> = (1..).zip(&digests).map(kept).chain([deleted]).collect();
        let record = |(sequence, body): (u64, Body)| Record {
            version: Record::VERSION,
            rollout: (sequence < 3).then(|| RolloutId("shop.1".to_owned())),
            sequence,
            at: UnixMillis(1_700_000_000_000 + sequence * 1_000),
            by: "verdigris".to_owned(),
            body,
        };
        let entries: Vec<Vec<u8>> =
            (0..).zip(bodies).map(|it| serde_json::to_vec(&record(it)).expect("a record is JSON")).collect();
        store.append(&entries).expect("room on the disk");
        Store3 { folder, digests }
    }

    fn blob(&self, number: usize) -> PathBuf {
        self.folder.path().join("evidence").join(self.digests[number].trim_start_matches("sha256:"))
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        let dir = self.folder.path().join("ledger").display().to_string();
        run(&[arguments, &["--dir", &dir]].concat())
    }
}

const DELETED: &str = "deleted by retention at 2023-11-14T22:13:23.000Z: older than 30d (entry 3 of the ledger)";

#[test]
fn the_evidence_store_is_listed_and_a_trace_of_it_is_shown() {
    let store = Store3::make();
    let list = store.run(&["trace", "show"]).expect(0).stdout;
    let lines: Vec<&str> = list.lines().collect();
    let short = |number: usize| &store.digests[number][..19];
    assert_eq!(
        lines,
        [
            &*format!(
                "trace {} of shop.1  2023-11-14T22:13:20.000Z  {}  why it was rolled back",
                "11".repeat(16),
                short(0)
            ),
            &*format!(
                "trace {} of shop.1  2023-11-14T22:13:21.000Z  {}  lost spans in cart / GET /",
                "22".repeat(16),
                short(1)
            ),
            &*format!("    {DELETED}"),
            &*format!(
                "trace {} of shop.1  2023-11-14T22:13:22.000Z  {}  lost spans in cart / GET /",
                "33".repeat(16),
                short(2)
            ),
            "    not there",
        ]
    );
    let listed = store.run(&["trace", "show", "--format", "json"]).expect(0).json();
    let there: Vec<&Value> = listed["examples"].as_array().expect("a list").iter().map(|it| &it["isThere"]).collect();
    assert_eq!(there, [true, false, false]);
    assert_eq!(listed["examples"][1]["deleted"]["entry"], 3, "{listed}");

    for which in [&*"11".repeat(16), "111111", &store.digests[0], &store.digests[0][7..20]] {
        let shown = store.run(&["trace", "show", which]).expect(0).stdout;
        assert!(shown.contains("a  sent to green: 1 span(s)\n  b  out of green: 0 span(s)\n  1 lost\n"), "{shown}");
        assert!(shown.ends_with("- cart: GET / (server, 1.50ms)  lost\n"), "{shown}");
    }
    let blob = store.blob(0).display().to_string();
    let json = run(&["trace", "diff", &blob, "--format", "json"]).expect(1).json();
    assert_eq!(store.run(&["trace", "show", "111111", "--format", "json"]).expect(0).json(), json);
    for (which, expect) in [("444444", "names no evidence"), ("11", "at least 6 digits")] {
        let refused = store.run(&["trace", "show", which]).expect(2).stderr;
        assert!(refused.contains(expect), "{refused}");
    }
    std::fs::write(&blob, b"[{\"environment\": \"green\"}]").expect("it is ours");
    store.run(&["trace", "show", "111111"]).expect(2);
    let other = std::fs::read(example("blue.json")).expect("it is there");
    std::fs::write(&blob, other).expect("it is ours");
    store.run(&["trace", "show", "111111"]).expect(2);
}

#[test]
fn evidence_whose_bytes_were_changed_does_not_hold() {
    let store = Store3::make();
    let blob = store.blob(0);
    let changed = std::fs::read_to_string(&blob).expect("it is there").replace("\"out\":0", "\"out\":1");
    std::fs::write(&blob, changed).expect("it is ours");
    let refused = run(&["trace", "diff", &blob.display().to_string()]).expect(5);
    assert!(refused.stderr.contains("what is in it has the digest sha256:"), "{}", refused.stderr);
}

#[test]
fn evidence_that_is_gone_is_said_to_be_deleted_where_the_ledger_says_so() {
    let store = Store3::make();
    let path = |number: usize| store.blob(number).display().to_string();
    let says = |ran: Ran, expect: &str| assert!(ran.expect(2).stderr.contains(expect), "{expect}");
    for command in [&["judge", "replay"][..], &["trace", "diff"]] {
        says(run(&[command, &[&path(1)]].concat()), DELETED);
        says(run(&[command, &[&path(2)]].concat()), "the ledger says of no deletion of it");
    }
    says(store.run(&["trace", "show", "222222"]), DELETED);
    says(store.run(&["trace", "show", "333333"]), "the ledger says of no deletion of it");
    let shown = store.run(&["ledger", "show"]).expect(0).stdout;
    let line = |text: &str| shown.lines().find(|line| line.contains(text)).unwrap_or_else(|| panic!("{text}: {shown}"));
    assert!(line(&"22".repeat(16)).ends_with(&format!("[{DELETED}]")), "{shown}");
    assert!(line(&"33".repeat(16)).ends_with("lost spans in cart / GET /"), "{shown}");
    assert!(line("evidence deleted, older than 30d: sha256:").ends_with(&store.digests[1]), "{shown}");
    std::fs::remove_dir_all(store.folder.path().join("ledger")).expect("it is ours");
    says(run(&["judge", "replay", &path(1)]), "whether it was deleted by retention is not known");
    assert!(Path::new(&path(0)).exists());
}
