//! A server between real parts: real traces from the real SDK, two Rotel collectors as blue and green, and back ends that
//! know every span that they were given.

use super::peers::{Processor, Protocol, Replay, ReservedPort, Rotel};
use crate::plan::{Environment, Plan};
use crate::process::{Process, run};
use crate::server::{Addresses, Config, Server};
use crate::stage::runtime;
use crate::wait::{eventually, seconds};
use opentelemetry_proto::tonic::trace::v1::Span;
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;
use verdigris::demo::backend::Backend;
use verdigris::demo::fault::Fault;
use verdigris::demo::keys::{SpanKey, SpanKeys};
use verdigris::demo::pipeline::{Pipeline, PipelineConfig};

/// Traces a second, over all replays: 1,600 spans, of which Python makes about 4,000 a second.
pub(crate) const RATE: f64 = 50.0;
/// Mirror, three analyses of 13 s at least, and a bake: 50 s; the rest is for a machine that has other things to do.
pub(crate) const ROLLOUT_LIMIT: Duration = seconds(240);
/// Rotel has batched already.
const FORWARDER_BATCH_MS: u64 = 20;
/// What was acknowledged is on its way for 100 ms in Rotel's batch, and for a second when it is sent again.
const DELIVERY_LIMIT: Duration = seconds(30);

/// Where the tap gets what came out of a collector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tapping {
    /// The collector's only exporter leads to the tap, which hands on to the back end.
    InLine,
    /// The collector's exporter leads to a forwarder beside it, which puts out to the back end and a copy to the tap, as
    /// a collector with two exporters does. (Rotel has one. When Verdigris is killed, what Rotel was just exporting to
    /// it is dropped by Rotel: `Exporting failed, dropping data … ConnectionReset`. That loss says nothing about
    /// Verdigris, so the tests that kill it keep it out of Rotel's way.)
    Copy,
}

/// A collector and what is behind it.
struct Side {
    rotel: Rotel,
    backend: Backend,
    _forwarder: Option<Pipeline>,
}

/// Every part, the traffic flowing.
pub(crate) struct Lab {
    replays: Vec<Replay>,
    pub(crate) server: Server,
    tapping: Tapping,
    blue: Side,
    green: Side,
    _runtime: Runtime,
    folder: tempfile::TempDir,
    _ports: [ReservedPort; 4],
}

impl Lab {
    /// Waits until the first spans were acknowledged.
    pub(crate) fn open(green: Processor, tapping: Tapping, protocols: &[Protocol]) -> Lab {
        Lab::between(Processor::None, green, tapping, protocols, None)
    }

    /// The apps of this one write a note into every trace.
    pub(crate) fn between(
        blue: Processor,
        green: Processor,
        tapping: Tapping,
        protocols: &[Protocol],
        note: Option<&str>,
    ) -> Lab {
        let runtime = runtime();
        let backend = || runtime.block_on(Backend::start()).expect("a free port");
        let (blue_backend, green_backend) = (backend(), backend());
        let folder = tempfile::tempdir().expect("a temporary folder");
        // Its ports stay its own while it is killed and started again.
        let ports = [(); 4].map(|()| ReservedPort::any());
        let [grpc, http, blue_tap, green_tap] = ports.each_ref().map(|port| port.address);
        let (blue_ports, green_ports) = (Rotel::ports(), Rotel::ports());
        let server = Server::start(
            folder.path(),
            &Config {
                backend: tapping.backend(&blue_backend),
                addresses: Some(Addresses { grpc, http, blue_tap, green_tap }),
                ..Config::of(&format!("http://{}", blue_ports[0].address))
            },
        );
        let side = |ports, processor, backend: Backend, tap: SocketAddr| {
            let tap = format!("http://{tap}");
            let forwarder = match tapping {
                Tapping::InLine => None,
                Tapping::Copy => Some(runtime.block_on(forward(&backend, &tap))),
            };
            let exporter = forwarder.as_ref().map_or(tap, Pipeline::endpoint);
            Side { rotel: Rotel::start(ports, &exporter, processor), backend, _forwarder: forwarder }
        };
        let blue = side(blue_ports, blue, blue_backend, blue_tap);
        let green = side(green_ports, green, green_backend, green_tap);
        let rate = RATE / protocols.len() as f64;
        let replay = |(seed, protocol): (u32, &Protocol)| {
            let endpoint = match protocol {
                Protocol::Grpc => server.grpc(),
                Protocol::Http => server.http(),
            };
            Replay::start(folder.path(), *protocol, &endpoint, (seed, rate), note)
        };
        let mut replays: Vec<Replay> = (1..).zip(protocols).map(replay).collect();
        replays.iter_mut().for_each(Replay::flows);
        Lab { replays, server, tapping, blue, green, _runtime: runtime, folder, _ports: ports }
    }

    /// The rollout of every test here, with margins that a minute of this traffic can prove. Green serves nothing before
    /// copies of the traffic have proved it, so that a bad green costs nothing, however slow the machine is.
    pub(crate) fn start_rollout(&self) -> Process {
        self.server.start_and_watch(&self.plan().write(self.folder.path()))
    }

    /// The same, behind a drift gate that compares these two texts as configurations of a collector.
    pub(crate) fn start_rollout_comparing(&self, blue: &str, green: &str, gates: &'static str) -> Process {
        let mut plan = self.plan();
        for (environment, name, text) in [(&mut plan.blue, "blue", blue), (&mut plan.green, "green", green)] {
            let folder = self.folder.path().join(name);
            std::fs::create_dir(&folder).expect("the folder is ours");
            std::fs::write(folder.join("collector.yaml"), text).expect("the folder is ours");
            environment.config = Some(format!("./{name}"));
        }
        plan.steps.insert(0, "gate: drift");
        let plan = Plan { gates, ..plan };
        self.server.start_and_watch(&plan.write(self.folder.path()))
    }

    fn plan(&self) -> Plan {
        let environment = |side: &Side| Environment {
            backend: self.tapping.backend(&side.backend),
            ..Environment::at(&side.rotel.endpoint)
        };
        Plan {
            guards: "{ spanLoss: { atMost: 5% }, errorRate: { worseThanActiveBy: 5% }, blindSpots: { atMost: 0 }, \
                     findings: { worseThanActiveBy: 5% } }",
            horizon: "8s",
            linger: "2s",
            pin: "5s",
            rate: RATE,
            ..Plan::of(
                environment(&self.blue),
                environment(&self.green),
                &[
                    "gate: probe",
                    "mirror: { for: 2s }",
                    "analysis: { until: conclusive, atMost: 90s }",
                    "setWeight: 10%",
                    "analysis: { until: conclusive, atMost: 90s }",
                    "setWeight: 50%",
                    "analysis: { until: conclusive, atMost: 90s }",
                    "setWeight: 100%",
                    "bake: { for: 5s }",
                ],
            )
        }
    }

    /// SIGKILL.
    pub(crate) fn kill_green(&mut self) {
        self.green.rotel.kill();
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
        let backends = [&self.blue.backend, &self.green.backend];
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
            let ledger = self.server.ledger().display().to_string();
            let shown = run(&["ledger", "show", "--decisions", "--dir", &ledger]).stdout;
            eprintln!("--- the decisions in the ledger:\n{shown}");
        }
    }
}

impl Tapping {
    /// What the plan says of the tap's back end.
    fn backend(self, backend: &Backend) -> Option<String> {
        (self == Tapping::InLine).then(|| backend.endpoint())
    }
}

async fn forward(backend: &Backend, tap: &str) -> Pipeline {
    let config = PipelineConfig {
        backend: Some(backend.endpoint()),
        tap: tap.to_owned(),
        fault: Fault::None,
        batch_ms: FORWARDER_BATCH_MS,
        // It is read for statistics of faults alone.
        clock: Arc::new(|| 0),
        seed: 1,
    };
    Pipeline::start(config).await.expect("a free port")
}

/// What a watched rollout ended with: exit code, report.
pub(crate) fn outcome(watching: Process) -> (i32, Value) {
    let ran = watching.wait(ROLLOUT_LIMIT);
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
