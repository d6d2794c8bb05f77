use super::*;
use crate::demand::Exception;
use crate::suite::Case;

const NOW: UnixMillis = UnixMillis(1_790_000_000_000);
const HOUR_MS: u64 = 3_600_000;

fn digest(letter: char) -> crate::ArtifactDigest {
    format!("sha256:{}", letter.to_string().repeat(64)).parse().unwrap()
}

fn demand() -> Demand {
    Demand {
        artifact: digest('a'),
        built: None,
        at_least: 2,
        max_age_ms: Some(24 * HOUR_MS),
        max_skipped: None,
        exceptions: Vec::new(),
    }
}

/// A report of green's artifact from an hour ago. `p:name` passed, `f:name` failed, `s:name` was skipped, `~:name` is flaky.
fn suite(tests: &[&str]) -> Suite {
    let case = |text: &&str| {
        let (how, name) = text.split_once(':').unwrap();
        let outcome = match how {
            "f" => Outcome::Failed,
            "s" => Outcome::Skipped,
            _ => Outcome::Passed,
        };
        Case { name: name.to_owned(), outcome, flaky: how == "~" }
    };
    let ran = UnixMillis(NOW.0 - HOUR_MS);
    Suite {
        source: "green.xml".to_owned(),
        format: Format::JUnit,
        digest: "sha256:0".to_owned(),
        artifacts: [digest('a')].into(),
        artifact_is_unreadable: false,
        ran: Some(Span { earliest: ran, latest: ran, zone_is_assumed: false }),
        cases: tests.iter().map(case).collect(),
        unlisted_failures: 0,
        signature: Signature::NotAsked,
    }
}

/// `expect` is the verdict and the beginning of the first reason.
fn check(demand: &Demand, green: &[Suite], blue: Option<&[Suite]>, expect: (GateVerdict, &str)) -> Vec<String> {
    let assessment = decide(demand, green, blue, NOW);
    let reasons = assessment.reasons;
    assert_eq!(assessment.verdict, expect.0, "{reasons:?}");
    assert!(reasons[0].starts_with(expect.1), "{reasons:?}");
    assert_eq!(decide(demand, green, blue, NOW).evidence, assessment.evidence, "the same again");
    reasons
}

use GateVerdict::{Fail, Inconclusive, Pass};

#[test]
fn tests_that_passed_for_this_artifact_pass() {
    check(&demand(), &[suite(&["p:a", "p:b"])], None, (Pass, "2 tests passed for sha256:aaaa"));
    check(&demand(), &[suite(&["p:a"]), suite(&["p:b"])], Some(&[suite(&["p:a"])]), (Pass, "2 tests passed"));
}

#[test]
fn a_change_without_tests() {
    check(&demand(), &[], None, (Inconclusive, "there is no report of green's tests"));
    check(&demand(), &[suite(&[])], None, (Fail, "0 tests passed, 2 are demanded at least"));
    check(&demand(), &[suite(&["p:a", "p:a"])], None, (Fail, "1 tests passed, 2 are demanded"));
    check(&demand(), &[suite(&["p:a", "s:b"])], None, (Fail, "1 tests passed, 2 are demanded"));
}

#[test]
fn stale_tests() {
    let mut old = suite(&["p:a", "p:b"]);
    let ran = UnixMillis(NOW.0 - 72 * HOUR_MS);
    old.ran = Some(Span { earliest: ran, latest: NOW, zone_is_assumed: false });
    let first = "green.xml is stale: its tests ran 3d ago, 1d are allowed";
    check(&demand(), std::slice::from_ref(&old), None, (Fail, first));
    let built = UnixMillis(ran.0 + 2 * HOUR_MS);
    let demanded = Demand { built: Some(built), max_age_ms: None, ..demand() };
    check(
        &demanded,
        std::slice::from_ref(&old),
        None,
        (Fail, "green.xml is of tests that ran 2h before green was built"),
    );
    let any = Demand { max_age_ms: None, ..demand() };
    check(&any, &[old], None, (Pass, "2 tests passed"));
    let mut timeless = suite(&["p:a", "p:b"]);
    timeless.ran = None;
    check(
        &demand(),
        std::slice::from_ref(&timeless),
        None,
        (Inconclusive, "green.xml does not say when the tests ran"),
    );
    check(&any, &[timeless], None, (Pass, "2 tests passed"));
}

#[test]
fn moments_in_the_future_are_no_evidence() {
    let mut early = suite(&["p:a", "p:b"]);
    let ran = UnixMillis(NOW.0 + 2 * HOUR_MS);
    early.ran = Some(Span { earliest: ran, latest: ran, zone_is_assumed: true });
    let first = "green.xml says that tests ran 2h from now: one of the clocks is wrong; the report writes no time zone";
    check(&demand(), &[early], None, (Inconclusive, first));
}

#[test]
fn another_artifacts_tests() {
    let mut other = suite(&["p:a", "p:b"]);
    other.artifacts = [digest('b')].into();
    check(&demand(), std::slice::from_ref(&other), None, (Fail, "green.xml is of another artifact, sha256:bbbb"));
    // One more report of green's does not make it green's.
    check(&demand(), &[suite(&["p:a", "p:b"]), other], None, (Fail, "green.xml is of another artifact"));
    // A statement may be about several artifacts, of which green's is one; a report of tests is about one.
    let mut several = suite(&["p:a", "p:b"]);
    several.artifacts = [digest('a'), digest('b')].into();
    check(&demand(), std::slice::from_ref(&several), None, (Fail, "green.xml is of another artifact, sha256:bbbb"));
    several.format = Format::Attestation;
    check(&demand(), &[several], None, (Pass, "2 tests passed"));
    let mut unknown = suite(&["p:a", "p:b"]);
    unknown.artifacts.clear();
    check(&demand(), std::slice::from_ref(&unknown), None, (Inconclusive, "green.xml does not say which artifact"));
    unknown.artifact_is_unreadable = true;
    check(&demand(), &[unknown], None, (Inconclusive, "green.xml names an artifact by something that is no digest"));
}

#[test]
fn failures_are_named() {
    let reasons = check(&demand(), &[suite(&["p:a", "p:b", "f:c"])], None, (Fail, "the test c failed (green.xml)"));
    assert_eq!(reasons.len(), 1);
    let twice = [suite(&["p:a", "p:b", "f:c"]), suite(&["p:c"])];
    check(&demand(), &twice, None, (Fail, "the test c failed, and passed in another run of it (green.xml)"));
    let mut unlisted = suite(&["p:a", "p:b"]);
    unlisted.unlisted_failures = 1;
    check(&demand(), &[unlisted], None, (Fail, "green.xml counts 1 failures that it does not list"));
    let many: Vec<String> = (0..100).map(|index| format!("f:t{index}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let reasons = check(&demand(), &[suite(&many)], None, (Fail, "the test t0 failed"));
    assert_eq!(reasons.last().unwrap(), "and 81 more: see the evidence");
}

#[test]
fn what_passed_for_blue_must_not_be_skipped_or_gone() {
    let blue = [suite(&["p:a", "p:b", "p:c", "s:d", "f:e"])];
    let green = [suite(&["p:a", "p:b", "s:c"])];
    check(&demand(), &green, Some(&blue), (Fail, "the test c was skipped for green and passed for blue"));
    let green = [suite(&["p:a", "p:b"])];
    check(&demand(), &green, Some(&blue), (Fail, "the test c is gone from green's reports and passed for blue"));
    check(&demand(), &green, Some(&[]), (Inconclusive, "there is no report of blue's tests"));
    check(&demand(), &green, None, (Pass, "2 tests passed"));
    // A report that does not count has one cause, and not as many as tests.
    let mut other = suite(&["p:c"]);
    other.artifacts = [digest('b')].into();
    let reasons = check(&demand(), &[suite(&["p:a", "p:b"]), other], Some(&blue), (Fail, "green.xml is of another"));
    assert_eq!(reasons.len(), 1, "{reasons:?}");
}

#[test]
fn exceptions_hold_until_they_expire() {
    let exception = |expires| Exception { test: "c".to_owned(), reason: "CHG-1".to_owned(), expires };
    let green = [suite(&["p:a", "p:b", "f:c"])];
    let mut demanded = Demand { exceptions: vec![exception(UnixMillis(NOW.0 + 1))], ..demand() };
    let reasons = check(&demanded, &green, None, (Pass, "2 tests passed"));
    assert_eq!(reasons[1], "the test c failed (green.xml); tolerated: CHG-1");
    demanded.exceptions = vec![exception(NOW)];
    let first = "the test c failed (green.xml); the exception for it has expired (CHG-1)";
    check(&demanded, &green, None, (Fail, first));
}

#[test]
fn skipped_are_bounded_and_flaky_are_named() {
    let green = [suite(&["p:a", "~:b", "s:c"])];
    let reasons = check(&demand(), &green, None, (Pass, "2 tests passed"));
    assert!(reasons[1].starts_with("the test b passed only after it had failed"), "{reasons:?}");
    let none = Demand { max_skipped: Some(0), ..demand() };
    check(&none, &green, None, (Fail, "1 tests were skipped, 0 are allowed"));
}
