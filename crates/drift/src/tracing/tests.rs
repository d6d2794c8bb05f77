//! One change to a configuration that is traced well, and what the rules say of it.

use super::{Environments, RULES, Rule, rules};
use crate::compare::tests::tree;
use insta::assert_snapshot;

const COLLECTOR: &str = "
receivers:
  otlp:
    protocols:
      grpc: {endpoint: '0.0.0.0:4317', tls: {cert_file: /c, key_file: /k, client_ca_file: /ca}}
      http: {}
  jaeger: {protocols: {grpc: {}}}
processors:
  redaction: {allow_all_keys: true}
  attributes/pii: {actions: [{key: email, action: delete}]}
  probabilistic_sampler: {sampling_percentage: 15}
  tail_sampling: {policies: [{name: errors, type: status_code}]}
  batch: {}
exporters:
  otlp/backend: {endpoint: 'tempo.blue.svc:4317'}
  otlphttp: {endpoint: 'https://traces.example.com'}
  debug: {}
service:
  pipelines:
    traces:
      receivers: [otlp, jaeger]
      processors: [redaction, attributes/pii, tail_sampling, batch]
      exporters: [otlp/backend, debug]
    traces/sampled: {receivers: [otlp], processors: [probabilistic_sampler], exporters: [otlphttp]}
    metrics: {receivers: [otlp], exporters: [otlphttp]}
";

const WORKLOADS: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: checkout, namespace: shop}
spec:
  template:
    spec:
      containers:
      - name: app
        image: shop/checkout:1
        envFrom: [{configMapRef: {name: otel}}]
        env:
        - {name: OTEL_EXPORTER_OTLP_ENDPOINT, value: 'https://collector.blue:4317'}
        - {name: OTEL_TRACES_SAMPLER, value: parentbased_traceidratio}
        - {name: OTEL_TRACES_SAMPLER_ARG, value: '0.10'}
        - {name: OTEL_EXPORTER_OTLP_HEADERS, value: 'x-api-key=hunter2'}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: otel, namespace: shop}
data: {OTEL_PROPAGATORS: 'tracecontext,baggage', OTEL_SERVICE_NAME: checkout}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: cart, namespace: shop}
spec:
  template:
    metadata: {annotations: {instrumentation.opentelemetry.io/inject-java: 'true'}}
    spec: {containers: [{name: app, image: 'shop/cart:1'}]}
---
apiVersion: opentelemetry.io/v1alpha1
kind: Instrumentation
metadata: {name: java, namespace: shop}
spec: {propagators: [tracecontext, baggage], sampler: {type: parentbased_traceidratio, argument: '0.25'}}
";

const COMPOSE: &str = "services: {web: {image: w, environment: {OTEL_SERVICE_NAME: web, OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c:4317'}}, db: {image: d}}";

fn check(file: &str, blue: &str, changes: &[(&str, &str)]) -> String {
    let mut green = blue.to_owned();
    for (from, to) in changes {
        assert!(green.contains(from), "{from}");
        green = green.replace(from, to);
    }
    let environments = Environments {
        blue: vec!["http://tempo.blue.svc.cluster.local:4317".into(), "collector.blue".into(), "shared:1".into()],
        green: vec!["tempo.green:4317".into(), "shared:1".into()],
    };
    let found = rules(&tree(file, blue), &tree(file, &green), &environments);
    found.findings.iter().map(|finding| format!("{}: {finding}\n", finding.rule)).collect()
}

/// Green has its own back end.
const OWN: (&str, &str) = ("tempo.blue.svc", "tempo.green");

#[test]
fn what_is_the_same_has_no_finding() {
    assert_eq!(check("c.yaml", COLLECTOR, &[OWN]), "");
    assert_eq!(
        check("w.yaml", WORKLOADS, &[("collector.blue:4317", "collector.green:4317"), ("'0.10'", "'0.1'")])
            .lines()
            .count(),
        1
    );
    assert_eq!(check("compose.yaml", COMPOSE, &[]), "");
}

#[test]
fn pipelines_that_lost_something() {
    assert_snapshot!(check("c.yaml", COLLECTOR, &[OWN, ("[otlp, jaeger]", "[otlp]"), ("[otlp/backend, debug]", "[otlp/backend]")]), @"
    exporter missing: the pipeline traces exports to debug in blue, and not in green (c.yaml: service.pipelines.traces.exporters[debug])
    receiver missing: the pipeline traces receives from jaeger in blue, and not in green (c.yaml: service.pipelines.traces.receivers[jaeger])
    ");
    assert_snapshot!(check("c.yaml", COLLECTOR, &[OWN, ("    metrics: {receivers: [otlp], exporters: [otlphttp]}", ""), ("traces/sampled:", "logs:")]), @"
    signal missing: green has no pipeline for metrics: blue has metrics (c.yaml: service.pipelines.metrics)
    pipeline missing: the pipeline traces/sampled is missing in green (c.yaml: service.pipelines.traces/sampled)
    ");
    assert_snapshot!(check("c.yaml", COLLECTOR, &[OWN, ("[redaction, attributes/pii, tail_sampling, batch]", "[batch, tail_sampling]")]), @"
    batch before sampler: green's pipeline traces makes batches before it samples, which tears them again (c.yaml: service.pipelines.traces.processors)
    processor missing: the processor attributes/pii is missing in green's pipeline traces (c.yaml: service.pipelines.traces.processors[attributes/pii])
    processor missing: the processor redaction is missing in green's pipeline traces (c.yaml: service.pipelines.traces.processors[redaction])
    ");
}

#[test]
fn an_exporter_of_another_name_stands_for_one_of_its_type() {
    assert_snapshot!(check("c.yaml", COLLECTOR, &[OWN, ("otlp/backend", "otlp/green")]), @"");
}

#[test]
fn sampling_that_differs() {
    assert_snapshot!(check("c.yaml", COLLECTOR, &[OWN, ("sampling_percentage: 15", "sampling_percentage: 1")]), @"sampling differs: probabilistic_sampler samples 15 % in blue, 1 % in green (c.yaml: processors.probabilistic_sampler.sampling_percentage)");
    assert_snapshot!(check("c.yaml", COLLECTOR, &[OWN, ("type: status_code", "type: latency")]), @"sampling differs: tail_sampling samples by other rules in green (c.yaml: processors.tail_sampling)");
    assert_snapshot!(check("c.yaml", COLLECTOR, &[OWN, ("[probabilistic_sampler]", "[]")]), @"sampling differs: the pipeline traces/sampled samples by probabilistic_sampler in blue, and not in green (c.yaml: service.pipelines.traces/sampled.processors)");
}

#[test]
fn transport_that_is_weaker() {
    let weaker = [
        (
            "{endpoint: 'tempo.blue.svc:4317'}",
            "{endpoint: 'tempo.green:4317', tls: {insecure: true, insecure_skip_verify: true}}",
        ),
        ("https://traces", "http://traces"),
        (", tls: {cert_file: /c, key_file: /k, client_ca_file: /ca}", ""),
    ];
    assert_snapshot!(check("c.yaml", COLLECTOR, &weaker), @"
    TLS weakened: the exporter otlp/backend exports without TLS in green, and with it in blue (c.yaml: exporters.otlp/backend.tls.insecure)
    TLS weakened: the exporter otlp/backend does not verify certificates in green, and does in blue (c.yaml: exporters.otlp/backend.tls.insecure_skip_verify)
    TLS weakened: the exporter otlphttp exports without TLS in green, and with it in blue (c.yaml: exporters.otlphttp.endpoint)
    TLS weakened: the receiver otlp receives without TLS in green, and with it in blue (c.yaml: receivers.otlp.protocols.grpc)
    ");
}

#[test]
fn an_endpoint_of_the_other_environment() {
    assert_snapshot!(check("c.yaml", COLLECTOR, &[]), @"endpoint of the other environment: green's configuration points to blue: tempo.blue:4317 (c.yaml: exporters.otlp/backend.endpoint)");
    let config_map = format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: c}}\ndata:\n  c.yaml: |\n{}",
        COLLECTOR.replace('\n', "\n    ")
    );
    assert_snapshot!(check("m.yaml", &config_map, &[]), @"endpoint of the other environment: green's configuration points to blue: tempo.blue:4317 (ConfigMap/default/c: data[c.yaml].exporters.otlp/backend.endpoint)");
}

#[test]
fn services_whose_tracing_differs() {
    let own = ("collector.blue:4317", "collector.green:4317");
    assert_snapshot!(check("w.yaml", WORKLOADS, &[own, ("https://", "http://"), ("'0.10'", "'0.5'"), ("hunter2", "hunter3"), ("tracecontext,baggage", "b3")]), @"
    propagators differ: service checkout: OTEL_PROPAGATORS is tracecontext,baggage in blue, b3 in green (ConfigMap/shop/otel: data.OTEL_PROPAGATORS)
    variable changed: service checkout: OTEL_EXPORTER_OTLP_ENDPOINT is https://collector.blue:4317 in blue, http://collector.green:4317 in green (Deployment/shop/checkout: spec.template.spec.containers[app].env[OTEL_EXPORTER_OTLP_ENDPOINT])
    TLS weakened: service checkout exports without TLS in green, and with it in blue: OTEL_EXPORTER_OTLP_ENDPOINT (Deployment/shop/checkout: spec.template.spec.containers[app].env[OTEL_EXPORTER_OTLP_ENDPOINT])
    variable changed: service checkout: OTEL_EXPORTER_OTLP_HEADERS has another value in green, which is not shown (Deployment/shop/checkout: spec.template.spec.containers[app].env[OTEL_EXPORTER_OTLP_HEADERS])
    sampling differs: service checkout: OTEL_TRACES_SAMPLER_ARG is 0.10 in blue, 0.5 in green (Deployment/shop/checkout: spec.template.spec.containers[app].env[OTEL_TRACES_SAMPLER_ARG])
    ");
    assert_snapshot!(check("w.yaml", WORKLOADS, &[own, ("        - {name: OTEL_EXPORTER_OTLP_HEADERS, value: 'x-api-key=hunter2'}\n", ""), ("inject-java", "x"), ("'0.25'", "'1'"), ("[tracecontext, baggage]", "[b3]")]), @"
    service without tracing: service cart has no tracing set up in green: blue sets the annotation instrumentation.opentelemetry.io/inject-java, green sets no OTEL_ variable (Deployment/shop/cart)
    variable changed: service checkout: OTEL_EXPORTER_OTLP_ENDPOINT is https://collector.blue:4317 in blue, https://collector.green:4317 in green (Deployment/shop/checkout: spec.template.spec.containers[app].env[OTEL_EXPORTER_OTLP_ENDPOINT])
    variable missing: service checkout lacks OTEL_EXPORTER_OTLP_HEADERS in green: blue sets a secret (Deployment/shop/checkout: spec.template.spec.containers[app].env[OTEL_EXPORTER_OTLP_HEADERS])
    propagators differ: the propagators of Instrumentation/shop/java: tracecontext, baggage in blue, b3 in green (Instrumentation/shop/java: spec.propagators)
    sampling differs: the sampler of Instrumentation/shop/java: parentbased_traceidratio 0.25 in blue, parentbased_traceidratio 1 in green (Instrumentation/shop/java: spec.sampler)
    ");
    let (untraced, _) = WORKLOADS.split_at(WORKLOADS.find("        envFrom").unwrap());
    let green = tree("w.yaml", untraced);
    let found = rules(&tree("w.yaml", WORKLOADS), &green, &Environments::default());
    assert_snapshot!(found.findings[0], @"service checkout has no tracing set up in green: blue sets OTEL_EXPORTER_OTLP_ENDPOINT, green sets no OTEL_ variable (Deployment/shop/checkout)");
}

#[test]
fn compose_services_and_environment_files() {
    assert_snapshot!(check("compose.yaml", COMPOSE, &[(", environment: {OTEL_SERVICE_NAME: web, OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c:4317'}", "")]), @"service without tracing: service web has no tracing set up in green: blue sets OTEL_EXPORTER_OTLP_ENDPOINT, green sets no OTEL_ variable (compose.yaml: services.web)");
    assert_snapshot!(check("compose.yaml", COMPOSE, &[("OTEL_SERVICE_NAME: web", "OTEL_SDK_DISABLED: 'true'")]), @"service without tracing: service web has no tracing set up in green: blue sets OTEL_EXPORTER_OTLP_ENDPOINT, green sets OTEL_SDK_DISABLED=true (compose.yaml: services.web)");
    assert_snapshot!(check("app.env", "OTEL_SERVICE_NAME=a\nOTEL_EXPORTER_OTLP_INSECURE=false\n", &[("OTEL_SERVICE_NAME=a\n", ""), ("false", "true")]), @"
    variable changed: service app.env: OTEL_EXPORTER_OTLP_INSECURE is false in blue, true in green (app.env: OTEL_EXPORTER_OTLP_INSECURE)
    TLS weakened: service app.env exports without TLS in green, and with it in blue: OTEL_EXPORTER_OTLP_INSECURE (app.env: OTEL_EXPORTER_OTLP_INSECURE)
    variable missing: service app.env lacks OTEL_SERVICE_NAME in green: blue sets a (app.env: OTEL_SERVICE_NAME)
    ");
}

#[test]
fn rules_have_one_name() {
    for rule in RULES {
        assert_eq!(serde_json::to_string(&rule).unwrap(), format!("\"{rule}\""));
    }
    assert!(RULES.contains(&Rule::CrossedEndpoint));
}
