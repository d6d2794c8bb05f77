//! The real collector and the real clients, as `cargo xtask e2e-setup` installs them.

use crate::process::{Process, Ran, root};
use crate::wait::{eventually, seconds};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use tokio::net::TcpSocket;

/// Rotel listens within a second; with a Python processor within three.
const START_LIMIT: std::time::Duration = seconds(30);

/// The interpreter that has the OpenTelemetry SDK.
pub(crate) fn python() -> PathBuf {
    if let Some(python) = std::env::var_os("VERDIGRIS_E2E_PYTHON") {
        return PathBuf::from(python);
    }
    let python = root().join("target/e2e/venv/bin/python");
    assert!(
        python.exists(),
        "the real clients and collectors are not installed: run `cargo xtask e2e-setup`, or name a Python that has them \
         in VERDIGRIS_E2E_PYTHON"
    );
    python
}

/// The interpreter that has the exporters of the time before OTLP: in the environment beside the other.
pub(crate) fn legacy_python() -> PathBuf {
    let environments = python().ancestors().nth(3).map(Path::to_owned).expect("an interpreter lies in VENV/bin");
    let python = environments.join("legacy-venv/bin/python");
    assert!(python.exists(), "the old senders are not installed: run `cargo xtask e2e-setup`");
    python
}

/// The folder of `node`, and of `node_modules` with the OpenTelemetry SDK.
pub(crate) fn node() -> PathBuf {
    if let Some(node) = std::env::var_os("VERDIGRIS_E2E_NODE") {
        return PathBuf::from(node);
    }
    let node = root().join("target/e2e/node");
    assert!(
        node.exists(),
        "the real JavaScript clients are not installed: run `cargo xtask e2e-setup`, or name a folder that has them in \
         VERDIGRIS_E2E_NODE"
    );
    node
}

/// A port that the system chose and that nobody else gets: bound, but not listened on, so that the program that it is
/// meant for can (both sides set SO_REUSEADDR). While it is held, a client that tries again and again to reach a
/// program that is being restarted is not given it as its own port either.
pub(crate) struct ReservedPort {
    pub(crate) address: SocketAddr,
    _socket: TcpSocket,
}

impl ReservedPort {
    pub(crate) fn any() -> ReservedPort {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_reuseaddr(true).expect("an option that Linux has");
        socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).expect("a free port");
        ReservedPort { address: socket.local_addr().expect("it is bound"), _socket: socket }
    }
}

/// What a Rotel does to the spans on their way.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Processor {
    None,
    /// Every span of this service is dropped.
    DropService(&'static str),
    /// The spans whose id is divisible by 100 are dropped.
    DropOnePercent,
    /// The attribute `payment.note` is masked.
    MaskNote,
}

/// A Rotel collector: OTLP/gRPC in, OTLP/gRPC out to one place.
pub(crate) struct Rotel {
    process: Process,
    pub(crate) endpoint: String,
    _ports: [ReservedPort; 2],
}

impl Rotel {
    /// For OTLP/gRPC and OTLP/HTTP. It cannot say which ports it got, so they are chosen before.
    pub(crate) fn ports() -> [ReservedPort; 2] {
        [ReservedPort::any(), ReservedPort::any()]
    }

    pub(crate) fn start(ports: [ReservedPort; 2], exporter: &str, processor: Processor) -> Rotel {
        let agent = python().parent().expect("an interpreter lies in a folder").join("rotel-agent");
        let [grpc, http] = &ports;
        let mut command = Command::new(agent);
        command.arg("start");
        for (option, value) in [
            ("--otlp-grpc-endpoint", grpc.address.to_string()),
            ("--otlp-http-endpoint", http.address.to_string()),
            ("--otlp-exporter-endpoint", exporter.to_owned()),
            ("--otlp-exporter-protocol", "grpc".to_owned()),
            ("--otlp-exporter-compression", "none".to_owned()),
            ("--batch-timeout", "100ms".to_owned()),
            // By default it tries again after 5 s; what it had to send again must come out within the plan's horizon.
            ("--otlp-exporter-retry-initial-backoff", "200ms".to_owned()),
            ("--otlp-exporter-retry-max-backoff", "1s".to_owned()),
        ] {
            command.arg(option).arg(value);
        }
        let script = |name: &str| root().join("e2e/processors").join(name);
        match processor {
            Processor::None => {}
            Processor::DropService(service) => {
                command.env("VERDIGRIS_E2E_DROP_SERVICE", service);
                command.arg("--otlp-with-trace-processor").arg(script("drop_service.py"));
            }
            Processor::DropOnePercent => {
                command.arg("--otlp-with-trace-processor").arg(script("drop_one_percent.py"));
            }
            Processor::MaskNote => {
                command.arg("--otlp-with-trace-processor").arg(script("mask_note.py"));
            }
        }
        let mut process = Process::start(&format!("rotel at {}", grpc.address), &mut command);
        eventually("rotel to listen", START_LIMIT, || {
            assert!(process.ended().is_none(), "rotel ended: {}{}", process.stdout(), process.stderr());
            TcpStream::connect(grpc.address).ok()
        });
        Rotel { process, endpoint: format!("http://{}", grpc.address), _ports: ports }
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.process.kill();
    }
}

/// The protocol of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Grpc,
    Http,
}

impl Protocol {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Protocol::Grpc => "grpc",
            Protocol::Http => "http",
        }
    }
}

/// The real traces on their way to the gateway.
pub(crate) struct Replay {
    process: Process,
    acked: PathBuf,
}

impl Replay {
    /// Sends without end. The seed gives the traces ids of their own.
    pub(crate) fn start(
        folder: &Path,
        protocol: Protocol,
        endpoint: &str,
        (seed, rate): (u32, f64),
        note: Option<&str>,
    ) -> Replay {
        let acked = folder.join(format!("acked-{seed}"));
        let mut command = Command::new(python());
        command.arg(root().join("e2e/nezha_replay.py")).arg(root().join("e2e/data/nezha/online-boutique-2022-08-22"));
        command.args(["--endpoint", endpoint, "--protocol", protocol.name(), "--gzip", "--exporters", "2"]);
        command.args(["--seed", &seed.to_string(), "--rate", &rate.to_string()]).arg("--acked").arg(&acked);
        if let Some(note) = note {
            command.args(["--note", note]);
        }
        Replay { process: Process::start(&format!("replay over {}", protocol.name()), &mut command), acked }
    }

    /// Waits until the first spans were acknowledged.
    pub(crate) fn flows(&mut self) {
        eventually("the first acknowledged spans", seconds(60), || {
            assert!(self.process.ended().is_none(), "the replay ended: {}", self.process.stderr());
            std::fs::metadata(&self.acked).is_ok_and(|file| file.len() > 0).then_some(())
        });
    }

    /// Ends it. The keys of all spans that were acknowledged: trace id, span id, kind.
    pub(crate) fn stop(self) -> (Ran, String) {
        self.process.terminate();
        let ran = self.process.wait(seconds(60));
        let acked = std::fs::read_to_string(&self.acked).expect("the replay wrote it");
        (ran, acked)
    }
}
