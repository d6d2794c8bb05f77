//! Both ends over a loopback socket, their files changing between connections.

use super::*;
use certs::{Authority, Identity, Validity, place};
use model::{ClientTls, TlsIdentity};
use std::os::unix::fs::symlink;
use std::path::Path;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

fn text(path: &Path) -> String {
    path.display().to_string()
}

/// Two authorities, and a folder with `server.pem`, `server.key` and `ca.pem` of the first one.
struct Files {
    folder: TempDir,
    ours: Authority,
    others: Authority,
}

impl Files {
    fn new() -> Files {
        let files = Files {
            folder: tempfile::tempdir().unwrap(),
            ours: Authority::new("ours"),
            others: Authority::new("others"),
        };
        files.ours.write(files.path(), "ca.pem");
        files.serve(&files.ours.server(&["localhost"], Validity::Long));
        files
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn serve(&self, identity: &Identity) {
        identity.write(self.path(), "server");
    }

    fn server_files(&self, client_ca: bool) -> ServerFiles {
        ServerFiles {
            cert: self.path().join("server.pem"),
            key: self.path().join("server.key"),
            client_ca: client_ca.then(|| self.path().join("ca.pem")),
        }
    }

    fn server(&self, client_ca: bool) -> Server {
        Server::open(self.server_files(client_ca)).unwrap()
    }

    /// Trusts `ca.pem`; shows `client.pem`, if there is one.
    fn client(&self) -> Arc<Client> {
        Arc::new(Client::new(&self.settings(), "localhost", Alpn::Http2).unwrap())
    }

    fn settings(&self) -> ClientTls {
        let client = self.path().join("client.pem");
        let identity =
            client.exists().then(|| TlsIdentity { cert: text(&client), key: text(&self.path().join("client.key")) });
        ClientTls { ca: Some(text(&self.path().join("ca.pem"))), identity, server_name: None }
    }
}

/// A connection over which a byte went each way: what the server's end and the client's end said of it.
async fn meet(server: &Server, client: &Arc<Client>) -> (Result<Vec<u8>, String>, Result<(), String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let served = async {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = server.accept(stream).await.map_err(|error| error.to_string())?;
        let mut byte = [0];
        stream.read_exact(&mut byte).await.map_err(|error| words::io_words(&error))?;
        stream.write_all(&byte).await.map_err(|error| words::io_words(&error))?;
        let _ = stream.shutdown().await;
        Ok(stream.get_ref().1.alpn_protocol().unwrap_or_default().to_vec())
    };
    let asked = async {
        let stream = TcpStream::connect(address).await.unwrap();
        let mut stream = client.connect(stream).await.map_err(|error| error.to_string())?;
        // In TLS 1.3 a client hears only now that its certificate was refused.
        stream.write_all(b"x").await.map_err(|error| error.to_string())?;
        stream.read_exact(&mut [0]).await.map_err(|error| error.to_string())?;
        Ok(())
    };
    tokio::join!(served, asked)
}

/// What a connection ends with: `Ok`, or what each end must say.
async fn check(server: &Server, client: &Arc<Client>, expected: Result<(), (&str, &str)>) {
    match (meet(server, client).await, expected) {
        ((Ok(alpn), Ok(())), Ok(())) => assert_eq!(alpn, b"h2"),
        ((Err(served), Err(asked)), Err((server_says, client_says))) => {
            assert!(served.contains(server_says), "the server: {served}");
            assert!(asked.contains(client_says), "the client: {asked}");
        }
        (found, expected) => panic!("{found:?}, expected {expected:?}"),
    }
}

#[tokio::test]
async fn a_server_is_verified_and_what_is_wrong_with_it_is_named() {
    let files = Files::new();
    check(&files.server(false), &files.client(), Ok(())).await;
    files.serve(&files.ours.server(&["localhost"], Validity::Over));
    check(&files.server(false), &files.client(), Err(("CertificateExpired", "certificate expired"))).await;
    files.serve(&files.ours.server(&["other.example"], Validity::Long));
    let wrong_name =
        r#"certificate not valid for name "localhost"; certificate is only valid for DnsName("other.example")"#;
    check(&files.server(false), &files.client(), Err(("", wrong_name))).await;
    let named = ClientTls { server_name: Some("other.example".to_owned()), ..files.settings() };
    let named = Arc::new(Client::new(&named, "localhost", Alpn::Http2).unwrap());
    check(&files.server(false), &named, Ok(())).await;
    files.serve(&files.others.server(&["localhost"], Validity::Long));
    check(&files.server(false), &files.client(), Err(("does not trust", "signed by none of the authorities"))).await;
    let client = files.ours.client("a-client");
    files.serve(&client);
    check(&files.server(false), &files.client(), Err(("", "extended key usage"))).await;
}

#[tokio::test]
async fn a_client_without_the_right_certificate_is_refused() {
    let files = Files::new();
    let server = files.server(true);
    check(&server, &files.client(), Err(("showed no certificate", "requires a certificate of ours"))).await;
    files.others.client("theirs").write(files.path(), "client");
    check(&server, &files.client(), Err(("signed by none", "does not trust"))).await;
    files.ours.client("ours").write(files.path(), "client");
    check(&server, &files.client(), Ok(())).await;
    // Who asks for no certificate takes clients that have one.
    check(&files.server(false), &files.client(), Ok(())).await;
}

#[tokio::test]
async fn who_only_writes_hears_why_it_was_refused() {
    let files = Files::new();
    let server = files.server(true);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let connecting = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (stream, _) = listener.accept().await.unwrap();
    // Otherwise the alert may wait for an acknowledgement, and be dropped when the server closes.
    stream.set_nodelay(true).unwrap();
    let client = files.client();
    let (served, stream) = tokio::join!(server.accept(stream), client.connect(connecting));
    assert!(served.is_err(), "it showed no certificate");
    let mut stream = stream.expect("a client's side of the handshake is over before");
    let error = loop {
        let written = async {
            stream.write_all(&[0; 1024]).await?;
            stream.flush().await
        };
        if let Err(error) = written.await {
            break error.to_string();
        }
    };
    assert!(error.contains("requires a certificate of ours"), "{error}");
}

#[tokio::test]
async fn what_does_not_speak_tls_is_named() {
    let files = Files::new();
    let server = files.server(false);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut plain = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    plain.write_all(b"POST /v1/traces HTTP/1.1\r\n\r\n").await.unwrap();
    let (stream, _) = listener.accept().await.unwrap();
    let error = server.accept(stream).await.expect_err("no TLS").to_string();
    assert!(error.contains("does not speak TLS"), "{error}");

    let connecting = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (mut plain, _) = listener.accept().await.unwrap();
    plain.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
    let error = files.client().connect(connecting).await.expect_err("no TLS").to_string();
    assert!(error.contains("does not speak TLS"), "{error}");
}

#[tokio::test]
async fn a_server_takes_new_files_and_keeps_the_old_where_they_are_broken() {
    let files = Files::new();
    let server = files.server(true);
    files.ours.client("ours").write(files.path(), "client");
    let client = files.client();
    assert!(matches!(server.look(), Look::Same));

    // Half a renewal: the certificate is new, the key is not yet.
    let renewed = files.ours.server(&["localhost", "renewed.example"], Validity::Long);
    place(files.path(), "server.pem", &renewed.cert, 0o644);
    let Look::Kept(error) = server.look() else { panic!("the pair does not fit") };
    assert!(
        error.to_string().contains("server.pem") && error.to_string().contains("not that of the certificate"),
        "{error}"
    );
    assert!(matches!(server.look(), Look::Same), "it is told once");
    check(&server, &client, Ok(())).await;

    place(files.path(), "server.key", &renewed.key, 0o600);
    assert!(matches!(server.look(), Look::Loaded));
    let renewed_name = ClientTls { server_name: Some("renewed.example".to_owned()), ..files.settings() };
    let renewed_name = Arc::new(Client::new(&renewed_name, "localhost", Alpn::Http2).unwrap());
    check(&server, &renewed_name, Ok(())).await;

    // Other clients are let in; who was let in before is not.
    files.others.write(files.path(), "ca.pem");
    assert!(matches!(server.look(), Look::Loaded));
    let (served, _) = meet(&server, &renewed_name).await;
    assert!(served.is_err(), "{served:?}");

    for (name, broken) in [("ca.pem", "no PEM"), ("server.pem", ""), ("server.key", "-----BEGIN PRIVATE KEY-----\nx\n")]
    {
        let good = std::fs::read_to_string(files.path().join(name)).unwrap();
        place(files.path(), name, broken, 0o600);
        let Look::Kept(error) = server.look() else { panic!("{name} is broken") };
        assert!(error.to_string().contains(name), "{error}");
        place(files.path(), name, &good, 0o600);
        assert!(matches!(server.look(), Look::Loaded), "it is good again");
    }
    std::fs::remove_file(files.path().join("server.key")).unwrap();
    assert!(matches!(server.look(), Look::Kept(FileError::Read { .. })));
}

/// Kubernetes mounts a secret as links into a folder that is itself a link, and swaps that one.
#[test]
fn a_swap_of_links_is_seen() {
    let files = Files::new();
    let folder = |name: &str, identity: &Identity| {
        let folder = files.path().join(name);
        std::fs::create_dir(&folder).unwrap();
        identity.write(&folder, "server");
        folder
    };
    let one = folder("one", &files.ours.server(&["localhost"], Validity::Long));
    let two = folder("two", &files.ours.server(&["localhost"], Validity::Long));
    let link = files.path().join("data");
    symlink(&one, &link).unwrap();
    let at = |name: &str| link.join(name);
    let server = Server::open(ServerFiles { cert: at("server.pem"), key: at("server.key"), client_ca: None }).unwrap();
    let swapped = files.path().join("swapped");
    symlink(&two, &swapped).unwrap();
    std::fs::rename(&swapped, &link).unwrap();
    assert!(matches!(server.look(), Look::Loaded));
    assert!(matches!(server.look(), Look::Same));
}

#[tokio::test]
async fn a_client_takes_new_files_and_keeps_the_old_where_they_are_broken() {
    let files = Files::new();
    files.others.client("not yet").write(files.path(), "client");
    let client = files.client();
    let server = files.server(true);
    let (served, _) = meet(&server, &client).await;
    assert!(served.is_err(), "{served:?}");
    files.ours.client("renewed").write(files.path(), "client");
    check(&server, &client, Ok(())).await;
    place(files.path(), "client.pem", "broken", 0o644);
    check(&server, &client, Ok(())).await;
    std::fs::remove_file(files.path().join("ca.pem")).unwrap();
    check(&server, &client, Ok(())).await;
}

#[test]
fn a_client_without_its_files_has_no_connection_until_they_are_there() {
    let files = Files::new();
    let client = files.client();
    std::fs::remove_file(files.path().join("ca.pem")).unwrap();
    let error = client.look().expect_err("it cannot verify").to_string();
    assert!(error.contains("ca.pem: cannot be read"), "{error}");
    files.ours.write(files.path(), "ca.pem");
    client.look().expect("it can now");
}

#[test]
fn a_key_that_others_can_read_is_refused() {
    let files = Files::new();
    let key = std::fs::read_to_string(files.path().join("server.key")).unwrap();
    for (mode, good) in [(0o600, true), (0o400, true), (0o640, true), (0o440, true), (0o644, false), (0o660, false)] {
        place(files.path(), "server.key", &key, mode);
        let opened = Server::open(files.server_files(false));
        assert_eq!(opened.is_ok(), good, "{mode:o}");
        if let Err(error) = opened {
            let said = error.to_string();
            assert!(said.contains("server.key") && said.contains(&format!("{mode:o}")), "{said}");
            assert!(!key.lines().any(|line| said.contains(line)), "{said}");
        }
    }
}

#[test]
fn what_is_no_pem_of_its_kind_is_refused_by_name() {
    let files = Files::new();
    let refused = |name: &str, text: &str, expected: &str| {
        files.serve(&files.ours.server(&["localhost"], Validity::Long));
        place(files.path(), name, text, 0o600);
        let error = Server::open(files.server_files(true)).expect_err(expected).to_string();
        assert!(error.contains(name) && error.contains(expected), "{error}");
        files.ours.write(files.path(), "ca.pem");
    };
    let key = files.ours.client("x").key;
    refused("server.pem", &key, "holds no certificate");
    refused("server.key", "", "holds no private key");
    refused("server.key", &files.ours.client("x").cert, "holds no private key");
    refused("server.key", &files.ours.client("x").key, "not that of the certificate");
    refused("server.key", &key.replace("PRIVATE", "ENCRYPTED PRIVATE"), "not encrypted");
    refused("ca.pem", "nothing", "holds no certificate");
    refused("ca.pem", &"x".repeat(2 << 20), "larger than");
}

#[test]
fn a_name_that_no_certificate_can_be_for_is_refused() {
    let name = |host: &str| Client::new(&ClientTls::default(), host, Alpn::Http1).map(drop);
    for good in ["localhost", "collector.example", "127.0.0.1", "::1", "a_b"] {
        assert_eq!(name(good), Ok(()), "{good}");
    }
    for bad in ["", "a b", "-", "[::1]"] {
        assert_eq!(name(bad), Err(NameError { name: bad.to_owned() }));
    }
}

/// What a server shows, and whether it is trusted at a moment.
async fn shown(files: &Files, at_secs: u64) -> (usize, Result<(), String>) {
    let (server, client) = (files.server(false), files.client());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let served = async {
        let (stream, _) = listener.accept().await.unwrap();
        server.accept(stream).await.map(|_| ())
    };
    let looked = async { client.shown(TcpStream::connect(address).await.unwrap()).await.unwrap() };
    let (served, chain) = tokio::join!(served, looked);
    assert!(served.is_err(), "no connection comes of it");
    (chain.len(), client.trusts(&chain, at_secs).map_err(|error| error.to_string()))
}

#[tokio::test]
async fn certificates_are_looked_at_without_a_connection() {
    const NOW_SECS: u64 = 1_790_000_000;
    const IN_2000_SECS: u64 = 960_000_000;
    let files = Files::new();
    assert_eq!(shown(&files, NOW_SECS).await, (1, Ok(())));
    files.serve(&files.ours.server(&["other.example"], Validity::Long));
    assert_eq!(shown(&files, NOW_SECS).await, (1, Ok(())), "the name is no part of the question");
    files.serve(&files.ours.server(&["localhost"], Validity::Over));
    assert_eq!(shown(&files, IN_2000_SECS).await, (1, Ok(())));
    assert!(shown(&files, NOW_SECS).await.1.unwrap_err().contains("expired"));
    files.serve(&files.others.server(&["localhost"], Validity::Long));
    assert!(shown(&files, NOW_SECS).await.1.unwrap_err().starts_with("its certificate was signed by none"));
}
