use super::*;
use crate::fact::{Delivery, Status};
use crate::verifier::{Config, Verifier};
use model::{Environment, Observation, PerEnvironment, RouteKey, SpanId, TraceId, UnixMillis};
use proptest::prelude::*;

/// Every difference counts.
const EVERYTHING: Least = Least { share: 1e-9, count: 1 };
const USUAL: Least = Least { share: 0.05, count: 10 };

/// A span that owns what it has; values are strings on the wire.
#[derive(Clone, Debug, Default)]
struct Owned {
    service: &'static str,
    name: String,
    attributes: BTreeMap<String, Vec<u8>>,
    resource: BTreeMap<String, Vec<u8>>,
    message: &'static str,
    state: &'static str,
    scope: &'static str,
    events: u8,
    times: [u64; 2],
}

fn value(text: &str) -> Vec<u8> {
    [&[10, text.len() as u8], text.as_bytes()].concat()
}

fn attributes(text: &str) -> BTreeMap<String, Vec<u8>> {
    let pairs = text.split_whitespace().filter_map(|pair| pair.split_once('='));
    pairs.map(|(key, text)| (key.to_owned(), value(text))).collect()
}

fn span(text: &str) -> Owned {
    Owned { service: "shop", attributes: attributes(text), times: [5_000_000, 9_000_000], ..Owned::default() }
}

impl Owned {
    fn with<T>(&self, id: u64, then: impl FnOnce(&SpanFact<'_>) -> T) -> T {
        let attributes: Vec<_> = self.attributes.iter().map(|(key, value)| (&**key, &**value)).collect();
        let resource: Vec<_> = self.resource.iter().map(|(key, value)| (&**key, &**value)).collect();
        let events = vec![&b"event"[..]; self.events.into()];
        then(&SpanFact {
            trace: TraceId(u128::from(id).to_be_bytes()),
            span: SpanId(id.to_be_bytes()),
            service: self.service,
            operation: &self.name,
            start_ns: self.times[0],
            end_ns: self.times[1],
            status: Status { code: 0, message: self.message },
            trace_state: self.state,
            attributes: &attributes,
            events: &events,
            scope: [self.scope, "", ""],
            resource: &resource,
            ..SpanFact::default()
        })
    }
}

fn learned(least: Least, pairs: &[(Owned, Owned)]) -> Learned {
    let mut learner = Learner::new(least);
    for (sent, out) in pairs {
        sent.with(1, |sent| out.with(1, |out| learner.pair(sent, out)));
    }
    learner.finish()
}

/// What the verifier finds in the pairs under a declaration, each a trace of its own.
fn findings(meant: &Transformations, pairs: &[(Owned, Owned)]) -> Vec<String> {
    let config = Config {
        batch_ms: 1_000,
        linger_ms: 1_000,
        horizon_ms: 5_000,
        max_spans: 100_000,
        max_rate: u64::MAX,
        key: [3; 16],
        route_key: RouteKey([5; 16]),
    };
    let meant = PerEnvironment::from_fn(|_| meant.clone());
    let mut verifier = Verifier::new(config, UnixMillis(0)).with(meant);
    for ((sent, out), id) in pairs.iter().zip(1..) {
        sent.with(id, |fact| verifier.sent(Environment::Blue, Delivery::Acknowledged, 20_000_000, fact));
        out.with(id, |fact| verifier.out(Environment::Blue, 20_001_000, fact));
    }
    let observations: Vec<Observation> = verifier.advance(UnixMillis(60_000));
    let traces: u64 = observations.iter().map(|observation| observation.arms.blue.traces).sum();
    assert_eq!(traces, pairs.len() as u64, "every pair is judged");
    let found = observations.iter().flat_map(|observation| &observation.findings);
    found.map(|finding| format!("{:?} {:?}", finding.check, finding.key)).collect()
}

/// Learns from as many of each pair as stands before it, and compares the lines of the YAML that are no introduction.
#[track_caller]
fn check(pairs: &[(usize, Owned, Owned)], expected: &str) {
    let pairs: Vec<(Owned, Owned)> =
        pairs.iter().flat_map(|(times, sent, out)| vec![(sent.clone(), out.clone()); *times]).collect();
    let text = learned(USUAL, &pairs).to_string();
    let lines = |text: &str| {
        text.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect::<Vec<String>>()
    };
    let (found, expected): (Vec<String>, Vec<String>) = (lines(&text).split_off(2), lines(expected));
    assert_eq!(found, expected, "\n{text}");
}

#[test]
fn each_kind_of_change_is_named_with_its_share() {
    let sent = Owned { resource: attributes("host.name=a"), ..span("http.method=GET user.id=7 card.number=4242") };
    let out = Owned {
        resource: attributes("host.name=b"),
        message: "cut",
        times: [5_000_000, 9_000_000],
        ..span("http.request.method=GET card.number=**** k8s.pod.name=p")
    };
    let sent = Owned { times: [5_000_300, 9_000_700], ..sent };
    check(
        &[(90, sent, out), (10, span(""), span(""))],
        "transformations:
           reason: \"learned from 100 spans\"
           attributes:
             added:
               - k8s.pod.name  # 90.0% of the spans of these services: 90 of 100
             removed:
               - user.id  # 100.0% of the spans that had it: 90 of 90
             renamed:
               http.method: http.request.method  # 100.0% of the spans that had it: 90 of 90
             changed:
               - card.number  # 100.0% of the spans that had it: 90 of 90
           resource:
             - host.name  # 90.0% of the spans of these services: 90 of 100
           parts:
             - status  # 100.0% of the spans that have it: 90 of 90
           times: us  # 90.0% of the spans: 90 of 100",
    );
}

#[test]
fn what_is_rare_stays_a_finding() {
    check(
        &[(96, span("a.b=1"), span("a.b=1")), (4, span("a.b=1"), span("a.b=2"))],
        "# Nothing has to be declared.
         # Left out, so that it stays a finding:
         #   changed a.b: 4.0% of the spans that had it: 4 of 100",
    );
    // A share of few spans says little.
    check(
        &[(9, span("a.b=1"), span("")), (200, span("c.d=1"), span("c.d=1"))],
        "# Nothing has to be declared.
         # Left out, so that it stays a finding:
         #   removed a.b: 100.0% of the spans that had it: 9 of 9",
    );
}

#[test]
fn a_rename_must_hold_nearly_everywhere() {
    let renamed = (60, span("a.b=1"), span("c.d=1"));
    check(
        &[renamed.clone(), (1, span("a.b=1"), span("a.b=1"))],
        "transformations:
           reason: \"learned from 61 spans\"
           attributes:
             renamed:
               a.b: c.d  # 98.4% of the spans that had it: 60 of 61",
    );
    check(
        &[renamed, (40, span("a.b=1"), span("a.b=1"))],
        "transformations:
           reason: \"learned from 100 spans\"
           attributes:
             added:
               - c.d  # 60.0% of the spans of these services: 60 of 100
             removed:
               - a.b  # 60.0% of the spans that had it: 60 of 100",
    );
}

#[test]
fn names_are_written_so_that_yaml_keeps_them() {
    check(
        &[(20, span("true=1"), span("q\"\\=2"))],
        "transformations:
           reason: \"learned from 20 spans\"
           attributes:
             added:
               - \"q\\\"\\\\\"  # 100.0% of the spans of these services: 20 of 20
             removed:
               - \"true\"  # 100.0% of the spans that had it: 20 of 20",
    );
    let odd = learned(USUAL, &vec![(span(""), span("k\u{7f}y=1")); 20]);
    assert_eq!((odd.not_kept, odd.declared), (20, vec![]));
}

#[test]
fn whole_traces_that_are_missing_are_sampling() {
    let mut learner = Learner::new(USUAL);
    (0..100).for_each(|number| learner.trace(number % 4 == 0));
    let learned = learner.finish();
    assert!(learned.meant.samples);
    assert!(learned.to_string().contains("samples: true  # 75.0% of the traces: 75 of 100"), "{learned}");
}

#[test]
fn the_finest_precision_that_explains_the_times_is_taken() {
    let cut = |ns| (Owned { times: [5_123_456, 9_876_543], ..span("") }, Owned { times: ns, ..span("") });
    let precision = |ns| learned(USUAL, &vec![cut(ns); 20]).meant.times;
    assert_eq!(precision([5_123_456, 9_876_543]), Precision::Nanoseconds);
    assert_eq!(precision([5_123_000, 9_876_000]), Precision::Microseconds);
    assert_eq!(precision([5_000_000, 9_000_000]), Precision::Milliseconds);
    assert_eq!(precision([7_000_000, 9_000_000]), Precision::Nanoseconds, "none explains it");
}

#[test]
fn what_is_held_is_bounded() {
    let mut learner = Learner::new(EVERYTHING);
    for number in 0..MAX_KEYS + 10 {
        let sent = Owned { resource: attributes(&format!("r{number}=1")), ..span(&format!("k{number}=1")) };
        sent.with(1, |sent| span("").with(1, |out| learner.pair(sent, out)));
    }
    assert_eq!((learner.ids.len(), learner.resource.len(), learner.not_kept), (MAX_KEYS, MAX_KEYS, 20));
    let learned = learner.finish();
    assert_eq!((learned.meant.removed.len(), learned.meant.resource.len()), (MAX_DECLARED, MAX_DECLARED));
}

const KEYS: [&str; 6] = ["a.1", "b.1", "c.1", "d.1", "e.1", "f.1"];

fn some_span() -> impl Strategy<Value = Owned> {
    let attributes = prop::collection::btree_map(prop::sample::select(&KEYS[..]), "[xy]", 0..6);
    let resource = prop::collection::btree_map(prop::sample::select(&KEYS[..3]), "[xy]", 0..3);
    let words = || prop::sample::select(vec!["", "one", "two"]);
    let parts = (words(), words(), words(), 0..3u8);
    (attributes, resource, parts, words(), 1_000_000..9_000_000u64).prop_map(
        |(attributes, resource, (message, state, scope, events), service, start_ns)| Owned {
            service,
            name: "op".to_owned(),
            attributes: attributes.into_iter().map(|(key, text)| (key.to_owned(), value(&text))).collect(),
            resource: resource.into_iter().map(|(key, text)| (key.to_owned(), value(&text))).collect(),
            message,
            state,
            scope,
            events,
            times: [start_ns, start_ns + 1_234_567],
        },
    )
}

fn some_keys() -> impl Strategy<Value = BTreeSet<String>> {
    prop::collection::btree_set(prop::sample::select(&KEYS[..]).prop_map(str::to_owned), 0..3)
}

fn some_transformations() -> impl Strategy<Value = Transformations> {
    let key = || prop::sample::select(&KEYS[..]).prop_map(str::to_owned);
    let new = prop::sample::select(vec!["a.1", "b.1", "new.1", "new.2"]).prop_map(str::to_owned);
    let renamed = prop::collection::btree_map(key(), new, 0..3);
    let parts = prop::collection::btree_set(prop::sample::select(&PARTS[..]), 0..3);
    let times = prop::sample::select(vec![Precision::Nanoseconds, Precision::Microseconds, Precision::Milliseconds]);
    (renamed, some_keys(), some_keys(), some_keys(), some_keys(), parts, times).prop_map(
        |(renamed, removed, added, changed, resource, parts, times)| Transformations {
            renamed,
            removed,
            added,
            changed,
            resource,
            parts,
            times,
            samples: false,
            keys_alone: false,
        },
    )
}

/// A pipeline that does what is declared.
fn pipeline(meant: &Transformations, sent: &Owned) -> Owned {
    let mut out = sent.clone();
    for (from, to) in &meant.renamed {
        if let Some(value) = out.attributes.remove(from) {
            out.attributes.insert(to.clone(), value);
        }
    }
    out.attributes.retain(|key, _| !meant.removed.contains(key));
    for key in &meant.changed {
        out.attributes.entry(key.clone()).and_modify(|known| *known = value("masked"));
    }
    out.attributes.extend(meant.added.iter().map(|key| (key.clone(), value("added"))));
    for key in &meant.resource {
        if out.resource.remove(key).is_none() {
            out.resource.insert(key.clone(), value("new"));
        }
    }
    for part in &meant.parts {
        match part {
            Part::Name => out.name.push_str(" {id}"),
            Part::Status => out.message = "redacted",
            Part::Events => out.events = 0,
            Part::Context => out.state = "changed",
            Part::Scope => out.scope = "changed",
        }
    }
    out.times = out.times.map(|ns| meant.times.cut(ns));
    out
}

proptest! {
    #[test]
    fn what_was_learned_explains_all_of_it(
        spans in prop::collection::vec(some_span(), 1..30), does in some_transformations()
    ) {
        let pairs: Vec<(Owned, Owned)> = spans.into_iter().map(|sent| (sent.clone(), pipeline(&does, &sent))).collect();
        let learned = learned(EVERYTHING, &pairs);
        prop_assert_eq!(findings(&learned.meant, &pairs), Vec::<String>::new(), "{}", learned);
        prop_assert_eq!(learned.left_out, vec![]);
    }
}
