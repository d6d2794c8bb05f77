use super::*;
use certs::{Authority, Validity};
use hyper::Response;
use hyper::service::service_fn;
use model::{Compression, TlsIdentity};
use otlp::compression::decompress;
use std::convert::Infallible;
use tls::{Server, ServerFiles};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// An OTLP/HTTP receiver that answers its one request with these bytes.
async fn answers(bytes: &'static str) -> Upstream {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 4_096];
        let read = stream.read(&mut request).await.unwrap();
        assert!(request[..read].starts_with(b"POST /v1/traces HTTP/1.1\r\n"));
        stream.write_all(bytes.as_bytes()).await.unwrap();
        // Until the probe has read the answer and closes.
        let _ = stream.read(&mut request).await;
    });
    Upstream::plain(endpoint, Protocol::Http, "blue")
}

/// `expect` is the verdict and its first reason's end, for what blue and green answer.
async fn check(blue: &'static str, green: &'static str, expect: (GateVerdict, &str)) {
    let result = run(&PerEnvironment { blue: answers(blue).await, green: answers(green).await }).await;
    assert_eq!(result.verdict, expect.0, "{result:?}");
    assert!(result.reasons[0].ends_with(expect.1), "{result:?}");
}

const TAKEN: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
const REFUSED: &str = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 2\r\n\r\nno";

#[tokio::test]
async fn both_must_take_an_empty_export() {
    check(TAKEN, TAKEN, (GateVerdict::Pass, "green took an empty OTLP export")).await;
    check(TAKEN, REFUSED, (GateVerdict::Fail, "with HTTP status 503, expected success")).await;
    check(REFUSED, TAKEN, (GateVerdict::Error, "with HTTP status 503, expected success")).await;
}

/// A collector that speaks TLS, and takes everything that is compressed as `expected` says.
struct Secure {
    folder: tempfile::TempDir,
    ours: Authority,
    upstream: Upstream,
}

impl Secure {
    async fn start(
        protocol: Protocol,
        names: &[&str],
        validity: Validity,
        mutual: bool,
        expected: Compression,
    ) -> Secure {
        let (folder, ours) = (tempfile::tempdir().unwrap(), Authority::new("ours"));
        let ca = ours.write(folder.path(), "ca.pem");
        let (cert, key) = ours.server(names, validity).write(folder.path(), "server");
        let files = ServerFiles { cert, key, client_ca: mutual.then(|| ca.clone()) };
        let server = Arc::new(Server::open(files).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("https://localhost:{}", listener.local_addr().unwrap().port());
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(stream) = server.accept(stream).await else { return };
            let service = service_fn(move |request| takes(request, expected));
            let builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
            let _ = builder.serve_connection(TokioIo::new(stream), service).await;
        });
        let mut upstream = Upstream::plain(endpoint, protocol, "blue");
        upstream.transport.tls.ca = Some(ca.display().to_string());
        Secure { folder, ours, upstream }
    }
}

async fn takes(
    request: Request<hyper::body::Incoming>,
    expected: Compression,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let grpc = request.version() == http::Version::HTTP_2;
    let encoding = request.headers().get(if grpc { "grpc-encoding" } else { "content-encoding" }).cloned();
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let message = if grpc { body.slice(otlp::grpc::parse_unary(&body).unwrap().message) } else { body };
    let right = decompress(expected, &message, 100).is_ok_and(|message| message.is_empty())
        && encoding.map_or("identity".into(), |encoding| encoding.to_str().unwrap().to_owned()) == expected.encoding();
    let response = Response::builder().status(if right { 200 } else { 415 }).header("grpc-status", "0");
    Ok(response.body(Full::default()).unwrap())
}

async fn secure(green: &Upstream, expect: (GateVerdict, &str)) {
    let result = run(&PerEnvironment { blue: answers(TAKEN).await, green: green.clone() }).await;
    assert_eq!(result.verdict, expect.0, "{result:?}");
    assert!(result.reasons[0].contains(expect.1), "{result:?}");
}

#[tokio::test]
async fn an_https_endpoint_is_probed_with_its_own_settings() {
    let pass = (GateVerdict::Pass, "green took an empty OTLP export");
    for protocol in [Protocol::Grpc, Protocol::Http] {
        for compression in Compression::ALL {
            let mut green = Secure::start(protocol, &["localhost"], Validity::Long, true, compression).await;
            let (cert, key) = green.ours.client("verdigris").write(green.folder.path(), "client");
            let identity = TlsIdentity { cert: cert.display().to_string(), key: key.display().to_string() };
            green.upstream.transport.tls.identity = Some(identity);
            green.upstream.transport.compression = compression;
            secure(&green.upstream, pass).await;
        }
        let green = Secure::start(protocol, &["localhost"], Validity::Long, true, Compression::None).await;
        secure(&green.upstream, (GateVerdict::Fail, "requires a certificate of ours")).await;
        let green = Secure::start(protocol, &["localhost"], Validity::Over, false, Compression::None).await;
        secure(&green.upstream, (GateVerdict::Fail, "certificate expired")).await;
        let green = Secure::start(protocol, &["other.example"], Validity::Long, false, Compression::None).await;
        secure(&green.upstream, (GateVerdict::Fail, "certificate not valid for name \"localhost\"")).await;
        let mut green = Secure::start(protocol, &["localhost"], Validity::Long, false, Compression::None).await;
        green.upstream.transport.tls.ca = Some("/no/such/ca.pem".to_owned());
        secure(&green.upstream, (GateVerdict::Fail, "/no/such/ca.pem: cannot be read")).await;
    }
}
