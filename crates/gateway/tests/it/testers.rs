//! Testers' traffic: green serves it at weight 0, whole, bounded, out of verification's sight, and until a rollback.

use crate::upstream::Upstream;
use crate::*;
use gateway::Outcome;
use model::{MAX_TESTER_TRACES_PER_MINUTE, TesterRoute, Testers};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;

const BOB: &[(&str, &str)] = &[("content-type", "application/x-protobuf"), ("x-tester", "bob")];
const NOBODY: &[(&str, &str)] = &[("content-type", "application/x-protobuf")];

fn letting_in(route: TesterRoute, blue: &Upstream, green: &Upstream) -> RouteTable {
    let testers = Testers { route, names: vec!["ann".to_owned(), "bob".to_owned()] };
    RouteTable { testers: Some(testers), ..table(blue, Some(green), 0) }
}

fn by_header() -> TesterRoute {
    TesterRoute::Header("x-tester".to_owned())
}

async fn started(route: TesterRoute) -> (Fixture, Upstream, Upstream) {
    let (blue, green) = (Upstream::start(Protocol::Grpc).await, Upstream::start(Protocol::Grpc).await);
    (Fixture::start(letting_in(route, &blue, &green)).await, blue, green)
}

/// Exports one span of each trace, and expects where they arrived: blue's count, green's count.
async fn check(
    fixture: &Fixture,
    (blue, green): (&Upstream, &Upstream),
    (headers, traces): (&[(&str, &str)], &[u64]),
    expected: (u64, u64),
) {
    let before = [blue.messages().len(), green.messages().len()];
    let got = post_traces(fixture, headers, request(traces.iter().map(|trace| (*trace, 1)))).await;
    assert_eq!(got.status, 200, "{got:?}");
    let count = |upstream: &Upstream, before| spans_of(&upstream.messages()[before..]).values().sum::<u64>();
    assert_eq!((count(blue, before[0]), count(green, before[1])), expected, "{headers:?}");
}

#[tokio::test]
async fn a_testers_request_goes_to_green_at_weight_zero_and_its_traces_follow() {
    let (mut fixture, blue, green) = started(by_header()).await;
    let both = (&blue, &green);
    check(&fixture, both, (NOBODY, &[1, 2]), (2, 0)).await;
    check(&fixture, both, (BOB, &[3, 4]), (0, 2)).await;
    // Another service's spans of the same traces carry no header.
    check(&fixture, both, (NOBODY, &[3, 5]), (1, 1)).await;
    // What began at blue stays there.
    check(&fixture, both, (BOB, &[1]), (1, 0)).await;
    let stranger = [("content-type", "application/x-protobuf"), ("x-tester", "mallory")];
    check(&fixture, both, (&stranger, &[6]), (1, 0)).await;
    let stats = fixture.stats();
    assert_eq!((stats.tester_traces, stats.tester_traces_over, stats.torn_traces), (2, 0, 0));
    // A shift tears none of it, nor does it come back into what is compared.
    let shifted = RouteTable { generation: 2, weight: BasisPoints::ALL, ..letting_in(by_header(), &blue, &green) };
    fixture.publish(shifted).await;
    check(&fixture, both, (NOBODY, &[3]), (0, 1)).await;
    assert_eq!(fixture.stats().torn_traces, 0);
}

#[tokio::test]
async fn verification_sees_none_of_it_and_what_was_tried_is_told_by_name() {
    let (mut fixture, blue, green) = started(by_header()).await;
    let both = (&blue, &green);
    check(&fixture, both, (BOB, &[3]), (0, 1)).await;
    let View::Tried { traces, message, .. } = fixture.view().await else { panic!("tried") };
    assert_eq!(traces.iter().map(|(trace, name)| (*trace, &**name)).collect::<Vec<_>>(), [(trace_id(3), "bob")]);
    assert_eq!(spans_of([&message]).len(), 1);
    // Mixed with another's: the view of what green serves for bob is of his alone, and blue's is not of his.
    check(&fixture, both, (NOBODY, &[3, 5]), (1, 1)).await;
    let mut seen = Vec::new();
    for _ in 0..2 {
        match fixture.view().await {
            View::Tried { traces, message, .. } => {
                assert_eq!(traces.len(), 1);
                seen.push(("tried", spans_of([&message]).into_keys().map(|(trace, _)| trace).collect::<Vec<_>>()));
            }
            View::Sent { environment, message, .. } => {
                assert_eq!(environment, Environment::Blue);
                seen.push(("sent", spans_of([&message]).into_keys().map(|(trace, _)| trace).collect()));
            }
            other => panic!("{other:?}"),
        }
    }
    seen.sort();
    assert_eq!(seen, [("sent", vec![trace_id(5)]), ("tried", vec![trace_id(3)])]);
    // What comes out at green's tap of it is not shown either.
    let tap = client(&fixture.addresses.taps["green"], Protocol::Grpc);
    assert_eq!(tap.export(Signal::Traces, request([(3, 1), (9, 1)])).await, Outcome::TAKEN);
    let View::Out { message, .. } = fixture.view().await else { panic!("out") };
    assert_eq!(spans_of([&message]).into_keys().map(|(trace, _)| trace).collect::<Vec<_>>(), [trace_id(9)]);
}

#[tokio::test]
async fn a_rollback_takes_it_back_and_closes_the_route() {
    let (mut fixture, blue, green) = started(by_header()).await;
    let both = (&blue, &green);
    check(&fixture, both, (BOB, &[3, 4]), (0, 2)).await;
    let rollback = RouteTable { generation: 2, pins: Pins::Tear, ..table(&blue, Some(&green), 0) };
    fixture.publish(rollback).await;
    check(&fixture, both, (BOB, &[3, 7]), (2, 0)).await;
    assert_eq!(fixture.stats().torn_traces, 1);
}

#[tokio::test]
async fn nobody_shifts_the_traffic_by_the_header() {
    let (fixture, blue, green) = started(by_header()).await;
    let most = u64::from(MAX_TESTER_TRACES_PER_MINUTE);
    // Two minutes may meet within the test's clock, which starts at a full one and goes a microsecond a look.
    let traces: Vec<u64> = (0..most + 50).collect();
    check(&fixture, (&blue, &green), (BOB, &traces), (50, most)).await;
    let stats = fixture.stats();
    assert_eq!((stats.tester_traces, stats.tester_traces_over), (most, 50));
}

#[tokio::test]
async fn a_resource_attribute_names_a_tester_too() {
    let (fixture, blue, green) = started(TesterRoute::ResourceAttribute("verdigris.tester".to_owned())).await;
    let tagged = |value: &str, trace: u64| {
        let mut request = ExportTraceServiceRequest::decode(request([(trace, 1)])).unwrap();
        let value = AnyValue { value: Some(Value::StringValue(value.to_owned())) };
        let attribute = KeyValue { key: "verdigris.tester".to_owned(), value: Some(value), ..KeyValue::default() };
        request.resource_spans[0].resource = Some(Resource { attributes: vec![attribute], ..Resource::default() });
        request.resource_spans.remove(0)
    };
    let resource_spans = vec![tagged("ann", 1), tagged("mallory", 2)];
    let message = ExportTraceServiceRequest { resource_spans }.encode_to_vec();
    assert_eq!(post_traces(&fixture, NOBODY, message).await.status, 200);
    let of =
        |upstream: &Upstream| spans_of(&upstream.messages()).into_keys().map(|(trace, _)| trace).collect::<Vec<_>>();
    assert_eq!((of(&blue), of(&green)), (vec![trace_id(2)], vec![trace_id(1)]));
    // The header means nothing where the table asks for an attribute.
    check(&fixture, (&blue, &green), (BOB, &[3]), (1, 0)).await;
}
