use super::*;
use proptest::prelude::*;

fn taken(rejected: u64, message: &str) -> Outcome {
    Outcome::Acknowledged(PartialSuccess { rejected, message: message.to_owned() })
}

fn status(code: u32, message: &str, retry_after_ms: Option<u64>) -> Status {
    Status { code, message: message.to_owned(), retry_after_ms }
}

fn refused(code: u32, message: &str, retry_after_ms: Option<u64>) -> Outcome {
    Outcome::Refused(status(code, message, retry_after_ms))
}

/// Combines parts of 10 and 20 spans, in both orders, and expects one answer.
fn check(blue: Outcome, green: Outcome, expected: Result<u64, Status>) {
    for parts in [[(10, blue.clone()), (20, green.clone())], [(20, green), (10, blue)]] {
        let found = match combine(parts) {
            Answer::Taken(partial) => Ok(partial.rejected),
            Answer::Refused { status, .. } => Err(status),
        };
        match (&found, &expected) {
            (Err(found), Err(expected)) => {
                assert_eq!((found.code, found.retry_after_ms), (expected.code, expected.retry_after_ms));
                assert!(found.message.contains(&expected.message), "{found:?}");
            }
            _ => assert_eq!(found, expected),
        }
    }
}

#[test]
fn two_parts_become_one_answer() {
    let unavailable = |message, ms| status(code::UNAVAILABLE, message, Some(ms));
    check(taken(0, ""), taken(0, ""), Ok(0));
    check(taken(1, "a"), taken(2, "b"), Ok(3));
    check(taken(0, ""), refused(code::INVALID_ARGUMENT, "bad", None), Ok(20));
    check(taken(3, "a"), refused(code::INVALID_ARGUMENT, "bad", None), Ok(23));
    // What may be sent again outweighs the rest: no span may be lost.
    check(taken(0, ""), refused(code::UNAVAILABLE, "later", Some(7)), Err(unavailable("later", 7)));
    check(refused(code::UNAVAILABLE, "x", Some(7)), refused(code::ABORTED, "y", Some(9)), Err(unavailable("x", 9)));
    check(
        refused(code::INVALID_ARGUMENT, "bad", None),
        refused(code::RESOURCE_EXHAUSTED, "full", Some(5)),
        Err(status(code::RESOURCE_EXHAUSTED, "full", Some(5))),
    );
    let unknown = Outcome::unknown("lost".to_owned());
    check(taken(0, ""), unknown.clone(), Err(unavailable("lost", RETRY_AFTER_MS)));
    check(unknown, refused(code::INTERNAL, "bad", None), Err(unavailable("lost", RETRY_AFTER_MS)));
    check(
        refused(code::INVALID_ARGUMENT, "bad", None),
        refused(code::INVALID_ARGUMENT, "bad", None),
        Err(status(code::INVALID_ARGUMENT, "bad", None)),
    );
}

proptest! {
    #[test]
    fn a_grpc_refusal_is_read_as_it_was_written(
        code in 1u32..17,
        message in "\\PC{0,60}",
        retry_after_ms in proptest::option::of(0u64..MAX_RETRY_AFTER_MS),
    ) {
        let written = consistent(code, message, retry_after_ms);
        let response = refusal(Dialect::Grpc, StatusCode::OK, &written);
        let read = read_grpc(StatusCode::OK, response.headers(), b"", None);
        prop_assert_eq!(read, Outcome::Refused(written));
    }

    #[test]
    fn an_http_refusal_keeps_whether_to_send_again(
        code in 1u32..17,
        retry_after_ms in proptest::option::of(0u64..MAX_RETRY_AFTER_MS),
    ) {
        let written = consistent(code, "why".to_owned(), retry_after_ms);
        let Answer::Refused { http_status, .. } = Answer::from(written.clone()) else { panic!("a refusal") };
        let mut response = refusal(Dialect::HttpProtobuf, http_status, &written);
        prop_assert_eq!(response.headers().contains_key(RETRY_AFTER), written.retry_after_ms.is_some());
        *response.body_mut() = Frames::default();
        let read = read_http(http_status, response.headers(), &written.encode());
        let Outcome::Refused(read) = read else { panic!("a refusal") };
        prop_assert_eq!(read.is_retryable(), written.is_retryable());
        prop_assert!(read.message.contains("why"));
    }

    #[test]
    fn hostile_answers_are_read_without_panic(
        http_status in 100u16..1000,
        grpc_status in "\\PC{0,4}",
        message in proptest::collection::vec(any::<u8>(), 0..100),
        body in proptest::collection::vec(any::<u8>(), 0..100),
    ) {
        let http_status = StatusCode::from_u16(http_status).expect("three digits");
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, PROTOBUF);
        if let Ok(value) = HeaderValue::from_str(&grpc_status) {
            headers.insert("grpc-status", value);
        }
        for name in ["grpc-message", "grpc-status-details-bin", "retry-after"] {
            if let Ok(value) = HeaderValue::from_bytes(&message) {
                headers.insert(name, value);
            }
        }
        read_grpc(http_status, &headers, &body, None);
        read_http(http_status, &headers, &body);
    }
}

#[test]
fn delays_are_bounded_and_only_where_they_mean_something() {
    let mut headers = HeaderMap::new();
    headers.insert(RETRY_AFTER, HeaderValue::from_static("86400"));
    let read = |status: u16| read_http(StatusCode::from_u16(status).expect("a status"), &headers, b"");
    let delay = |outcome| match outcome {
        Outcome::Refused(status) => status.retry_after_ms,
        Outcome::Acknowledged(_) | Outcome::Unknown { .. } => panic!("a refusal"),
    };
    assert_eq!(delay(read(503)), Some(MAX_RETRY_AFTER_MS));
    assert_eq!(delay(read(400)), None);
}
