use super::*;
use crate::server::answering::{Answer, Answering, http, once};
use std::time::Duration;
use tokio::net::TcpListener;

const TRACE: TraceId = TraceId([7; 16]);

/// The same trace of one span, as each store answers it.
fn stored(api: Api) -> String {
    let (trace, span) = ("07".repeat(16), "01".repeat(8));
    let otlp = |trace: &str, span: &str| {
        format!(r#"{{"scopeSpans":[{{"spans":[{{"traceId":"{trace}","spanId":"{span}","name":"get"}}]}}]}}"#)
    };
    match api {
        Api::Jaeger => format!(r#"{{"result":{{"resourceSpans":[{}]}}}}"#, otlp(&trace, &span)),
        Api::Tempo => format!(r#"{{"batches":[{}]}}"#, otlp("BwcHBwcHBwcHBwcHBwcHBw==", "AQEBAQEBAQE=")),
        Api::JaegerV2 => format!(
            r#"{{"data":[{{"traceID":"{trace}","spans":[{{"traceID":"{trace}","spanID":"{span}","operationName":"get"}}],
               "processes":{{}}}}],"total":0,"errors":null}}"#
        ),
        Api::Zipkin => format!(r#"[{{"traceId":"{trace}","id":"{span}","name":"get"}}]"#),
    }
}

/// What a search that finds that trace answers.
fn found(api: Api) -> String {
    match api {
        Api::Jaeger | Api::JaegerV2 => stored(api),
        Api::Tempo => format!(r#"{{"traces":[{{"traceID":"{}"}}],"metrics":{{}}}}"#, "7".to_owned() + &"07".repeat(15)),
        Api::Zipkin => format!("[{}]", stored(api)),
    }
}

fn greeting(api: Api) -> &'static str {
    match api {
        Api::Jaeger => r#"{"services":["shop"]}"#,
        Api::JaegerV2 => r#"{"data":["shop"],"total":1}"#,
        Api::Tempo => "echo",
        Api::Zipkin => r#"["shop"]"#,
    }
}

async fn answering(answers: &[String]) -> Answering {
    Answering::with(answers.iter().map(|it| Answer::Bytes(it.clone().into_bytes())).collect(), None).await
}

fn backend(server: &Answering, api: Api) -> Backend {
    Backend::new(api, &server.url, &ClientTls::default(), None).unwrap()
}

fn search() -> Search {
    Search { service: "shop".to_owned(), from_ns: 1_000_000_000, to_ns: 2_000_000_000, limit: 100 }
}

#[tokio::test]
async fn every_store_is_asked_for_a_trace_and_for_a_search() {
    for api in Api::ALL {
        let mut server = answering(&[http("200 OK", &stored(api)), http("200 OK", &found(api))]).await;
        let backend = backend(&server, api);
        let Ok(Stored::Trace(trace)) = backend.trace(TRACE, &once()).await else { panic!("{api:?}") };
        let mut spans = Vec::new();
        trace.for_each(|span| spans.push((span.trace_id, span.span_id.to_string(), span.name.to_owned())));
        assert_eq!(spans, [(TRACE, "01".repeat(8), "get".to_owned())], "{api:?}");
        assert_eq!(backend.search(&search(), &once()).await.unwrap(), BTreeSet::from([TRACE]), "{api:?}");
        let [asked, searched] = [server.asked.recv().await.unwrap(), server.asked.recv().await.unwrap()];
        assert!(asked.starts_with(&format!("GET {} HTTP/1.1\r\n", trace_path(api, TRACE))), "{asked}");
        assert!(asked.contains("accept: application/json\r\n") && !asked.contains("content-type"), "{asked}");
        assert!(searched.starts_with(&format!("GET {} HTTP/1.1\r\n", search_path(api, &search()))), "{searched}");
    }
}

#[tokio::test]
async fn nothing_is_believed_of_a_store_that_is_known_alone() {
    for api in Api::ALL {
        let nothing = http("404 Not Found", "");
        // The right store, which is not asked twice who it is.
        let answers = [nothing.clone(), http("200 OK", greeting(api)), nothing.clone()];
        let server = answering(&answers).await;
        let right = backend(&server, api);
        for _ in 0..2 {
            assert_eq!(right.trace(TRACE, &once()).await.unwrap(), Stored::Nothing, "{api:?}");
        }
        // One that has shown a trace need not say it either.
        let server = answering(&[http("200 OK", &stored(api)), nothing.clone()]).await;
        let shown = backend(&server, api);
        assert!(matches!(shown.trace(TRACE, &once()).await, Ok(Stored::Trace(_))));
        assert_eq!(shown.trace(TRACE, &once()).await.unwrap(), Stored::Nothing, "{api:?}");
        // Another server, or a path too few.
        let mut server = answering(&[nothing.clone(), nothing]).await;
        let error = backend(&server, api).trace(TRACE, &once()).await.unwrap_err().to_string();
        assert!(error.contains("is the path missing, such as /jaeger"), "{error}");
        let [_, greeted] = [server.asked.recv().await.unwrap(), server.asked.recv().await.unwrap()];
        assert!(greeted.starts_with(&format!("GET {} HTTP", greeting_path(api))), "{greeted}");
    }
}

#[tokio::test]
async fn it_is_asked_again_as_often_as_there_are_pauses() {
    let (bad, good) = (http("503 Service Unavailable", "starting"), http("200 OK", &stored(Api::Tempo)));
    let patience = Patience { attempt: Duration::from_secs(60), pauses: vec![Duration::from_millis(1); 2] };
    let server = answering(&[bad.clone(), bad.clone(), good.clone()]).await;
    assert!(matches!(backend(&server, Api::Tempo).trace(TRACE, &patience).await, Ok(Stored::Trace(_))));
    let mut server = answering(&[bad.clone(), bad.clone(), bad, good]).await;
    let error = backend(&server, Api::Tempo).trace(TRACE, &patience).await.unwrap_err().to_string();
    assert!(error.starts_with(&server.url) && error.contains("HTTP status 503"), "{error}");
    for _ in 0..3 {
        server.asked.recv().await.unwrap();
    }
    assert!(server.asked.try_recv().is_err(), "three attempts");
}

#[tokio::test]
async fn what_is_no_answer_says_why() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/tempo", listener.local_addr().unwrap());
    drop(listener);
    let gone = Backend::new(Api::Tempo, &url, &ClientTls::default(), None).unwrap();
    let error = gone.trace(TRACE, &once()).await.unwrap_err().to_string();
    assert!(error.contains("does not accept connections") && error.contains("expected Tempo's API there"), "{error}");
    let silent = Answering::with(vec![Answer::Silence], None).await;
    let short = Patience { attempt: Duration::from_millis(30), pauses: Vec::new() };
    let error = backend(&silent, Api::Zipkin).search(&search(), &short).await.unwrap_err().to_string();
    assert!(error.contains("did not answer within 30 ms"), "{error}");
    let long = answering(&[http("200 OK", &" ".repeat(MAX_ANSWER_BYTES + 1))]).await;
    let error = backend(&long, Api::Jaeger).trace(TRACE, &once()).await.unwrap_err().to_string();
    assert!(error.contains("answered with more than 16384 KiB; expected one trace"), "{error}");
}
