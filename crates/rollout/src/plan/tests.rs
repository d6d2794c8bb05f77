//! What is accepted, and that it stays what it is: as JSON, as a digest, in a preview. What is refused has its own table.

mod acceptance;
mod behaviour;
mod canary;
mod endpoints;
mod leak;
mod metrics;
mod query;
mod redaction;
mod refused;
mod refused_values;
mod security;
mod sources;
mod transformations;

use super::*;
use judge::{BlindSpots, ErrorRate, Latency, SpanLoss};
use model::Protocol;
use proptest::prelude::*;

/// DESIGN.md's example, with a whole digest.
pub(super) const EXAMPLE: &str = include_str!("tests/example.yaml");

/// The example with texts replaced; each must be in it.
pub(super) fn edited(edits: &[(&str, &str)]) -> String {
    edits.iter().fold(EXAMPLE.to_owned(), |yaml, (from, to)| {
        assert!(yaml.contains(from), "the example has no {from:?}");
        yaml.replacen(from, to, 1)
    })
}

fn accepted(edits: &[(&str, &str)]) -> Plan {
    let plan = parse(&edited(edits)).unwrap_or_else(|errors| panic!("{}", errors.display("plan.yaml")));
    stays_itself(&plan);
    plan
}

/// A plan is the same after it was stored in a record and read again.
fn stays_itself(plan: &Plan) {
    let stored = serde_json::to_string(plan).unwrap();
    let read: Plan = serde_json::from_str(&stored).unwrap();
    assert_eq!(read, *plan);
    assert_eq!(read.digest(), plan.digest());
}

#[test]
fn the_example_of_the_design_means_what_it_says() {
    let plan = accepted(&[]);
    assert_eq!((plan.name.as_str(), plan.change.as_deref()), ("collector-0-131", Some("CHG-4711")));
    let weight = |basis_points| Step::SetWeight { weight: BasisPoints::new(basis_points).unwrap() };
    let analysis = Step::Analysis { at_most_ms: 600_000 };
    assert_eq!(
        plan.steps,
        [
            Step::Gate(GateName::Drift),
            Step::Gate(GateName::Approval),
            Step::Mirror { for_ms: 120_000 },
            weight(100),
            analysis,
            weight(1_000),
            analysis,
            Step::Pause { for_ms: None },
            weight(10_000),
            Step::Bake { for_ms: 1_800_000 },
        ]
    );
    let judged = judge::Guards {
        span_loss: Some(SpanLoss { at_most: 0.001 }),
        error_rate: Some(ErrorRate { worse_than_active_by: 0.005 }),
        latency: Some(Latency { quantile: 0.99, worse_than_active_by: 0.2 }),
        blind_spots: Some(BlindSpots { at_most: 0 }),
        findings: None,
        service_latency: None,
        metrics: Vec::new(),
    };
    let drift = Some(DriftGuard { every_ms: 30_000 });
    assert_eq!(plan.guards, Guards { judged, drift, leaks: Some(LeakGuard::default()), sources: Vec::new() });
    let approval = ApprovalGate { role: "approver".to_owned(), count: 2, expires_ms: 14_400_000, break_glass: None };
    assert_eq!(plan.gates.approval, Some(approval));
    let upstream = &plan.environments.green.upstream;
    assert_eq!((upstream.endpoint.as_str(), upstream.protocol), ("http://127.0.0.1:24317", Protocol::Grpc));
    assert_eq!((upstream.tap.as_str(), &upstream.backend), ("green", &None));
}

#[test]
fn what_is_left_out_has_a_default() {
    let plan = accepted(&[("  analysis:\n    falseAlarm: 0.001 ", "  #"), ("    onInconclusive: hold", "    #")]);
    let analysis =
        Analysis { false_alarm: 0.001, false_promotion: 0.05, on_inconclusive: OnInconclusive::Hold, batch_ms: 2_000 };
    assert_eq!(plan.analysis, analysis);
    assert_eq!(plan.verification, Verification { horizon_ms: 335_000, linger_ms: 10_000 });
    assert_eq!(plan.traffic, Traffic { expected_traces_per_s: None, errors: 0.001 });
    assert_eq!(plan.pin_ms, 60_000);
    assert_eq!(plan, accepted(&[]), "the defaults are the example's values");
}

#[test]
fn every_optional_field_is_read() {
    let plan = accepted(&[
        ("falseAlarm: 0.001", "falsePromotion: 0.01\n    batch: 5s"),
        ("onInconclusive: hold", "onInconclusive: extend"),
        ("  gates:", "  verification: { horizon: 20s, linger: 1s }\n  pin: 30s\n  gates:"),
        ("  gates:", "  traffic: { expected: 0.5/s, errors: 2% }\n  gates:"),
        ("    blindSpots:", "    findings: { worseThanActiveBy: 0.7% }\n    blindSpots:"),
        ("    blindSpots:", "    serviceLatency: { quantile: 0.9, worseThanActiveBy: 50% }\n    blindSpots:"),
        ("config: [{ files: ./blue }]", "tap: b\n      backend: http://[::1]:4317"),
        ("otlp: { grpc: \"http://127.0.0.1:24317\" }", "otlp: { http: http://green.example:4318 }"),
    ]);
    assert_eq!((plan.analysis.false_promotion, plan.analysis.batch_ms), (0.01, 5_000));
    assert_eq!(plan.analysis.on_inconclusive, OnInconclusive::Extend);
    assert_eq!(plan.verification, Verification { horizon_ms: 20_000, linger_ms: 1_000 });
    assert_eq!(plan.traffic, Traffic { expected_traces_per_s: Some(0.5), errors: 0.02 });
    assert_eq!(plan.pin_ms, 30_000);
    assert_eq!(plan.guards.judged.findings.map(|guard| guard.worse_than_active_by), Some(0.007));
    let timed = plan.guards.judged.service_latency;
    assert_eq!(timed, Some(Latency { quantile: 0.9, worse_than_active_by: 0.5 }));
    let PerEnvironment { blue, green } = plan.environments;
    assert_eq!((blue.upstream.tap.as_str(), blue.upstream.backend.as_deref()), ("b", Some("http://[::1]:4317")));
    assert_eq!((blue.config, green.upstream.protocol), (Vec::new(), Protocol::Http));
}

#[test]
fn the_digest_is_of_the_meaning() {
    let example = accepted(&[]);
    // What is signed must not change by itself: these bytes are in ledgers.
    insta::assert_snapshot!("canonical_json", String::from_utf8(example.canonical_json()).unwrap());
    insta::assert_snapshot!("digest", example.digest());
    assert_eq!(accepted(&[("# the ticket", "# another comment"), ("10m", "600s")]).digest(), example.digest());
    assert_ne!(accepted(&[("setWeight: 1%", "setWeight: 2%")]).digest(), example.digest());
    assert_ne!(accepted(&[("reason: Upgrade", "reason: upgrade")]).digest(), example.digest());
}

#[test]
fn an_alias_is_what_it_names() {
    let plan = accepted(&[
        ("analysis: { until: conclusive, atMost: 10m }", "analysis: &look { until: conclusive, atMost: 10m }"),
        ("- analysis: { until: conclusive, atMost: 10m }", "- analysis: *look"),
    ]);
    assert_eq!(plan, accepted(&[]));
}

fn previewed(edits: &[(&str, &str)]) -> Preview {
    preview(&accepted(edits))
}

#[test]
fn previews_read_well() {
    let traffic = |traffic| ("  gates:", traffic);
    insta::assert_snapshot!("preview_of_the_example", previewed(&[]));
    insta::assert_snapshot!("preview_at_500", previewed(&[traffic("  traffic: { expected: 500/s }\n  gates:")]));
    insta::assert_snapshot!(
        "preview_too_little_traffic",
        previewed(&[
            traffic("  traffic: { expected: 20/s, errors: 1% }\n  gates:"),
            ("onInconclusive: hold", "onInconclusive: extend"),
            ("worseThanActiveBy: 20%", "worseThanActiveBy: 5%"),
            ("      - gate: approval\n", "      - gate: probe\n"),
            ("pause: {}", "pause: { for: 90s }"),
            ("atMost: 10m", "atMost: 5m"),
            ("    blindSpots:", "    findings: { worseThanActiveBy: 0.1% }\n    blindSpots:"),
        ])
    );
    let json =
        serde_json::to_string_pretty(&previewed(&[traffic("  traffic: { expected: 500/s }\n  gates:")])).unwrap();
    insta::assert_snapshot!("preview_at_500_json", json);
}

/// When the guard's proof is had in a step, in milliseconds from its beginning.
fn proof_ms(preview: &Preview, step: usize, guard: &str) -> Option<u64> {
    let evidence = preview.steps[step].evidence.as_ref().unwrap();
    evidence.proofs.iter().find(|proof| proof.guard == guard).unwrap().after_ms
}

#[test]
fn evidence_is_carried_over_steps() {
    let at = |mirror: &str, traffic: &str| {
        let traffic = format!("  traffic: {{ expected: {traffic} }}\n  gates:");
        previewed(&[("mirror: { for: 2m }", &format!("mirror: {{ for: {mirror} }}")), ("  gates:", &traffic)])
    };
    // ln(2/0.05)/0.001 = 3,687 traces of green: 2m at 10/s are 1,200 of them, the other 2,487 come at 0.1/s; the
    // observation comes 347 s (2 + 335 + 10) after its traces.
    let expected_ms = ((3_687.0 - 1_200.0) / 0.1 + 347.0) * 1_000.0;
    let found_ms = proof_ms(&at("2m", "10/s"), 4, "spanLoss").unwrap() as f64;
    assert!((found_ms - expected_ms).abs() < 60_000.0, "{found_ms} against {expected_ms}");
    // A mirror that is long enough leaves only the delay, and one that is longer nothing at all.
    let short = proof_ms(&at("7m", "10/s"), 4, "spanLoss").unwrap();
    assert!((290_000..300_000).contains(&short), "3,687/10 s of 420 s leave 347 - 51 s, found {short}");
    assert_eq!(proof_ms(&at("30m", "10/s"), 4, "spanLoss"), Some(0));
    // With every trace on green, only what needs no comparison goes on.
    let idle = at("1s", "0.01/s");
    assert_eq!(proof_ms(&idle, 9, "latency"), None);
    assert!(proof_ms(&idle, 9, "spanLoss").is_some());
}

/// The order that every plan has, whatever it was read from.
fn holds(plan: &Plan) {
    stays_itself(plan);
    assert!(!preview(plan).to_string().is_empty());
    let weights = plan.steps.iter().filter_map(|step| match step {
        Step::SetWeight { weight } => Some(*weight),
        Step::Gate(_)
        | Step::Mirror { .. }
        | Step::Analysis { .. }
        | Step::Pause { .. }
        | Step::Bake { .. }
        | Step::PointOfNoReturn => None,
    });
    let weights: Vec<BasisPoints> = weights.collect();
    assert!(weights.is_sorted_by(|one, next| one < next), "{weights:?}");
    assert_eq!(weights.last(), Some(&BasisPoints::ALL));
    assert!(weights[0] > BasisPoints::ZERO);
    let all = Step::SetWeight { weight: BasisPoints::ALL };
    let after = plan.steps.iter().skip_while(|step| **step != all);
    assert!(after.clone().any(|step| matches!(step, Step::Bake { .. })), "no bake after 100%");
    let traffic = plan.steps.iter().position(|step| matches!(step, Step::Mirror { .. } | Step::SetWeight { .. }));
    let looked = plan.steps.iter().position(|step| matches!(step, Step::Analysis { .. } | Step::Bake { .. }));
    assert!(traffic < looked || looked.is_none());
}

fn some_step() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("gate: drift".to_owned()),
        Just("gate: approval".to_owned()),
        (0..3u8).prop_map(|minutes| format!("mirror: {{ for: {minutes}m }}")),
        (0..21u16).prop_map(|fifth| format!("setWeight: {}%", fifth * 5)),
        Just("setWeight: 100%".to_owned()),
        Just("analysis: { until: conclusive, atMost: 10m }".to_owned()),
        Just("pause: {}".to_owned()),
        Just("bake: { for: 30m }".to_owned()),
    ]
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in any::<String>()) {
        if let Err(errors) = parse(&text) {
            prop_assert!(!errors.errors().is_empty());
        }
    }

    #[test]
    fn a_damaged_plan_is_read_or_refused(
        at in 0..EXAMPLE.len(), length in 0..40usize, put in r"[-a-z0-9:%&*{}\[\]\n<# ]{0,8}"
    ) {
        // The example is ASCII, so that every index is between two characters.
        let end = (at + length).min(EXAMPLE.len());
        let damaged = format!("{}{put}{}", &EXAMPLE[..at], &EXAMPLE[end..]);
        match parse(&damaged) {
            Ok(plan) => holds(&plan),
            Err(errors) => {
                let lines = damaged.lines().count() as u64 + 1;
                for error in errors.errors() {
                    prop_assert!(error.line >= 1 && error.line <= lines && error.column >= 1, "{error}");
                    prop_assert!(!error.to_string().contains(char::is_control), "{error:?}");
                }
            }
        }
    }

    #[test]
    fn any_order_of_steps_is_a_way_or_refused(
        before in prop::collection::vec(some_step(), 0..4), after in prop::collection::vec(some_step(), 0..3),
        traffic in 1..100_000u32
    ) {
        let start = EXAMPLE.find("      - gate: drift").unwrap();
        let end = EXAMPLE.find("  gates:").unwrap();
        let ending = ["setWeight: 100%".to_owned(), "bake: { for: 30m }".to_owned()];
        let steps = before.iter().chain(&ending).chain(&after);
        let steps: String = steps.map(|step| format!("      - {step}\n")).collect();
        let yaml = format!(
            "{}{steps}  traffic: {{ expected: {traffic}/s }}\n{}", &EXAMPLE[..start], &EXAMPLE[end..]
        );
        if let Ok(plan) = parse(&yaml) {
            holds(&plan);
        }
    }
}

#[test]
fn a_mirror_that_ends_before_its_first_observation_is_said_to_compare_nothing() {
    let compares_nothing = |edits| previewed(edits).to_string().contains("blue is not compared with blue");
    assert!(compares_nothing(&[]), "two minutes, and a horizon of 335 s");
    assert!(!compares_nothing(&[("mirror: { for: 2m }", "mirror: { for: 10m }")]));
}
