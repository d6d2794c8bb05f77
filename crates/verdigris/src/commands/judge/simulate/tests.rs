use super::*;
use crate::cli::Axis;
use model::BasisPoints;

const PLAN: &str = "
apiVersion: verdigris.dev/v1alpha1
kind: Rollout
metadata: { name: simulated, reason: a test }
spec:
  subject: pipeline
  environments:
    blue: { version: '1', otlp: { grpc: 'http://127.0.0.1:14317' } }
    green: { version: '2', otlp: { grpc: 'http://127.0.0.1:24317' } }
  strategy:
    steps:
      - mirror: { for: 30s }
      - setWeight: 50%
      - analysis: { until: conclusive, atMost: 2m }
      - setWeight: 100%
      - bake: { for: 20s }
  guards: { spanLoss: { atMost: 0.5% }, errorRate: { worseThanActiveBy: 0.5% } }
  analysis: { falseAlarm: 0.01, batch: 1s }
  verification: { horizon: 2s, linger: 1s }
  pin: 1s
";

fn command(effects: &[&str], weight: Option<u32>) -> Simulate {
    Simulate {
        plan: "plan.yaml".into(),
        traffic: Some(200.0),
        errors: Some(0.002),
        loss: None,
        false_alarm: None,
        effect: effects.iter().map(|effect| effect.parse().unwrap()).collect(),
        runs: 20,
        seed: 7,
        weight: weight.map(|weight| BasisPoints::new(weight as u16).unwrap()),
        for_ms: weight.map(|_| 180_000),
        beside_polling: weight.is_some(),
        by: Axis::Time,
        svg: None,
    }
}

fn shown(command: &Simulate, axis: Axis) -> String {
    let plan = rollout::plan::parse(PLAN).unwrap_or_else(|errors| panic!("{}", errors.display("plan.yaml")));
    let Simulation { whole, effects, polled } = simulate(command, &plan).unwrap();
    shown::text(&whole, &effects, polled.as_ref(), axis)
}

#[test]
fn what_a_plan_would_do_reads_well() {
    insta::assert_snapshot!("steps", shown(&command(&["errors:x10", "loss:2%"], None), Axis::Time));
    insta::assert_snapshot!("weight", shown(&command(&["errors:x10"], Some(1_000)), Axis::Traces));
}

#[test]
fn effects_are_what_they_say_or_are_refused() {
    for text in ["none", "errors:x2", "errors:x1.5", "loss:1%", "loss:0.01%", "latency:+20%"] {
        assert_eq!(text.parse::<Effect>().unwrap().to_string(), text);
    }
    for text in ["", "errors", "errors:2", "errors:x0.5", "errors:xNaN", "loss:2", "latency:20%", "slow:1%"] {
        assert!(text.parse::<Effect>().is_err(), "{text}");
    }
}

#[test]
fn without_effects_the_guards_say_what_to_look_for() {
    let plan = rollout::plan::parse(PLAN).unwrap_or_else(|errors| panic!("{}", errors.display("plan.yaml")));
    let found = effects(&command(&[], None), &plan).unwrap();
    assert_eq!(found, [Effect::None, Effect::Errors(10.0), Effect::Loss(0.05)]);
}

#[test]
fn more_than_a_command_simulates_is_refused() {
    let plan = rollout::plan::parse(PLAN).unwrap_or_else(|errors| panic!("{}", errors.display("plan.yaml")));
    let refused = |change: fn(&mut Simulate)| {
        let mut command = command(&["errors:x2"], Some(100));
        change(&mut command);
        simulate(&command, &plan).err().map(|failed| failed.to_string()).unwrap_or_default()
    };
    assert!(refused(|it| (it.runs, it.for_ms) = (100_000, Some(86_400_000))).contains("fewer --runs"));
    assert!(refused(|it| it.effect = vec![Effect::Loss(0.1); 9]).contains("at most 8"));
    assert!(refused(|it| it.traffic = None).contains("--traffic 100/s"));
}
