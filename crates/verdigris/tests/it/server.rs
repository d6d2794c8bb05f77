//! `verdigris serve` with a configuration, a data folder and a socket of its own.

use crate::process::{Process, Ran, run_within, verdigris};
use crate::wait::{eventually_with_few_looks, seconds};
use serde_json::Value;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A server prints its addresses when it serves; with a debug binary on a busy machine that took 2 s at most.
pub(crate) const START_LIMIT: Duration = seconds(30);
const COMMAND_LIMIT: Duration = seconds(40);

/// What verdigris.yaml says.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// The endpoint of the environment that serves before any rollout.
    pub(crate) serving: String,
    /// Where its tap hands on to, if the tap stands in line.
    pub(crate) backend: Option<String>,
    /// The addresses; without them, every port is the system's choice.
    pub(crate) addresses: Option<Addresses>,
    /// More keys of `serving.otlp`, from a comma on.
    pub(crate) serving_more: String,
    /// More keys of `listen`, from a comma on.
    pub(crate) listen_more: String,
    /// More lines.
    pub(crate) more: String,
}

/// Where a server listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Addresses {
    pub(crate) grpc: SocketAddr,
    pub(crate) http: SocketAddr,
    pub(crate) blue_tap: SocketAddr,
    pub(crate) green_tap: SocketAddr,
}

/// A server that answers.
pub(crate) struct Server {
    process: Process,
    config: PathBuf,
    pub(crate) addresses: Addresses,
    /// The line that it printed when it began to serve.
    pub(crate) said: Value,
}

impl Config {
    pub(crate) fn of(serving: &str) -> Config {
        Config {
            serving: serving.to_owned(),
            backend: None,
            addresses: None,
            serving_more: String::new(),
            listen_more: String::new(),
            more: String::new(),
        }
    }

    /// Writes verdigris.yaml into the folder.
    pub(crate) fn write(&self, folder: &Path) -> PathBuf {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let Addresses { grpc, http, blue_tap, green_tap } =
            self.addresses.unwrap_or(Addresses { grpc: any, http: any, blue_tap: any, green_tap: any });
        let backend = self.backend.as_ref().map(|backend| format!(", backend: \"{backend}\"")).unwrap_or_default();
        let mut yaml = format!(
            "listen: {{ grpc: \"{grpc}\", http: \"{http}\"{} }}\n\
             taps:\n  blue: {{ grpc: \"{blue_tap}\", http: \"{any}\" }}\n  green: {{ grpc: \"{green_tap}\", http: \"{any}\" }}\n\
             serving: {{ otlp: {{ grpc: \"{}\"{} }}{backend} }}\ndata: data\nweb: {{ listen: \"127.0.0.1:0\" }}\n",
            self.listen_more, self.serving, self.serving_more
        );
        write!(yaml, "{}", self.more).expect("a string takes everything");
        let path = folder.join("verdigris.yaml");
        std::fs::write(&path, yaml).expect("the folder is ours");
        path
    }
}

/// Starts a server, and waits for its line or for its end.
pub(crate) fn try_serve(config: &Path) -> Result<Server, Ran> {
    let mut command = verdigris();
    command.args(["serve", "--format", "json", "--config"]).arg(config);
    announced(Process::start("verdigris serve", &mut command), config)
}

/// A server from its process, once it has said where it listens.
pub(crate) fn announced(mut process: Process, config: &Path) -> Result<Server, Ran> {
    let said: Value = serde_json::from_str(&process.first_line(START_LIMIT)?).expect("serve prints a line of JSON");
    let address = |pointer: &str| {
        let text = said.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("{said} has no {pointer}"));
        text.parse().unwrap_or_else(|_| panic!("{pointer} of {said} is no address"))
    };
    let addresses = Addresses {
        grpc: address("/listening/gateway/grpc"),
        http: address("/listening/gateway/http"),
        blue_tap: address("/listening/taps/blue/grpc"),
        green_tap: address("/listening/taps/green/grpc"),
    };
    Ok(Server { process, config: config.to_owned(), addresses, said })
}

impl Server {
    /// A server with its data below the folder.
    pub(crate) fn start(folder: &Path, config: &Config) -> Server {
        let started = try_serve(&config.write(folder));
        started.unwrap_or_else(|ran| panic!("serve ended with {}: {}", ran.code, ran.stderr))
    }

    /// SIGKILL, and a new start with the same configuration.
    pub(crate) fn kill_and_start(&mut self) {
        self.process.kill();
        let config = self.config.clone();
        *self = try_serve(&config).unwrap_or_else(|ran| panic!("serve ended with {}: {}", ran.code, ran.stderr));
    }

    /// Another process takes over; the old one is still to be waited for.
    pub(crate) fn take_over(&mut self) -> Process {
        let mut command = verdigris();
        command.args(["serve", "--takeover", "--format", "json", "--config"]).arg(&self.config);
        let process = Process::start("verdigris serve --takeover", &mut command);
        let new = announced(process, &self.config);
        let new = new.unwrap_or_else(|ran| panic!("the takeover ended with {}: {}", ran.code, ran.stderr));
        assert_eq!(new.addresses, self.addresses, "the same sockets");
        std::mem::replace(self, new).process
    }

    /// SIGHUP.
    pub(crate) fn hang_up(&self) {
        self.process.signal("HUP");
    }

    /// SIGTERM; does not wait.
    pub(crate) fn terminate(&self) {
        self.process.terminate();
    }

    pub(crate) fn process_id(&self) -> u32 {
        self.process.id()
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        self.process.stderr()
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.process.kill();
    }

    /// SIGTERM, and what is left when it has ended.
    pub(crate) fn stop(self) -> Ran {
        self.process.terminate();
        self.process.wait(seconds(60))
    }

    pub(crate) fn config(&self) -> &Path {
        &self.config
    }

    pub(crate) fn folder(&self) -> &Path {
        self.config.parent().expect("a file lies in a folder")
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.folder().join("data/verdigris.sock")
    }

    pub(crate) fn ledger(&self) -> PathBuf {
        self.folder().join("data/ledger")
    }

    pub(crate) fn grpc(&self) -> String {
        format!("http://{}", self.addresses.grpc)
    }

    pub(crate) fn http(&self) -> String {
        format!("http://{}", self.addresses.http)
    }

    /// `verdigris rollout …` against this server.
    pub(crate) fn rollout(&self, arguments: &[&str]) -> Ran {
        let socket = self.socket().display().to_string();
        let all = [&["rollout"], arguments, &["--format", "json", "--socket", &socket]].concat();
        run_within(&all, COMMAND_LIMIT)
    }

    /// `rollout start PLAN --watch`, which ends as the rollout ends.
    pub(crate) fn start_and_watch(&self, plan: &Path) -> Process {
        let mut command = verdigris();
        command.args(["rollout", "start", "--watch", "--format", "json"]).arg(plan);
        command.arg("--socket").arg(self.socket());
        Process::start("verdigris rollout start --watch", &mut command)
    }

    /// Where the last rollout stands, if the server answers and there is one.
    pub(crate) fn report(&self) -> Option<Value> {
        serde_json::from_str(&self.rollout(&["status"]).stdout).ok()
    }

    /// Waits until the last rollout is as `wanted` says.
    pub(crate) fn eventually_reports(&self, what: &str, limit: Duration, wanted: impl Fn(&Value) -> bool) -> Value {
        eventually_with_few_looks(what, limit, || self.report().filter(&wanted))
    }

    /// `verdigris ledger …` on this server's ledger, with the key that it announced.
    pub(crate) fn ledger_command(&self, arguments: &[&str]) -> Ran {
        let dir = self.ledger().display().to_string();
        let key = self.verifier_key();
        let all = [&["ledger"], arguments, &["--dir", &dir, "--key", &key, "--format", "json"]].concat();
        run_within(&all, COMMAND_LIMIT)
    }

    pub(crate) fn verifier_key(&self) -> String {
        self.said["ledger"]["verifierKey"].as_str().expect("serve says who verifies its ledger").to_owned()
    }
}

impl Ran {
    /// The one JSON value on standard output.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("no JSON value ({error}): {self:?}"))
    }

    /// Fails unless it ended with this code.
    pub(crate) fn expect(self, code: i32) -> Ran {
        assert_eq!(self.code, code, "exit code; it said: {} {}", self.stdout, self.stderr);
        self
    }

    /// Fails unless standard error says all of these.
    pub(crate) fn says(self, parts: &[&str]) -> Ran {
        for part in parts {
            assert!(self.stderr.contains(part), "{:?} does not say {part:?}", self.stderr);
        }
        self
    }
}
