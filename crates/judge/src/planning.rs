//! How many traces a verdict will take, before anything starts: approximate medians, for `plan check`.
//!
//! Within a factor of 2 of the simulated medians of STATISTICS.md's acceptance table, mostly on its high side; the slow
//! tenth of rollouts needs two to three times as much.

use crate::config::{Config, Guard};
use crate::operation::{PART_OVER_ALL, Timing};

/// The false-alarm probability that one metric of a guard has to itself: the rollout's, times the metric's weight, and
/// halved once for plain and late onset and once for comparison and bake. What [`traces_to_detect`] wants. 0 for a
/// guard that the plan does not have. Of latency it is that over all traces, which has half of the guard's weight; of
/// service latency that of one call.
pub fn alpha_of_metric(config: &Config, guard: Guard) -> f64 {
    let part = match guard {
        Guard::Latency => PART_OVER_ALL,
        Guard::ServiceLatency => Timing::Calls.part(),
        Guard::SpanLoss | Guard::ErrorRate | Guard::BlindSpots | Guard::Findings | Guard::Metrics => 1.0,
    };
    config.false_alarm * config.guards.metric_weight(guard) * part / 4.0
}

/// Traces in total, both environments, until a rate that is `ratio` times as high as the active environment's `base`
/// alarms. `base`, `candidate_share` and `alpha` are shares; infinite if nothing can be told.
///
/// (ln 1/alpha + ln 8) / (base [p r ln r - (1+p(r-1)) ln(1+p(r-1))]): ln 8, because of R's 8 alternatives one is about
/// right.
pub fn traces_to_detect(base: f64, ratio: f64, candidate_share: f64, alpha: f64) -> f64 {
    traces(libm::log(1.0 / alpha) + libm::log(8.0), detection_growth(base, ratio, candidate_share))
}

/// Nats of R a trace, both environments together: base [p r ln r - (1+p(r-1)) ln(1+p(r-1))].
fn detection_growth(base: f64, ratio: f64, p: f64) -> f64 {
    let mixed = 1.0 + p * (ratio - 1.0);
    let growth = base * (p * ratio * libm::log(ratio) - mixed * libm::log(mixed));
    if ratio > 1.0 { growth } else { 0.0 }
}

/// Traces in total until latency alarms, if the slowest `1 - quantile` of the candidate's traces take `factor` times as
/// long and the others what they took. `candidate_share` and `alpha` are shares; infinite if nothing can be told.
///
/// How much more often the candidate is then beyond the active environment's quantile depends on the tail; where the
/// tail falls with the third power it is factor^3 times as often. Of L's 9 thresholds and 5 alternatives about one is
/// right, so it must earn ln 45 besides.
pub fn traces_to_detect_slowdown(quantile: f64, factor: f64, candidate_share: f64, alpha: f64) -> f64 {
    let base = 1.0 - quantile;
    let ratio = (factor * factor * factor).min(1.0 / base);
    traces(libm::log(1.0 / alpha) + libm::log(45.0), detection_growth(base, ratio, candidate_share))
}

/// Candidate traces without an event until it is proved that less than `p_max` of them have one: ln(2/alpha) / p_max,
/// the 2 for the alternatives that allow a few events.
pub fn traces_to_prove_absent(p_max: f64, alpha: f64) -> f64 {
    traces(libm::log(2.0 / alpha), -libm::log1p(-p_max))
}

/// Traces in total until it is proved that the candidate's rate is less than `margin` above `base`, if it is in truth
/// equal to it: by comparison with the active environment, or by the candidate's own rate being below `margin`,
/// whichever is sooner.
pub fn traces_to_prove_rate(base: f64, margin: f64, share: f64, alpha: f64) -> f64 {
    let log_needed = libm::log(2.0 / alpha);
    let absolute = match base < margin {
        true => traces(log_needed + libm::log(2.0), share * divergence(base, margin)),
        false => f64::INFINITY,
    };
    let worse = base + margin;
    if base <= 0.0 || worse >= 1.0 {
        return absolute;
    }
    let psi0 = (worse / (1.0 - worse)) / (base / (1.0 - base));
    let growth = base * (libm::log1p(share * (psi0 - 1.0)) - share * libm::log(psi0));
    absolute.min(traces(log_needed + libm::log(4.0), growth))
}

/// Kullback-Leibler divergence of a share `p` from a share `q`, in nats a trace.
fn divergence(p: f64, q: f64) -> f64 {
    let with = if p > 0.0 { p * libm::log(p / q) } else { 0.0 };
    let without = if p < 1.0 { (1.0 - p) * (libm::log1p(-p) - libm::log1p(-q)) } else { 0.0 };
    with + without
}

fn traces(log_needed: f64, growth: f64) -> f64 {
    if growth > 0.0 { log_needed / growth } else { f64::INFINITY }
}

#[cfg(test)]
mod tests;
