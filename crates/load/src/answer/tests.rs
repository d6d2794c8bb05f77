use super::*;
use otlp::Signal;
use otlp::grpc::prefix;
use otlp::reply::{PartialSuccess, export_response};

fn grpc(status: &str, message: &[u8]) -> Fate {
    let body = [&prefix(false, message.len() as u32)[..], message].concat();
    let trailers = HeaderMap::from_iter([("grpc-status".parse().unwrap(), status.parse().unwrap())]);
    read_grpc(StatusCode::OK, &HeaderMap::new(), &body, Some(&trailers))
}

fn refused(code: &str) -> Fate {
    Fate::Refused { code: code.to_owned() }
}

#[test]
fn grpc_answers() {
    let partial = PartialSuccess { rejected: 7, message: "no room".into() };
    let partial = export_response(Signal::Traces, Some(&partial));
    assert_eq!(grpc("0", b""), Fate::Acknowledged { rejected: 0 });
    assert_eq!(grpc("0", &partial), Fate::Acknowledged { rejected: 7 });
    assert_eq!(grpc("0", b"\x0a"), refused("malformed answer"));
    assert_eq!(grpc("8", b""), Fate::Throttled { code: "grpc RESOURCE_EXHAUSTED".into(), with_delay: false });
    assert_eq!(grpc("14", b""), Fate::Throttled { code: "grpc UNAVAILABLE".into(), with_delay: false });
    assert_eq!(grpc("13", b""), refused("grpc INTERNAL"));
    assert_eq!(grpc("4000", b""), refused("grpc, a code of its own"));
    assert_eq!(grpc("-1", b""), refused("odd grpc-status"));
    let proxy = |status| read_grpc(status, &HeaderMap::new(), b"<html>", None);
    assert_eq!(proxy(StatusCode::BAD_GATEWAY), refused("http 502"));
    assert_eq!(proxy(StatusCode::OK), refused("no grpc-status"));
    assert!(matches!(proxy(StatusCode::SERVICE_UNAVAILABLE), Fate::Throttled { with_delay: false, .. }));
}

#[test]
fn delays_are_seen_with_and_without_padding() {
    for retry_after_ms in [1, 1_000, 60_000] {
        let status = Status { code: 8, message: "x".into(), retry_after_ms: Some(retry_after_ms) };
        let encoded = BASE64.encode(status.encode());
        for encoded in [encoded.as_str(), encoded.trim_end_matches('=')] {
            let headers = HeaderMap::from_iter([
                ("grpc-status".parse().unwrap(), "8".parse().unwrap()),
                ("grpc-status-details-bin".parse().unwrap(), encoded.parse().unwrap()),
            ]);
            let fate = read_grpc(StatusCode::OK, &headers, b"", None);
            assert!(matches!(fate, Fate::Throttled { with_delay: true, .. }), "{fate:?}");
        }
    }
}

#[test]
fn http_answers() {
    let read = |status: u16, body: &[u8]| read_http(StatusCode::from_u16(status).unwrap(), &HeaderMap::new(), body);
    assert_eq!(read(200, b""), Fate::Acknowledged { rejected: 0 });
    assert_eq!(read(200, b"{}"), refused("malformed answer"));
    assert!(matches!(read(429, b""), Fate::Throttled { .. }));
    assert_eq!(read(302, b""), refused("http 302"));
    assert_eq!(read(400, b"what was sent"), refused("http 400"));
}
