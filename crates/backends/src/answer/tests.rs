use super::*;
use proptest::prelude::*;
use std::fmt::Write;

const TRACE: &str = "83a9efd15c1c98a977e0711cc93ee28b";

macro_rules! data {
    ($name:literal) => {
        include_bytes!(concat!("../../tests/data/", $name)).as_slice()
    };
}

const ANSWERS: [(Api, &[u8]); 5] = [
    (Api::Jaeger, data!("jaeger-trace.json")),
    (Api::JaegerV2, data!("jaeger-v2-trace.json")),
    (Api::Tempo, data!("tempo-trace.json")),
    (Api::Tempo, data!("tempo-v2-trace.json")),
    (Api::Zipkin, data!("zipkin-trace.json")),
];

const SEARCHES: [(Api, &[u8]); 4] = [
    (Api::Jaeger, data!("jaeger-found.json")),
    (Api::JaegerV2, data!("jaeger-v2-trace.json")),
    (Api::Tempo, data!("tempo-found.json")),
    (Api::Zipkin, data!("zipkin-found.json")),
];

fn id(text: &str) -> TraceId {
    text.parse().unwrap()
}

/// Everything that verification reads of the spans.
fn shown(stored: &StoredTrace) -> String {
    let mut shown = String::new();
    stored.for_each(|span| {
        let SpanView { span_id, parent_span_id, kind, name, service, attributes, resource, .. } = span;
        let error = span.is_error();
        let attribute_keys: Vec<&str> = attributes.iter().map(|(key, _)| *key).collect();
        writeln!(shown, "{span_id} in {parent_span_id}: {service} / {name}, kind {kind}, error {error}").unwrap();
        writeln!(shown, "  {} to {}, {attribute_keys:?}", span.start_unix_ns, span.end_unix_ns).unwrap();
        for (key, value) in *resource {
            writeln!(shown, "  {key} = {}", value.escape_ascii()).unwrap();
        }
    });
    shown
}

#[track_caller]
fn check_refused(api: Api, status: u16, body: &[u8], expected: &str) {
    let error = trace(api, status, body, id(TRACE)).unwrap_err().to_string();
    assert!(error.contains(expected), "{error:?} does not say {expected:?}");
}

#[test]
fn every_store_says_the_same_of_the_same_trace() {
    let read = ANSWERS.map(|(api, body)| match trace(api, 200, body, id(TRACE)) {
        Ok(Stored::Trace(stored)) => shown(&stored),
        other => panic!("{api:?}: {other:?}"),
    });
    insta::assert_snapshot!(read[0]);
    for (other, (api, _)) in read.iter().zip(ANSWERS) {
        assert_eq!(*other, read[0], "{api:?}");
    }
}

#[test]
fn nothing_is_there_is_an_answer() {
    for (api, status, body) in [
        (Api::Jaeger, 404, data!("jaeger-not-found.json")),
        (Api::JaegerV2, 404, data!("jaeger-v2-not-found.json")),
        (Api::Tempo, 404, b"trace not found"),
        (Api::Tempo, 200, b"{\"trace\":{},\"metrics\":{}}"),
        (Api::Zipkin, 404, b"83a9efd15c1c98a977e0711cc93ee28b not found"),
        (Api::Zipkin, 200, b"[]"),
    ] {
        assert_eq!(trace(api, status, body, id(TRACE)), Ok(Stored::Nothing), "{api:?}");
    }
}

#[test]
fn what_is_no_evidence_says_why() {
    for api in Api::ALL {
        check_refused(api, 503, b"no\x1b[31m", "status 503 with something else than");
        check_refused(api, 503, b"no\x1b[31m", "no\u{fffd}[31m); expected an answer: is the store overloaded");
        check_refused(api, 401, b"", "`bearerTokenFile`");
        check_refused(api, 302, b"", "not another address");
        check_refused(api, 429, b"slow down", "lower `share`");
        check_refused(api, 200, b"<html>", "expected value at line 1 column 1");
        check_refused(api, 200, b"", "EOF while parsing");
    }
    check_refused(Api::Tempo, 200, data!("tempo-v2-partial.json"), "a part of what it has");
    check_refused(Api::Jaeger, 200, b"{\"error\":{\"httpCode\":500,\"message\":\"no storage\"}}", "no storage");
    let partial = b"{\"data\":[],\"total\":0,\"errors\":[{\"code\":500,\"msg\":\"one shard is down\"}]}";
    check_refused(Api::JaegerV2, 200, partial, "one shard is down");
    check_refused(Api::JaegerV2, 200, b"{}", "missing field `total`");
    for (api, body) in ANSWERS {
        let error = trace(api, 200, body, TraceId([1; 16])).unwrap_err();
        assert_eq!(error, AnswerError::AnotherTrace { expected: TraceId([1; 16]), found: id(TRACE) });
    }
    let span = format!("{{\"traceId\":\"{TRACE}\",\"id\":\"1\"}}");
    let many = |count| format!("[{}]", vec![span.as_str(); count].join(","));
    check_refused(Api::Zipkin, 200, many(MAX_SPANS + 1).as_bytes(), "more than 20000 spans");
    assert!(trace(Api::Zipkin, 200, many(MAX_SPANS).as_bytes(), id(TRACE)).is_ok());
}

#[test]
fn a_search_gives_ids() {
    for (api, body) in SEARCHES {
        let mut expected = BTreeSet::from([id(TRACE)]);
        if api == Api::Tempo {
            expected.insert(id("00000000000000001b1ba462b409200d"));
        }
        assert_eq!(found(api, 200, body).unwrap(), expected, "{api:?}");
    }
    for (api, status, body) in [
        (Api::Jaeger, 404, data!("jaeger-not-found.json")),
        (Api::JaegerV2, 200, b"{\"data\":[],\"total\":0,\"errors\":null}"),
        (Api::Tempo, 200, b"{\"metrics\":{\"totalBlocks\":13}}"),
        (Api::Zipkin, 200, b"[]"),
    ] {
        assert_eq!(found(api, status, body), Ok(BTreeSet::new()), "{api:?}");
    }
    for api in Api::ALL {
        assert!(found(api, 404, b"404 page not found").is_err(), "{api:?}: who knows what that is");
        assert!(found(api, 200, b"{\"traces\":[{\"traceID\":\"x\"}],\"metrics\":{}}").is_err(), "{api:?}");
    }
    let error = found(Api::Zipkin, 200, b"[[{\"traceId\":\"xyz\"}]]").unwrap_err().to_string();
    assert!(error.contains("the trace id xyz"), "{error}");
}

#[test]
fn a_greeting_tells_who_is_there() {
    let greetings: [(Api, &[u8]); 4] = [
        (Api::Jaeger, b"{\"services\":[\"shop\"]}"),
        (Api::JaegerV2, b"{\"data\":[\"shop\"],\"total\":1,\"errors\":null}"),
        (Api::Tempo, b"echo\n"),
        (Api::Zipkin, b"[\"shop\"]"),
    ];
    for (api, body) in greetings {
        assert_eq!(greeted(api, 200, body), Ok(()), "{api:?}");
        assert!(greeted(api, 404, body).is_err() && greeted(api, 200, b"<html>").is_err(), "{api:?}");
    }
}

proptest! {
    /// Whatever a store sends, and whatever became of what it sent on the way.
    #[test]
    fn hostile_answers_never_panic(
        which in 0usize..9, status in prop::sample::select(vec![200u16, 404, 500]), other in any::<Vec<u8>>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4), cut in any::<prop::sample::Index>(),
    ) {
        let (_, body) = ANSWERS.iter().chain(&SEARCHES).nth(which).unwrap();
        let mut body = body.to_vec();
        for (at, byte) in changes {
            let at = at.index(body.len());
            body[at] = byte;
        }
        let cut = &body[..cut.index(body.len() + 1)];
        for (api, body) in Api::ALL.iter().flat_map(|api| [&body[..], cut, &other].map(|body| (*api, body))) {
            if let Ok(Stored::Trace(stored)) = trace(api, status, body, id(TRACE)) {
                stored.for_each(|span| assert_eq!(span.trace_id, id(TRACE)));
            }
            for error in [trace(api, status, body, id(TRACE)).err(), found(api, status, body).err()].into_iter().flatten() {
                let words = error.to_string();
                prop_assert!(!words.contains(char::is_control) && words.len() < 1_500, "{words:?}");
            }
            let _ = greeted(api, status, body);
        }
    }
}
