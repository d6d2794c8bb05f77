//! The Python OpenTelemetry SDK against the gateway: every protocol and compression that it has, all three signals.

use super::peers::{Protocol, python};
use crate::process::{Process, Ran, root};
use crate::stage::Stage;
use crate::tls::Secured;
use crate::wait::seconds;
use std::process::Command;

/// Ten traces of six spans, a counter and a histogram of one point each, and one log record.
fn client(endpoint: &str, protocol: Protocol, gzip: bool, more: &[&str]) -> Ran {
    let mut command = Command::new(python());
    command.arg(root().join("e2e/sdk_client.py")).args(["--endpoint", endpoint, "--protocol", protocol.name()]);
    command.args(["--traces", "10", "--error-every", "3", "--signals", "traces,metrics,logs"]);
    command.args(gzip.then_some("--gzip")).args(more);
    // `requests` prefers these to the file that it is told.
    command.env_remove("REQUESTS_CA_BUNDLE").env_remove("CURL_CA_BUNDLE");
    Process::start("the SDK", &mut command).wait(seconds(60))
}

fn check(protocol: Protocol, gzip: bool) {
    let stage = Stage::set();
    let endpoint = match protocol {
        Protocol::Grpc => stage.server.grpc(),
        Protocol::Http => stage.server.http(),
    };
    delivered(&stage, client(&endpoint, protocol, gzip, &[]));
}

/// Over TLS, the client's own certificate included.
fn check_mutual(protocol: Protocol, gzip: bool) {
    let files = Secured::new();
    let stage = files.stage();
    let endpoint = match protocol {
        Protocol::Grpc => stage.server.addresses.grpc,
        Protocol::Http => stage.server.addresses.http,
    };
    let endpoint = format!("https://localhost:{}", endpoint.port());
    let path = |name: &str| files.path(name).display().to_string();
    let [ca, cert, key] = ["ca.pem", "client.pem", "client.key"].map(path);
    delivered(&stage, client(&endpoint, protocol, gzip, &["--ca", &ca, "--cert", &cert, "--key", &key]));
    let refused = client(&endpoint, protocol, gzip, &["--ca", &ca, "--export-timeout", "1"]);
    assert_eq!(refused.expect(1).json()["exported"]["traces"]["acknowledged"], 0, "it showed no certificate");
    let plain = endpoint.replace("https://", "http://");
    let refused = client(&plain, protocol, gzip, &["--export-timeout", "1"]);
    assert_eq!(refused.expect(1).json()["exported"]["traces"]["acknowledged"], 0, "it spoke clear text");
    assert_eq!(stage.blue.stats().spans, 60, "and nothing of it went on");
}

fn delivered(stage: &Stage, ran: Ran) {
    let ran = ran.expect(0);
    assert_eq!(ran.json()["exported"]["traces"]["acknowledged"], 60, "{ran:?}");
    let stats = stage.blue.stats();
    assert_eq!(
        (stats.distinct, stats.spans, stats.traces),
        (60, 60, 10),
        "the serving environment has every span, once"
    );
    assert_eq!(stats.other_items, 3, "and two metric data points and a log record");
    assert_eq!(stage.green.stats().requests, 0, "the other environment has nothing");
}

#[test]
fn grpc() {
    check(Protocol::Grpc, false);
}

#[test]
fn grpc_with_gzip() {
    check(Protocol::Grpc, true);
}

#[test]
fn http_protobuf() {
    check(Protocol::Http, false);
}

#[test]
fn http_protobuf_with_gzip() {
    check(Protocol::Http, true);
}

#[test]
fn grpc_over_mutual_tls_with_gzip() {
    check_mutual(Protocol::Grpc, true);
}

#[test]
fn http_protobuf_over_mutual_tls_with_gzip() {
    check_mutual(Protocol::Http, true);
}
