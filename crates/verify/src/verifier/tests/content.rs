//! What came out of a span beside what was sent: values, types, times, context; and what is meant to change.

use super::*;
use crate::transformation::{Part, Precision, Transformations};
use model::Check;

/// One trace of green, sent with the first words and put out with the second.
fn found(sent: &str, out: &str) -> String {
    found_where(Transformations::default(), sent, out)
}

fn found_where(green: Transformations, sent: &str, out: &str) -> String {
    let meant = PerEnvironment { blue: Transformations::default(), green };
    let in_order = format!("10000 green ack a1 {sent}\n 10001 green out a1 {out}");
    let out_first = format!("10000 green out a1 {out}\n 10001 green ack a1 {sent}");
    let [in_order, out_first] = [in_order, out_first].map(|script| {
        let mut verifier = Verifier::new(CONFIG, UnixMillis(0)).with(meant.clone());
        play(&mut verifier, &script);
        let observation = verifier.advance(UnixMillis(18_000)).remove(0);
        let words = observation.findings.iter().map(|finding| match &finding.key {
            Some(key) => format!("{:?} [{key}]", finding.check),
            None => format!("{:?}", finding.check),
        });
        let mut words: Vec<String> = words.collect();
        words.sort();
        assert_eq!(words.is_empty(), observation.arms.green.events.is_empty());
        words.join(", ")
    });
    assert_eq!(in_order, out_first, "whichever came first");
    in_order
}

#[test]
fn a_value_that_changed_is_named() {
    assert_eq!(found("keys=x:a,y:b", "keys=x:a,y:b"), "");
    assert_eq!(found("keys=x:a,y:b", "keys=x:a,y:c"), "ChangedValue [y]");
    assert_eq!(found("keys=x:a,y:b", "keys=x:b,y:a"), "ChangedValue [x], ChangedValue [y]");
    // What else is missing or added hides nothing.
    assert_eq!(found("keys=a,x:a,y:b", "keys=x:a,y:c,z"), "AddedAttribute [z], ChangedValue [y], MissingAttribute [a]");
}

#[test]
fn of_more_keys_than_there_are_places_two_are_named() {
    let keys = |value: &str| format!("keys=a,b,c:{value},d,e,f,g,h,i,j,k,l,m");
    assert_eq!(found(&keys("1"), &keys("2")), "ChangedValue [c or m]");
}

#[test]
fn another_type_is_no_other_value() {
    assert_eq!(found("keys=x:5", "keys=x:#5"), "ChangedType [x]");
    assert_eq!(found("keys=x:5,y:a", "keys=x:#5,y:b"), "ChangedType [x], ChangedValue [y]");
}

#[test]
fn parts_of_a_span_are_named() {
    assert_eq!(found("op=pay", "op=buy"), "ChangedValue [span name]");
    assert_eq!(found("error", ""), "ChangedValue [status], ErrorSpan");
    assert_eq!(found("event=retry", ""), "ChangedValue [events and links]");
    assert_eq!(found("scope=http", "scope=grpc"), "ChangedValue [instrumentation scope]");
    assert_eq!(found("state=a=1", "state=a=2"), "ChangedContext");
}

#[test]
fn start_and_end_must_come_out_as_they_were_sent() {
    assert_eq!(found("at=5+10", "at=5+10"), "");
    assert_eq!(found("at=5+10", "at=6+10"), "ChangedTime");
    assert_eq!(found("at=5+10", "at=5+11"), "ChangedTime");
}

#[test]
fn what_is_declared_is_no_finding() {
    let set = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect();
    let meant = Transformations { removed: set(&["a"]), added: set(&["z"]), ..Transformations::default() };
    assert_eq!(found_where(meant.clone(), "keys=a,x:1", "keys=x:1,z"), "");
    assert_eq!(found_where(meant.clone(), "keys=a,x:1", "keys=a,x:1"), "", "it may stay, too");
    assert_eq!(found_where(meant, "keys=a,x:1", "keys=x:2,z"), "ChangedValue [x]");
    let renamed = [("x".to_owned(), "b".to_owned())].into();
    let meant = Transformations { renamed, ..Transformations::default() };
    assert_eq!(found_where(meant.clone(), "keys=a:1,x:1", "keys=a:1,b:1"), "");
    assert_eq!(found_where(meant, "keys=a:1,x:1", "keys=a:1,b:2"), "ChangedValue [b]");
    let meant = Transformations { changed: set(&["card"]), ..Transformations::default() };
    assert_eq!(found_where(meant.clone(), "keys=card:4242,y:1", "keys=card:****,y:1"), "");
    assert_eq!(found_where(meant.clone(), "keys=card:#42,y:1", "keys=card:****,y:1"), "", "of another type as well");
    assert_eq!(found_where(meant, "keys=card:4242,y:1", "keys=card:****,y:2"), "ChangedValue [y]");
    let parts = [Part::Name, Part::Status, Part::Events, Part::Context, Part::Scope].into();
    let meant = Transformations { parts, ..Transformations::default() };
    assert_eq!(found_where(meant, "op=pay event=e scope=s state=a", "op=buy"), "");
    let meant = Transformations { resource: set(&["host.name"]), ..Transformations::default() };
    assert_eq!(found_where(meant, "resource=host.name:a", "resource=host.name:b"), "");
}

#[test]
fn times_may_be_cut_as_far_as_is_declared() {
    let meant = |times| Transformations { times, ..Transformations::default() };
    // The script counts in microseconds, from the first on.
    assert_eq!(found_where(meant(Precision::Milliseconds), "at=1200+700", "at=998+902"), "ChangedTime");
    assert_eq!(found_where(meant(Precision::Milliseconds), "at=1200+700", "at=1000+900"), "");
    assert_eq!(found_where(meant(Precision::Microseconds), "at=1200+700", "at=1000+900"), "ChangedTime");
}

#[test]
fn a_pipeline_that_samples_loses_no_whole_trace() {
    let meant = PerEnvironment::from_fn(|_| Transformations { samples: true, ..Transformations::default() });
    let mut verifier = Verifier::new(CONFIG, UnixMillis(0)).with(meant);
    let script = "10000 green ack a1\n 10000 green ack a2 parent=1\n 10000 green ack b1\n 10000 green ack b2 parent=1
                  10001 green out b1";
    play(&mut verifier, script);
    let observation = verifier.advance(UnixMillis(18_000)).remove(0);
    let arm = &observation.arms.green;
    assert_eq!((arm.traces, arm.events(Check::SampledOut), arm.events(Check::LostSpan)), (2, 1, 1));
    assert_eq!(
        (arm.unfinished, arm.spans_acknowledged),
        (1, 2),
        "what is sampled out is not late, and no span of it lost"
    );
    let unseen: Vec<_> = observation.blind_spots.iter().filter(|spot| spot.unseen.green > 0).collect();
    assert!(unseen.iter().all(|spot| spot.traces.green == 1), "{unseen:?}");
}

#[test]
fn an_example_says_what_differs_and_when_the_span_was() {
    let mut verifier = Verifier::new(CONFIG, UnixMillis(0));
    let script = "10000 green ack a1 keys=x:1,y:a at=100+50\n 10000 green ack a2 parent=1 at=110+20
                  10001 green out a1 keys=x:#1,y:b,z at=100+50\n 10001 green out a2 parent=1 at=111+20";
    play(&mut verifier, script);
    verifier.advance(UnixMillis(18_000));
    let example = verifier.example(Environment::Green, script::trace('a')).unwrap();
    let [first, second] = &example.spans[..] else { panic!("{example:?}") };
    let said = |span: &crate::ExampleSpan| {
        let words = span.differences.iter().map(|it| format!("{:?} {}", it.check, it.key.as_deref().unwrap_or("")));
        words.collect::<Vec<_>>().join(", ")
    };
    assert_eq!(said(first), "AddedAttribute z, ChangedType x, ChangedValue y");
    assert_eq!((said(second).as_str(), second.start_us, second.duration_us), ("ChangedTime ", 10, 20));
}

#[test]
fn of_what_a_store_gives_values_and_times_are_not_compared() {
    let meant = Transformations { keys_alone: true, ..Transformations::default() };
    let sent = "op=Pay keys=x:#1,y:b at=5+10 scope=s event=e state=a";
    assert_eq!(found_where(meant.clone(), sent, "op=pay keys=x:1,y:c at=6+9"), "");
    assert_eq!(
        found_where(meant, sent, "op=pay keys=x:1,z parent=7"),
        "AddedAttribute [z], MissingAttribute [y], Reparented"
    );
}
