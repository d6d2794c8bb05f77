//! One division of the traces into two environments, verified and judged.

use super::faults::{Edges, Fault, Out, Victim, as_sent, inject, span_id, trace_id};
use crate::nezha::{Span, Trace};
use judge::simulate::Random;
use judge::{BlindSpots, Config as Judging, Findings, Guards, Judge, SpanLoss, Verdict};
use model::{Check, Environment, Finding, Observation, PerEnvironment, RouteKey, SpanId, UnixMillis};
use rollout::{Group, ranked_groups};
use std::collections::{BTreeMap, BTreeSet};
use verify::{Config, Delivery, SpanFact, Transformations, Verifier};

/// Groups of findings that a person reads first.
const FIRST_GROUPS: usize = 3;

/// Traces come one after another, a hundred a second.
pub(super) const EVERY_US: u64 = 10_000;
/// How long a pipeline takes.
const THROUGH_US: u64 = 5_000;
/// When the first trace comes: past what was in flight when verification began.
pub(super) const FROM_US: u64 = 20_000_000;

pub(super) const CONFIG: Config = Config {
    batch_ms: 1_000,
    linger_ms: 500,
    horizon_ms: 1_000,
    max_spans: 10_000_000,
    max_rate: u64::MAX,
    key: [1; 16],
    route_key: RouteKey([2; 16]),
};

/// An operation that has this many traces is one that a fault falls on.
const TRACES_OF_A_VICTIM: usize = 400;

/// A system's traces, and the operations that faults fall on.
pub(super) struct Divided {
    pub(super) traces: Vec<Trace>,
    victims: Vec<Victim>,
    edges: Edges,
}

/// What one run showed.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    /// What the fault was done to: spans, or whole traces.
    pub(super) injected: u64,
    /// Of these, what findings of its check count in green.
    pub(super) found: u64,
    /// Checks that green shows, and that are neither it nor a consequence.
    pub(super) others: BTreeSet<Check>,
    /// Whether the judge rolled back; whether it named the fault and its place first; and whether these are among the first
    /// three groups of what was found until then, ranked as the rollout's report ranks them.
    pub(super) rolled_back: bool,
    pub(super) named: bool,
    pub(super) among_three: bool,
}

impl Divided {
    pub(super) fn of(traces: Vec<Trace>) -> Divided {
        let mut known: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        for trace in &traces {
            let of_trace: BTreeSet<(&str, &str)> =
                trace.spans.iter().map(|span| (span.service.as_str(), span.operation.as_str())).collect();
            of_trace.into_iter().for_each(|operation| *known.entry(operation).or_default() += 1);
        }
        let victims = known.into_iter().filter(|(_, traces)| *traces >= TRACES_OF_A_VICTIM);
        let victims = victims
            .map(|((service, operation), _)| Victim { service: service.to_owned(), operation: operation.to_owned() });
        let victims = victims.collect();
        let mut edges = Edges::new();
        for trace in &traces {
            for span in &trace.spans {
                if let Some(parent) = span.parent.map(|parent| &trace.spans[parent]) {
                    edges.insert((parent.service.clone(), span.service.clone()));
                }
            }
        }
        Divided { traces, victims, edges }
    }

    /// The checks that either environment shows where nothing is wrong, and whether the judge rolls back.
    pub(super) fn without_fault(&self, random: &mut Random) -> (BTreeSet<Check>, bool) {
        let (observations, verdict, _) = self.pass(random, false, |number, trace, _| as_sent(number, trace));
        let findings = observations.iter().flat_map(|observation| &observation.findings);
        (findings.map(|finding| finding.check).collect(), matches!(verdict, Verdict::Fail(_)))
    }

    /// The fault on the operation of this number; `None` if there it can be done to nothing.
    pub(super) fn with_fault(&self, fault: Fault, rate: f64, number: usize, random: &mut Random) -> Option<Seen> {
        let victim = &self.victims[number % self.victims.len()];
        let mut injected = 0;
        let (observations, verdict, judged) = self.pass(random, fault == Fault::Sampled, |number, trace, random| {
            let (outs, count) = inject(fault, (victim, &self.edges), rate, number, trace, random);
            injected += count;
            outs
        });
        if injected == 0 {
            return None;
        }
        let findings = || observations.iter().flat_map(|observation| &observation.findings);
        let of_check = findings().filter(|finding| finding.check == fault.check());
        let found = match fault {
            // Grouped by operation there are more than an observation holds.
            Fault::Lost => {
                let green = observations.iter().map(|observation| &observation.arms.green);
                green.map(|arm| arm.spans_acknowledged - arm.spans_out).sum()
            }
            _ => of_check.map(|finding| finding.spans.green).sum(),
        };
        let is_other = |check: &Check| *check != fault.check() && !fault.consequences().contains(check);
        let others = findings().map(|finding| finding.check).filter(is_other).collect();
        let (mut rolled_back, mut named, mut among_three) = (false, false, false);
        if let Verdict::Fail(failure) = verdict {
            rolled_back = true;
            let worst = worst(findings().filter(|finding| finding.check == failure.check));
            let place_is_right = match (&failure.subject, fault) {
                (_, Fault::Lost | Fault::Sampled) => true,
                (Some(model::Subject::Operation { service, operation, .. }), _) => {
                    *service == victim.service && *operation == cut(&victim.operation)
                }
                (Some(model::Subject::Edge { to, .. }), _) => *to == victim.service,
                (None, Fault::ClockSkew) => worst.is_some_and(|(service, _)| service == victim.service),
                // An orphan stands where its parent was lost.
                (None, Fault::LostParents) if failure.check == Check::Orphan => true,
                (None, _) => worst == Some((victim.service.clone(), cut(&victim.operation))),
            };
            named = fault.may_be_named(failure.check) && place_is_right;
            let ranked = ranked_groups(observations[..judged].iter().map(|observation| &observation.findings[..]));
            among_three = ranked.iter().take(FIRST_GROUPS).any(|group| is_of(group, fault, victim));
        }
        Some(Seen { injected, found, others, rolled_back, named, among_three })
    }

    /// Sends each trace to one of the environments, and lets come out of green what `green` makes of it. Gives all
    /// observations, the verdict, and upon how many of them it was made.
    fn pass(
        &self,
        random: &mut Random,
        samples: bool,
        mut green: impl FnMut(usize, &Trace, &mut Random) -> Vec<Out>,
    ) -> (Vec<Observation>, Verdict, usize) {
        let meant = PerEnvironment::from_fn(|_| Transformations { samples, ..Transformations::default() });
        let mut verifier = Verifier::new(CONFIG, UnixMillis(0)).with(meant);
        let mut judge = Judge::new(judging());
        let (mut observations, mut verdict, mut upon) = (Vec::new(), None, 0);
        let mut judged = |observation: Observation| {
            // The first failure ends a rollout.
            if !matches!(verdict, Some(Verdict::Fail(_))) {
                judge.observe(&observation, None);
                verdict = Some(judge.assess().verdict);
                upon = observations.len() + 1;
            }
            observations.push(observation);
        };
        for (number, trace) in self.traces.iter().enumerate() {
            let at_us = FROM_US + number as u64 * EVERY_US;
            let environment = if random.bits() & 1 == 1 { Environment::Green } else { Environment::Blue };
            for (place, span) in trace.spans.iter().enumerate() {
                let parent = span.parent.map_or(SpanId::NONE, |parent| span_id(number, parent));
                let ids = SpanFact { trace: trace_id(number), span: span_id(number, place), parent, ..times(span) };
                with_fact(span, ids, None, |fact| verifier.sent(environment, Delivery::Acknowledged, at_us, fact));
            }
            let outs = match environment {
                Environment::Green => green(number, trace, random),
                Environment::Blue => as_sent(number, trace),
            };
            let out_us = at_us + THROUGH_US + random.bits() % THROUGH_US;
            for out in &outs {
                let span = &trace.spans[out.place];
                let ids = SpanFact { trace: out.trace, span: out.span, parent: out.parent, ..SpanFact::default() };
                let ids = SpanFact { start_ns: out.start_ns, end_ns: out.end_ns, ..ids };
                with_fact(span, ids, Some(out), |fact| verifier.out(environment, out_us, fact));
            }
            if number % 16 == 0 {
                verifier.advance(UnixMillis(at_us / 1_000)).into_iter().for_each(&mut judged);
            }
        }
        let end = UnixMillis(FROM_US / 1_000 + self.traces.len() as u64 * EVERY_US / 1_000 + 10_000);
        verifier.advance(end).into_iter().for_each(&mut judged);
        (observations, verdict.expect("there are batches"), upon)
    }
}

/// Whether a group says what the fault is, and where.
fn is_of(group: &Group, fault: Fault, victim: &Victim) -> bool {
    let place_is_right = match fault {
        Fault::Lost | Fault::Sampled => true,
        Fault::ClockSkew => group.service == victim.service,
        // An orphan stands where its parent was lost.
        Fault::LostParents if group.check == Check::Orphan => true,
        _ => group.service == victim.service && group.operation == cut(&victim.operation),
    };
    fault.may_be_named(group.check) && place_is_right
}

fn judging() -> Judging {
    Judging {
        candidate: Environment::Green,
        false_alarm: 0.01,
        false_promotion: 0.01,
        batches_per_hour: 3_600,
        guards: Guards {
            span_loss: Some(SpanLoss { at_most: 0.001 }),
            blind_spots: Some(BlindSpots { at_most: 0 }),
            findings: Some(Findings { worse_than_active_by: 0.001 }),
            ..Guards::default()
        },
    }
}

/// As an observation says names.
fn cut(name: &str) -> String {
    name.chars().take(128).collect()
}

/// Where the findings show most of what green has more of.
fn worst<'f>(findings: impl Iterator<Item = &'f Finding>) -> Option<(String, String)> {
    let mut sums: BTreeMap<(&str, &str), i64> = BTreeMap::new();
    for finding in findings {
        let more = finding.traces.green as i64 - finding.traces.blue as i64;
        *sums.entry((&finding.service, &finding.operation)).or_default() += more;
    }
    let ((service, operation), _) = sums.into_iter().max_by_key(|(_, more)| *more)?;
    Some((service.to_owned(), operation.to_owned()))
}

pub(super) fn times(span: &Span) -> SpanFact<'static> {
    SpanFact { start_ns: span.start_ns, end_ns: span.end_ns, ..SpanFact::default() }
}

/// Gives a fact with the attributes that such a span has, and with what the fault makes of them.
pub(super) fn with_fact(span: &Span, ids: SpanFact<'_>, out: Option<&Out>, then: impl FnOnce(&SpanFact<'_>)) {
    let text = |text: &str| [&[0x0a, text.len().min(127) as u8], &text.as_bytes()[..text.len().min(127)]].concat();
    let is = |what: fn(&Out) -> bool| out.is_some_and(what);
    let status = if is(|out| out.as_text) { text("200") } else { vec![0x18, 0xc8, 0x01] };
    let path = if is(|out| out.other_value) { text("***") } else { text(&span.operation) };
    let (method, peer, thread) = (text("GET"), text(&span.service), vec![0x18, (span.start_ns % 100) as u8]);
    let mut attributes: Vec<(&str, &[u8])> = vec![
        ("http.method", &method),
        ("http.status_code", &status),
        ("net.peer.name", &peer),
        ("thread.id", &thread),
        ("url.path", &path),
    ];
    if is(|out| out.adds) {
        attributes.insert(0, ("added", &method));
    }
    if is(|out| out.drops) {
        attributes.pop();
    }
    let host = if is(|out| out.other_host) { "elsewhere" } else { span.pod.as_str() };
    let resource: [(&str, &[u8]); 2] = [("host.name", host.as_bytes()), ("service.name", span.service.as_bytes())];
    then(&SpanFact {
        kind: 2,
        service: &span.service,
        operation: &span.operation,
        trace_state: if is(|out| out.no_state) { "" } else { "vendor=1" },
        flags: 1,
        attributes: &attributes,
        resource: &resource,
        ..ids
    });
}
