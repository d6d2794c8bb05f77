//! Metrics from outside: readings become batches for the judge, and a source that fails becomes what the plan says.

use super::{Decider, SILENCE_GRACE_MS};
use crate::event::{Cause, Decision, HoldReason};
use crate::measure::increase;
use crate::plan::OnError;
use crate::state::{Halt, Phase, State};
use judge::{Counts, Source};
use model::{Measurement, PerEnvironment, Reading, ShortDuration, UnixMillis};

/// Two readings this many intervals apart, or more, make no batch: an interval that failed may lie between them, and not
/// much more, for units must be comparable within a batch.
const MAX_INTERVALS: u64 = 3;

/// What a reading that comes now adds to a metric, if that is judged, and makes a batch with the one before.
pub(crate) fn batch_of(
    state: &State,
    metric: &str,
    reading: &Reading,
    now: UnixMillis,
) -> Option<PerEnvironment<Counts>> {
    let index = state.metrics.iter().position(|known| known.metric == metric)?;
    let judged = matches!(state.phase, Phase::Progressing { .. }) && !state.measurement_is_broken();
    let mut decider = Decider { state: state.clone(), now, decisions: Vec::new(), actions: Vec::new() };
    decider.batch(index, reading).ok().flatten().filter(|_| judged)
}

impl Decider {
    pub(super) fn measured(&mut self, metric: &str, measurement: &Measurement) {
        let position = self.state.metrics.iter().position(|state| state.metric == metric);
        let (Some(index), Phase::Progressing { .. }) = (position, &self.state.phase) else { return };
        self.state.metrics[index].heard_at = self.now;
        let taken = match measurement {
            Measurement::Read(reading) => match self.batch(index, reading) {
                // What the judge has is begun anew once the measurement is mended.
                Ok(Some(batch)) if !self.state.measurement_is_broken() => self.state.judge.measure(metric, &batch),
                Ok(_) => Ok(()),
                Err(reason) => Err(reason),
            },
            Measurement::Failed { reason } => Err(reason.clone()),
        };
        match taken {
            Ok(()) => self.source_answers(index),
            Err(reason) => self.source_fails(index, reason),
        }
        self.assess();
    }

    /// What was counted since the reading before, where the two make a batch; the new reading is the next one's
    /// beginning.
    fn batch(&mut self, index: usize, reading: &Reading) -> Result<Option<PerEnvironment<Counts>>, String> {
        let (now, every_ms) = (self.now, self.every_ms(index));
        let watched = self.state.candidate_has_traffic();
        let state = &mut self.state.metrics[index];
        // A shift within a batch would compare units of one time with units of another. What Prometheus knows is up to
        // one interval old, so that readings begin to count an interval after it.
        if !watched || now < state.begins {
            state.before = None;
            return Ok(None);
        }
        match state.before.replace((*reading, now)) {
            Some((before, at)) if now.since_ms(at) <= MAX_INTERVALS * every_ms => increase(&before, reading),
            Some(_) | None => Ok(None),
        }
    }

    fn every_ms(&self, index: usize) -> u64 {
        self.state.plan.guards.judged.metrics.get(index).map_or(0, |guard| guard.every_ms)
    }

    fn on_error(&self, index: usize) -> OnError {
        self.state.plan.guards.sources.get(index).map_or(OnError::Hold, |source| source.on_error)
    }

    fn source_answers(&mut self, index: usize) {
        let state = &mut self.state.metrics[index];
        let metric = state.metric.clone();
        self.state.judge.set_source(&metric, Source::Well);
        if state.failing.take().is_none() {
            return;
        }
        self.decisions.push(Decision::SourceAnswers { metric });
        let still = self.holding_source().is_some();
        if let Phase::Progressing { stage, halt, .. } = &mut self.state.phase
            && let Some(Halt::Held { reason: HoldReason::SourceFails { .. }, since }) = halt
            && !still
        {
            stage.extend(self.now.since_ms(*since));
            *halt = None;
            self.decisions.push(Decision::Resumed);
        }
    }

    fn source_fails(&mut self, index: usize, reason: String) {
        let on_error = self.on_error(index);
        let state = &mut self.state.metrics[index];
        if state.failing.as_ref() == Some(&reason) {
            return;
        }
        let metric = state.metric.clone();
        state.failing = Some(reason.clone());
        self.decisions.push(Decision::SourceFails { metric: metric.clone(), reason: reason.clone() });
        let source = match on_error {
            OnError::Hold | OnError::Rollback => Source::Failed { reason: reason.clone() },
            OnError::Ignore => Source::LeftOut { reason: reason.clone() },
        };
        self.state.judge.set_source(&metric, source);
        match on_error {
            // `progress` holds it, also when another hold or a pause has ended.
            OnError::Hold | OnError::Ignore => {}
            OnError::Rollback => self.roll_back(Cause {
                guard: format!("metrics.{metric}"),
                finding: "its source fails, and the plan says to roll back then".to_owned(),
                example_trace: None,
                first_seen: None,
                reasons: vec![reason],
            }),
        }
    }

    /// The first metric for whose source the rollout stands still, and why it fails.
    pub(super) fn holding_source(&self) -> Option<(String, String)> {
        let metrics = self.state.metrics.iter().enumerate();
        let mut failing = metrics.filter_map(|(index, state)| Some((index, state, state.failing.as_ref()?)));
        let (_, state, reason) = failing.find(|(index, ..)| self.on_error(*index) == OnError::Hold)?;
        Some((state.metric.clone(), reason.clone()))
    }

    /// Whoever asks the sources says at least that they fail. If even that is not heard, it is as if they did.
    pub(super) fn watch_the_sources(&mut self) {
        for index in 0..self.state.metrics.len() {
            let limit_ms = MAX_INTERVALS * self.every_ms(index) + SILENCE_GRACE_MS;
            let state = &self.state.metrics[index];
            let silent_ms = self.now.since_ms(state.heard_at);
            if silent_ms > limit_ms && state.failing.is_none() && matches!(self.state.phase, Phase::Progressing { .. })
            {
                let (silent, every) = (ShortDuration(limit_ms), ShortDuration(self.every_ms(index)));
                self.source_fails(
                    index,
                    format!("nothing was heard of it for {silent}; expected a reading every {every}"),
                );
                self.assess();
            }
        }
    }

    /// Traffic is another from now on.
    pub(super) fn begin_batches_anew(&mut self) {
        for index in 0..self.state.metrics.len() {
            let begins = self.now.plus_ms(self.every_ms(index));
            let state = &mut self.state.metrics[index];
            (state.before, state.begins) = (None, begins);
        }
    }
}
