use super::*;
use std::collections::{BTreeMap, BTreeSet};

fn check(spans: usize, traces: usize, resources: usize) {
    let request = request(spans, &mut Dice(7));
    let mut sizes: BTreeMap<&[u8], usize> = BTreeMap::new();
    for span in spans_of(&request) {
        *sizes.entry(&span.trace_id).or_default() += 1;
        assert_eq!(span.attributes.len(), 10);
    }
    assert_eq!((sizes.len(), sizes.values().sum::<usize>()), (traces, spans));
    assert!(sizes.values().all(|size| *size <= SPANS_A_TRACE));
    assert_eq!(request.resource_spans.len(), resources);
}

#[test]
fn a_request_has_the_shape_that_the_benchmarks_name() {
    check(100, 5, 1);
    check(1_000, 50, 5);
    check(1, 1, 1);
}

#[test]
fn traces_are_interleaved() {
    let request = request(100, &mut Dice(7));
    let ids: Vec<&[u8]> = spans_of(&request).map(|span| span.trace_id.as_slice()).collect();
    let changes = ids.windows(2).filter(|pair| pair[0] != pair[1]).count();
    // In order there would be 4 changes; shuffled, four of five neighbours differ.
    assert!(changes > 50, "{changes} changes");
}

#[test]
fn the_same_seed_makes_the_same_request() {
    assert_eq!(request(100, &mut Dice(7)), request(100, &mut Dice(7)));
    assert_ne!(request(100, &mut Dice(7)), request(100, &mut Dice(8)));
}

#[test]
fn a_group_spreads_each_trace_among_its_requests() {
    let group = Template::group(100, &mut Dice(7));
    assert_eq!(group.len(), REQUESTS_A_TRACE);
    assert!(group.iter().all(|template| template.spans() == 100));
    let mut spans: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
    let mut requests: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
    for request in group.iter().map(|template| decoded(&template.numbered(1))) {
        for span in spans_of(&request) {
            *spans.entry(span.trace_id.clone()).or_default() += 1;
        }
        for id in trace_ids(&request) {
            *requests.entry(id).or_default() += 1;
        }
    }
    assert_eq!((spans.len(), spans.values().all(|spans| *spans == SPANS_A_TRACE)), (20, true));
    assert!(requests.values().all(|requests| *requests > 1), "{requests:?}");
}

fn decoded(body: &[u8]) -> ExportTraceServiceRequest {
    let frame = grpc::parse_unary(body).unwrap();
    assert!(!frame.compressed);
    ExportTraceServiceRequest::decode(&body[frame.message]).unwrap()
}

fn trace_ids(request: &ExportTraceServiceRequest) -> BTreeSet<Vec<u8>> {
    spans_of(request).map(|span| span.trace_id.clone()).collect()
}

#[test]
fn a_numbered_body_has_new_trace_ids_and_nothing_else_is_new() {
    let template = Template::new(&request(100, &mut Dice(7)));
    let original = request(100, &mut Dice(7));
    let mut known = trace_ids(&original);
    for number in 1..50 {
        let mut numbered = decoded(&template.numbered(number));
        let ids = trace_ids(&numbered);
        assert_eq!(ids.len(), 5);
        assert!(known.is_disjoint(&ids));
        known.extend(ids);
        let spans = numbered.resource_spans.iter_mut().flat_map(|resource| &mut resource.scope_spans);
        for (span, before) in spans.flat_map(|scope| &mut scope.spans).zip(spans_of(&original)) {
            assert_eq!(span.trace_id[8..], before.trace_id[8..]);
            span.trace_id.clone_from(&before.trace_id);
        }
        assert_eq!(numbered, original);
    }
    assert_eq!(template.spans(), 100);
}
