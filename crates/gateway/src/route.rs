//! Where a request goes: whole traces to blue or green, the original bytes wherever one environment gets all of them.

use crate::answer::{Answer, Outcome, combine};
use crate::client::Packed;
use crate::hand_over::hand_over;
use crate::mirror::mirror;
use crate::pins::{PinHash, PinTime, Settled};
use crate::receive::Message;
use crate::run::{Running, Shared};
use crate::stats::{Held, add};
use crate::table::Snapshot;
use crate::view::Role;
use bytes::Bytes;
use http::StatusCode;
use model::{Environment, PerEnvironment, Pins, TraceId};
use otlp::reply::code;
use otlp::{Malformed, Signal, Splitter};
use std::cell::RefCell;
use std::sync::Arc;

/// A message larger than this gets a splitter of its own, which goes with it: scratch memory is at most 12 times its
/// message, so what a thread keeps is at most 12 MiB.
const MAX_KEPT_SCRATCH_BYTES: usize = 1 << 20;

thread_local! {
    static SPLITTER: RefCell<Splitter> = RefCell::default();
}

/// One environment's share of a request.
pub(crate) struct Part {
    pub(crate) message: Bytes,
    pub(crate) spans: u64,
    /// The whole request in the compressed form in which it came, if this is all of it.
    pub(crate) packed: Option<Packed>,
}

/// Routes one request, forwards it, and says what the client is told: acknowledged only when every environment that
/// serves a part of it acknowledged that.
pub(crate) async fn deliver(running: Arc<Running>, signal: Signal, message: Message, mut held: Held) -> Answer {
    let Message { message, packed } = message;
    let shared = &running.shared;
    let Some(snapshot) = shared.snapshot.load_full() else {
        return combine([(0, Outcome::unavailable("the gateway has no route table yet".to_owned()))]);
    };
    if signal != Signal::Traces {
        let part = Part { message, spans: 0, packed };
        return combine([(0, serve(&running, &snapshot, signal, snapshot.table.active, part).await)]);
    }
    let now_us = (running.clock)();
    let parts = match split(shared, &snapshot, &message, now_us) {
        Ok(parts) => parts,
        Err(malformed) => return Answer::refused(StatusCode::BAD_REQUEST, code::INVALID_ARGUMENT, malformed),
    };
    match parts {
        Parts::One(environment, spans) => {
            let part = Part { message, spans, packed };
            combine([(spans, serve(&running, &snapshot, signal, environment, part).await)])
        }
        Parts::Two(parts) => {
            let copied = parts.blue.message.len() + parts.green.message.len();
            if !held.grow(copied as u64, shared.limits.max_inflight_bytes) {
                return overloaded(shared);
            }
            let PerEnvironment { blue, green } = parts.map(|part| (part.spans, part));
            let (sent_blue, sent_green) = tokio::join!(
                serve(&running, &snapshot, signal, Environment::Blue, blue.1),
                serve(&running, &snapshot, signal, Environment::Green, green.1),
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
    /// All spans, and how many, in one environment: the original message.
    One(Environment, u64),
    /// Both have spans.
    Two(PerEnvironment<Part>),
}

/// Splits a request by trace. Nothing is allocated for a span, and nothing is locked.
fn split(shared: &Shared, snapshot: &Snapshot, message: &Bytes, now_us: u64) -> Result<Parts, Malformed> {
    let mut routing = Routing::new(shared, snapshot, now_us);
    let parts = if message.len() > MAX_KEPT_SCRATCH_BYTES {
        split_with(&mut Splitter::default(), &mut routing, message)
    } else {
        SPLITTER.with_borrow_mut(|splitter| split_with(splitter, &mut routing, message))
    };
    // Decisions were made and kept, also where the rest of the message is malformed.
    add(&shared.counters.torn_traces, routing.torn);
    add(&shared.counters.pins_full, routing.full);
    let parts = parts?;
    let routed = match &parts {
        Parts::One(environment, spans) => PerEnvironment::from_fn(|other| other == *environment && *spans > 0),
        Parts::Two(_) => PerEnvironment { blue: true, green: true },
    };
    for environment in Environment::BOTH.into_iter().filter(|environment| routed[*environment]) {
        shared.counters.routed(environment, now_us);
    }
    Ok(parts)
}

fn split_with(splitter: &mut Splitter, routing: &mut Routing<'_>, message: &Bytes) -> Result<Parts, Malformed> {
    let spans = splitter.scan(message, |trace| routing.environment(trace))?;
    Ok(match (spans.blue, spans.green) {
        (0, 0) => Parts::One(routing.snapshot.table.active, 0),
        (blue, 0) => Parts::One(Environment::Blue, blue),
        (0, green) => Parts::One(Environment::Green, green),
        (_, _) => Parts::Two(PerEnvironment::from_fn(|environment| {
            let mut part = Vec::new();
            splitter.write(message, environment, &mut part);
            Part { message: part.into(), spans: spans[environment], packed: None }
        })),
    })
}

/// Decides for the traces of one request, by one route table, at one time.
struct Routing<'a> {
    shared: &'a Shared,
    snapshot: &'a Snapshot,
    time: PinTime,
    /// While a rollout runs, also at weight 0: the first shift must not tear what is in flight then.
    record: bool,
    torn: u64,
    full: u64,
}

impl Routing<'_> {
    fn new<'a>(shared: &'a Shared, snapshot: &'a Snapshot, now_us: u64) -> Routing<'a> {
        let time = PinTime::new(now_us, snapshot.table.pin_ms);
        Routing { shared, snapshot, time, record: snapshot.candidate().is_some(), torn: 0, full: 0 }
    }

    fn environment(&mut self, trace: TraceId) -> Environment {
        let table = &self.snapshot.table;
        let wanted = table.environment(table.key.bucket(trace));
        match (self.record, table.pins) {
            (false, Pins::Keep) => return wanted,
            // A rollback that took the candidate away still tells what it tore.
            (true, Pins::Keep) | (_, Pins::Tear) => {}
        }
        let trace = PinHash::new(&table.key, trace);
        match self.shared.pins.settle(trace, wanted, table.pins, self.time, self.record) {
            Settled::Pinned(environment) => environment,
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

/// Hands a part over to the environment that serves it, and has it mirrored if it was taken.
async fn serve(
    running: &Arc<Running>,
    snapshot: &Arc<Snapshot>,
    signal: Signal,
    environment: Environment,
    part: Part,
) -> Outcome {
    let outcome = hand_over(running, snapshot, environment, Role::Serving, signal, &part).await;
    running.shared.counters.served(environment, part.spans, &outcome);
    let (Signal::Traces, Some(candidate)) = (signal, snapshot.candidate()) else { return outcome };
    let acknowledged = matches!(outcome, Outcome::Acknowledged(_));
    if acknowledged && snapshot.table.mirror && environment == snapshot.table.active && part.spans > 0 {
        mirror(running, snapshot, candidate, part);
    }
    outcome
}
