//! What the gates of tests and integrations read from others: reports of tests, calls that an agent is asked to make, and whom
//! spans call.

use integrations::{Calls, Dependencies, Dependency, MAX_NAME_BYTES, Outcomes, Window};
use model::UnixMillis;
use otlp::for_each_span;
use std::collections::BTreeSet;
use testing::{Demand, MAX_NAME_CHARACTERS, MAX_TESTS, Reading, Suite, decide, read};

/// Two quotations of 160 characters of at most four bytes, and the words around them.
const MAX_WORDS: usize = 1_600;
const NOW: UnixMillis = UnixMillis(1_790_000_000_000);

fn held(words: &str) {
    assert!(!words.is_empty() && words.len() < MAX_WORDS, "{} bytes", words.len());
    assert!(!words.contains(char::is_control), "{words:?}");
}

/// The target `tests`: what is read is bounded, printable and the same when it is read again; a verdict has reasons.
pub(crate) fn tests(bytes: &[u8]) {
    let properties = ["artifact".to_owned()];
    let reading = Reading { source: "green.xml", properties: &properties, zone_minutes: 60, key: None };
    let suite = match read(bytes, &reading) {
        Ok(suite) => suite,
        Err(error) => return held(&error.to_string()),
    };
    assert!(suite.cases.len() <= MAX_TESTS);
    for case in &suite.cases {
        assert!(case.name.chars().count() <= MAX_NAME_CHARACTERS && !case.name.contains(char::is_control));
    }
    if let Some(ran) = suite.ran {
        assert!(ran.earliest <= ran.latest);
    }
    let text = serde_json::to_string(&suite).expect("facts are JSON");
    assert_eq!(serde_json::from_str::<Suite>(&text).expect("facts are read again"), suite);
    let artifact = format!("sha256:{}", "a".repeat(64)).parse().expect("it is a digest");
    let demand = Demand {
        artifact,
        built: Some(UnixMillis(1)),
        at_least: 1,
        max_age_ms: Some(1_000),
        max_skipped: Some(0),
        exceptions: Vec::new(),
    };
    let suites = [suite];
    assert!(!decide(&demand, &suites, Some(&suites), NOW).reasons.is_empty());
}

/// The target `calls`: what is read is asked again as it was; what an agent answers tells of nothing else.
pub(crate) fn calls(bytes: &[u8]) {
    let asked = br#"{"calls":[{"name":"a","to":{"tcp":{"host":"a","port":1}},"repetitions":2,"timeoutMs":1}]}"#;
    let asked = Calls::read(asked).expect("the call is good");
    match Calls::read(bytes) {
        Ok(calls) => {
            assert_eq!(Calls::read(calls.to_json().as_bytes()).expect("calls are read again"), calls);
            for call in calls.iter() {
                let address = call.address().expect("calls go somewhere");
                assert_eq!(address.to_string().parse(), Ok(address));
            }
        }
        Err(error) => held(&error.to_string()),
    }
    match Outcomes::read(bytes, &asked) {
        Ok(outcomes) => {
            assert!(outcomes.attempts.iter().all(|(name, attempts)| name == "a" && attempts.len() <= 2));
            let failures = outcomes.attempts.values().flatten().filter_map(|attempt| attempt.failed.as_ref());
            failures.for_each(|failure| held(&failure.words));
        }
        Err(error) => held(&error.to_string()),
    }
}

/// The target `dependencies`: whom spans call is bounded, printable, and the same in whatever pieces it is counted.
pub(crate) fn dependencies(bytes: &[u8]) {
    let (mut whole, mut window) = (Window::new(10, [7; 16]), Window::new(10, [8; 16]));
    let mut spans = BTreeSet::new();
    let mut pieces = Dependencies::default();
    let taken = for_each_span(bytes, |span| {
        spans.insert((span.trace_id, span.span_id));
        whole.take(span, UnixMillis(0));
        window.take(span, UnixMillis(0));
        pieces.merge(&window.drain());
    });
    if taken.is_err() {
        return;
    }
    whole.settle(UnixMillis(10));
    window.settle(UnixMillis(10));
    assert_eq!((whole.open(), window.open()), (0, 0));
    pieces.merge(&window.drain());
    let all = whole.drain();
    assert_eq!(pieces, all);
    assert!(all.called.values().map(|called| called.calls).sum::<u64>() <= spans.len() as u64);
    for name in all.called.keys() {
        assert!(name.name.len() <= MAX_NAME_BYTES && !name.name.contains(char::is_control), "{name:?}");
        assert_eq!(name.to_string().parse::<Dependency>().as_ref(), Ok(name));
    }
    let text = serde_json::to_string(&all).expect("tables are JSON");
    assert_eq!(serde_json::from_str::<Dependencies>(&text).expect("tables are read again"), all);
}
