//! The traces in flight, and the batches that they belong to.

use crate::digest::Digests;
use crate::example::{ExampleTrace, Examples, example};
use crate::fact::{Delivery, SpanFact};
use crate::keyed::{Keyed, Map};
use crate::memory::Memory;
use crate::pace::Pace;
use crate::service::TimedServices;
use crate::share::{Distinct, Share};
use crate::stray::Strays;
use crate::subject::CallCounts;
use crate::tally::Ever;
use crate::trace::{Content, MAX_SPANS_PER_TRACE, SPAN_WEIGHT, Second, Span, Standing, Trace};
use crate::transformation::{Side, Transformations};
use crate::vocabulary::{Bounds, Vocabulary};
use model::{Environment, PerEnvironment, RouteKey, TraceId, UnixMillis};
use std::collections::BTreeMap;

mod close;

/// The longest that an answer takes to be told after its hand-over: the gateway waits 30 s for a connection, 5 s for it
/// to be made and 30 s for the answer, and its queue of views for half a second. For so long at least it is remembered
/// that a trace was closed, since an answer to it is late, and not news of another trace.
const ANSWER_WITHIN_MS: u64 = 70_000;

/// How traces are joined, batched and bounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// The width of a batch of assignment time, 1 to 6 s. Must not be 0.
    pub batch_ms: u64,
    /// How long after the end of its batch a trace's spans are still judged.
    pub linger_ms: u64,
    /// How long a pipeline may take to put a span out. With the linger it must be longer than the gateway waits before it
    /// tells of a hand-over without an answer (1 s): what is first told after its batch has closed is left out.
    pub horizon_ms: u64,
    /// Spans in flight at most, in both environments, at 104 bytes each; a trace counts as one more. Of those that came out as
    /// they were sent, 32 bytes each, three and a quarter count as one.
    pub max_spans: usize,
    /// Spans a second that are joined at most, those that were sent and those that came out. At some 1.7 us each.
    pub max_rate: u64,
    /// The key of the hash maps.
    pub key: [u8; 16],
    /// Its mark chooses which traces are verified, where that is not all of them.
    pub route_key: RouteKey,
}

/// Joins what was sent with what came out.
#[derive(Debug)]
pub struct Verifier {
    config: Config,
    keyed: Keyed,
    /// What each environment's pipeline is meant to change.
    meant: PerEnvironment<Transformations>,
    words: Vocabulary,
    traces: PerEnvironment<Map<TraceId, Trace>>,
    /// The batches that are open and have traces, or had.
    batches: BTreeMap<u64, Batch>,
    /// The last batch that was closed.
    closed_through: Option<u64>,
    closed: PerEnvironment<Memory>,
    strays: PerEnvironment<Strays>,
    share: Share,
    /// Views were lost, or not yet taken, before this.
    views_from: UnixMillis,
    /// Traces of batches up to this one are left out, since views were lost.
    missed_through: Option<u64>,
    ever: Ever,
    examples: Examples,
    /// Of all traces in flight.
    weight: usize,
    pace: Pace,
    /// The latest time that any call told.
    latest: UnixMillis,
    counted: Counted,
}

/// One open batch.
#[derive(Debug, Default)]
struct Batch {
    /// Its traces in the order in which they came. A trace that moved to another batch since is still listed.
    traces: PerEnvironment<Vec<TraceId>>,
    /// Traces over the bound on memory.
    over_bound: PerEnvironment<Distinct>,
    /// The least share that was verified while it was open, in parts of 2^32; none if that never changed.
    least_share: Option<u64>,
}

/// What became of a span that was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Added {
    Done,
    /// Its trace is not known.
    Unknown,
    /// Its trace came out and was not sent so far.
    NotAssigned,
}

/// Counts since the start.
#[derive(Clone, Copy, Debug, Default)]
struct Counted {
    left_out: PerEnvironment<u64>,
    late_spans: PerEnvironment<u64>,
    late_outs: PerEnvironment<u64>,
    missed: u64,
    /// Traces of observations.
    observed: PerEnvironment<u64>,
}

/// What the verifier holds, and what it could not judge since the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stats {
    /// Traces in flight; those to be left out are among them.
    pub traces_in_flight: PerEnvironment<usize>,
    /// Spans in flight; those of traces to be left out are not known.
    pub spans_in_flight: usize,
    /// As how many spans they count, and the traces, where `Config::max_spans` bounds them.
    pub counted_spans: usize,
    /// About how many bytes the tables take.
    pub bytes: usize,
    /// The share of traces that is verified, in parts of 2^32.
    pub share_verified: u64,
    /// Traces left out, over all observations.
    pub left_out: PerEnvironment<u64>,
    /// Hand-overs of spans, and answers to them, too late to be judged with their trace.
    pub late_spans: PerEnvironment<u64>,
    /// Spans that came out after their trace was closed.
    pub late_outs: PerEnvironment<u64>,
    /// Times that views were lost.
    pub missed: u64,
    /// Names, key sets and resources that were judged by hash, because they did not fit.
    pub words_not_kept: u64,
    /// Times that a subject of a batch did not fit among those counted since the start.
    pub subjects_not_kept: u64,
}

impl Verifier {
    /// A verifier that begins to see spans at `started`. Panics if a batch has no width.
    pub fn new(config: Config, started: UnixMillis) -> Verifier {
        Verifier::bounded(config, started, Bounds::FULL)
    }

    /// The same, where the pipelines are meant to change something.
    pub fn with(self, meant: PerEnvironment<Transformations>) -> Verifier {
        Verifier { meant, ..self }
    }

    /// The same, that times calls and operations of services.
    pub fn with_service_times(mut self) -> Verifier {
        self.ever.services = Some(TimedServices::new(self.keyed));
        self
    }

    fn bounded(config: Config, started: UnixMillis, bounds: Bounds) -> Verifier {
        assert!(config.batch_ms > 0, "a batch of 0 ms holds no trace: batch_ms must be 1 or more");
        let keyed = Keyed(config.key);
        let age_ms = config.linger_ms.saturating_add(config.horizon_ms);
        // Half of the bound a generation: every closed trace had a span, so over twice the time that a trace is in
        // flight this keeps three quarters of as many traces as there may be spans. A short age is the exception: where
        // the bound bites, an answer that comes late leaves its trace out once more.
        let remembered_ms = age_ms.max(ANSWER_WITHIN_MS);
        let memory = |_| Memory::new(keyed, remembered_ms, config.max_spans / 2, started);
        Verifier {
            config,
            keyed,
            meant: PerEnvironment::default(),
            words: Vocabulary::new(keyed, bounds),
            traces: PerEnvironment::from_fn(|_| Map::with_hasher(keyed)),
            batches: BTreeMap::new(),
            closed_through: None,
            closed: PerEnvironment::from_fn(memory),
            strays: PerEnvironment::from_fn(|_| Strays::new(keyed)),
            share: Share::whole(started),
            views_from: started.plus_ms(age_ms),
            missed_through: None,
            ever: Ever::new(keyed),
            examples: Examples::default(),
            weight: 0,
            pace: Pace::new(started),
            latest: started,
            counted: Counted::default(),
        }
    }

    /// A span handed to an environment's pipeline, after the answer; before it, if the answer takes long
    /// ([`Delivery::Unanswered`]), and then again after the answer with the same `handed_over_us`, which is no other
    /// hand-over. Of two requests of one trace the first to be told assigns the trace to its batch.
    pub fn sent(&mut self, environment: Environment, delivery: Delivery, handed_over_us: u64, fact: &SpanFact<'_>) {
        let at = UnixMillis(handed_over_us / 1_000);
        self.latest = self.latest.max(at);
        match self.add_sent(environment, delivery, handed_over_us, fact) {
            Added::Done => self.keep_within_bound(),
            Added::NotAssigned => {
                self.assign(environment, fact.trace, at);
                self.sent(environment, delivery, handed_over_us, fact);
            }
            Added::Unknown => {
                let hash = self.config.route_key.mark(fact.trace);
                if self.closed[environment].contains(hash) {
                    self.closed[environment].insert(hash);
                    self.counted.late_spans[environment] += 1;
                } else if self.begin(environment, fact.trace, hash, Standing::Assigned, at) {
                    self.sent(environment, delivery, handed_over_us, fact);
                }
            }
        }
    }

    /// The same for a span that comes from the disk, where it waited until the environment took it. Its trace is judged by
    /// when it was handed over, but it was assigned when it came.
    pub fn redelivered(
        &mut self,
        environment: Environment,
        delivery: Delivery,
        handed_over_us: u64,
        fact: &SpanFact<'_>,
    ) {
        let was_assigned = self.traces[environment].get(&fact.trace).is_some_and(|trace| trace.is_assigned);
        self.sent(environment, delivery, handed_over_us, fact);
        if let Some(trace) = self.traces[environment].get_mut(&fact.trace) {
            trace.is_assigned = was_assigned;
        }
    }

    /// A copy that the mirror dropped, or a span of a request that is otherwise not to be judged: the trace is left out
    /// of this environment's counts.
    pub fn leave_out(&mut self, environment: Environment, trace: TraceId, at: UnixMillis) {
        self.latest = self.latest.max(at);
        let hash = self.config.route_key.mark(trace);
        match self.traces[environment].get_mut(&trace) {
            Some(known) => self.weight -= known.leave_out(),
            None if self.closed[environment].contains(hash) => {}
            None => {
                self.begin(environment, trace, hash, Standing::LeftOut, at);
                self.keep_within_bound();
            }
        }
    }

    /// Views were lost up to `at`, since a queue was full. Any trace in flight may have lost a span by it, so all
    /// traces of the batches that have begun are left out, whatever is known of them: to leave out only those that look
    /// wrong would make the others look better than they are.
    pub fn missed(&mut self, at: UnixMillis) {
        self.latest = self.latest.max(at);
        self.counted.missed += 1;
        self.missed_through = self.missed_through.max(Some(self.batch_of(at)));
        self.views_from = self.views_from.max(at.plus_ms(self.age_ms()));
    }

    /// A span that came out of an environment's pipeline. It may be told before its `sent`.
    pub fn out(&mut self, environment: Environment, at_us: u64, fact: &SpanFact<'_>) {
        let at = UnixMillis(at_us / 1_000);
        self.latest = self.latest.max(at);
        match self.add_out(environment, at_us, fact) {
            Added::Done | Added::NotAssigned => self.keep_within_bound(),
            Added::Unknown => {
                let hash = self.config.route_key.mark(fact.trace);
                if self.closed[environment].contains(hash) {
                    self.counted.late_outs[environment] += 1;
                } else if self.share.includes(hash) && self.begin(environment, fact.trace, hash, Standing::Held, at) {
                    self.out(environment, at_us, fact);
                }
            }
        }
    }

    /// What was sent and what came out of a trace in flight, or of one that was an example of a finding or a blind spot
    /// lately. `None` if nothing of it is kept.
    pub fn example(&self, environment: Environment, trace: TraceId) -> Option<ExampleTrace> {
        if let Some(noted) = self.examples.get(environment, trace) {
            return Some(noted.clone());
        }
        let open = self.traces[environment].get(&trace).filter(|open| open.len() > 0)?;
        Some(example(environment, trace, open, &self.words))
    }

    /// The largest [`RouteKey::mark`] of a trace that is verified: others need not be told of. Whoever tells must follow a
    /// rise within a second.
    pub fn ceiling(&self) -> u64 {
        self.share.ceiling()
    }

    /// The calls between services since the start, at most so many. It takes time in proportion to the subjects that are counted,
    /// some 16,000 at most.
    pub fn calls(&self, most: usize) -> CallCounts {
        let (calls, left_out) = self.ever.subjects.calls(most, &self.words);
        CallCounts { traces: self.counted.observed, calls, left_out }
    }

    /// What is held, and what could not be judged since the start.
    pub fn stats(&self) -> Stats {
        let traces_in_flight = PerEnvironment::from_fn(|environment| self.traces[environment].len());
        let traces = traces_in_flight.blue + traces_in_flight.green;
        let all_traces = Environment::BOTH.into_iter().flat_map(|environment| self.traces[environment].values());
        let spans_in_flight = all_traces.map(Trace::len).sum();
        let remembered = self.closed.blue.len() + self.closed.green.len();
        // A trace's place in the map is at most half empty, and it is listed in its batch.
        let trace_bytes = 2 * size_of::<(TraceId, Trace)>() + size_of::<TraceId>();
        Stats {
            traces_in_flight,
            spans_in_flight,
            counted_spans: self.weight.div_ceil(SPAN_WEIGHT),
            bytes: (self.weight - traces * SPAN_WEIGHT) * (size_of::<Span>() / SPAN_WEIGHT)
                + traces * trace_bytes
                + remembered * 9
                + self.ever.subjects.len() * 80
                + self.words.bytes(),
            share_verified: self.share.parts(),
            left_out: self.counted.left_out,
            late_spans: self.counted.late_spans,
            late_outs: self.counted.late_outs,
            missed: self.counted.missed,
            words_not_kept: self.words.not_kept(),
            subjects_not_kept: self.ever.subjects.not_kept(),
        }
    }

    /// Puts a new trace into the table. `false` if it is left out for the bound on memory.
    fn begin(&mut self, environment: Environment, id: TraceId, hash: u64, standing: Standing, at: UnixMillis) -> bool {
        let (batch, is_open) = self.open_batch(at);
        let entry = self.batches.entry(batch).or_default();
        if !self.share.includes(hash) {
            entry.over_bound[environment].insert(hash);
            return false;
        }
        // What was sent in a batch that is closed already cannot be judged with its like.
        let standing = match standing {
            Standing::Assigned if !is_open => Standing::LeftOut,
            Standing::Assigned | Standing::Held | Standing::LeftOut | Standing::Residue => standing,
        };
        entry.traces[environment].push(id);
        self.traces[environment].insert(id, Trace::new(standing, batch, at, hash));
        self.weight += SPAN_WEIGHT;
        true
    }

    /// Moves a held trace to the batch in which it was first handed over.
    fn assign(&mut self, environment: Environment, id: TraceId, at: UnixMillis) {
        let (batch, is_open) = self.open_batch(at);
        let Some(trace) = self.traces[environment].get_mut(&id) else { return };
        trace.standing = Standing::Assigned;
        trace.assigned = at;
        trace.is_assigned = is_open;
        if trace.batch != batch {
            trace.batch = batch;
            self.batches.entry(batch).or_default().traces[environment].push(id);
        }
        if !is_open {
            self.weight -= trace.leave_out();
        }
    }

    fn add_sent(
        &mut self,
        environment: Environment,
        delivery: Delivery,
        handed_over_us: u64,
        fact: &SpanFact<'_>,
    ) -> Added {
        let config = self.config;
        let Some(trace) = self.traces[environment].get_mut(&fact.trace) else { return Added::Unknown };
        if trace.standing == Standing::Held {
            return Added::NotAssigned;
        }
        self.pace.count();
        if trace.standing == Standing::LeftOut {
            return Added::Done;
        }
        let in_time = match trace.standing {
            Standing::Assigned => handed_over_us / 1_000 <= lingers_until(config, trace.batch).0,
            Standing::Held | Standing::LeftOut | Standing::Residue => false,
        };
        self.counted.late_spans[environment] += u64::from(!in_time);
        let position = match trace.standing {
            Standing::Residue => trace.find(fact.span, fact.kind),
            Standing::Held | Standing::LeftOut => None,
            Standing::Assigned => found_or_added(trace, fact, self.keyed, &mut self.weight),
        };
        let Some(position) = position else { return Added::Done };
        let waited_for = match delivery {
            Delivery::Unanswered if trace.waits_for_enough() => {
                self.weight -= trace.leave_out();
                return Added::Done;
            }
            Delivery::Unanswered => {
                self.weight += trace.wait_for_answer(position, handed_over_us);
                None
            }
            Delivery::Acknowledged | Delivery::Refused | Delivery::Unknown => trace.answered(position, handed_over_us),
        };
        self.weight -= waited_for.unwrap_or(0);
        if !trace.spans[position].is_sent() {
            take_side(&mut self.words, self.keyed, &self.meant[environment], trace, position, Side::Sent, fact);
            let span = &mut trace.spans[position];
            span.service = self.words.name(fact.service);
            span.operation = self.words.name(fact.operation);
            span.error = fact.status.is_error();
        }
        let span = &mut trace.spans[position];
        if waited_for.is_none() {
            span.hand_overs = span.hand_overs.saturating_add(1);
        }
        if !in_time {
            return Added::Done;
        }
        span.judged = true;
        match delivery {
            Delivery::Acknowledged => span.acknowledged = true,
            Delivery::Refused | Delivery::Unknown => span.failed = true,
            // Whether it failed is told by the answer, or by the closing of the batch.
            Delivery::Unanswered => return Added::Done,
        }
        if delivery != Delivery::Refused && span.handed_over_us == 0 {
            span.handed_over_us = handed_over_us;
        }
        self.weight -= trace.settle(position);
        Added::Done
    }

    fn add_out(&mut self, environment: Environment, at_us: u64, fact: &SpanFact<'_>) -> Added {
        let Some(trace) = self.traces[environment].get_mut(&fact.trace) else { return Added::Unknown };
        self.pace.count();
        let position = match trace.standing {
            Standing::LeftOut => return Added::Done,
            Standing::Residue => trace.find(fact.span, fact.kind),
            Standing::Held | Standing::Assigned => found_or_added(trace, fact, self.keyed, &mut self.weight),
        };
        let Some(position) = position else {
            self.counted.late_outs[environment] += 1;
            return Added::Done;
        };
        if !trace.spans[position].is_out() {
            take_side(&mut self.words, self.keyed, &self.meant[environment], trace, position, Side::Out, fact);
            let span = &mut trace.spans[position];
            span.out_us = at_us;
            if !span.is_sent() {
                span.service = self.words.name(fact.service);
                span.operation = self.words.name(fact.operation);
            }
        }
        let outs = &mut trace.spans[position].outs;
        *outs = outs.saturating_add(1);
        self.weight -= trace.settle(position);
        Added::Done
    }

    /// Halves the share that is verified until what is in flight fits.
    fn keep_within_bound(&mut self) {
        while self.weight > self.config.max_spans.saturating_mul(SPAN_WEIGHT) && self.share.halve(self.latest) {
            self.note_share();
            self.leave_out_beyond_share();
        }
    }

    /// Cuts the share that is verified to what can be joined in time.
    fn keep_pace(&mut self, now: UnixMillis) {
        if let Some(rate) = self.pace.measure(now, self.config.max_rate)
            && rate > self.config.max_rate
        {
            self.share.cut(self.config.max_rate, rate, now);
            self.note_share();
            self.leave_out_beyond_share();
        }
    }

    /// After the share became less, or before it becomes more.
    fn note_share(&mut self) {
        let parts = self.share.parts();
        for batch in self.batches.values_mut() {
            batch.least_share = Some(batch.least_share.map_or(parts, |least| least.min(parts)));
        }
    }

    fn leave_out_beyond_share(&mut self) {
        for environment in Environment::BOTH {
            let (share, batches, weight) = (&self.share, &mut self.batches, &mut self.weight);
            self.traces[environment].retain(|_, trace| {
                let keep = share.includes(trace.hash);
                if !keep {
                    *weight -= trace.weight();
                    batches.entry(trace.batch).or_default().over_bound[environment].insert(trace.hash);
                }
                keep
            });
        }
    }

    /// The batch of a moment, and whether it is still open; if not, the first that is.
    fn open_batch(&self, at: UnixMillis) -> (u64, bool) {
        let batch = self.batch_of(at);
        match self.closed_through {
            Some(closed) if batch <= closed => (closed.saturating_add(1), false),
            Some(_) | None => (batch, true),
        }
    }

    fn batch_of(&self, at: UnixMillis) -> u64 {
        at.0 / self.config.batch_ms
    }

    /// How old a batch is when it closes, from its end.
    fn age_ms(&self) -> u64 {
        self.config.linger_ms.saturating_add(self.config.horizon_ms)
    }
}

/// Takes what is compared of one side of a span: the first time its digests, the second time what differs.
fn take_side(
    words: &mut Vocabulary,
    keyed: Keyed,
    meant: &Transformations,
    trace: &mut Trace,
    position: usize,
    side: Side,
    fact: &SpanFact<'_>,
) {
    meant.apply(side, fact, |fact| {
        let times = trace.times(meant.times.cut(fact.start_ns), meant.times.cut(fact.end_ns));
        let span = &mut trace.spans[position];
        let is_second = match side {
            Side::Sent => span.is_out(),
            Side::Out => span.is_sent(),
        };
        // What one side has is probably what the other has.
        let likely = is_second.then_some(span.first);
        let content = Content {
            parent: fact.parent,
            keys: words.keys(fact.attributes, likely.map(|content| content.keys)),
            resource: words.resource(fact.resource, likely.map(|content| content.resource)),
        };
        match span.second {
            Second::Awaited(digests) if is_second => {
                let keys = words.attributes_of(span.first.keys);
                let mut differences = digests.compare(keys, keyed, fact, meant);
                let shift_us = times.start_us.saturating_sub(span.times.start_us);
                let is_as_long = times.duration_us == span.times.duration_us;
                if shift_us != 0 || !is_as_long {
                    // What is known to the microsecond needs no luck with sixteen bits.
                    differences.note_times();
                }
                span.second = Second::Compared { content, differences, shift_us, is_as_long };
            }
            Second::Awaited(_) => {
                span.first = content;
                span.second = Second::Awaited(Digests::of(keyed, fact, meant));
                span.times = times;
                span.out_first = side == Side::Out;
            }
            // Each side is taken once.
            Second::Compared { .. } => {}
        }
    });
}

/// Until when spans of a batch's traces are judged.
fn lingers_until(config: Config, batch: u64) -> UnixMillis {
    UnixMillis(batch.saturating_add(1).saturating_mul(config.batch_ms).saturating_add(config.linger_ms))
}

/// The position of the fact's span in the trace; `None` if the trace is too large, and is left out from now on.
fn found_or_added(trace: &mut Trace, fact: &SpanFact<'_>, keyed: Keyed, weight: &mut usize) -> Option<usize> {
    let before = trace.weight();
    match trace.find(fact.span, fact.kind) {
        Some(position) => {
            *weight += trace.weight() - before;
            Some(position)
        }
        None if trace.len() >= MAX_SPANS_PER_TRACE => {
            *weight -= trace.leave_out();
            None
        }
        None => {
            *weight += SPAN_WEIGHT;
            Some(trace.add(Span::new(fact.span, fact.kind), keyed))
        }
    }
}

#[cfg(test)]
mod tests;
