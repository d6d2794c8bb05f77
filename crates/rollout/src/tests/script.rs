//! A small language for what happens to a rollout: commands separated by `;` or lines.

use crate::acceptance::{Says, SignOff, Tested};
use crate::approval::{Act, ApproverKey, CheckpointCheck, LogHead, Statement, Submission};
use crate::plan::parse;
use crate::*;
use model::{
    ArmCounts, BasisPoints, BlindSpotCount, Check, Counters, Environment, ExponentialHistogram, Finding, Measurement,
    Routed,
};
use model::{
    Observation, OperationCounts, OperationLatency, PerEnvironment, Reading, RootOperation, RouteKey, SlowTrace,
};
use model::{ServiceTimes, ShortHistogram, Subject, TraceId, UnixMillis};
use std::fmt::Write;

pub const PLAN: &str = r#"
apiVersion: verdigris.dev/v1alpha1
kind: Rollout
metadata: { name: demo, reason: a test }
spec:
  subject: pipeline
  environments:
    blue: { version: "1", otlp: { grpc: "http://127.0.0.1:14317" } }
    green: { version: "2", otlp: { grpc: "http://127.0.0.1:24317" } }
  strategy:
    steps:
      - gate: probe
      - gate: approval
      - mirror: { for: 10s }
      - setWeight: 10%
      - analysis: { until: conclusive, atMost: 60s }
      - setWeight: 50%
      - pause: {}
      - setWeight: 100%
      - bake: { for: 20s }
  gates:
    approval: { role: approver, count: 1, expires: 90s }
  guards:
    spanLoss: { atMost: 1% }
    errorRate: { worseThanActiveBy: 2% }
    blindSpots: { atMost: 0 }
    findings: { worseThanActiveBy: 1% }
  analysis: { falseAlarm: 0.001, onInconclusive: hold, batch: 1s }
  verification: { horizon: 2s, linger: 1s }
  pin: 1s
"#;

/// The state, the time and what was decided so far.
pub struct Run {
    pub state: State,
    pub now: UnixMillis,
    pub records: Vec<Record>,
    pub text: String,
    batch: u64,
    observed: UnixMillis,
    counters: PerEnvironment<Counters>,
}

impl Run {
    pub fn start(yaml: &str) -> Run {
        let plan = parse(yaml).unwrap_or_else(|errors| panic!("{errors}"));
        let now = UnixMillis(1_700_000_000_000);
        let start_event = Start {
            rollout: RolloutId("demo.1".into()),
            plan_digest: plan.digest(),
            plan,
            by: Principal::new("alice", vec![]),
            program: "test".into(),
            route_key: RouteKey([7; 16]),
            base_dir: "/".into(),
            log: "test".into(),
            last_generation: 7,
        };
        let first = start(&start_event, now);
        let (records, text, counters) = (vec![], String::new(), PerEnvironment::default());
        let mut run = Run { state: first.state, now, records, text, batch: 0, observed: now, counters };
        run.note(Body::Started(Box::new(start_event)), &first.decisions);
        run
    }

    fn note(&mut self, input: Body, decisions: &[Decision]) {
        let decided = decisions.iter().map(|decision| Body::Decided(Box::new(decision.clone())));
        for body in std::iter::once(input).chain(decided) {
            let sequence = self.records.len() as u64;
            let (at, by) = (self.now, "test".into());
            let rollout = Some(self.state.rollout.clone());
            self.records.push(Record { version: Record::VERSION, rollout, sequence, at, by, body });
        }
        for decision in decisions {
            let seconds = self.now.since_ms(self.state.started_at) / 1_000;
            writeln!(self.text, "{seconds:>4} s  {}", words(decision)).unwrap();
        }
    }

    pub fn happen(&mut self, event: Event) {
        let before = self.state.clone();
        let next = step(&self.state, &event, self.now);
        assert_eq!(next, step(&self.state, &event, self.now), "the same event decides the same");
        self.state = next.state;
        if event == Event::Tick && next.decisions.is_empty() {
            assert_eq!(self.state, before, "a tick that decides nothing changes nothing");
            return;
        }
        self.note(Body::Happened(Box::new(event)), &next.decisions);
    }

    /// Somebody signs what is the case, changed a little, with a key of their own.
    pub fn submit(&mut self, by: Principal, change: impl FnOnce(&mut Statement)) {
        let head = LogHead { size: 1, root: "root".into() };
        let mut statement = Statement::of(&self.state, Act::Approve, head, self.now).unwrap();
        change(&mut statement);
        let mut seed = [0; 32];
        seed[..by.name.len()].copy_from_slice(by.name.as_bytes());
        let signed = ApproverKey::from_seed(&seed).sign(&statement);
        let submission = Submission { signed, signer: Some(by), checkpoint: CheckpointCheck::Holds };
        self.happen(Event::ApprovalSubmitted(Box::new(submission)));
    }

    /// A tester says something, after so many traces of their own at green.
    pub fn sign_off(&mut self, name: &str, says: Says, traces: u64) {
        let last = (traces > 0).then_some(TraceId([0x7e; 16]));
        let tested = Tested { traces, spans: 4 * traces, errors: u64::from(traces > 1), last };
        let note = (says == Says::Refuse).then(|| "sha256:note".to_owned());
        let (by, evidence) = (Principal::new(name, vec![]), Some("sha256:tried".to_owned()));
        self.happen(Event::SignedOff(Box::new(SignOff { by, says, note, tested, evidence })));
    }

    pub fn take(&mut self, line: &str) {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let number = || rest.parse::<u64>().unwrap();
        let by = |name: &str| {
            let roles = if name == "mallory" { vec![] } else { vec!["approver".to_owned()] };
            Principal::new(name, roles)
        };
        let command = |command| Event::Commanded { command, by: by(rest) };
        match word {
            "apply" => {
                let (generation, routed) = (self.state.table.generation, self.state.table.routed());
                self.happen(Event::Applied { generation, torn: 0, routed });
            }
            "stray" => {
                let routed = Routed { weight: BasisPoints::ALL, ..self.state.table.routed() };
                self.happen(Event::Applied { generation: number(), torn: 0, routed });
            }
            "gate" => {
                let (verdict, reason) = match rest {
                    "pass" => (GateVerdict::Pass, "both answer"),
                    "fail" => (GateVerdict::Fail, "green does not answer"),
                    _ => (GateVerdict::Error, "blue does not answer"),
                };
                let result = GateResult { verdict, reasons: vec![reason.into()], evidence: None };
                self.happen(Event::GateFinished { gate: plan::GateName::Probe, run: self.state.gate_runs, result });
            }
            "pause" => self.happen(command(Command::Pause)),
            "resume" => self.happen(command(Command::Resume)),
            "promote" => self.happen(command(Command::Promote)),
            "rollback" => {
                self.happen(command(Command::Rollback { reason: "because".into(), past_point_of_no_return: false }))
            }
            "rollback-past" => {
                self.happen(command(Command::Rollback { reason: "it must be".into(), past_point_of_no_return: true }))
            }
            "approve" => self.submit(by(rest), |_| {}),
            "approve-other" => self.submit(by(rest), |statement| statement.plan = "sha256:other".into()),
            "break-glass" => {
                let reason = "the night before the feast".to_owned();
                self.submit(by(rest), |statement| statement.act = Act::BreakGlass { reason });
            }
            "accept" | "refuse" => {
                let (name, traces) = rest.split_once(' ').unwrap_or((rest, "3"));
                self.sign_off(
                    name,
                    if word == "accept" { Says::Accept } else { Says::Refuse },
                    traces.parse().unwrap(),
                );
            }
            "configure" => {
                let read = Configuration::Read { digest: rest.to_owned() };
                self.happen(Event::ConfigurationsRead(PerEnvironment { blue: Configuration::Undeclared, green: read }));
            }
            "restart" => {
                self.now = self.now.plus_ms(5_000);
                self.happen(Event::Restarted);
            }
            "wait" => (0..number()).for_each(|_| self.second(None)),
            "good" | "lossy" | "blind" | "uneven" | "slow" | "slow-call" | "idle" | "skewed" | "skewed-lossy" => {
                (0..number()).for_each(|_| self.second(Some(word)))
            }
            "leaks" => self.happen(Event::LeaksSearched(Box::new(super::leak::of(rest)))),
            "canary" => self.happen(Event::CanaryFollowed(Box::new(super::canary::of(rest, self.now)))),
            "measured" | "worse" => (0..number()).for_each(|_| {
                self.second(Some("good"));
                self.measure(word == "worse");
            }),
            "down" => {
                let reason = match rest {
                    "" => "http://127.0.0.1:9090 does not accept connections",
                    other => other,
                };
                self.measured(Measurement::failed(reason));
            }
            other => panic!("{other}?"),
        }
    }

    fn second(&mut self, kind: Option<&str>) {
        self.now = self.now.plus_ms(1_000);
        self.happen(Event::Tick);
        if let Some(kind) = kind {
            let observation = self.observation(kind);
            self.happen(Event::Observed(Box::new(observation)));
        }
    }

    /// As many units as traces, one in 50 with an event; a green that is worse has two in ten.
    fn measure(&mut self, worse: bool) {
        let (weight, mirror) = (self.state.table.weight.share(), self.state.table.mirror);
        let green = if mirror { 200.0 } else { 200.0 * weight };
        let blue = if mirror { 200.0 } else { 200.0 - green };
        for (environment, units, share) in
            [(Environment::Blue, blue, 0.02), (Environment::Green, green, if worse { 0.2 } else { 0.02 })]
        {
            self.counters[environment].total += units;
            self.counters[environment].events += units * share;
        }
        self.measured(Measurement::Read(Reading { at: self.now, counters: self.counters }));
    }

    fn measured(&mut self, measurement: Measurement) {
        self.happen(Event::Measured { metric: "checkout-errors".to_owned(), measurement });
    }

    /// 200 traces a second, of which green gets its share or copies, as the controller records them.
    pub fn observation(&mut self, kind: &str) -> Observation {
        let (weight, mirror) = (self.state.table.weight.share(), self.state.table.mirror);
        let total = if kind == "idle" { 0.0 } else { 200.0 };
        let green = if mirror { total } else { total * weight } as u64;
        let blue = if mirror { total } else { total * (1.0 - weight) } as u64;
        let arm = |traces: u64, lossy: u64| {
            let mut arm = ArmCounts { traces, spans_acknowledged: traces * 10, ..ArmCounts::default() };
            arm.spans_out = arm.spans_acknowledged - lossy;
            arm.unfinished = lossy;
            arm.latency_us.0.insert(130, traces - lossy);
            if lossy > 0 {
                arm.events.insert(Check::LostSpan, lossy);
            }
            arm
        };
        // One half of blue's traces loses spans, and the other half does not.
        let torn = if kind == "uneven" { blue / 5 } else { 0 };
        let lost = match kind {
            "lossy" | "skewed-lossy" => green / 5,
            "blind" => green / 2,
            _ => 0,
        };
        let traces = PerEnvironment { blue: 0, green: lost };
        let example = Some(TraceId([0xab; 16]));
        let finding = Finding {
            check: Check::LostSpan,
            service: "payment".into(),
            operation: "charge".into(),
            key: None,
            traces,
            spans: traces,
            first_seen: self.observed,
            last_seen: self.observed,
            example,
        };
        let subject = Subject::Operation { service: "payment".into(), operation: "charge".into(), kind: 2 };
        let sent = PerEnvironment { blue: blue / 2, green: green / 2 };
        let spot = BlindSpotCount {
            subject,
            traces: sent,
            unseen: traces,
            traces_ever: sent.map(|count| count * (self.batch + 1)),
            unseen_ever: if kind == "blind" {
                PerEnvironment { blue: 0, green: sent.green * (self.batch + 1) }
            } else {
                PerEnvironment::default()
            },
            example,
        };
        // Half of what green should have goes to blue.
        let strays = if kind.starts_with("skewed") { green / 2 } else { 0 };
        let assigned = PerEnvironment { blue: blue + strays, green: green - strays };
        let mut arms = PerEnvironment { blue: arm(blue, torn), green: arm(green, lost) };
        for environment in Environment::BOTH {
            arms[environment].assigned = assigned[environment];
        }
        let from = self.observed;
        // Two operations with a quarter of the traces each.
        let call = if kind == "slow-call" { 72 } else { 60 };
        let times = |traces: u64, bucket: i32| {
            ShortHistogram(ExponentialHistogram([(bucket, traces)].into_iter().filter(|it| it.1 > 0).collect()))
        };
        let operation = |name: &str, slower: i32, latency_us| {
            let latency = |traces: u64, slower| OperationLatency {
                latency_us: ExponentialHistogram(
                    [(65 + slower, traces / 4)].into_iter().filter(|it| it.1 > 0).collect(),
                ),
                unfinished: 0,
            };
            let slowest = SlowTrace { trace: TraceId([0xcd; 16]), latency_us, assigned: from };
            OperationCounts {
                root: RootOperation { service: "shop".into(), operation: name.into() },
                latency: PerEnvironment { blue: latency(blue, 0), green: latency(green, slower) },
                slowest: Some(slowest),
            }
        };
        self.observed = self.now;
        self.batch += 1;
        self.state.recorded(Observation {
            arms,
            blue_half: Some(arm(blue / 2, torn)),
            findings: if lost > 0 { vec![finding] } else { vec![] },
            blind_spots: if kind == "blind" { vec![spot] } else { vec![] },
            operations: vec![
                operation("GET /", 0, 1_000),
                operation("GET /cart", if kind == "slow" { 12 } else { 0 }, 90_000),
            ],
            services: vec![ServiceTimes {
                subject: Subject::Edge { from: "shop".into(), to: "payment".into() },
                time_us: PerEnvironment { blue: times(blue, 60), green: times(green, call) },
                calls: Some(PerEnvironment { blue: times(blue, 28), green: times(green, 28) }),
                slowest: Some(SlowTrace { trace: TraceId([0xce; 16]), latency_us: 70_000, assigned: from }),
            }],
            ..Observation::of_nothing(self.batch, from, self.observed)
        })
    }
}

fn words(decision: &Decision) -> String {
    let shift = |shift: &Shift| {
        let Shift { generation, active, weight, mirror, pins, testers } = shift;
        let tried = if *testers { ", testers to green" } else { "" };
        format!("generation {generation}: {active} active, green {weight}, mirror {mirror}, {pins:?} pins{tried}")
    };
    match decision {
        Decision::ShiftOrdered(ordered) => format!("ordered  {}", shift(ordered)),
        Decision::ShiftObserved(observed) => format!("observed {}", shift(observed)),
        Decision::StepEntered { step, does } => format!("step {step}: {does}"),
        Decision::Judged { assessment, evidence: _ } => match &assessment.verdict {
            judge::Verdict::Fail(failure) => format!("judged: fail: {:?} {:?}", failure.guard, failure.check),
            judge::Verdict::Pass => "judged: pass".to_owned(),
            judge::Verdict::Inconclusive { .. } => "judged: inconclusive".to_owned(),
            judge::Verdict::Error { reason } => format!("judged: error: {reason}"),
        },
        Decision::SignedOff { word, count, needed } => {
            let counts = if word.uncounted.is_none() { "" } else { " (does not count)" };
            format!("{} says {}: {count} of {needed}{counts}", word.by, word.says.command())
        }
        Decision::Refused { command, reason } => format!("refused {command}: {reason}"),
        Decision::RollbackOrdered(cause) => {
            format!("rollback: {}: {} (for example {:?})", cause.guard, cause.finding, cause.example_trace)
        }
        Decision::Ended(Outcome::Promoted) => "ended: promoted".to_owned(),
        Decision::Ended(Outcome::RolledBack(_)) => "ended: rolled back".to_owned(),
        Decision::SourceFails { metric, reason } => format!("source of {metric} fails: {reason}"),
        Decision::SourceAnswers { metric } => format!("source of {metric} answers"),
        Decision::GateRequested { .. }
        | Decision::Approved { .. }
        | Decision::GlassBroken { .. }
        | Decision::PointPassed { .. }
        | Decision::ApprovalsVoid { .. }
        | Decision::Paused
        | Decision::Resumed
        | Decision::Skipped { .. }
        | Decision::Held(_)
        | Decision::Extended { .. }
        | Decision::PromotionOrdered => format!("{decision:?}"),
    }
}

pub fn run(yaml: &str, script: &str) -> Run {
    let mut run = Run::start(yaml);
    for line in script.split([';', '\n']).map(str::trim).filter(|line| !line.is_empty()) {
        run.take(line);
    }
    run
}

/// What was decided, and when.
pub fn transcript(yaml: &str, script: &str) -> String {
    run(yaml, script).text
}

/// The script ends with this headline, or its last decision is this refusal.
pub fn check(yaml: &str, script: &str, expect: &str) {
    let run = run(yaml, script);
    let headline = report(&run.state, run.now).headline;
    let last = run.text.lines().last().unwrap_or_default();
    assert!(headline.contains(expect) || last.contains(expect), "{script}\n{}\n{headline}", run.text);
}
