//! Metrics from outside: what is accepted and what it means, and what is refused.

use super::refused::check;
use super::{accepted, previewed};
use crate::plan::{MetricFrom, MetricSource, OnError, PlanError, PrometheusServer, parse};
use judge::MetricGuard;
use model::{ClientTls, PerEnvironment};

/// A metric's YAML, to be put after the guard of blind spots; its `metrics` are on line 40.
const METRIC: &str = r#"    blindSpots:  { atMost: 0 }
    metrics:
      - name: checkout-errors
        prometheus: { url: "http://127.0.0.1:9090" }
        events: 'sum(http_requests_total{env="{{environment}}",code=~"5.."})'
        total: 'sum(http_requests_total{env="{{environment}}"})'
        worseThanActiveBy: 0.5%
"#;
const BEFORE: &str = "    blindSpots:  { atMost: 0 }\n";

fn with(from: &str, to: &str) -> String {
    assert!(METRIC.contains(from), "the metric has no {from:?}");
    METRIC.replacen(from, to, 1)
}

#[track_caller]
fn refused(metric: &str, expected: &[&str]) {
    check(&[(BEFORE, metric)], expected);
}

fn sums(what: &str) -> PerEnvironment<String> {
    PerEnvironment::from_fn(|environment| format!("sum(http_requests_total{{env=\"{environment}\"{what}}})"))
}

#[test]
fn a_metric_means_what_it_says() {
    let guards = accepted(&[(BEFORE, METRIC)]).guards;
    let guard = MetricGuard {
        name: "checkout-errors".to_owned(),
        worse_than_active_by: 0.005,
        critical: true,
        every_ms: 10_000,
    };
    assert_eq!(guards.judged.metrics, [guard]);
    let server = PrometheusServer {
        url: "http://127.0.0.1:9090".to_owned(),
        tls: ClientTls::default(),
        bearer_token_file: None,
    };
    let source = MetricSource {
        metric: "checkout-errors".to_owned(),
        from: MetricFrom::Prometheus { server, events: sums(",code=~\"5..\""), total: sums("") },
        on_error: OnError::Hold,
    };
    assert_eq!(guards.sources, [source]);
}

#[test]
fn every_key_is_read() {
    let tls = "url: \"https://prometheus.example:443/prometheus/\", bearerTokenFile: token, tls: { ca: ca.pem }";
    let more = with("url: \"http://127.0.0.1:9090\"", tls);
    let more = more.replace(
        "worseThanActiveBy: 0.5%\n",
        "worseThanActiveBy: 2%\n        every: 30s\n        onError: ignore\n        critical: false\n",
    );
    let pair = "total: { blue: 'sum(old_requests_total)', green: 'sum(requests_total)' }";
    let more = more.replace("total: 'sum(http_requests_total{env=\"{{environment}}\"})'", pair);
    let guards = accepted(&[(BEFORE, &more)]).guards;
    let (guard, source) = (&guards.judged.metrics[0], &guards.sources[0]);
    assert_eq!((guard.every_ms, guard.critical, guard.worse_than_active_by), (30_000, false, 0.02));
    assert_eq!(source.on_error, OnError::Ignore);
    let total = ["sum(old_requests_total)", "sum(requests_total)"].map(str::to_owned);
    let MetricFrom::Prometheus { server, total: read, .. } = &source.from else { panic!("{source:?}") };
    assert_eq!([&read.blue, &read.green], [&total[0], &total[1]]);
    assert_eq!(server.url, "https://prometheus.example:443/prometheus");
    let under = server.under("/plans".as_ref());
    let (ca, token) = (under.tls.ca.as_deref(), under.bearer_token_file.as_deref());
    assert_eq!((ca, token), (Some("/plans/ca.pem"), Some("/plans/token")));
    // A rollback on error, and a plan whose only guard is a metric.
    let rollback = with("worseThanActiveBy: 0.5%", "worseThanActiveBy: 0.5%\n        onError: rollback");
    assert_eq!(accepted(&[(BEFORE, &rollback)]).guards.sources[0].on_error, OnError::Rollback);
    let only = [
        ("    spanLoss:    { atMost: 0.1% }\n", ""),
        ("    errorRate:   { worseThanActiveBy: 0.5% }\n", ""),
        ("    latency:     { quantile: 0.99, worseThanActiveBy: 20% }\n", ""),
        (BEFORE, METRIC.trim_start_matches(BEFORE)),
    ];
    assert_eq!(accepted(&only).guards.judged.metrics.len(), 1);
}

#[test]
fn what_a_plan_with_metrics_would_do_reads_well() {
    let ignored = METRIC.trim_start_matches(BEFORE).trim_start_matches("    metrics:\n");
    let ignored = ignored
        .replace("checkout-errors", "payments")
        .replace("worseThanActiveBy: 0.5%", "worseThanActiveBy: 0.5%\n        onError: ignore");
    let preview = previewed(&[(BEFORE, &format!("{METRIC}{ignored}"))]);
    let lines = preview.rolls_back.iter().chain(&preview.notes).filter(|line| line.starts_with("metrics."));
    insta::assert_snapshot!("preview_of_metrics", lines.cloned().collect::<Vec<_>>().join("\n"));
}

#[test]
fn what_a_metric_must_have() {
    refused(
        "    blindSpots:  { atMost: 0 }\n    metrics: [{ name: a }]\n",
        &[
            "40:15: spec.guards.metrics[0].prometheus: found nothing, expected a Prometheus, such as { url: \"http://127.0.0.1:9090\" }",
            "40:15: spec.guards.metrics[0].events: found nothing, expected a PromQL query with {{environment}}, or one each for `blue` and `green`",
            "40:15: spec.guards.metrics[0].total: found nothing, expected a PromQL query with {{environment}}, or one each for `blue` and `green`",
            "40:15: spec.guards.metrics[0].worseThanActiveBy: found nothing, expected a percentage with its sign, such as 0.5%",
        ],
    );
    refused(
        "    blindSpots:  { atMost: 0 }\n    metrics: []\n",
        &["40:14: spec.guards.metrics: found 0 metrics, expected 1 to 16, or no `metrics`"],
    );
    let seventeen = format!("    blindSpots:  {{ atMost: 0 }}\n    metrics: [{}]\n", ["{}"; 17].join(", "));
    refused(&seventeen, &["40:14: spec.guards.metrics: found 17 metrics, expected 1 to 16, or no `metrics`"]);
    let twice = METRIC.trim_start_matches(BEFORE).trim_start_matches("    metrics:\n");
    refused(
        &format!("{METRIC}{twice}"),
        &[
            "46:9: spec.guards.metrics[1]: found the name checkout-errors a second time, expected a name for each: verdicts and records name a metric by it",
        ],
    );
}

#[test]
fn queries_that_tell_nothing_apart() {
    refused(
        &with("env=\"{{environment}}\",code", "code"),
        &[
            "43:17: spec.guards.metrics[0].events: found sum(http_requests_total{code=~\"5..\"}), expected a PromQL query with {{environment}}, or one each for `blue` and `green`: both environments would be asked for the same number",
        ],
    );
    refused(
        &with(",code=~\"5..\"", ""),
        &[
            "41:9: spec.guards.metrics[0].events: found the query of `total`, expected a part of what `total` counts: every unit would have the event",
        ],
    );
    refused(
        &with("events: 'sum(http_requests_total{env=\"{{environment}}\",code=~\"5..\"})'", "events: { blue: up }"),
        &["43:17: spec.guards.metrics[0].events.green: found nothing, expected a PromQL query"],
    );
    let long = with("code=~\"5..\"", &format!("code=~\"{}\"", "5".repeat(1_000)));
    let errors = parse(&super::edited(&[(BEFORE, &long)])).unwrap_err();
    let PlanError { path, expected, .. } = &errors.errors()[0];
    assert_eq!(path, "spec.guards.metrics[0].events");
    assert_eq!(
        expected,
        "a PromQL query: one printable line of 1 to 1000 characters; YAML's `>-` makes one line of several"
    );
}

#[test]
fn values_that_cannot_be() {
    refused(
        &with("0.5%", "0.5%\n        every: 500ms\n        onError: extend\n        critical: yes"),
        &[
            "46:16: spec.guards.metrics[0].every: found 500ms, expected a duration from 1s to 5m",
            "47:18: spec.guards.metrics[0].onError: found extend, expected `hold`, `rollback` or `ignore`",
            "48:19: spec.guards.metrics[0].critical: found yes, expected `true` or `false`",
        ],
    );
    for url in [
        "http://127.0.0.1",
        "http://user:secret@127.0.0.1:9090",
        "http://127.0.0.1:9090/?token=a",
        "http://127.0.0.1:9090/a b",
        "prometheus:9090",
    ] {
        let errors = parse(&super::edited(&[(BEFORE, &with("http://127.0.0.1:9090", url))])).unwrap_err();
        let PlanError { path, expected, .. } = &errors.errors()[0];
        assert_eq!(path, "spec.guards.metrics[0].prometheus.url");
        assert!(expected.starts_with("http://host:port or https://host:port, with a path if"), "{expected}");
    }
    refused(
        &with("url: \"http://127.0.0.1:9090\"", "url: \"http://10.0.0.1:9090\", bearerTokenFile: token"),
        &[
            "42:21: spec.guards.metrics[0].prometheus: found `bearerTokenFile` beside an http:// URL, expected an https:// URL, or one on this machine: the token could be read on the way",
        ],
    );
    accepted(&[(
        BEFORE,
        &with("url: \"http://127.0.0.1:9090\"", "url: \"http://localhost:9090\", bearerTokenFile: token"),
    )]);
    refused(
        &with("url: \"http://127.0.0.1:9090\"", "url: \"http://127.0.0.1:9090\", tls: { ca: ca.pem }"),
        &[
            "42:58: spec.guards.metrics[0].prometheus.tls: found `tls` beside an http:// endpoint, expected an https:// endpoint, or no `tls`: without TLS the files would not be used, and the traffic could be read",
        ],
    );
}
