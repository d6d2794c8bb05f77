//! What an operator asks for.

use super::{Decider, judge_config};
use crate::event::{Action, Cause, Command, Decision, HoldReason};
use crate::plan::Step as PlanStep;
use crate::principal::Principal;
use crate::state::{Halt, Phase, Stage};
use judge::NoiseFloor;

impl Decider {
    pub(super) fn command(&mut self, command: &Command, by: &Principal) {
        let refused = match command {
            Command::Pause => self.pause(by),
            Command::Resume => self.resume(),
            Command::Promote => self.skip(),
            Command::Rollback { reason, past_point_of_no_return } => {
                self.rollback_by(by, reason, *past_point_of_no_return)
            }
        };
        if let Err(reason) = refused {
            self.decisions.push(Decision::Refused { command: command.name().to_owned(), reason });
        }
    }

    fn pause(&mut self, by: &Principal) -> Result<(), String> {
        let since = self.now;
        match &mut self.state.phase {
            Phase::Progressing { halt: halt @ None, .. } => {
                *halt = Some(Halt::Paused { by: by.name.clone(), since });
                self.decisions.push(Decision::Paused);
                Ok(())
            }
            Phase::Progressing { halt: Some(_), .. } => Err("it stands still already".to_owned()),
            Phase::RollingBack { .. } | Phase::Promoting { .. } | Phase::Ended { .. } => Err(self.no_longer()),
        }
    }

    fn resume(&mut self) -> Result<(), String> {
        let now = self.now;
        self.sources_answer()?;
        self.approvals_hold()?;
        let Phase::Progressing { step, stage, halt } = &mut self.state.phase else { return Err(self.no_longer()) };
        let step = *step;
        let held = match halt.take() {
            Some(Halt::Paused { since, .. }) => {
                stage.extend(now.since_ms(since));
                None
            }
            Some(Halt::Held { reason, since }) => Some((reason, since)),
            None if matches!(stage, Stage::Pausing { .. }) => {
                *stage = Stage::Pausing { until: Some(now) };
                None
            }
            None => return Err("nothing waits for it: the rollout goes on by itself".to_owned()),
        };
        self.decisions.push(Decision::Resumed);
        match held {
            None => {}
            Some((HoldReason::Inconclusive { .. }, _)) => self.wait_again(step),
            Some((HoldReason::Gate { gate, .. }, _)) => self.request_gate(gate),
            Some((HoldReason::NotApplied { .. }, _)) => {
                if let Phase::Progressing { stage: Stage::Shifting { until, .. } | Stage::Settling { until }, .. } =
                    &mut self.state.phase
                {
                    *until = now.plus_ms(super::APPLY_LIMIT_MS);
                }
                self.actions.push(Action::Publish(Box::new(self.state.table.clone())));
            }
            Some((HoldReason::SplitBroken { .. }, _)) => {
                self.state.judge.watch_assignment_anew();
                self.state.assessment = Some(self.state.judge.assess());
                self.wait_again(step);
            }
            Some((HoldReason::SourceSilent { .. }, _)) => self.state.heard_at = now,
            // Refused above as long as nothing approves it.
            Some((HoldReason::ApprovalsVoid { .. }, _)) => {}
            // Refused above as long as the source fails.
            Some((HoldReason::SourceFails { .. }, _)) => {}
            Some((HoldReason::PastReturn { cause }, _)) => self.go_past(step, &cause),
            Some((HoldReason::MeasurementBroken { .. }, since)) => self.measure_anew(step, now.since_ms(since)),
        }
        Ok(())
    }

    /// Nobody goes on past a hold for a metric's source: the plan, which others may have approved, asks for the metric.
    fn sources_answer(&self) -> Result<(), String> {
        let held = matches!(
            self.state.phase,
            Phase::Progressing { halt: Some(Halt::Held { reason: HoldReason::SourceFails { .. }, .. }), .. }
        );
        match self.holding_source().filter(|_| held) {
            Some((metric, _)) => Err(format!(
                "the source of metric {metric} fails: mend it, and the rollout goes on by itself, or roll back and start \
                 anew with a plan that ignores it"
            )),
            None => Ok(()),
        }
    }

    fn approvals_hold(&self) -> Result<(), String> {
        match &self.state.void {
            Some(because) => Err(format!(
                "nothing approves it any more ({because}): have it approved again, and it goes on by itself"
            )),
            None => Ok(()),
        }
    }

    pub(super) fn wait_again(&mut self, step: usize) {
        let end = self.now.plus_ms(self.evidence_wait_ms(step));
        if let Phase::Progressing { stage: Stage::Analysing { until, .. } | Stage::Baking { until, .. }, .. } =
            &mut self.state.phase
        {
            *until = end;
        }
    }

    /// A person says that the measurement is mended: blue is compared with itself from nothing, and what the present step
    /// waits for is waited for from the beginning. The evidence about green was forgotten when the hold began.
    fn measure_anew(&mut self, step: usize, held_ms: u64) {
        self.state.noise = NoiseFloor::new(&judge_config(&self.state.plan));
        let now = self.now;
        let plan_step = self.plan_step(step);
        let Phase::Progressing { stage, .. } = &mut self.state.phase else { return };
        match (&mut *stage, plan_step) {
            (Stage::Mirroring { until }, Some(PlanStep::Mirror { for_ms })) => *until = now.plus_ms(for_ms),
            (Stage::Analysing { .. }, Some(PlanStep::Analysis { at_most_ms })) => {
                *stage = Stage::Analysing { since: now, batches: 0, until: now.plus_ms(at_most_ms), extended: 0 };
            }
            _ => stage.extend(held_ms),
        }
    }

    /// Ends a wait; a gate, an approval or a shift under way is never skipped.
    fn skip(&mut self) -> Result<(), String> {
        self.sources_answer()?;
        let Phase::Progressing { step, stage, halt } = &self.state.phase else { return Err(self.no_longer()) };
        let step = *step;
        if matches!(halt, Some(Halt::Held { reason: HoldReason::SourceSilent { .. }, .. })) {
            return Err("verification is silent: promoting would be blind; resume when it is back, or roll back".into());
        }
        if matches!(halt, Some(Halt::Held { reason: HoldReason::SplitBroken { .. }, .. })) {
            return Err(
                "the split is broken: nothing that was compared means anything; resume to watch it anew, or roll \
                        back"
                    .into(),
            );
        }
        if self.state.measurement_is_broken() {
            return Err(
                "the measurement is broken: promoting would be blind; resume when it is mended, or roll back".into()
            );
        }
        if matches!(halt, Some(Halt::Held { reason: HoldReason::PastReturn { .. }, .. })) {
            return Err(
                "it would have rolled back: say by resume that it goes on in spite of that, or roll back with \
                        --past-the-point-of-no-return"
                    .into(),
            );
        }
        match stage {
            Stage::Mirroring { .. } | Stage::Analysing { .. } | Stage::Pausing { .. } | Stage::Baking { .. } => {
                self.decisions.push(Decision::Skipped { step: step + 1 });
                self.enter(step + 1);
                Ok(())
            }
            Stage::Gate { gate, .. } => Err(format!("the {gate} gate cannot be skipped: mend it and resume")),
            Stage::Approval => Err("approvals cannot be skipped".to_owned()),
            Stage::PointOfNoReturn => Err("the approvals of the point of no return cannot be skipped".to_owned()),
            Stage::Acceptance => Err("acceptances cannot be skipped".to_owned()),
            Stage::Shifting { .. } | Stage::Settling { .. } => {
                Err("a shift is under way: ask again when it is applied".to_owned())
            }
        }
    }

    fn rollback_by(&mut self, by: &Principal, reason: &str, past_return: bool) -> Result<(), String> {
        if past_return && reason.trim().is_empty() {
            return Err("whoever goes back past the point of no return says why: add --reason".to_owned());
        }
        let passed = self.state.past_return.is_some();
        match self.state.phase {
            Phase::Progressing { .. } | Phase::Promoting { .. } if passed && !past_return => {
                let point = self.state.plan.point_of_no_return.as_ref().map_or("", |point| point.reason.as_str());
                Err(format!(
                    "the point of no return is passed ({point}), so a rollback is not safe: if it must be, say so by \
                     --past-the-point-of-no-return and a --reason"
                ))
            }
            Phase::Progressing { .. } | Phase::Promoting { .. } => {
                let past = if passed { ", past the point of no return" } else { "" };
                self.order_rollback(Cause {
                    guard: "operator".to_owned(),
                    finding: format!("{} asked for it{past}: {reason}", by.name),
                    example_trace: None,
                    first_seen: None,
                    reasons: Vec::new(),
                });
                Ok(())
            }
            Phase::RollingBack { .. } | Phase::Ended { .. } => Err(self.no_longer()),
        }
    }

    pub(super) fn no_longer(&self) -> String {
        match &self.state.phase {
            Phase::Progressing { .. } => "the rollout is under way".to_owned(),
            Phase::RollingBack { .. } => "it is being rolled back already".to_owned(),
            Phase::Promoting { .. } => "it is being promoted already".to_owned(),
            Phase::Ended { outcome, .. } => match outcome {
                crate::event::Outcome::Promoted => "it has ended: promoted".to_owned(),
                crate::event::Outcome::RolledBack(_) => "it has ended: rolled back".to_owned(),
            },
        }
    }
}
