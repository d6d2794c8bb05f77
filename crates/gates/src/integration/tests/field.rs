//! Real servers of a test: APIs, and agents that call them.

use super::{NOW, TOKEN, calls};
use crate::Run;
use crate::integration::agent::{Config, serve};
use crate::integration::{AgentAddress, Allowed, Clock, Demanded, Maker, Stopwatch, run};
use certs::{Authority, Validity, place};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Bytes, Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use integrations::{Attempt, Target, Why};
use model::{ClientTls, GateResult, PerEnvironment};
use std::convert::Infallible;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::task::{Context, Poll};
use tempfile::TempDir;
use tls::ServerFiles;
use tokio::net::TcpListener;
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinSet;

/// What an API of a test does. Its time is a counter that it moves itself, so that no test waits.
pub(super) struct Behaviour {
    pub(super) now_us: AtomicU64,
    pub(super) takes_us: AtomicU64,
    pub(super) status: AtomicU16,
    /// `/held` tells that it was asked, and answers when it may.
    pub(super) asked: Notify,
    pub(super) may_answer: Semaphore,
}

/// Real servers on ports of the system's choice, which end with it.
pub(super) struct Field {
    folder: TempDir,
    authority: Authority,
    pub(super) behaviour: Arc<Behaviour>,
    pub(super) tasks: JoinSet<()>,
}

impl Field {
    pub(super) fn new() -> Field {
        let field = Field {
            folder: tempfile::tempdir().unwrap(),
            authority: Authority::new("ours"),
            behaviour: Arc::new(Behaviour {
                now_us: AtomicU64::new(0),
                takes_us: AtomicU64::new(10_000),
                status: AtomicU16::new(200),
                asked: Notify::new(),
                may_answer: Semaphore::new(0),
            }),
            tasks: JoinSet::new(),
        };
        field.authority.write(field.path(), "ca.pem");
        place(field.path(), "token", TOKEN, 0o600);
        field
    }

    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn tls(&self) -> ClientTls {
        ClientTls { ca: Some(self.path().join("ca.pem").display().to_string()), ..ClientTls::default() }
    }

    pub(super) fn takes(&self, us: u64) {
        self.behaviour.takes_us.store(us, Ordering::SeqCst);
    }

    /// Starts an API, with TLS if it has a name; its port.
    pub(super) async fn api(&mut self, name: Option<(&str, Validity)>) -> u16 {
        let server = name.map(|(name, validity)| self.server(name, validity));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let behaviour = self.behaviour.clone();
        self.tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (server, behaviour) = (server.clone(), behaviour.clone());
                connections.spawn(async move {
                    let service = service_fn(move |request| {
                        let behaviour = behaviour.clone();
                        async move { Ok::<_, Infallible>(behaviour.answer(request).await) }
                    });
                    let builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                    match server {
                        None => drop(builder.serve_connection(TokioIo::new(stream), service).await),
                        Some(server) => {
                            if let Ok(stream) = server.accept(stream).await {
                                drop(builder.serve_connection(TokioIo::new(stream), service).await);
                            }
                        }
                    }
                });
            }
        });
        port
    }

    fn server(&self, name: &str, validity: Validity) -> Arc<tls::Server> {
        let (cert, key) = self.authority.server(&[name], validity).write(self.path(), name);
        Arc::new(tls::Server::open(ServerFiles { cert, key, client_ca: None }).unwrap())
    }

    pub(super) fn stopwatch(&self) -> Stopwatch {
        let behaviour = self.behaviour.clone();
        Arc::new(move || behaviour.now_us.load(Ordering::SeqCst))
    }

    pub(super) fn maker(&self, allowed: Allowed) -> Maker {
        Maker { allowed, tls: self.tls(), stopwatch: self.stopwatch(), clock: Arc::new(|| NOW) }
    }

    /// An agent that may call these; with TLS of its own.
    pub(super) async fn agent(&mut self, allow: &[&str]) -> AgentAddress {
        let config = Config {
            token_file: self.path().join("token"),
            allow: allow.iter().map(|address| address.parse().unwrap()).collect(),
            tls: self.tls(),
            server: Some(self.server("localhost", Validity::Long)),
            stopwatch: self.stopwatch(),
            clock: Arc::new(|| NOW),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
        self.tasks.spawn(async move { drop(serve(listener, config).await) });
        AgentAddress { url, token_file: self.path().join("token"), tls: self.tls() }
    }

    /// One attempt from here; `expect` is why it failed and a part of its words, or nothing.
    pub(super) async fn check(&self, to: Target, expect: Option<(Why, &str)>) {
        let attempts = self.maker(Allowed::AnythingButMetadata).make(&calls(&[("one", to, 1)])).await;
        let Attempt { failed, .. } = attempts["one"][0].clone();
        match (failed, expect) {
            (None, None) => {}
            (Some(failure), Some((why, words))) => {
                assert!(failure.why == why && failure.words.contains(words), "{failure:?}");
            }
            (found, expect) => panic!("{found:?}, not {expect:?}"),
        }
    }

    pub(super) async fn run(
        &self,
        blue: Option<AgentAddress>,
        green: Option<AgentAddress>,
        demanded: &Demanded,
    ) -> GateResult {
        let clock: Clock = Arc::new(|| NOW);
        let Run { result, evidence } = run(&PerEnvironment { blue, green }, demanded, &self.stopwatch(), &clock).await;
        assert!(!String::from_utf8(evidence.unwrap()).unwrap().contains(TOKEN), "the token is in no evidence");
        result
    }
}

impl Behaviour {
    async fn answer(&self, request: Request<Incoming>) -> Response<BoxBody<Bytes, Infallible>> {
        self.now_us.fetch_add(self.takes_us.load(Ordering::SeqCst), Ordering::SeqCst);
        let path = request.uri().path().to_owned();
        let response = Response::builder().status(self.status.load(Ordering::SeqCst)).header("etag", "x");
        let full = |bytes: &'static [u8]| Full::new(Bytes::from_static(bytes)).boxed();
        match path.as_str() {
            "/held" => {
                self.asked.notify_one();
                self.may_answer.acquire().await.unwrap().forget();
                response.body(full(b"")).unwrap()
            }
            "/moved" => Response::builder().status(302).header("location", "/").body(full(b"")).unwrap(),
            "/endless" => {
                let frames = pieces(1 << 20);
                response.body(frames).unwrap()
            }
            "/grpc.health.v1.Health/Check" => {
                let asked = request.into_body().collect().await.unwrap().to_bytes();
                // The prefix, then field 1.
                let body: &'static [u8] = match &asked[5..] {
                    [] | [0x0a, 2, b'u', b'p'] => &[0, 0, 0, 0, 2, 8, 1],
                    [0x0a, 4, ..] => &[0, 0, 0, 0, 2, 8, 2],
                    _ => &[],
                };
                let status = if body.is_empty() { "5" } else { "0" };
                response.header("grpc-status", status).body(full(body)).unwrap()
            }
            _ => response.body(full(b"hello")).unwrap(),
        }
    }
}

/// A body of that many pieces of a kilobyte.
fn pieces(pieces: usize) -> BoxBody<Bytes, Infallible> {
    struct Pieces(usize);
    impl Body for Pieces {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            self.0 = self.0.saturating_sub(1);
            let piece = Bytes::from_static(&[b'x'; 1_024]);
            Poll::Ready((self.0 > 0).then(|| Ok(Frame::data(piece))))
        }
    }
    Pieces(pieces).boxed()
}
