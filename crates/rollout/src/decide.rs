//! The state machine: what happened and the time in, the next state, decisions and actions out.
//!
//! It never acts. The caller records the event and the decisions, and only then takes the actions (invariant 1).

mod accept;
mod advance;
mod approve;
mod canary;
mod command;
mod guard;
mod leak;
mod measured;
mod point;

pub(crate) use accept::acceptances_missing;
pub use approve::{review, review_is_overdue};
pub(crate) use measured::batch_of;
pub(crate) use point::point_approvals_missing;

use crate::canary::Canaries;
use crate::configuration::Configuration;
use crate::event::{Action, Cause, Decision, Event, HoldReason, Outcome, Shift, Start};
use crate::evidence_root::EvidenceRoot;
use crate::leak::Leaks;
use crate::plan::{Plan, Step as PlanStep};
use crate::state::{DriftGuardState, Halt, MetricState, Phase, Stage, State};
use crate::steady::SteadyWeights;
use judge::{Judge, NoiseFloor};
use model::{BasisPoints, Environment, PerEnvironment, Pins, RouteTable, Routed, UnixMillis};

/// How long a gateway may take to apply a table before the rollout says so. Applying is a pointer swap; a gateway that
/// needs longer is gone.
pub(crate) const APPLY_LIMIT_MS: u64 = 30_000;
/// How long a gate's runner may take, its own time limits included.
pub const GATE_LIMIT_MS: u64 = 120_000;
/// What verification may be late with a batch, beyond its closing age, before it counts as silent.
pub(crate) const SILENCE_GRACE_MS: u64 = 30_000;
/// Batches with traces of the candidate that an analysis must see of its own step before it can pass: evidence from
/// earlier steps is carried over, but says nothing about this weight.
pub(crate) const MIN_BATCHES: u32 = 3;
/// How often an inconclusive analysis is extended before it is held.
pub(crate) const MAX_EXTENSIONS: u32 = 12;

/// What one event leads to.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// The state from now on.
    pub state: State,
    /// What was decided, in order.
    pub decisions: Vec<Decision>,
    /// What to do once the decisions are durable, in order.
    pub actions: Vec<Action>,
}

/// Begins a rollout: every trace is still served by blue, but the gateway already knows green, so that it remembers
/// which traces are in flight before the first shift.
pub fn start(start: &Start, now: UnixMillis) -> Step {
    let plan = &start.plan;
    let table = RouteTable {
        generation: start.last_generation + 1,
        active: Environment::Blue,
        weight: BasisPoints::ZERO,
        mirror: false,
        pins: Pins::Keep,
        pin_ms: plan.pin_ms,
        key: start.route_key,
        upstreams: PerEnvironment::from_fn(|environment| Some(start.upstream(environment))),
        proofs: plan.proofs.map(|proofs| proofs.cosignatures),
        redaction: plan.redaction.clone(),
        testers: None,
        proof: None,
    };
    let state = State {
        rollout: start.rollout.clone(),
        plan: plan.clone(),
        plan_digest: start.plan_digest.clone(),
        log: start.log.clone(),
        started_by: start.by.clone(),
        started_at: now,
        decided_at: None,
        reached: 0,
        phase: Phase::Progressing { step: 0, stage: Stage::Approval, halt: None },
        table,
        observed: None,
        standing: None,
        pins_since: None,
        torn_told: None,
        torn: 0,
        steady: SteadyWeights::default(),
        judge: Judge::new(judge_config(plan)),
        noise: NoiseFloor::new(&judge_config(plan)),
        assessment: None,
        heard_at: now,
        observations: 0,
        findings: Vec::new(),
        blind_spots: Vec::new(),
        slowest: None,
        slowest_of: Vec::new(),
        slowest_in: Vec::new(),
        configurations: undeclared(plan),
        evidence: EvidenceRoot::default(),
        approvals: Vec::new(),
        approved: false,
        point_approvals: Vec::new(),
        past_return: None,
        gone_past: Vec::new(),
        void: None,
        glass: None,
        sign_offs: Vec::new(),
        gate_runs: 0,
        drift_guard: plan
            .guards
            .drift
            .as_ref()
            .map(|guard| DriftGuardState { due: now.plus_ms(guard.every_ms), running: None }),
        canaries: Canaries::default(),
        leaks: Leaks::default(),
        metrics: plan.guards.sources.iter().map(|source| MetricState::new(&source.metric, now)).collect(),
    };
    let mut decider = Decider { state, now, decisions: Vec::new(), actions: Vec::new() };
    decider.order_table();
    decider.enter(0);
    decider.finish()
}

/// What is known of the configurations without reading them: that a plan names none.
fn undeclared(plan: &Plan) -> Option<PerEnvironment<Configuration>> {
    let none = Environment::BOTH.iter().all(|environment| plan.environments[*environment].config.is_empty());
    none.then(|| PerEnvironment::from_fn(|_| Configuration::Undeclared))
}

/// What a plan has its candidate judged by.
pub fn judge_config(plan: &Plan) -> judge::Config {
    let batches_per_hour = u32::try_from(3_600_000 / plan.analysis.batch_ms.max(1)).unwrap_or(u32::MAX);
    judge::Config {
        candidate: Environment::Green,
        false_alarm: plan.analysis.false_alarm,
        false_promotion: plan.analysis.false_promotion,
        batches_per_hour,
        guards: plan.guards.judged.clone(),
    }
}

/// Decides what an event means. A [`Event::Tick`] that decides nothing leaves the state as it was, so it need not be
/// recorded.
pub fn step(state: &State, event: &Event, now: UnixMillis) -> Step {
    let mut decider = Decider { state: state.clone(), now, decisions: Vec::new(), actions: Vec::new() };
    decider.take(event);
    decider.finish()
}

fn words(Routed { active, weight, mirror, testers }: Routed) -> String {
    let copies = if mirror { " with copies" } else { "" };
    let tried = if testers { ", testers to the other" } else { "" };
    format!("{active} active, {weight} to the other{copies}{tried}")
}

struct Decider {
    state: State,
    now: UnixMillis,
    decisions: Vec<Decision>,
    actions: Vec<Action>,
}

impl Decider {
    fn finish(self) -> Step {
        Step { state: self.state, decisions: self.decisions, actions: self.actions }
    }

    fn take(&mut self, event: &Event) {
        match event {
            Event::Tick => self.watch_the_clock(),
            Event::Observed(observation) => self.observe(observation),
            Event::GateFinished { gate, run, result } => self.gate_finished(*gate, *run, result),
            Event::Applied { generation, torn, routed } => self.applied(*generation, *torn, *routed),
            Event::Measured { metric, measurement } => self.measured(metric, measurement),
            Event::ConfigurationsRead(read) => self.configurations_read(read),
            Event::ApprovalSubmitted(submission) => self.approval_submitted(submission),
            Event::SignedOff(sign_off) => self.signed_off(sign_off),
            Event::CanaryFollowed(canary) => self.canary_followed(canary),
            Event::LeaksSearched(search) => self.leaks_searched(search),
            Event::Commanded { command, by } => self.command(command, by),
            Event::Restarted => self.restarted(),
        }
        self.progress();
        self.rest_on_evidence();
    }

    /// What the verdicts of this event rest on is part of what an approver sees.
    fn rest_on_evidence(&mut self) {
        for decision in &self.decisions {
            if let Decision::Judged { evidence: Some(digest), .. } = decision {
                self.state.evidence = self.state.evidence.with(digest);
            }
        }
    }

    fn applied(&mut self, generation: u64, torn: u64, routed: Routed) {
        let before = match self.state.torn_told {
            // What other rollouts tore.
            None => torn,
            Some(told) if told <= torn => told,
            // The gateway started again.
            Some(_) => 0,
        };
        self.state.torn += torn - before;
        self.state.torn_told = Some(torn);
        if self.unattributed(generation, routed) {
            return;
        }
        if generation != self.state.table.generation {
            return;
        }
        let shift = Shift::from(&self.state.table);
        if self.state.observed == Some((generation, shift.weight)) {
            // Told again for the torn traces' sake: they are counted as they come back, after a rollback is over.
            return;
        }
        self.state.observed = Some((generation, shift.weight));
        self.state.standing = Some(self.state.table.clone());
        self.state.pins_since = self.state.pins_since.or(Some(self.now));
        self.state.steady.applied(&self.state.table, self.now);
        self.state.heard_at = self.now;
        self.decisions.push(Decision::ShiftObserved(shift));
        self.begin_batches_anew();
        let ended = match &mut self.state.phase {
            Phase::Progressing { halt, .. } => {
                if matches!(halt, Some(Halt::Held { reason: HoldReason::NotApplied { .. }, .. })) {
                    *halt = None;
                    self.decisions.push(Decision::Resumed);
                }
                None
            }
            Phase::RollingBack { cause, .. } => Some(Outcome::RolledBack(cause.clone())),
            Phase::Promoting { .. } => Some(Outcome::Promoted),
            Phase::Ended { .. } => None,
        };
        if let Some(outcome) = ended {
            self.state.phase = Phase::Ended { outcome: outcome.clone(), at: self.now };
            self.decisions.push(Decision::Ended(outcome));
        }
    }

    /// Traffic that no record explains (invariant 1): it goes back, by a table that is newer than whatever the gateway has.
    /// `true` if it was so.
    fn unattributed(&mut self, generation: u64, routed: Routed) -> bool {
        let ordered = self.state.table.generation;
        let explained = generation < ordered || generation == ordered && routed == self.state.table.routed();
        let progressing = matches!(self.state.phase, Phase::Progressing { .. } | Phase::Promoting { .. });
        if explained || !progressing {
            return false;
        }
        let (before, found) = (words(self.state.table.routed()), words(routed));
        let newest = ordered.max(generation);
        let cause = Cause {
            guard: "unattributed".to_owned(),
            finding: format!("the gateway routes by generation {generation} ({found}), which no record orders"),
            example_trace: None,
            first_seen: None,
            reasons: vec![format!("the newest that was ordered is generation {ordered}: {before}")],
        };
        if self.state.past_return.is_some() {
            self.order_again(newest, cause);
        } else {
            self.state.table.generation = newest;
            self.order_rollback(cause);
        }
        true
    }

    /// What was under way outside is asked for again, and the time without observations does not count.
    fn restarted(&mut self) {
        let down_ms = self.now.since_ms(self.state.heard_at);
        self.state.heard_at = self.now;
        for metric in &mut self.state.metrics {
            metric.heard_at = self.now;
        }
        self.state.observed = None;
        self.state.pins_since = None;
        self.state.steady.ends(self.now);
        self.actions.push(Action::Publish(Box::new(self.state.table.clone())));
        if let Some(guard) = &mut self.state.drift_guard {
            guard.running = None;
        }
        let rerun = match &mut self.state.phase {
            Phase::Progressing { stage, .. } => {
                stage.extend(down_ms);
                match stage {
                    Stage::Gate { gate, ended: None, .. } => Some(*gate),
                    Stage::Shifting { until, .. } | Stage::Settling { until } => {
                        *until = self.now.plus_ms(APPLY_LIMIT_MS);
                        None
                    }
                    Stage::Gate { ended: Some(_), .. }
                    | Stage::Approval
                    | Stage::Acceptance
                    | Stage::PointOfNoReturn
                    | Stage::Mirroring { .. }
                    | Stage::Analysing { .. }
                    | Stage::Pausing { .. }
                    | Stage::Baking { .. } => None,
                }
            }
            Phase::RollingBack { .. } | Phase::Promoting { .. } | Phase::Ended { .. } => None,
        };
        if let Some(gate) = rerun {
            self.request_gate(gate);
        }
    }

    /// Records and publishes the table as it stands in the state.
    fn order_table(&mut self) {
        self.state.steady.ends(self.now);
        self.decisions.push(Decision::ShiftOrdered(Shift::from(&self.state.table)));
        self.actions.push(Action::Publish(Box::new(self.state.table.clone())));
    }

    fn next_generation(&mut self) -> u64 {
        self.state.table.generation += 1;
        self.state.table.generation
    }

    /// Everything back to blue, at once: a rollback tears traces rather than leave them with the candidate. Whatever
    /// decides without a person asks `roll_back` instead.
    fn order_rollback(&mut self, cause: Cause) {
        let generation = self.next_generation();
        let table = &mut self.state.table;
        table.active = Environment::Blue;
        table.weight = BasisPoints::ZERO;
        table.mirror = false;
        table.testers = None;
        table.pins = Pins::Tear;
        self.decisions.push(Decision::RollbackOrdered(cause.clone()));
        self.order_table();
        self.state.decided_at = Some(self.now);
        self.state.phase = Phase::RollingBack { cause, generation };
    }

    fn promote(&mut self) {
        let generation = self.next_generation();
        let table = &mut self.state.table;
        table.active = Environment::Green;
        table.weight = BasisPoints::ZERO;
        table.mirror = false;
        table.testers = None;
        table.pins = Pins::Keep;
        self.decisions.push(Decision::PromotionOrdered);
        self.order_table();
        self.state.decided_at = Some(self.now);
        self.state.phase = Phase::Promoting { generation };
    }

    fn hold(&mut self, why: HoldReason) {
        if let Phase::Progressing { halt, .. } = &mut self.state.phase {
            *halt = Some(Halt::Held { reason: why.clone(), since: self.now });
            self.decisions.push(Decision::Held(why));
        }
    }

    /// How long an analysis or a bake waits; 0 for a step that waits for no evidence.
    fn evidence_wait_ms(&self, index: usize) -> u64 {
        match self.plan_step(index) {
            Some(PlanStep::Analysis { at_most_ms }) => at_most_ms,
            Some(PlanStep::Bake { for_ms }) => for_ms,
            Some(
                PlanStep::Gate(_)
                | PlanStep::Mirror { .. }
                | PlanStep::SetWeight { .. }
                | PlanStep::Pause { .. }
                | PlanStep::PointOfNoReturn,
            )
            | None => 0,
        }
    }

    fn plan_step(&self, index: usize) -> Option<PlanStep> {
        self.state.plan.steps.get(index).cloned()
    }
}

impl Stage {
    /// Puts the end of a timed stage off by `ms`: time in which nothing was watched, or in which it was paused.
    pub(crate) fn extend(&mut self, ms: u64) {
        match self {
            Stage::Shifting { until, .. }
            | Stage::Settling { until }
            | Stage::Gate { until, .. }
            | Stage::Mirroring { until }
            | Stage::Analysing { until, .. }
            | Stage::Pausing { until: Some(until) }
            | Stage::Baking { until, .. } => *until = until.plus_ms(ms),
            Stage::Approval | Stage::Acceptance | Stage::PointOfNoReturn | Stage::Pausing { until: None } => {}
        }
    }
}
