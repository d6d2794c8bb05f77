//! `verdigris load`: synthetic traces towards back ends that keep count, and nowhere else.

use crate::plan::Environment;
use crate::process::{Process, Ran, run_within, verdigris};
use crate::stage::Stage;
use crate::wait::{eventually, seconds};
use serde_json::Value;
use std::path::Path;

const STEPS: &[&str] = &["mirror: { for: 10m }", "setWeight: 100%", "bake: { for: 1s }"];

fn plan(stage: &Stage) -> String {
    stage.plan(STEPS).write(stage.folder.path()).display().to_string()
}

fn load(plan: &str, more: &[&str]) -> Ran {
    run_within(&[&["load", plan, "--format", "json"], more].concat(), seconds(120))
}

fn items(report: &Value, environment: &str, what: &str) -> u64 {
    let found = report["targets"][environment]["all"][what]["items"].as_u64();
    found.unwrap_or_else(|| panic!("{environment} {what}: {report}"))
}

#[test]
fn synthetic_load_reaches_green_alone_and_what_is_counted_here_and_there_agrees() {
    let stage = Stage::set();
    let page = stage.folder.path().join("load.html");
    let more = ["--rate", "300/s", "--for", "2s", "--topology", "chain:3", "--report", &page.display().to_string()];
    let report = load(&plan(&stage), &more).expect(0).json();
    assert_eq!((&report["openLoop"], &report["targets"]["blue"]), (&true.into(), &Value::Null), "{report}");
    assert!(report["name"].as_str().is_some_and(|name| name.contains("chain:3, 300 spans/s for 2s")), "{report}");
    let due = items(&report, "green", "due");
    assert!(due > 0 && items(&report, "green", "acknowledged") == due, "{report}");
    assert_eq!((stage.green.stats().spans, stage.green.stats().distinct), (due, due));
    assert_eq!(stage.blue.stats().spans, 0);
    let green = &report["targets"]["green"];
    for field in ["latency", "service", "lateness"] {
        assert!(green[field]["count"].as_u64().is_some_and(|count| count > 0), "{field}: {report}");
    }
    for field in ["endpoint", "protocol", "measured", "seconds", "codes", "backlogMost"] {
        assert!(!green[field].is_null(), "{field}: {report}");
    }
    is_self_contained(&page);

    // The same bytes at the same times, by the seed.
    let both = load(&plan(&stage), &[&more[..6], &["--to", "both"]].concat()).expect(0).json();
    assert_eq!((items(&both, "blue", "due"), items(&both, "green", "due")), (due, due));
    assert_eq!((stage.blue.stats().distinct, stage.green.stats().distinct), (due, 2 * due), "trace ids are always new");
}

fn is_self_contained(page: &Path) {
    let page = std::fs::read_to_string(page).expect("it was written");
    assert!(page.contains("<html") && page.contains("<svg") && page.trim_end().ends_with("</html>"), "{page}");
    for foreign in ["<script", "<link", "src=", "@import", "url("] {
        assert!(!page.contains(foreign), "{foreign}");
    }
}

#[test]
fn interrupted_it_tells_what_was() {
    let stage = Stage::set();
    let mut command = verdigris();
    command.args(["load", &plan(&stage), "--rate", "200/s", "--for", "1h", "--format", "json"]);
    let loading = Process::start("verdigris load", &mut command);
    eventually("load to arrive", seconds(60), || (stage.green.stats().spans > 100).then_some(()));
    loading.signal("INT");
    let report = loading.wait(seconds(60)).expect(130).json();
    assert!(report["trouble"].as_str().is_some_and(|why| why.contains("stopped before its end")), "{report}");
    assert_eq!(items(&report, "green", "acknowledged"), stage.green.stats().spans);
}

#[test]
fn ramps_steps_and_a_summary_in_words() {
    let stage = Stage::set();
    let check = |options: &[&str], words: &[&str]| {
        let ran = run_within(&[&["load", &plan(&stage), "--topology", "fanout:4"], options].concat(), seconds(120));
        let ran = ran.expect(0);
        for word in words {
            assert!(ran.stdout.contains(word), "{word}: {}", ran.stdout);
        }
    };
    check(
        &["--ramp", "100/s..400/s over 2s"],
        &["fanout:4, 100/s..400/s over 2s, seed 1: open loop", "latency p99", "green"],
    );
    check(&["--step", "100/s..200/s by 100/s each 1s", "--warm-up", "1s"], &["open loop, 1 s of warm-up left out"]);
    check(&["--rate", "max", "--for", "1s"], &["closed loop, as fast as is taken"]);
}

#[test]
fn what_clashes_or_is_not_in_the_plan_is_refused_before_anything_is_sent() {
    let stage = Stage::set();
    let path = plan(&stage);
    let check = |options: &[&str], words: &[&str]| {
        load(&path, options).expect(2).says(words);
    };
    for clash in [
        &["--rate", "1/s", "--ramp", "1/s..2/s over 1m"][..],
        &["--ramp", "1/s..2/s over 1m", "--step", "1/s..2/s by 1/s each 1s"],
        &["--ramp", "1/s..2/s over 1m", "--for", "1m"],
        &["--recording", "x", "--identity", "y", "--rate", "1/s"],
        &["--recording", "x", "--identity", "y", "--topology", "shop"],
        &["--recording", "x", "--identity", "y", "--for", "1m"],
        &["--recording", "x", "--identity", "y", "--seed", "2"],
    ] {
        check(clash, &["cannot be used with"]);
    }
    for needs in [&["--recording", "x"][..], &["--copies", "2"], &["--speed", "2"], &["--identity", "y"]] {
        check(needs, &["required"]);
    }
    check(&["--rate", "fast"], &["such as 500/s"]);
    check(&["--topology", "mesh"], &["expected shop, chain or fanout"]);
    check(&["--connections", "0"], &["1..=256"]);
    check(&["--for", "2s", "--warm-up", "2s"], &["nothing would be measured"]);
    check(&["--report", "/nowhere/at/all.html"], &["/nowhere/at/all.html"]);
    // There is no way to name an address.
    check(&["--to", "http://127.0.0.1:1"], &["blue, green, both"]);
    check(&["--endpoint", "http://127.0.0.1:1"], &["unexpected argument"]);
    assert_eq!((stage.blue.stats().requests, stage.green.stats().requests), (0, 0));

    // One endpoint under both names cannot be compared with itself.
    let same = crate::plan::Plan { green: Environment::at(&stage.blue.endpoint()), ..stage.plan(STEPS) };
    let same = same.write(stage.folder.path()).display().to_string();
    load(&same, &["--to", "both", "--for", "1s"]).expect(2);
}

#[test]
fn a_target_that_says_nothing_is_an_error_beside_the_report() {
    let stage = Stage::set();
    stage.runtime.block_on(stage.green.stop());
    let ran = load(&plan(&stage), &["--for", "1s", "--rate", "50/s"]).expect(1).says(&["green answered none of"]);
    let report = ran.json();
    assert_eq!(items(&report, "green", "acknowledged"), 0);
}
