//! `verdigris serve`, and the rollouts that make it split or mirror.

use super::{POLL, Protocol, Proxy, START_LIMIT, Stage, free_port};
use crate::bench::running::{Running, Side, pause};
use crate::process;
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::fs;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the gateway does with a trace.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Traffic {
    /// Without a rollout: everything to blue.
    PassThrough,
    /// Without a rollout, and blue is down: everything to the disk.
    Durable,
    /// In a rollout that stands at a weight of 50%.
    Split,
    /// In a rollout whose first step mirrors.
    Mirror {
        /// Whether the sinks are told of the taps.
        taps: bool,
    },
}

pub fn start(stage: &Stage<'_>, traffic: Traffic) -> Result<Proxy> {
    let blue = if traffic == Traffic::Durable { free_port()? } else { stage.ground.sinks[0] };
    let mut server = serve(stage, blue)?;
    match traffic {
        Traffic::PassThrough | Traffic::Durable => return server.proxy(stage.protocol),
        Traffic::Split => server.roll_out(stage, "setWeight: 50%", "pause: {}")?,
        // Longer than any measurement.
        Traffic::Mirror { .. } => server.roll_out(stage, "mirror: { for: 1h }", "pause: {}")?,
    }
    let api = Some(server.socket.clone());
    let taps = match traffic {
        Traffic::Mirror { taps: true } => {
            let tap = |name: &str| address(&server.said["listening"]["taps"][name]["grpc"]);
            Some([tap("blue")?, tap("green")?])
        }
        Traffic::PassThrough | Traffic::Durable | Traffic::Split | Traffic::Mirror { taps: false } => None,
    };
    Ok(Proxy { api, taps, ..server.proxy(stage.protocol)? })
}

/// Views that verification did not get to see, since the server's start.
pub fn views_missed(api: &Path) -> Result<u64> {
    let status = status(api)?;
    status["gateway"]["viewsMissed"].as_u64().with_context(|| format!("no gateway.viewsMissed in {status}"))
}

struct Server {
    running: Running,
    /// What it said when it was ready.
    said: Value,
    socket: PathBuf,
}

/// A server without a rollout.
fn serve(stage: &Stage<'_>, blue: SocketAddr) -> Result<Server> {
    let key = stage.protocol.key();
    let any = r#"{ grpc: "127.0.0.1:0", http: "127.0.0.1:0" }"#;
    let config = format!(
        "listen: {any}\ntaps:\n  blue: {any}\n  green: {any}\nserving:\n  otlp: {{ {key}: \"http://{blue}\" }}\ndata: data\nweb: {{ enabled: false }}\n"
    );
    let path = stage.folder.join("verdigris.yaml");
    fs::write(&path, config)?;
    let path = path.to_str().context("the temporary folder's name is no UTF-8")?;
    let arguments = ["serve", "--config", path, "--format", "json"];
    let ground = stage.ground;
    let mut running = ground.launcher.start(Side::Proxy, &ground.verdigris, &arguments, &stage.folder.join("log"))?;
    let line = running.line(START_LIMIT)?;
    let said: Value = serde_json::from_str(&line).with_context(|| format!("not JSON: {line}"))?;
    let socket = said["socket"].as_str().with_context(|| format!("no socket in {line}"))?.into();
    Ok(Server { running, said, socket })
}

impl Server {
    fn proxy(self, protocol: Protocol) -> Result<Proxy> {
        let address = address(&self.said["listening"]["gateway"][protocol.key()])?;
        Ok(Proxy { running: self.running, address, taps: None, api: None })
    }

    /// Starts a rollout and waits until the gateway does what its first step says. The first shift comes one `pin` later,
    /// so that is short. What is not in a tap is a loss only after verification's horizon, minutes later.
    fn roll_out(&mut self, stage: &Stage<'_>, first: &str, second: &str) -> Result<()> {
        let ([blue, green], key) = (stage.ground.sinks, stage.protocol.key());
        let plan = format!(
            r#"apiVersion: verdigris.dev/v1alpha1
kind: Rollout
metadata: {{ name: bench, change: BENCH, reason: measures the gateway, impact: none }}
spec:
  subject: pipeline
  pin: 2s
  environments:
    blue: {{ version: "1", otlp: {{ {key}: "http://{blue}" }} }}
    green: {{ version: "2", otlp: {{ {key}: "http://{green}" }} }}
  strategy:
    steps:
      - {first}
      - {second}
      - setWeight: 100%
      - bake: {{ for: 1m }}
  canary: off
  guards:
    spanLoss: {{ atMost: 0.1% }}
"#
        );
        let path = stage.folder.join("plan.yaml");
        fs::write(&path, plan)?;
        let rollout = |arguments: &[&Path]| {
            let mut command = Command::new(&stage.ground.verdigris);
            command.args(["rollout", "--format", "json"]).args(arguments).arg("--socket").arg(&self.socket);
            process::read(&mut command)
        };
        rollout(&[Path::new("start"), &path])?;
        for _ in 0..START_LIMIT.as_millis() / POLL.as_millis() {
            self.running.alive()?;
            let text = rollout(&[Path::new("status")])?;
            let report: Value = serde_json::from_str(&text).with_context(|| format!("not JSON: {text}"))?;
            ensure!(report["progress"] != "rolledBack", "the rollout was rolled back: {}", report["cause"]);
            let does = report["weightOrdered"].as_u64() > Some(0) || report["mirror"] == true;
            if does && status(&self.socket)?["gateway"]["generation"] == report["generation"] {
                return Ok(());
            }
            pause(POLL);
        }
        Err(self.running.failed(&format!("has not begun with `{first}` after {} s", START_LIMIT.as_secs())))
    }
}

fn address(said: &Value) -> Result<SocketAddr> {
    let address = said.as_str().and_then(|address| address.parse().ok());
    address.with_context(|| format!("expected the address of a port, found {said}"))
}

/// An answer is about 1 KiB.
const MAX_ANSWER_BYTES: u64 = 64 << 10;

/// `GET /v1/status`, as HTTP/1.0: the answer ends with the connection, and no client is needed.
fn status(socket: &Path) -> Result<Value> {
    let ask = || {
        let mut stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(START_LIMIT))?;
        stream.write_all(b"GET /v1/status HTTP/1.0\r\nHost: verdigris\r\n\r\n")?;
        let mut answer = String::new();
        stream.take(MAX_ANSWER_BYTES).read_to_string(&mut answer)?;
        Ok::<_, std::io::Error>(answer)
    };
    let answer = ask().with_context(|| format!("cannot ask {}", socket.display()))?;
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body);
    body.and_then(|body| serde_json::from_str(body).ok()).with_context(|| format!("an answer without JSON: {answer}"))
}
