//! A real Prometheus, as Debian has it, and a service in both environments whose counters it scrapes.

use super::peers::ReservedPort;
use crate::process::{Process, root};
use crate::wait::{eventually, seconds};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

/// It replays its log and listens within a second.
const START_LIMIT: std::time::Duration = seconds(60);
/// Requests that each environment serves from one scrape to the next.
const REQUESTS: u64 = 400;
/// Of these, those that fail where nothing is wrong, and where much is.
const FAILURES: (u64, u64) = (4, 100);

/// The program.
fn program() -> PathBuf {
    if let Some(program) = std::env::var_os("VERDIGRIS_E2E_PROMETHEUS") {
        return PathBuf::from(program);
    }
    let places = [root().join("target/e2e/prometheus/usr/bin/prometheus"), PathBuf::from("/usr/bin/prometheus")];
    let found = places.into_iter().find(|place| place.exists());
    found.expect("Prometheus is not installed: run `cargo xtask e2e-setup`, or name one in VERDIGRIS_E2E_PROMETHEUS")
}

/// Its tool, which comes with it.
pub(crate) fn promtool() -> PathBuf {
    program().with_file_name("promtool")
}

/// A Prometheus that scrapes `/metrics` of a server.
pub(crate) struct Scraping {
    port: ReservedPort,
    _process: Process,
    _folder: tempfile::TempDir,
}

impl Scraping {
    /// With a token in a file, as a server's port needs it; its socket does not look at that.
    pub(crate) fn start(server: SocketAddr) -> Scraping {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let config = format!(
            "global: {{ scrape_interval: 500ms, scrape_timeout: 500ms }}\n\
             rule_files: [\"{}\"]\n\
             scrape_configs: [{{ job_name: verdigris, authorization: {{ credentials_file: token }}, \
             static_configs: [{{ targets: [\"{server}\"] }}] }}]\n",
            root().join("contrib/prometheus/alerts.yaml").display()
        );
        std::fs::write(folder.path().join("prometheus.yml"), config).expect("the folder is ours");
        std::fs::write(folder.path().join("token"), "scrapes").expect("the folder is ours");
        let port = ReservedPort::any();
        let process = run(folder.path(), port.address);
        Scraping { port, _process: process, _folder: folder }
    }

    /// The names of all metrics that it knows.
    pub(crate) fn names(&self) -> BTreeSet<String> {
        let answer = get(self.port.address, "/api/v1/label/__name__/values").unwrap_or_default();
        let answer: Value = serde_json::from_str(&answer).unwrap_or_default();
        let names = answer["data"].as_array().map(Vec::as_slice).unwrap_or_default();
        names.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect()
    }
}

/// A Prometheus with a folder of its own, which scrapes one exporter.
pub(crate) struct Prometheus {
    process: Process,
    port: ReservedPort,
    folder: tempfile::TempDir,
}

impl Prometheus {
    /// Waits until it has scraped the exporter.
    pub(crate) fn start(exporter: &Exporter) -> Prometheus {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let config = format!(
            "global: {{ scrape_interval: 500ms, scrape_timeout: 500ms }}\n\
             scrape_configs: [{{ job_name: shop, static_configs: [{{ targets: [\"{}\"] }}] }}]\n",
            exporter.address
        );
        std::fs::write(folder.path().join("prometheus.yml"), config).expect("the folder is ours");
        // It is chosen before, for it must be the same when Prometheus comes back.
        let port = ReservedPort::any();
        let process = run(folder.path(), port.address);
        let prometheus = Prometheus { process, port, folder };
        prometheus.knows("http_requests_total");
        prometheus
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.port.address)
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.process.kill();
    }

    /// Another process, with what the one before has written.
    pub(crate) fn start_again(&mut self) {
        self.process = run(self.folder.path(), self.port.address);
    }

    /// Waits until a query gives something.
    fn knows(&self, query: &str) {
        let answer = || get(self.port.address, &format!("/api/v1/query?query={query}"));
        let known = || {
            let answer: Value = serde_json::from_str(&answer()?).ok()?;
            answer.pointer("/data/result/0").map(drop)
        };
        eventually("prometheus to have scraped", START_LIMIT, known);
    }
}

fn run(folder: &Path, address: SocketAddr) -> Process {
    let mut command = Command::new(program());
    command.arg("--config.file").arg(folder.join("prometheus.yml"));
    command.arg("--storage.tsdb.path").arg(folder.join("data"));
    command.arg(format!("--web.listen-address={address}")).arg("--log.level=warn");
    let mut process = Process::start("prometheus", &mut command);
    eventually("prometheus to listen", START_LIMIT, || {
        assert!(process.ended().is_none(), "prometheus ended: {}", process.stderr());
        TcpStream::connect(address).ok()
    });
    process
}

/// The body of an answer to a GET, if there is one.
fn get(address: SocketAddr, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    write!(stream, "GET {path} HTTP/1.0\r\nhost: prometheus\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer.split_once("\r\n\r\n")?.1.to_owned())
}

/// A service in two environments as its metrics show it: requests, those that failed, and how long they took. Time is
/// counted in scrapes, so that nothing depends on how fast the machine is.
pub(crate) struct Exporter {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    worse: AtomicBool,
    stopped: AtomicBool,
    scrapes: AtomicU64,
    /// Failed requests of blue, of green.
    failed: Mutex<[u64; 2]>,
}

impl Exporter {
    pub(crate) fn start() -> Exporter {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let (address, shared) = (listener.local_addr().expect("it is bound"), Arc::<Shared>::default());
        let serving = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if serving.stopped.load(SeqCst) {
                    return;
                }
                // A scrape that breaks off is Prometheus' own affair.
                let _ = stream.and_then(|stream| serving.answer(stream));
            }
        });
        Exporter { address, shared }
    }

    /// From here on a quarter of green's requests fails.
    pub(crate) fn green_gets_worse(&self) {
        self.shared.worse.store(true, SeqCst);
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        self.shared.stopped.store(true, SeqCst);
        // So that it looks.
        let _ = TcpStream::connect(self.address);
    }
}

impl Shared {
    fn answer(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let mut lines = BufReader::new(stream.try_clone()?).lines();
        while lines.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
        let body = self.metrics();
        let length = body.len();
        write!(
            stream,
            "HTTP/1.1 200 OK\r\ncontent-type: text/plain; version=0.0.4\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
        )
    }

    /// What a scrape sees: everything since the beginning, the last round included.
    fn metrics(&self) -> String {
        let scrapes = self.scrapes.fetch_add(1, SeqCst) + 1;
        let green = if self.worse.load(SeqCst) { FAILURES.1 } else { FAILURES.0 };
        let mut failed = self.failed.lock().expect("nobody panics with it");
        failed[0] += FAILURES.0;
        failed[1] += green;
        let mut text = "# TYPE http_requests_total counter\n".to_owned();
        for (env, failed) in ["blue", "green"].into_iter().zip(*failed) {
            let fine = scrapes * REQUESTS - failed;
            for (code, count) in [("200", fine), ("503", failed)] {
                writeln!(text, "http_requests_total{{env=\"{env}\",code=\"{code}\"}} {count}")
                    .expect("a string takes everything");
            }
        }
        text
    }
}
