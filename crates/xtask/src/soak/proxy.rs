//! Who stands between the clients and the sinks: `verdigris serve`, or Rotel. Killed and started again on the same ports.

use super::clock;
use super::watch::{self, Held};
use crate::bench::running::{Launcher, Running, Side};
use anyhow::{Context, Result, ensure};
use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contender {
    Ours,
    Rotel,
}

impl Contender {
    pub fn name(self) -> &'static str {
        match self {
            Contender::Ours => "Verdigris",
            Contender::Rotel => "Rotel",
        }
    }
}

/// How it is started.
pub struct Proxy {
    contender: Contender,
    program: PathBuf,
    arguments: Vec<String>,
    folder: PathBuf,
    pub grpc: SocketAddr,
    pub http: SocketAddr,
    running: Option<Running>,
    lives: u32,
    /// The most memory that any life had resident, in MiB.
    pub peak_resident_mib: f64,
}

/// Until it is ready. Verdigris opens its ledger, Rotel loads Python, on a busy machine.
const START_LIMIT: Duration = Duration::from_secs(20);

impl Proxy {
    /// Ours, with its data at `data`.
    pub fn ours(program: &Path, folder: &Path, data: &Path, sink: SocketAddr) -> Result<Proxy> {
        let mut proxy = Proxy::new(Contender::Ours, program, folder)?;
        let any = r#"{ grpc: "127.0.0.1:0", http: "127.0.0.1:0" }"#;
        let config = format!(
            "listen: {{ grpc: \"{}\", http: \"{}\" }}\ntaps:\n  blue: {any}\n  green: {any}\nserving:\n  otlp: {{ grpc: \"http://{sink}\" }}\ndata: {}\nweb: {{ enabled: false }}\n",
            proxy.grpc,
            proxy.http,
            data.display(),
        );
        let path = folder.join("verdigris.yaml");
        fs::write(&path, config)?;
        proxy.arguments = ["serve", "--format", "json", "--config"].map(str::to_owned).to_vec();
        proxy.arguments.push(path.display().to_string());
        Ok(proxy)
    }

    /// Rotel, which sends to one sink.
    pub fn rotel(program: &Path, folder: &Path, sink: SocketAddr) -> Result<Proxy> {
        let mut proxy = Proxy::new(Contender::Rotel, program, folder)?;
        proxy.arguments = ["start", "--otlp-exporter-protocol", "grpc"].map(str::to_owned).to_vec();
        for (option, value) in [
            ("--otlp-grpc-endpoint", proxy.grpc.to_string()),
            ("--otlp-http-endpoint", proxy.http.to_string()),
            ("--otlp-exporter-endpoint", format!("http://{sink}")),
        ] {
            proxy.arguments.extend([option.to_owned(), value]);
        }
        Ok(proxy)
    }

    fn new(contender: Contender, program: &Path, folder: &Path) -> Result<Proxy> {
        Ok(Proxy {
            contender,
            program: program.to_owned(),
            arguments: Vec::new(),
            folder: folder.to_owned(),
            grpc: clock::free_port()?,
            http: clock::free_port()?,
            running: None,
            lives: 0,
            peak_resident_mib: 0.0,
        })
    }

    /// Starts it, and waits until it takes requests. An error if it does not start: for want of disk space, perhaps.
    pub fn start(&mut self, launcher: &Launcher) -> Result<()> {
        self.lives += 1;
        let log = self.log(self.lives);
        let arguments: Vec<&str> = self.arguments.iter().map(String::as_str).collect();
        let mut running = launcher.start(Side::Proxy, &self.program, &arguments, &log)?;
        match self.contender {
            Contender::Ours => {
                running.line(START_LIMIT)?;
            }
            Contender::Rotel => {
                let deadline = clock::Deadline::after(START_LIMIT);
                while TcpStream::connect(self.grpc).and(TcpStream::connect(self.http)).is_err() {
                    running.alive()?;
                    ensure!(!deadline.is_over(), "{}", running.failed("does not listen"));
                    clock::pause();
                }
            }
        }
        self.running = Some(running);
        Ok(())
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.sample();
        self.running = None;
    }

    /// Whether it runs; if it ended by itself, why.
    pub fn check(&mut self) -> Result<bool> {
        self.sample();
        let Some(running) = &mut self.running else { return Ok(false) };
        let alive = running.alive();
        if alive.is_err() {
            self.running = None;
        }
        alive.map(|()| true)
    }

    fn sample(&mut self) {
        // One that has just ended has no memory any more.
        if let Some(Ok(peak)) = self.running.as_ref().map(Running::peak_resident_mib) {
            self.peak_resident_mib = self.peak_resident_mib.max(peak);
        }
    }

    pub fn held(&self) -> Result<Held> {
        watch::held(self.running.as_ref().context("the proxy does not run")?.id())
    }

    /// Lines of all its logs that tell of a panic.
    pub fn panics(&self) -> Result<Vec<String>> {
        let mut panics = Vec::new();
        for life in 1..=self.lives {
            let log = self.log(life);
            let text = fs::read_to_string(&log).with_context(|| format!("cannot read {}", log.display()))?;
            panics.extend(text.lines().filter(|line| line.contains("panicked at")).map(str::to_owned));
        }
        Ok(panics)
    }

    fn log(&self, life: u32) -> PathBuf {
        self.folder.join(format!("proxy.{life}.log"))
    }
}
