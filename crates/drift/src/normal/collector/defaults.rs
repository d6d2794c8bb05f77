//! What the common components do without a setting, by their `factory.go` and `config.go` in
//! open-telemetry/opentelemetry-collector and -contrib, v0.131.

use crate::normal::fill::{Default, Is, fill};
use crate::value::Raw;

/// Of exporters over `exporterhelper` and `configretry`.
const QUEUE_AND_RETRY: &[Default] = &[
    ("sending_queue.enabled", Is::Bool(true)),
    ("sending_queue.num_consumers", Is::Number(10)),
    ("sending_queue.queue_size", Is::Number(1_000)),
    ("sending_queue.block_on_overflow", Is::Bool(false)),
    ("sending_queue.wait_for_result", Is::Bool(false)),
    ("sending_queue.sizer", Is::Text("requests")),
    ("retry_on_failure.enabled", Is::Bool(true)),
    ("retry_on_failure.initial_interval", Is::Text("5s")),
    ("retry_on_failure.max_interval", Is::Text("30s")),
    ("retry_on_failure.max_elapsed_time", Is::Text("300s")),
    ("retry_on_failure.randomization_factor", Is::Float(0.5)),
    ("retry_on_failure.multiplier", Is::Float(1.5)),
];

/// Of clients over `configtls`.
const TLS: &[Default] = &[
    ("tls.insecure", Is::Bool(false)),
    ("tls.insecure_skip_verify", Is::Bool(false)),
    ("tls.min_version", Is::Text("1.2")),
];

/// Section, type, and what is filled in there.
const COMPONENTS: &[(&str, &str, &[&[Default]])] = &[
    (
        "receivers",
        "otlp",
        &[&[
            ("protocols.grpc?.endpoint", Is::Text("localhost:4317")),
            ("protocols.grpc?.transport", Is::Text("tcp")),
            ("protocols.http?.endpoint", Is::Text("localhost:4318")),
            ("protocols.http?.traces_url_path", Is::Text("/v1/traces")),
            ("protocols.http?.metrics_url_path", Is::Text("/v1/metrics")),
            ("protocols.http?.logs_url_path", Is::Text("/v1/logs")),
        ]],
    ),
    (
        "receivers",
        "jaeger",
        &[&[
            ("protocols.grpc?.endpoint", Is::Text("localhost:14250")),
            ("protocols.thrift_http?.endpoint", Is::Text("localhost:14268")),
            ("protocols.thrift_compact?.endpoint", Is::Text("localhost:6831")),
            ("protocols.thrift_binary?.endpoint", Is::Text("localhost:6832")),
        ]],
    ),
    ("receivers", "zipkin", &[&[("endpoint", Is::Text("localhost:9411"))]]),
    ("receivers", "hostmetrics", &[&[("collection_interval", Is::Text("60s")), ("initial_delay", Is::Text("1s"))]]),
    ("exporters", "otlp", &[QUEUE_AND_RETRY, TLS, &[("timeout", Is::Text("5s")), ("compression", Is::Text("gzip"))]]),
    (
        "exporters",
        "otlphttp",
        &[
            QUEUE_AND_RETRY,
            TLS,
            &[("timeout", Is::Text("30s")), ("compression", Is::Text("gzip")), ("encoding", Is::Text("proto"))],
        ],
    ),
    ("exporters", "zipkin", &[QUEUE_AND_RETRY, TLS, &[("format", Is::Text("json"))]]),
    (
        "exporters",
        "debug",
        &[&[
            ("verbosity", Is::Text("basic")),
            ("sampling_initial", Is::Number(2)),
            ("sampling_thereafter", Is::Number(1)),
            ("use_internal_logger", Is::Bool(true)),
        ]],
    ),
    (
        "processors",
        "batch",
        &[&[
            ("timeout", Is::Text("200ms")),
            ("send_batch_size", Is::Number(8_192)),
            ("send_batch_max_size", Is::Number(0)),
            ("metadata_cardinality_limit", Is::Number(1_000)),
        ]],
    ),
    (
        "processors",
        "memory_limiter",
        &[&[
            ("check_interval", Is::Text("0s")),
            ("limit_mib", Is::Number(0)),
            ("spike_limit_mib", Is::Number(0)),
            ("limit_percentage", Is::Number(0)),
            ("spike_limit_percentage", Is::Number(0)),
        ]],
    ),
    (
        "processors",
        "probabilistic_sampler",
        &[&[
            ("hash_seed", Is::Number(0)),
            ("fail_closed", Is::Bool(true)),
            ("sampling_precision", Is::Number(4)),
            ("attribute_source", Is::Text("traceID")),
        ]],
    ),
    (
        "processors",
        "tail_sampling",
        &[&[
            ("decision_wait", Is::Text("30s")),
            ("num_traces", Is::Number(50_000)),
            ("expected_new_traces_per_sec", Is::Number(0)),
        ]],
    ),
    ("processors", "redaction", &[&[("allow_all_keys", Is::Bool(false)), ("summary", Is::Text("silent"))]]),
    ("processors", "k8sattributes", &[&[("auth_type", Is::Text("serviceAccount")), ("passthrough", Is::Bool(false))]]),
    ("processors", "transform", &[&[("error_mode", Is::Text("propagate"))]]),
    ("processors", "filter", &[&[("error_mode", Is::Text("propagate"))]]),
    ("extensions", "health_check", &[&[("endpoint", Is::Text("localhost:13133")), ("path", Is::Text("/"))]]),
    ("extensions", "pprof", &[&[("endpoint", Is::Text("localhost:1777"))]]),
    ("extensions", "zpages", &[&[("endpoint", Is::Text("localhost:55679"))]]),
];

pub(super) fn fill_component(section: &str, kind: &str, component: &mut Raw) {
    let found = COMPONENTS.iter().filter(|(in_section, name, _)| *in_section == section && *name == kind);
    for defaults in found.flat_map(|(_, _, defaults)| *defaults) {
        fill(component, defaults);
    }
}
