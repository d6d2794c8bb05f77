//! A call that is slow in green alone, or made twice there: whether verification sees it, and the judge names it.

use super::faults::{span_id, trace_id};
use super::runs::{CONFIG, EVERY_US, FROM_US, times, with_fact};
use crate::edges::{Edge, delayed, edge_times};
use crate::nezha::Trace;
use judge::simulate::Random;
use judge::{Config, Guards, Judge, Latency, Verdict};
use model::{Check, Environment, SpanId, Subject, UnixMillis};
use std::collections::BTreeMap;
use verify::{Delivery, SpanFact, Verifier};

/// What is added to each call of one edge.
const DELAY_NS: u64 = 25_000_000;

/// Traces that a call must have: half of them freezes quantiles once.
const TRACES_OF_AN_EDGE: usize = 400;

/// What green's services do.
#[derive(Clone, Debug)]
pub(super) struct Service {
    edge: Edge,
    /// The traces as they are when their calls over that edge take longer.
    slow: Vec<Trace>,
}

/// What one run showed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Named {
    /// Whether the call is among those that are timed.
    pub(super) timed: bool,
    pub(super) rolled_back: bool,
    /// Whether the call is named; or, before enough is known of the call, an operation of the service that makes it.
    pub(super) named: bool,
    pub(super) named_by_caller: bool,
}

impl Service {
    /// Each call that is frequent enough, slow.
    pub(super) fn all(traces: &[Trace]) -> Vec<Service> {
        let mut known: BTreeMap<Edge, usize> = BTreeMap::new();
        traces
            .iter()
            .flat_map(|trace| edge_times(trace).into_keys())
            .for_each(|edge| *known.entry(edge).or_default() += 1);
        let frequent = known.into_iter().filter(|(_, traces)| *traces >= TRACES_OF_AN_EDGE);
        let slow = |edge: &Edge| traces.iter().map(|trace| delayed(trace, edge, DELAY_NS)).collect();
        frequent.map(|(edge, _)| Service { slow: slow(&edge), edge }).collect()
    }

    pub(super) fn words(&self) -> String {
        self.edge.to_string()
    }

    pub(super) fn judged(&self, traces: &[Trace], random: &mut Random) -> Named {
        let (verdict, timed) = judged(traces, &self.slow, random);
        let subject = Subject::Edge { from: self.edge.from.clone(), to: self.edge.to.clone() };
        let failure = match verdict {
            Verdict::Fail(failure) => Some(failure),
            Verdict::Pass | Verdict::Inconclusive { .. } | Verdict::Error { .. } => None,
        };
        let found = failure.as_ref().map(|failure| (failure.check, failure.subject.as_ref()));
        Named {
            timed: timed.contains(&subject),
            rolled_back: failure.is_some(),
            named: found == Some((Check::SlowCall, Some(&subject))),
            named_by_caller: match found {
                Some((Check::SlowOperation, Some(Subject::Operation { service, .. }))) => *service == self.edge.from,
                _ => false,
            },
        }
    }
}

/// Whether the judge rolls back where green's services are blue's.
pub(super) fn alarms(traces: &[Trace], random: &mut Random) -> bool {
    matches!(judged(traces, traces, random).0, Verdict::Fail(_))
}

/// Divides the traces at random; those of green are as `green` has them. The first failure, or the last verdict, and what
/// was timed.
fn judged(blue: &[Trace], green: &[Trace], random: &mut Random) -> (Verdict, Vec<Subject>) {
    let mut verifier = Verifier::new(CONFIG, UnixMillis(0)).with_service_times();
    let service_latency = Some(Latency { quantile: 0.9, worse_than_active_by: 0.1 });
    let mut judge = Judge::new(Config {
        candidate: Environment::Green,
        false_alarm: 0.01,
        false_promotion: 0.01,
        batches_per_hour: 3_600,
        guards: Guards { service_latency, ..Guards::default() },
    });
    let (mut verdict, mut timed) = (judge.assess().verdict, Vec::new());
    let mut advance = |verifier: &mut Verifier, at_ms: u64| {
        for observation in verifier.advance(UnixMillis(at_ms)) {
            let subjects = observation.services.iter().map(|times| times.subject.clone());
            timed.extend(subjects.filter(|subject| !timed.contains(subject)).collect::<Vec<_>>());
            if !matches!(verdict, Verdict::Fail(_)) {
                judge.observe(&observation, None);
                verdict = judge.assess().verdict;
            }
        }
    };
    for (number, (blue, green)) in blue.iter().zip(green).enumerate() {
        let at_us = FROM_US + number as u64 * EVERY_US;
        let (environment, trace) =
            if random.bits() & 1 == 1 { (Environment::Green, green) } else { (Environment::Blue, blue) };
        for (place, span) in trace.spans.iter().enumerate() {
            let parent = span.parent.map_or(SpanId::NONE, |parent| span_id(number, parent));
            let ids = SpanFact { trace: trace_id(number), span: span_id(number, place), parent, ..times(span) };
            with_fact(span, ids, None, |fact| {
                verifier.sent(environment, Delivery::Acknowledged, at_us, fact);
                verifier.out(environment, at_us + 1_000, fact);
            });
        }
        if number % 16 == 0 {
            advance(&mut verifier, at_us / 1_000);
        }
    }
    advance(&mut verifier, FROM_US / 1_000 + blue.len() as u64 * EVERY_US / 1_000 + 10_000);
    (verdict, timed)
}
