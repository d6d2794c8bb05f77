//! What must hold, checked after every batch of records, from the records alone where that is possible.

use judge::Verdict;
use model::{BasisPoints, Environment, GateVerdict, RouteTable, UnixMillis};
use rollout::acceptance::{Says, SignedOff};
use rollout::plan::{GateName, OnInconclusive, Plan, Step as PlanStep};
use rollout::{Body, Cause, Command, Decision, Event, Outcome, Record, RolloutId, Shift, Start, State, report};
use std::collections::{BTreeMap, BTreeSet};

/// Follows the records.
pub(crate) struct Watch {
    seed: u64,
    /// Every shift that a durable record orders, by generation (invariant 1).
    ordered: BTreeMap<u64, Shift>,
    /// Every generation that the gateway applied.
    applied: BTreeSet<u64>,
    next_server_sequence: u64,
    followed: Option<Followed>,
}

/// One rollout, as its records tell it.
struct Followed {
    rollout: RolloutId,
    author: String,
    plan: Plan,
    next_sequence: u64,
    /// The event whose decisions follow.
    event: Option<Event>,
    at: UnixMillis,
    /// Of this event: whether an operator ended the wait of a step.
    skipped: bool,
    /// Steps count from 1; 0 before the first.
    step: usize,
    last_shift: Option<Shift>,
    observed: Option<u64>,
    passed: bool,
    failed: bool,
    /// The run that the present step's gate was asked for, and whether it passed.
    gate_run: u32,
    gate_passed: bool,
    approvals: BTreeMap<String, UnixMillis>,
    /// The same of the point of no return, and whether it is passed.
    point_approvals: BTreeMap<String, UnixMillis>,
    past_return: bool,
    acceptances: BTreeMap<String, UnixMillis>,
    paused: bool,
    promoting: bool,
    rolling_back: bool,
    ended: bool,
}

impl Watch {
    pub(crate) fn new(seed: u64) -> Watch {
        Watch { seed, ordered: BTreeMap::new(), applied: BTreeSet::new(), next_server_sequence: 0, followed: None }
    }

    /// A batch of records has become durable.
    pub(crate) fn recorded(&mut self, records: &[Record]) {
        for record in records {
            let (Some(rollout), false) = (&record.rollout, matches!(record.body, Body::Started(_))) else {
                self.begins(record);
                continue;
            };
            let seed = self.seed;
            let followed = self.followed.as_mut().unwrap_or_else(|| panic!("seed {seed}: {record:?} of no rollout"));
            assert_eq!(followed.rollout, *rollout, "seed {seed}: {record:?} of another rollout");
            assert_eq!(followed.next_sequence, record.sequence, "seed {seed}: a gap before {record:?}");
            assert!(!followed.ended, "seed {seed}: {record:?} after the end");
            followed.next_sequence += 1;
            followed.at = record.at;
            match &record.body {
                Body::Happened(event) => {
                    followed.event = Some((**event).clone());
                    if let Event::GateFinished { run, result, .. } = &**event {
                        followed.gate_passed |= *run == followed.gate_run && result.verdict == GateVerdict::Pass;
                    }
                    followed.skipped = false;
                }
                Body::Decided(decision) => self.decided(decision),
                Body::EvidenceKept { .. }
                | Body::EvidenceDeleted { .. }
                | Body::KeyRotated { .. }
                | Body::ShardBegan(_)
                | Body::EntriesPruned { .. }
                | Body::EvidenceRead { .. }
                | Body::TrafficRecorded { .. }
                | Body::AccessRefused { .. }
                | Body::NotificationsRead { .. }
                | Body::Notified { .. }
                | Body::Started(_)
                | Body::ServerStarted { .. }
                | Body::PrincipalsRead { .. }
                | Body::Heartbeat
                | Body::Erased { .. }
                | Body::Reviewed { .. }
                | Body::ReviewOverdue { .. }
                | Body::ServerStopped => {
                    panic!("seed {seed}: {record:?} is not written here")
                }
            }
        }
    }

    fn begins(&mut self, record: &Record) {
        let seed = self.seed;
        if let Body::Started(start) = &record.body {
            let over = self.followed.as_ref().is_none_or(|followed| followed.ended);
            assert!(over && record.sequence == 0, "seed {seed}: {record:?} while another rollout runs");
            self.followed = Some(Followed::new(start, record.at));
        } else {
            assert_eq!(record.sequence, self.next_server_sequence, "seed {seed}: a gap before {record:?}");
            self.next_server_sequence += 1;
        }
    }

    fn decided(&mut self, decision: &Decision) {
        let seed = self.seed;
        let entered = matches!(decision, Decision::StepEntered { .. });
        let paused = self.followed.as_ref().is_some_and(|it| it.paused && !it.skipped);
        assert!(!(entered && paused), "seed {seed}: a pause ended without a resume");
        let Watch { ordered, applied, followed: Some(followed), .. } = self else { return };
        match decision {
            Decision::StepEntered { step, .. } => {
                assert_eq!(*step, followed.step + 1, "seed {seed}: a step is left out");
                followed.leave(seed);
                followed.step = *step;
            }
            Decision::ShiftOrdered(shift) => {
                let newest = ordered.last_key_value().map_or(0, |(generation, _)| *generation);
                assert_eq!(shift.generation, newest + 1, "seed {seed}: generations count up by one (invariant 2)");
                followed.check_order(seed, shift);
                ordered.insert(shift.generation, shift.clone());
                followed.last_shift = Some(shift.clone());
            }
            Decision::ShiftObserved(shift) => {
                assert_eq!(ordered.get(&shift.generation), Some(shift), "seed {seed}: unexplained (invariant 1)");
                assert!(applied.contains(&shift.generation), "seed {seed}: {shift:?} was never applied");
                followed.observed = Some(shift.generation);
            }
            Decision::Judged { assessment, evidence } => {
                followed.passed = matches!(assessment.verdict, Verdict::Pass);
                followed.failed = matches!(assessment.verdict, Verdict::Fail(_));
                assert_eq!(evidence.is_some(), followed.passed || followed.failed, "seed {seed}: no evidence is named");
            }
            Decision::Approved { by, of_point, .. } => followed.check_approval(seed, by, *of_point),
            Decision::PointPassed { step, .. } => {
                let at = followed.plan.steps.get(followed.step.wrapping_sub(1));
                assert!(*step == followed.step && at == Some(&PlanStep::PointOfNoReturn), "seed {seed}: {decision:?}");
                followed.past_return = true;
            }
            Decision::GlassBroken { .. } | Decision::ApprovalsVoid { .. } => {
                panic!("seed {seed}: {decision:?}: nobody breaks the glass here, and no plan names a configuration")
            }
            Decision::SignedOff { word, .. } => followed.check_sign_off(seed, word),
            Decision::Paused => followed.paused = true,
            Decision::Resumed => followed.paused = false,
            Decision::Skipped { step } => {
                assert!(matches!(followed.event, Some(Event::Commanded { command: Command::Promote, .. })));
                assert_eq!(*step, followed.step, "seed {seed}: another step is skipped");
                (followed.skipped, followed.paused) = (true, false);
            }
            Decision::RollbackOrdered(cause) => followed.check_rollback(seed, cause),
            Decision::PromotionOrdered => {
                assert_eq!(followed.step, followed.plan.steps.len(), "seed {seed}: promoted before the last step");
                assert!(!followed.rolling_back, "seed {seed}: promoted after a rollback");
                followed.leave(seed);
                followed.promoting = true;
            }
            Decision::Ended(outcome) => {
                followed.check_end(seed, outcome);
                followed.ended = true;
            }
            Decision::GateRequested { run, guard: false, .. } => {
                (followed.gate_run, followed.gate_passed) = (*run, false);
            }
            Decision::GateRequested { guard: true, .. }
            | Decision::Refused { .. }
            | Decision::SourceFails { .. }
            | Decision::SourceAnswers { .. }
            | Decision::Held(_)
            | Decision::Extended { .. } => {}
        }
    }

    /// The gateway has applied a table, coming from another one.
    pub(crate) fn applied(&mut self, before: &RouteTable, table: &RouteTable, gateway_is_new: bool) {
        let seed = self.seed;
        assert_eq!(
            self.ordered.get(&table.generation),
            Some(&Shift::from(table)),
            "seed {seed}: the gateway routes by a table that no durable record orders (invariant 1)"
        );
        let newer = table.generation > before.generation || gateway_is_new && table.generation == before.generation;
        assert!(newer, "seed {seed}: generation {} after {} (invariant 2)", table.generation, before.generation);
        self.applied.insert(table.generation);
        let rises = before.key == table.key && before.active == table.active && table.weight >= before.weight;
        if !rises {
            return;
        }
        for bucket in (0..model::BUCKETS).step_by(125).map(model::Bucket) {
            let (from, to) = (before.environment(bucket), table.environment(bucket));
            assert!(from == to || to != table.active, "seed {seed}: {bucket:?} moves back to {to} when a weight rises");
        }
    }

    /// What the state must show after every event.
    pub(crate) fn state(&self, state: &State, now: UnixMillis) {
        let seed = self.seed;
        let Some(followed) = &self.followed else { panic!("seed {seed}: a state without records") };
        assert_eq!(Some(&Shift::from(&state.table)), followed.last_shift.as_ref(), "seed {seed}: table and records");
        assert_eq!(state.outcome().is_some(), followed.ended, "seed {seed}: state and records differ about the end");
        let report = report(state, now);
        assert!(
            !report.waits_for.is_empty() || followed.ended,
            "seed {seed}: it stands still and does not say why: {}",
            report.headline
        );
    }

    /// A tick that decided nothing is not recorded, so it must leave the state as it was.
    pub(crate) fn unrecorded(&self, before: &State, after: &State) {
        assert_eq!(before, after, "seed {}: a tick that decided nothing changed the state", self.seed);
    }
}

impl Followed {
    fn new(start: &Start, at: UnixMillis) -> Followed {
        Followed {
            rollout: start.rollout.clone(),
            author: start.by.name.clone(),
            plan: start.plan.clone(),
            next_sequence: 1,
            event: None,
            at,
            skipped: false,
            step: 0,
            last_shift: None,
            observed: None,
            passed: false,
            failed: false,
            gate_run: 0,
            gate_passed: false,
            approvals: BTreeMap::new(),
            point_approvals: BTreeMap::new(),
            past_return: false,
            acceptances: BTreeMap::new(),
            paused: false,
            promoting: false,
            rolling_back: false,
            ended: false,
        }
    }

    /// The present step may be left only for a reason (invariant 4).
    fn leave(&self, seed: u64) {
        assert!(!self.rolling_back && !self.promoting, "seed {seed}: a step after the decision");
        let Some(step) = self.step.checked_sub(1).and_then(|index| self.plan.steps.get(index)) else { return };
        match step {
            PlanStep::Analysis { .. } | PlanStep::Bake { .. } => {
                assert!(self.passed || self.skipped, "seed {seed}: step {} ended without a pass", self.step);
            }
            PlanStep::SetWeight { .. } | PlanStep::Mirror { .. } => {
                let ordered = self.last_shift.as_ref().map(|shift| shift.generation);
                assert_eq!(self.observed, ordered, "seed {seed}: step {} ended without its traffic", self.step);
            }
            PlanStep::Gate(GateName::Approval) => {
                let gate = self.plan.gates.approval.as_ref().expect("a plan with the step has the gate");
                let valid = self.approvals.values().filter(|at| self.at.since_ms(**at) < gate.expires_ms).count();
                assert!(valid >= gate.count as usize, "seed {seed}: {valid} approvals are too few");
            }
            PlanStep::Gate(
                gate @ (GateName::Drift
                | GateName::Probe
                | GateName::Security
                | GateName::Tests
                | GateName::Migration
                | GateName::Load
                | GateName::Dependencies),
            ) => {
                assert!(self.gate_passed, "seed {seed}: the {gate} gate was left by {:?}", self.event);
            }
            PlanStep::Gate(GateName::Acceptance) => {
                let gate = self.plan.gates.acceptance.as_ref().expect("a plan with the step has the gate");
                let valid = self.acceptances.values().filter(|at| self.at.since_ms(**at) < gate.expires_ms).count();
                assert!(valid >= gate.count as usize, "seed {seed}: {valid} acceptances are too few");
                assert!(
                    self.last_shift.as_ref().is_some_and(|shift| shift.testers),
                    "seed {seed}: no tester had a route"
                );
            }
            PlanStep::PointOfNoReturn => {
                let point = self.plan.point_of_no_return.as_ref().expect("a plan with the step says what it asks for");
                let valid = self.point_approvals.values().filter(|at| self.at.since_ms(**at) < point.expires_ms);
                let valid = valid.count();
                assert!(valid >= point.count as usize, "seed {seed}: {valid} approvals of the point are too few");
                assert!(self.past_return, "seed {seed}: the point of no return was left and not passed");
            }
            PlanStep::Pause { .. } => {}
        }
    }

    /// A named tester who did not write the plan, with traffic of their own; a refusal takes an acceptance back.
    fn check_sign_off(&mut self, seed: u64, word: &SignedOff) {
        let gate = self.plan.gates.acceptance.as_ref().expect("a plan that is accepted asks for it");
        assert!(gate.testers.contains(&word.by) && word.by != self.author, "seed {seed}: {} signed off", word.by);
        let counts = word.says == Says::Accept && word.tested.traces >= u64::from(gate.traces);
        assert_eq!(counts, word.counts(self.at), "seed {seed}: {word:?}");
        self.acceptances.remove(&word.by);
        if counts {
            self.acceptances.insert(word.by.clone(), self.at);
        }
    }

    /// A weight goes down by a rollback or a promotion only, and after a rollback the candidate gets nothing.
    fn check_order(&self, seed: u64, shift: &Shift) {
        let nothing = shift.weight == BasisPoints::ZERO && !shift.mirror;
        let before = self.last_shift.as_ref().map_or(BasisPoints::ZERO, |shift| shift.weight);
        let nothing = nothing && !(self.rolling_back && shift.testers);
        let allowed = match (self.rolling_back, self.promoting) {
            (true, _) => shift.active == Environment::Blue && nothing,
            (false, true) => shift.active == Environment::Green && nothing,
            (false, false) => shift.active == Environment::Blue && shift.weight >= before,
        };
        assert!(allowed, "seed {seed}: {shift:?} after {:?}", self.last_shift);
        assert_eq!(shift.pins == model::Pins::Tear, self.rolling_back, "seed {seed}: {shift:?} tears traces");
    }

    /// Who wrote a plan cannot approve it (invariant 10).
    fn check_approval(&mut self, seed: u64, by: &str, of_point: bool) {
        assert_ne!(by, self.author, "seed {seed}: the author approved");
        let Some(Event::ApprovalSubmitted(submission)) = &self.event else {
            panic!("seed {seed}: approved by {:?}", self.event)
        };
        let (statement, _) = submission.signed.open().expect("what approves is signed");
        let principal = submission.signer.as_ref().expect("what approves is somebody's");
        let (gate, point) = (self.plan.gates.approval.as_ref(), self.plan.point_of_no_return.as_ref());
        let role = if of_point { point.map(|point| &point.role) } else { gate.map(|gate| &gate.role) };
        let role = role.expect("a plan that is approved asks for it");
        assert_eq!(statement.point_of_no_return.is_some(), of_point, "seed {seed}: one is not the other");
        assert!(principal.name == by && principal.roles.contains(role), "seed {seed}: {principal:?} approved");
        assert_eq!(statement.plan, self.plan.digest(), "seed {seed}: another plan was approved");
        let counting = if of_point { &mut self.point_approvals } else { &mut self.approvals };
        counting.insert(by.to_owned(), self.at);
    }

    /// Missing evidence and failing sources never roll back, unless the plan says so (invariant 4).
    fn check_rollback(&mut self, seed: u64, cause: &Cause) {
        assert!(!self.rolling_back, "seed {seed}: rolled back twice");
        let asked_past = matches!(
            self.event,
            Some(Event::Commanded { command: Command::Rollback { past_point_of_no_return: true, .. }, .. })
        );
        assert!(!self.past_return || asked_past, "seed {seed}: {:?} rolled back past the point", self.event);
        let by_plan = self.plan.analysis.on_inconclusive == OnInconclusive::Rollback && cause.guard == "analysis";
        let explained = match &self.event {
            Some(Event::Observed(_)) => by_plan || self.failed,
            Some(Event::GateFinished { gate, result, .. }) => {
                by_plan || result.verdict == GateVerdict::Fail && cause.guard == gate.name()
            }
            Some(Event::CanaryFollowed(_)) => cause.guard == "canary",
            Some(Event::LeaksSearched(_)) => cause.guard == "leaks",
            Some(Event::SignedOff(word)) => word.says == Says::Refuse && cause.guard == "acceptance" || by_plan,
            Some(Event::Commanded { command: Command::Rollback { .. }, .. }) => cause.guard == "operator",
            Some(
                Event::Tick
                | Event::Measured { .. }
                | Event::Applied { .. }
                | Event::ConfigurationsRead(_)
                | Event::ApprovalSubmitted(_)
                | Event::Commanded { .. }
                | Event::Restarted,
            )
            | None => by_plan,
        };
        assert!(explained, "seed {seed}: {:?} led to a rollback by {}", self.event, cause.guard);
        (self.rolling_back, self.promoting) = (true, false);
    }

    fn check_end(&self, seed: u64, outcome: &Outcome) {
        assert_eq!(
            self.observed,
            self.last_shift.as_ref().map(|it| it.generation),
            "seed {seed}: ended before applied"
        );
        let ordered = match outcome {
            Outcome::Promoted => self.promoting,
            Outcome::RolledBack(_) => self.rolling_back,
        };
        assert!(ordered, "seed {seed}: {outcome:?} was not ordered");
    }
}
