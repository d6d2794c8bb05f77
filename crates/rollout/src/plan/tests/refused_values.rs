//! Values that are refused, each with its place and its words.

use super::refused::check;

#[test]
fn a_plan_without_a_name_or_a_reason() {
    check(
        &[("  name: collector-0-131\n", "")],
        &["4:3: metadata.name: found nothing, expected a name for the rollout, such as collector-0-131"],
    );
    check(
        &[("  reason: Upgrade the collectors to 0.131\n", "")],
        &["4:3: metadata.reason: found nothing, expected why this is done, for whoever asks later"],
    );
    check(
        &[("reason: Upgrade the collectors to 0.131", "reason:")],
        &["4:3: metadata.reason: found nothing, expected why this is done, for whoever asks later"],
    );
    check(
        &[("reason: Upgrade the collectors to 0.131", "reason: \"a\\u202eb\"")],
        &["6:11: metadata.reason: found a\\u{202e}b, expected a printable text of 1 to 2000 characters"],
    );
    check(
        &[("name: collector-0-131", "name: Collector")],
        &[
            "4:9: metadata.name: found Collector, expected 1 to 63 of a-z, 0-9, `-` and `.`, a letter or digit first, such as collector-0-131",
        ],
    );
    check(
        &[("name: collector-0-131", "name: -c")],
        &[
            "4:9: metadata.name: found -c, expected 1 to 63 of a-z, 0-9, `-` and `.`, a letter or digit first, such as collector-0-131",
        ],
    );
    check(
        &[("name: collector-0-131", "name: cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc")],
        &[
            "4:9: metadata.name: found cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc, expected 1 to 63 of a-z, 0-9, `-` and `.`, a letter or digit first, such as collector-0-131",
        ],
    );
    check(
        &[("verdigris.dev/v1alpha1", "verdigris.dev/v1")],
        &["1:13: apiVersion: found verdigris.dev/v1, expected verdigris.dev/v1alpha1"],
    );
    check(&[("kind: Rollout", "kind: Deployment")], &["2:7: kind: found Deployment, expected Rollout"]);
    check(
        &[("subject: pipeline", "subject: service")],
        &["9:12: spec.subject: found service, expected `pipeline`: the subject `service` is not in this version"],
    );
}

#[test]
fn environments_that_cannot_be_reached_or_are_one() {
    check(
        &[("127.0.0.1:24317", "localhost:14317")],
        &[
            "18:21: spec.environments.green.otlp.grpc: found http://localhost:14317, blue's endpoint, expected an endpoint of its own: green equals blue, so nothing would be rolled out",
        ],
    );
    check(
        &[
            ("0.131.0", "0.130.1"),
            ("      artifact: sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\n", ""),
            ("./green", "./blue"),
        ],
        &[
            "16:7: spec.environments.green: found blue's version 0.130.1, artifact and configuration, expected another version, artifact or configuration: green equals blue, so nothing would be rolled out",
        ],
    );
    check(
        &[("http://127.0.0.1:24317", "ftp://127.0.0.1:24317")],
        &[
            "18:21: spec.environments.green.otlp.grpc: found ftp://127.0.0.1:24317, expected http://host:port or https://host:port without a path, such as http://127.0.0.1:4317",
        ],
    );
    check(
        &[("http://127.0.0.1:24317", "http://127.0.0.1:24317/v1/traces")],
        &[
            "18:21: spec.environments.green.otlp.grpc: found http://127.0.0.1:24317/v1/traces, expected http://host:port or https://host:port without a path, such as http://127.0.0.1:4317",
        ],
    );
    check(
        &[("http://127.0.0.1:24317", "http://127.0.0.1")],
        &[
            "18:21: spec.environments.green.otlp.grpc: found http://127.0.0.1, expected http://host:port or https://host:port without a path, such as http://127.0.0.1:4317",
        ],
    );
    check(
        &[("http://127.0.0.1:24317", "http://127.0.0.1:70000")],
        &[
            "18:21: spec.environments.green.otlp.grpc: found http://127.0.0.1:70000, expected http://host:port or https://host:port without a path, such as http://127.0.0.1:4317",
        ],
    );
    check(
        &[("http://127.0.0.1:24317", "http://me@host:4317")],
        &[
            "18:21: spec.environments.green.otlp.grpc: found http://me@host:4317, expected http://host:port or https://host:port without a path, such as http://127.0.0.1:4317",
        ],
    );
    check(
        &[(r#"otlp: { grpc: "http://127.0.0.1:24317" }"#, r#"otlp: { grpc: "http://a:1", http: "http://a:2" }"#)],
        &[
            r#"18:13: spec.environments.green.otlp: found `grpc` and `http`, expected one endpoint, `grpc` or `http`, such as { grpc: "http://127.0.0.1:4317" }"#,
        ],
    );
    check(
        &[(r#"otlp: { grpc: "http://127.0.0.1:24317" }"#, "otlp: {}")],
        &[
            r#"18:13: spec.environments.green.otlp: found nothing, expected one endpoint, `grpc` or `http`, such as { grpc: "http://127.0.0.1:4317" }"#,
        ],
    );
    check(
        &[("config: [{ files: ./blue }]", "tap: green")],
        &[
            "16:7: spec.environments.green.tap: found green, blue's tap, expected a tap of its own: what comes out of green could not be told from what comes out of blue",
        ],
    );
    check(
        &[("config: [{ files: ./blue }]", "tap: Blue")],
        &[
            "14:12: spec.environments.blue.tap: found Blue, expected 1 to 63 of a-z, 0-9, `-` and `.`, a letter or digit first, such as collector-0-131",
        ],
    );
    check(
        &[("config: [{ files: ./blue }]", "backend: http://127.0.0.1:24317")],
        &[
            "14:16: spec.environments.blue.backend: found http://127.0.0.1:24317, a collector's endpoint, expected the back end's endpoint: the tap would feed a collector with what a collector put out",
        ],
    );
    check(
        &[("sha256:9f86d081", "sha256:")],
        &[
            "17:17: spec.environments.green.artifact: found sha256:884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08, expected sha256: and 64 digits of 0-9 and a-f",
        ],
    );
    check(
        &[("      version: \"0.131.0\"\n", "")],
        &[
            r#"16:7: spec.environments.green.version: found nothing, expected the version that runs there, such as "0.131.0""#,
        ],
    );
    check(
        &[("config: [{ files: ./blue }]", "config: [{}]")],
        &[
            "14:16: spec.environments.blue.config[0].files: found nothing, expected a file or folder, relative to the plan",
        ],
    );
}

#[test]
fn gates_and_guards_that_say_nothing() {
    check(
        &[("spanLoss:    { atMost: 0.1% }", "spanLoss:    { atMost: 0.1 }")],
        &[
            "36:28: spec.guards.spanLoss.atMost: found 0.1, expected a percentage above 0% and up to 50% with its sign, such as 0.1%",
        ],
    );
    check(
        &[("spanLoss:    { atMost: 0.1% }", "spanLoss:    { atMost: 0% }")],
        &[
            "36:28: spec.guards.spanLoss.atMost: found 0%, expected a percentage above 0% and up to 50% with its sign, such as 0.1%",
        ],
    );
    check(
        &[("spanLoss:    { atMost: 0.1% }", "spanLoss:    {}")],
        &["36:18: spec.guards.spanLoss.atMost: found nothing, expected a percentage with its sign, such as 0.5%"],
    );
    check(
        &[("quantile: 0.99", "quantile: 1")],
        &[
            "38:30: spec.guards.latency.quantile: found 1, expected a number between 0 and 1, both excluded, such as 0.99",
        ],
    );
    check(
        &[("quantile: 0.99", "quantile: 99%")],
        &[
            "38:30: spec.guards.latency.quantile: found 99%, expected a number between 0 and 1, both excluded, such as 0.99",
        ],
    );
    check(
        &[("quantile: 0.99", "quantile: .nan")],
        &[
            "38:30: spec.guards.latency.quantile: found .nan, expected a number between 0 and 1, both excluded, such as 0.99",
        ],
    );
    check(
        &[("worseThanActiveBy: 20%", "worseThanActiveBy: 1001%")],
        &[
            "38:55: spec.guards.latency.worseThanActiveBy: found 1001%, expected a percentage above 0% and up to 1000% with its sign, such as 20%",
        ],
    );
    check(
        &[("blindSpots:  { atMost: 0 }", "blindSpots:  { atMost: 0% }")],
        &["39:28: spec.guards.blindSpots.atMost: found 0%, expected a whole number from 0 to 10000"],
    );
    check(
        &[("every: 30s", "every: 30")],
        &["40:27: spec.guards.drift.every: found 30, expected a duration with its unit from 1s to 1d, such as 30s"],
    );
    check(
        &[(
            "    drift:    { expected: [{ path: \"exporters.otlp.endpoint\", reason: \"each writes to its own backend\" }] }\n",
            "",
        )],
        &[
            "39:18: spec.guards.drift: found no spec.gates.drift, expected spec.gates.drift, `drift: {}` at least: the guard repeats the gate, and takes from it what may differ",
        ],
    );
    check(
        &[(r#", reason: "each writes to its own backend""#, "")],
        &["33:28: spec.gates.drift.expected[0].reason: found nothing, expected why it may differ"],
    );
    check(
        &[("count: 2", "count: 0")],
        &["34:40: spec.gates.approval.count: found 0, expected a whole number from 1 to 16"],
    );
    check(
        &[("count: 2", "count: two")],
        &["34:40: spec.gates.approval.count: found two, expected a whole number from 1 to 16"],
    );
    check(
        &[("expires: 4h", "expires: 4s")],
        &["34:52: spec.gates.approval.expires: found 4s, expected a duration from 1m to 30d"],
    );
}

#[test]
fn numbers_out_of_range() {
    check(
        &[("falseAlarm: 0.001", "falseAlarm: 0")],
        &["42:17: spec.analysis.falseAlarm: found 0, expected a number above 0 and up to 0.5, such as 0.001"],
    );
    check(
        &[("falseAlarm: 0.001", "falseAlarm: 0.6")],
        &["42:17: spec.analysis.falseAlarm: found 0.6, expected a number above 0 and up to 0.5, such as 0.001"],
    );
    check(
        &[("falseAlarm: 0.001", "falseAlarm: 1e-3")],
        &["42:17: spec.analysis.falseAlarm: found 1e-3, expected a number above 0 and up to 0.5, such as 0.001"],
    );
    check(
        &[("falseAlarm: 0.001", "falsePromotion: 0.0000000000000001")],
        &[
            "42:21: spec.analysis.falsePromotion: found 0.0000000000000001, expected a number above 0 and up to 0.5, such as 0.001",
        ],
    );
    check(
        &[("falseAlarm: 0.001", "batch: 7s")],
        &["42:12: spec.analysis.batch: found 7s, expected a duration from 1s to 6s"],
    );
    check(
        &[("onInconclusive: hold", "onInconclusive: holt")],
        &[
            "43:21: spec.analysis.onInconclusive: found holt, expected `hold`, `extend` or `rollback`: did you mean `hold`?",
        ],
    );
    check(
        &[("  gates:", "  verification: { horizon: 100ms, linger: 1h }\n  gates:")],
        &[
            "32:28: spec.verification.horizon: found 100ms, expected a duration from 1.5s to 1d",
            "32:43: spec.verification.linger: found 1h, expected a duration from 100ms to 10m",
        ],
    );
    check(
        &[("  gates:", "  traffic: { expected: 500, errors: 5 }\n  gates:")],
        &[
            "32:24: spec.traffic.expected: found 500, expected a rate above 0 and up to 1000000000/s, such as 500/s",
            "32:37: spec.traffic.errors: found 5, expected a percentage above 0% and up to 100% with its sign, such as 0.1%",
        ],
    );
    check(&[("  gates:", "  pin: 2h\n  gates:")], &["32:8: spec.pin: found 2h, expected a duration from 1s to 1h"]);
}
