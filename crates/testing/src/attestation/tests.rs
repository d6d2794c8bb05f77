use super::*;
use crate::key::AttestationKey;
use crate::read as read_report;
use ed25519_dalek::{Signer as _, SigningKey};

const DIGITS: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

fn statement(result: &str, failed: &str) -> String {
    format!(
        r#"{{"_type":"https://in-toto.io/Statement/v1","subject":[{{"name":"shop","digest":{{"sha256":"{DIGITS}","sha512":"x"}}}}],"predicateType":"https://in-toto.io/attestation/test-result/v0.1","predicate":{{"result":"{result}","configuration":[{{"name":".github/workflows/ci.yml"}}],"url":"https://ci.example/1","passedTests":["a","b"],"warnedTests":["w"],"failedTests":{failed}}}}}"#
    )
}

fn pem(key: &SigningKey) -> String {
    let prefix = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
    let der = [&prefix[..], &key.verifying_key().to_bytes()].concat();
    format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(der))
}

fn envelope(payload: &str, key: &SigningKey) -> String {
    let signed = format!("{}{payload}", pae(PAYLOAD_TYPE, payload.len()));
    let signature = STANDARD.encode(key.sign(signed.as_bytes()).to_bytes());
    let payload = STANDARD.encode(payload);
    format!(
        r#"{{"payloadType":"{PAYLOAD_TYPE}","payload":"{payload}","signatures":[{{"keyid":"","sig":"{signature}"}}]}}"#
    )
}

fn check(text: &str, key: Option<&AttestationKey>) -> Result<Suite, String> {
    let reading = Reading { source: "green.json", properties: &[], zone_minutes: 0, key };
    read_report(text.as_bytes(), &reading).map_err(|error| error.to_string())
}

#[test]
fn a_statement_names_the_artifact_and_its_tests() {
    let suite = check(&statement("FAILED", r#"["c"]"#), None).unwrap();
    assert_eq!(suite.artifacts, [format!("sha256:{DIGITS}").parse().unwrap()].into());
    let found: Vec<_> = suite.cases.iter().map(|case| (case.name.as_str(), case.outcome, case.flaky)).collect();
    let passed = Outcome::Passed;
    assert_eq!(found, [("a", passed, false), ("b", passed, false), ("w", passed, true), ("c", Outcome::Failed, false)]);
    assert_eq!((suite.unlisted_failures, suite.signature, suite.ran), (0, Signature::NotAsked, None));
    assert_eq!(check(&statement("FAILED", "null"), None).unwrap().unlisted_failures, 1);
}

#[test]
fn a_key_is_asked_for_only_if_it_is_given() {
    let (ours, other) = (SigningKey::from_bytes(&[1; 32]), SigningKey::from_bytes(&[2; 32]));
    let key: AttestationKey = pem(&ours).parse().unwrap();
    let signed = envelope(&statement("PASSED", "[]"), &ours);
    assert_eq!(check(&signed, Some(&key)).unwrap().signature, Signature::Verified);
    assert_eq!(check(&signed, None).unwrap().signature, Signature::NotAsked);
    let by_other = check(&envelope(&statement("PASSED", "[]"), &other), Some(&key)).unwrap_err();
    assert!(by_other.contains("no signature of the envelope is of that key and fits"), "{by_other}");
    let bare = check(&statement("PASSED", "[]"), Some(&key)).unwrap_err();
    assert!(bare.contains("stands in no envelope"), "{bare}");
    let junit = check("<testsuite/>", Some(&key)).unwrap_err();
    assert!(junit.contains("is JUnit XML"), "{junit}");
    let (payload, other) = (statement("PASSED", "[]"), statement("PASSED", "null"));
    let altered = signed.replace(&STANDARD.encode(payload), &STANDARD.encode(other));
    assert_ne!(altered, signed);
    assert!(check(&altered, Some(&key)).is_err());
}

#[test]
fn other_statements_are_refused() {
    let expect = |text: String, words: &str| {
        let error = check(&text, None).unwrap_err();
        assert!(error.contains(words), "{error}");
    };
    expect(statement("OK", "[]"), "predicate.result of the attestation is OK");
    expect(statement("PASSED", "[]").replace("Statement/v1", "Statement/v9"), "_type");
    expect(statement("PASSED", "[]").replace("test-result", "vuln"), "predicateType");
    expect("{}".to_owned(), "cannot be read");
    expect(statement("PASSED", &format!("[{}\"x\"]", "\"x\",".repeat(MAX_TESTS))), "more than 100000 elements");
    assert!("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----".parse::<AttestationKey>().is_err());
}
