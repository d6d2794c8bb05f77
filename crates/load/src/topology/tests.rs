use super::*;
use model::TraceId;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use otlp::grpc::{PREFIX_LEN, parse_unary};
use prost::Message;
use std::collections::{BTreeMap, BTreeSet};

const NOW: u64 = 1_790_000_000_000_000_000;

/// Every span of a group, stamped, as prost reads it; and how many resources its first request has.
fn stamped(group: &Group, first: u8) -> (Vec<Vec<Span>>, usize) {
    let ids: Vec<TraceId> =
        (0..group.traces()).map(|n| TraceId((u128::from(first) << 64 | n as u128).to_be_bytes())).collect();
    let mut resources = 0;
    let requests = group.requests().iter().enumerate().map(|(index, template)| {
        let mut body = vec![0xff; 3];
        template.stamp(&ids, 0xdead_beef, later_ns(NOW), &mut body);
        let body = &body[3..];
        assert_eq!(parse_unary(body).unwrap().message, PREFIX_LEN..body.len());
        let request = ExportTraceServiceRequest::decode(&body[PREFIX_LEN..]).unwrap();
        if index == 0 {
            resources = request.resource_spans.len();
        }
        let spans: Vec<Span> =
            request.resource_spans.into_iter().flat_map(|r| r.scope_spans).flat_map(|s| s.spans).collect();
        assert_eq!(spans.len(), template.spans() as usize);
        spans
    });
    (requests.collect(), resources)
}

/// Holds a group's traces to what OTLP asks for: one root, parents that are there and around their children, ids that are
/// not zero and not twice.
fn check(topology: &Topology, shape: &Shape) -> BTreeMap<Vec<u8>, Vec<Span>> {
    let groups = topology.groups(shape, 2, 7).unwrap();
    let mut traces: BTreeMap<Vec<u8>, Vec<Span>> = BTreeMap::new();
    for (number, group) in groups.iter().enumerate() {
        assert_eq!(group.requests().len(), shape.requests_per_trace);
        for span in stamped(group, 1 + number as u8).0.into_iter().flatten() {
            traces.entry(span.trace_id.clone()).or_default().push(span);
        }
    }
    for spans in traces.values() {
        let by_id: BTreeMap<&[u8], &Span> = spans.iter().map(|span| (&span.span_id[..], span)).collect();
        assert_eq!(by_id.len(), spans.len(), "ids are not twice");
        assert_eq!(spans.iter().filter(|span| span.parent_span_id.is_empty()).count(), 1, "one root");
        for span in spans {
            assert!(span.span_id.len() == 8 && span.span_id != [0; 8]);
            assert!(span.start_time_unix_nano >= NOW && span.end_time_unix_nano > span.start_time_unix_nano);
            let Some(parent) = by_id.get(&span.parent_span_id[..]) else { continue };
            assert!(parent.start_time_unix_nano <= span.start_time_unix_nano);
            assert!(parent.end_time_unix_nano >= span.end_time_unix_nano);
        }
        let parents = spans.iter().filter(|span| by_id.contains_key(&span.parent_span_id[..])).count();
        assert_eq!(parents, spans.len() - 1, "every parent is there");
    }
    traces
}

#[test]
fn presets_make_whole_traces() {
    let shape = Shape { spans_per_request: 500, ..Shape::default() };
    let shop = check(&Topology::shop(), &shape);
    assert!(shop.values().any(|spans| spans.len() > 20) && shop.values().any(|spans| spans.len() < 12));
    // A server's span of each service, and a client's of each call.
    assert!(check(&Topology::chain(8).unwrap(), &shape).values().all(|spans| spans.len() == 15));
    assert!(check(&Topology::fanout(16).unwrap(), &shape).values().all(|spans| spans.len() == 33));
    let longest = Shape { spans_per_request: 600, ..shape };
    assert!(check(&Topology::chain(256).unwrap(), &longest).values().all(|spans| spans.len() == 511));
}

/// A span of the SDKs has some hundred bytes to a thousand: what is sent costs a target what real spans cost it.
#[test]
fn spans_are_as_large_as_real_ones() {
    for (topology, sizes) in [("shop", 300..600), ("chain", 300..600), ("fanout", 300..600)] {
        let shape = Shape { spans_per_request: 1_000, ..Shape::default() };
        let groups = Topology::preset(topology).unwrap().groups(&shape, 1, 7).unwrap();
        let template = &groups[0].requests()[0];
        let each = template.len() / template.spans() as usize;
        println!("{topology}: {each} bytes a span");
        assert!(sizes.contains(&each), "{topology}: {each} bytes");
    }
}

#[test]
fn traces_are_spread_over_requests_and_instances() {
    let shape = Shape { requests_per_trace: 4, spans_per_request: 200, ..Shape::default() };
    check(&Topology::shop(), &shape);
    let group = &Topology::shop().groups(&shape, 1, 7).unwrap()[0];
    let ids = |spans: &[Span]| spans.iter().map(|span| span.trace_id.clone()).collect::<BTreeSet<_>>();
    let (requests, _) = stamped(group, 1);
    assert!(ids(&requests[0]).intersection(&ids(&requests[1])).count() > 5);

    let one = Topology::chain(4).unwrap().groups(&Shape::default(), 1, 7).unwrap();
    let five = Topology::chain(4).unwrap().groups(&Shape { instances: 5, ..Shape::default() }, 1, 7).unwrap();
    assert_eq!((stamped(&one[0], 1).1, stamped(&five[0], 1).1), (4, 20));
}

#[test]
fn attributes_of_all_types_errors_and_links_are_there() {
    let shape = Shape { spans_per_request: 5_000, error_share: 0.2, ..Shape::default() };
    let traces = check(&Topology::shop(), &shape);
    let spans = || traces.values().flatten();
    let kinds: BTreeSet<_> = spans()
        .flat_map(|span| &span.attributes)
        .filter_map(|attribute| attribute.value.as_ref()?.value.as_ref())
        .map(|value| match value {
            Value::StringValue(_) => "string",
            Value::BoolValue(_) => "bool",
            Value::IntValue(_) => "int",
            Value::DoubleValue(_) => "double",
            Value::ArrayValue(_) => "array",
            Value::KvlistValue(_) => "map",
            Value::BytesValue(_) => "bytes",
            Value::StringValueStrindex(_) => "index",
        })
        .collect();
    assert_eq!(kinds, BTreeSet::from(["array", "bool", "bytes", "double", "int", "map", "string"]));
    let failed = |spans: &Vec<Span>| spans.iter().any(|span| span.status.as_ref().is_some_and(|s| s.code == 2));
    let share = traces.values().filter(|spans| failed(spans)).count() as f64 / traces.len() as f64;
    assert!((0.1..0.3).contains(&share), "{share}");
    let links: Vec<_> = spans().flat_map(|span| &span.links).collect();
    assert!(!links.is_empty() && links.iter().all(|link| traces.contains_key(&link.trace_id)));
}

#[test]
fn a_seed_gives_the_same_bytes_and_odd_shapes_are_refused() {
    let bytes = |seed| stamped(&Topology::shop().groups(&Shape::default(), 1, seed).unwrap()[0], 1);
    assert_eq!(bytes(1), bytes(1));
    assert_ne!(bytes(1), bytes(2));
    let refused = |shape| Topology::shop().groups(&shape, 1, 1).unwrap_err().to_string();
    let none = Shape { spans_per_request: 0, ..Shape::default() };
    assert_eq!(refused(none), "spans per request is 0; expected 1 to 10000");
    assert!(refused(Shape { error_share: f64::NAN, ..Shape::default() }).contains("expected 0 to 1"));
    assert!(Topology::preset("ring").unwrap_err().to_string().contains("shop, chain or fanout"));
}
