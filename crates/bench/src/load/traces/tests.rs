use super::*;

#[test]
fn a_trace_at_both_sinks_is_torn_however_many_spans_it_has() {
    let mut traces = Traces::default();
    for (trace, sink) in [(1, 0), (1, 0), (2, 1), (3, 0), (3, 1), (3, 0), (4, 1), (4, 0), (5, 1)] {
        traces.saw(TraceId([trace; 16]), sink);
    }
    assert_eq!(traces.counts(), TraceCounts { seen: 5, torn: 2 });
    assert_eq!(Traces::default().counts(), TraceCounts { seen: 0, torn: 0 });
}
