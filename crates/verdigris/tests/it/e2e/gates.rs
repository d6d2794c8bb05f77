//! The gates beside programs that share nothing with them: rego-cpp for the policies, faker for what redaction must find.

use super::peers::python;
use crate::process::root;
use posture::rules::{Policy, SHIPPED, evaluate};
use redact::{Action, Class, Counts, Key, Redactor};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};

/// Inputs of as many rollouts.
const INPUTS: u64 = 200;

#[test]
fn rego_cpp_denies_the_same() {
    let inputs: Vec<Value> = (0..INPUTS).map(fuzz_targets::policy_input).collect();
    let policies: BTreeMap<&str, &str> = SHIPPED.into_iter().collect();
    let asked = json!({ "policies": policies, "inputs": inputs });
    let mut command = Command::new(python());
    command.arg(root().join("e2e/security/regopy_check.py")).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut regopy = command.spawn().expect("the end-to-end tests' Python starts");
    let mut stdin = regopy.stdin.take().expect("a pipe");
    // It reads to the end before it prints.
    stdin.write_all(asked.to_string().as_bytes()).expect("it reads its inputs");
    drop(stdin);
    let done = regopy.wait_with_output().expect("it ends");
    assert!(done.status.success());
    let theirs: Vec<BTreeMap<String, Vec<String>>> = serde_json::from_slice(&done.stdout).expect("a list");
    assert_eq!(theirs.len(), inputs.len());
    let mut denials = 0;
    for (seed, (input, theirs)) in inputs.iter().zip(&theirs).enumerate() {
        for (name, text) in SHIPPED {
            let policy = Policy { name: name.to_owned(), text: text.to_owned() };
            let ours = evaluate(&policy, input).expect("a shipped policy takes all facts");
            let mut ours: Vec<String> = ours.into_iter().map(|violation| violation.message).collect();
            ours.sort();
            assert_eq!(ours, theirs[name], "of seed {seed} by {name}");
            denials += ours.len();
        }
    }
    assert!(denials > 500, "{denials}: facts of which nothing is denied would say nothing");
}

/// Recall of each class, and the share of identifiers of each kind that is touched: the bounds.
#[test]
fn fakers_values_are_found_and_its_identifiers_are_left() {
    const RECALL: f64 = 0.99;
    const TOUCHED: f64 = 0.001;
    let mut command = Command::new(python());
    let printed = command.arg(root().join("e2e/redact/faker_corpus.py")).args(["2000", "1"]).output();
    let printed = printed.expect("the end-to-end tests' Python starts");
    assert!(printed.status.success(), "{}", String::from_utf8_lossy(&printed.stderr));
    let policy = redact::Policy::default().with(Class::Ipv4, Action::Mask).with(Class::Ipv6, Action::Mask);
    let redactor = Redactor::new(&policy, &Key([7; 32]));
    let identifiers = |name: &str| name.starts_with("identifier-");
    let mut shares: BTreeMap<String, (u32, u32)> = BTreeMap::new();
    for line in String::from_utf8(printed.stdout).expect("JSON is UTF-8").lines() {
        let line: Value = serde_json::from_str(line).expect("an object a line");
        let text = |key: &str| line[key].as_str().expect("a text");
        let edited = redactor.text(Some(text("key")), text("text"), &mut Counts::default());
        let found = match identifiers(text("class")) {
            true => edited.is_some(),
            false => edited.is_some_and(|edited| !edited.contains(text("value"))),
        };
        let (hits, all) = shares.entry(text("class").to_owned()).or_default();
        (*hits, *all) = (*hits + u32::from(found), *all + 1);
    }
    let share = |(hits, all): (u32, u32)| f64::from(hits) / f64::from(all);
    let wrong: Vec<_> = shares
        .iter()
        .filter(|(name, counts)| match identifiers(name) {
            true => share(**counts) > TOUCHED,
            false => share(**counts) < RECALL,
        })
        .collect();
    assert!(wrong.is_empty(), "{wrong:?} of {shares:?}");
    assert!(shares.len() >= 20 && shares.values().all(|(_, all)| *all >= 2_000), "{shares:?}");
}
