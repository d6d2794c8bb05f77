//! `verdigris verify learn`, as a process: from recordings to a plan that is accepted.

use crate::process::{root, run};
use std::fs;
use std::path::{Path, PathBuf};

/// Traces in a recording.
const TRACES: usize = 40;

/// A line of the Collector's file exporter: a trace of one span.
fn line(trace: usize, attributes: &str, end_ns: &str) -> String {
    format!(
        r#"{{"resourceSpans":[{{"resource":{{"attributes":[{{"key":"service.name","value":{{"stringValue":"shop"}}}}]}},"scopeSpans":[{{"spans":[{{"traceId":"{trace:032x}","spanId":"{trace:016x}","name":"GET /cart","kind":2,"startTimeUnixNano":"1700000000000000000","endTimeUnixNano":"{end_ns}","attributes":[{attributes}]}}]}}]}}]}}"#
    )
}

fn attribute(key: &str, value: &str) -> String {
    format!(r#"{{"key":"{key}","value":{{"stringValue":"{value}"}}}}"#)
}

/// What was sent, and what a pipeline made of it that renames, masks, cuts times and samples every fourth trace out.
fn recordings() -> (Vec<String>, Vec<String>) {
    let (mut sent, mut out) = (Vec::new(), Vec::new());
    for trace in 1..=TRACES {
        let attributes = [attribute("card.number", "4242"), attribute("http.method", "GET")].join(",");
        sent.push(line(trace, &attributes, "1700000000001234567"));
        if trace % 4 != 0 {
            let attributes = [attribute("card.number", "****"), attribute("http.request.method", "GET")].join(",");
            out.push(line(trace, &attributes, "1700000000001234000"));
        }
    }
    (sent, out)
}

fn write(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, bytes).expect("the folder is ours");
    path
}

fn learn(sent: &Path, out: &Path, more: &[&str]) -> crate::process::Ran {
    let (sent, out) = (sent.display().to_string(), out.display().to_string());
    run(&[&["verify", "learn", "--sent", &sent, "--out", &out][..], more].concat())
}

#[test]
fn what_is_learned_from_recordings_is_a_declaration_that_a_plan_takes() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (sent, out) = recordings();
    let json = |name: &str, lines: &[String]| write(folder.path(), name, (lines.join("\n") + "\n").as_bytes());
    let (sent_at, out_at) = (json("sent.jsonl", &sent), json("out.jsonl", &out));
    let learned = learn(&sent_at, &out_at, &[]).expect(0).stdout;
    let expected = "      transformations:
        reason: \"learned from 30 spans\"
        attributes:
          renamed:
            http.method: http.request.method  # 100.0% of the spans that had it: 30 of 30
          changed:
            - card.number  # 100.0% of the spans that had it: 30 of 30
        times: us  # 100.0% of the spans: 30 of 30
        samples: true  # 25.0% of the traces: 10 of 40
";
    assert!(learned.ends_with(expected), "{learned}");

    // Pasted under an environment it is accepted, and whoever approves reads it.
    let plan = fs::read_to_string(root().join("examples/plan.yaml")).expect("the example is there");
    let at = plan.find("    green:\n").expect("the example has an environment") + "    green:\n".len();
    let plan = write(folder.path(), "plan.yaml", format!("{}{learned}{}", &plan[..at], &plan[at..]).as_bytes());
    let checked = run(&["plan", "check", &plan.display().to_string()]).expect(0).stdout;
    for declared in ["attributes renamed: http.method to http.request.method", "whole traces left out"] {
        assert!(checked.contains(declared), "{checked}");
    }

    // The other format of the file exporter says the same.
    let framed = |name: &str, lines: &[String]| {
        let message = |line: &String| {
            let message = otlp::json::request_to_protobuf(otlp::Signal::Traces, line.as_bytes()).expect("it is OTLP");
            [&(message.len() as u32).to_be_bytes()[..], &message].concat()
        };
        write(folder.path(), name, &lines.iter().flat_map(message).collect::<Vec<u8>>())
    };
    let (sent_proto, out_proto) = (framed("sent.pb", &sent), framed("out.pb", &out));
    assert_eq!(learn(&sent_proto, &out_proto, &[]).expect(0).stdout, learned);
    let told = learn(&sent_at, &out_at, &["--format", "json"]).expect(0).json();
    assert_eq!((&told["spans"]["compared"], &told["spans"]["lost"]), (&30.into(), &0.into()), "{told}");
}

#[test]
fn recordings_that_cannot_be_read_or_do_not_belong_together_are_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (sent, out) = recordings();
    let good = write(folder.path(), "sent", sent[0].as_bytes());
    let other = write(folder.path(), "other", out[5].as_bytes());
    learn(&good, &other, &[]).expect(2).says(&["none of the 1 spans", "of the same time"]);
    let check = |bytes: &[u8], words: &[&str]| {
        let bad = write(folder.path(), "bad", bytes);
        learn(&good, &bad, &[]).expect(2).says(&["bad: message 1"]).says(words);
    };
    check(b"{\"resourceSpans\": 1}", &["file exporter"]);
    check(b"\x00\x00\x01\x00abc", &["ends after 3 of 256 bytes"]);
    check(b"\xff\xff\xff\xffabc", &["4294967295 bytes long"]);
    check(b"\x0a\xff\xff", &["no OTLP traces"]);
    let nowhere = folder.path().join("nowhere");
    learn(&nowhere, &good, &[]).expect(2).says(&["nowhere", "cannot be read"]);
}
