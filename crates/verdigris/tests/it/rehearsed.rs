//! `verdigris judge simulate`, as a process: what it prints, what it draws, and that a seed says all.

use crate::process::{root, run, run_within};
use crate::wait::seconds;

/// A few runs of a short stretch: seconds, also where the machine is busy.
fn arguments<'a>(plan: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let short = ["--traffic", "200/s", "--weight", "50%", "--for", "4m", "--runs", "6", "--effect", "loss:5%"];
    [&["judge", "simulate", plan][..], &short, more].concat()
}

#[test]
fn a_plan_is_rehearsed_and_drawn_and_a_seed_says_all() {
    let plan = root().join("examples/plan.yaml").display().to_string();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let svg = folder.path().join("plot.svg").display().to_string();
    let once = |more: &[&str]| run_within(&arguments(&plan, more), seconds(120)).expect(0);
    let text = once(&["--svg", &svg]);
    assert!(text.stdout.contains("false alarms: 0 of 6 runs"), "{}", text.stdout);
    assert!(text.stdout.contains("loss:5%: rolled back by spanLoss 6"), "{}", text.stdout);
    assert_eq!(text.stderr, "", "progress is for terminals");
    let drawn = std::fs::read_to_string(&svg).expect("it was drawn");
    assert!(drawn.starts_with("<svg") && drawn.contains("loss:5%"));
    let json = once(&["--format", "json"]).json();
    let alarms = json["effects"][1]["alarmed"]["atMs"].as_array().map(Vec::len);
    assert_eq!((json["effects"][0]["effect"].as_str(), alarms), (Some("none"), Some(6)), "{json}");
    assert_eq!(once(&["--format", "json"]).json(), json);
    assert_ne!(once(&["--format", "json", "--seed", "2"]).json(), json);
}

#[test]
fn what_cannot_be_simulated_is_refused() {
    let plan = root().join("examples/plan.yaml").display().to_string();
    for (more, expect) in [
        (&["--effect", "errors:10"][..], "errors:x10"),
        (&["--traffic", "200"], "such as 500/s"),
        (&["--weight", "10%", "--runs", "100000", "--for", "7d"], "fewer --runs"),
        (&["--for", "1h"], "--weight"),
    ] {
        let ran = run(&[&["judge", "simulate", &plan][..], more].concat());
        assert_eq!(ran.code, 2, "{more:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(expect), "{more:?}: {}", ran.stderr);
    }
}
