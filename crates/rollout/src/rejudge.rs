//! A rollout's records judged again: by the recorded plan, where every verdict must come out as it was recorded, and
//! beside it by other thresholds, to see what they would have said of the same observations.

use crate::event::{Event, RolloutId, Start};
use crate::record::{Body, Record, Replay, ReplayError};
use crate::state::State;
use judge::{Assessment, Config, Judge};
use model::UnixMillis;

/// What is said after one observation.
#[derive(Clone, Debug, PartialEq)]
pub struct Judgement {
    /// The observation's batch.
    pub batch: u64,
    /// When it came.
    pub at: UnixMillis,
    /// By the recorded plan.
    pub own: Assessment,
    /// By the other thresholds.
    pub other: Option<Assessment>,
}

/// Takes a ledger's records in order and judges those of one rollout.
pub struct Rejudge<'t> {
    rollout: RolloutId,
    replay: Replay,
    thresholds: Option<&'t dyn Fn(&Start) -> Config>,
    other: Option<Judge>,
}

impl<'t> Rejudge<'t> {
    /// Nothing taken yet. `thresholds` say what the same observations are judged by besides.
    pub fn new(rollout: RolloutId, thresholds: Option<&'t dyn Fn(&Start) -> Config>) -> Rejudge<'t> {
        Rejudge { rollout, replay: Replay::default(), thresholds, other: None }
    }

    /// Takes the next record. Those of the server and of other rollouts are passed over; one that does not follow from
    /// the records before it is an error, a verdict of the judge that differs among them.
    pub fn take(&mut self, record: &Record) -> Result<Option<Judgement>, ReplayError> {
        if record.rollout.as_ref() != Some(&self.rollout) {
            return Ok(None);
        }
        if let (Body::Started(start), Some(thresholds)) = (&record.body, self.thresholds) {
            self.other = Some(Judge::new(thresholds(start)));
        }
        let observation = match &record.body {
            Body::Happened(event) => match &**event {
                Event::Observed(observation) => Some(observation),
                _ => None,
            },
            _ => None,
        };
        // As it was known when the batch came.
        let weight =
            observation.and_then(|observation| self.state().and_then(|state| state.steady.clone().during(observation)));
        self.replay.take(record)?;
        let Some(observation) = observation else { return Ok(None) };
        let other = self.other.as_mut().map(|judge| {
            judge.observe(observation, weight);
            judge.assess()
        });
        let own = self.state().and_then(|state| state.assessment.clone());
        Ok(own.map(|own| Judgement { batch: observation.batch, at: record.at, own, other }))
    }

    /// Where the rollout stands after the records so far.
    pub fn state(&self) -> Option<&State> {
        self.replay.rollouts.last()
    }
}
