//! The controller: decides, makes it durable, and only then acts. It can die at each of these points.

use crate::log::Log;
use crate::watch::Watch;
use ledger::Hash;
use model::UnixMillis;
use rollout::{Action, Body, Decision, Event, Record, Replay, RolloutId, Start, State, Step, step};

/// Where the controller dies while it takes an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CrashPoint {
    /// The batch is not durable: it is as if the event had never come.
    BeforeDurable,
    /// The batch is durable, and nothing was done about it.
    AfterDurable,
    /// So many actions were taken.
    AfterActions(usize),
}

pub(crate) struct Controller {
    log: Log,
    /// What the durable records lead to.
    replay: Replay,
    pub(crate) watch: Watch,
}

/// What came of an event.
pub(crate) struct Taken {
    pub(crate) decisions: Vec<Decision>,
    /// What the controller lived to do.
    pub(crate) actions: Vec<Action>,
    pub(crate) crashed: bool,
}

/// Who stands in records of what the controller did by itself.
const SELF: &str = "verdigris";

impl Controller {
    pub(crate) fn new(seed: u64) -> Controller {
        Controller { log: Log::new(), replay: Replay::default(), watch: Watch::new(seed) }
    }

    pub(crate) fn running(&self) -> Option<&State> {
        self.replay.running()
    }

    pub(crate) fn replay(&self) -> &Replay {
        &self.replay
    }

    pub(crate) fn records(&self) -> u64 {
        self.log.records()
    }

    pub(crate) fn root(&self) -> Hash {
        self.log.root()
    }

    /// Begins a rollout.
    pub(crate) fn start(&mut self, start: Start, now: UnixMillis, crash: Option<CrashPoint>) -> Taken {
        let first = rollout::start(&start, now);
        let (rollout, by) = (start.rollout.clone(), start.by.name.clone());
        self.take(&rollout, 0, (by, Body::Started(Box::new(start))), first, now, crash)
    }

    /// Decides upon an event of the rollout that runs.
    pub(crate) fn happened(
        &mut self,
        event: Event,
        by: Option<&str>,
        now: UnixMillis,
        crash: Option<CrashPoint>,
    ) -> Taken {
        let nothing = Taken { decisions: Vec::new(), actions: Vec::new(), crashed: false };
        let Some(state) = self.replay.running() else { return nothing };
        let next = step(state, &event, now);
        if event == Event::Tick && next.decisions.is_empty() {
            assert!(next.actions.is_empty(), "actions without a record: {:?}", next.actions);
            self.watch.unrecorded(state, &next.state);
            return nothing;
        }
        let rollout = state.rollout.clone();
        let input = (by.unwrap_or(SELF).to_owned(), Body::Happened(Box::new(event)));
        self.take(&rollout, self.replay.next_sequence, input, next, now, crash)
    }

    fn take(
        &mut self,
        rollout: &RolloutId,
        first: u64,
        input: (String, Body),
        next: Step,
        now: UnixMillis,
        crash: Option<CrashPoint>,
    ) -> Taken {
        let Step { state, decisions, mut actions } = next;
        let actions_taken = match crash {
            Some(CrashPoint::BeforeDurable) => {
                return Taken { decisions: Vec::new(), actions: Vec::new(), crashed: true };
            }
            Some(CrashPoint::AfterDurable) => 0,
            Some(CrashPoint::AfterActions(count)) => count,
            None => usize::MAX,
        };
        let decided = decisions.iter().map(|it| (SELF.to_owned(), Body::Decided(Box::new(it.clone()))));
        let bodies = std::iter::once(input).chain(decided);
        let records: Vec<Record> =
            (first..).zip(bodies).map(|(sequence, body)| record(Some(rollout.clone()), sequence, now, body)).collect();
        self.append(&records);
        assert_eq!(self.replay.rollouts.last(), Some(&state), "replaying gives the state (invariants 2 and 9)");
        self.watch.state(&state, now);
        actions.truncate(actions_taken);
        Taken { decisions, actions, crashed: crash.is_some() }
    }

    fn append(&mut self, records: &[Record]) {
        let durable = self.log.append(records);
        self.watch.recorded(&durable);
        for record in &durable {
            self.replay.take(record).unwrap_or_else(|error| panic!("{error}"));
        }
    }

    /// Starts anew: the state is what the durable records give, which is what it was if nothing was lost.
    pub(crate) fn restart(&mut self, now: UnixMillis) {
        let replayed = self.log.replay();
        assert_eq!(replayed, self.replay, "replaying the log gives the state from before the crash (invariant 2)");
        self.replay = replayed;
        let version = "simulated".to_owned();
        let body = (SELF.to_owned(), Body::ServerStarted { version });
        self.append(&[record(None, self.replay.next_server_sequence, now, body)]);
    }

    /// Replays everything once more, at the end.
    pub(crate) fn check_replay(&self) {
        self.log.check_bytes();
        assert_eq!(self.log.replay(), self.replay, "replaying the log gives the state (invariant 9)");
    }
}

fn record(rollout: Option<RolloutId>, sequence: u64, at: UnixMillis, (by, body): (String, Body)) -> Record {
    Record { version: Record::VERSION, rollout, sequence, at, by, body }
}
