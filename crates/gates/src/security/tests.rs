use super::*;
use bytes::Bytes;
use certs::{Authority, Validity};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use model::TlsIdentity;
use posture::TlsVersion;
use std::convert::Infallible;
use std::sync::Arc;
use tls::{Server, ServerFiles};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;

/// How a receiver of a test is set up.
#[derive(Clone, Copy)]
struct Receiver {
    tls: bool,
    mutual: bool,
    token: bool,
    names: &'static [&'static str],
    validity: Validity,
    banner: &'static str,
}

/// As safe as it can be.
const STRICT: Receiver = Receiver {
    tls: true,
    mutual: true,
    token: true,
    names: &["localhost"],
    validity: Validity::Long,
    banner: "collector",
};

/// The authority of a test, and what it signed.
struct Ours {
    folder: tempfile::TempDir,
    authority: Authority,
}

impl Ours {
    fn new() -> Ours {
        Ours { folder: tempfile::tempdir().unwrap(), authority: Authority::new("ours") }
    }

    /// Starts a receiver. It serves until the test ends.
    async fn start(&self, stem: &str, protocol: Protocol, receiver: Receiver) -> Target {
        let ca = self.authority.write(self.folder.path(), "ca.pem");
        let (cert, key) = self.authority.server(receiver.names, receiver.validity).write(self.folder.path(), stem);
        let files = ServerFiles { cert, key, client_ca: receiver.mutual.then(|| ca.clone()) };
        let server = receiver.tls.then(|| Arc::new(Server::open(files).unwrap()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let server = server.clone();
                tokio::spawn(async move {
                    match server {
                        None => serve(stream, receiver).await,
                        Some(server) => {
                            if let Ok(stream) = server.accept(stream).await {
                                serve(stream, receiver).await;
                            }
                        }
                    }
                });
            }
        });
        let (cert, key) = self.authority.client("verdigris").write(self.folder.path(), "client");
        let mut transport = Transport::default();
        transport.tls.ca = Some(ca.display().to_string());
        transport.tls.identity = Some(TlsIdentity { cert: cert.display().to_string(), key: key.display().to_string() });
        let scheme = if receiver.tls { "https" } else { "http" };
        target(format!("{scheme}://localhost:{port}"), protocol, transport)
    }
}

fn target(endpoint: String, protocol: Protocol, transport: Transport) -> Target {
    let surface = Surface { name: "OTLP".to_owned(), endpoints: vec![endpoint], protocol, transport };
    Target { surfaces: vec![surface], ..Target::default() }
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static, receiver: Receiver) {
    let service = service_fn(move |request| takes(request, receiver));
    let builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
    let _ = builder.serve_connection(TokioIo::new(stream), service).await;
}

async fn takes(request: Request<Incoming>, receiver: Receiver) -> Result<Response<Full<Bytes>>, Infallible> {
    let grpc = request.version() == http::Version::HTTP_2;
    let refused = receiver.token && !request.headers().contains_key("authorization");
    request.into_body().collect().await.unwrap();
    let status = if refused && !grpc { 401 } else { 200 };
    let response = Response::builder().status(status).header("server", receiver.banner);
    let response = response.header("grpc-status", if refused { "16" } else { "0" });
    Ok(response.body(Full::default()).unwrap())
}

const NOW: UnixMillis = UnixMillis(1_790_000_000_000);

fn demanded() -> Security {
    Security {
        at_least: Severity::High,
        exceptions: Vec::new(),
        policies: Vec::new(),
        context: Map::new(),
        debug_ports: Vec::new(),
    }
}

async fn ask_both(blue: Target, green: Target) -> GateResult {
    run(&PerEnvironment { blue, green }, &demanded(), NOW).await.result
}

/// Blue is strict, green is `receiver`: `expect` is the verdict and the beginning of the first reason.
async fn check(protocol: Protocol, receiver: Receiver, expect: (GateVerdict, &str)) {
    let ours = Ours::new();
    let blue = ours.start("blue", protocol, STRICT).await;
    let green = ours.start("green", protocol, receiver).await;
    let result = ask_both(blue, green).await;
    assert_eq!(result.verdict, expect.0, "{result:?}");
    assert!(result.reasons[0].starts_with(expect.1), "{result:?}");
}

#[tokio::test]
async fn alike_is_a_pass() {
    let pass = (GateVerdict::Pass, "green is nowhere less safe than blue");
    for protocol in [Protocol::Grpc, Protocol::Http] {
        check(protocol, STRICT, pass).await;
    }
}

#[tokio::test]
async fn what_green_takes_and_blue_does_not() {
    for protocol in [Protocol::Grpc, Protocol::Http] {
        let receiver = Receiver { mutual: false, ..STRICT };
        let words = "green's OTLP endpoint takes requests without a client certificate; blue's refuses them";
        check(protocol, receiver, (GateVerdict::Fail, words)).await;
        let receiver = Receiver { token: false, ..STRICT };
        let words = "green's OTLP endpoint takes requests without a token; blue's refuses them";
        check(protocol, receiver, (GateVerdict::Fail, words)).await;
        let receiver = Receiver { tls: false, ..STRICT };
        check(protocol, receiver, (GateVerdict::Fail, "green's OTLP endpoint speaks no TLS; blue's speaks it")).await;
        let receiver = Receiver { banner: "collector/0.109.0", ..STRICT };
        check(protocol, receiver, (GateVerdict::Fail, "green's OTLP endpoint tells its version to everybody")).await;
    }
}

#[tokio::test]
async fn certificates_that_are_no_good() {
    let receiver = Receiver { validity: Validity::Over, ..STRICT };
    let words =
        "green's OTLP endpoint shows a certificate that is not valid now; blue's shows a certificate that is valid";
    check(Protocol::Grpc, receiver, (GateVerdict::Fail, words)).await;
    let receiver = Receiver { names: &["other.example"], ..STRICT };
    let words = "green's OTLP endpoint shows a certificate for another name; blue's shows one for its own";
    check(Protocol::Grpc, receiver, (GateVerdict::Fail, words)).await;
    let (ours, others) = (Ours::new(), Ours::new());
    let blue = ours.start("blue", Protocol::Http, STRICT).await;
    let mut green = others.start("green", Protocol::Http, STRICT).await;
    green.surfaces[0].transport = blue.surfaces[0].transport.clone();
    let result = ask_both(blue, green).await;
    assert_eq!(result.verdict, GateVerdict::Fail);
    let words =
        "green's OTLP endpoint shows a certificate that no trusted authority signed; blue's shows one that is trusted";
    assert_eq!(result.reasons[0], words);
}

/// The facts of a strict receiver, as a sample of what the evidence holds.
#[tokio::test]
async fn facts_say_what_was_seen() {
    let ours = Ours::new();
    let target = ours.start("blue", Protocol::Grpc, STRICT).await;
    let facts = facts(&target, &demanded(), NOW).await;
    let of = |setting: Setting| facts.surfaces["OTLP"][&setting].clone();
    assert_eq!(
        of(Setting::TlsMinVersion),
        Fact::known(posture::Value::Version(TlsVersion::Tls12), "accepted TLS 1.2, TLS 1.3")
    );
    assert_eq!(of(Setting::TlsKeyBits), Fact::known(posture::Value::Strength(128), "EC P-256"));
    assert_eq!(
        of(Setting::AuthRequired),
        Fact::known(posture::Value::Holds(true), "without a token it answered gRPC status 16")
    );
    assert_eq!(facts.certificates["OTLP"][0].names.iter().collect::<Vec<_>>(), ["localhost"]);
    let text = serde_json::to_string(&facts).unwrap();
    assert!(!text.contains(&ours.folder.path().display().to_string()), "no path of a key: {text}");
}

/// A server of another time: it answers hellos of TLS 1.0 with a suite of 3DES, and closes on everything else.
async fn ancient() -> Target {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("https://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut hello = [0; 1_024];
            let Ok(length) = stream.read(&mut hello).await else { continue };
            let has_3des = hello[..length].windows(2).any(|pair| pair == [0x00, 0x0a]);
            // The version that is asked for, behind the record's header and the message's.
            if length > 11 && hello[9..11] == [3, 1] && has_3des {
                let body = [&[3, 1][..], &[7; 32], &[0, 0x00, 0x0a, 0]].concat();
                let record = [&[22, 3, 1, 0, 42, 2, 0, 0, 38][..], &body].concat();
                let _ = stream.write_all(&record).await;
            }
        }
    });
    target(endpoint, Protocol::Grpc, Transport::default())
}

#[tokio::test]
async fn versions_that_rustls_does_not_speak_are_found() {
    let facts = facts(&ancient().await, &demanded(), NOW).await;
    let of = |setting: Setting| facts.surfaces["OTLP"][&setting].clone();
    let seen = "accepted TLS 1.0";
    assert_eq!(of(Setting::TlsMinVersion), Fact::known(posture::Value::Version(TlsVersion::Tls10), seen));
    assert_eq!(of(Setting::TlsMaxVersion), Fact::known(posture::Value::Version(TlsVersion::Tls10), seen));
    let Fact::Known { value: posture::Value::Accepts(weak), .. } = of(Setting::TlsCiphers) else { panic!() };
    assert_eq!(weak.iter().collect::<Vec<_>>(), ["3DES"]);
    assert!(matches!(of(Setting::CertificateValidity), Fact::Unknown { .. }));
}

/// Invariant 4.
#[tokio::test]
async fn an_endpoint_that_is_not_there_is_an_error() {
    let ours = Ours::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gone = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let there = ours.start("blue", Protocol::Http, STRICT).await;
    let gone = target(gone, Protocol::Http, Transport::default());
    assert_eq!(ask_both(there.clone(), gone.clone()).await.verdict, GateVerdict::Error);
    assert_eq!(ask_both(gone, there.clone()).await.verdict, GateVerdict::Error);
    let nowhere = target("collector:4317".to_owned(), Protocol::Grpc, Transport::default());
    assert_eq!(ask_both(there, nowhere).await.verdict, GateVerdict::Error);
}

#[tokio::test]
async fn debugging_ports_are_tried_at_the_endpoints_host_alone() {
    let debugging = TcpListener::bind("127.0.0.2:0").await.unwrap();
    let port = debugging.local_addr().unwrap().port();
    let ports = [DebugPort { port, what: "pprof".to_owned() }];
    let open = async |url: String| {
        let target = target(url, Protocol::Grpc, Transport::default());
        let surface = &target.surfaces[0];
        ports::ask(&Endpoint::new(&surface.endpoints[0], surface).unwrap(), &ports).await
    };
    let seen = "1 of 1 ports accept connections";
    let expect = Fact::known(posture::Value::Accepts([format!("{port} (pprof)")].into()), seen);
    assert_eq!(open("http://127.0.0.2:4317".to_owned()).await, expect);
    let expect = Fact::known(posture::Value::Accepts([].into()), "0 of 1 ports accept connections");
    assert_eq!(open("http://127.0.0.1:4317".to_owned()).await, expect);
    // Its own port is no debugging port.
    let expect = Fact::known(posture::Value::Accepts([].into()), "0 of 0 ports accept connections");
    assert_eq!(open(format!("http://127.0.0.2:{port}")).await, expect);
}

#[tokio::test]
async fn reports_are_read_from_files() {
    let ours = Ours::new();
    let mut targets = PerEnvironment {
        blue: ours.start("blue", Protocol::Http, STRICT).await,
        green: ours.start("green", Protocol::Http, STRICT).await,
    };
    let report = |name: &str, text: &str| {
        let path = ours.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        vec![path]
    };
    let found = r#"{"matches":[{"vulnerability":{"id":"CVE-1","severity":"High"},"artifact":{"name":"zlib"}}]}"#;
    targets.blue.reports = report("blue.json", r#"{"matches":[]}"#);
    targets.green.reports = report("green.json", found);
    let Answer { result, evidence } = run(&targets, &demanded(), NOW).await;
    assert_eq!(result.verdict, GateVerdict::Fail);
    assert_eq!(result.reasons[0], "green has CVE-1 (high) in zlib, by grype; blue has not");
    assert_eq!(evidence["input"]["vulnerabilities"]["findings"][0]["id"], "CVE-1");
    targets.green.reports = report("green.json", "{}");
    let result = run(&targets, &demanded(), NOW).await.result;
    assert_eq!(result.verdict, GateVerdict::Error);
    assert!(result.reasons[0].contains("green.json: the report is of no kind"), "{result:?}");
}
