//! Blue against blue: what becomes of a rollout whose measurement is broken.

use super::script::{PLAN, Run, check, transcript};
use crate::{Report, report};

/// Green has copies, and blue was compared with itself for a while.
const MIRRORING: &str = "apply; gate pass; approve bob; apply; good 3; ";

fn reported(script: &str) -> Report {
    let mut run = Run::start(PLAN);
    script.split("; ").filter(|line| !line.is_empty()).for_each(|line| run.take(line));
    report(&run.state, run.now)
}

#[test]
fn a_broken_measurement_is_held_whatever_it_says_of_green_and_is_compared_anew() {
    insta::assert_snapshot!(transcript(
        PLAN,
        "
        apply
        gate pass
        approve bob
        apply
        good 3
        uneven 3
        lossy 9
        promote alice
        resume alice
        uneven 1
        resume alice
        good 12
        apply
        good 30
    "
    ));
}

#[test]
fn nothing_is_concluded_from_it_until_a_person_resumes() {
    let held = "held at step 3: the measurement is broken: blue differs from blue";
    check(PLAN, &format!("{MIRRORING}uneven 3"), held);
    check(PLAN, &format!("{MIRRORING}uneven 3; lossy 9; good 60"), held);
    check(PLAN, &format!("{MIRRORING}uneven 3; wait 100; good 60"), held);
    check(PLAN, &format!("{MIRRORING}uneven 3; restart; apply; good 60"), held);
    check(PLAN, &format!("{MIRRORING}pause alice; uneven 3"), held);
    check(PLAN, &format!("{MIRRORING}uneven 3; promote alice"), "refused promote: the measurement is broken");
    check(PLAN, &format!("{MIRRORING}uneven 3; rollback alice; apply"), "rolled back: operator");
    // The mirror begins again, and what was seen of green before counts for nothing.
    check(PLAN, &format!("{MIRRORING}uneven 3; lossy 9; resume alice; good 9"), "step 3 of 9: mirror for 10s");
    check(PLAN, &format!("{MIRRORING}uneven 3; lossy 9; resume alice; good 12"), "step 4 of 9: setWeight 10%");
    check(PLAN, &format!("{MIRRORING}uneven 3; resume alice; lossy 9; apply"), "rolled back: spanLoss");
}

/// What is forgotten is what was measured, not that a source cannot be relied on.
#[test]
fn a_source_that_fails_is_known_when_the_measurement_is_mended() {
    let plan = super::metrics::plan("ignore");
    for script in
        ["measured 3; down; uneven 3; resume alice; good 1", "measured 3; uneven 3; down; resume alice; good 1"]
    {
        let mut run = Run::start(&plan);
        format!("apply; gate pass; approve bob; apply; {script}").split("; ").for_each(|line| run.take(line));
        let assessment = run.state.assessment.expect("it is judged again");
        let metric = assessment.guards.last().unwrap();
        assert!(metric.words.starts_with("left out, for its source fails"), "{script}: {}", metric.words);
        assert_eq!(metric.candidate.traces + metric.active.traces, 0, "{script}: forgotten");
    }
}

#[test]
fn blue_is_compared_with_itself_only_while_green_has_copies() {
    check(PLAN, "apply; gate pass; uneven 9; approve bob; apply", "step 3 of 9: mirror for 10s");
    check(PLAN, &format!("{MIRRORING}good 9; apply; uneven 20"), "step 6 of 9: setWeight 50%");
}

#[test]
fn the_report_tells_what_was_compared() {
    assert_eq!(reported("apply; gate pass").noise, None);
    let words = |script: &str| reported(script).noise.unwrap().words;
    assert_eq!(words("apply; gate pass; approve bob; apply"), "blue against blue: no traces yet");
    let sound = "blue against blue: 300 and 300 traces, no difference beyond chance";
    assert_eq!(words(MIRRORING), sound);
    assert_eq!(words(&format!("{MIRRORING}good 9; apply; good 9")).replace("900", "300"), sound, "told to the end");
    let broken = reported(&format!("{MIRRORING}uneven 3"));
    let noise = broken.noise.unwrap();
    assert!(noise.alarmed && broken.needs_person && broken.assessment.is_none());
    let first = |lines: &[String]| lines[0].split(';').next().unwrap().to_owned();
    // The hold tells what made it; the comparison goes on meanwhile.
    assert_eq!(first(&broken.waits_for), "lost spans: 10 % of 400 traces in one half, 0 % of 400 traces in the other");
    assert_eq!(first(&noise.differences), "lost spans: 20 % of 600 traces in one half, 0 % of 600 traces in the other");
}
