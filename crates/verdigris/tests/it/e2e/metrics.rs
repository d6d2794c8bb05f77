//! Rollouts that a real Prometheus has a say in: a green whose errors rise where only Prometheus sees it, a Prometheus that
//! is gone and comes back, and queries that it refuses.

use super::prometheus::{Exporter, Prometheus};
use crate::load::Load;
use crate::plan::Plan;
use crate::process::Process;
use crate::stage::Stage;
use crate::wait::seconds;
use serde_json::Value;
use std::time::Duration;

const LIMIT: Duration = seconds(120);
/// Green gets copies, then half of the traffic, and waits for a person.
const STEPS: &[&str] = &["mirror: { for: 1s }", "setWeight: 50%", "pause: {}", "setWeight: 100%", "bake: { for: 1s }"];
const EVENTS: &str = "sum(http_requests_total{env=\"{{environment}}\",code=~\"5..\"})";
const TOTAL: &str = "sum(http_requests_total{env=\"{{environment}}\"})";

struct Scene {
    stage: Stage,
    exporter: Exporter,
    prometheus: Prometheus,
}

impl Scene {
    fn set() -> Scene {
        let exporter = Exporter::start();
        let prometheus = Prometheus::start(&exporter);
        Scene { stage: Stage::set(), exporter, prometheus }
    }

    fn plan(&self, events: &str) -> Plan {
        let guards = format!(
            "{{ metrics: [{{ name: checkout-errors, prometheus: {{ url: \"{}\" }}, events: '{events}', total: '{TOTAL}', \
             every: 1s, worseThanActiveBy: 2% }}] }}",
            self.prometheus.url()
        );
        Plan { guards: guards.leak(), ..self.stage.plan(STEPS) }
    }

    /// Starts the rollout, and lets some traces pass: from the first on, verification is not silent.
    fn start(&self, plan: &Plan) -> Process {
        let watching = self.stage.server.start_and_watch(&plan.write(self.stage.folder.path()));
        self.eventually("the rollout to be there", |report| report["rollout"].is_string());
        let addresses = self.stage.server.addresses;
        let load = Load::start(&self.stage, [addresses.grpc, addresses.http]);
        load.flows(20);
        load.stop(&self.stage);
        watching
    }

    fn eventually(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        self.stage.server.eventually_reports(what, LIMIT, wanted)
    }

    /// Waits until more units of green were counted than these; how many there are.
    fn counts_beyond(&self, units: u64) -> u64 {
        let what = format!("more than {units} units of green");
        of_green(&self.eventually(&what, |report| of_green(report) > units))
    }

    fn ledger_holds(&self) {
        let verified = self.stage.server.ledger_command(&["verify"]).expect(0).json();
        assert_eq!(verified["verified"], true, "{verified}");
    }
}

/// The units of green that the metric counted.
fn of_green(report: &Value) -> u64 {
    report.pointer("/assessment/guards/0/candidate/traces").and_then(Value::as_u64).unwrap_or(0)
}

fn text<'v>(report: &'v Value, pointer: &str) -> &'v str {
    report.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("no text at {pointer} in {report}"))
}

#[test]
fn a_green_whose_errors_rise_outside_is_rolled_back_and_the_metric_is_named() {
    let scene = Scene::set();
    let watching = scene.start(&scene.plan(EVENTS));
    scene.eventually("half of the traffic", |report| report["weightObserved"] == 5_000);
    let units = scene.counts_beyond(0);
    scene.counts_beyond(units);
    scene.exporter.green_gets_worse();
    let report = watching.wait(LIMIT).expect(3).json();
    assert_eq!(text(&report, "/progress"), "rolledBack", "{report}");
    assert_eq!(text(&report, "/cause/guard"), "metrics.checkout-errors", "{report}");
    let finding = text(&report, "/cause/finding");
    assert!(finding.starts_with("candidate ") && finding.contains(" units, active 1 % of "), "{report}");
    let failed = &report["assessment"]["verdict"]["fail"];
    assert_eq!((&failed["metric"], &failed["check"]), (&"checkout-errors".into(), &"external".into()), "{report}");
    assert!(failed["estimate"]["candidate"].as_f64() > failed["estimate"]["active"].as_f64(), "{report}");
    scene.ledger_holds();
}

#[test]
fn a_prometheus_that_is_killed_holds_the_rollout_until_it_is_back() {
    let mut scene = Scene::set();
    let _watching = scene.start(&scene.plan(EVENTS));
    scene.eventually("the pause", |report| report["progress"] == "paused");
    scene.counts_beyond(0);
    scene.prometheus.kill();
    let held = scene.eventually("the hold", |report| report["progress"] == "held");
    let headline = "held at step 3: the source of metric checkout-errors fails";
    assert_eq!((text(&held, "/headline"), &held["needsPerson"]), (headline, &false.into()), "{held}");
    assert!(text(&held, "/waitsFor/0").contains("does not accept connections"), "{held}");
    let error = text(&held, "/assessment/verdict/error/reason");
    assert!(error.starts_with("metric checkout-errors: http://127.0.0.1:"), "Error, never Fail: {held}");
    scene.stage.server.rollout(&["promote"]).expect(1).says(&["the source of metric checkout-errors fails: mend it"]);
    let units = of_green(&held);
    assert!(units > 0, "the evidence is kept: {held}");
    scene.prometheus.start_again();
    scene.eventually("the pause again", |report| report["progress"] == "paused");
    scene.counts_beyond(units);
    scene.ledger_holds();
}

#[test]
fn what_a_real_prometheus_refuses_is_said_with_the_query_that_is_meant() {
    let scene = Scene::set();
    for (events, expected) in [
        ("sum(http_requests_total{env=\"{{environment}}\"", "refused the query for the `events` of blue"),
        ("sum(nothing_total{env=\"{{environment}}\"})", "no series for the `events` of blue; expected one"),
        ("http_requests_total{env=\"{{environment}}\"}", "several series for the `events` of blue"),
        ("scalar(sum(http_requests_total{env=\"{{environment}}\"}))", "refused the query for the `events` of blue"),
        ("sum(nothing_total{env=\"{{environment}}\"}) / 0 or vector(0) / 0", "answered NaN for the `events` of blue"),
    ] {
        let watching = scene.start(&scene.plan(events));
        let held = scene.eventually("the hold", |report| report["progress"] == "held");
        assert!(text(&held, "/waitsFor/0").contains(expected), "{events}: {held}");
        scene.stage.server.rollout(&["rollback"]).expect(0);
        watching.wait(LIMIT);
    }
}
