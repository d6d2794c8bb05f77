use super::*;
use proptest::prelude::*;

const TRACE: TraceId = TraceId([7; 16]);
const BEGAN: UnixMillis = UnixMillis(1_000_000);

fn timing() -> Timing {
    Timing { settle_ms: 30_000, gather_ms: 10_000, horizon_ms: 335_000 }
}

fn key(number: u8) -> SpanKey {
    (SpanId([number; 8]), 2)
}

fn after(ms: u64) -> UnixMillis {
    BEGAN.plus_ms(ms)
}

/// A trace of spans that were all handed over at the beginning.
fn pursuit(timing: Timing, spans: u8) -> Pursuit {
    let mut pursuit = Pursuit::new(timing, 10);
    for number in 0..spans {
        assert!(pursuit.handed_over(TRACE, BEGAN, Some(key(number))));
    }
    pursuit
}

/// Looks whenever that is due, for an hour; the times of the looks, and what came of the last.
fn look(pursuit: &mut Pursuit, mut show: impl FnMut(u64) -> Look) -> (Vec<u64>, Option<Conclusion>) {
    let mut looks = Vec::new();
    for ms in (0..3_600_000).step_by(10) {
        let now = after(ms);
        if !pursuit.advance(now).is_empty() {
            return (looks, Some(Conclusion::LeftOut));
        }
        if let Some(trace) = pursuit.next_look(now) {
            looks.push(ms);
            match pursuit.looked(trace, now, show(ms)) {
                Conclusion::GoesOn => {}
                conclusion => return (looks, Some(conclusion)),
            }
        }
    }
    (looks, None)
}

/// What is seen of spans that are there from these times on.
fn there(since: &[u64]) -> impl FnMut(u64) -> Look {
    move |ms| {
        let there = (0..).zip(since).filter(|(_, since)| **since <= ms).map(|(number, _)| key(number));
        let there: Vec<SpanKey> = there.collect();
        if there.is_empty() { Look::Nothing } else { Look::There(there) }
    }
}

#[test]
fn a_trace_that_is_there_is_concluded_when_it_has_settled() {
    let (looks, concluded) = look(&mut pursuit(timing(), 2), there(&[0, 4_000]));
    let Some(Conclusion::Whole { settled: Some(true), seen }) = concluded else { panic!("{concluded:?}") };
    assert_eq!(looks.last(), Some(&30_000), "and not before: a span may come twice");
    assert!(looks.len() <= 6, "{looks:?}");
    assert_eq!(seen[&key(0)], after(looks[0]).0 * 1_000);
    let second = looks.iter().find(|at| **at >= 4_000).unwrap();
    assert_eq!(seen[&key(1)], after(*second).0 * 1_000, "when it was first seen, not when it was last");
}

#[test]
fn what_is_missing_is_looked_for_until_it_is_lost() {
    let (looks, concluded) = look(&mut pursuit(timing(), 2), there(&[0]));
    let Some(Conclusion::Whole { settled: Some(false), seen }) = concluded else { panic!("{concluded:?}") };
    assert_eq!((seen.len(), looks.last()), (1, Some(&305_000)));
    assert!(looks.len() <= 12, "{looks:?}");
    assert!(looks.contains(&30_000));
    let (_, nothing) = look(&mut pursuit(timing(), 2), |_| Look::Nothing);
    assert_eq!(nothing, Some(Conclusion::Whole { settled: Some(false), seen: BTreeMap::new() }));
    // Late, and there in the end.
    let (looks, late) = look(&mut pursuit(timing(), 1), there(&[100_000]));
    let Some(Conclusion::Whole { settled: Some(false), seen }) = late else { panic!("{late:?}") };
    assert_eq!(seen[&key(0)], after(*looks.last().unwrap()).0 * 1_000);
}

#[test]
fn a_store_that_is_away_makes_nothing_missing() {
    let (looks, concluded) = look(&mut pursuit(timing(), 1), |_| Look::Failed);
    assert_eq!((concluded, looks.last()), (Some(Conclusion::LeftOut), Some(&305_000)));
    // Away at first, and when it mattered for freshness.
    let mut shown = there(&[0]);
    let (_, back) = look(&mut pursuit(timing(), 1), |ms| if ms < 60_000 { Look::Failed } else { shown(ms) });
    assert!(matches!(back, Some(Conclusion::Whole { settled: None, .. })), "{back:?}");
    // Seen, then away for good: what was seen may have been all, and who knows.
    let mut shown = there(&[0]);
    let (_, gone) = look(&mut pursuit(timing(), 2), |ms| if ms < 60_000 { shown(ms) } else { Look::Failed });
    assert_eq!(gone, Some(Conclusion::LeftOut));
}

#[test]
fn a_question_without_an_answer_is_a_failed_look() {
    let mut pursuit = pursuit(timing(), 1);
    let mut left_out = Vec::new();
    for ms in (0..400_000).step_by(100) {
        pursuit.next_look(after(ms));
        left_out.extend(pursuit.advance(after(ms)).into_iter().map(|trace| (trace, ms)));
    }
    let [(TRACE, at)] = left_out[..] else { panic!("{left_out:?}") };
    assert!(at <= 305_000 + ANSWER_WITHIN_MS + 100, "before verification closes its batch: {at}");
    // The same if nobody is free to ask.
    let mut pursuit = self::pursuit(timing(), 1);
    let left_out = (0..4_000).find(|step| !pursuit.advance(after(step * 100)).is_empty());
    assert!(left_out.is_some_and(|step| step * 100 <= 335_000), "{left_out:?}");
}

#[test]
fn hand_overs_move_the_settling_time_as_long_as_they_count() {
    let mut pursuit = pursuit(timing(), 1);
    assert!(pursuit.handed_over(TRACE, after(9_000), Some(key(1))));
    assert!(pursuit.handed_over(TRACE, after(11_000), Some(key(2))), "too late, and not waited for");
    let (looks, concluded) = look(&mut pursuit, there(&[0, 0]));
    assert_eq!(looks.last(), Some(&39_000));
    assert!(matches!(concluded, Some(Conclusion::Whole { settled: Some(true), .. })), "{concluded:?}");
    // One that comes when it is concluded begins nothing anew.
    assert!(pursuit.handed_over(TRACE, after(50_000), Some(key(3))));
    assert_eq!(look(&mut pursuit, |_| Look::Nothing), (vec![], None));
    assert!(pursuit.is_empty(), "and it is forgotten in the end");
}

#[test]
fn without_a_horizon_the_look_after_the_settling_time_is_the_last() {
    let brief = Timing { horizon_ms: 0, ..timing() };
    let (looks, concluded) = look(&mut pursuit(brief, 2), there(&[0]));
    assert!(matches!(concluded, Some(Conclusion::Whole { settled: Some(false), .. })), "{concluded:?}");
    assert_eq!(looks.last(), Some(&30_000));
    assert_eq!(look(&mut pursuit(brief, 2), |_| Look::Failed).1, Some(Conclusion::LeftOut));
}

#[test]
fn more_than_there_is_room_for_is_not_looked_for() {
    let mut pursuit = Pursuit::new(timing(), 2);
    let begin = |pursuit: &mut Pursuit, number: u8| pursuit.handed_over(TraceId([number; 16]), BEGAN, Some(key(1)));
    assert_eq!([1, 2, 3, 2].map(|number| begin(&mut pursuit, number)), [true, true, false, true]);
    let mut large = Pursuit::new(timing(), 1);
    let spans = (0..=MAX_SPANS as u64).map(|number| (SpanId(number.to_be_bytes()), 1));
    let fits: Vec<bool> = spans.map(|key| large.handed_over(TRACE, BEGAN, Some(key))).collect();
    assert_eq!(fits.iter().filter(|fits| !**fits).count(), 1);
    assert_eq!(large.next_look(after(400_000)), None, "a trace that is too large is not looked for");
}

#[test]
fn looks_are_spread_over_a_doubling() {
    let first = |number: u8| first_look(TraceId([number; 16]), BEGAN).since_ms(BEGAN);
    let all: BTreeSet<u64> = (0..=255).map(first).collect();
    assert!(all.len() > 150 && all.iter().all(|ms| (500..1_000).contains(ms)), "{all:?}");
}

proptest! {
    /// Whatever comes, in whatever order: each trace is concluded at most once, none is missing without an answer, and
    /// everything ends.
    #[test]
    fn everything_ends(
        steps in prop::collection::vec((0u8..4, 0u8..6, 0u8..4, 0u64..20_000), 1..200),
    ) {
        let mut pursuit = Pursuit::new(timing(), 4);
        let (mut now, mut ended) = (BEGAN, BTreeMap::<TraceId, u32>::new());
        for (what, trace, span, ms) in steps {
            now = now.plus_ms(ms);
            let trace = TraceId([trace; 16]);
            match what {
                0 => drop(pursuit.handed_over(trace, now, Some(key(span)))),
                1 => drop(pursuit.next_look(now)),
                2 => {
                    let look = [Look::Nothing, Look::Failed, Look::There(vec![key(span)]), Look::There(vec![])];
                    let concluded = pursuit.looked(trace, now, look[usize::from(span)].clone());
                    *ended.entry(trace).or_default() += u32::from(concluded != Conclusion::GoesOn);
                }
                _ => pursuit.advance(now).into_iter().for_each(|trace| *ended.entry(trace).or_default() += 1),
            }
            prop_assert!(pursuit.len() <= 4);
            prop_assert!(pursuit.looks.len() <= pursuit.len() && pursuit.ends.len() == pursuit.len());
        }
        for _ in 0..100 {
            now = now.plus_ms(60_000);
            pursuit.advance(now);
        }
        prop_assert!(pursuit.is_empty() && pursuit.looks.is_empty() && pursuit.ends.is_empty());
    }
}
