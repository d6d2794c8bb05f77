//! TLS towards the apps: who is let in, what is spoken, and certificates that change while connections live.

use crate::upstream::Upstream;
use crate::*;
use certs::{Authority, Validity, place};
use gateway::{BindError, Outcome, ServerFiles};
use model::{ClientTls, Compression, TlsIdentity};
use std::path::Path;
use tempfile::TempDir;
use tls::Alpn;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn text(path: &Path) -> String {
    path.display().to_string()
}

/// A gateway that speaks TLS, what is behind it, and whom it trusts.
struct Stage {
    folder: TempDir,
    ours: Authority,
    blue: Upstream,
    fixture: Fixture,
}

impl Stage {
    async fn set(client_ca: bool) -> Stage {
        let (folder, ours) = (tempfile::tempdir().expect("a folder"), Authority::new("ours"));
        let (cert, key) = ours.server(&["localhost"], Validity::Long).write(folder.path(), "server");
        let ca = ours.write(folder.path(), "ca.pem");
        let files = ServerFiles { cert, key, client_ca: client_ca.then_some(ca) };
        let blue = Upstream::start(Protocol::Grpc).await;
        let listen = Listen { tls: Some(files), ..anywhere() };
        let fixture = Fixture::listening(listen, table(&blue, None, 0), Limits::default(), 10).await;
        Stage { folder, ours, blue, fixture }
    }

    /// What a client of the gateway's asks for; it shows a certificate of this authority.
    fn transport(&self, shown: Option<&Authority>) -> Transport {
        let identity = shown.map(|authority| {
            let (cert, key) = authority.client("app").write(self.folder.path(), "client");
            TlsIdentity { cert: text(&cert), key: text(&key) }
        });
        let tls = ClientTls { ca: Some(text(&self.folder.path().join("ca.pem"))), identity, server_name: None };
        Transport { tls, compression: Compression::None }
    }

    fn client(&self, protocol: Protocol, shown: Option<&Authority>) -> gateway::OtlpClient {
        let address = match protocol {
            Protocol::Grpc => self.fixture.addresses.gateway.grpc,
            Protocol::Http => self.fixture.addresses.gateway.http,
        };
        client_of(&format!("https://localhost:{}", address.port()), protocol, &self.transport(shown))
    }

    /// A connection of rustls' own client, which offers these protocols.
    async fn connect(&self, offered: &[&[u8]], server_name: &'static str) -> Result<RawStream, String> {
        let tls = tls::Client::new(&self.transport(None).tls, "localhost", Alpn::Http2).expect("a good name");
        let config = tls.look().expect("good files");
        let mut config = rustls::ClientConfig::clone(&config);
        config.alpn_protocols = offered.iter().map(|name| name.to_vec()).collect();
        let stream = TcpStream::connect(self.fixture.addresses.gateway.grpc).await.expect("the gateway listens");
        let name = server_name.try_into().expect("a name");
        let connected = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await;
        connected.map_err(|error| error.to_string())
    }
}

type RawStream = tokio_rustls::client::TlsStream<TcpStream>;

#[tokio::test]
async fn both_ports_take_both_protocols_over_tls() {
    let stage = Stage::set(false).await;
    let message = request([(1, 2)]);
    for protocol in [Protocol::Grpc, Protocol::Http] {
        assert_eq!(stage.client(protocol, None).export(Signal::Traces, message.clone()).await, Outcome::TAKEN);
    }
    let got = |offered: &'static [&'static [u8]], headers: &'static [(&str, &str)], body: Bytes| {
        let (stage, path) = (&stage, if headers.contains(&GRPC) { Signal::Traces.grpc_path() } else { "/v1/traces" });
        async move {
            let stream = stage.connect(offered, "localhost").await.expect("TLS");
            send_over(stream, "POST", path, headers, body).await.status
        }
    };
    // What was agreed on counts; where nothing was, what is spoken.
    assert_eq!(got(&[b"h2"], &[GRPC], framed(false, &message)).await, 200);
    assert_eq!(got(&[b"http/1.1"], &[PROTOBUF], message.clone()).await, 200);
    assert_eq!(got(&[b"h2", b"http/1.1"], &[GRPC], framed(false, &message)).await, 200);
    assert_eq!(got(&[], &[GRPC], framed(false, &message)).await, 200);
    assert_eq!(got(&[], &[PROTOBUF], message.clone()).await, 200);
    assert_eq!(stage.blue.messages(), vec![message; 7]);
    assert_eq!(stage.fixture.stats().handshakes_failed, 0);
    let refused = stage.connect(&[b"spdy/3"], "localhost").await.expect_err("no common protocol");
    assert!(refused.contains("NoApplicationProtocol"), "{refused}");
}

#[tokio::test]
async fn clear_text_at_a_tls_port_is_closed_and_counted() {
    let stage = Stage::set(false).await;
    for first in
        [&b"POST /v1/traces HTTP/1.1\r\n"[..], b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\x16\x03\x01\xff\xff\x01"]
    {
        let mut plain = TcpStream::connect(stage.fixture.addresses.gateway.http).await.expect("it listens");
        plain.write_all(first).await.expect("it takes bytes");
        // An alert of TLS at most, and the end; a reset where it had not read everything.
        let _ = plain.read_to_end(&mut Vec::new()).await;
    }
    // Who says nothing, as health checks do, is no failure.
    let mut silent = TcpStream::connect(stage.fixture.addresses.gateway.http).await.expect("it listens");
    silent.shutdown().await.expect("it is open");
    assert_eq!(silent.read_to_end(&mut Vec::new()).await.expect("it is closed"), 0);
    assert_eq!(stage.fixture.stats().handshakes_failed, 3);
    assert_eq!(stage.fixture.stats().clients_refused, 0, "who speaks no TLS showed no certificate either");
    assert_eq!(stage.fixture.stats().requests_refused, 0);
    assert_eq!(stage.client(Protocol::Grpc, None).export(Signal::Logs, request([])).await, Outcome::TAKEN);
}

/// The reason that a client is given.
fn reason(outcome: Outcome) -> String {
    match outcome {
        Outcome::Refused(status) => status.message,
        Outcome::Unknown { reason, .. } => reason,
        Outcome::Acknowledged(_) => panic!("it was let in"),
    }
}

#[tokio::test]
async fn with_a_client_ca_only_its_clients_are_let_in() {
    let stage = Stage::set(true).await;
    let others = Authority::new("others");
    let message = request([(1, 2)]);
    for protocol in [Protocol::Grpc, Protocol::Http] {
        let failed = stage.fixture.stats().handshakes_failed;
        for (shown, expected) in [
            (None, "requires a certificate of ours"),
            (Some(&others), "does not trust the authority that signed our certificate"),
        ] {
            let client = stage.client(protocol, shown);
            // A request that was on its way when the connection broke hears of that alone; the next one hears why.
            eventually(expected, async || {
                reason(client.export(Signal::Traces, message.clone()).await).contains(expected)
            })
            .await;
        }
        assert!(stage.fixture.stats().handshakes_failed >= failed + 2);
        assert!(stage.fixture.stats().clients_refused > 0);
        let last = stage.fixture.gateway.last_refused().expect("one was refused");
        assert_eq!(last.from, Some([127, 0, 0, 1].into()));
    }
    assert_eq!(stage.blue.messages().len(), 0);
    for protocol in [Protocol::Grpc, Protocol::Http] {
        let known = stage.client(protocol, Some(&stage.ours));
        assert_eq!(known.export(Signal::Traces, message.clone()).await, Outcome::TAKEN);
    }
}

#[tokio::test]
async fn a_port_with_a_list_takes_those_on_it() {
    let stage = Stage::set(true).await;
    let message = request([(1, 2)]);
    let names = |name: &str| tls::Names::read(name).expect("a name");
    let list = |name: &str, token: &str| gateway::Senders {
        gateway: gateway::Admission { clients: [names(name)].into(), tokens: vec![gateway::Admission::digest(token)] },
        ..gateway::Senders::default()
    };
    // What `Authority::client` writes as the common name is rcgen's own.
    let common_name = "CN=rcgen self signed cert";
    for protocol in [Protocol::Grpc, Protocol::Http] {
        let known = stage.client(protocol, Some(&stage.ours));
        stage.fixture.gateway.let_in(list("spiffe://corp.example/blue", "t"));
        let before = stage.fixture.stats().clients_refused;
        let refused = reason(known.export(Signal::Traces, message.clone()).await);
        assert!(refused.contains("not on the list"), "{refused}");
        assert_eq!(stage.fixture.stats().clients_refused, before + 1);
        let last = stage.fixture.gateway.last_refused().expect("one was refused");
        assert_eq!(last.reason, "a sender that is not on the list, at the gateway");
        // The same connection is let in as soon as the list has it.
        stage.fixture.gateway.let_in(list(common_name, "t"));
        assert_eq!(known.export(Signal::Traces, message.clone()).await, Outcome::TAKEN);
    }
    assert_eq!(stage.blue.messages().len(), 2);
}

#[tokio::test]
async fn a_tap_takes_the_token_of_its_own_pipeline() {
    let blue = Upstream::start(Protocol::Grpc).await;
    let fixture = Fixture::listening(anywhere(), table(&blue, None, 0), Limits::default(), 10).await;
    let taps = ["blue", "green"].map(|tap| {
        let tokens = vec![gateway::Admission::digest(tap)];
        (tap.to_owned(), gateway::Admission { tokens, ..gateway::Admission::default() })
    });
    fixture.gateway.let_in(gateway::Senders { taps: taps.into(), ..gateway::Senders::default() });
    let (message, tap) = (request([(1, 2)]), fixture.addresses.taps["blue"].clone());
    for (authorization, status, grpc) in
        [(Some("Bearer blue"), 200, "0"), (Some("Bearer green"), 403, "7"), (None, 401, "16")]
    {
        let with = |first: (&'static str, &'static str)| {
            let mut headers = vec![first];
            headers.extend(authorization.map(|value| ("authorization", value)));
            headers
        };
        let over_http = TcpStream::connect(tap.http).await.expect("the tap listens");
        let answer = send_over(over_http, "POST", "/v1/traces", &with(PROTOBUF), message.clone()).await;
        assert_eq!(answer.status, status, "{authorization:?}");
        let over_grpc = TcpStream::connect(tap.grpc).await.expect("the tap listens");
        let path = Signal::Traces.grpc_path();
        let answer = send_over(over_grpc, "POST", path, &with(GRPC), framed(false, &message)).await;
        assert_eq!(answer.header("grpc-status"), Some(grpc), "{authorization:?}");
    }
    assert_eq!(fixture.stats().clients_refused, 4);
    // The gateway's own port has no list.
    let plain = TcpStream::connect(fixture.addresses.gateway.http).await.expect("it listens");
    assert_eq!(send_over(plain, "POST", "/v1/traces", &[PROTOBUF], message).await.status, 200);
}

#[tokio::test]
async fn a_renewed_certificate_serves_new_connections_and_old_ones_go_on() {
    let stage = Stage::set(false).await;
    let client = stage.client(Protocol::Http, None);
    assert_eq!(client.export(Signal::Traces, request([(1, 1)])).await, Outcome::TAKEN);
    let mut before = stage.connect(&[b"http/1.1"], "localhost").await.expect("TLS");

    stage.ours.server(&["localhost", "renewed.example"], Validity::Long).write(stage.folder.path(), "server");
    // The gateway looks by itself: each attempt is a new connection.
    eventually("renewed", async || stage.connect(&[b"http/1.1"], "renewed.example").await.is_ok()).await;
    before.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("it is open");
    let mut answer = [0; 12];
    before.read_exact(&mut answer).await.expect("it is answered");
    assert_eq!(&answer, b"HTTP/1.1 404");

    // Broken, and good again: at no moment is nobody let in.
    place(stage.folder.path(), "server.pem", "broken", 0o644);
    stage.connect(&[b"http/1.1"], "renewed.example").await.expect("the one before");
    stage.ours.server(&["localhost", "third.example"], Validity::Long).write(stage.folder.path(), "server");
    eventually("good again", async || {
        stage.connect(&[b"http/1.1"], "localhost").await.expect("the one before, or the new one");
        stage.connect(&[b"http/1.1"], "third.example").await.is_ok()
    })
    .await;
}

#[tokio::test]
async fn files_that_cannot_be_used_stop_the_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let files = ServerFiles { cert: folder.path().join("no.pem"), key: folder.path().join("no.key"), client_ca: None };
    let taps = [("green".to_owned(), Listen { tls: Some(files), ..anywhere() })].into();
    let config = Config { listen: anywhere(), taps, ..Config::default() };
    let Err(BindError::Tls { role, source }) = Gateway::bind(config).await.map(drop) else { panic!("it has no files") };
    assert_eq!(role.to_string(), "the OTLP/gRPC port of tap \"green\"");
    assert!(source.to_string().contains("no.pem: cannot be read"), "{source}");
}
