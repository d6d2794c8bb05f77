use super::*;
use crate::random::Random;
use crate::report::tests::{report, target};
use crate::tally::{Counts, Volume};

/// Ten thousand spans a second are offered; five thousand are the present peak.
const DEMAND: fn() -> LoadDemand = || LoadDemand::of(5_000.0, 2.0);

/// Thirty seconds of a hundred requests, whose latencies are skewed around so many milliseconds.
fn skewed(ms: f64, seed: u64) -> TargetReport {
    skewed_for(30, ms, seed, |_| 0)
}

fn skewed_for(seconds: u64, ms: f64, seed: u64, more_ms: impl Fn(u64) -> u64) -> TargetReport {
    target(seconds, 100, |second, request| {
        let mut random = Random(seed ^ second << 20 ^ request << 40);
        random.next();
        (ms * 1_000.0 * (0.5 + 0.5 * random.exponential())) as u64 + more_ms(second) * 1_000
    })
}

/// All that was acknowledged came out, unless the test says otherwise.
fn all_out(report: &Report) -> Option<Out> {
    let taken = |environment: Environment| report.targets[environment].as_ref().map_or(0, |one| one.all.taken_items());
    Some(PerEnvironment::from_fn(taken))
}

/// Holds the verdict, and what the first reason says.
fn check(demand: &LoadDemand, report: &Report, out: Option<Out>, verdict: GateVerdict, first: &str) {
    let judged = judge(demand, report, out);
    assert_eq!(judged.verdict, verdict, "{:?}", judged.reasons);
    assert!(judged.reasons[0].contains(first), "{:?}", judged.reasons);
    assert_eq!(judge(demand, report, out), judged);
}

/// Moves so many requests from the acknowledged to where the function says.
fn failed(mut target: TargetReport, requests: u64, of: fn(&mut Counts) -> &mut Volume) -> TargetReport {
    for counts in [&mut target.all, &mut target.measured, &mut target.seconds[5].counts] {
        counts.acknowledged.requests -= requests;
        counts.acknowledged.items -= requests * 100;
        of(counts).requests += requests;
        of(counts).items += requests * 100;
    }
    target
}

#[test]
fn green_that_holds_and_is_as_fast_passes() {
    let good = report(skewed(20.0, 1), skewed(20.0, 2));
    check(&DEMAND(), &good, all_out(&good), GateVerdict::Pass, "green held 10 000 spans/s without loss");
    let faster = report(skewed(20.0, 1), skewed(2.0, 2));
    check(&DEMAND(), &faster, all_out(&faster), GateVerdict::Pass, "green held");
    // Half a millisecond is nobody's concern.
    let little = report(skewed(0.3, 1), skewed(0.5, 2));
    check(&DEMAND(), &little, all_out(&little), GateVerdict::Pass, "green held");
}

#[test]
fn green_that_is_slower_fails_and_what_is_near_is_not_told() {
    let slower = report(skewed(20.0, 1), skewed(40.0, 2));
    check(&DEMAND(), &slower, all_out(&slower), GateVerdict::Fail, "green is slower than is allowed: p99 ");
    let near = report(skewed(20.0, 1), skewed(24.0, 2));
    check(&DEMAND(), &near, all_out(&near), GateVerdict::Inconclusive, "cannot be told");
    // Every second is much slower in five seconds of thirty: no median of seconds would show it.
    let stalls = report(skewed(20.0, 1), skewed_for(30, 20.0, 2, |second| if second % 6 == 0 { 400 } else { 0 }));
    check(&DEMAND(), &stalls, all_out(&stalls), GateVerdict::Fail, "green is slower");
}

#[test]
fn what_green_does_not_take_or_loses_fails() {
    for (of, words) in [
        (
            (|counts| &mut counts.not_sent) as fn(&mut Counts) -> &mut Volume,
            "100 not sent in time, because its backlog grew",
        ),
        (|counts| &mut counts.throttled, "green did not take 100 of 300 000 spans (100 throttled)"),
        (|counts| &mut counts.refused, "100 refused"),
        (|counts| &mut counts.timed_out, "100 not answered in time"),
        (|counts| &mut counts.disconnected, "100 without a connection"),
    ] {
        let bad = report(skewed(20.0, 1), failed(skewed(20.0, 2), 1, of));
        check(&DEMAND(), &bad, all_out(&bad), GateVerdict::Fail, words);
        // Without taps it fails too: that is known.
        check(&DEMAND(), &bad, None, GateVerdict::Fail, words);
    }
    let good = report(skewed(20.0, 1), skewed(20.0, 2));
    let out = Some(PerEnvironment { blue: 300_000, green: 299_999 });
    let lost = "green acknowledged 300 000 spans and 299 999 came out: 1 are lost";
    check(&DEMAND(), &good, out, GateVerdict::Fail, lost);
    let tolerant = LoadDemand { loss_at_most: BasisPoints::new(1).unwrap(), ..DEMAND() };
    check(&tolerant, &good, out, GateVerdict::Pass, "with at most 0.01% lost");
    // More came out than was acknowledged: what nobody answered may have been taken.
    let more = Some(PerEnvironment { blue: 300_000, green: 300_100 });
    check(&DEMAND(), &good, more, GateVerdict::Pass, "green held");
}

#[test]
fn what_blue_does_not_hold_either_is_said_of_neither() {
    let refused: fn(&mut Counts) -> &mut Volume = |counts| &mut counts.refused;
    let both = report(failed(skewed(20.0, 1), 3, refused), failed(skewed(20.0, 2), 5, refused));
    check(&DEMAND(), &both, all_out(&both), GateVerdict::Inconclusive, "neither environment held the load");
    let blue = report(failed(skewed(20.0, 1), 3, refused), skewed(20.0, 2));
    check(&DEMAND(), &blue, all_out(&blue), GateVerdict::Pass, "green held");
    assert!(judge(&DEMAND(), &blue, all_out(&blue)).reasons.iter().any(|words| words.contains("blue did not hold it")));
}

#[test]
fn missing_evidence_never_passes() {
    let good = report(skewed(20.0, 1), skewed(20.0, 2));
    check(&DEMAND(), &good, None, GateVerdict::Inconclusive, "no tap counted it");
    let more = LoadDemand::of(5_000.0, 3.0);
    let words = "the load offered 10 000 spans/s, and 15 000 are demanded: 3 times the present peak of 5 000";
    check(&more, &good, all_out(&good), GateVerdict::Inconclusive, words);
    for odd in [f64::NAN, 0.0, -1.0, f64::INFINITY] {
        check(&LoadDemand::of(odd, 2.0), &good, all_out(&good), GateVerdict::Inconclusive, "demanded");
    }
    let odd = LoadDemand { quantile: f64::NAN, ..DEMAND() };
    check(&odd, &good, all_out(&good), GateVerdict::Inconclusive, "too few answers");
    let short = report(skewed_for(10, 20.0, 1, |_| 0), skewed_for(10, 20.0, 2, |_| 0));
    check(&DEMAND(), &short, all_out(&short), GateVerdict::Inconclusive, "too few answers");
    let rare = LoadDemand { quantile: 0.999, ..DEMAND() };
    check(&rare, &good, all_out(&good), GateVerdict::Inconclusive, "too few answers");
    let mut closed = report(skewed(20.0, 1), skewed(20.0, 2));
    closed.open_loop = false;
    check(&DEMAND(), &closed, all_out(&closed), GateVerdict::Inconclusive, "closed loop");
    let mut alone = report(skewed(20.0, 1), skewed(20.0, 2));
    alone.targets.blue = None;
    check(&DEMAND(), &alone, all_out(&alone), GateVerdict::Inconclusive, "blue got no load");
}

#[test]
fn a_generator_that_was_late_judges_nobody_and_a_target_that_is_not_there_is_an_error() {
    let late = |mut target: TargetReport| {
        target.lateness.buckets = vec![(50, 2_900), (20_000, 100)];
        target
    };
    let slow = report(skewed(20.0, 1), late(skewed(60.0, 2)));
    check(&DEMAND(), &slow, all_out(&slow), GateVerdict::Inconclusive, "the generator itself was late towards green");
    let refused: fn(&mut Counts) -> &mut Volume = |counts| &mut counts.refused;
    let bad = report(late(skewed(20.0, 1)), failed(skewed(20.0, 2), 1, refused));
    check(&DEMAND(), &bad, all_out(&bad), GateVerdict::Inconclusive, "the generator itself was late towards blue");
    // What was acknowledged and did not come out is no matter of when it was sent.
    let out = Some(PerEnvironment { blue: 300_000, green: 200_000 });
    check(&DEMAND(), &slow, out, GateVerdict::Fail, "are lost");

    let gone: fn(&mut Counts) -> &mut Volume = |counts| &mut counts.disconnected;
    let mut green = failed(skewed(20.0, 2), 100, gone);
    green.all.disconnected = green.all.due;
    green.all.acknowledged = Volume::default();
    green.disconnection = Some("cannot connect to green:4317: refused".into());
    let absent = report(skewed(20.0, 1), green);
    let words = "green answered none of 3 000 requests: cannot connect to green:4317: refused";
    check(&DEMAND(), &absent, all_out(&absent), GateVerdict::Error, words);
}

/// Two environments that are the same, 40 times: at the limit of what is allowed one in twenty may be called slower, and
/// here it is far from that. And one that is slower by half is never called as fast.
#[test]
fn chance_alone_makes_green_neither_slower_nor_as_fast() {
    let demand = LoadDemand { slower_at_least_us: 0, ..DEMAND() };
    let (mut slower, mut not_slower) = (0, 0);
    for seed in 0..40 {
        let same = report(skewed(20.0, 1_000 + seed), skewed(20.0, 5_000 + seed));
        let half = report(skewed(20.0, 1_000 + seed), skewed(30.0, 5_000 + seed));
        slower += u32::from(judge(&demand, &same, all_out(&same)).verdict == GateVerdict::Fail);
        not_slower += u32::from(judge(&demand, &half, all_out(&half)).verdict == GateVerdict::Pass);
    }
    assert!(slower <= 1 && not_slower == 0, "{slower}, {not_slower}");
}
