//! TLS between processes: a server that speaks it, one that is reached by it, files that are wrong.

use crate::plan::{Environment, Plan};
use crate::process::{Process, verdigris};
use crate::server::{Config, Server, try_serve};
use crate::stage::Stage;
use crate::wait::{eventually, seconds};
use bytes::Bytes;
use certs::{Authority, Validity};
use gateway::{ClientLimits, OtlpClient, Outcome};
use model::{ClientTls, Compression, Protocol, TlsIdentity, Transport};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// An authority, and a folder with `ca.pem`, `server.pem` (for `localhost`), `client.pem` and their keys.
pub(crate) struct Secured {
    folder: tempfile::TempDir,
    authority: Authority,
}

impl Secured {
    pub(crate) fn new() -> Secured {
        let (folder, authority) = (tempfile::tempdir().expect("a temporary folder"), Authority::new("e2e"));
        authority.write(folder.path(), "ca.pem");
        authority.server(&["localhost"], Validity::Long).write(folder.path(), "server");
        authority.client("a client").write(folder.path(), "client");
        Secured { folder, authority }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn keys(&self, names: &[(&str, &str)]) -> String {
        let mut keys = String::new();
        for (key, name) in names {
            write!(keys, "{key}: \"{}\", ", self.path(name).display()).expect("a string takes everything");
        }
        format!(", tls: {{ {keys}}}")
    }

    /// Lets in who shows a certificate of the authority.
    fn listening(&self) -> String {
        self.keys(&[("cert", "server.pem"), ("key", "server.key"), ("clientCa", "ca.pem")])
    }

    pub(crate) fn reaching(&self) -> String {
        self.keys(&[("ca", "ca.pem"), ("cert", "client.pem"), ("key", "client.key")])
    }

    /// A server that speaks TLS to anybody.
    pub(crate) fn stage_for_anybody(&self) -> Stage {
        let listening = self.keys(&[("cert", "server.pem"), ("key", "server.key")]);
        Stage::set_as(|config| Config { listen_more: listening, ..config })
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A server that speaks TLS to who has a certificate of the authority.
    pub(crate) fn stage(&self) -> Stage {
        Stage::set_as(|config| Config { listen_more: self.listening(), ..config })
    }
}

/// The empty export of a client of the gateway's own: the server's answer.
fn export(stage: &Stage, server: &Server, files: &Secured) -> Outcome {
    let path = |name: &str| files.path(name).display().to_string();
    let identity = Some(TlsIdentity { cert: path("client.pem"), key: path("client.key") });
    let tls = ClientTls { ca: Some(path("ca.pem")), identity, server_name: None };
    let transport = Transport { tls, compression: Compression::Zstd };
    let endpoint = format!("https://localhost:{}", server.addresses.grpc.port());
    stage.runtime.block_on(async {
        let client = OtlpClient::new(&endpoint, Protocol::Grpc, &transport, ClientLimits::default());
        client.expect("a good endpoint").export(otlp::Signal::Traces, Bytes::new()).await
    })
}

/// One server behind the other, as a collector that wants TLS, a certificate and zstd would be.
#[test]
fn a_server_reaches_its_collector_over_mutual_tls() {
    let files = Secured::new();
    let collector = files.stage();
    assert_eq!(collector.server.said["listening"]["gateway"]["tls"], "mTLS", "{}", collector.server.said);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = Config {
        serving_more: format!("{}, compression: zstd", files.reaching()),
        listen_more: files.listening(),
        ..Config::of(&format!("https://localhost:{}", collector.server.addresses.grpc.port()))
    };
    let server = Server::start(folder.path(), &config);
    assert_eq!(export(&collector, &server, &files), Outcome::TAKEN);
    assert_eq!(collector.blue.stats().requests, 1);
}

/// The plan's paths start from the plan, wherever the server was started.
#[test]
fn a_rollout_goes_to_a_green_that_speaks_tls() {
    let (files, stage) = (Secured::new(), Stage::set());
    let collector = files.stage();
    let endpoint = format!("https://localhost:{}", collector.server.addresses.grpc.port());
    let steps = ["gate: probe", "mirror: { for: 1s }", "setWeight: 100%", "bake: { for: 1s }"];
    let mut plan = stage.plan(&steps);
    let more = ", tls: { ca: ca.pem, cert: client.pem, key: client.key }, compression: gzip".to_owned();
    plan.green = Environment { more, ..Environment::at(&endpoint) };
    stage.server.rollout(&["start", &plan.write(files.folder.path()).display().to_string()]).expect(0);
    stage.server.eventually_reports("the probe to pass", seconds(60), |report| {
        report["steps"][0]["done"] == true || report["progress"] == "rolledBack"
    });
    stage.server.rollout(&["rollback", "--reason", "it was seen"]);
    let ended = stage.server.eventually_reports("the end", seconds(60), |report| report["progress"] == "rolledBack");
    assert_eq!(ended["cause"]["guard"], "operator", "{ended}");
    assert_eq!(collector.blue.stats().requests, 1, "the probe's export");

    files.authority.server(&["other.example"], Validity::Long).write(files.folder.path(), "server");
    eventually("the new certificate", seconds(30), || {
        let watched = start(&stage, &plan, &files);
        watched.to_string().contains("certificate not valid for name").then_some(())
    });
}

/// How a rollout with a probe ends.
fn start(stage: &Stage, plan: &Plan, files: &Secured) -> serde_json::Value {
    let plan = plan.write(files.folder.path());
    stage.server.rollout(&["start", &plan.display().to_string()]).expect(0);
    let ended = stage.server.eventually_reports("the probe's end", seconds(60), |report| {
        report["steps"][0]["done"] == true || report["progress"] == "rolledBack"
    });
    if ended["progress"] != "rolledBack" {
        stage.server.rollout(&["rollback", "--reason", "again"]);
        stage.server.eventually_reports("the end", seconds(60), |report| report["progress"] == "rolledBack");
    }
    ended
}

#[test]
fn files_that_cannot_be_used_are_named_and_nothing_is_made() {
    let files = Secured::new();
    let check = |listen_more: String, expected: &str| {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let config = Config { listen_more, ..Config::of("http://127.0.0.1:9") }.write(folder.path());
        let Err(ran) = try_serve(&config) else { panic!("it has no good files") };
        ran.expect(1).says(&["the gateway's OTLP/gRPC port cannot speak TLS", expected]);
        assert!(!folder.path().join("data").exists(), "no ledger was begun");
    };
    check(files.keys(&[("cert", "no.pem"), ("key", "server.key")]), "no.pem: cannot be read");
    check(files.keys(&[("cert", "server.pem"), ("key", "client.key")]), "not that of the certificate");
    certs::place(files.folder.path(), "open.key", "-", 0o644);
    check(files.keys(&[("cert", "server.pem"), ("key", "open.key")]), "open.key: the private key may be read");
}

#[test]
fn what_is_exposed_or_cannot_be_verified_is_said_at_the_start() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let none = certs::place(folder.path(), "none.pem", "", 0o644);
    let any = "0.0.0.0:0".parse().expect("an address");
    let addresses = crate::server::Addresses { grpc: any, http: any, blue_tap: any, green_tap: any };
    let config = Config { addresses: Some(addresses), ..Config::of("https://127.0.0.1:9") }.write(folder.path());
    let mut command = verdigris();
    command.args(["serve", "--format", "json", "--config"]).arg(config);
    command.env("SSL_CERT_FILE", &none).env_remove("SSL_CERT_DIR");
    let mut process = Process::start("verdigris serve", &mut command);
    process.first_line(seconds(30)).expect("it serves all the same");
    process.terminate();
    process.wait(seconds(60)).expect(0).says(&[
        "listen listens on 0.0.0.0:0 without TLS",
        "set taps.blue.tls",
        "this system has no root certificates",
        "SSL_CERT_FILE",
    ]);
}
