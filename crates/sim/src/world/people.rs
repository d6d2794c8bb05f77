//! What people do, helpful or not.

use super::{AUTHOR, World};
use crate::scenario::People;
use model::{
    Canary, CanaryFate, CanaryPlace, Exposure, GateResult, GateVerdict, Leak, LeakSearch, Measurement, PerEnvironment,
    Secret, TraceId, UnixMillis,
};
use redact::Class;
use rollout::acceptance::{Says, SignOff, Tested};
use rollout::approval::{Act, ApproverKey, CheckpointCheck, LogHead, Statement, Submission};
use rollout::plan::GateName;
use rollout::{Action, Command, Decision, Event, Halt, Phase, Principal, Stage, State, step};

/// Who there is, and whether they may approve.
const PEOPLE: [(&str, bool); 5] = [(AUTHOR, true), ("bob", true), ("carol", true), ("dave", false), ("erin", true)];

impl World {
    /// Somebody looks at the rollout.
    pub(super) fn look(&mut self) {
        let Some(state) = self.controller.running() else { return };
        if self.scenario.people == People::Anybody && self.chaos.chance(0.12) {
            let reason = "a feeling".to_owned();
            let command = match self.chaos.between(0, 9) {
                0..3 => Command::Pause,
                3..5 => Command::Resume,
                5 => Command::Promote,
                6..8 => Command::Rollback { reason, past_point_of_no_return: self.chaos.chance(0.5) },
                _ => return self.approve(),
            };
            return self.command(command, true);
        }
        let Phase::Progressing { stage, halt, .. } = &state.phase else { return };
        let (command, intervenes) = match (halt, stage) {
            (Some(Halt::Paused { .. }), _) => (Command::Resume, true),
            (Some(Halt::Held { .. }), _) if self.chaos.chance(0.1) => {
                let past_point_of_no_return = self.chaos.chance(0.5);
                (Command::Rollback { reason: "held".to_owned(), past_point_of_no_return }, true)
            }
            (Some(Halt::Held { .. }), _) => (Command::Resume, true),
            (None, Stage::Pausing { until: None }) => (Command::Resume, false),
            (None, Stage::Acceptance) => return self.sign_off(),
            (None, Stage::Approval | Stage::PointOfNoReturn) => {
                if self.chaos.chance(0.3) {
                    self.approve();
                }
                return;
            }
            (
                None,
                Stage::Shifting { .. }
                | Stage::Settling { .. }
                | Stage::Gate { .. }
                | Stage::Mirroring { .. }
                | Stage::Analysing { .. }
                | Stage::Pausing { until: Some(_) }
                | Stage::Baking { .. },
            ) => return,
        };
        if self.chaos.chance(0.3) {
            self.command(command, intervenes);
        }
    }

    fn command(&mut self, command: Command, intervenes: bool) {
        let (name, may_approve) = self.chaos.pick(&PEOPLE);
        let roles = if may_approve { vec!["approver".to_owned()] } else { Vec::new() };
        let by = Principal::new(name, roles);
        let decisions = self.take(Event::Commanded { command, by }, Some(name));
        let refused = decisions.iter().any(|decision| matches!(decision, Decision::Refused { .. }));
        self.intervened |= intervenes && !refused;
    }

    /// Somebody signs off: mostly a tester, mostly in favour, mostly after having tried it.
    fn sign_off(&mut self) {
        if !self.chaos.chance(0.3) {
            return;
        }
        let (name, _) = self.chaos.pick(&PEOPLE);
        let says = if self.chaos.chance(0.05) { Says::Refuse } else { Says::Accept };
        let tested = Tested { traces: self.chaos.between(0, 5), ..Tested::default() };
        let note = (says == Says::Refuse).then(|| "sha256:note".to_owned());
        let sign_off = SignOff { by: Principal::new(name, Vec::new()), says, note, tested, evidence: None };
        let decisions = self.take(Event::SignedOff(Box::new(sign_off)), Some(name));
        self.intervened |= decisions.iter().any(|decision| matches!(decision, Decision::RollbackOrdered(_)));
    }

    /// Somebody signs a statement, mostly of what is the case, and hands it in.
    fn approve(&mut self) {
        let (name, may_approve) = self.chaos.pick(&PEOPLE);
        let roles = if may_approve { vec!["approver".to_owned()] } else { Vec::new() };
        let (another, stranger) = (self.chaos.chance(0.1), self.chaos.chance(0.05));
        let head = LogHead { size: 1, root: "root".to_owned() };
        let now = self.unix();
        let Some(state) = self.controller.running() else { return };
        let Ok(mut statement) = Statement::of(state, Act::Approve, head, now) else { return };
        if another {
            statement.plan = "sha256:another".to_owned();
        }
        let signed = ApproverKey::from_seed(&[name.len() as u8; 32]).sign(&statement);
        let signer = (!stranger).then(|| Principal::new(name, roles));
        let submission = Submission { signed, signer, checkpoint: CheckpointCheck::Holds };
        self.take(Event::ApprovalSubmitted(Box::new(submission)), Some(name));
    }
}

/// Card numbers in all of green's traces, and in none of blue's.
fn green_alone() -> LeakSearch {
    let mut exposure = Exposure::new(Class::PaymentCard, CanaryPlace::Name, TraceId([1; 16]));
    exposure.traces.green = 1_000;
    LeakSearch { searched: PerEnvironment { blue: 1_000, green: 1_000 }, exposures: vec![exposure], beyond: 0 }
}

/// Whatever comes after the end, nothing is ordered, and the table stays.
pub(super) fn check_nothing_is_ordered_after(seed: u64, state: &State, now: UnixMillis) {
    let by = Principal::new("bob", vec!["approver".to_owned()]);
    let failed = GateResult { verdict: GateVerdict::Fail, reasons: Vec::new(), evidence: None };
    let rollback = |past_point_of_no_return| Command::Rollback { reason: "late".to_owned(), past_point_of_no_return };
    let commands = [Command::Pause, Command::Resume, Command::Promote, rollback(false), rollback(true)];
    let commanded = commands.into_iter().map(|command| Event::Commanded { command, by: by.clone() });
    let leak = Leak { secret: Secret::ALL[0], came_out_in: CanaryPlace::Name };
    let fates =
        PerEnvironment { blue: CanaryFate::Out { leaks: Vec::new() }, green: CanaryFate::Out { leaks: vec![leak] } };
    let canary = Canary { trace: TraceId([1; 16]), planted_at: now, fates };
    let others = [
        Event::Tick,
        Event::Restarted,
        Event::Applied { generation: state.table.generation, torn: 0, routed: state.table.routed() },
        Event::GateFinished { gate: GateName::Drift, run: state.gate_runs, result: failed },
        Event::Measured { metric: "late".to_owned(), measurement: Measurement::failed("nobody asks any more") },
        Event::CanaryFollowed(Box::new(canary)),
        Event::LeaksSearched(Box::new(green_alone())),
    ];
    for event in commanded.chain(others) {
        let next = step(state, &event, now.plus_ms(600_000));
        let orders = next.decisions.iter().any(|decision| match decision {
            Decision::ShiftOrdered(_)
            | Decision::RollbackOrdered(_)
            | Decision::PromotionOrdered
            | Decision::StepEntered { .. }
            | Decision::GateRequested { .. }
            | Decision::Ended(_) => true,
            Decision::ShiftObserved(_)
            | Decision::Judged { .. }
            | Decision::SourceFails { .. }
            | Decision::SourceAnswers { .. }
            | Decision::Approved { .. }
            | Decision::GlassBroken { .. }
            | Decision::PointPassed { .. }
            | Decision::ApprovalsVoid { .. }
            | Decision::SignedOff { .. }
            | Decision::Refused { .. }
            | Decision::Paused
            | Decision::Resumed
            | Decision::Skipped { .. }
            | Decision::Held(_)
            | Decision::Extended { .. } => false,
        });
        let same = next.actions.iter().all(|action| *action == Action::Publish(Box::new(state.table.clone())));
        assert!(!orders && same && next.state.table == state.table, "seed {seed}: {event:?} after the end: {next:?}");
    }
}
