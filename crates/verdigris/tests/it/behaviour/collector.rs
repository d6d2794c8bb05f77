//! A collector that acknowledges everything and puts out so many spans a second at most; and an API that is slow at one
//! of its addresses.

use bytes::Bytes;
use gateway::{ClientLimits, OtlpClient};
use http_body_util::{BodyExt, Empty};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use model::{Protocol, Transport};
use otlp::Signal;
use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::Instant;
use verdigris::demo::server::Server;

pub(crate) struct Collector {
    server: Server,
    tap: Arc<Mutex<Option<String>>>,
}

impl Collector {
    /// What is more than so many spans in a second is dropped.
    pub(crate) async fn start(most_spans_per_s: u64) -> Collector {
        // As many as a test sends.
        let (sender, mut taken) = mpsc::channel::<Bytes>(100_000);
        let server = Server::start(move |signal, message| {
            if signal == Signal::Traces {
                sender.try_send(message).expect("there is room for what a test sends");
            }
            Ok(())
        });
        let server = server.await.expect("a free port");
        let tap = Arc::new(Mutex::new(None::<String>));
        let to = tap.clone();
        tokio::spawn(async move {
            let mut client = None;
            let (mut began, mut spans) = (Instant::now(), 0);
            while let Some(message) = taken.recv().await {
                if began.elapsed() >= Duration::from_secs(1) {
                    (began, spans) = (Instant::now(), 0);
                }
                spans += otlp::count_items(Signal::Traces, &message).expect("what the server took is OTLP");
                if spans > most_spans_per_s {
                    continue;
                }
                let endpoint = to.lock().expect("nobody panics").clone();
                let Some(endpoint) = endpoint else { continue };
                let client = client.get_or_insert_with(|| {
                    let transport = Transport::default();
                    OtlpClient::new(&endpoint, Protocol::Grpc, &transport, ClientLimits::default()).expect("a tap")
                });
                client.export(Signal::Traces, message).await;
            }
        });
        Collector { server, tap }
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.server.address())
    }

    pub(crate) fn exports_to(&self, tap: &str) {
        *self.tap.lock().expect("nobody panics") = Some(tap.to_owned());
    }
}

/// An API at 127.0.0.1, and at 127.0.0.2 the same with this delay; the port is that of both.
pub(crate) async fn apis(delay: Duration) -> u16 {
    for _ in 0..20 {
        let fast = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let port = fast.local_addr().expect("it is bound").port();
        let Ok(slow) = TcpListener::bind((Ipv4Addr::new(127, 0, 0, 2), port)).await else { continue };
        tokio::spawn(api(fast, Duration::ZERO));
        tokio::spawn(api(slow, delay));
        return port;
    }
    panic!("no port is free at both addresses");
}

async fn api(listener: TcpListener, delay: Duration) {
    while let Ok((stream, _)) = listener.accept().await {
        let answer = hyper::service::service_fn(move |request: Request<hyper::body::Incoming>| async move {
            let _ = request.into_body().collect().await;
            tokio::time::sleep(delay).await;
            Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
        });
        tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answer));
    }
}
