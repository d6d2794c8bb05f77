//! A server between real parts: the real traces come from the real SDK, blue and green are Rotel collectors whose
//! exporters lead to the server's taps, and the taps hand on to back ends that know every span that they were given.

use super::peers::{Processor, Protocol, Replay, ReservedPort, Rotel};
use crate::plan::{Environment, Plan};
use crate::process::{Process, Ran};
use crate::server::{Config, Server};
use crate::stage::runtime;
use crate::wait::{eventually, seconds};
use opentelemetry_proto::tonic::trace::v1::Span;
use serde_json::Value;
use std::time::Duration;
use tokio::runtime::Runtime;
use verdigris::demo::backend::Backend;
use verdigris::demo::keys::{SpanKey, SpanKeys};

/// Traces a second, over all replays: 1,600 spans, of which Python makes about 4,000 a second.
pub(crate) const RATE: f64 = 50.0;
/// Mirror, three analyses of 13 s at least, and a bake: 60 s; the rest is for a machine that has other things to do.
pub(crate) const ROLLOUT_LIMIT: Duration = seconds(240);
/// What was acknowledged is on its way for 100 ms in Rotel's batch, and for a second when it is sent again.
const DELIVERY_LIMIT: Duration = seconds(30);

/// Every part, the traffic flowing.
pub(crate) struct Lab {
    replays: Vec<Replay>,
    pub(crate) server: Server,
    pub(crate) blue: Rotel,
    pub(crate) green: Rotel,
    blue_backend: Backend,
    green_backend: Backend,
    runtime: Runtime,
    folder: tempfile::TempDir,
}

impl Lab {
    /// Waits until the first spans were acknowledged.
    pub(crate) fn open(processor: Processor, protocols: &[Protocol]) -> Lab {
        let runtime = runtime();
        let backend = || runtime.block_on(Backend::start()).expect("a free port");
        let (blue_backend, green_backend) = (backend(), backend());
        let folder = tempfile::tempdir().expect("a temporary folder");
        let ports = || [ReservedPort::any(), ReservedPort::any()];
        let (blue, green) = (ports(), ports());
        let serving = format!("http://{}", blue[0].address);
        let config = Config { backend: Some(blue_backend.endpoint()), ..Config::of(&serving) };
        let server = Server::start(folder.path(), &config);
        // From now on it is restarted with the ports that it has.
        config.write(folder.path(), Some(server.addresses));
        let blue = Rotel::start(blue, server.addresses.blue_tap, Processor::None);
        let green = Rotel::start(green, server.addresses.green_tap, processor);
        let rate = RATE / protocols.len() as f64;
        let mut replays: Vec<Replay> = (1..)
            .zip(protocols)
            .map(|(seed, protocol)| {
                let endpoint = match protocol {
                    Protocol::Grpc => server.grpc(),
                    Protocol::Http => server.http(),
                };
                Replay::start(folder.path(), *protocol, &endpoint, seed, rate)
            })
            .collect();
        replays.iter_mut().for_each(Replay::flows);
        Lab { replays, server, blue, green, blue_backend, green_backend, runtime, folder }
    }

    /// The rollout of every test here: margins that a minute of this traffic can prove.
    pub(crate) fn start_rollout(&self) -> Process {
        let environment = |rotel: &Rotel, backend: &Backend| Environment {
            backend: Some(backend.endpoint()),
            ..Environment::at(&rotel.endpoint)
        };
        let plan = Plan {
            guards: "{ spanLoss: { atMost: 5% }, errorRate: { worseThanActiveBy: 5% }, blindSpots: { atMost: 0 }, \
                     findings: { worseThanActiveBy: 5% } }",
            horizon: "8s",
            linger: "2s",
            pin: "5s",
            rate: RATE,
            ..Plan::of(
                environment(&self.blue, &self.blue_backend),
                environment(&self.green, &self.green_backend),
                &[
                    "gate: probe",
                    "mirror: { for: 14s }",
                    "setWeight: 10%",
                    "analysis: { until: conclusive, atMost: 90s }",
                    "setWeight: 50%",
                    "analysis: { until: conclusive, atMost: 90s }",
                    "setWeight: 100%",
                    "bake: { for: 5s }",
                ],
            )
        };
        self.server.start_and_watch(&plan.write(self.folder.path()))
    }

    /// Ends the traffic, and waits until every span whose request was acknowledged was delivered to a back end.
    pub(crate) fn every_acknowledged_span_was_delivered(&mut self) {
        let mut acknowledged = SpanKeys::default();
        for replay in self.replays.drain(..) {
            let (ran, acked) = replay.stop();
            assert!(ran.stdout.contains("\"acknowledged\""), "the replay prints its totals: {ran:?}");
            for line in acked.lines() {
                acknowledged.insert(key(line));
            }
        }
        assert!(!acknowledged.is_empty(), "something was acknowledged");
        let backends = [&self.blue_backend, &self.green_backend];
        let delivered = || Backend::delivered_of(&acknowledged, &backends);
        let what = format!("{} acknowledged spans to be delivered ({} are)", acknowledged.len(), delivered());
        eventually(&what, DELIVERY_LIMIT, || (delivered() == acknowledged.len()).then_some(()));
    }

    /// The ledger of the running server holds, whoever asks.
    pub(crate) fn ledger_holds(&self) {
        let verified = self.server.ledger_command(&["verify"]).expect(0).json();
        assert_eq!(verified["verified"], true, "{verified}");
        assert_eq!(verified["keyPinned"], true, "{verified}");
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let show = self.server.ledger_command(&["show", "--decisions"]).stdout;
            let shown: Vec<&str> = show.lines().rev().take(30).collect();
            eprintln!("--- the ledger's last decisions, the newest first:\n{}", shown.join("\n"));
        }
        let _entered = self.runtime.enter();
    }
}

/// What a watched rollout ended with: exit code, report.
pub(crate) fn outcome(watching: Process) -> (i32, Value) {
    outcome_of(watching.wait(ROLLOUT_LIMIT))
}

fn outcome_of(ran: Ran) -> (i32, Value) {
    assert!(!ran.stdout.is_empty(), "it ended without a report: {ran:?}");
    (ran.code, ran.json())
}

/// A line of the replay's file: trace id, span id (both in hex) and kind.
fn key(line: &str) -> SpanKey {
    let mut fields = line.split(' ');
    let mut next = || fields.next().unwrap_or_else(|| panic!("{line:?} is no key"));
    let (trace, span, kind) = (next(), next(), next());
    let bytes = |hex: &str| -> Vec<u8> {
        let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).expect("the ids are in hex");
        (0..hex.len()).step_by(2).map(byte).collect()
    };
    let kind = kind.parse().expect("the kind is a number");
    SpanKey::of(&Span { trace_id: bytes(trace), span_id: bytes(span), kind, ..Span::default() })
}
