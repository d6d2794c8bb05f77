use super::*;
use crate::observe::HandedOver;
use crate::observe::stores::trace_store::TraceStore;
use gates::backend::Api;
use gateway::Role;
use model::{Check, Observation};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use rollout::RolloutId;
use rollout::plan::StoreApi;

const BEGAN: UnixMillis = UnixMillis(1_700_000_000_000);
const TRACES: u8 = 20;

/// Two environments, what is handed to both, and time that goes by when it is told to.
struct Scene {
    stores: Stores,
    verifier: Verifier,
    /// The last that was told of each metric.
    told: Vec<(String, Measurement)>,
}

fn text(key: &str, value: &str) -> KeyValue {
    let value = Some(AnyValue { value: Some(any_value::Value::StringValue(value.to_owned())) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

/// A request of one trace: a server, a client that it calls, and something within without a kind.
fn request(trace: u8) -> Vec<u8> {
    let span = |number: u8, kind: i32, name: &str| Span {
        trace_id: [&[0, trace][..], &[9; 14]].concat(),
        span_id: vec![number; 8],
        parent_span_id: if number > 1 { vec![1; 8] } else { Vec::new() },
        name: name.to_owned(),
        kind,
        start_time_unix_nano: BEGAN.0 * 1_000_000,
        end_time_unix_nano: BEGAN.0 * 1_000_000 + 5_000_000,
        attributes: vec![text("http.route", "/cart")],
        ..Span::default()
    };
    let spans = vec![span(1, 2, "GET /cart"), span(2, 3, "SELECT"), span(3, 0, "render")];
    let resource = Some(Resource { attributes: vec![text("service.name", "shop")], ..Resource::default() });
    let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans { resource, scope_spans, ..ResourceSpans::default() }],
    }
    .encode_to_vec()
}

fn id(trace: u8) -> TraceId {
    let mut id = [9; 16];
    (id[0], id[1]) = (0, trace);
    TraceId(id)
}

impl Scene {
    fn of(stores: &PerEnvironment<TraceStore>, share: u16, replaces_tap: bool) -> Scene {
        let query = |environment: Environment| StoreQuery {
            api: match stores[environment].api() {
                Api::Jaeger => StoreApi::Jaeger,
                Api::JaegerV2 => StoreApi::JaegerV2,
                Api::Tempo => StoreApi::Tempo,
                Api::Zipkin => StoreApi::Zipkin,
            },
            url: stores[environment].url(),
            tls: model::ClientTls::default(),
            bearer_token_file: None,
            settle_ms: 30_000,
            share: BasisPoints::new(share).unwrap(),
            replaces_tap,
        };
        let counted =
            StoreCheck::ALL.map(|check| CountedMetric { metric: check.name().to_owned(), check, every_ms: 10_000 });
        let watching = Watching {
            rollout: RolloutId("a.1".to_owned()),
            batch_ms: 2_000,
            linger_ms: 10_000,
            horizon_ms: 100_000,
            route_key: RouteKey([3; 16]),
            queries: PerEnvironment::from_fn(|environment| Some(query(environment))),
            counted: counted.to_vec(),
            canary_every_ms: None,
            sends_load: true,
            searches_leaks: false,
            callees: None,
            transformations: PerEnvironment::default(),
            taken_back: 0,
            times_services: false,
        };
        let config = verify::Config {
            batch_ms: watching.batch_ms,
            linger_ms: watching.linger_ms,
            horizon_ms: watching.horizon_ms,
            max_spans: 1_000_000,
            max_rate: 1_000_000,
            key: [1; 16],
            route_key: watching.route_key,
        };
        let verifier =
            Verifier::new(config, UnixMillis(BEGAN.0 - 3_600_000)).with(crate::observe::meant::meant(&watching));
        let stores = Stores::of(&watching, Handle::current()).expect("both have one");
        Scene { stores, verifier, told: Vec::new() }
    }

    /// All traces, to both environments and into their stores.
    fn hand_over(&mut self, stores: &PerEnvironment<TraceStore>) {
        for trace in 1..=TRACES {
            let message = request(trace);
            for environment in Environment::BOTH {
                stores[environment].keep(&message);
                let at_us = BEGAN.0 * 1_000;
                let delivery = Delivery::Acknowledged;
                let handed_over = HandedOver { environment, role: Role::Serving, delivery, at_us };
                let tell = |span: &SpanView<'_>| handed_over.tell(&mut self.verifier, Some(&mut self.stores), span);
                otlp::for_each_span(&message, tell).unwrap();
            }
        }
    }

    /// Lets everything happen until verification has closed all batches; every second is looked at, and every question
    /// is answered before the next.
    async fn play(&mut self) -> Observation {
        let mut all: Option<Observation> = None;
        for second in 0..130 {
            let now = BEGAN.plus_ms(second * 1_000);
            loop {
                self.told.extend(self.stores.advance(now, &mut self.verifier));
                if self.stores.is_idle() && self.stores.answers.is_empty() {
                    break;
                }
                tokio::task::yield_now().await;
            }
            for observation in self.verifier.advance(now) {
                match &mut all {
                    None => all = Some(observation),
                    Some(all) => {
                        for environment in Environment::BOTH {
                            all.arms[environment].add(&observation.arms[environment]);
                            all.left_out[environment] += observation.left_out[environment];
                        }
                        all.findings.extend(observation.findings);
                        all.blind_spots.extend(observation.blind_spots);
                    }
                }
            }
        }
        all.expect("there were traces")
    }

    /// What was last told of a metric: total and events of blue, and those of green.
    fn last(&self, check: StoreCheck) -> [(f64, f64); 2] {
        let last = self.told.iter().rev().find(|(metric, _)| metric == check.name());
        match last {
            Some((_, Measurement::Read(Reading { counters, .. }))) => {
                Environment::BOTH.map(|environment| (counters[environment].total, counters[environment].events))
            }
            other => panic!("{other:?}"),
        }
    }
}

async fn both(blue: Api, green: Api) -> PerEnvironment<TraceStore> {
    PerEnvironment { blue: TraceStore::start(blue).await, green: TraceStore::start(green).await }
}

#[tokio::test]
async fn whatever_they_speak_stores_that_have_all_show_no_difference() {
    for (blue, green) in Api::ALL.into_iter().zip(Api::ALL.into_iter().cycle().skip(1)) {
        let stores = both(blue, green).await;
        let mut scene = Scene::of(&stores, 10_000, true);
        scene.hand_over(&stores);
        let observed = scene.play().await;
        for environment in Environment::BOTH {
            let arm = &observed.arms[environment];
            let api = stores[environment].api();
            assert_eq!((arm.traces, &arm.events), (u64::from(TRACES), &std::collections::BTreeMap::new()), "{api:?}");
            assert_eq!((arm.spans_acknowledged, arm.spans_out), (60, 60), "{api:?}");
            assert_eq!((observed.left_out[environment], arm.unfinished), (0, 0), "{api:?}");
        }
        assert!(observed.findings.is_empty() && observed.blind_spots.is_empty(), "{:?}", observed.findings);
        let all = f64::from(TRACES);
        assert_eq!(scene.last(StoreCheck::Freshness), [(all, 0.0); 2]);
        assert_eq!(scene.last(StoreCheck::QueryParity), [(all, 0.0); 2], "{blue:?}, {green:?}");
    }
}

#[tokio::test]
async fn what_a_store_does_not_get_is_lost() {
    let stores = both(Api::Jaeger, Api::Zipkin).await;
    stores.green.kept().loses = Some("SELECT");
    let mut scene = Scene::of(&stores, 10_000, true);
    scene.hand_over(&stores);
    let observed = scene.play().await;
    let lost = |environment: Environment| observed.arms[environment].events(Check::LostSpan);
    assert_eq!((lost(Environment::Blue), lost(Environment::Green)), (0, u64::from(TRACES)));
    assert_eq!(observed.left_out, PerEnvironment::default());
    assert_eq!(scene.last(StoreCheck::Freshness), [(20.0, 0.0), (20.0, 20.0)]);
    assert!(observed.findings.iter().any(|finding| finding.check == Check::LostSpan && finding.operation == "SELECT"));
}

#[tokio::test]
async fn of_a_store_that_is_down_nothing_is_said() {
    let stores = both(Api::Tempo, Api::Tempo).await;
    let mut scene = Scene::of(&stores, 10_000, true);
    scene.hand_over(&stores);
    stores.green.kept().is_down = true;
    // The real patience would take seconds of each look.
    scene.stores.patience = Patience { attempt: Duration::from_secs(60), pauses: Vec::new() };
    let observed = scene.play().await;
    let green = &observed.arms.green;
    assert_eq!((green.traces, green.events.len(), observed.left_out.green), (0, 0, u64::from(TRACES)));
    assert_eq!((observed.arms.blue.traces, observed.left_out.blue), (u64::from(TRACES), 0));
    let failures: Vec<&Measurement> = scene.told.iter().map(|(_, told)| told).collect();
    let is_failure =
        |told: &&&Measurement| matches!(told, Measurement::Failed { reason } if reason.contains("status 503"));
    assert_eq!(failures.iter().filter(is_failure).count(), 2, "each metric, once: {failures:?}");
}

#[tokio::test]
async fn a_trace_that_a_search_does_not_find_is_counted() {
    let stores = both(Api::JaegerV2, Api::Tempo).await;
    stores.green.kept().unfound.extend((1..=5).map(id));
    // Beside taps: verification is told nothing of what the stores have.
    let mut scene = Scene::of(&stores, 10_000, false);
    scene.hand_over(&stores);
    assert!(!scene.stores.replaces_tap(Environment::Blue));
    let observed = scene.play().await;
    assert_eq!(scene.last(StoreCheck::QueryParity), [(20.0, 0.0), (20.0, 5.0)]);
    assert_eq!(observed.arms.green.spans_out, 0, "the tap is silent");
}

#[tokio::test]
async fn a_share_of_the_traces_is_looked_for_and_the_same_in_both() {
    let stores = both(Api::Zipkin, Api::Jaeger).await;
    let mut scene = Scene::of(&stores, 4_000, true);
    scene.hand_over(&stores);
    let chosen: Vec<u8> = (1..=TRACES).filter(|trace| scene.stores.includes(id(*trace))).collect();
    assert!((1..TRACES as usize).contains(&chosen.len()), "{chosen:?}");
    let observed = scene.play().await;
    for environment in Environment::BOTH {
        let arm = &observed.arms[environment];
        assert_eq!((arm.traces, arm.events.len()), (chosen.len() as u64, 0));
        let kept = stores[environment].kept();
        let asked = |trace: u8| kept.asked.iter().any(|path| path.contains(&format!("/{}", id(trace))));
        assert_eq!((1..=TRACES).filter(|trace| asked(*trace)).collect::<Vec<_>>(), chosen);
    }
    assert_eq!(observed.left_out, PerEnvironment::default());
}
