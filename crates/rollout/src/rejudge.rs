//! A rollout's records judged again: by the recorded plan, where every verdict must come out as it was recorded, and
//! beside it by other thresholds, to see what they would have said of the same observations.

use crate::decide::batch_of;
use crate::event::{Event, RolloutId, Start};
use crate::record::{Body, Record, Replay, ReplayError};
use crate::state::State;
use judge::{Assessment, Config, Judge};
use model::{Measurement, UnixMillis};

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
        let (mut observation, mut batch) = (None, None);
        if let Body::Happened(event) = &record.body {
            match &**event {
                Event::Observed(observed) => observation = Some(observed),
                Event::Measured { metric, measurement: Measurement::Read(reading) } => {
                    let counts = self.state().and_then(|state| batch_of(state, metric, reading, record.at));
                    batch = counts.map(|counts| (metric, counts));
                }
                _ => {}
            }
        }
        // As it was known when the batch came.
        let weight =
            observation.and_then(|observation| self.state().and_then(|state| state.steady.clone().during(observation)));
        self.replay.take(record)?;
        if let (Some(judge), Some(state)) = (&mut self.other, self.replay.rollouts.last()) {
            judge.set_sources_as(&state.judge);
            if let Some((metric, counts)) = batch {
                // Of counts that cannot be the rollout's own judge has told, and then its source fails for both.
                let _ = judge.measure(metric, &counts);
            }
        }
        let Some(observation) = observation else { return Ok(None) };
        let broken = self.state().is_some_and(State::measurement_is_broken);
        let other = self.other.as_mut().map(|judge| {
            match broken {
                // As the rollout's own judge: what was made from a broken measurement is forgotten.
                true => *judge = judge.anew(),
                false => judge.observe(observation, weight),
            }
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
