//! Which of several alarms to name: the one that explains the others.
//!
//! The order of explanation: an export that is refused is lost to everything after it; a blind spot is a loss with an
//! address; a loss leaves orphans and unfinished traces. What explains nothing else explains itself.

use crate::assess::{Failure, Metric};
use crate::blind_spot::Tracked;
use crate::config::Guard;
use crate::effect::{Effect, Measure, share_effect};
use crate::external;
use crate::judge::Judge;
use crate::latency::LatencyMetric;
use crate::odds::Counts;
use crate::rate::LOG_SURE;
use crate::recent::Estimate;
use crate::words;
use model::{BasisPoints, Check, Subject};

/// The order in which alarmed checks are named.
const ORDER: [Check; 26] = [
    Check::ExportFailure,
    Check::BlindSpot,
    Check::LostSpan,
    Check::SampledOut,
    Check::SplitTrace,
    Check::Reparented,
    Check::Cycle,
    Check::ManyRoots,
    Check::NewDependency,
    Check::Orphan,
    Check::ChangedResource,
    Check::MissingAttribute,
    Check::ChangedType,
    Check::ChangedContext,
    Check::ChangedTime,
    Check::ClockSkew,
    Check::ChangedValue,
    Check::AddedAttribute,
    Check::DuplicatedSpan,
    Check::FabricatedSpan,
    Check::ErrorSpan,
    Check::MoreCalls,
    Check::SlowCall,
    Check::SlowOperation,
    Check::Slow,
    // It shows no trace, so that whatever else alarms says more.
    Check::External,
];

/// Where a check stands among those that a failure names: what explains comes before what it explains.
pub fn naming_rank(check: Check) -> usize {
    let says_more = SAYS_MORE.iter().any(|(_, more, _)| *more == check);
    let place = ORDER.iter().position(|known| *known == check).unwrap_or(ORDER.len());
    if says_more { 0 } else { 1 + place }
}

/// What says more of the same spans than the check before: it is named in its place where it accounts for nearly all of
/// the traces that show it.
const SAYS_MORE: [(Check, Check, &str); 7] = [
    (Check::BlindSpot, Check::SplitTrace, "what was lost in one trace came out in another"),
    (Check::LostSpan, Check::SplitTrace, "what was lost in one trace came out in another"),
    (Check::FabricatedSpan, Check::SplitTrace, "what was never sent in one trace was sent in another"),
    (Check::Reparented, Check::Cycle, "spans hang on their own descendants"),
    (Check::Reparented, Check::ManyRoots, "spans that had a parent have none"),
    (Check::Reparented, Check::NewDependency, "spans hang on services that never called theirs"),
    (Check::ChangedTime, Check::ClockSkew, "a service's spans are all moved by as much"),
];

/// Blind spots account for a loss when this share of the traces with a loss misses one of them.
const NEARLY_ALL: f64 = 0.9;

/// Traces of the candidate from which on it is known whether an operation looks slow or not.
const TRACES_TO_BE_KNOWN: u64 = 50;

/// ln of the chance below which random loss, as frequent as the candidate's, does not leave a subject unseen: one in a
/// million, so that among a thousand rare operations none is called blind by accident.
const LOG_NOT_BY_CHANCE: f64 = -13.8;

/// Names the failure. `alarmed` are the metrics that are worse by themselves and beyond tolerance, in no order; empty
/// means none.
pub(crate) fn name<'a>(judge: &Judge, metrics: &'a [Metric], alarmed: &[&'a Metric]) -> Option<Failure> {
    let find = |check: Check| alarmed.iter().copied().find(|metric| metric.check == check);
    if let Some(exports) = find(Check::ExportFailure) {
        return Some(failure(judge, exports, exports, alarmed, vec![]));
    }
    if let Some((metric, blind)) = explaining_blind_spot(judge, &find) {
        // An operation that comes out under other ids is not blind.
        if let Some((cause, because)) = what_says_more(metrics, metric) {
            return Some(failure(judge, cause, metric, alarmed, vec![because.to_owned()]));
        }
        // A span that hangs elsewhere is missed where it should hang.
        if let Some(reparented) = leaning(metrics, Check::Reparented).filter(|_| !is_operation(&blind.subject)) {
            let because = "calls are not seen where the called span has another parent".to_owned();
            let (cause, more) = what_says_more(metrics, reparented).unzip();
            let because = std::iter::once(because).chain(more.map(str::to_owned)).collect();
            return Some(failure(judge, cause.unwrap_or(reparented), metric, alarmed, because));
        }
        return Some(blind_spot_failure(judge, metric, blind, alarmed));
    }
    let unexplained = ORDER.into_iter().filter(|check| *check != Check::BlindSpot).find_map(find);
    let metric = unexplained.or_else(|| find(Check::BlindSpot))?;
    if metric.check == Check::Slow {
        let slow = slow_to_name(metrics, alarmed).unwrap_or((metric, metric));
        return Some(slow_failure(judge, slow, metrics, alarmed));
    }
    if Guard::of(metric.check) == Guard::ServiceLatency {
        return Some(slow_service_failure(judge, metrics, alarmed, metric));
    }
    if metric.check == Check::Orphan {
        let causes = [
            (Check::LostSpan, "lost parents leave their children as orphans"),
            (Check::Reparented, "spans that hang elsewhere may hang on what did not come out"),
        ];
        let cause = causes.into_iter().find_map(|(check, because)| Some((leaning(metrics, check)?, because)));
        if let Some((cause, because)) = cause {
            return Some(failure(judge, cause, metric, alarmed, vec![because.to_owned()]));
        }
    }
    if let Some((cause, because)) = what_says_more(metrics, metric) {
        return Some(failure(judge, cause, metric, alarmed, vec![because.to_owned()]));
    }
    Some(failure(judge, metric, metric, alarmed, vec![]))
}

/// What is to be named in the place of a metric that alarms, and why.
fn what_says_more<'a>(metrics: &'a [Metric], metric: &Metric) -> Option<(&'a Metric, &'static str)> {
    let of_metric = SAYS_MORE.iter().filter(|(check, ..)| *check == metric.check);
    of_metric
        .filter_map(|(_, more, because)| Some((leaning(metrics, *more)?, *because)))
        .find(|(cause, _)| cause.candidate.events as f64 >= NEARLY_ALL * metric.candidate.events as f64)
}

/// The metric, if it is beyond what the plan tolerates and its evidence points that way, though it does not alarm yet:
/// a cause whose consequence alarms need not be proved beyond chance a second time.
fn leaning(metrics: &[Metric], check: Check) -> Option<&Metric> {
    metrics.iter().find(|metric| metric.check == check && metric.material && metric.log_against > 0.0)
}

/// Subjects that are blind in the candidate, each beyond chance by itself: w_j E_j >= 1/falseAlarm, for the weights sum to
/// 1 over all subjects that may ever appear.
pub(crate) fn significantly_blind(judge: &Judge) -> Vec<&Tracked> {
    let log_threshold = -libm::log(judge.config.false_alarm);
    let blind = judge.blind_spots.blind(judge.traces[judge.config.candidate]);
    let weighted = |it: &&Tracked| it.log_against() + libm::log(judge.blind_spots.weight(&it.subject));
    blind.filter(|tracked| weighted(tracked) >= log_threshold).collect()
}

/// The subject that most traces miss; operations before edges, for the edge follows from the operation.
pub(crate) fn most_telling<'a>(blind: &[&'a Tracked]) -> Option<&'a Tracked> {
    // The first of equals: `max_by_key` takes the last.
    let largest = |kind: fn(&Subject) -> bool| {
        let subjects = blind.iter().rev().filter(|tracked| kind(&tracked.subject));
        subjects.max_by_key(|tracked| tracked.candidate.events).copied()
    };
    largest(is_operation).or_else(|| largest(|_| true))
}

fn is_operation(subject: &Subject) -> bool {
    match subject {
        Subject::Operation { .. } => true,
        Subject::Edge { .. } => false,
    }
}

/// The service whose spans nobody sees.
fn service(subject: &Subject) -> &str {
    match subject {
        Subject::Operation { service, .. } => service,
        Subject::Edge { to, .. } => to,
    }
}

/// The blind spot to name, and the alarmed metric that it explains.
fn explaining_blind_spot<'a, 'j>(
    judge: &'j Judge,
    find: &impl Fn(Check) -> Option<&'a Metric>,
) -> Option<(&'a Metric, &'j Tracked)> {
    let (spots, loss, orphans) = (find(Check::BlindSpot), find(Check::LostSpan), find(Check::Orphan));
    let blind: Vec<&Tracked> = judge.blind_spots.blind(judge.traces[judge.config.candidate]).collect();
    match (spots, loss, orphans) {
        (Some(spots), None, _) => Some((spots, most_telling(&significantly_blind(judge))?)),
        (spots, Some(loss), _) => Some((spots.unwrap_or(loss), explains_loss(judge, &blind, spots.is_some())?)),
        (None, None, Some(orphans)) => Some((orphans, explains_loss(judge, &blind, false)?)),
        (None, None, None) => None,
    }
}

/// The blind spot that explains the candidate's losses, if one does: either blind spots account for nearly all traces
/// with a loss, or one is beyond chance and cannot be an accident of random loss.
fn explains_loss<'j>(judge: &'j Judge, blind: &[&'j Tracked], significant: bool) -> Option<&'j Tracked> {
    if judge.candidate_spans_out == 0 {
        // Nothing at all comes out: every operation is blind, and none of them is the reason.
        return None;
    }
    let telling = most_telling(blind)?;
    let lossy = judge.candidate_lossy;
    let together = |it: &&Tracked| {
        let same_kind = is_operation(&it.subject) == is_operation(&telling.subject);
        let is_blind = blind.iter().any(|blind| blind.subject == it.subject);
        same_kind && (is_blind || service(&it.subject) == service(&telling.subject))
    };
    // What is blind, and what else its service never shows: where a service is gone, its rare operations are gone too.
    let never_seen = judge.blind_spots.never_seen(judge.traces[judge.config.candidate]).filter(together);
    let missed = never_seen.fold(0u64, |sum, tracked| sum.saturating_add(tracked.candidate.events));
    if missed as f64 >= NEARLY_ALL * lossy.events as f64 {
        return Some(telling);
    }
    // How often a trace loses a span besides: what the blind spot itself makes must not count for chance. One trace more
    // of each kind, so that few traces do not look certain.
    let loss_besides = |unseen: u64| {
        let others = |count: u64| count.saturating_sub(unseen) as f64;
        (others(lossy.events) + 1.0) / (others(lossy.traces) + 2.0)
    };
    let beyond_accident = |it: &&Tracked| {
        let unseen = it.candidate.events;
        unseen as f64 * libm::log(loss_besides(unseen)) < LOG_NOT_BY_CHANCE
    };
    let systematic: Vec<&Tracked> = significantly_blind(judge).into_iter().filter(beyond_accident).collect();
    if significant { most_telling(&systematic) } else { None }
}

/// A failure by latency, unless unfinished traces make it and losses or failed exports make those.
fn slow_failure(judge: &Judge, (slow, alarm): (&Metric, &Metric), metrics: &[Metric], alarmed: &[&Metric]) -> Failure {
    let judging = judge.latency_of(slow).and_then(|latency| latency.judging());
    let explained = judging.is_some_and(|judging| judging.explained_by_unfinished());
    const CAUSES: [Check; 2] = [Check::ExportFailure, Check::LostSpan];
    let cause = CAUSES.into_iter().find_map(|check| leaning(metrics, check)).or_else(|| {
        // Within what the plan tolerates by itself, and with what else is slow not: the likelier of the two.
        let shown = |it: &&Metric| it.candidate.events > 0 && it.log_against > 0.0;
        let pointing = metrics.iter().filter(|it| CAUSES.contains(&it.check)).filter(shown);
        pointing.max_by(|a, b| a.log_against.total_cmp(&b.log_against))
    });
    match cause.filter(|_| explained) {
        Some(cause) => {
            let because = "traces that never came out whole are what makes the candidate look slow".to_owned();
            failure(judge, cause, alarm, alarmed, vec![because])
        }
        None => {
            let sure = |it: &&Metric| it.operation != slow.operation && it.log_against >= LOG_SURE;
            let others: Vec<String> = slow_operations(metrics).filter(sure).filter_map(of).collect();
            let mut named = failure(judge, slow, alarm, alarmed, vec![]);
            if !others.is_empty() {
                named.reasons.push(format!("slower too: {}", others.join(", ")));
            }
            named
        }
    }
}

/// What of the services to name: of all that alarm the one with most evidence. Each has its own time alone, so that a caller
/// is not slow by what it calls. But an operation that does nothing else than to call is slow by its call, which says to
/// whom. Others that are surely slow are told besides.
fn slow_service_failure(judge: &Judge, metrics: &[Metric], alarmed: &[&Metric], first: &Metric) -> Failure {
    let clearest = |a: &&Metric, b: &&Metric| a.log_against.total_cmp(&b.log_against);
    let of_services = alarmed.iter().copied().filter(|metric| metric.guard == Guard::ServiceLatency);
    let worst = of_services.max_by(clearest).unwrap_or(first);
    let surely =
        |metric: &&Metric| metric.guard == Guard::ServiceLatency && is_slow(metric) && metric.log_against >= LOG_SURE;
    let calls = metrics.iter().filter(surely).filter(|metric| metric.check == Check::SlowCall);
    let named = calls.filter(|call| is_by(worst, call)).max_by(clearest).unwrap_or(worst);
    let also = |metric: &&Metric| (metric.check, &metric.subject) != (named.check, &named.subject);
    let others: Vec<String> = metrics.iter().filter(surely).filter(also).map(Metric::words).collect();
    let mut failure = failure(judge, named, worst, alarmed, vec![]);
    if !others.is_empty() {
        failure.reasons.push(format!("besides: {}", others.join(", ")));
    }
    failure
}

/// Whether it is an operation of the service that makes the call.
fn is_by(operation: &Metric, call: &Metric) -> bool {
    match (&operation.subject, &call.subject) {
        (Some(Subject::Operation { service, .. }), Some(Subject::Edge { from, .. })) => service == from,
        (Some(Subject::Operation { .. } | Subject::Edge { .. }) | None, _) => false,
    }
}

fn of(metric: &Metric) -> Option<String> {
    metric.operation.as_ref().map(ToString::to_string)
}

/// Operations whose traces are slower than the plan tolerates, as far as is known.
fn slow_operations(metrics: &[Metric]) -> impl Iterator<Item = &Metric> {
    metrics.iter().filter(|metric| metric.operation.is_some() && is_slow(metric))
}

fn is_slow(metric: &Metric) -> bool {
    metric.material && metric.log_against > 0.0
}

/// What of latency to name, and the alarm that it explains: an operation, if others are known and most of them are not
/// slow; else the pipeline as a whole, if that alarms. An operation that explains the alarm over all traces need not alarm
/// too.
fn slow_to_name<'a>(metrics: &'a [Metric], alarmed: &[&'a Metric]) -> Option<(&'a Metric, &'a Metric)> {
    let slow = || alarmed.iter().copied().filter(|metric| metric.check == Check::Slow);
    let clearest = |a: &&Metric, b: &&Metric| a.log_against.total_cmp(&b.log_against);
    let alarming = slow().filter(|metric| metric.operation.is_some()).max_by(clearest);
    let Some(over_all) = slow().find(|metric| metric.operation.is_none()) else {
        return alarming.map(|one| (one, one));
    };
    let surely = slow_operations(metrics).filter(|metric| metric.log_against >= LOG_SURE).max_by(clearest);
    let one = alarming.map(|one| (one, one)).or(surely.map(|one| (one, over_all)));
    let explains = |(one, _): &(&Metric, &Metric)| {
        let others = metrics.iter().filter(|metric| metric.operation.is_some() && metric.operation != one.operation);
        let known = others.filter(|other| other.candidate.traces >= TRACES_TO_BE_KNOWN);
        let (slow, fast): (Vec<&Metric>, Vec<&Metric>) = known.partition(|other| is_slow(other));
        !fast.is_empty() && slow.len() <= fast.len()
    };
    one.filter(explains).or(Some((over_all, over_all)))
}

fn blind_spot_failure(judge: &Judge, metric: &Metric, blind: &Tracked, alarmed: &[&Metric]) -> Failure {
    let ratio = |counts: Counts| format!("{} of {}", words::grouped(counts.events), words::traces(counts.traces));
    let subject = blind.words();
    let (candidate, active) = (ratio(blind.candidate), ratio(blind.active));
    let because = format!("{subject}: unseen in {candidate} of the candidate, in {active} of the active environment");
    let guard = judge.config.guards.blind_spots.as_ref();
    let of_metric =
        if guard.is_some() { judge.config.guards.metric_weight(Guard::BlindSpots) } else { judge.weight(metric) };
    let effect = share_effect(blind.candidate, of_metric * judge.blind_spots.weight(&blind.subject));
    let mut named = failure_of(judge, metric, metric, alarmed, effect, vec![because]);
    let blind_spots = judge.blind_spots.blind(judge.traces[judge.config.candidate]).count();
    if guard.is_some_and(|guard| blind_spots > guard.at_most as usize) {
        // The guard that the plan has for it, also where the loss that it makes alarmed first.
        named.guard = Guard::BlindSpots;
    }
    let tolerated = guard.map_or(0.0, |guard| f64::from(guard.at_most));
    named.check = Check::BlindSpot;
    named.subject = Some(blind.subject.clone());
    named.estimate = Estimate {
        candidate: blind.candidate.share(),
        active: blind.active.share(),
        tolerated,
        traces: blind.candidate.traces as f64,
    };
    named
}

/// How large the difference is that the metric shows.
fn effect(judge: &Judge, metric: &Metric) -> Effect {
    let weight = judge.weight(metric);
    if let Some(effect) = external::effect(judge, metric, weight) {
        return effect;
    }
    let judging = judge.latency_of(metric).and_then(LatencyMetric::judging);
    let is_timed = matches!(metric.guard, Guard::Latency | Guard::ServiceLatency);
    match (judging.filter(|_| is_timed), judge.rates.get(&metric.check)) {
        (Some(judging), _) => judging.effect(weight),
        (None, Some(rate)) => rate.effect(weight),
        (None, None) => share_effect(metric.candidate, weight),
    }
}

fn effect_words(effect: &Effect) -> Option<String> {
    let Effect { measure, estimate, at_least, at_most, confidence } = *effect;
    let sure = words::percent(confidence);
    match measure {
        Measure::OddsRatio if at_least > 0.0 => {
            let most = at_most.map_or("no upper end".to_owned(), |most| format!("at most {}", words::ratio(most)));
            let (estimate, least) = (words::ratio(estimate), words::ratio(at_least));
            Some(format!(
                "over the rollout its odds are {estimate} the active environment's: {sure} sure that at least {least}, {most}"
            ))
        }
        // What is only suspected may have no lower end.
        Measure::OddsRatio => None,
        Measure::Share => {
            let (least, most) = (words::percent(at_least), words::percent(at_most.unwrap_or(1.0)));
            Some(format!("that is a share of {}: {sure} sure that {least} to {most}", words::percent(estimate)))
        }
    }
}

/// `named` is what explains, `alarm` the metric whose evidence alarmed; `because` comes before the numbers.
fn failure(judge: &Judge, named: &Metric, alarm: &Metric, alarmed: &[&Metric], because: Vec<String>) -> Failure {
    failure_of(judge, named, alarm, alarmed, effect(judge, named), because)
}

fn failure_of(
    judge: &Judge,
    named: &Metric,
    alarm: &Metric,
    alarmed: &[&Metric],
    effect: Effect,
    mut because: Vec<String>,
) -> Failure {
    because.push(format!("{}, {}", judge.metric_words(alarm), words::likelier(alarm.log_against)));
    because.push(tolerance_words(named));
    because.extend(effect_words(&effect));
    let checks: Vec<Check> =
        ORDER.into_iter().filter(|check| alarmed.iter().any(|metric| metric.check == *check)).collect();
    let mut others: Vec<&str> =
        checks.iter().filter(|check| ![named.check, alarm.check].contains(check)).map(|it| it.words()).collect();
    others.retain(|words| *words != Check::External.words());
    let named_metric = external::name(judge, named);
    others.extend(
        alarmed.iter().filter_map(|metric| external::name(judge, metric)).filter(|it| Some(*it) != named_metric),
    );
    if !others.is_empty() {
        because.push(format!("also worse: {}", others.join(", ")));
    }
    let candidate = judge.config.candidate;
    let traces = external::units(judge, named).unwrap_or(judge.traces);
    let of_candidate = match named_metric {
        Some(_) => words::units(traces[candidate]),
        None => words::traces(traces[candidate]),
    };
    let of_active = words::grouped(traces[candidate.other()]);
    because.push(format!("it took {of_candidate} of the candidate and {of_active} of the active environment"));
    if judge.verified < BasisPoints::ALL && named_metric.is_none() {
        because.push(format!(
            "at the least {} of the traces were verified, chosen by a hash of their ids",
            judge.verified
        ));
    }
    Failure {
        guard: named.guard,
        check: named.check,
        metric: named_metric.map(str::to_owned),
        subject: named.subject.clone(),
        operation: named.operation.clone(),
        estimate: named.estimate,
        effect,
        traces,
        log_against: alarm.log_against,
        alarmed: checks,
        reasons: because,
    }
}

fn tolerance_words(metric: &Metric) -> String {
    let Estimate { candidate, active, tolerated, .. } = metric.estimate;
    // A gross difference is sure to be beyond the tolerance before the recent share, which remembers the time before
    // its onset, says so.
    let sure = |beyond: bool| if beyond { "" } else { ", and since it began surely more than that" };
    let (candidate_words, active_words) = (words::percent(candidate), words::percent(active));
    let tolerated_words = words::percent(tolerated);
    match metric.guard {
        Guard::SpanLoss => {
            format!("lately {candidate_words}, and the plan tolerates {tolerated_words}{}", sure(candidate > tolerated))
        }
        Guard::ErrorRate | Guard::Findings | Guard::Metrics => format!(
            "lately {candidate_words} against {active_words}, and the plan tolerates a difference of {tolerated_words}{}",
            sure(candidate - active > tolerated)
        ),
        Guard::Latency | Guard::ServiceLatency => format!(
            "lately {candidate_words} of the candidate's traces are beyond that by more than {tolerated_words}, and \
             {active_words} of the active environment's are beyond that at all"
        ),
        Guard::BlindSpots => format!("the plan tolerates {tolerated} blind spots"),
    }
}
