//! What is stated in the log's name.

use super::*;
use crate::DECISION;
use serde_json::Value;

/// The predicates of a bundle's statements, and one of them whole.
fn statements(ledger: &Ledger) -> BTreeMap<u64, Value> {
    let bundle = ledger.bundle();
    bundle.statements.iter().map(|(index, it)| (*index, serde_json::from_str(&it.payload).unwrap())).collect()
}

/// In place of the record at `index`, a gate that ended so.
fn with_gate(verdict: GateVerdict) -> (Ledger, u64) {
    let mut ledger = Ledger::of_a_rollback();
    let at = ledger.records.iter().position(|record| matches!(record.body, Body::Happened(_))).unwrap();
    let result = GateResult { verdict, reasons: vec!["because".to_owned()], evidence: None };
    ledger.records[at].body = Body::Happened(Box::new(Event::GateFinished { gate: GateName::Drift, run: 2, result }));
    (ledger, at as u64)
}

#[test]
fn a_gate_is_stated_as_a_test_result() {
    let (ledger, at) = with_gate(GateVerdict::Pass);
    let statement = &statements(&ledger)[&at];
    let text = serde_json::to_string_pretty(statement).unwrap();
    insta::assert_snapshot!(text);
    for (verdict, word, lists) in [
        (GateVerdict::Pass, "PASSED", ["passedTests", "failedTests"]),
        (GateVerdict::Fail, "FAILED", ["failedTests", "passedTests"]),
    ] {
        let (ledger, at) = with_gate(verdict);
        let predicate = &statements(&ledger)[&at]["predicate"];
        assert_eq!(
            (&predicate["result"], &predicate[lists[0]][0], &predicate[lists[1]]),
            (&word.into(), &"drift".into(), &Value::Array(vec![]))
        );
    }
}

/// What the test result's three words do not say is not said by one of them (invariant 4).
#[test]
fn a_gate_without_an_answer_is_no_test_result() {
    for (verdict, word) in [(GateVerdict::Inconclusive, "inconclusive"), (GateVerdict::Error, "error")] {
        let (ledger, at) = with_gate(verdict);
        let statement = &statements(&ledger)[&at];
        assert_eq!(statement["predicateType"], DECISION);
        assert_eq!(statement["predicate"]["result"]["verdict"], word, "{statement}");
    }
}

#[test]
fn verdicts_and_what_followed_are_stated_of_the_plan_and_what_is_deployed() {
    let mut ledger = Ledger::of_a_rollback();
    let artifact = format!("sha256:{}", "ab".repeat(32));
    for record in &mut ledger.records {
        if let Body::Started(start) = &mut record.body {
            start.plan.environments.green.artifact = Some(artifact.clone());
            start.plan_digest = start.plan.digest();
        }
    }
    let (bundle, verified) = Bundle::verify(&ledger.bundle().to_bytes(), ledger.key.verifier()).unwrap();
    let stated = statements(&ledger);
    let name = |decision: &Value| match decision {
        Value::String(name) => name.clone(),
        decision => decision.as_object().unwrap().keys().next().unwrap().clone(),
    };
    let decisions: Vec<String> = stated.values().map(|it| name(&it["predicate"]["decision"])).collect();
    for expected in ["judged", "rollbackOrdered", "ended"] {
        assert!(decisions.iter().any(|decision| decision == expected), "{decisions:?}");
    }
    for (index, statement) in &stated {
        assert_eq!(statement["subject"][1]["name"], "green");
        assert_eq!(statement["subject"][1]["digest"]["sha256"], "ab".repeat(32));
        let record = &statement["predicate"]["verdigrisRecord"];
        assert_eq!((&record["entry"], &record["ledger"]), (&(*index).into(), &"verdigris.example/ledger".into()));
    }
    assert_eq!(bundle.statements.len(), stated.len());
    assert_eq!(verified.sequence.hidden, 0);
    // A later head of the ledger changes nothing of what is stated.
    let before = ledger.bundle().statements;
    ledger.note(None, 10, Body::ServerStarted { version: "2".into() });
    assert_eq!(ledger.bundle().statements, before);
}

#[test]
fn without_the_private_key_nothing_is_stated_and_the_rest_holds() {
    let ledger = Ledger::of_a_rollback();
    let mut bundle = ledger.bundle();
    bundle.statements.clear();
    let (read, _) = Bundle::verify(&bundle.to_bytes(), ledger.key.verifier()).unwrap();
    assert_eq!(read, bundle);
}

#[test]
fn what_is_not_stated_so_by_the_log_is_found() {
    let ledger = Ledger::of_a_rollback();
    let whole = ledger.bundle();
    let (first, last) = (*whole.statements.keys().next().unwrap(), *whole.statements.keys().next_back().unwrap());
    let check = |change: &dyn Fn(&mut BTreeMap<u64, Envelope>), expected: String| {
        let mut bundle = whole.clone();
        change(&mut bundle.statements);
        let error = Bundle::verify(&bundle.to_bytes(), ledger.key.verifier()).unwrap_err();
        assert_eq!(error.to_string(), expected);
    };
    let file = |index: u64| format!("statements/{index:010}.dsse.json");
    let expected = "expected those that the shown records lead to, or none at all";
    check(&|it| drop(it.remove(&first)), format!("{} is missing: {expected}", file(first)));
    check(
        &|it| {
            let envelope = it[&first].clone();
            it.insert(0, envelope);
        },
        format!("{} is there: {expected}", file(0)),
    );
    // Signed by the log, and another record's.
    let says = |index: u64| format!("{}: it does not say what entry {index} says", file(index));
    check(
        &|it| {
            let envelope = it[&last].clone();
            it.insert(first, envelope);
        },
        says(first),
    );
    let resigned = |payload_type: &str, key: &SignerKey| {
        Envelope::sign(payload_type, whole.statements[&first].payload.clone(), key)
    };
    check(&|it| drop(it.insert(first, resigned("application/json", &ledger.key))), says(first));
    let signature = format!("{}: expected one signature, that of the ledger's key", file(first));
    let type_ = "application/vnd.in-toto+json";
    check(&|it| drop(it.insert(first, resigned(type_, &key(2)))), signature.clone());
    check(
        &|it| {
            let more = resigned(type_, &key(2)).signatures;
            it.get_mut(&first).unwrap().signatures.extend(more);
        },
        signature.clone(),
    );
    check(&|it| it.get_mut(&first).unwrap().signatures[0].key_id = "00000000".to_owned(), signature);
}
