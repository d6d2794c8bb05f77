//! The loop.

use crate::accepting::Trials;
use crate::actions::Outlets;
use crate::erasing::{NoteError, Persons};
use crate::errors::{CommandError, StartError};
use crate::gating::{Around, SeenDependencies};
use crate::handle::{Handle, Input, RolloutSummary};
use crate::journal::{Extent, Journal, JournalError, OpenStore};
use crate::loading::CountsLoad;
use crate::looking::Refused;
use crate::proving::{Order, Prover};
use crate::release::Held;
use crate::securing::check_policies;
use crate::watching::Watching;
use crate::{Clock, Examples, OWN_SPANS, Random};
use model::{BasisPoints, Environment, PerEnvironment, Pins, RouteKey, RouteTable, UnixMillis, Upstream};
use notices::Pending;
use rollout::plan::Plan;
use rollout::{
    Body, Command, Decision, Event, KnownPrincipal, NotificationTarget, Outcome, Phase, Principal, Report, RolloutId,
    Start, State, report,
};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use store::{Evidence, Reserve, Shards, Subjects};
use tokio::sync::{mpsc, oneshot, watch};

/// How often time is looked at: deadlines are met within this.
const TICK: Duration = Duration::from_millis(100);

/// How often the ledger says that the server runs: 9,000 records of 200 bytes a year.
const HEARTBEAT_EVERY_MS: u64 = 3_600_000;

/// The name that stands in records of what the controller did by itself.
pub(crate) const SELF: &str = "verdigris";

/// What the controller needs to know of its surroundings.
pub struct Settings {
    /// Where traffic goes before the first rollout.
    pub serving: Upstream,
    /// The taps that the gateway has.
    pub taps: BTreeSet<String>,
    /// How long a trace stays where it began when no plan says so.
    pub pin_ms: u64,
    /// Whom the configuration names, in the order of their names.
    pub principals: Vec<KnownPrincipal>,
    /// Who they are, by their names.
    pub persons: Persons,
    /// How many witnesses cosign the ledger.
    pub witnesses: usize,
    /// The programs that may be run for a configuration.
    pub commands: Vec<PathBuf>,
    /// Whom the environments called so far, for the dependencies gate.
    pub dependencies: Option<SeenDependencies>,
    /// What counts the spans of a load at the taps, for the load gate.
    pub counts_load: Option<Arc<dyn CountsLoad>>,
    /// Who is notified of what, in the order of their names.
    pub notifications: Vec<NotificationTarget>,
    /// How long the entries of parts of the ledger that ended are kept, in milliseconds; none for ever.
    pub keep_entries_ms: Option<u64>,
}

/// What others see of the controller.
pub struct Outlook {
    /// To talk to it.
    pub handle: Handle,
    /// What the gateway must route by.
    pub table: watch::Receiver<Arc<RouteTable>>,
    /// What verification must watch; nothing while no rollout runs.
    pub watching: watch::Receiver<Option<Watching>>,
    /// What the ledger has under a durable checkpoint.
    pub ledger: watch::Receiver<Extent>,
    /// What is to be told and was not yet.
    pub notices: watch::Receiver<Pending>,
}

/// Why the controller cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It cannot be opened, or its records cannot be replayed.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// Whom the configuration names is not in the ledger.
    #[error(transparent)]
    Principals(#[from] NoteError),
}

/// Decides, records and acts, in this order.
pub struct Controller {
    pub(crate) journal: Journal,
    pub(crate) held: Held,
    pub(crate) taken_back: u32,
    pub(crate) outlets: Outlets,
    pub(crate) settings: Settings,
    pub(crate) clock: Clock,
    pub(crate) sweep_at: UnixMillis,
    heartbeat_at: UnixMillis,
    pub(crate) refused: Refused,
    pub(crate) subjects: Subjects,
    pub(crate) trials: Trials,
    pub(crate) random: Random,
    pub(crate) examples: Examples,
    pub(crate) notices: watch::Sender<Pending>,
    inputs: mpsc::Receiver<Input>,
    pub(crate) base_dir: PathBuf,
}

impl Controller {
    /// Replays the ledger, records that a server started, and publishes the table that traffic follows.
    pub fn open(
        (open, shards): (OpenStore, Shards),
        (evidence, subjects): (Evidence, Subjects),
        settings: Settings,
        (clock, random, examples, prover): (Clock, Random, Examples, Prover),
    ) -> Result<(Controller, Outlook), OpenError> {
        let mut journal = Journal::open(open, shards, evidence)?;
        // Before a server says that it started there, or anybody asks for its proofs.
        if let Err(error) = journal.begin_shard_of(clock()) {
            tracing::error!("the ledger goes on in the part of the year before: {}", model::with_causes(&error));
            journal.mend()?;
        }
        // A server must be able to start on a full disk, for a rollback may be under way.
        journal.append(&started(&journal, clock()), Reserve::Use)?;
        journal.note_principals((&settings.principals, &settings.persons), &subjects, &random, clock())?;
        journal.note_notifications(&settings.notifications, clock())?;
        let table = standing_table(&journal, &prover).unwrap_or_else(|| first_table(&settings, random()));
        let (sender, receiver) = watch::channel(Arc::new(table));
        let (handle, inputs) = Handle::new();
        let base_dir = journal.replay().base_dir().map(PathBuf::from).unwrap_or_default();
        let running = journal.replay().running().map(|state| Watching::of(state, &base_dir, 0));
        let (watching, watched) = watch::channel(running);
        let outlets = Outlets {
            table: sender,
            watching,
            handle: handle.clone(),
            measuring: None,
            reading: None,
            gating: None,
            around: Around {
                clock: clock.clone(),
                random: random.clone(),
                commands: settings.commands.clone(),
                dependencies: settings.dependencies.clone(),
                counts_load: settings.counts_load.clone(),
            },
            prover,
            proving: None,
        };
        let (held, taken_back) = (Held::Open, 0);
        let ledger = journal.extent();
        let (notices, pending) = watch::channel(journal.outbox.pending());
        let (sweep_at, heartbeat_at) = (UnixMillis(0), clock().plus_ms(HEARTBEAT_EVERY_MS));
        let mut controller = Controller {
            journal,
            held,
            taken_back,
            outlets,
            settings,
            clock,
            sweep_at,
            heartbeat_at,
            refused: Refused::new(),
            subjects,
            trials: Trials::default(),
            random,
            examples,
            notices,
            inputs,
            base_dir,
        };
        let (persons, blobs) = controller.journal.erased().clone();
        if let Err(error) = controller.destroy(&persons, &blobs) {
            tracing::error!("what was erased is still there: {error}");
        }
        Ok((controller, Outlook { handle, table: receiver, watching: watched, ledger, notices: pending }))
    }

    /// Runs until it is told to stop. Blocks its thread while records become durable.
    pub async fn run(mut self) {
        if self.journal.replay().running().is_some() {
            tracing::info!("a rollout was under way: it goes on from its records");
            self.happened(Event::Restarted, SELF);
        }
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                input = self.inputs.recv() => match input {
                    None | Some(Input::Stop) => break,
                    Some(input) => self.take(input),
                },
                _ = ticks.tick() => {
                    self.mend();
                    self.sweep();
                    self.note_overdue_reviews();
                    self.beat();
                    self.happened(Event::Tick, SELF);
                }
            }
            self.tell_notices();
        }
        if self.held == Held::Open
            && let Err(error) = self.record_stop()
        {
            tracing::error!("the stop is not in the ledger: {error}");
        }
        self.journal.close();
    }

    fn take(&mut self, input: Input) {
        match input {
            Input::Observed { rollout, observation } => {
                if let Some(state) = self.journal.replay().running().filter(|state| state.rollout == rollout) {
                    let recorded = Box::new(state.recorded(*observation));
                    self.happened(Event::Observed(recorded), SELF);
                }
            }
            Input::Applied { generation, torn, routed } => {
                self.happened(Event::Applied { generation, torn, routed }, SELF);
            }
            Input::Proved { generation, proof } => self.proved(generation, proof),
            Input::GateFinished { rollout, gate, run, result, evidence } => {
                if self.runs(&rollout) {
                    let result = self.with_evidence(result, evidence);
                    self.happened(Event::GateFinished { gate, run, result }, SELF);
                }
            }
            Input::Measured { rollout, metric, measurement } => {
                if self.runs(&rollout) {
                    self.happened(Event::Measured { metric, measurement }, SELF);
                }
            }
            Input::CanaryFollowed { rollout, canary } => {
                if self.runs(&rollout) {
                    self.happened(Event::CanaryFollowed(canary), SELF);
                }
            }
            Input::LeaksSearched { rollout, search } => {
                if self.runs(&rollout) {
                    self.happened(Event::LeaksSearched(search), SELF);
                }
            }
            Input::Tried { rollout, tester, traces } => {
                if self.runs(&rollout) {
                    self.trials.take(&rollout, &tester, &traces);
                }
            }
            Input::SignOff { rollout, said, reply } => self.sign_off(rollout.as_ref(), *said, reply),
            Input::Start { yaml, base_dir, by, reply } => answer(reply, self.start(&yaml, base_dir, by)),
            Input::Command { rollout, command, by, reply } => answer(reply, self.command(rollout, command, by)),
            Input::ConfigurationsRead { rollout, configurations } => self.configurations_read(&rollout, configurations),
            Input::Offer { rollout, act, reply } => answer(reply, self.offer(rollout.as_ref(), act)),
            Input::HandIn { handed, reply } => self.hand_in(handed, reply),
            Input::Submit { handed, reply } => self.submit(*handed, reply),
            Input::Report { rollout, reply } => {
                let state = self.find(rollout.as_ref());
                answer(reply, state.map(|state| Box::new(self.told(state))));
            }
            Input::Plan { rollout, reply } => {
                answer(reply, self.find(rollout.as_ref()).map(|state| Box::new(state.plan.clone())));
            }
            Input::Timeline { rollout, reply } => {
                let found = self.find(rollout.as_ref()).and_then(|state| self.journal.timeline(&state.rollout));
                answer(reply, found.map(Box::new));
            }
            Input::IsOpen { reply } => answer(reply, self.journal.store().is_some()),
            Input::List { reply } => answer(reply, self.list()),
            Input::Notifications(targets) => self.change_notifications(targets),
            Input::Notified { id, tries, gave_up } => self.notified(&id, tries, gave_up),
            Input::Principals { principals, persons } => self.change_principals(principals, persons),
            Input::Look { digest, by, reply } => answer(reply, self.look(&digest, &by)),
            Input::Record { recording, by, reply } => answer(reply, self.record_traffic(recording, &by)),
            Input::Erase { subject, by, reply } => answer(reply, self.erase(&subject, &by)),
            Input::ClientsRefused { clients, from, reason } => self.note_clients_refused(clients, from, &reason),
            Input::AccessRefused { what, by } => self.note_access_refused(&what, &by),
            Input::CallersRefused { what, from } => self.note_callers_refused(&what, from),
            Input::Commands(commands) => self.outlets.around.commands = commands,
            Input::Taps { taps, reply } => answer(reply, self.change_taps(taps)),
            Input::Release { reply } => answer(reply, self.release()),
            Input::TakeBack => self.take_back(),
            Input::Stop => {}
        }
    }

    /// Decides upon an event of the rollout that runs. `None` if none runs, if nothing came of it, or if the ledger did
    /// not take it: then nothing was decided, and the next event finds the state as it was.
    pub(crate) fn happened(&mut self, event: Event, by: &str) -> Option<Vec<Decision>> {
        if self.held != Held::Open {
            return None;
        }
        let now = (self.clock)();
        let state = self.concerned(&event)?;
        let next = rollout::step(state, &event, now);
        if matches!(event, Event::Tick) && next.decisions.is_empty() {
            return None;
        }
        let rollout = state.rollout.clone();
        // A decision: what it takes to have it durable, and to act.
        let decided = next.decisions.len();
        let span =
            (decided > 0).then(|| tracing::info_span!(target: OWN_SPANS, "decision", rollout = %rollout, decided));
        let _in_span = span.as_ref().map(tracing::Span::enter);
        let examples = match &event {
            Event::Observed(observation) => self.journal.kept().wanted(&observation.findings),
            _ => Vec::new(),
        };
        let input = (by.to_owned(), Body::Happened(Box::new(event)));
        let reserve = reserve_of(state, &next.state);
        match self.record(&rollout, now, input, (&next.decisions, reserve)) {
            Ok(()) => {
                for action in next.actions {
                    self.outlets.take(&next.state, &self.base_dir, self.journal.landmarks(), action);
                }
                match next.state.phase {
                    Phase::Progressing { .. } => self.outlets.watch_outside(&next.state, &self.base_dir),
                    Phase::RollingBack { .. } | Phase::Promoting { .. } => self.outlets.leave_outside(),
                    Phase::Ended { .. } => {
                        self.outlets.leave_outside();
                        self.outlets.watching.send_replace(None);
                    }
                }
                self.keep_judges_evidence(&next.decisions);
                self.keep_examples(examples, &next.decisions);
                Some(next.decisions)
            }
            Err(error) => {
                tracing::error!("the ledger did not take a decision, so it was not carried out: {error}");
                None
            }
        }
    }

    /// The rollout that runs. A rollback's torn traces are counted when they are seen again, so that the count may come
    /// when it has ended.
    fn concerned(&self, event: &Event) -> Option<&State> {
        let replay = self.journal.replay();
        let counts_more = |state: &&State| match event {
            Event::Applied { generation, torn, .. } => {
                *generation == state.table.generation && state.torn_told.is_some_and(|told| *torn > told)
            }
            _ => false,
        };
        replay.running().or_else(|| replay.rollouts.last().filter(counts_more))
    }

    /// Says that the server runs. If the ledger does not take it, the next tick tries again.
    fn beat(&mut self) {
        let now = (self.clock)();
        if self.held != Held::Open || now < self.heartbeat_at {
            return;
        }
        let record = self.journal.number(None, now, [(SELF.to_owned(), Body::Heartbeat)]);
        // Not of what a rollback may need.
        match self.journal.append(&record, Reserve::Keep) {
            Ok(()) => self.heartbeat_at = now.plus_ms(HEARTBEAT_EVERY_MS),
            Err(error) => tracing::error!("that the server runs is not in the ledger: {error}"),
        }
    }

    /// The table goes out with its proof, if nothing was ordered since.
    fn proved(&mut self, generation: u64, proof: Arc<str>) {
        let ordered = self.journal.replay().table().filter(|table| table.generation == generation);
        if let Some(table) = ordered.filter(|_| self.held == Held::Open) {
            self.outlets.publish(RouteTable { proof: Some(proof), ..table.clone() });
        }
    }

    /// Another configuration names others.
    fn change_principals(&mut self, principals: Vec<KnownPrincipal>, persons: Persons) {
        (self.settings.principals, self.settings.persons) = (principals, persons);
        self.note_principals_again();
    }

    /// Records whom the configuration names, if the ledger does not say it yet.
    pub(crate) fn note_principals_again(&mut self) {
        let named = (&self.settings.principals[..], &self.settings.persons);
        if self.held == Held::Open
            && let Err(error) = self.journal.note_principals(named, &self.subjects, &self.random, (self.clock)())
        {
            tracing::error!("whom the configuration names is not in the ledger: {error}");
        }
    }

    fn record(
        &mut self,
        rollout: &RolloutId,
        now: UnixMillis,
        input: (String, Body),
        (decisions, reserve): (&[Decision], Reserve),
    ) -> Result<(), JournalError> {
        let decided = decisions.iter().map(|decision| (SELF.to_owned(), Body::Decided(Box::new(decision.clone()))));
        let records = self.journal.number(Some(rollout), now, std::iter::once(input).chain(decided));
        self.journal.append(&records, reserve)
    }

    fn start(&mut self, yaml: &str, base_dir: String, by: Principal) -> Result<Box<Report>, StartError> {
        let plan = rollout::plan::parse(yaml).map_err(StartError::Plan)?;
        self.check_start(&plan)?;
        let now = (self.clock)();
        let replay = self.journal.replay();
        let rollout = RolloutId(format!("{}.{}", plan.name, replay.rollout_count() + 1));
        let start = Start {
            rollout: rollout.clone(),
            plan_digest: plan.digest(),
            plan,
            by: by.clone(),
            program: env!("CARGO_PKG_VERSION").to_owned(),
            route_key: RouteKey((self.random)()),
            base_dir: base_dir.clone(),
            log: self.journal.origin().to_string(),
            last_generation: self.outlets.table.borrow().generation,
        };
        let first = rollout::start(&start, now);
        let input = (by.name, Body::Started(Box::new(start)));
        let recorded = self.record(&rollout, now, input, (&first.decisions, Reserve::Keep));
        recorded.map_err(|error| StartError::Ledger(error.to_string()))?;
        self.base_dir = PathBuf::from(base_dir);
        self.outlets.watching.send_replace(Some(Watching::of(&first.state, &self.base_dir, self.taken_back)));
        self.outlets.watch_outside(&first.state, &self.base_dir);
        for action in first.actions {
            self.outlets.take(&first.state, &self.base_dir, self.journal.landmarks(), action);
        }
        Ok(Box::new(report(&first.state, now)))
    }

    fn check_start(&self, plan: &Plan) -> Result<(), StartError> {
        if let Some(running) = self.journal.replay().running() {
            return Err(StartError::Running { rollout: running.rollout.clone() });
        }
        if let Some(needed) = plan.proofs.map(|proofs| proofs.cosignatures)
            && usize::try_from(needed).is_ok_and(|needed| needed > self.settings.witnesses)
        {
            return Err(StartError::TooFewWitnesses { needed, asked: self.settings.witnesses });
        }
        check_policies(plan)?;
        let blue = &plan.environments.blue.upstream;
        let table = self.outlets.table.borrow();
        let serving = table.upstreams[table.active].as_ref().unwrap_or(&self.settings.serving);
        let all = |upstream: &Upstream| upstream.endpoints().map(str::to_owned).collect::<BTreeSet<_>>();
        let named = |endpoints: BTreeSet<String>| endpoints.into_iter().collect::<Vec<_>>().join(", ");
        if all(blue) != all(serving) {
            return Err(StartError::NotActive { plan: named(all(blue)), serving: named(all(serving)) });
        }
        for environment in Environment::BOTH {
            let tap = &plan.environments[environment].upstream.tap;
            if !self.settings.taps.contains(tap) {
                let known = self.settings.taps.iter().cloned().collect::<Vec<_>>().join(", ");
                return Err(StartError::UnknownTap { environment, tap: tap.clone(), known });
            }
        }
        Ok(())
    }

    fn command(
        &mut self,
        rollout: Option<RolloutId>,
        command: Command,
        by: Principal,
    ) -> Result<Box<Report>, CommandError> {
        let name = command.name().to_owned();
        let unknown = || CommandError::unknown(rollout.as_ref());
        let id = self.find(rollout.as_ref()).ok_or_else(unknown)?.rollout.clone();
        if self.journal.replay().running().is_none_or(|running| running.rollout != id) {
            return Err(CommandError::Refused { command: name, reason: format!("{id} has ended") });
        }
        let who = by.name.clone();
        let decisions = self
            .happened(Event::Commanded { command, by }, &who)
            .ok_or_else(|| CommandError::Ledger("see the server's log".to_owned()))?;
        for decision in decisions {
            if let Decision::Refused { command, reason } = decision {
                return Err(CommandError::Refused { command, reason });
            }
        }
        let state = self.find(Some(&id)).ok_or(CommandError::Stopped)?;
        Ok(Box::new(self.told(state)))
    }

    pub(crate) fn runs(&self, rollout: &RolloutId) -> bool {
        self.journal.replay().running().is_some_and(|state| state.rollout == *rollout)
    }

    pub(crate) fn find(&self, rollout: Option<&RolloutId>) -> Option<&State> {
        let rollouts = &self.journal.replay().rollouts;
        match rollout {
            None => rollouts.last(),
            Some(id) => rollouts.iter().rev().find(|state| state.rollout == *id),
        }
    }

    fn list(&self) -> Vec<RolloutSummary> {
        let summary = |state: &State| {
            let report = self.told(state);
            RolloutSummary {
                rollout: report.rollout,
                progress: report.progress,
                headline: report.headline,
                green_serves: report.green_serves.unwrap_or(BasisPoints::ZERO),
                active: report.active,
                started_at: report.started_at,
                ended_at: report.ended_at,
                exceptions: report.exceptions,
            }
        };
        self.journal.replay().rollouts.iter().map(summary).collect()
    }
}

/// What orders a rollback, and all that comes of it until everything is back, is recorded on a full disk too.
fn reserve_of(before: &State, after: &State) -> Reserve {
    let rolls_back = |state: &State| match &state.phase {
        Phase::RollingBack { .. } | Phase::Ended { outcome: Outcome::RolledBack(_), .. } => true,
        Phase::Progressing { .. } | Phase::Promoting { .. } | Phase::Ended { outcome: Outcome::Promoted, .. } => false,
    };
    if rolls_back(before) || rolls_back(after) { Reserve::Use } else { Reserve::Keep }
}

/// The record that a server has the ledger.
pub(crate) fn started(journal: &Journal, at: UnixMillis) -> Vec<rollout::Record> {
    let version = env!("CARGO_PKG_VERSION").to_owned();
    journal.number(None, at, [(SELF.to_owned(), Body::ServerStarted { version })])
}

/// The table that traffic follows when a controller starts: the one that was ordered last, with its proof where it needs
/// one. Where that is not to be had, the one that the gateway applied last; and without its proof too, that one without
/// any weight, which no record orders, so that the rollout goes back.
fn standing_table(journal: &Journal, prover: &Prover) -> Option<RouteTable> {
    let replay = journal.replay();
    let ordered = replay.table()?;
    let proved = |table: &RouteTable| -> Option<RouteTable> {
        let Some(cosignatures) = table.needs_proof(None) else { return Some(table.clone()) };
        let shows = journal.landmarks().of(table.generation)?;
        match prover(&Order { generation: table.generation, shows, cosignatures }) {
            Ok(proof) => Some(RouteTable { proof: Some(proof), ..table.clone() }),
            Err(missing) => {
                tracing::warn!(generation = table.generation, "the proof of the shift cannot be made: {missing}");
                None
            }
        }
    };
    let standing = || replay.standing().cloned();
    let without = || {
        let table = standing().unwrap_or_else(|| ordered.clone());
        RouteTable { weight: BasisPoints::ZERO, mirror: false, testers: None, ..table }
    };
    Some(proved(ordered).or_else(|| standing().as_ref().and_then(proved)).unwrap_or_else(without))
}

fn first_table(settings: &Settings, key: [u8; 16]) -> RouteTable {
    RouteTable {
        generation: 0,
        active: Environment::Blue,
        weight: BasisPoints::ZERO,
        mirror: false,
        pins: Pins::Keep,
        pin_ms: settings.pin_ms,
        key: RouteKey(key),
        upstreams: PerEnvironment { blue: Some(settings.serving.clone()), green: None },
        proofs: None,
        redaction: None,
        testers: None,
        proof: None,
    }
}

/// Whoever asked may be gone; then nobody needs the answer.
pub(crate) fn answer<T>(reply: oneshot::Sender<T>, answer: T) {
    let _ = reply.send(answer);
}
