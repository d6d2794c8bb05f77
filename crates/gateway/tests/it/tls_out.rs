//! TLS towards collectors and back ends: what is wrong with one is told, and new files are used by new connections.

use crate::upstream::{Reply, Upstream};
use crate::*;
use certs::{Authority, Validity};
use gateway::{Outcome, ServerFiles, Status};
use model::{ClientTls, Compression, TlsIdentity};
use std::path::Path;
use tempfile::TempDir;

fn text(path: &Path) -> String {
    path.display().to_string()
}

/// An authority and a folder with its certificate, in which collectors' and our files lie.
struct Files {
    folder: TempDir,
    ours: Authority,
}

impl Files {
    fn new() -> Files {
        let files = Files { folder: tempfile::tempdir().expect("a folder"), ours: Authority::new("ours") };
        files.ours.write(files.folder.path(), "ca.pem");
        files
    }

    /// A collector with this certificate.
    async fn upstream(&self, protocol: Protocol, name: &str, validity: Validity, mutual: bool) -> Upstream {
        let (cert, key) = self.ours.server(&[name], validity).write(self.folder.path(), "server");
        let client_ca = mutual.then(|| self.folder.path().join("ca.pem"));
        let server = tls::Server::open(ServerFiles { cert, key, client_ca }).expect("good files");
        Upstream::secure(protocol, Arc::new(server)).await
    }

    /// We trust the authority, and show what is in `client.pem`.
    fn transport(&self) -> Transport {
        let path = |name: &str| text(&self.folder.path().join(name));
        let identity = Some(TlsIdentity { cert: path("client.pem"), key: path("client.key") });
        let tls = ClientTls { ca: Some(path("ca.pem")), identity, server_name: None };
        Transport { tls, compression: Compression::None }
    }

    fn table(&self, blue: &Upstream) -> RouteTable {
        let mut table = table(blue, None, 0);
        table.upstreams.blue.as_mut().expect("blue is there").transport = self.transport();
        table
    }
}

/// What a sender is told of a collector that cannot be reached.
async fn refusal(fixture: &Fixture) -> String {
    let got = post_traces(fixture, &[PROTOBUF], request([(1, 2)])).await;
    assert_eq!(got.status, 503, "{got:?}");
    Status::decode(&got.body).expect("a google.rpc.Status").message
}

/// Sends this span until it is taken.
async fn taken(fixture: &Fixture, span: u64) {
    eventually("taken", async || post_traces(fixture, &[PROTOBUF], request([(1, span)])).await.status == 200).await;
}

#[tokio::test]
async fn a_collector_is_reached_over_tls_with_our_certificate() {
    let files = Files::new();
    files.ours.client("gateway").write(files.folder.path(), "client");
    for protocol in [Protocol::Grpc, Protocol::Http] {
        for mutual in [false, true] {
            let blue = files.upstream(protocol, "localhost", Validity::Long, mutual).await;
            let fixture = Fixture::start(files.table(&blue)).await;
            let message = request([(1, 2)]);
            assert_eq!(fixture.client(Protocol::Grpc).export(Signal::Traces, message.clone()).await, Outcome::TAKEN);
            assert_eq!(blue.messages(), [message]);
        }
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_collectors_certificate_is_told() {
    let files = Files::new();
    files.ours.client("gateway").write(files.folder.path(), "client");
    for protocol in [Protocol::Grpc, Protocol::Http] {
        for (name, validity, expected) in [
            ("localhost", Validity::Over, "certificate expired"),
            ("other.example", Validity::Long, "certificate not valid for name \"localhost\""),
        ] {
            let blue = files.upstream(protocol, name, validity, false).await;
            let said = refusal(&Fixture::start(files.table(&blue)).await).await;
            assert!(said.contains("cannot connect to localhost:") && said.contains(expected), "{said}");
            assert_eq!(blue.seen(), []);
        }
        let blue = files.upstream(protocol, "localhost", Validity::Long, false).await;
        let mut table = files.table(&blue);
        Authority::new("others").write(files.folder.path(), "others.pem");
        let upstream = table.upstreams.blue.as_mut().expect("blue is there");
        upstream.transport.tls.ca = Some(text(&files.folder.path().join("others.pem")));
        let said = refusal(&Fixture::start(table).await).await;
        assert!(said.contains("signed by none of the authorities"), "{said}");

        let plain = Upstream::start(protocol).await;
        let mut table = files.table(&plain);
        let upstream = table.upstreams.blue.as_mut().expect("blue is there");
        upstream.endpoint = format!("https://localhost:{}", plain.address.port());
        let said = refusal(&Fixture::start(table).await).await;
        assert!(said.contains("TLS: "), "{said}");
    }
}

/// A table with files that are not there applies all the same: it may be a rollback. Senders are not told paths.
#[tokio::test]
async fn missing_files_hold_up_no_table_and_are_used_once_they_are_there() {
    let files = Files::new();
    let blue = files.upstream(Protocol::Http, "localhost", Validity::Long, true).await;
    let fixture = Fixture::start(files.table(&blue)).await;
    let said = refusal(&fixture).await;
    assert!(said.contains("the gateway's log says which and why"), "{said}");
    assert!(!said.contains(&text(files.folder.path())), "{said}");
    files.ours.client("gateway").write(files.folder.path(), "client");
    taken(&fixture, 2).await;
}

#[tokio::test]
async fn a_renewed_certificate_of_ours_is_shown_by_new_connections() {
    let files = Files::new();
    Authority::new("others").client("gateway").write(files.folder.path(), "client");
    for protocol in [Protocol::Grpc, Protocol::Http] {
        let blue = files.upstream(protocol, "localhost", Validity::Long, true).await;
        let fixture = Fixture::start(files.table(&blue)).await;
        let got = post_traces(&fixture, &[PROTOBUF], request([(1, 2)])).await;
        assert_eq!(got.status, 503, "a certificate of somebody else's: {got:?}");
        files.ours.client("gateway").write(files.folder.path(), "client");
        taken(&fixture, 3).await;
        // Broken files disturb no connection that is there, and a new one shows what was good.
        std::fs::write(files.folder.path().join("client.pem"), "broken").expect("the folder is ours");
        assert_eq!(post_traces(&fixture, &[PROTOBUF], request([(1, 4)])).await.status, 200);
        blue.reply(Reply::Lose);
        assert_eq!(post_traces(&fixture, &[PROTOBUF], request([(1, 5)])).await.status, 503);
        blue.reply(Reply::Taken);
        taken(&fixture, 6).await;
        Authority::new("others").client("gateway").write(files.folder.path(), "client");
    }
}

#[tokio::test]
async fn a_tap_forwards_to_its_back_end_over_tls_and_compressed() {
    let files = Files::new();
    files.ours.client("gateway").write(files.folder.path(), "client");
    let blue = Upstream::start(Protocol::Grpc).await;
    let backend = files.upstream(Protocol::Grpc, "localhost", Validity::Long, true).await;
    let mut table = table(&blue, None, 0);
    let upstream = table.upstreams.blue.as_mut().expect("blue is there");
    upstream.backend = Some(backend.url());
    upstream.backend_transport = Transport { compression: Compression::Gzip, ..files.transport() };
    let fixture = Fixture::start(table).await;
    let message = request([(1, 2)]);
    let tap = client(&fixture.addresses.taps["blue"], Protocol::Http);
    assert_eq!(tap.export(Signal::Traces, message.clone()).await, Outcome::TAKEN);
    assert_eq!(backend.messages(), [message]);
    assert_eq!(backend.packed()[0].0, Compression::Gzip);
}
