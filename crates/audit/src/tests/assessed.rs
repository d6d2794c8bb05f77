//! The evidence in other tools' words.

use super::*;
use serde_json::Value;

/// A file of a bundle, by its path.
pub(super) fn file(bundle: &Bundle, path: &str) -> Option<Vec<u8>> {
    let bytes = bundle.to_bytes();
    let mut archive = tar::Archive::new(&bytes[..]);
    let mut files = archive.entries().unwrap().map(Result::unwrap);
    let mut file = files.find(|file| file.path().unwrap().to_str() == Some(path))?;
    let mut content = Vec::new();
    std::io::Read::read_to_end(&mut file, &mut content).unwrap();
    Some(content)
}

fn results(bundle: &Bundle) -> Value {
    let content = file(bundle, "oscal-assessment-results.json").unwrap();
    serde_json::from_slice::<Value>(&content).unwrap()["assessment-results"].clone()
}

/// Titles of a list of objects.
fn titles(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|it| it["title"].as_str().unwrap()).collect()
}

#[test]
fn there_is_an_observation_for_each_kind_of_record_and_no_finding() {
    let ledger = Ledger::of_a_rollback();
    let document = results(&ledger.bundle());
    let result = &document["results"][0];
    let expected = ["start", "step", "shift", "observation", "verdict", "rollback", "end", "server"];
    assert_eq!(titles(&result["observations"]), expected);
    assert!(result["findings"].is_null(), "whether a control is met is for an assessor to say");
    let observations = result["observations"].as_array().unwrap();
    let (named, shown): (usize, _) = (
        observations.iter().map(|it| it["relevant-evidence"].as_array().unwrap().len()).sum(),
        ledger.bundle().shown().len(),
    );
    assert_eq!(named, shown, "each record is evidence in one place");
    let start = &observations[0];
    let controls: Vec<&str> =
        start["props"].as_array().unwrap().iter().map(|it| it["value"].as_str().unwrap()).collect();
    assert!(
        controls.contains(&"pci-6.5.1") && controls.contains(&"cm-3") && !controls.contains(&"ac-5"),
        "{controls:?}"
    );
    let evidence = &start["relevant-evidence"][0];
    assert_eq!(evidence["href"], "records/0000000001.json");
    let record = file(&ledger.bundle(), "records/0000000001.json").unwrap();
    assert_eq!(evidence["props"][0]["value"], crate::statement::sha256(&record));
    // What the judge knew is named where its verdict is.
    let verdicts = observations[4]["relevant-evidence"].as_array().unwrap();
    let blobs = verdicts.iter().flat_map(|it| it["links"].as_array().unwrap()).filter(|it| it["rel"] == "evidence");
    assert_eq!(blobs.count(), 1);
    // The plan is what it was checked against.
    let plan = document["back-matter"]["resources"][0].clone();
    assert_eq!(document["import-ap"]["href"], format!("#{}", plan["uuid"].as_str().unwrap()));
    let digest = plan["rlinks"][0]["hashes"][0]["value"].as_str().unwrap();
    assert_eq!(format!("sha256:{digest}"), parse(PLAN).unwrap().digest());
}

#[test]
fn what_was_not_as_planned_is_an_open_risk() {
    let mut ledger = Ledger::of_a_rollback();
    let result = |ledger: &Ledger| results(&ledger.bundle())["results"][0].clone();
    assert!(result(&ledger)["risks"].is_null(), "{}", result(&ledger)["risks"]);
    ledger.evidence.clear();
    let decision = Decision::Refused { command: "approve".into(), reason: "alice\nwrote it".into() };
    let paused = ledger.records.iter_mut().find(|record| matches!(record.body, Body::Decided(_))).unwrap();
    paused.body = Body::Decided(Box::new(decision));
    let risks = &result(&ledger)["risks"];
    assert_eq!(titles(risks), ["refused", "missing evidence"]);
    assert_eq!(risks[0]["description"], "approve: alice\u{fffd}wrote it");
    for risk in risks.as_array().unwrap() {
        assert_eq!(risk["status"], "open");
        assert!(risk["related-observations"][0]["observation-uuid"].is_string(), "{risk}");
    }
}

/// Every identifier is a UUID of a version that OSCAL allows, stands once, and is the same each time.
#[test]
fn identifiers_follow_from_what_they_are_of() {
    fn collect(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(object) => {
                found.extend(object.get("uuid").map(|uuid| uuid.as_str().unwrap().to_owned()));
                object.values().for_each(|value| collect(value, found));
            }
            Value::Array(values) => values.iter().for_each(|value| collect(value, found)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let mut ledger = Ledger::of_a_rollback();
    let of = |ledger: &Ledger| {
        let mut found = Vec::new();
        collect(&results(&ledger.bundle()), &mut found);
        found
    };
    let found = of(&ledger);
    assert!(found.iter().all(|uuid| uuid::Uuid::parse_str(uuid).unwrap().get_version_num() == 5), "{found:?}");
    let mut once = found.clone();
    once.sort();
    once.dedup();
    assert_eq!(once.len(), found.len());
    assert_eq!(of(&ledger), found);
    ledger.evidence.clear();
    assert!(of(&ledger).iter().all(|uuid| !found.contains(uuid)), "another document has other identifiers");
}

/// However long a rollout is, the file stays small enough to be read.
#[test]
fn of_many_records_of_a_kind_the_first_and_the_last_are_named() {
    let mut ledger = Ledger::of_a_rollback();
    let observed = ledger
        .records
        .iter()
        .find(|record| matches!(&record.body, Body::Happened(it) if matches!(**it, Event::Observed(_))));
    let observed = observed.unwrap().clone();
    let before = ledger.records.len();
    ledger.records.resize(before + 1_500, observed);
    let document = results(&ledger.bundle());
    let observation = &document["results"][0]["observations"][3];
    assert_eq!(observation["relevant-evidence"].as_array().unwrap().len(), 1_000);
    let last = &observation["relevant-evidence"][999]["href"];
    assert_eq!(*last, format!("records/{:010}.json", before + 1_499));
    assert!(observation["description"].as_str().unwrap().contains("between the first and the last are not named"));
}
