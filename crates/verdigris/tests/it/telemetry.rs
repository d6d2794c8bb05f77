//! What a server tells of itself: to a collector beside it, and never to itself.

use crate::server::{Addresses, Config, Server, try_serve};
use crate::wait::{eventually, seconds};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

const LIMIT: std::time::Duration = seconds(60);

type Told = Arc<Mutex<Vec<Span>>>;

/// Takes one request of a connection, and keeps the spans that are in it.
fn take(mut stream: TcpStream, told: &Told) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let (mut path, mut length) = (String::new(), 0);
    reader.read_line(&mut path)?;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        if line.trim().is_empty() {
            break;
        }
        if let Some(text) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = text.trim().parse().expect("a length");
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    if path.starts_with("POST /v1/traces ") {
        let request = ExportTraceServiceRequest::decode(&*body).expect("an export");
        let scopes = request.resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
        told.lock().expect("nobody panicked").extend(scopes.flat_map(|scope| scope.spans));
    }
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
}

#[test]
fn a_request_is_told_as_a_span() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let told = Told::default();
    let taken = told.clone();
    std::thread::spawn(move || listener.incoming().flatten().for_each(|stream| drop(take(stream, &taken))));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let more = format!("telemetry: {{ otlp: \"http://{address}\" }}\n");
    let server = Server::start(folder.path(), &Config { more, ..Config::of("http://127.0.0.1:9") });
    server.rollout(&["list"]).expect(0);
    let span = eventually("a span of the request", LIMIT, || {
        told.lock().expect("nobody panicked").iter().find(|span| span.name == "request").cloned()
    });
    assert_eq!((span.trace_id.len(), span.span_id.len()), (16, 8));
    assert!(span.start_time_unix_nano > 0 && span.end_time_unix_nano >= span.start_time_unix_nano);
    let keys: Vec<&str> = span.attributes.iter().map(|attribute| attribute.key.as_str()).collect();
    assert_eq!(keys, ["method", "route", "status"]);
}

#[test]
fn a_server_is_not_its_own_collector() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let any: SocketAddr = "127.0.0.1:0".parse().expect("an address");
    let http: SocketAddr = "127.0.0.1:14999".parse().expect("an address");
    let addresses = Some(Addresses { grpc: any, http, blue_tap: any, green_tap: any });
    let more = "telemetry: { otlp: \"http://localhost:14999\" }\n".to_owned();
    let config = Config { addresses, more, ..Config::of("http://127.0.0.1:9") }.write(folder.path());
    match try_serve(&config) {
        Ok(server) => panic!("it serves, at {:?}", server.addresses),
        Err(ran) => ran.expect(2).says(&["telemetry.otlp", "a port of this server itself"]),
    };
    assert!(!folder.path().join("data").exists(), "nothing was made, and no port was opened");
}
