//! A whole rollout on simulated traffic: the real state machine and the real judge, only that time and traces are made
//! up. It is what `verdigris judge simulate` runs many times, so that a team sees what its plan would do.
//!
//! It is pure: chance comes from the traffic's seed. Gates pass, people approve and resume at once, the gateway applies a
//! table at once, and no trace is in flight when the weight changes; a hold ends the rehearsal, for it waits for a person.
//! The plan's metrics from outside are left out, for nothing is known of what they count; where trace stores take the place
//! of taps, their share of the traces is all there is.

use crate::approval::{Act, ApproverKey, CheckpointCheck, LogHead, Statement, Submission};
use crate::configuration::Configuration;
use crate::event::{Action, Command, Event, HoldReason, Outcome, RolloutId, Start};
use crate::plan::Plan;
use crate::principal::Principal;
use crate::report::approvals_missing;
use crate::state::{Halt, Phase, Stage, State};
use crate::{start, step};
use judge::simulate::Traffic;
use judge::{Assessment, Guard, Verdict};
use model::{BasisPoints, GateResult, GateVerdict, Observation, PerEnvironment, RouteKey, RouteTable, UnixMillis};
use std::collections::VecDeque;

/// When a rehearsal begins: any time will do.
const EPOCH: UnixMillis = UnixMillis(1_700_000_000_000);

/// What the traffic is, and how long it may take.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Setting {
    /// New traces a second, both environments together; a mirrored trace counts once.
    pub traces_per_s: f64,
    /// Batches of the plan's length after which a rehearsal is cut off.
    pub max_batches: u64,
    /// The candidate's share, constant from the beginning and judged to the end, instead of the plan's steps.
    pub weight: Option<BasisPoints>,
}

/// When something happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Moment {
    /// Milliseconds since the beginning.
    pub at_ms: u64,
    /// Traces that the judge had seen by then, both environments together; a copy counts.
    pub traces: u64,
    /// Of these, the candidate's.
    pub candidate_traces: u64,
}

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Ending {
    /// The candidate became active.
    Promoted,
    /// The judge failed it; the guard is the one that was named.
    Alarmed {
        /// Which guard.
        guard: String,
    },
    /// It went back without an alarm: the plan says so of an inconclusive analysis.
    GivenUp,
    /// It waits for a person.
    Held {
        /// Why, in a word.
        why: &'static str,
    },
    /// The time was over.
    CutOff,
}

/// One rehearsal.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rehearsed {
    /// How it ended.
    pub ending: Ending,
    /// When.
    pub end: Moment,
    /// When the judge first said Pass, if it did.
    pub proved: Option<Moment>,
}

/// Rehearses a plan once.
pub fn rehearse(plan: &Plan, setting: &Setting, traffic: Traffic) -> Rehearsed {
    let (sent, seen) = (VecDeque::new(), PerEnvironment::default());
    let mut plan = plan.clone();
    plan.guards.judged.metrics.clear();
    plan.guards.sources.clear();
    let plan = &plan;
    // Of the others nothing is observed.
    let setting = &Setting { traces_per_s: setting.traces_per_s * plan.verified_share().share(), ..*setting };
    let mut scene = Scene { plan, setting, traffic, now: EPOCH, sent, owed: 0.0, seen, proved: None };
    match setting.weight {
        Some(weight) => scene.judge_alone(weight),
        None => scene.roll_out(),
    }
}

/// A batch that was sent and is not observed yet.
struct Sent {
    from: UnixMillis,
    traces: PerEnvironment<u64>,
}

struct Scene<'p> {
    plan: &'p Plan,
    setting: &'p Setting,
    traffic: Traffic,
    now: UnixMillis,
    /// At most as many as the horizon and the linger have batches.
    sent: VecDeque<Sent>,
    /// Parts of traces that no batch had yet.
    owed: f64,
    /// Traces that the judge has seen.
    seen: PerEnvironment<u64>,
    proved: Option<Moment>,
}

impl Scene<'_> {
    fn roll_out(&mut self) -> Rehearsed {
        let first = start(&self.first(), self.now);
        let (mut state, mut actions) = (first.state, VecDeque::from(first.actions));
        for _ in 0..self.setting.max_batches {
            self.answer(&mut state, &mut actions);
            if let Some(ending) = ending(&state) {
                return self.ended(ending);
            }
            self.send(&state.table);
            self.now = self.now.plus_ms(self.plan.analysis.batch_ms);
            let event = match self.observed() {
                Some(observation) => Event::Observed(Box::new(observation)),
                None => Event::Tick,
            };
            let next = step(&state, &event, self.now);
            (state, actions) = (next.state, next.actions.into());
            if let Some(assessment) = &state.assessment {
                self.note(assessment);
            }
        }
        self.ended(ending(&state).unwrap_or(Ending::CutOff))
    }

    /// The judge of the plan on traffic of one weight, whatever it says: to see how often it ever alarms.
    fn judge_alone(&mut self, weight: BasisPoints) -> Rehearsed {
        let first = start(&self.first(), self.now).state;
        let (mut judge, mut table) = (first.judge, first.table);
        table.weight = weight;
        for _ in 0..self.setting.max_batches {
            self.send(&table);
            self.now = self.now.plus_ms(self.plan.analysis.batch_ms);
            let Some(observation) = self.observed() else { continue };
            // Simulated traces are divided as the weight says.
            judge.observe(&observation, None);
            let assessment = judge.assess();
            self.note(&assessment);
            if let Verdict::Fail(failure) = assessment.verdict {
                return self.ended(Ending::Alarmed { guard: failure.guard.name().to_owned() });
            }
        }
        self.ended(Ending::CutOff)
    }

    fn first(&self) -> Start {
        Start {
            rollout: RolloutId(format!("{}.1", self.plan.name)),
            plan: self.plan.clone(),
            plan_digest: self.plan.digest(),
            by: Principal::new("author", Vec::new()),
            program: String::new(),
            route_key: RouteKey([0; 16]),
            base_dir: "/".to_owned(),
            log: "rehearsal".to_owned(),
            last_generation: 0,
        }
    }

    /// Everybody does at once what the rollout waits for.
    fn answer(&mut self, state: &mut State, actions: &mut VecDeque<Action>) {
        // Each turn ends a wait of a step or an action of one, and a plan has at most 64 steps.
        for turn in 0..1_000 {
            let event = match actions.pop_front() {
                Some(Action::Publish(table)) => {
                    Event::Applied { generation: table.generation, torn: 0, routed: table.routed() }
                }
                Some(Action::RunGate { gate, run }) => {
                    let result = GateResult { verdict: GateVerdict::Pass, reasons: Vec::new(), evidence: None };
                    Event::GateFinished { gate, run, result }
                }
                None => match self.asked_of_people(state, turn) {
                    Some(event) => event,
                    None => return,
                },
            };
            let next = step(state, &event, self.now);
            *state = next.state;
            actions.extend(next.actions);
        }
        unreachable!("a rollout that waits for people or actions a thousand times at one moment")
    }

    fn asked_of_people(&self, state: &State, turn: usize) -> Option<Event> {
        let commanded = |command: Command, name: String, roles: Vec<String>| {
            Some(Event::Commanded { command, by: Principal::new(name, roles) })
        };
        match &state.phase {
            Phase::Progressing { stage: Stage::Pausing { until: None }, halt: None, .. } => {
                commanded(Command::Resume, "operator".to_owned(), Vec::new())
            }
            Phase::Progressing { stage: Stage::Approval | Stage::PointOfNoReturn, halt: None, .. }
                if asked_approvals(state, self.now) > 0 =>
            {
                let role = match &self.plan.point_of_no_return {
                    Some(point) if state.waits_at_point() => Some(point.role.clone()),
                    _ => self.plan.gates.approval.as_ref().map(|gate| gate.role.clone()),
                };
                let by = Principal::new(format!("approver-{turn}"), role.into_iter().collect());
                let read = PerEnvironment::from_fn(|_| Configuration::Undeclared);
                Some(match state.configurations {
                    None => Event::ConfigurationsRead(read),
                    Some(_) => Event::ApprovalSubmitted(Box::new(self.approval(state, by)?)),
                })
            }
            Phase::Progressing { .. } | Phase::RollingBack { .. } | Phase::Promoting { .. } | Phase::Ended { .. } => {
                None
            }
        }
    }

    fn approval(&self, state: &State, by: Principal) -> Option<Submission> {
        let statement = Statement::of(state, Act::Approve, LogHead { size: 0, root: String::new() }, self.now).ok()?;
        let signed = ApproverKey::from_seed(&[0; 32]).sign(&statement);
        Some(Submission { signed, signer: Some(by), checkpoint: CheckpointCheck::Holds })
    }

    /// One batch of traffic, routed by a table.
    fn send(&mut self, table: &RouteTable) {
        self.owed += self.setting.traces_per_s * self.plan.analysis.batch_ms as f64 / 1_000.0;
        let traces = self.owed.floor();
        self.owed -= traces;
        let traces = traces as u64;
        let green = self.traffic.random.binomial(traces, table.weight.share());
        let traces = match table.mirror {
            true => PerEnvironment { blue: traces, green: traces },
            false => PerEnvironment { blue: traces - green, green },
        };
        self.sent.push_back(Sent { from: self.now, traces });
    }

    /// The oldest batch, once its age closes it.
    fn observed(&mut self) -> Option<Observation> {
        let verification = &self.plan.verification;
        let batch_ms = self.plan.analysis.batch_ms;
        let age_ms = batch_ms + verification.linger_ms + verification.horizon_ms;
        let due = self.sent.front().is_some_and(|sent| sent.from.plus_ms(age_ms) <= self.now);
        let Sent { from, traces } = self.sent.pop_front_if(|_| due)?;
        Some(self.traffic.observation(traces, from, from.plus_ms(batch_ms)))
    }

    fn note(&mut self, assessment: &Assessment) {
        self.seen = assessment.traces;
        if assessment.verdict == Verdict::Pass && self.proved.is_none() {
            self.proved = Some(self.moment());
        }
    }

    fn moment(&self) -> Moment {
        let PerEnvironment { blue, green } = self.seen;
        Moment { at_ms: self.now.since_ms(EPOCH), traces: blue.saturating_add(green), candidate_traces: green }
    }

    fn ended(&self, ending: Ending) -> Rehearsed {
        Rehearsed { ending, end: self.moment(), proved: self.proved }
    }
}

/// How many approvals are missing where it waits.
fn asked_approvals(state: &State, now: UnixMillis) -> u32 {
    match state.waits_at_point() {
        true => crate::decide::point_approvals_missing(state, now),
        false => approvals_missing(state, now),
    }
}

fn ending(state: &State) -> Option<Ending> {
    match &state.phase {
        Phase::Ended { outcome: Outcome::Promoted, .. } => Some(Ending::Promoted),
        Phase::Ended { outcome: Outcome::RolledBack(cause), .. } => {
            let judged = Guard::ALL.into_iter().any(|guard| guard.name() == cause.guard);
            Some(if judged { Ending::Alarmed { guard: cause.guard.clone() } } else { Ending::GivenUp })
        }
        Phase::Progressing { halt: Some(halt), .. } => Some(Ending::Held { why: halt_words(halt) }),
        Phase::Progressing { halt: None, .. } | Phase::RollingBack { .. } | Phase::Promoting { .. } => None,
    }
}

fn halt_words(halt: &Halt) -> &'static str {
    match halt {
        Halt::Paused { .. } => "paused",
        Halt::Held { reason: HoldReason::Inconclusive { .. }, .. } => "inconclusive",
        Halt::Held { reason: HoldReason::Gate { .. }, .. } => "gate",
        Halt::Held { reason: HoldReason::ApprovalsVoid { .. }, .. } => "approvalsVoid",
        Halt::Held { reason: HoldReason::NotApplied { .. }, .. } => "notApplied",
        Halt::Held { reason: HoldReason::SplitBroken { .. }, .. } => "splitBroken",
        Halt::Held { reason: HoldReason::SourceFails { .. }, .. } => "sourceFails",
        Halt::Held { reason: HoldReason::SourceSilent { .. }, .. } => "sourceSilent",
        Halt::Held { reason: HoldReason::PastReturn { .. }, .. } => "pastReturn",
        Halt::Held { reason: HoldReason::MeasurementBroken { .. }, .. } => "measurementBroken",
    }
}

#[cfg(test)]
mod tests;
