use super::*;
use crate::call::{Attempt, Failure};
use model::GateVerdict::{self, Error, Fail, Inconclusive, Pass};
use std::collections::BTreeMap;

/// Thirty attempts around a time; the last `failed` of them failed.
fn attempts(around_us: u64, failed: usize, why: Why) -> Vec<Attempt> {
    (0..30_u64)
        .map(|index| Attempt {
            took_us: around_us + around_us * (index * 7 % 30) / 100,
            failed: (index as usize >= 30 - failed).then(|| Failure { why, words: "refused".to_owned() }),
        })
        .collect()
}

fn made(attempts: Vec<Attempt>) -> Result<Outcomes, String> {
    Ok(Outcomes { from: Origin::Agent, attempts: BTreeMap::from([("billing".to_owned(), attempts)]) })
}

fn around(us: u64) -> Result<Outcomes, String> {
    made(attempts(us, 0, Why::Connect))
}

fn calls() -> Calls {
    let url = "https://billing.example/health?key=hunter2".to_owned();
    let to = Target::Http { method: crate::Method::Get, url, status: 200, headers: Vec::new() };
    Calls::new(vec![Call { name: "billing".to_owned(), to, repetitions: 30, timeout_ms: 1_000 }]).unwrap()
}

fn ask(blue: &Result<Outcomes, String>, green: &Result<Outcomes, String>, controller_is_meant: bool) -> Assessment {
    let slower = Slower { by_percent: 50, by_us: 2_000 };
    let calls = calls();
    compare(&Question { calls: &calls, outcomes: PerEnvironment { blue, green }, slower, controller_is_meant })
}

/// `expect` is the verdict and the beginning of the first reason.
fn check(blue: &Result<Outcomes, String>, green: &Result<Outcomes, String>, expect: (GateVerdict, &str)) {
    let Assessment { verdict, reasons, evidence } = ask(blue, green, false);
    assert_eq!(verdict, expect.0, "{reasons:?}");
    assert!(reasons[0].starts_with(expect.1), "{reasons:?}");
    assert!(!evidence.to_string().contains("hunter2"), "what follows a question mark may be a key: {evidence}");
}

#[test]
fn alike_is_a_pass() {
    check(&around(10_000), &around(10_000), (Pass, "green can make all 1 calls"));
    check(&around(10_000), &around(5_000), (Pass, "green can make all 1 calls"));
    // A tenth of a millisecond more is nothing.
    check(&around(100), &around(300), (Pass, "green can make all 1 calls"));
}

#[test]
fn slow_from_green_alone() {
    let first = "the call billing is slow from green alone: its median is 318ms to 369ms, from blue 10.6ms to 12.3ms";
    check(&around(10_000), &around(300_000), (Fail, first));
    // Slow from both is not green's fault.
    check(&around(300_000), &around(300_000), (Pass, "green can make all 1 calls"));
    check(&around(10_000), &around(15_000), (Inconclusive, "the call billing has a median of"));
}

#[test]
fn green_cannot_and_blue_can() {
    let dead = made(attempts(10, 30, Why::Connect));
    check(&around(10_000), &dead, (Fail, "green cannot make the call billing, which blue can: refused"));
    check(&dead, &around(10_000), (Error, "blue cannot make the call billing, which green can: refused"));
    check(&dead, &dead, (Inconclusive, "neither environment can make the call billing: refused"));
}

#[test]
fn failures_count_if_they_are_no_chance() {
    let failing = |times| made(attempts(10_000, times, Why::Timeout));
    check(
        &around(10_000),
        &failing(12),
        (Fail, "the call billing failed 12 times of 30 from green, 0 of 30 from blue"),
    );
    check(&around(10_000), &failing(1), (Inconclusive, "the call billing failed 1 times of 30 from green"));
    check(&failing(2), &failing(2), (Pass, "green can make all 1 calls"));
}

#[test]
fn too_few_say_nothing_of_time() {
    let few = made(attempts(10_000, 0, Why::Connect)[..5].to_vec());
    let first = "the call billing was made 5 times, too few to compare how long it takes; expected 9 at least";
    check(&few, &around(10_000), (Inconclusive, first));
    check(&made(Vec::new()), &around(10_000), (Inconclusive, "the call billing was not made from blue"));
    let other = Ok(Outcomes { from: Origin::Agent, attempts: BTreeMap::new() });
    check(&around(10_000), &other, (Inconclusive, "the call billing was not made from green"));
}

/// Invariant 4.
#[test]
fn what_cannot_be_asked_is_an_error() {
    let gone = Err("http://agent:7070 does not accept connections".to_owned());
    check(&around(10_000), &gone, (Error, "no calls could be made from green: http://agent:7070"));
    let refused = made(attempts(1, 30, Why::NotMade));
    check(&around(10_000), &refused, (Error, "the call billing could not be tried from green: refused"));
}

#[test]
fn the_controllers_calls_are_not_the_environments() {
    let from_here = |us| around(us).map(|outcomes| Outcomes { from: Origin::Controller, ..outcomes });
    let first = "the calls were made from the controller, not from the environment";
    check(&from_here(10_000), &from_here(300_000), (Inconclusive, first));
    check(&around(10_000), &from_here(10_000), (Inconclusive, "blue's calls were made from an agent"));
    let meant = ask(&from_here(10_000), &from_here(10_000), true);
    assert_eq!(meant.verdict, Pass);
    assert_eq!(meant.reasons[1], format!("{first}, as the plan has it"));
    assert_eq!(ask(&from_here(10_000), &from_here(300_000), true).verdict, Fail);
}
