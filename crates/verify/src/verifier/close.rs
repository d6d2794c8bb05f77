//! Closing batches: what was in flight becomes an observation.

use super::{Batch, Verifier, lingers_until};
use crate::share::Share;
use crate::tally::{Closing, Tally};
use crate::trace::{SPAN_WEIGHT, Span, Standing, Trace};
use model::{Environment, Observation, PerEnvironment, UnixMillis};

/// Observations of batches without a trace that one call gives at most: a minute of batches of 1 s. After a longer
/// silence only its end is observed; batch numbers still increase.
const MAX_EMPTY_OBSERVATIONS: u64 = 60;

impl Verifier {
    /// Closes every batch that is old enough. The observations come in order of batch. From the first trace on there is
    /// one for every batch, also for one without traces, except after a long silence.
    pub fn advance(&mut self, now: UnixMillis) -> Vec<Observation> {
        self.latest = self.latest.max(now);
        self.keep_pace(now);
        let mut observations = Vec::new();
        let mut room = MAX_EMPTY_OBSERVATIONS;
        // The batches that ended at least the age ago: those before this one.
        let due = now.0.saturating_sub(self.age_ms()) / self.config.batch_ms;
        while let Some(entry) = self.batches.first_entry().filter(|entry| *entry.key() < due) {
            let (number, batch) = entry.remove_entry();
            self.observe_silence(number, &mut room, &mut observations);
            // Before judging, since a trace's residue must not come back to this batch.
            self.closed_through = Some(number);
            observations.push(self.close(number, batch));
        }
        self.observe_silence(due, &mut room, &mut observations);
        self.tidy(now);
        observations
    }

    /// Observations of the batches without a trace from the last that was closed to the one before `until`.
    fn observe_silence(&mut self, until: u64, room: &mut u64, observations: &mut Vec<Observation>) {
        let Some(closed) = self.closed_through else { return };
        let from = (closed + 1).max(until.saturating_sub(*room));
        for number in from..until {
            observations.push(self.close(number, Batch::default()));
        }
        *room -= until.saturating_sub(from);
        self.closed_through = Some(closed.max(until.saturating_sub(1)));
    }

    fn close(&mut self, number: u64, batch: Batch) -> Observation {
        let mut left_out = PerEnvironment::from_fn(|environment| batch.over_bound[environment].count());
        let mut judged: Vec<Closing> = Vec::new();
        let mut assigned = PerEnvironment::<u64>::default();
        let begins = UnixMillis(number.saturating_mul(self.config.batch_ms));
        for environment in Environment::BOTH {
            for id in &batch.traces[environment] {
                let traces = &mut self.traces[environment];
                // It may have moved to another batch, or be left out for the bound.
                if traces.get(id).is_none_or(|trace| trace.batch != number) {
                    continue;
                }
                let Some(trace) = traces.remove(id) else { continue };
                self.weight -= trace.weight();
                self.closed[environment].insert(trace.hash);
                let closing = self.closing(environment, *id, trace);
                // What began while not everything was told may be a trace that began before.
                assigned[environment] += u64::from(closing.trace.is_assigned && closing.known_from <= begins);
                match fate(&closing, self.missed_through) {
                    Fate::Judged => judged.push(closing),
                    Fate::LeftOut => left_out[environment] += 1,
                    Fate::Done => {}
                }
            }
            self.counted.left_out[environment] += left_out[environment];
        }
        self.remember_lost(number, &judged);
        let mut tally = Tally::new(self.keyed, &self.ever);
        for (position, closing) in judged.iter().enumerate() {
            let environment = closing.environment;
            let samples = self.meant[environment].samples;
            let services = self.ever.services.as_mut();
            tally.judge(position, closing, &self.strays[environment], samples, services, &self.words);
        }
        let (mut observation, examples) =
            tally.finish(number, self.config.batch_ms, left_out, &mut self.ever, &self.words);
        for environment in Environment::BOTH {
            observation.arms[environment].assigned = assigned[environment];
            self.counted.observed[environment] += observation.arms[environment].traces;
        }
        observation.verified = Share::basis_points(batch.least_share.unwrap_or(self.share.parts()));
        for place in examples {
            let closing = &judged[place.position];
            self.examples.note(place.environment, place.trace, &closing.trace, &self.words);
        }
        judged.into_iter().for_each(|closing| self.keep_residue(closing));
        observation
    }

    /// Before any trace is judged: what is lost in one may have come out in another of the same batch.
    fn remember_lost(&mut self, number: u64, judged: &[Closing]) {
        Environment::BOTH.into_iter().for_each(|environment| self.strays[environment].begin(number));
        for closing in judged {
            for span in closing.trace.spans.iter().filter(|span| span.acknowledged && !span.is_out()) {
                self.strays[closing.environment].lose(closing.id, span.span, span.kind);
            }
        }
    }

    fn closing(&self, environment: Environment, id: model::TraceId, mut trace: Trace) -> Closing {
        trace.unsettle_all();
        let unsent_until = match trace.standing {
            Standing::Assigned => lingers_until(self.config, trace.batch),
            Standing::Held | Standing::LeftOut | Standing::Residue => UnixMillis(u64::MAX),
        };
        if trace.standing == Standing::Assigned {
            trace.stop_waiting(unsent_until);
        }
        let known_from = self.views_from.max(self.share.unknown_until(trace.hash, self.age_ms()));
        Closing { environment, id, trace, known_from, unsent_until }
    }

    /// What came out of a judged trace after its spans were due, and was not sent, may be a span that was sent late and
    /// of which is not yet told. It waits for the end of the batch in which it came out.
    fn keep_residue(&mut self, closing: Closing) {
        let Closing { environment, id, trace, known_from: _, unsent_until } = closing;
        let waits = |span: &&Span| !span.is_sent() && span.out_at() > unsent_until;
        let Some(last) = trace.spans.iter().filter(waits).map(Span::out_at).max() else { return };
        let mut residue = Trace::new(Standing::Residue, self.batch_of(last), last, trace.hash);
        residue.begins_ns = trace.begins_ns;
        for span in trace.spans.iter().filter(waits) {
            residue.add(*span, self.keyed);
        }
        self.weight += residue.weight();
        self.batches.entry(residue.batch).or_default().traces[environment].push(id);
        self.traces[environment].insert(id, residue);
    }

    /// Forgets what is old, verifies a larger share where there is room, and sweeps the tables of words.
    fn tidy(&mut self, now: UnixMillis) {
        Environment::BOTH.into_iter().for_each(|environment| self.closed[environment].advance(now));
        // Twice a quarter is half of the bound: the share does not swing.
        if self.weight < self.config.max_spans.saturating_mul(SPAN_WEIGHT) / 4
            && self.pace.rate() < self.config.max_rate / 4
        {
            self.note_share();
            self.share.double(now, self.age_ms(), self.config.batch_ms);
        }
        if !self.words.wants_sweep() {
            return;
        }
        let mut used = self.words.nothing_in_use();
        self.ever.mark(&mut used);
        let traces = Environment::BOTH.into_iter().flat_map(|environment| self.traces[environment].values());
        for span in traces.flat_map(Trace::all_spans) {
            used.name(span.service);
            used.name(span.operation);
            for content in [span.sent(), span.came_out()] {
                used.keys(content.keys);
                used.resource(content.resource);
            }
        }
        self.words.sweep(&used);
    }
}

/// What becomes of a trace whose batch closes.
enum Fate {
    Judged,
    LeftOut,
    /// It was counted before, and nothing is left to say.
    Done,
}

fn fate(closing: &Closing, missed_through: Option<u64>) -> Fate {
    let trace = &closing.trace;
    let missed = missed_through.is_some_and(|missed| trace.batch <= missed);
    let fabricated = || trace.spans.iter().any(|span| closing.is_fabricated(span));
    match trace.standing {
        Standing::LeftOut => Fate::LeftOut,
        Standing::Assigned if !missed => Fate::Judged,
        Standing::Held if fabricated() => Fate::Judged,
        Standing::Assigned | Standing::Held => Fate::LeftOut,
        Standing::Residue if fabricated() => Fate::Judged,
        Standing::Residue => Fate::Done,
    }
}
