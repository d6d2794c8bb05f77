use super::*;
use crate::latency::Latencies;
use model::GateVerdict::{self, Fail, Inconclusive, Pass};
use model::TraceId;

const NOW: UnixMillis = UnixMillis(1_790_000_000_000);

/// Who, how many calls, how many of them failed, and how long they took.
type Row<'a> = (&'a str, u64, u64, u64);

fn table(rows: &[Row<'_>]) -> Dependencies {
    let called = rows.iter().map(|(who, calls, errors, us)| {
        let mut latency_us = Latencies::default();
        (0..*calls).for_each(|_| latency_us.count(*us));
        let (calls, errors) = (*calls, *errors);
        let called = Called { calls, errors, latency_us, example: TraceId([1; 16]), first_seen: NOW };
        (who.parse().unwrap(), called)
    });
    Dependencies { called: called.collect(), ..Dependencies::default() }
}

fn demand() -> Coverage {
    Coverage {
        at_least: 5,
        more_errors: BasisPoints::new(100).unwrap(),
        slower: Slower { by_percent: 50, by_us: 2_000 },
        same: BTreeMap::new(),
        exceptions: Vec::new(),
    }
}

/// `expect` is the verdict and the beginning of the first reason.
fn check(demand: &Coverage, blue: &[Row<'_>], green: &[Row<'_>], expect: (GateVerdict, &str)) -> Vec<String> {
    let (blue, green) = (table(blue), table(green));
    let answer = cover(demand, PerEnvironment { blue: &blue, green: &green }, NOW);
    assert_eq!(answer.verdict, expect.0, "{:?}", answer.reasons);
    assert!(answer.reasons[0].starts_with(expect.1), "{:?}", answer.reasons);
    // What was decided from can be read again.
    let read: Dependencies = serde_json::from_value(answer.evidence["blue"].clone()).unwrap();
    assert_eq!(read, blue);
    answer.reasons
}

const SCHEDULING: &str = "http scheduling.hospital.example";
const BILLING: &str = "http billing.example";

#[test]
fn one_that_green_never_called() {
    let blue = [(SCHEDULING, 300, 0, 40_000), (BILLING, 100, 0, 40_000)];
    let first = "green never called http scheduling.hospital.example; blue called it 300 times";
    check(&demand(), &blue, &[(BILLING, 100, 0, 40_000)], (Inconclusive, first));
    check(&demand(), &blue, &blue, (Pass, "green called all 2 external dependencies that blue calls"));
    check(&demand(), &[], &blue, (Inconclusive, "no trace shows blue calling anything external"));
}

#[test]
fn one_that_always_fails_or_more_often() {
    let blue = [(BILLING, 1_000, 10, 40_000)];
    let first = "all 20 calls of http billing.example failed from green, 10 of 1000 from blue (trace 0101";
    check(&demand(), &blue, &[(BILLING, 20, 20, 40_000)], (Fail, first));
    check(&demand(), &blue, &[(BILLING, 1, 1, 40_000)], (Inconclusive, "all 1 calls of http billing.example failed"));
    check(&demand(), &blue, &[(BILLING, 1_000, 300, 40_000)], (Fail, "300 of 1000 calls of http billing.example"));
    check(&demand(), &blue, &[(BILLING, 1_000, 15, 40_000)], (Pass, "green called all 1"));
    // What fails for blue as well is not green's fault.
    check(&demand(), &[(BILLING, 50, 50, 1)], &[(BILLING, 50, 50, 1)], (Pass, "green called all 1"));
}

#[test]
fn one_that_is_slow_from_green_alone() {
    let blue = [(BILLING, 200, 0, 40_000)];
    let first = "calls of http billing.example are slow from green alone: their median is";
    check(&demand(), &blue, &[(BILLING, 200, 0, 400_000)], (Fail, first));
    check(&demand(), &blue, &[(BILLING, 200, 0, 45_000)], (Pass, "green called all 1"));
    check(&demand(), &blue, &[(BILLING, 3, 0, 400_000)], (Pass, "green called all 1"));
}

#[test]
fn seldom_called_renamed_and_tolerated() {
    let blue = [(SCHEDULING, 4, 0, 1), ("database mysql blue-db/shop", 50, 0, 1)];
    let green = [("database mysql green-db/shop", 50, 0, 1)];
    check(&demand(), &blue, &green, (Inconclusive, "green never called database mysql blue-db/shop"));
    let same = BTreeMap::from([(blue[1].0.parse().unwrap(), green[0].0.parse().unwrap())]);
    let renamed = Coverage { same, ..demand() };
    let reasons = check(&renamed, &blue, &green, (Pass, "green called all 1"));
    assert_eq!(reasons[1], "blue called http scheduling.hospital.example 4 times only, so that green need not have");
    let exception = |expires| Exception { dependency: blue[1].0.parse().unwrap(), reason: "CHG-1".to_owned(), expires };
    let mut tolerated = Coverage { exceptions: vec![exception(NOW.plus_ms(1))], ..demand() };
    let reasons = check(&tolerated, &blue, &green, (Pass, "green called all 1"));
    assert!(reasons[1].ends_with("blue called it 50 times; tolerated: CHG-1"), "{reasons:?}");
    assert!(reasons.iter().any(|words| words.contains("green-db/shop 50 times, which blue never did")), "{reasons:?}");
    tolerated.exceptions = vec![exception(NOW)];
    let reasons = check(&tolerated, &blue, &green, (Inconclusive, "green never called database mysql blue-db/shop"));
    assert!(reasons[0].ends_with("the exception for it has expired (CHG-1)"), "{reasons:?}");
}

/// What was not counted is not known.
#[test]
fn a_table_that_is_full_is_no_pass() {
    let both = table(&[(BILLING, 50, 0, 1)]);
    let full = Dependencies { not_kept: 7, one_trace_of: 4, ..both.clone() };
    let answer = cover(&demand(), PerEnvironment { blue: &full, green: &both }, NOW);
    assert_eq!(answer.verdict, Inconclusive);
    assert!(answer.reasons[0].starts_with("7 calls of blue went to more dependencies"), "{:?}", answer.reasons);
    assert_eq!(answer.reasons[1], "of blue one trace of 4 was looked at");
}

/// From spans to the verdict: a hospital's scheduling that blue books with, and green's build only pretends to.
#[test]
fn from_spans_to_a_verdict() {
    use crate::window::tests::{span, text};
    use otlp::SpanView;
    let seen = |hosts: &[&str]| {
        let mut window = crate::Window::new(10_000, [7; 16]);
        for trace in 1..=20 {
            for (id, host) in (1_u8..).zip(hosts) {
                let (method, host) = (text("POST"), text(host));
                let attributes = [("http.request.method", method.as_slice()), ("server.address", host.as_slice())];
                window.take(&SpanView { attributes: &attributes, ..span(3, trace, id, 0) }, NOW);
            }
            // The second is a service that is traced itself.
            window.take(&span(2, trace, 9, 2), NOW);
        }
        window.settle(NOW.plus_ms(10_000));
        window.drain()
    };
    let blue = seen(&["scheduling.hospital.example", "cart", "billing.example"]);
    let green = seen(&["simulated.example", "cart", "billing.example"]);
    assert_eq!((blue.internal, blue.called.len()), (20, 2));
    let answer = cover(&demand(), PerEnvironment { blue: &blue, green: &green }, NOW);
    assert_eq!(answer.verdict, Inconclusive);
    let expect = [
        "green never called http scheduling.hospital.example; blue called it 20 times",
        "green called http simulated.example 20 times, which blue never did",
    ];
    assert_eq!(answer.reasons, expect);
}
