//! What verdicts are made from, and what other thresholds would have said.

use super::script::{PLAN, Run};
use crate::rejudge::{Judgement, Rejudge};
use crate::{Body, Decision, JudgeEvidence, JudgeEvidenceError, Start, judge_config, replay};
use judge::{Config, Verdict};

fn run(lines: &[&str]) -> Run {
    let mut run = Run::start(PLAN);
    lines.iter().for_each(|line| run.take(line));
    run
}

const ROLLED_BACK: [&str; 7] = ["apply", "gate pass", "approve bob", "apply", "good 6", "lossy 6", "apply"];

fn judgements(run: &Run, thresholds: Option<&dyn Fn(&Start) -> Config>) -> Vec<Judgement> {
    let mut rejudge = Rejudge::new(run.state.rollout.clone(), thresholds);
    run.records.iter().filter_map(|record| rejudge.take(record).expect("the records hold")).collect()
}

/// Every Pass and every Fail names a blob from which the same assessment comes again, byte for byte.
#[test]
fn a_verdict_is_computed_again_from_its_evidence() {
    for lines in [&ROLLED_BACK[..], &["apply", "gate pass", "approve bob", "apply", "good 40"]] {
        let run = run(lines);
        let mut verdicts = 0;
        for (index, record) in run.records.iter().enumerate() {
            let Body::Decided(decision) = &record.body else { continue };
            let Decision::Judged { assessment, evidence } = &**decision else { continue };
            let Some(digest) = evidence else {
                assert!(!matches!(assessment.verdict, Verdict::Pass | Verdict::Fail(_)), "{assessment:?}");
                continue;
            };
            // The state after the observation of this very decision: the decisions of one batch belong together.
            let end = run.records[index..].iter().position(|it| !matches!(it.body, Body::Decided(_)));
            let until = end.map_or(run.records.len(), |more| index + more);
            let state = replay(&run.records[..until]).unwrap().rollouts.pop().unwrap();
            let blob = JudgeEvidence::of(&state, assessment).to_bytes();
            let read = JudgeEvidence::from_bytes(&blob).unwrap();
            assert_eq!(read.digest(), *digest);
            let bytes = |it: &judge::Assessment| serde_json_canonicalizer::to_vec(it).unwrap();
            assert_eq!(bytes(&read.judge.assess()), bytes(assessment));
            assert_eq!(read.to_bytes(), blob);
            verdicts += 1;
        }
        assert!(verdicts > 0, "{lines:?} has no verdict");
    }
}

#[test]
fn what_is_no_evidence_of_this_version_is_refused() {
    let state = run(&ROLLED_BACK).state;
    let mut evidence = JudgeEvidence::of(&state, &state.judge.assess());
    evidence.version = 2;
    assert!(matches!(JudgeEvidence::from_bytes(&evidence.to_bytes()), Err(JudgeEvidenceError::Version { found: 2 })));
    assert!(matches!(JudgeEvidence::from_bytes(b"{}"), Err(JudgeEvidenceError::Shape(_))));
}

#[test]
fn records_are_judged_again_and_by_other_thresholds_beside() {
    let run = run(&ROLLED_BACK);
    let own = judgements(&run, None);
    assert!(own.len() >= 6 && own.iter().all(|it| it.other.is_none()));
    assert_eq!(own.last().map(|it| &it.own), run.state.assessment.as_ref());
    let failed = |judgements: &[Judgement], other: bool| {
        judgements.iter().position(|it| {
            let assessment = if other { it.other.as_ref().unwrap() } else { &it.own };
            matches!(assessment.verdict, Verdict::Fail(_))
        })
    };
    let same = judgements(&run, Some(&|start| judge_config(&start.plan)));
    assert!(same.iter().all(|it| it.other.as_ref() == Some(&it.own)));
    let stricter = judgements(&run, Some(&|start| Config { false_alarm: 1e-30, ..judge_config(&start.plan) }));
    assert!(failed(&stricter, false).is_some());
    assert!(failed(&stricter, true).is_none_or(|other| other > failed(&stricter, false).unwrap()));
}

/// By the same thresholds the same is said of whatever a judge is told, and forgets: metrics from outside, a source that fails,
/// and a measurement that is broken.
#[test]
fn the_other_judge_is_told_and_forgets_what_the_own_one_does() {
    for script in [
        "apply; gate pass; approve bob; apply; measured 12; apply; down; good 2; measured 9; worse 9; apply",
        "apply; gate pass; approve bob; apply; measured 3; uneven 3; lossy 4; down; resume alice; measured 9; good 3",
    ] {
        let mut run = Run::start(&super::metrics::plan("ignore"));
        script.split("; ").for_each(|line| run.take(line));
        let same = judgements(&run, Some(&|start| judge_config(&start.plan)));
        assert!(same.len() > 9, "{script}");
        same.iter().for_each(|it| assert_eq!(it.other.as_ref(), Some(&it.own), "{script}: batch {}", it.batch));
    }
}

#[test]
fn a_changed_record_is_found() {
    let mut records = run(&ROLLED_BACK).records;
    let changed = records.iter_mut().find_map(|record| match &mut record.body {
        Body::Decided(decision) => match &mut **decision {
            Decision::Judged { assessment, .. } => Some(assessment),
            _ => None,
        },
        _ => None,
    });
    changed.unwrap().log_evidence += 1e-12;
    let rollout = records[0].rollout.clone().unwrap();
    let mut rejudge = Rejudge::new(rollout, None);
    assert!(records.iter().any(|record| rejudge.take(record).is_err()));
}
