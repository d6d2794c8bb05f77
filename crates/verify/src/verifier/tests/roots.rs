//! Latency by root operation.

use super::*;
use crate::frequent::TRACES_TO_BE_CHOSEN;
use model::{OperationCounts, RootOperation, SlowTrace};

fn number(trace: u64) -> TraceId {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&trace.to_be_bytes());
    TraceId(id)
}

/// Span 1 is the root, span 2 its child.
fn fact(trace: u64, span: u8, operation: &str) -> SpanFact<'_> {
    let parent = if span == 1 { SpanId::NONE } else { script::span(1) };
    let (trace, span) = (number(trace), script::span(span));
    SpanFact { trace, span, parent, kind: 2, service: "shop", operation, ..SpanFact::default() }
}

struct Traces {
    verifier: Verifier,
    next: u64,
    at_ms: u64,
}

impl Traces {
    fn new() -> Traces {
        Traces { verifier: Verifier::new(CONFIG, UnixMillis(0)), next: 0, at_ms: 10_000 }
    }

    /// A trace of two spans whose slowest comes out after so long; `None` for one whose child is lost.
    fn trace(&mut self, environment: Environment, operation: &str, took_us: Option<u64>) -> TraceId {
        self.next += 1;
        let at_us = self.at_ms * 1_000;
        for span in [2, 1] {
            let operation = if span == 1 { operation } else { "query" };
            let fact = fact(self.next, span, operation);
            self.verifier.sent(environment, Delivery::Acknowledged, at_us, &fact);
            if let Some(us) = took_us.or((span == 1).then_some(500)) {
                self.verifier.out(environment, at_us + us, &fact);
            }
        }
        number(self.next)
    }

    /// Closes the batch, and begins the next.
    fn close(&mut self) -> Vec<OperationCounts> {
        self.at_ms += 1_000;
        let due = UnixMillis(self.at_ms + 7_000);
        self.verifier.advance(due).pop().unwrap().operations
    }

    fn choose(&mut self, operation: &str) {
        for _ in 0..TRACES_TO_BE_CHOSEN {
            self.trace(Environment::Blue, operation, Some(1_000));
        }
        assert_eq!(self.close(), [], "what made the choice is not counted");
    }
}

fn root(operation: &str) -> RootOperation {
    RootOperation { service: "shop".into(), operation: operation.into() }
}

#[test]
fn traces_are_counted_by_their_root_and_environment() {
    let mut traces = Traces::new();
    traces.choose("GET /cart");
    let mut slowest = None;
    for (environment, operation, took_us) in [
        (Environment::Blue, "GET /cart", Some(1_000)),
        (Environment::Blue, "GET /cart", None),
        (Environment::Green, "GET /cart", Some(1_025)),
        (Environment::Green, "GET /cart", Some(40_000)),
        (Environment::Green, "GET /cart", Some(39_000)),
        (Environment::Green, "GET /", Some(9_000_000)),
    ] {
        let trace = traces.trace(environment, operation, took_us);
        slowest = slowest.or((took_us == Some(40_000)).then_some(trace));
    }
    let assigned = UnixMillis(traces.at_ms);
    let mut operations = traces.close();
    let OperationCounts { root: of, latency, slowest: found } = operations.remove(0);
    assert!(operations.is_empty() && of == root("GET /cart"));
    // 2^(39/4) = 861 us, 2^10 = 1,024 us, 2^(61/4) = 38,968 us.
    assert_eq!(latency.blue.latency_us.0, [(39, 1)].into());
    assert_eq!(latency.green.latency_us.0, [(40, 1), (61, 2)].into());
    assert_eq!((latency.blue.unfinished, latency.green.unfinished), (1, 0));
    let trace = slowest.unwrap();
    assert_eq!(found, Some(SlowTrace { trace, latency_us: 40_000, assigned }));
    assert!(traces.verifier.example(Environment::Green, trace).is_some(), "its evidence is kept");
    assert_eq!(traces.close(), [], "nothing of it in this batch");
}

#[test]
fn what_is_out_of_the_histograms_range_is_counted_at_its_ends() {
    let mut traces = Traces::new();
    traces.choose("GET /");
    for took_us in [0, 1, 128, 129, 4_999_000] {
        traces.trace(Environment::Green, "GET /", Some(took_us));
    }
    assert_eq!(traces.close()[0].latency.green.latency_us.0, [(28, 4), (89, 1)].into());
    let mut histogram = model::ExponentialHistogram::default();
    crate::histogram::record_of_operation(&mut histogram, u64::MAX);
    assert_eq!(histogram.0, [(99, 1)].into());
}

#[test]
fn a_trace_without_a_root_that_was_sent_is_of_no_operation() {
    let mut traces = Traces::new();
    traces.choose("GET /");
    let at_us = traces.at_ms * 1_000;
    let child = fact(9_999, 2, "GET /");
    traces.verifier.sent(Environment::Green, Delivery::Acknowledged, at_us, &child);
    traces.verifier.out(Environment::Green, at_us + 1, &child);
    assert_eq!(traces.close(), []);
}

#[test]
fn of_several_roots_the_lowest_id_tells_whichever_came_first() {
    let mut traces = Traces::new();
    traces.choose("low");
    let at_us = traces.at_ms * 1_000;
    for (trace, order) in [(9_998, [3, 5]), (9_999, [5, 3])] {
        for span in order {
            let operation = if span == 3 { "low" } else { "high" };
            let fact = SpanFact { parent: SpanId::NONE, ..fact(trace, span, operation) };
            traces.verifier.sent(Environment::Green, Delivery::Acknowledged, at_us, &fact);
            traces.verifier.out(Environment::Green, at_us + 1, &fact);
        }
    }
    assert_eq!(traces.close()[0].latency.green.latency_us.0, [(28, 2)].into());
}
