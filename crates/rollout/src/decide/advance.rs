//! From step to step.

use super::{APPLY_LIMIT_MS, Decider, GATE_LIMIT_MS, MAX_EXTENSIONS, MIN_BATCHES};
use crate::event::{Action, Cause, Decision, HoldReason};
use crate::plan::{AcceptanceGate, GateName, OnInconclusive, Step as PlanStep};
use crate::state::{Phase, Stage};
use judge::Verdict;
use model::{GateResult, GateVerdict};

/// What the present stage says about going on.
enum Next {
    Wait,
    Advance,
    Become(Stage),
    Shift,
    Inconclusive { wait_ms: u64, extended: u32 },
    Hold(HoldReason),
}

impl Decider {
    /// Goes on as far as the state and the time allow. Each turn enters a later step or stops, so it ends after at most
    /// as many turns as the plan has steps, and one to stop.
    pub(super) fn progress(&mut self) {
        for _ in 0..=2 * self.state.plan.steps.len() {
            let Phase::Progressing { step, stage, halt: None } = &self.state.phase else { return };
            let step = *step;
            if let Some(reason) = self.broken_split() {
                return self.hold(HoldReason::SplitBroken { reason });
            }
            if let Some((metric, reason)) = self.holding_source() {
                return self.hold(HoldReason::SourceFails { metric, reason });
            }
            if let Some(because) = self.state.void.clone() {
                return self.hold(HoldReason::ApprovalsVoid { because });
            }
            match self.next(stage, step) {
                Next::Wait => return,
                Next::Advance => {
                    self.state.approved |=
                        matches!(self.state.phase, Phase::Progressing { stage: Stage::Approval, .. });
                    if matches!(self.state.phase, Phase::Progressing { stage: Stage::PointOfNoReturn, .. }) {
                        self.pass_point(step);
                    }
                    self.enter(step + 1);
                }
                Next::Shift => self.order_weight(step),
                Next::Become(stage) => self.state.phase = Phase::Progressing { step, stage, halt: None },
                Next::Inconclusive { wait_ms, extended } => return self.inconclusive(wait_ms, extended),
                Next::Hold(reason) => return self.hold(reason),
            }
        }
    }

    fn next(&self, stage: &Stage, step: usize) -> Next {
        let due = |until: &model::UnixMillis| self.now >= *until;
        match stage {
            Stage::Shifting { generation, until } => match self.state.observed {
                Some((observed, _)) if observed >= *generation => match self.plan_step(step) {
                    Some(PlanStep::Mirror { for_ms }) => {
                        Next::Become(Stage::Mirroring { until: self.now.plus_ms(for_ms) })
                    }
                    Some(PlanStep::Gate(GateName::Acceptance)) => Next::Become(Stage::Acceptance),
                    _ => Next::Advance,
                },
                _ if due(until) => Next::Hold(HoldReason::NotApplied { generation: *generation }),
                _ => Next::Wait,
            },
            Stage::Settling { until } => match self.state.pins_since {
                Some(since) if self.now >= since.plus_ms(self.state.plan.pin_ms) => Next::Shift,
                None if due(until) => Next::Hold(HoldReason::NotApplied { generation: self.state.table.generation }),
                Some(_) | None => Next::Wait,
            },
            Stage::Gate { ended: Some((GateVerdict::Pass, _)), .. } => Next::Advance,
            Stage::Gate { gate, ended: Some((verdict, reasons)), .. } => {
                Next::Hold(HoldReason::Gate { gate: *gate, verdict: *verdict, reasons: reasons.clone() })
            }
            Stage::Gate { gate, until, .. } if due(until) => Next::Hold(HoldReason::Gate {
                gate: *gate,
                verdict: GateVerdict::Error,
                reasons: vec![format!("it did not end within {} s", GATE_LIMIT_MS / 1_000)],
            }),
            Stage::Gate { .. } => Next::Wait,
            Stage::Approval if self.approvals_missing() == 0 => Next::Advance,
            Stage::Approval => Next::Wait,
            Stage::Acceptance if super::acceptances_missing(&self.state, self.now) == 0 => Next::Advance,
            Stage::Acceptance => Next::Wait,
            Stage::PointOfNoReturn if super::point_approvals_missing(&self.state, self.now) == 0 => Next::Advance,
            Stage::PointOfNoReturn => Next::Wait,
            Stage::Mirroring { until } if due(until) => Next::Advance,
            Stage::Mirroring { .. } => Next::Wait,
            Stage::Analysing { batches, until, extended, .. } => {
                if *batches >= MIN_BATCHES && self.proved() {
                    Next::Advance
                } else if due(until) {
                    Next::Inconclusive { wait_ms: self.evidence_wait_ms(step), extended: *extended }
                } else {
                    Next::Wait
                }
            }
            Stage::Pausing { until: Some(until) } if due(until) => Next::Advance,
            Stage::Pausing { .. } => Next::Wait,
            Stage::Baking { until, extended } => {
                if !due(until) {
                    Next::Wait
                } else if self.proved() {
                    Next::Advance
                } else {
                    Next::Inconclusive { wait_ms: self.evidence_wait_ms(step), extended: *extended }
                }
            }
        }
    }

    pub(super) fn enter(&mut self, step: usize) {
        let Some(plan_step) = self.plan_step(step) else { return self.promote() };
        self.decisions.push(Decision::StepEntered { step: step + 1, does: plan_step.to_string() });
        self.state.reached = step;
        let now = self.now;
        let stage = match plan_step {
            PlanStep::Gate(GateName::Approval) => Stage::Approval,
            PlanStep::Gate(
                gate @ (GateName::Drift
                | GateName::Probe
                | GateName::Security
                | GateName::Tests
                | GateName::Migration
                | GateName::Load
                | GateName::Dependencies),
            ) => {
                self.state.phase = Phase::Progressing { step, stage: Stage::Approval, halt: None };
                return self.request_gate(gate);
            }
            PlanStep::Mirror { .. } => {
                let generation = self.next_generation();
                self.state.table.mirror = true;
                self.order_table();
                Stage::Shifting { generation, until: now.plus_ms(APPLY_LIMIT_MS) }
            }
            // Testers' traces in flight are not torn either.
            PlanStep::Gate(GateName::Acceptance) | PlanStep::SetWeight { .. } => {
                Stage::Settling { until: now.plus_ms(APPLY_LIMIT_MS) }
            }
            PlanStep::Analysis { at_most_ms } => {
                Stage::Analysing { since: now, batches: 0, until: now.plus_ms(at_most_ms), extended: 0 }
            }
            PlanStep::Pause { for_ms } => Stage::Pausing { until: for_ms.map(|ms| now.plus_ms(ms)) },
            PlanStep::PointOfNoReturn => Stage::PointOfNoReturn,
            PlanStep::Bake { for_ms } => Stage::Baking { until: now.plus_ms(for_ms), extended: 0 },
        };
        self.state.phase = Phase::Progressing { step, stage, halt: None };
    }

    /// Orders the weight of the present step, or the testers' route.
    fn order_weight(&mut self, step: usize) {
        match self.plan_step(step) {
            Some(PlanStep::SetWeight { weight }) => {
                self.state.table.mirror = false;
                self.state.table.weight = weight;
            }
            Some(PlanStep::Gate(GateName::Acceptance)) => {
                self.state.table.testers = self.state.plan.gates.acceptance.as_ref().map(AcceptanceGate::testers);
            }
            Some(_) | None => return,
        }
        let generation = self.next_generation();
        self.order_table();
        let stage = Stage::Shifting { generation, until: self.now.plus_ms(APPLY_LIMIT_MS) };
        self.state.phase = Phase::Progressing { step, stage, halt: None };
    }

    /// Asks for a run of the gate of the present step.
    pub(super) fn request_gate(&mut self, gate: GateName) {
        let until = self.now.plus_ms(GATE_LIMIT_MS);
        let requested = self.run_gate(gate, false);
        if let Phase::Progressing { stage, .. } = &mut self.state.phase {
            *stage = Stage::Gate { gate, run: requested, until, ended: None };
        }
    }

    pub(super) fn run_gate(&mut self, gate: GateName, guard: bool) -> u32 {
        self.state.gate_runs += 1;
        let run = self.state.gate_runs;
        self.decisions.push(Decision::GateRequested { gate, run, guard });
        self.actions.push(Action::RunGate { gate, run });
        run
    }

    pub(super) fn gate_finished(&mut self, gate: GateName, run: u32, result: &GateResult) {
        let of_step = matches!(&self.state.phase,
            Phase::Progressing { stage: Stage::Gate { run: waited_for, .. }, .. } if *waited_for == run);
        let of_guard = matches!(&self.state.drift_guard, Some(guard) if guard.running.is_some_and(|(r, _)| r == run));
        if of_guard && let (Some(guard), Some(plan)) = (&mut self.state.drift_guard, &self.state.plan.guards.drift) {
            guard.running = None;
            guard.due = self.now.plus_ms(plan.every_ms);
        }
        let progressing = matches!(self.state.phase, Phase::Progressing { .. });
        match result.verdict {
            GateVerdict::Fail if progressing && (of_step || of_guard) => {
                let cause = Cause {
                    guard: gate.to_string(),
                    finding: result.reasons.first().cloned().unwrap_or_else(|| format!("the {gate} gate failed")),
                    example_trace: None,
                    first_seen: None,
                    reasons: result.reasons.clone(),
                };
                if of_step { self.roll_back_of_step(cause) } else { self.roll_back(cause) }
            }
            verdict if of_step => {
                self.state.evidence = self.state.evidence.with_gate(gate, result);
                if let Phase::Progressing { stage: Stage::Gate { ended, .. }, .. } = &mut self.state.phase {
                    *ended = Some((verdict, result.reasons.clone()));
                }
            }
            GateVerdict::Pass | GateVerdict::Fail | GateVerdict::Inconclusive | GateVerdict::Error => {}
        }
    }

    /// How many approvals the plan still asks for.
    pub(crate) fn approvals_missing(&self) -> u32 {
        crate::report::approvals_missing(&self.state, self.now)
    }

    /// Why nothing that was compared means anything, if that is so.
    fn broken_split(&self) -> Option<String> {
        let assessment = self.state.assessment.as_ref()?;
        match &assessment.verdict {
            Verdict::Error { reason } if assessment.assignment.is_some_and(|split| split.broken) => {
                Some(reason.clone())
            }
            Verdict::Error { .. } | Verdict::Pass | Verdict::Fail(_) | Verdict::Inconclusive { .. } => None,
        }
    }

    fn proved(&self) -> bool {
        matches!(self.state.assessment.as_ref().map(|assessment| &assessment.verdict), Some(Verdict::Pass))
    }

    fn inconclusive(&mut self, wait_ms: u64, extended: u32) {
        let missing = match self.state.assessment.as_ref().map(|assessment| &assessment.verdict) {
            Some(Verdict::Inconclusive { missing }) => missing.clone(),
            Some(Verdict::Error { reason }) => vec![reason.clone()],
            Some(Verdict::Pass) => vec!["batches of this step with traces of the candidate".to_owned()],
            Some(Verdict::Fail(_)) | None => vec!["any observation".to_owned()],
        };
        match self.state.plan.analysis.on_inconclusive {
            OnInconclusive::Extend if extended < MAX_EXTENSIONS => {
                let end = self.now.plus_ms(wait_ms);
                if let Phase::Progressing {
                    stage: Stage::Analysing { until, extended, .. } | Stage::Baking { until, extended },
                    ..
                } = &mut self.state.phase
                {
                    *until = end;
                    *extended += 1;
                    self.decisions.push(Decision::Extended { by_ms: wait_ms, times: *extended });
                }
            }
            OnInconclusive::Extend | OnInconclusive::Hold => self.hold(HoldReason::Inconclusive { missing }),
            OnInconclusive::Rollback => self.roll_back_of_step(Cause {
                guard: "analysis".to_owned(),
                finding: "inconclusive, and the plan says to roll back then".to_owned(),
                example_trace: None,
                first_seen: None,
                reasons: missing,
            }),
        }
    }
}
