use super::*;
use crate::plan::parse;
use judge::simulate::{Behaviour, Random, latency};
use model::Check;

/// Short enough for tests: 1 s batches, observed 3.5 s after they began.
const PLAN: &str = "
apiVersion: verdigris.dev/v1alpha1
kind: Rollout
metadata: { name: rehearsed, reason: a test }
spec:
  subject: pipeline
  environments:
    blue: { version: '1', otlp: { grpc: 'http://127.0.0.1:14317' }, config: [{ files: ./blue }] }
    green: { version: '2', otlp: { grpc: 'http://127.0.0.1:24317' }, config: [{ files: ./green }] }
  strategy:
    steps:
      - gate: drift
      - gate: approval
      - mirror: { for: 30s }
      - setWeight: 10%
      - analysis: { until: conclusive, atMost: 4m }
      - pause: {}
      - setWeight: 100%
      - bake: { for: 20s }
  gates: { drift: { expected: [] }, approval: { role: approver, count: 2, expires: 4h } }
  guards:
    spanLoss: { atMost: 0.5% }
    errorRate: { worseThanActiveBy: 0.5% }
    latency: { quantile: 0.99, worseThanActiveBy: 40% }
  analysis: { falseAlarm: 0.01, batch: 1s, onInconclusive: hold }
  verification: { horizon: 1500ms, linger: 1s }
  pin: 1s
";

fn rehearsed(plan: &str, run: u64, green: Behaviour, weight: Option<BasisPoints>) -> Rehearsed {
    let plan = parse(plan).unwrap_or_else(|errors| panic!("{}", errors.display("plan.yaml")));
    let setting = Setting { traces_per_s: 300.0, max_batches: 1_000, weight };
    let blue = Behaviour::healthy().with(Check::ErrorSpan, 0.002);
    rehearse(&plan, &setting, Traffic::new(Random::of_run(5, run), blue, green))
}

fn healthy() -> Behaviour {
    Behaviour::healthy().with(Check::ErrorSpan, 0.002)
}

#[test]
fn an_equal_green_is_promoted_in_the_time_that_the_steps_take() {
    for run in 0..5 {
        let Rehearsed { ending, end, proved } = rehearsed(PLAN, run, healthy(), None);
        assert_eq!(ending, Ending::Promoted, "run {run} at {end:?}");
        let proved = proved.expect("a pass comes before a promotion");
        // 30 s of mirror and 20 s of bake, and an analysis of three batches of its own.
        assert!((50_000..=295_000).contains(&end.at_ms) && proved.at_ms < end.at_ms, "{end:?} {proved:?}");
        assert!(proved.candidate_traces < proved.traces && end.traces < 2 * 300 * 300, "{end:?}");
    }
}

#[test]
fn a_worse_green_alarms_by_the_guard_that_it_breaks() {
    for (guard, green) in [
        ("spanLoss", healthy().with(Check::LostSpan, 0.05)),
        ("errorRate", healthy().with(Check::ErrorSpan, 0.05)),
        ("latency", Behaviour { latency: latency(2.0), ..healthy() }),
    ] {
        let Rehearsed { ending, end, .. } = rehearsed(PLAN, 1, green, None);
        assert_eq!(ending, Ending::Alarmed { guard: guard.to_owned() });
        // Copies of 300 traces a second: it never gets to serve any.
        assert!(end.at_ms <= 31_000, "{guard}: {end:?}");
    }
}

#[test]
fn too_little_evidence_holds_or_goes_back_as_the_plan_says() {
    let short = PLAN.replace("mirror: { for: 30s }", "mirror: { for: 1s }").replace("atMost: 4m", "atMost: 10s");
    assert_eq!(rehearsed(&short, 1, healthy(), None).ending, Ending::Held { why: "inconclusive" });
    let back = short.replace("onInconclusive: hold", "onInconclusive: rollback");
    assert_eq!(rehearsed(&back, 1, healthy(), None).ending, Ending::GivenUp);
}

#[test]
fn at_one_weight_the_judge_is_asked_to_the_end() {
    let tenth = BasisPoints::new(1_000);
    let Rehearsed { ending, end, proved } = rehearsed(PLAN, 1, healthy(), tenth);
    assert_eq!((ending, end.at_ms), (Ending::CutOff, 1_000_000));
    // The last 4 batches are not observed any more.
    assert!(end.traces > 996 * 300 - 300 && end.traces <= 997 * 300, "{end:?}");
    assert!((end.candidate_traces as f64 / end.traces as f64 - 0.1).abs() < 0.01 && proved.is_some(), "{end:?}");
    let lossy = healthy().with(Check::LostSpan, 0.05);
    assert_eq!(rehearsed(PLAN, 1, lossy, tenth).ending, Ending::Alarmed { guard: "spanLoss".to_owned() });
}

#[test]
fn the_same_seed_rehearses_the_same() {
    let lossy = || healthy().with(Check::LostSpan, 0.008);
    assert_eq!(rehearsed(PLAN, 3, lossy(), None), rehearsed(PLAN, 3, lossy(), None));
    assert_ne!(rehearsed(PLAN, 3, lossy(), None), rehearsed(PLAN, 4, lossy(), None));
}

#[test]
fn where_trace_stores_take_the_place_of_taps_their_share_is_all_there_is() {
    let even = BasisPoints::new(5_000);
    let query = |port: u16| format!("query: {{ tempo: 'http://127.0.0.1:{port}', share: 10%, settle: 1s }}, config");
    let thin = PLAN.replacen("config", &query(3200), 1).replacen(
        ", config: [{ files: ./green",
        &format!(", {}: [{{ files: ./green", query(3201)),
        1,
    );
    let thin = thin.replace("horizon: 1500ms", "horizon: 31s");
    let traces = |plan: &str| rehearsed(plan, 0, healthy(), even).end.traces as f64;
    let share = traces(&thin) / traces(PLAN);
    assert!((0.08..0.12).contains(&share), "{share}");
}
