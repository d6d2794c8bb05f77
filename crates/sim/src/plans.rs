//! Plans as a person would write them, with short waits.

use crate::random::Random;
use std::fmt::Write;

/// The endpoints' ports of the environment that serves and of the one that is rolled out.
pub(crate) type Ports = (u16, u16);

/// The parts of a plan that differ.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    steps: Vec<String>,
    guards: Vec<&'static str>,
    on_inconclusive: &'static str,
    batch_ms: u64,
    horizon_ms: u64,
    approvals: u64,
    accepting: u64,
}

const GUARDS: [&str; 5] = [
    "spanLoss: { atMost: 4% }",
    "errorRate: { worseThanActiveBy: 10% }",
    "latency: { quantile: 0.9, worseThanActiveBy: 100% }",
    "blindSpots: { atMost: 0 }",
    "findings: { worseThanActiveBy: 2% }",
];
const POINT: &str = "pointOfNoReturn: { reason: the old schema is dropped, role: approver, count: 1, expires: 1m }";
const DRIFT_GUARD: &str = "drift: { every: 5s }";

impl Template {
    /// A mirror, two weights and a bake under all judged guards: nobody is needed.
    pub(crate) fn steady() -> Template {
        let steps = [
            "mirror: { for: 5s }",
            "setWeight: 25%",
            "analysis: { until: conclusive, atMost: 20s }",
            "setWeight: 100%",
            "bake: { for: 4s }",
        ];
        Template {
            steps: steps.map(str::to_owned).to_vec(),
            guards: GUARDS.to_vec(),
            on_inconclusive: "extend",
            batch_ms: 1_000,
            horizon_ms: 1_500,
            approvals: 1,
            accepting: 1,
        }
    }

    /// Any steps that make a plan.
    pub(crate) fn random(random: &mut Random) -> Template {
        let mut steps = Vec::new();
        let accepting = random.between(0, 2);
        for gate in ["probe", "drift", "approval"] {
            if random.chance(0.3) {
                steps.push(format!("gate: {gate}"));
            }
        }
        if random.chance(0.6) {
            steps.push(format!("mirror: {{ for: {}s }}", random.between(1, 5)));
            if random.chance(0.3) {
                steps.push(analysis(random));
            }
        }
        // In one plan of eight testers accept, before the first weight or between two: most plans are for what goes wrong.
        let accepted_before = (accepting > 0 && random.chance(0.2)).then(|| random.pick(&["1%", "5%", "25%", "100%"]));
        for weight in ["1%", "5%", "25%", "50%"] {
            if accepted_before == Some(weight) {
                steps.push("gate: acceptance".to_owned());
            }
            if random.chance(0.4) {
                steps.push(format!("setWeight: {weight}"));
                between_weights(random, &mut steps);
            }
        }
        if accepted_before == Some("100%") {
            steps.push("gate: acceptance".to_owned());
        }
        let looked = |steps: &[String]| {
            let first = steps.iter().position(|step| step.starts_with("setWeight"));
            first.is_some_and(|first| steps[first..].iter().any(|step| step.starts_with("analysis")))
        };
        // In one plan of five, before all of the traffic, or after the bake: past it nothing rolls back by itself.
        let point = random.chance(0.2).then(|| random.chance(0.5));
        let early = point == Some(true) && looked(&steps);
        if early {
            steps.push(POINT.to_owned());
        }
        steps.push("setWeight: 100%".to_owned());
        if random.chance(0.2) {
            steps.push(analysis(random));
        }
        steps.push(format!("bake: {{ for: {}s }}", random.between(1, 4)));
        if point.is_some() && !early {
            steps.push(POINT.to_owned());
            steps.push("bake: { for: 2s }".to_owned());
        }
        if random.chance(0.1) {
            steps.push("pause: {}".to_owned());
        }
        let mut guards: Vec<&str> = GUARDS.into_iter().filter(|_| random.chance(0.7)).collect();
        if guards.is_empty() {
            guards.push(GUARDS[0]);
        }
        if random.chance(0.3) {
            guards.push(DRIFT_GUARD);
        }
        Template {
            steps,
            guards,
            on_inconclusive: random.pick(&["hold", "extend", "extend", "rollback"]),
            batch_ms: random.pick(&[1_000, 2_000]),
            horizon_ms: random.between(1_500, 2_000),
            approvals: random.between(1, 2),
            accepting,
        }
    }

    pub(crate) fn yaml(&self, (active, candidate): Ports) -> String {
        let mut yaml = format!(
            r#"apiVersion: verdigris.dev/v1alpha1
kind: Rollout
metadata: {{ name: sim, reason: a simulation }}
spec:
  subject: pipeline
  environments:
    blue: {{ version: "v{active}", otlp: {{ grpc: "http://127.0.0.1:{active}" }}, config: [{{ files: ./blue }}] }}
    green: {{ version: "v{candidate}", otlp: {{ grpc: "http://127.0.0.1:{candidate}" }}, config: [{{ files: ./green }}] }}
  gates:
    drift: {{}}
    approval: {{ role: approver, count: {}, expires: 1m }}
    acceptance: {{ testers: [bob, carol, erin], count: {}, expires: 1m }}
  analysis: {{ falseAlarm: 0.001, onInconclusive: {}, batch: {}ms }}
  verification: {{ horizon: {}ms, linger: 800ms }}
  pin: 5s
  strategy:
    steps:
"#,
            self.approvals,
            self.accepting.max(1),
            self.on_inconclusive,
            self.batch_ms,
            self.horizon_ms
        );
        for step in &self.steps {
            writeln!(yaml, "      - {step}").expect("writing to a string does not fail");
        }
        yaml.push_str("  guards:\n");
        for guard in &self.guards {
            writeln!(yaml, "    {guard}").expect("writing to a string does not fail");
        }
        yaml
    }
}

fn analysis(random: &mut Random) -> String {
    format!("analysis: {{ until: conclusive, atMost: {}s }}", random.between(4, 12))
}

fn between_weights(random: &mut Random, steps: &mut Vec<String>) {
    if random.chance(0.6) {
        steps.push(analysis(random));
    }
    if random.chance(0.15) {
        steps.push("pause: {}".to_owned());
    }
    if random.chance(0.15) {
        steps.push(format!("pause: {{ for: {}s }}", random.between(1, 3)));
    }
    if random.chance(0.1) {
        steps.push(format!("gate: {}", random.pick(&["probe", "approval"])));
    }
}
