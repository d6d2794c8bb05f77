//! How long evidence takes at the expected traffic. Evidence is carried over steps, so what a proof needs is used up
//! stretch by stretch: a stretch of `n` traces of which it would need `N` alone gives `n/N` of it.

use super::words::{Number, Percent};
use super::{Detection, Evidence, Proof, observation_delay_ms};
use crate::plan::Plan;
use judge::Guard;
use judge::planning::{
    alpha_of_metric, traces_to_detect, traces_to_detect_slowdown, traces_to_prove_absent, traces_to_prove_rate,
};
use model::{BasisPoints, Environment};

/// A time beyond a year is never.
const NEVER_MS: f64 = 366.0 * 86_400_000.0;

/// The slowdown that is forecast for every plan, relative: 20 %, as in STATISTICS.md.
const SLOWDOWN: f64 = 0.2;

/// Traffic that both environments are compared in.
#[derive(Clone, Copy, Debug)]
struct Comparison {
    /// Traces that count, both environments together, a millisecond. A copied trace counts twice.
    traces_per_ms: f64,
    /// The candidate's share of them.
    share: f64,
}

/// The traffic so far. At most one stretch a step, so at most 64.
pub(super) struct Forecast<'p> {
    plan: &'p Plan,
    config: judge::Config,
    now: Option<Comparison>,
    weight: BasisPoints,
    past: Vec<(Comparison, f64)>,
}

impl<'p> Forecast<'p> {
    pub(super) fn new(plan: &'p Plan) -> Forecast<'p> {
        let config = judge::Config {
            candidate: Environment::Green,
            false_alarm: plan.analysis.false_alarm,
            false_promotion: plan.analysis.false_promotion,
            batches_per_hour: u32::try_from(3_600_000 / plan.analysis.batch_ms.max(1)).unwrap_or(u32::MAX),
            guards: plan.guards.judged.clone(),
        };
        Forecast { plan, config, now: None, weight: BasisPoints::ZERO, past: Vec::new() }
    }

    pub(super) fn weight(&self) -> BasisPoints {
        self.weight
    }

    /// From here on green gets a copy of everything.
    pub(super) fn mirror(&mut self) {
        self.now = self.per_ms().map(|per_ms| Comparison { traces_per_ms: 2.0 * per_ms, share: 0.5 });
    }

    /// From here on green serves this share.
    pub(super) fn set_weight(&mut self, weight: BasisPoints) {
        self.weight = weight;
        self.now = self.per_ms().map(|per_ms| Comparison { traces_per_ms: per_ms, share: weight.share() });
    }

    /// Time goes by with the present traffic.
    pub(super) fn pass(&mut self, ms: u64) {
        self.past.extend(self.now.map(|comparison| (comparison, ms as f64)));
    }

    /// `at 1% of 500 traces/s`.
    pub(super) fn traffic_words(&self) -> String {
        let per_s = Number(self.plan.traffic.expected_traces_per_s.unwrap_or(0.0));
        match self.weight {
            BasisPoints::ZERO => format!("from copies of {per_s} traces/s"),
            weight => format!("at {weight} of {per_s} traces/s"),
        }
    }

    fn per_ms(&self) -> Option<f64> {
        let share = self.plan.verified_share().share();
        self.plan.traffic.expected_traces_per_s.map(|per_s| per_s * share / 1_000.0)
    }

    /// What a step that looks at evidence for `within_ms` would see and prove. `None` where the traffic is not known.
    pub(super) fn evidence(&self, within_ms: u64) -> Option<Evidence> {
        let now = self.now?;
        Some(Evidence { detections: self.detections(now), proofs: self.proofs(now, within_ms) })
    }

    fn detections(&self, now: Comparison) -> Vec<Detection> {
        // With every trace on green there is nothing to compare with, and the planning formulas are for comparisons.
        if now.share >= 1.0 {
            return Vec::new();
        }
        let detection = |of: String, traces: f64, tolerated: bool| Detection {
            of,
            after_ms: whole_ms(traces / now.traces_per_ms + self.delay_ms()),
            tolerated,
        };
        let of_rate = |guard: Guard, base: f64, ratio: f64| {
            traces_to_detect(base, ratio, now.share, alpha_of_metric(&self.config, guard))
        };
        let guards = &self.config.guards;
        let mut detections = Vec::new();
        if let Some(guard) = &guards.error_rate {
            let base = self.plan.traffic.errors;
            for ratio in [2.0, 10.0] {
                // A share above one is no share.
                if base * ratio <= 1.0 {
                    let of = format!("errors x{ratio} ({} of traces)", Percent(base * ratio));
                    let tolerated = base * (ratio - 1.0) <= guard.worse_than_active_by;
                    detections.push(detection(of, of_rate(Guard::ErrorRate, base, ratio), tolerated));
                }
            }
        }
        if let Some(loss) = guards.span_loss.as_ref().filter(|loss| loss.at_most * 10.0 <= 1.0) {
            let of = format!("span loss of 10 times what is tolerated ({} of traces)", Percent(loss.at_most * 10.0));
            detections.push(detection(of, of_rate(Guard::SpanLoss, loss.at_most, 10.0), false));
        }
        if let Some(guard) = &guards.latency {
            let alpha = alpha_of_metric(&self.config, Guard::Latency);
            let margin = guard.worse_than_active_by;
            let slowdown = |by: f64, words: &str| {
                let of = format!("latency at quantile {} +{}{words}", guard.quantile, Percent(by));
                let traces = traces_to_detect_slowdown(guard.quantile, 1.0 + by, now.share, alpha);
                detection(of, traces, by <= margin)
            };
            detections.push(slowdown(SLOWDOWN, ""));
            // A plan that tolerates the usual slowdown is told of one that it does not.
            if margin >= SLOWDOWN {
                detections.push(slowdown(2.0 * margin, ", twice what is tolerated"));
            }
        }
        detections
    }

    fn proofs(&self, now: Comparison, within_ms: u64) -> Vec<Proof> {
        let alpha = self.config.false_promotion;
        let (errors, guards) = (self.plan.traffic.errors, &self.config.guards);
        let proof = |guard: Guard, of: String, needed: &dyn Fn(f64) -> f64| {
            let after_ms = self.after_ms(now, needed);
            Proof { guard: guard.name(), of, after_ms, in_time: after_ms.is_some_and(|ms| ms <= within_ms) }
        };
        let mut proofs = Vec::new();
        if let Some(guard) = &guards.span_loss {
            let of = format!("at most {} of traces lose a span", Percent(guard.at_most));
            // The planning function counts the candidate's traces alone.
            let needed = |share: f64| traces_to_prove_absent(guard.at_most, alpha) / share;
            proofs.push(proof(Guard::SpanLoss, of, &needed));
        }
        if let Some(guard) = &guards.error_rate {
            let margin = guard.worse_than_active_by;
            let of = format!("errors at most {} of traces above blue's", Percent(margin));
            proofs.push(proof(Guard::ErrorRate, of, &|share| traces_to_prove_rate(errors, margin, share, alpha)));
        }
        if let Some(guard) = &guards.latency {
            let margin = guard.worse_than_active_by;
            let of = format!("latency at quantile {} at most {} above blue's", guard.quantile, Percent(margin));
            proofs.push(proof(Guard::Latency, of, &|share| traces_to_prove_latency(guard, share, alpha)));
        }
        // Findings and blind spots alarm; the judge asks no proof of them.
        proofs
    }

    /// From the beginning of the present step until a proof is there that needs so many traces at a share.
    fn after_ms(&self, now: Comparison, needed: &dyn Fn(f64) -> f64) -> Option<u64> {
        // A share of 100 % has nothing to compare with, and needs infinitely many: that adds nothing.
        let gained_per_ms = |comparison: &Comparison| comparison.traces_per_ms / needed(comparison.share);
        let past_ms: f64 = self.past.iter().map(|(_, ms)| ms).sum();
        let (mut missing, mut at_ms) = (1.0, -past_ms);
        for (comparison, ms) in &self.past {
            let gained = gained_per_ms(comparison) * ms;
            if gained >= missing {
                at_ms += missing / gained_per_ms(comparison);
                return whole_ms((at_ms + self.delay_ms()).max(0.0));
            }
            (missing, at_ms) = (missing - gained, at_ms + ms);
        }
        whole_ms(missing / gained_per_ms(&now) + self.delay_ms())
    }

    /// A trace is judged when its batch, the horizon and the linger are over.
    fn delay_ms(&self) -> f64 {
        observation_delay_ms(self.plan) as f64
    }
}

/// The judge's histograms of latency have 8 buckets a doubling, and it rounds a margin down to whole buckets: 2^(1/8).
const LATENCY_BUCKET: f64 = 1.090_507_732_665_257_7;

/// The part of a latency margin that a proof can use, as a factor; `None` if it is less than a bucket.
pub(super) fn provable_margin(guard: &judge::Latency) -> Option<f64> {
    // A plan's margin is at most 1,000 %, which is 27 buckets.
    let buckets = std::iter::successors(Some(LATENCY_BUCKET), |factor| Some(factor * LATENCY_BUCKET));
    buckets.take_while(|factor| *factor <= 1.0 + guard.worse_than_active_by).last()
}

/// Traces in total until latency is proved. The judge compares how often green is slower than a threshold and the
/// margin with how often blue is slower than the threshold. How much rarer the first is depends on the tail; where it
/// falls with the third power, a margin of 20 % at p99 needs 26k/76k/700k at 50/10/1 %, and STATISTICS.md measured
/// 23k/54k/587k. It is a detection with the environments exchanged: that blue's events are the more frequent ones.
fn traces_to_prove_latency(guard: &judge::Latency, share: f64, alpha: f64) -> f64 {
    let Some(margin) = provable_margin(guard) else { return f64::INFINITY };
    let rarer = 1.0 / (margin * margin * margin);
    traces_to_detect((1.0 - guard.quantile) * rarer, 1.0 / rarer, 1.0 - share, alpha)
}

/// Milliseconds, or never.
fn whole_ms(ms: f64) -> Option<u64> {
    // A comparison with NaN is false, so that what cannot be computed is never.
    (ms <= NEVER_MS).then_some(ms.ceil() as u64)
}
