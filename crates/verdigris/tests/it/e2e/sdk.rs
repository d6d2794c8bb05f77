//! The Python OpenTelemetry SDK against the gateway: every protocol and compression that it has, all three signals.

use super::peers::{Protocol, python};
use crate::process::{Process, root};
use crate::stage::Stage;
use crate::wait::seconds;
use std::process::Command;

/// Ten traces of six spans, a counter and a histogram of one point each, and one log record.
fn check(protocol: Protocol, gzip: bool) {
    let stage = Stage::set();
    let endpoint = match protocol {
        Protocol::Grpc => stage.server.grpc(),
        Protocol::Http => stage.server.http(),
    };
    let mut command = Command::new(python());
    command.arg(root().join("e2e/sdk_client.py")).args(["--endpoint", &endpoint, "--protocol", protocol.name()]);
    command.args(["--traces", "10", "--error-every", "3", "--signals", "traces,metrics,logs"]);
    command.args(gzip.then_some("--gzip"));
    let ran = Process::start("the SDK", &mut command).wait(seconds(60)).expect(0);
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
