use super::*;
use crate::nezha::{Span, traces as read_traces};

fn span(parent: Option<usize>, service: &str, (start_us, end_us): (u64, u64)) -> Span {
    let (pod, operation) = (String::new(), String::new());
    Span { parent, service: service.to_owned(), pod, operation, start_ns: start_us * 1_000, end_ns: end_us * 1_000 }
}

/// a calls b, which calls c, and then a calls d.
fn trace() -> Trace {
    let spans = vec![
        span(None, "a", (0, 100)),
        span(Some(0), "a", (10, 50)),
        span(Some(1), "b", (15, 45)),
        span(Some(2), "b", (20, 40)),
        span(Some(3), "c", (28, 38)),
        span(Some(0), "a", (60, 90)),
        span(Some(5), "d", (61, 80)),
    ];
    Trace { assigned_ns: 0, spans }
}

fn edge(from: &str, to: &str) -> Edge {
    Edge { from: from.to_owned(), to: to.to_owned() }
}

#[test]
fn an_edge_is_charged_what_its_callee_does_not_take() {
    let expected = [(edge("a", "b"), 10), (edge("a", "d"), 11), (edge("b", "c"), 10)];
    assert_eq!(edge_times(&trace()), expected.into());
}

#[test]
fn a_delay_is_charged_to_its_edge_and_moves_what_comes_after() {
    let late = delayed(&trace(), &edge("b", "c"), 7_000);
    let expected = [(edge("a", "b"), 10), (edge("a", "d"), 11), (edge("b", "c"), 17)];
    assert_eq!(edge_times(&late), expected.into());
    let ends: Vec<u64> = late.spans.iter().map(|span| span.end_ns / 1_000).collect();
    assert_eq!(ends, [107, 57, 52, 47, 45, 97, 87]);
    assert_eq!(delayed(&trace(), &edge("a", "c"), 7_000), trace());
}

#[test]
fn the_name_needs_evidence_of_its_own() {
    let threshold = libm::log(100.0);
    assert_eq!(named(&[0.0, 8.0, 1.0], threshold), Some(1));
    // Together they reach it, by themselves none does: 150/3 is below 100.
    assert_eq!(named(&[libm::log(150.0), -10.0, -10.0], threshold), None);
    assert_eq!(named(&[], threshold), None);
}

/// A few of the benchmark's splits, on the sample that is in the repository; all of the data is not always beside it.
#[test]
fn random_halves_of_real_traces_are_quiet_and_a_delayed_edge_is_named() {
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../e2e/data/nezha").join(SYSTEMS[0]);
    let traces = read_traces(&sample).unwrap();
    assert_eq!(traces.len(), 1_992, "as e2e/data/nezha/README.md says");
    let data = Data::of(&traces);
    let runs = 20;
    let alarms = all_runs(runs, |run| judged(&data, None, &mut Random::of_run(1, run)).highest);
    let alarms = alarms.into_iter().filter(|log| *log >= libm::log(20.0)).count();
    // One is to be expected at 0.05; more than five would come once in three thousand times.
    assert!(alarms <= 5, "{alarms} of {runs} halves alarm");
    let place = data.edges.iter().position(|it| *it == edge("recommendationservice", "productcatalogservice")).unwrap();
    let delayed = Data::with_delay(&traces, &data.edges, place);
    for run in 0..4 {
        let found = judged(&data, Some(&delayed), &mut Random::of_run(2, run)).named;
        assert_eq!(found, Some(Some(place)), "run {run}");
    }
}
