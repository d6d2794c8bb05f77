use super::*;
use crate::demo::delivery::deliver;
use crate::demo::random::SplitMix64;
use crate::demo::server::Server;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// Sends `request`'s body to a server that answers with `answer`, and checks what the client makes of it.
async fn check(answer: Result<(), Status>, expect: impl FnOnce(Result<Option<PartialSuccess>, ExportError>)) {
    let server = Server::start(move |_, _| answer.clone()).await.unwrap();
    let client = OtlpClient::new(&format!("http://{}", server.address())).unwrap();
    expect(client.export(Signal::Traces, &Framed::new(b"")).await);
}

fn status(code: u32, retry_after_ms: Option<u64>) -> Status {
    Status { code, message: "100% full".into(), retry_after_ms }
}

#[tokio::test]
async fn the_servers_answer_arrives_with_its_retry_info() {
    check(Ok(()), |outcome| assert_eq!(outcome.unwrap(), None)).await;
    for (code, retry_after_ms, retry) in [
        (code::UNAVAILABLE, None, Retry::After { at_least_ms: 0 }),
        (code::UNAVAILABLE, Some(1_250), Retry::After { at_least_ms: 1_250 }),
        (code::RESOURCE_EXHAUSTED, Some(3), Retry::After { at_least_ms: 3 }),
        (code::RESOURCE_EXHAUSTED, None, Retry::Never),
        (code::INVALID_ARGUMENT, None, Retry::Never),
        (code::ABORTED, None, Retry::After { at_least_ms: 0 }),
    ] {
        check(Err(status(code, retry_after_ms)), |outcome| {
            let error = outcome.unwrap_err();
            assert_eq!(error.retry(), retry);
            let ExportError::Refused(found) = error else { panic!("{error}") };
            assert_eq!((found.code, found.retry_after_ms), (code, retry_after_ms));
        })
        .await;
    }
}

#[tokio::test]
async fn every_signal_and_byte_arrives_as_sent() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = seen.clone();
    let server = Server::start(move |signal, message| {
        log.lock().unwrap().push((signal, message));
        Ok(())
    });
    let server = server.await.unwrap();
    let client = OtlpClient::new(&format!("http://{}", server.address())).unwrap();
    let large: Vec<u8> = (0..3_000_000).map(|byte| (byte % 251) as u8).collect();
    for signal in Signal::ALL {
        client.export(signal, &Framed::new(&large)).await.unwrap();
    }
    let gzipped = otlp::compression::gzip(&large);
    let mut framed = grpc::prefix(true, gzipped.len() as u32).to_vec();
    framed.extend(gzipped);
    let compressed = Request::post(format!("http://{}{}", server.address(), Signal::Logs.grpc_path()))
        .header("content-type", "application/grpc")
        .header("grpc-encoding", "gzip")
        .body(Full::new(Bytes::from(framed)))
        .unwrap();
    let response = client.connection().await.unwrap().send_request(compressed).await.unwrap();
    assert_eq!(client.read(response).await.unwrap(), None);
    let expected = [Signal::Traces, Signal::Metrics, Signal::Logs, Signal::Logs];
    assert!(
        seen.lock().unwrap().iter().map(|(signal, message)| (*signal, &**message)).eq(expected.map(|s| (s, &*large)))
    );
}

#[tokio::test]
async fn a_connection_that_broke_is_worth_another_try_and_made_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = OtlpClient::new(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    let request = Framed::new(b"");
    let (broken, listener) = tokio::join!(client.export(Signal::Traces, &request), async {
        drop(listener.accept().await.unwrap());
        listener
    });
    let broken = broken.unwrap_err();
    assert!(matches!(broken, ExportError::Broken { .. }), "{broken}");
    assert_eq!(broken.retry(), Retry::After { at_least_ms: 0 });
    let server = Server::on(listener, |_, _| Ok(())).unwrap();
    deliver(&client, Signal::Traces, &request, &mut SplitMix64::new(1)).await.unwrap();
    server.kill().await;
    let gone = client.export(Signal::Traces, &request).await.unwrap_err();
    assert_eq!(gone.retry(), Retry::After { at_least_ms: 0 }, "{gone}");
}

#[tokio::test]
async fn somebody_who_speaks_no_http2_is_an_error_not_a_hang() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = OtlpClient::new(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    let other = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.read(&mut [0; 64]).await;
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").await;
    });
    let error = client.export(Signal::Traces, &Framed::new(b"")).await.unwrap_err();
    assert!(matches!(error, ExportError::Broken { .. }), "{error}");
    other.await.unwrap();
}

#[tokio::test]
async fn the_server_says_what_it_does_not_take() {
    let server = Server::start(|_, _| Ok(())).await.unwrap();
    let client = OtlpClient::new(&format!("http://{}", server.address())).unwrap();
    let traces = Signal::Traces.grpc_path();
    let bomb = otlp::compression::gzip(&vec![0; crate::demo::server::MAX_MESSAGE_BYTES + 1]);
    let bomb = [&grpc::prefix(true, bomb.len() as u32)[..], &bomb].concat();
    let large = vec![0; crate::demo::server::MAX_MESSAGE_BYTES + 6];
    for (path, content_type, encoding, body, expected) in [
        ("/v1/traces", "application/grpc", "gzip", &[0; 5][..], Ok(code::UNIMPLEMENTED)),
        (traces, "application/json", "gzip", &[0; 5], Err(StatusCode::UNSUPPORTED_MEDIA_TYPE)),
        (traces, "application/grpc", "zstd", &[1, 0, 0, 0, 0], Ok(code::UNIMPLEMENTED)),
        (traces, "application/grpc", "gzip", &[0, 0, 0, 0, 9], Ok(code::INVALID_ARGUMENT)),
        (traces, "application/grpc", "gzip", &[1, 0, 0, 0, 0], Ok(code::INVALID_ARGUMENT)),
        (traces, "application/grpc", "gzip", &bomb, Ok(code::RESOURCE_EXHAUSTED)),
        (traces, "application/grpc", "gzip", &large, Ok(code::RESOURCE_EXHAUSTED)),
    ] {
        let request = Request::post(format!("http://{}{path}", server.address()))
            .header("content-type", content_type)
            .header("grpc-encoding", encoding)
            .body(Full::new(Bytes::from(body.to_vec())))
            .unwrap();
        let response = client.connection().await.unwrap().send_request(request).await.unwrap();
        let found = match client.read(response).await {
            Err(ExportError::Refused(status)) => Ok(status.code),
            Err(ExportError::NotGrpc { status, .. }) => Err(status),
            other => panic!("{other:?}"),
        };
        assert_eq!(found, expected, "{path} {content_type} {encoding}");
    }
}

#[test]
fn endpoints_are_http_with_a_port_and_nothing_else() {
    for good in ["http://127.0.0.1:4317", "http://[::1]:4317/", "http://collector:4317"] {
        assert!(OtlpClient::new(good).is_ok(), "{good}");
    }
    for bad in ["", "127.0.0.1:4317", "https://a:1", "http://a", "http://a:1/v1/traces", "http://a:1/?b", "http://a:x"]
    {
        assert!(OtlpClient::new(bad).is_err(), "{bad}");
    }
}
