//! TLS and compression of endpoints: what is read, what is refused, and that plans without them are what they were.

use super::refused::check;
use super::*;
use model::{ClientTls, Compression, TlsIdentity, Transport, Upstream};
use std::path::Path;

const GREEN: &str = "otlp: { grpc: \"http://127.0.0.1:24317\" }";

/// Green's upstream in the example with these lines in the place of its `otlp`.
fn green(lines: &str) -> Upstream {
    accepted(&[(GREEN, lines)]).environments.green.upstream
}

fn refused(lines: &str, expected: &[&str]) {
    check(&[(GREEN, lines)], expected);
}

fn identity(cert: &str, key: &str) -> Option<TlsIdentity> {
    Some(TlsIdentity { cert: cert.to_owned(), key: key.to_owned() })
}

#[test]
fn several_endpoints_are_read_and_must_differ() {
    let upstream =
        green("otlp: { grpc: \"http://green-1:4317\", others: [\"http://green-2:4317\", \"http://green-3:4317\"] }");
    let all: Vec<&str> = upstream.endpoints().collect();
    assert_eq!(all, ["http://green-1:4317", "http://green-2:4317", "http://green-3:4317"]);
    let others = |others: &str| format!("otlp: {{ grpc: \"http://green-1:4317\", others: {others} }}");
    let at = "spec.environments.green.otlp.others";
    refused(
        &others("[\"http://green-2:4317\", \"green-3\"]"),
        &[&format!(
            "18:76: {at}[1]: found green-3, expected http://host:port or https://host:port without a path, such as \
             http://127.0.0.1:4317"
        )],
    );
    refused(
        &others("[\"http://green-1:4317\"]"),
        &[&format!("18:53: {at}[0]: found http://green-1:4317 twice, expected each endpoint once")],
    );
    refused(
        &others("[\"https://green-2:4317\"]"),
        &[&format!(
            "18:53: {at}[0]: found https://green-2:4317, expected the scheme of http://green-1:4317: they share TLS and \
             compression"
        )],
    );
    let many: Vec<String> = (2..10).map(|number| format!("\"http://green-{number}:4317\"")).collect();
    refused(
        &others(&format!("[{}]", many.join(", "))),
        &[&format!("18:52: {at}: found 9 endpoints in all, expected at most 8: put a load balancer before them")],
    );
    refused(
        &others("[\"http://127.0.0.1:14317\"]"),
        &[
            "18:21: spec.environments.green.otlp.grpc: found http://127.0.0.1:14317, blue's endpoint, expected an endpoint \
           of its own: green equals blue, so nothing would be rolled out",
        ],
    );
}

#[test]
fn tls_and_compression_are_read() {
    let upstream = green("otlp: { grpc: \"https://green:4317\" }");
    assert_eq!((upstream.endpoint.as_str(), upstream.transport), ("https://green:4317", Transport::default()));
    let upstream = green("otlp: { http: \"http://green:4318\", compression: gzip }");
    assert_eq!(upstream.transport, Transport { compression: Compression::Gzip, ..Transport::default() });
    let upstream = green(
        "otlp:\n        grpc: https://10.0.0.1:4317\n        compression: zstd\n        tls:\n          ca: ca.pem\n          \
         cert: /etc/client.pem\n          key: client.key\n          serverName: green.example",
    );
    let tls = ClientTls {
        ca: Some("ca.pem".to_owned()),
        identity: identity("/etc/client.pem", "client.key"),
        server_name: Some("green.example".to_owned()),
    };
    assert_eq!(upstream.transport, Transport { tls, compression: Compression::Zstd });
}

#[test]
fn a_back_end_is_a_url_or_has_keys_of_its_own() {
    let with = |backend: &str| {
        let upstream = green(&format!("{GREEN}\n      backend: {backend}"));
        (upstream.backend, upstream.backend_transport)
    };
    let url = Some("https://backend:4317".to_owned());
    assert_eq!(with("https://backend:4317"), (url.clone(), Transport::default()));
    assert_eq!(with("{ grpc: \"https://backend:4317\" }"), (url.clone(), Transport::default()));
    let tls = ClientTls { ca: Some("b.pem".to_owned()), ..ClientTls::default() };
    let expected = (url, Transport { tls, compression: Compression::Gzip });
    assert_eq!(with("{ grpc: \"https://backend:4317\", compression: gzip, tls: { ca: b.pem } }"), expected);
}

#[test]
fn what_cannot_be_is_refused_with_its_place() {
    refused(
        "otlp: { grpc: \"http://green:1\", tls: { ca: x } }",
        &[
            "18:44: spec.environments.green.otlp.tls: found `tls` beside an http:// endpoint, expected an https:// endpoint, or no `tls`: without TLS the files would not be used, and the traffic could be read",
        ],
    );
    refused(
        "otlp: { grpc: \"https://green:1\", tls: { cert: x } }",
        &[
            "18:45: spec.environments.green.otlp.tls: found `cert` without `key`, expected both `cert` and `key`, or neither",
        ],
    );
    refused(
        "otlp: { grpc: \"https://green:1\", tls: { key: x } }",
        &[
            "18:45: spec.environments.green.otlp.tls: found `key` without `cert`, expected both `cert` and `key`, or neither",
        ],
    );
    refused(
        "otlp: { grpc: \"https://green:1\", tls: { serverName: \"a b\", ca: \"\" }, compression: br }",
        &[
            "18:59: spec.environments.green.otlp.tls.serverName: found a b, expected a DNS name or an IP address, such as collector.example",
            "18:70: spec.environments.green.otlp.tls.ca: found an empty text, expected one printable line of 1 to 4096 characters",
            "18:89: spec.environments.green.otlp.compression: found br, expected `none`, `gzip` or `zstd`",
        ],
    );
    refused(
        "otlp: { grpc: \"https://green:1\", tls: { insecure: true } }",
        &[
            "18:47: spec.environments.green.otlp.tls.insecure: found the unknown key `insecure`, expected `ca`, `cert`, `key` or `serverName`",
        ],
    );
    refused(
        &format!("{GREEN}\n      backend: {{ http: \"https://backend:1\" }}"),
        &[
            "19:18: spec.environments.green.backend.http: found the unknown key `http`, expected `grpc`, `tls` or `compression`",
        ],
    );
    refused(
        &format!("{GREEN}\n      backend: {{ compression: gzip }}"),
        &[
            "19:16: spec.environments.green.backend: found no `grpc`, expected the back end's endpoint, such as { grpc: \"https://backend:4317\" }",
        ],
    );
    refused(
        &format!("{GREEN}\n      backend: {{ grpc: \"https://127.0.0.1:24317\" }}"),
        &[
            "19:24: spec.environments.green.backend.grpc: found https://127.0.0.1:24317, a collector's endpoint, expected the back end's endpoint: the tap would feed a collector with what a collector put out",
        ],
    );
    refused(
        "otlp: { grpc: \"https://localhost:14317\" }",
        &[
            "18:21: spec.environments.green.otlp.grpc: found https://localhost:14317, blue's endpoint, expected an endpoint of its own: green equals blue, so nothing would be rolled out",
        ],
    );
}

#[test]
fn a_table_has_paths_that_outlive_the_plans_folder() {
    let tls = "tls: { ca: ca.pem, cert: ../client.pem, key: /etc/client.key }";
    let upstream = green(&format!(
        "otlp: {{ grpc: \"https://green:1\", {tls} }}\n      backend: {{ grpc: \"https://b:1\", tls: {{ ca: b.pem }} }}"
    ));
    let table = upstream.under(Path::new("/plans/a"));
    assert_eq!(table.transport.tls.ca.as_deref(), Some("/plans/a/ca.pem"));
    assert_eq!(table.transport.tls.identity, identity("/plans/a/../client.pem", "/etc/client.key"));
    assert_eq!(table.backend_transport.tls.ca.as_deref(), Some("/plans/a/b.pem"));
    assert_eq!(upstream.transport.tls.ca.as_deref(), Some("ca.pem"), "the plan, and so its digest, stays as it was");

    let plan = accepted(&[(GREEN, "otlp: { grpc: \"https://green:1\", tls: { ca: ca.pem } }")]);
    let start = crate::Start {
        rollout: crate::RolloutId("a.1".to_owned()),
        plan_digest: plan.digest(),
        plan,
        by: crate::Principal::new("alice", Vec::new()),
        program: "0".to_owned(),
        route_key: model::RouteKey([0; 16]),
        base_dir: "/plans/a".to_owned(),
        log: "test".into(),
        last_generation: 0,
    };
    let started = crate::start(&start, UnixMillis(0));
    let published = started.state.table.upstreams.green.expect("green is there");
    assert_eq!(published.transport.tls.ca.as_deref(), Some("/plans/a/ca.pem"));
    assert_eq!(started.state.plan, start.plan);
}

/// Ledgers hold plans and tables from before there was TLS.
#[test]
fn what_was_stored_before_is_read() {
    let stored = r#"{"endpoint":"http://a:1","protocol":"grpc","tap":"blue","backend":"http://b:1"}"#;
    let upstream: Upstream = serde_json::from_str(stored).unwrap();
    let backend = Some("http://b:1".to_owned());
    assert_eq!(upstream, Upstream { backend, ..Upstream::plain("http://a:1", Protocol::Grpc, "blue") });
    assert_eq!(serde_json::to_string(&upstream).unwrap(), stored);
}
