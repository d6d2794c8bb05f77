//! Whether green can read the traces that blue has from before: what `backends` asks of two trace stores, decided.
//!
//! A store that moved has lost a trace only if blue still has it: what blue's retention deleted meanwhile is nobody's loss.

use crate::assessment::{Assessment, Findings, Rank};
use model::{Environment, PerEnvironment, TraceId};
use serde_json::json;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;

/// Traces that are asked for: if not one of 100 is lost, then with 95 % certainty fewer than 3 % of all are (the rule of three).
pub const MAX_SAMPLE: usize = 100;
/// Traces of each kind that are named.
const MAX_EXAMPLES: usize = 5;

/// What is demanded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OlderTraces {
    /// The least share of blue's traces that green must have whole, in hundredths of a percent: 10,000 is all.
    pub at_least_basis_points: u32,
    /// The least number of traces of blue that says anything. At least 1.
    pub least: usize,
}

/// What one store said of one trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readable {
    /// It has this many spans of it.
    Spans(usize),
    /// It has nothing of it.
    Nothing,
    /// It gave no answer that is one; why.
    Unknown(String),
}

/// A share of what blue's search found, at most `most` and [`MAX_SAMPLE`]. Which ones follows from `seed` alone, and neither from
/// their order nor from their age.
pub fn sample(found: &BTreeSet<TraceId>, seed: [u8; 32], most: usize) -> BTreeSet<TraceId> {
    let drawn = |trace: &TraceId| -> [u8; 32] {
        let mut hash = Sha256::new_with_prefix(seed);
        hash.update(trace.to_string().as_bytes());
        hash.finalize().into()
    };
    let mut all: Vec<_> = found.iter().map(|trace| (drawn(trace), *trace)).collect();
    all.sort_unstable_by_key(|(drawn, _)| *drawn);
    all.into_iter().take(most.min(MAX_SAMPLE)).map(|(_, trace)| trace).collect()
}

/// Decides from what both stores said. Asked first of green and then of blue, so that what blue has was there all the time.
pub fn decide(demand: &OlderTraces, said: &[(TraceId, PerEnvironment<Readable>)]) -> Assessment {
    let (mut whole, mut lost, mut partial) = (0_u64, Vec::new(), Vec::new());
    let mut unknown: PerEnvironment<Vec<&str>> = PerEnvironment::default();
    for (trace, said) in said {
        match (&said.blue, &said.green) {
            (Readable::Unknown(why), _) => unknown.blue.push(why),
            (Readable::Nothing, _) => {}
            (Readable::Spans(_), Readable::Unknown(why)) => unknown.green.push(why),
            (Readable::Spans(_), Readable::Nothing) => lost.push(trace.to_string()),
            (Readable::Spans(blue), Readable::Spans(green)) if green < blue => partial.push(trace.to_string()),
            (Readable::Spans(_), Readable::Spans(_)) => whole += 1,
        }
    }
    let mut findings = Findings::default();
    let missing = (lost.len() + partial.len()) as u64;
    let unknowns = (unknown.blue.len() + unknown.green.len()) as u64;
    // At best all that is not known is whole, at worst none of it.
    let is_enough = |whole: u64, all: u64| whole * 10_000 >= all * u64::from(demand.at_least_basis_points);
    let all = whole + missing + unknowns;
    let is_few = whole + missing < demand.least.max(1) as u64;
    let can_read = format!("green can read {whole} of {} of blue's older traces whole", whole + missing);
    let expected =
        format!("expected {}.{:02} %", demand.at_least_basis_points / 100, demand.at_least_basis_points % 100);
    let first = lost.first().map(|trace| format!("; the first that it lost is {trace}"));
    let first = first.or(partial.first().map(|trace| format!("; of {trace} it has fewer spans")));
    if missing > 0 && !is_enough(whole + unknowns, all) {
        findings.fail(Rank::Rows, format!("{can_read}, {expected}{}", first.unwrap_or_default()));
    } else if unknowns > 0 && (is_few || !is_enough(whole, all)) {
        for side in Environment::BOTH {
            if let Some(why) = unknown[side].first() {
                findings.error(format!("{side}: {} traces could not be asked for: {why}", unknown[side].len()));
            }
        }
    } else if is_few {
        let (found, least) = (whole + missing, demand.least.max(1));
        findings.miss(format!("blue has {found} older traces, expected {least} at least; search a longer time"));
    }
    let examples = |traces: &[String]| json!({"traces": traces.len(), "examples": traces.iter().take(MAX_EXAMPLES).collect::<Vec<_>>()});
    findings.note(
        "olderTraces",
        json!({
            "askedFor": said.len(),
            "whole": whole,
            "lost": examples(&lost),
            "withFewerSpans": examples(&partial),
            "unknown": {"blue": unknown.blue.len(), "green": unknown.green.len()},
            "expectedBasisPoints": demand.at_least_basis_points,
        }),
    );
    findings.assess()
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::GateVerdict::{self, Error, Fail, Inconclusive, Pass};

    fn trace(number: u128) -> TraceId {
        format!("{number:032x}").parse().unwrap()
    }

    /// For each trace, blue's spans and green's: `.` is nothing, `?` unknown.
    fn check(said: &str, at_least_basis_points: u32, verdict: GateVerdict, reason: &str) {
        let readable = |text: &str| match text {
            "." => Readable::Nothing,
            "?" => Readable::Unknown("it is starting".into()),
            spans => Readable::Spans(spans.parse().unwrap()),
        };
        let said: Vec<_> = said
            .split_whitespace()
            .zip(1..)
            .map(|(pair, at)| {
                let (blue, green) = pair.split_once('/').unwrap();
                (trace(at), PerEnvironment { blue: readable(blue), green: readable(green) })
            })
            .collect();
        let assessment = decide(&OlderTraces { at_least_basis_points, least: 2 }, &said);
        let first = assessment.reasons.first().map_or("", String::as_str);
        assert_eq!((assessment.verdict, first), (verdict, reason), "{said:?}");
    }

    #[test]
    fn green_must_read_what_blue_can() {
        check("3/3 4/4", 10_000, Pass, "");
        check("3/3 4/5", 10_000, Pass, "");
        let lost = "green can read 1 of 2 of blue's older traces whole, expected 100.00 %; the first that it lost is \
            00000000000000000000000000000002";
        check("3/3 4/.", 10_000, Fail, lost);
        check("3/3 4/.", 5_000, Pass, "");
        let fewer = "green can read 1 of 2 of blue's older traces whole, expected 100.00 %; of \
            00000000000000000000000000000002 it has fewer spans";
        check("3/3 4/3", 10_000, Fail, fewer);
    }

    #[test]
    fn what_is_not_known_is_no_pass_and_no_loss() {
        check("3/3 4/?", 10_000, Error, "green: 1 traces could not be asked for: it is starting");
        check("3/3 ?/4", 10_000, Error, "blue: 1 traces could not be asked for: it is starting");
        check("3/3 ?/4", 0, Error, "blue: 1 traces could not be asked for: it is starting");
        // Whatever it would have said.
        check("3/3 4/4 5/5 6/?", 7_500, Pass, "");
        check(
            "3/. 4/. 5/5 6/?",
            7_500,
            Fail,
            "green can read 1 of 3 of blue's older traces whole, expected 75.00 %; the first that it lost is 00000000000000000000000000000001",
        );
    }

    #[test]
    fn what_blue_has_no_more_says_nothing() {
        check("3/3 4/4 ./.", 10_000, Pass, "");
        let few = "blue has 1 older traces, expected 2 at least; search a longer time";
        check("3/3 ./. ./7", 10_000, Inconclusive, few);
        check("", 10_000, Inconclusive, "blue has 0 older traces, expected 2 at least; search a longer time");
    }

    #[test]
    fn a_sample_is_of_all_ages_and_the_same_again() {
        let found: BTreeSet<_> = (1..=1_000).map(trace).collect();
        let drawn = sample(&found, [3; 32], 50);
        assert_eq!((drawn.len(), &drawn), (50, &sample(&found, [3; 32], 50)));
        assert_ne!(drawn, sample(&found, [4; 32], 50));
        assert!(drawn.iter().any(|id| *id > trace(500)) && drawn.iter().any(|id| *id <= trace(500)));
        assert_eq!(sample(&found, [3; 32], usize::MAX).len(), MAX_SAMPLE);
    }
}
