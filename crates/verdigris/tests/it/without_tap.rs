//! Pipelines that export to their back ends alone: what came out of them is read from their trace stores.

use crate::plan::{Environment, Plan};
use crate::process::run;
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

#[test]
fn a_back_end_that_lost_older_traces_fails_the_migration_gate() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("threads");
    let stores =
        runtime.block_on(async { [TraceStore::start(Api::Tempo).await, TraceStore::start(Api::Jaeger).await] });
    let [blue, green] = &stores;
    for trace in 1..=40 {
        blue.keep(&request(trace));
        green.keep(&request(trace));
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let environment = |name: &str, store: &TraceStore, port: u16| Environment {
        query: Some(format!("{name}: \"{}\"", store.url())),
        ..Environment::at(&format!("http://127.0.0.1:{port}"))
    };
    let steps = ["gate: migration", "setWeight: 100%", "bake: { for: 1s }"];
    let mut plan = Plan::of(environment("tempo", blue, 9), environment("jaeger", green, 19), &steps);
    (plan.horizon, plan.gates) = ("70s", "{ migration: { olderTraces: { services: [shop], since: 2h, sample: 30 } } }");
    let path = plan.write(folder.path()).display().to_string();
    let gate = |code: i32| run(&["gate", "migration", &path]).expect(code).stdout;

    assert!(gate(0).starts_with("migration: pass\n"));
    green.kept().loses = Some("SELECT");
    for trace in 41..=80 {
        blue.keep(&request(trace));
        green.keep(&request(trace));
    }
    let partial = gate(3);
    assert!(
        partial.contains("of blue's older traces whole, expected 100.00 %; of ")
            && partial.contains("it has fewer spans"),
        "{partial}"
    );
    *green.kept() = Default::default();
    let lost = gate(3);
    assert!(
        lost.contains("green can read 0 of 30 of blue's older traces whole")
            && lost.contains("the first that it lost is"),
        "{lost}"
    );
    green.kept().is_down = true;
    let down = gate(1);
    assert!(
        down.starts_with("migration: error\n") && down.contains("green: 30 traces could not be asked for"),
        "{down}"
    );
}
