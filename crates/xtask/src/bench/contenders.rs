//! What is measured: ours, Rotel, and no proxy at all, each started afresh on ports that the system chose.

use super::running::{Launcher, Running, Side};
use crate::process;
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Who stands between the generator and the sinks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Contender {
    /// Nobody: what the generator and the sink can do.
    NoProxy,
    /// Rotel: acknowledges when it has queued, collects batches of up to 8,192 spans, and sends them with gzip, which this
    /// version does whatever it is told.
    Rotel,
    /// Rotel with its exporter `blackhole`: it takes, decodes and batches, and throws away. What it would cost without
    /// gzip is more than this, and less than the whole.
    RotelDiscarding,
    /// `verdigris serve` without a rollout: everything to one sink, acknowledged when that has acknowledged it.
    PassThrough,
    /// `verdigris serve` in a rollout at 50%: every request is split, and verified as far as that keeps up.
    Split,
}

/// A contender that is ready.
pub struct Proxy {
    pub running: Running,
    pub grpc: SocketAddr,
}

/// What contenders are started from.
pub struct Ground {
    pub launcher: Launcher,
    pub verdigris: PathBuf,
    pub rotel: PathBuf,
    /// Where the sinks listen: the only one, or blue's; and green's.
    pub sinks: [SocketAddr; 2],
    /// A folder for configurations, data and logs.
    pub folder: PathBuf,
}

/// Until a proxy is ready. Verdigris writes its first records, Rotel loads Python.
const START_LIMIT: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(50);

/// The weight of the split, in basis points.
const SPLIT_WEIGHT: u64 = 5_000;

impl Contender {
    pub const ALL: [Contender; 5] =
        [Contender::NoProxy, Contender::Rotel, Contender::RotelDiscarding, Contender::PassThrough, Contender::Split];

    pub fn name(self) -> &'static str {
        match self {
            Contender::NoProxy => "no proxy",
            Contender::Rotel => "Rotel",
            Contender::RotelDiscarding => "Rotel, sends nothing",
            Contender::PassThrough => "ours, pass-through",
            Contender::Split => "ours, split 50%",
        }
    }

    /// Whether green's sink must get about half of the spans.
    pub fn splits(self) -> bool {
        match self {
            Contender::Split => true,
            Contender::NoProxy | Contender::Rotel | Contender::RotelDiscarding | Contender::PassThrough => false,
        }
    }

    /// Whether nothing must come out.
    pub fn discards(self) -> bool {
        match self {
            Contender::RotelDiscarding => true,
            Contender::NoProxy | Contender::Rotel | Contender::PassThrough | Contender::Split => false,
        }
    }

    /// Starts it in an empty folder of its own, and waits until it takes requests.
    pub fn start(self, ground: &Ground) -> Result<Option<Proxy>> {
        let folder = ground.folder.join("contender");
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let started = match self {
            Contender::NoProxy => return Ok(None),
            Contender::Rotel => {
                let sink = format!("http://{}", ground.sinks[0]);
                rotel(ground, &folder, &["--otlp-exporter-endpoint", &sink, "--otlp-exporter-protocol", "grpc"])
            }
            Contender::RotelDiscarding => rotel(ground, &folder, &["--exporter", "blackhole"]),
            Contender::PassThrough => verdigris(ground, &folder).map(|(proxy, _)| proxy),
            Contender::Split => verdigris(ground, &folder).and_then(|(proxy, socket)| {
                begin_split(ground, &folder, &socket)?;
                Ok(proxy)
            }),
        };
        started.map(Some).with_context(|| format!("cannot start {}", self.name()))
    }
}

/// Rotel on free ports, with such an exporter.
fn rotel(ground: &Ground, folder: &Path, exporter: &[&str]) -> Result<Proxy> {
    let (grpc, http) = (free_port()?, free_port()?);
    let (grpc_text, http_text) = (grpc.to_string(), http.to_string());
    let receiver = ["start", "--otlp-grpc-endpoint", &grpc_text, "--otlp-http-endpoint", &http_text];
    let arguments = [&receiver[..], exporter].concat();
    let mut running = ground.launcher.start(Side::Proxy, &ground.rotel, &arguments, &folder.join("log"))?;
    for _ in 0..START_LIMIT.as_millis() / POLL.as_millis() {
        running.alive()?;
        if TcpStream::connect(grpc).is_ok() {
            return Ok(Proxy { running, grpc });
        }
        pause();
    }
    Err(running.failed(&format!("does not listen on {grpc} after {} s", START_LIMIT.as_secs())))
}

/// A server without a rollout, and its socket.
fn verdigris(ground: &Ground, folder: &Path) -> Result<(Proxy, PathBuf)> {
    let sink = ground.sinks[0];
    let any = r#"{ grpc: "127.0.0.1:0", http: "127.0.0.1:0" }"#;
    let config = format!(
        "listen: {any}\ntaps:\n  blue: {any}\n  green: {any}\nserving:\n  otlp: {{ grpc: \"http://{sink}\" }}\ndata: data\n"
    );
    let path = folder.join("verdigris.yaml");
    fs::write(&path, config)?;
    let path = path.to_str().context("the temporary folder's name is no UTF-8")?;
    let arguments = ["serve", "--config", path, "--format", "json"];
    let mut running = ground.launcher.start(Side::Proxy, &ground.verdigris, &arguments, &folder.join("log"))?;
    let line = running.line(START_LIMIT)?;
    let said: Value = serde_json::from_str(&line).with_context(|| format!("not JSON: {line}"))?;
    let grpc = said["listening"]["gateway"]["grpc"].as_str().and_then(|address| address.parse().ok());
    let grpc = grpc.with_context(|| format!("no gateway address in {line}"))?;
    let socket = said["socket"].as_str().with_context(|| format!("no socket in {line}"))?.into();
    Ok((Proxy { running, grpc }, socket))
}

/// Starts a rollout that goes to 50% and waits there for a person. The first shift comes one `pin` later, so that is
/// short, and still longer than a phase of the default length, so that every trace of it is remembered. Nothing comes out
/// of the sinks into the taps, so verification sees what was sent alone; until its horizon, minutes from then, that is no
/// loss.
fn begin_split(ground: &Ground, folder: &Path, socket: &Path) -> Result<()> {
    let [blue, green] = ground.sinks;
    let plan = format!(
        r#"apiVersion: verdigris.dev/v1alpha1
kind: Rollout
metadata: {{ name: bench, change: BENCH, reason: measures the split, impact: none }}
spec:
  subject: pipeline
  pin: 5s
  environments:
    blue: {{ version: "1", otlp: {{ grpc: "http://{blue}" }} }}
    green: {{ version: "2", otlp: {{ grpc: "http://{green}" }} }}
  strategy:
    steps:
      - setWeight: 50%
      - pause: {{}}
      - setWeight: 100%
      - bake: {{ for: 1m }}
  guards:
    spanLoss: {{ atMost: 0.1% }}
"#
    );
    let path = folder.join("plan.yaml");
    fs::write(&path, plan)?;
    let rollout = |arguments: &[&Path]| {
        let mut command = Command::new(&ground.verdigris);
        command.args(["rollout", "--format", "json"]).args(arguments).arg("--socket").arg(socket);
        process::read(&mut command)
    };
    rollout(&[Path::new("start"), &path])?;
    for _ in 0..START_LIMIT.as_millis() / POLL.as_millis() {
        let text = rollout(&[Path::new("status")])?;
        let status: Value = serde_json::from_str(&text).with_context(|| format!("not JSON: {text}"))?;
        if status["weightObserved"] == SPLIT_WEIGHT {
            return Ok(());
        }
        ensure!(status["progress"] != "rolledBack", "the rollout was rolled back: {}", status["cause"]);
        pause();
    }
    anyhow::bail!("the weight of 50% was not applied within {} s", START_LIMIT.as_secs())
}

/// A port that nobody has now. Somebody else could take it before Rotel does; then Rotel says so, and it is run again.
fn free_port() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

#[expect(
    clippy::disallowed_methods,
    reason = "another program tells nobody when its port opens, or its weight applies"
)]
fn pause() {
    std::thread::sleep(POLL);
}
