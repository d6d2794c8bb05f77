//! Pipelines that export to their back ends alone: what came out of them is read from their trace stores.

use crate::plan::Environment;
use crate::requests::post_protobuf;
use crate::server::Config;
use crate::stage::Stage;
use crate::trace_store::TraceStore;
use crate::wait::seconds;
use gates::backend::Api;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use std::cell::Cell;
use verdigris::demo::server::Server;

/// A collector that writes into a store.
fn pipeline(stage: &Stage, api: Api) -> (TraceStore, Server) {
    stage.runtime.block_on(async {
        let store = TraceStore::start(api).await;
        let writes = store.clone();
        let server = Server::start(move |_, message| {
            writes.keep(&message);
            Ok(())
        });
        (store, server.await.expect("a free port"))
    })
}

fn environment((store, server): &(TraceStore, Server)) -> Environment {
    let name = match store.api() {
        Api::Jaeger => "jaeger",
        Api::JaegerV2 => "jaegerV2",
        Api::Tempo => "tempo",
        Api::Zipkin => "zipkin",
    };
    let query = format!("{name}: \"{}\", settle: 1s, share: 100%", store.url());
    Environment { query: Some(query), ..Environment::at(&format!("http://{}", server.address())) }
}

/// An export of a trace of two spans.
fn request(trace: u64) -> Vec<u8> {
    let span = |number: u8, name: &str| Span {
        trace_id: [trace.to_be_bytes(), [7; 8]].concat(),
        span_id: vec![number; 8],
        parent_span_id: if number > 1 { vec![1; 8] } else { Vec::new() },
        name: name.to_owned(),
        kind: 2,
        ..Span::default()
    };
    let scope_spans = vec![ScopeSpans { spans: vec![span(1, "GET"), span(2, "SELECT")], ..ScopeSpans::default() }];
    let resource_spans = vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }];
    ExportTraceServiceRequest { resource_spans }.encode_to_vec()
}

#[test]
fn a_candidate_whose_store_lacks_spans_is_rolled_back() {
    // The serving environment's address is known only when it listens, so that the server starts last.
    let stage = Stage::set();
    let (blue, green) = (pipeline(&stage, Api::Jaeger), pipeline(&stage, Api::Zipkin));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = Config::of(&format!("http://{}", blue.1.address()));
    let stage = Stage { server: crate::server::Server::start(folder.path(), &config), folder, ..stage };
    green.0.kept().loses = Some("SELECT");
    let mut plan = stage.plan(&["mirror: { for: 10m }", "setWeight: 100%", "bake: { for: 1s }"]);
    (plan.blue, plan.green, plan.horizon) = (environment(&blue), environment(&green), "31s");
    stage.start(&plan).expect(0);
    let sent = Cell::new(0);
    let report = stage.server.eventually_reports("a rollback", seconds(300), |report| {
        for _ in 0..3 {
            sent.set(sent.get() + 1);
            assert_eq!(post_protobuf(&stage, request(sent.get())), 200);
        }
        report["progress"] == "rolledBack"
    });
    assert_eq!(report["cause"]["guard"], "spanLoss", "{report}");
    for (store, _) in [&blue, &green] {
        let kept = store.kept();
        assert!(kept.asked.iter().any(|path| path.contains("0707070707070707")), "it was asked for traces");
    }
}
