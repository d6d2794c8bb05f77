//! Where a request goes: whole traces to blue or green, the original bytes wherever one environment gets all of them.

use crate::answer::{Answer, Outcome, combine};
use crate::client::Packed;
use crate::hand_over::{PATIENCE, hand_over};
use crate::mirror::mirror;
use crate::pins::{PinHash, PinTime, Place, Settled};
use crate::receive::Message;
use crate::run::{Running, Shared};
use crate::share::{Shown, shown_of, with_splitter};
use crate::stats::{Held, add};
use crate::table::Snapshot;
use crate::testers::{Assigned, FIRST_PLACE, Tried};
use crate::view::{Role, View};
use bytes::Bytes;
use futures_util::future::join_all;
use http::StatusCode;
use model::{Environment, PerEnvironment, Pins, TraceId};
use otlp::reply::code;
use otlp::{Malformed, Signal, Splitter, Unit, count_items};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// One environment's share of a request.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) signal: Signal,
    pub(crate) message: Bytes,
    /// Spans, log records or data points; 0 where nobody asks, as of metrics that stay whole.
    pub(crate) items: u64,
    /// What verification sees of it.
    pub(crate) shown: Shown,
    /// The form in which the whole request came, if this is all of it; else the part with room for gRPC's prefix.
    pub(crate) packed: Option<Packed>,
    /// Its spans of testers' traces, of which verification sees nothing.
    pub(crate) tried: Option<Tried>,
}

impl Part {
    /// What counters of spans count.
    pub(crate) fn spans(&self) -> u64 {
        if self.signal == Signal::Traces { self.items } else { 0 }
    }
}

/// Routes one request, forwards it, and says what the client is told: acknowledged only when every environment that
/// serves a part of it acknowledged that.
pub(crate) async fn deliver(running: Arc<Running>, signal: Signal, message: Message, mut held: Held) -> Answer {
    let Message { message, packed, timeout, tester } = message;
    let shared = &running.shared;
    let Some(snapshot) = shared.snapshot.load_full() else {
        return combine([(0, Outcome::unavailable("the gateway has no route table yet".to_owned()))]);
    };
    let now_us = (running.clock)();
    let parts = match split(&running, &snapshot, signal, (&message, tester.as_ref()), now_us) {
        Ok(parts) => parts,
        Err(malformed) => return Answer::refused(StatusCode::BAD_REQUEST, code::INVALID_ARGUMENT, malformed),
    };
    match parts {
        Parts::One(environment, part) => {
            let (items, part) = (part.items, Part { packed, ..part });
            combine([(items, serve(&running, &snapshot, environment, part, timeout).await)])
        }
        Parts::Two(parts) => {
            let copied = parts.blue.message.len() + parts.green.message.len();
            if !held.grow(copied as u64, shared.limits.max_inflight_bytes) {
                return overloaded(shared);
            }
            // What they were copied from is no longer needed.
            drop((message, packed));
            let PerEnvironment { blue, green } = parts.map(|part| (part.items, part));
            let (sent_blue, sent_green) = tokio::join!(
                serve(&running, &snapshot, Environment::Blue, blue.1, timeout),
                serve(&running, &snapshot, Environment::Green, green.1, timeout),
            );
            combine([(blue.0, sent_blue), (green.0, sent_green)])
        }
    }
}

/// The refusal of a request for which there is no room now.
pub(crate) fn overloaded(shared: &Shared) -> Answer {
    let bound = shared.limits.max_inflight_bytes;
    Answer::overloaded(format!("the gateway holds {bound} bytes of requests, its bound; send again later"))
}

enum Parts {
    /// Everything in one environment: the original message.
    One(Environment, Part),
    /// Both have some.
    Two(PerEnvironment<Part>),
}

/// Splits a request by what is routed as a whole. Nothing is allocated for a record, and nothing is locked.
fn split(
    running: &Running,
    snapshot: &Snapshot,
    signal: Signal,
    (message, tester): (&Bytes, Option<&Arc<str>>),
    now_us: u64,
) -> Result<Parts, Malformed> {
    let shared = &running.shared;
    let parts = if snapshot.candidate().is_none() && snapshot.table.pins == Pins::Keep {
        let (items, shown) = match signal {
            Signal::Traces => running.share.show_unrouted(message, &snapshot.table.key)?,
            Signal::Metrics | Signal::Logs => (0, Shown::Nothing),
        };
        let part = Part { signal, message: message.clone(), items, shown, packed: None, tried: None };
        Parts::One(snapshot.table.active, part)
    } else {
        let mut routing = Routing::new(running, snapshot, now_us);
        if let Some(testers) = &snapshot.testers {
            routing.assigned = testers.assigned(tester, signal == Signal::Traces, message);
        }
        let parts = with_splitter(message, |splitter| split_with(splitter, &mut routing, signal, message));
        // Decisions were made and kept, also where the rest of the message is malformed.
        add(&shared.counters.torn_traces, routing.torn);
        add(&shared.counters.pins_full, routing.full);
        add(&shared.counters.tester_traces, routing.let_in);
        add(&shared.counters.tester_traces_over, routing.over);
        parts?
    };
    let routed = match &parts {
        Parts::One(environment, part) => PerEnvironment::from_fn(|other| other == *environment && part.spans() > 0),
        Parts::Two(parts) => PerEnvironment::from_fn(|environment| parts[environment].spans() > 0),
    };
    for environment in Environment::BOTH.into_iter().filter(|environment| routed[*environment]) {
        shared.counters.routed(environment, now_us);
    }
    Ok(parts)
}

/// An environment's place among the pins.
fn place(environment: Environment) -> Place {
    match environment {
        Environment::Blue => 0,
        Environment::Green => 1,
    }
}

/// The environment that serves what is at a place: testers' places are green's.
fn environment_at(place: Place) -> Environment {
    if place == 0 { Environment::Blue } else { Environment::Green }
}

/// Testers' records in a split.
const TRIED: otlp::Part = 4;

/// A record's part in a split: its environment, and whether verification is shown it.
fn number(environment: Environment, shown: bool) -> otlp::Part {
    place(environment) << 1 | otlp::Part::from(shown)
}

fn split_with(
    splitter: &mut Splitter,
    routing: &mut Routing<'_>,
    signal: Signal,
    message: &Bytes,
) -> Result<Parts, Malformed> {
    splitter.scan(signal, message, |unit| routing.number(unit))?;
    let of = PerEnvironment::from_fn(|environment| [false, true].map(|shown| number(environment, shown)));
    let records = of.map(|numbers| numbers.map(|number| splitter.records(number)));
    let tried = splitter.records(TRIED);
    let others = records.blue.iter().chain(&records.green).sum::<u64>();
    let testers = routing.snapshot.testers.as_ref().filter(|_| tried > 0 && signal == Signal::Traces);
    let tried_traces = testers.map(|testers| testers.tried(&routing.tried));
    let mut part = |environment: Environment, whole: bool| {
        let [hidden, shown] = records[environment];
        let tried = if environment == Environment::Green { tried } else { 0 };
        let hidden = hidden + tried;
        let numbers: [otlp::Part; 2] = of[environment];
        let (bytes, packed) = if whole {
            (message.clone(), None)
        } else {
            let packed = Packed::prefixed(|bytes| {
                splitter.write(message, |number| numbers.contains(&number) || tried > 0 && number == TRIED, bytes)
            });
            (packed.message(), Some(packed))
        };
        let items = match signal {
            Signal::Traces | Signal::Logs => hidden + shown,
            Signal::Metrics if whole => 0,
            Signal::Metrics => count_items(signal, &bytes)?,
        };
        let shown = match (shown, hidden) {
            (0, _) => Shown::Nothing,
            (_, 0) => Shown::Spans(bytes.clone()),
            (_, _) => shown_of(splitter, message, (shown, hidden), |number| number == numbers[1]),
        };
        let tried = tried_traces.clone().filter(|_| tried > 0).and_then(|traces| {
            match shown_of(splitter, message, (tried, others), |number| number == TRIED) {
                Shown::Nothing => None,
                Shown::Spans(message) => Some(Tried { traces, message }),
            }
        });
        Ok(Part { signal, message: bytes, items, shown, packed, tried })
    };
    let mut counts = records.map(|[hidden, shown]| hidden + shown);
    counts.green += tried;
    Ok(match counts {
        PerEnvironment { blue: 0, green: 0 } => {
            let active = routing.snapshot.table.active;
            Parts::One(active, part(active, true)?)
        }
        PerEnvironment { blue: _, green: 0 } => Parts::One(Environment::Blue, part(Environment::Blue, true)?),
        PerEnvironment { blue: 0, green: _ } => Parts::One(Environment::Green, part(Environment::Green, true)?),
        PerEnvironment { .. } => Parts::Two(PerEnvironment {
            blue: part(Environment::Blue, false)?,
            green: part(Environment::Green, false)?,
        }),
    })
}

/// Decides for the records of one request, by one route table, at one time.
struct Routing<'a> {
    shared: &'a Shared,
    snapshot: &'a Snapshot,
    time: PinTime,
    now_us: u64,
    /// While a rollout runs, also at weight 0: the first shift must not tear what is in flight then.
    record: bool,
    /// The largest mark of a trace that is shown.
    ceiling: u64,
    torn: u64,
    full: u64,
    /// Whose the traces are, as far as the request says.
    assigned: Assigned,
    /// The testers' traces at green.
    tried: BTreeMap<TraceId, u8>,
    /// New ones of testers.
    let_in: u64,
    /// Those that the minute had no room for.
    over: u64,
}

impl Routing<'_> {
    fn new<'a>(running: &'a Running, snapshot: &'a Snapshot, now_us: u64) -> Routing<'a> {
        Routing {
            shared: &running.shared,
            snapshot,
            time: PinTime::new(now_us, snapshot.table.pin_ms),
            now_us,
            record: snapshot.candidate().is_some(),
            ceiling: running.share.ceiling(),
            torn: 0,
            full: 0,
            assigned: Assigned::Nobody,
            tried: BTreeMap::new(),
            let_in: 0,
            over: 0,
        }
    }

    fn number(&mut self, unit: Unit) -> otlp::Part {
        let table = &self.snapshot.table;
        match unit {
            Unit::Trace(trace) => {
                let mark = table.key.mark(trace);
                let place = self.place(trace, PinHash(mark));
                match place.checked_sub(FIRST_PLACE) {
                    None => number(environment_at(place), mark <= self.ceiling),
                    Some(tester) => {
                        self.tried.insert(trace, tester);
                        TRIED
                    }
                }
            }
            // A resource is never done, so a shift cannot wait for its end: its series change sides once.
            Unit::Resource(id) => number(table.environment(table.key.bucket(TraceId(id))), false),
        }
    }

    fn place(&mut self, trace: TraceId, hash: PinHash) -> Place {
        let table = &self.snapshot.table;
        let wanted = place(table.environment(table.key.bucket(trace)));
        match (self.record, table.pins) {
            (false, Pins::Keep) => return wanted,
            // A rollback that took the candidate away still tells what it tore.
            (true, Pins::Keep) | (_, Pins::Tear) => {}
        }
        match self.assigned.tester(trace).filter(|_| table.pins == Pins::Keep) {
            Some(tester) => self.let_in(hash, FIRST_PLACE + tester, wanted),
            None => self.settle(hash, wanted),
        }
    }

    /// A tester's trace goes to the tester's place, unless it began elsewhere, or the minute has had its share.
    fn let_in(&mut self, hash: PinHash, to: Place, wanted: Place) -> Place {
        let pins = &self.shared.pins;
        if pins.peek(hash, Some(self.time)).is_some() {
            return self.settle(hash, to);
        }
        if !self.shared.testers_minute.take(self.now_us) {
            self.over += 1;
            return self.settle(hash, wanted);
        }
        self.let_in += 1;
        match pins.settle(hash, to, Pins::Keep, self.time, self.record) {
            Settled::Pinned(place) => place,
            // Without a pin its other spans would not follow.
            Settled::Unpinned | Settled::Torn | Settled::Full => {
                self.full += 1;
                wanted
            }
        }
    }

    fn settle(&mut self, hash: PinHash, wanted: Place) -> Place {
        match self.shared.pins.settle(hash, wanted, self.snapshot.table.pins, self.time, self.record) {
            Settled::Pinned(place) => place,
            Settled::Unpinned => wanted,
            Settled::Torn => {
                self.torn += 1;
                wanted
            }
            Settled::Full => {
                self.full += 1;
                wanted
            }
        }
    }
}

/// Has a part served by its environment, or kept on the disk until that takes it.
async fn serve(
    running: &Arc<Running>,
    snapshot: &Arc<Snapshot>,
    environment: Environment,
    part: Part,
    timeout: Option<Duration>,
) -> Outcome {
    let spooling = &running.spooling;
    let patience = running.shared.limits.upstream.timeout();
    // Half of the client's time is left for the disk, so that it hears in time that its request was kept. Without a disk
    // nobody waits for the answer any more once its time is over.
    let patience = match (spooling.is_open(environment), timeout) {
        (true, Some(timeout)) => patience.min(PATIENCE).min(timeout / 2),
        (true, None) => patience.min(PATIENCE),
        (false, Some(timeout)) => patience.min(timeout),
        (false, None) => patience,
    };
    let outcome = if spooling.leaves_alone(environment) {
        refuse(running, snapshot, environment, Role::Serving, &part, format!("{environment} takes nothing now"))
    } else {
        attempt(running, snapshot, environment, Role::Serving, &part, patience).await
    };
    spooling.keep(running, environment, &part, outcome).await
}

/// Hands a part over to the environment that serves it, and has it mirrored if it was taken.
async fn attempt(
    running: &Arc<Running>,
    snapshot: &Arc<Snapshot>,
    environment: Environment,
    role: Role,
    part: &Part,
    patience: Duration,
) -> Outcome {
    let shared = &running.shared;
    let mut held = Held::none(&running.unanswered[environment]);
    let bound = shared.limits.environment_bytes();
    if !held.grow(part.message.len() as u64, bound) {
        let why = format!("{environment} has {bound} bytes of requests to answer already");
        return refuse(running, snapshot, environment, role, part, why);
    }
    let outcome = hand_over(running, snapshot, environment, role, part, patience).await;
    running.spooling.pressure[environment].note(&outcome, (running.clock)() / 1_000);
    shared.counters.served(environment, part.spans(), &outcome);
    let acknowledged = matches!(outcome, Outcome::Acknowledged(_));
    if let Some(Tried { traces, message }) = part.tried.clone().filter(|_| acknowledged) {
        let at_us = (running.clock)();
        let view = |message| View::Tried { traces, message, at_us };
        running.views.send(&shared.counters, &Shown::Spans(message), view);
    }
    let Some(candidate) = snapshot.candidate() else { return outcome };
    if acknowledged && snapshot.table.mirror && environment == snapshot.table.active && !part.message.is_empty() {
        mirror(running, snapshot, candidate, part.clone());
    }
    outcome
}

/// Hands nothing over to an environment that took nothing before, or has enough to answer; to verification that is a
/// refusal.
fn refuse(
    running: &Running,
    snapshot: &Snapshot,
    environment: Environment,
    role: Role,
    part: &Part,
    why: String,
) -> Outcome {
    let outcome = Outcome::unavailable(why);
    let counters = &running.shared.counters;
    counters.served(environment, part.spans(), &outcome);
    let now_us = (running.clock)();
    running.views.send(counters, &part.shown, |message| View::Sent {
        environment,
        role,
        message,
        handed_over_us: now_us,
        answered_us: now_us,
        outcome: outcome.clone(),
        generation: snapshot.table.generation,
    });
    outcome
}

/// Routes what waited on the disk by the route table of now, and says what became of each part. Without a route table
/// nothing can become of it.
pub(crate) async fn redeliver(
    running: &Arc<Running>,
    signal: Signal,
    message: Bytes,
) -> Option<Vec<(Environment, Part, Outcome)>> {
    let snapshot = running.shared.snapshot.load_full()?;
    let parts = match split(running, &snapshot, signal, (&message, None), (running.clock)()) {
        Ok(Parts::One(environment, part)) => vec![(environment, part)],
        Ok(Parts::Two(parts)) => vec![(Environment::Blue, parts.blue), (Environment::Green, parts.green)],
        Err(malformed) => {
            // It could be read when it came; a later table needs more of it.
            let active = snapshot.table.active;
            tracing::warn!(%malformed, "an entry of the spool goes whole to {active}");
            vec![(active, Part { signal, message, items: 0, shown: Shown::Nothing, packed: None, tried: None })]
        }
    };
    let patience = running.shared.limits.upstream.timeout();
    let attempts = parts.into_iter().map(async |(environment, part)| {
        let outcome = attempt(running, &snapshot, environment, Role::Redelivering, &part, patience).await;
        (environment, part, outcome)
    });
    Some(join_all(attempts).await)
}
