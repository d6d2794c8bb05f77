//! The endpoints of one environment: which of them gets a trace, and which are passed over for a while.
//!
//! Every trace has a score with every endpoint, and goes to the highest (rendezvous hashing: Thaler and Ravishankar,
//! *Using Name-Based Mappings to Increase Hit Rates*, IEEE/ACM Transactions on Networking 6(1), 1998). So a set that
//! changes moves the traces of the endpoint that left, or of the one that came, and no others; and every gateway with the
//! same set chooses alike. A trace in flight stays where it began, also at an endpoint that leaves, for as long as it is
//! pinned.
//!
//! An endpoint without a connection is passed over, and so is one that failed again and again (outlier ejection, as Envoy
//! has it), until it takes an empty export. What was not sent at all goes to another endpoint at once.

use crate::answer::{Outcome, join};
use crate::client::{NotSent, OtlpClient, Packed};
use crate::pins::{PLACES, PinHash, PinTable, PinTime, Place, Settled};
use crate::share::with_splitter;
use bytes::Bytes;
use futures_util::future::join_all;
use model::{Pins, TraceId};
use otlp::reply::code;
use otlp::{Signal, Unit, count_items};
use siphasher::sip::SipHasher13;
use std::hash::Hasher;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::Semaphore;

const _: () = assert!(model::MAX_ENDPOINTS * 2 <= PLACES, "as many again may be leaving, each at a place of its own");

/// Requests at one endpoint at once. The OpenTelemetry Collector's exporter has 10 consumers by default; at 1 s an answer
/// this is 1,024 requests a second, and what is beyond waits where it is not lost.
const MAX_REQUESTS: usize = 1_024;

/// Failures one after the other for which an endpoint is ejected, as in Envoy.
const FAILURES: u32 = 5;

/// The first wait before an ejected endpoint is tried, doubled each time up to the longest.
const FIRST_TRIAL: Duration = Duration::from_secs(1);
const LONGEST_TRIAL: Duration = Duration::from_secs(30);

/// How long the answer to a trial is waited for: longer than an endpoint that is well takes.
const TRIAL_TIMEOUT: Duration = Duration::from_secs(5);

/// A set of places, one bit each.
type Places = u16;

const _: () = assert!(PLACES <= Places::BITS as usize, "every place has a bit");

/// One request on its way to an environment.
#[derive(Clone, Debug)]
pub(crate) struct Export {
    pub(crate) signal: Signal,
    pub(crate) message: Bytes,
    /// The compressed form in which it came, if this is all of what came.
    pub(crate) packed: Option<Packed>,
    /// When, for the pins of its traces.
    pub(crate) time: PinTime,
    /// How long each answer is waited for.
    pub(crate) patience: Duration,
}

/// The endpoints of one environment.
pub(crate) struct Pool {
    places: [Slot; PLACES],
    /// Where traces in flight began; none where there is one endpoint.
    pins: Option<Arc<PinTable>>,
}

#[derive(Default)]
enum Slot {
    #[default]
    Empty,
    Member(Arc<Endpoint>),
    /// No longer of the set: it gets the traces that began there, until their pins have expired.
    Leaving(Weak<Endpoint>),
}

struct Endpoint {
    client: OtlpClient,
    /// What scores are made with.
    seed: u64,
    turns: Semaphore,
    failures: AtomicU32,
    ejected: AtomicBool,
}

/// How an endpoint is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndpointState {
    /// It gets its traces.
    Up,
    /// There is no connection to it.
    Down,
    /// It failed again and again, and is tried from time to time.
    Ejected,
}

impl EndpointState {
    /// `up`, `down` or `ejected`.
    pub fn name(self) -> &'static str {
        match self {
            EndpointState::Up => "up",
            EndpointState::Down => "down",
            EndpointState::Ejected => "ejected",
        }
    }
}

impl Pool {
    /// A pool of a client for each of these endpoints, at most [`model::MAX_ENDPOINTS`] and all different. Clients of `before`
    /// are kept; those that are not among them keep the traces that they have for `pin` longer.
    pub(crate) fn new<'e, E>(
        before: Option<&Pool>,
        endpoints: impl IntoIterator<Item = &'e str>,
        make: impl Fn(&str) -> Result<OtlpClient, E>,
        (pin_slots, pin): (usize, Duration),
    ) -> Result<Pool, E> {
        let mut places: [Slot; PLACES] = std::array::from_fn(|_| Slot::Empty);
        let mut new = Vec::new();
        for endpoint in endpoints {
            match before.and_then(|before| before.members().find(|(_, member)| member.client.endpoint() == endpoint)) {
                Some((place, member)) => places[usize::from(place)] = Slot::Member(Arc::clone(member)),
                None => new.push(make(endpoint)?),
            }
        }
        for (place, endpoint) in before.into_iter().flat_map(Pool::members) {
            if let slot @ Slot::Empty = &mut places[usize::from(place)] {
                *slot = Slot::Leaving(Arc::downgrade(endpoint));
                let endpoint = Arc::clone(endpoint);
                tokio::spawn(async move {
                    tokio::time::sleep(pin).await;
                    drop(endpoint);
                });
            }
        }
        for client in new {
            // Half of the places at most are members' of before, and half are enough for all.
            if let Some(free) = places.iter_mut().find(|slot| matches!(slot, Slot::Empty)) {
                *free = Slot::Member(Arc::new(Endpoint::new(client)));
            }
        }
        let mut pool = Pool { places, pins: before.and_then(|before| before.pins.clone()) };
        if pool.members().count() > 1 && pool.pins.is_none() {
            pool.pins = Some(Arc::new(PinTable::new(pin_slots)));
        }
        Ok(pool)
    }

    /// Whether this pool has just these endpoints, all different.
    pub(crate) fn is_of<'e>(&self, endpoints: impl IntoIterator<Item = &'e str>) -> bool {
        let mut wanted: Vec<&str> = endpoints.into_iter().collect();
        let mut members: Vec<&str> = self.members().map(|(_, member)| member.client.endpoint()).collect();
        wanted.sort_unstable();
        members.sort_unstable();
        wanted == members
    }

    /// The endpoints, and how they are.
    pub(crate) fn states(&self) -> Vec<(String, EndpointState)> {
        self.members().map(|(_, endpoint)| (endpoint.client.endpoint().to_owned(), endpoint.state())).collect()
    }

    /// Exports one request, each trace to its endpoint. See [`OtlpClient::export`].
    pub(crate) async fn export(&self, export: Export) -> Outcome {
        self.export_except(export, 0).await
    }

    /// Sends one trace's request to the best endpoint for it, without a turn, a pin, or a note of what becomes of it.
    pub(crate) async fn plant(&self, trace: TraceId, message: Bytes, patience: Duration) -> Outcome {
        let Some(endpoint) = self.endpoint(self.best(score_base(&trace), self.usable(), 0)) else {
            return Outcome::unavailable("the environment has no endpoint".to_owned());
        };
        let planted = endpoint.client.try_export(Signal::Traces, message, None, patience).await;
        planted.unwrap_or_else(|NotSent(reason)| Outcome::unavailable(reason))
    }

    /// The same without the places in `except`, one bit each.
    async fn export_except(&self, export: Export, except: Places) -> Outcome {
        let parts = self.split(&export, except);
        let [(place, _)] = &parts[..] else {
            let exports = parts.into_iter().map(async |(place, message)| {
                let part = Export { message, packed: None, ..export.clone() };
                let outcome = self.export_at(place, part.clone(), except).await;
                let refused_for_good = matches!(&outcome, Outcome::Refused(status) if !status.is_retryable());
                // Asked for only where it is told to the client.
                let count = || count_items(part.signal, &part.message).unwrap_or_default();
                (if refused_for_good { count() } else { 0 }, outcome)
            });
            return join(join_all(exports).await);
        };
        self.export_at(*place, export, except).await
    }

    async fn export_at(&self, place: Place, export: Export, except: Places) -> Outcome {
        let Some(endpoint) = self.endpoint(place) else {
            return Outcome::unavailable("the environment has no endpoint".to_owned());
        };
        let Ok(_turn) = endpoint.turns.try_acquire() else {
            let address = endpoint.client.endpoint();
            return Outcome::unavailable(format!("{address} has {MAX_REQUESTS} requests to answer already"));
        };
        let Export { signal, message, packed, patience, .. } = export.clone();
        match endpoint.client.try_export(signal, message, packed, patience).await {
            Ok(outcome) => {
                self.note(&endpoint, is_failure(&outcome));
                outcome
            }
            Err(NotSent(reason)) => {
                self.note(&endpoint, true);
                let except = except | 1 << place;
                let others = self.members().any(|(other, _)| except & 1 << other == 0);
                if !others {
                    return Outcome::unavailable(reason);
                }
                // One fewer each time, so this ends.
                Box::pin(self.export_except(export, except)).await
            }
        }
    }

    /// Which part of a message goes to which place. A message that cannot be read goes whole to the first: what it is
    /// worth is the endpoint's to say.
    fn split(&self, export: &Export, except: Places) -> Vec<(Place, Bytes)> {
        let message = &export.message;
        let mut members = self.members();
        let first = members.next().map_or(0, |(place, _)| place);
        if members.next().is_none() {
            return vec![(first, message.clone())];
        }
        // Asked once a request and not once a trace: it looks at every connection.
        let usable = self.usable() & !except;
        with_splitter(message, |splitter| {
            let scanned = splitter.scan(export.signal, message, |unit| match unit {
                Unit::Trace(trace) => self.place(score_base(&trace), export.time, usable, except),
                Unit::Resource(id) => self.place(score_base(&TraceId(id)), export.time, usable, except),
            });
            let places: Vec<Place> = splitter.parts().collect();
            match (scanned, &places[..]) {
                (Err(_), _) | (Ok(()), []) => vec![(self.best(0, usable, except), message.clone())],
                (Ok(()), [only]) => vec![(*only, message.clone())],
                (Ok(()), several) => {
                    let part = |place: &Place| {
                        let mut part = Vec::new();
                        splitter.write(message, |other| other == *place, &mut part);
                        (*place, part.into())
                    };
                    several.iter().map(part).collect()
                }
            }
        })
    }

    /// Where a trace goes: where it began if that can be, else to the best endpoint.
    fn place(&self, base: u64, time: PinTime, usable: Places, except: Places) -> Place {
        let best = self.best(base, usable, except);
        let Some(pins) = &self.pins else { return best };
        match pins.settle(PinHash(base), best, Pins::Keep, time, true) {
            Settled::Pinned(place) if place == best || usable & 1 << place != 0 => place,
            Settled::Pinned(_) => {
                pins.settle(PinHash(base), best, Pins::Tear, time, true);
                best
            }
            Settled::Torn | Settled::Unpinned | Settled::Full => best,
        }
    }

    /// The usable member with the highest score; if none is usable, of all.
    fn best(&self, base: u64, usable: Places, except: Places) -> Place {
        let scored = |(place, endpoint): (Place, &Arc<Endpoint>)| {
            let bit = 1 << place;
            (usable & bit != 0, except & bit == 0, mix(base ^ endpoint.seed), place)
        };
        self.members().map(scored).max().map_or(0, |(_, _, _, place)| place)
    }

    /// The places whose endpoints are up, those that leave among them.
    fn usable(&self) -> Places {
        let is_usable = |place: &Place| self.endpoint(*place).is_some_and(|it| it.state() == EndpointState::Up);
        (0..PLACES as Place).filter(is_usable).fold(0, |usable, place| usable | 1 << place)
    }

    fn endpoint(&self, place: Place) -> Option<Arc<Endpoint>> {
        match &self.places[usize::from(place)] {
            Slot::Empty => None,
            Slot::Member(endpoint) => Some(Arc::clone(endpoint)),
            Slot::Leaving(endpoint) => endpoint.upgrade(),
        }
    }

    fn members(&self) -> impl Iterator<Item = (Place, &Arc<Endpoint>)> {
        (0..).zip(&self.places).filter_map(|(place, slot)| match slot {
            Slot::Member(endpoint) => Some((place, endpoint)),
            Slot::Empty | Slot::Leaving(_) => None,
        })
    }

    /// Counts failures one after the other, and ejects an endpoint that has too many: never more than half of them, for
    /// if most fail, it is not they who are the exception.
    fn note(&self, endpoint: &Arc<Endpoint>, failed: bool) {
        if !failed {
            endpoint.failures.store(0, Relaxed);
            return;
        }
        let failures = endpoint.failures.fetch_add(1, Relaxed).saturating_add(1);
        let ejected = self.members().filter(|(_, member)| member.ejected.load(Relaxed)).count();
        if failures < FAILURES || ejected >= self.members().count() / 2 || endpoint.ejected.swap(true, Relaxed) {
            return;
        }
        tracing::warn!(endpoint = endpoint.client.endpoint(), failures, "endpoint ejected");
        tokio::spawn(try_again(Arc::downgrade(endpoint)));
    }
}

impl Endpoint {
    fn new(client: OtlpClient) -> Endpoint {
        let mut hasher = SipHasher13::new();
        hasher.write(client.endpoint().as_bytes());
        let turns = Semaphore::new(MAX_REQUESTS);
        Endpoint { client, seed: hasher.finish(), turns, failures: AtomicU32::new(0), ejected: AtomicBool::new(false) }
    }

    fn state(&self) -> EndpointState {
        match (self.client.is_down(), self.ejected.load(Relaxed)) {
            (true, _) => EndpointState::Down,
            (false, true) => EndpointState::Ejected,
            (false, false) => EndpointState::Up,
        }
    }
}

/// Whether an answer, or its absence, speaks against the endpoint, and not against the request or its number.
fn is_failure(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Acknowledged(_) => false,
        Outcome::Unknown { .. } => true,
        Outcome::Refused(status) => matches!(status.code, code::UNAVAILABLE | code::INTERNAL | code::UNKNOWN),
    }
}

/// Sends an ejected endpoint empty exports, which OTLP allows, until it takes one, or nobody has it any more.
async fn try_again(endpoint: Weak<Endpoint>) {
    let mut wait = FIRST_TRIAL;
    loop {
        tokio::time::sleep(wait).await;
        let Some(endpoint) = endpoint.upgrade() else { return };
        if let Ok(outcome) = endpoint.client.try_export(Signal::Traces, Bytes::new(), None, TRIAL_TIMEOUT).await
            && !is_failure(&outcome)
        {
            endpoint.failures.store(0, Relaxed);
            endpoint.ejected.store(false, Relaxed);
            tracing::info!(endpoint = endpoint.client.endpoint(), "endpoint takes requests again");
            return;
        }
        wait = (wait * 2).min(LONGEST_TRIAL);
    }
}

/// A hash of what is routed that is the same in every gateway. Without a key: whoever chooses trace ids for one endpoint
/// overloads that alone, and it is bounded.
fn score_base(trace: &TraceId) -> u64 {
    let mut hasher = SipHasher13::new();
    hasher.write(&trace.0);
    hasher.finish()
}

/// The finaliser of SplitMix64 (Steele, Lea and Flood, *Fast Splittable Pseudorandom Number Generators*, OOPSLA 2014).
fn mix(seed: u64) -> u64 {
    let first = (seed ^ seed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let second = (first ^ first >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    second ^ second >> 31
}

#[cfg(test)]
mod tests;
