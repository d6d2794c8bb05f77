//! Ports for debugging and profiling that are open at an endpoint's host. Only these few, and only there: this is no
//! scanner.

use super::endpoint::Endpoint;
use posture::{Fact, Value};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// A port that is filtered does not answer at all.
const PORT_LIMIT: Duration = Duration::from_secs(1);
/// Ports that are tried at a host.
const MAX_PORTS: usize = 32;

/// A port that should not be open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DebugPort {
    /// Its number.
    pub port: u16,
    /// What listens there usually: `pprof`.
    pub what: String,
}

/// What is tried without a plan's word: numbers with their usual names.
pub const DEBUG_PORTS: [(u16, &str); 7] = [
    (1777, "pprof of the OpenTelemetry Collector"),
    (55679, "zPages of the OpenTelemetry Collector"),
    (6060, "pprof or expvar of Go"),
    (9901, "administration of Envoy"),
    (15000, "administration of Istio's Envoy"),
    (5005, "debugger of Java"),
    (9229, "inspector of Node.js"),
];

impl DebugPort {
    /// [`DEBUG_PORTS`].
    pub fn usual() -> Vec<DebugPort> {
        DEBUG_PORTS.into_iter().map(|(port, what)| DebugPort { port, what: what.to_owned() }).collect()
    }
}

/// Tries each, one after the other. Nothing is sent.
pub(super) async fn ask(endpoint: &Endpoint, ports: &[DebugPort]) -> Fact {
    let mut open = BTreeSet::new();
    let tried = ports.iter().filter(|one| one.port != endpoint.port).take(MAX_PORTS);
    for DebugPort { port, what } in tried.clone() {
        let connected = timeout(PORT_LIMIT, TcpStream::connect((endpoint.host.as_str(), *port))).await;
        if matches!(connected, Ok(Ok(_))) {
            open.insert(format!("{port} ({what})"));
        }
    }
    let seen = format!("{} of {} ports accept connections", open.len(), tried.count());
    Fact::known(Value::Accepts(open), seen)
}
