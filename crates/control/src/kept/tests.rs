use super::*;
use model::{GateResult, GateVerdict, PerEnvironment, UnixMillis};
use rollout::DeletedBecause;
use rollout::Event;
use rollout::plan::GateName;

fn finding(operation: &str, trace: u8) -> Finding {
    let one = PerEnvironment { blue: 0, green: 1 };
    Finding {
        check: Check::LostSpan,
        service: "cart".into(),
        operation: operation.into(),
        key: None,
        traces: one,
        spans: one,
        first_seen: UnixMillis(0),
        last_seen: UnixMillis(0),
        example: Some(TraceId([trace; 16])),
    }
}

fn record(body: Body) -> Record {
    let by = "verdigris".to_owned();
    Record { version: Record::VERSION, rollout: None, sequence: 0, at: UnixMillis(0), by, body }
}

/// What is wanted of an observation with these findings, by the trace's number and the findings' operations.
fn wanted(kept: &Kept, findings: &[Finding]) -> Vec<String> {
    let words = |(trace, names): (TraceId, Vec<FindingName>)| {
        names.iter().fold(trace.0[0].to_string(), |words, name| words + " " + &name.operation)
    };
    kept.wanted(findings).into_iter().map(words).collect()
}

/// The same, and it is kept.
fn keep(kept: &mut Kept, findings: &[Finding]) -> Vec<String> {
    let words = wanted(kept, findings);
    for (trace, findings) in kept.wanted(findings) {
        kept.take(&record(Body::EvidenceKept { digest: format!("sha256:{trace}"), trace, findings }));
    }
    words
}

#[test]
fn each_finding_has_five_examples_and_a_trace_is_kept_once_for_all_that_it_shows() {
    let mut kept = Kept::default();
    for trace in 1..=4 {
        let both = [finding("a", trace), finding("b", trace)];
        assert_eq!(keep(&mut kept, &both), [format!("{trace} a b")]);
    }
    assert_eq!(keep(&mut kept, &[finding("a", 5), finding("b", 6), finding("c", 6)]), ["5 a", "6 b c"]);
    assert_eq!(keep(&mut kept, &[finding("a", 7), finding("b", 7), finding("c", 7)]), ["7 c"]);
    assert_eq!(kept.named().len(), 7);
}

#[test]
fn one_observation_leaves_four_blobs_and_the_next_goes_on() {
    let mut kept = Kept::default();
    let findings: Vec<Finding> = (1..=6).map(|number| finding(&format!("op{number}"), number)).collect();
    assert_eq!(keep(&mut kept, &findings), ["1 op1", "2 op2", "3 op3", "4 op4"]);
    for _ in 0..4 {
        keep(&mut kept, &findings);
    }
    assert_eq!(keep(&mut kept, &findings), ["5 op5", "6 op6"]);
}

#[test]
fn the_number_of_findings_is_bounded() {
    let mut kept = Kept::default();
    for number in 0..200 {
        keep(&mut kept, &[finding(&format!("op{number}"), number)]);
    }
    assert_eq!(kept.examples.len(), MAX_FINDINGS);
    assert_eq!(wanted(&kept, &[finding("op199", 1), finding("op3", 2)]), ["2 op3"]);
}

#[test]
fn what_green_does_not_show_and_what_is_no_difference_is_not_kept() {
    let blue = Finding { traces: PerEnvironment { blue: 3, green: 0 }, ..finding("a", 1) };
    let error = Finding { check: Check::ErrorSpan, ..finding("b", 2) };
    let unseen = Finding { example: None, ..finding("c", 3) };
    assert_eq!(wanted(&Kept::default(), &[blue, error, unseen]), Vec::<String>::new());
}

#[test]
fn whatever_names_a_blob_counts() {
    let mut kept = Kept::default();
    let result = GateResult { verdict: GateVerdict::Pass, reasons: vec![], evidence: Some("sha256:gate".into()) };
    kept.take(&record(Body::Happened(Box::new(Event::GateFinished { gate: GateName::Drift, run: 1, result }))));
    let deleted = vec!["sha256:old".to_owned()];
    let because = DeletedBecause::TooOld { keep_ms: 1 };
    kept.take(&record(Body::EvidenceDeleted { digests: deleted, because }));
    assert_eq!(kept.named().iter().collect::<Vec<_>>(), ["sha256:gate"]);
}
