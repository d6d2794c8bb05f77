//! The trace stores of a rollout's environments: who is asked for what, and what is told of it.
//!
//! Where an environment has no tap, what its store has is what came out: verification is told of hand-overs of a share of
//! the traces alone, chosen by hash and the same in both environments, and each of these is asked for. Verification is
//! told of a trace once, when that has been looked for often enough, or that nothing can be said of it: a store that is
//! down, or answers with anything but the trace or its absence, makes no span lost. Beside that traces are counted, for
//! the plan's metrics: how many were not whole when they should have settled, how many a search does not find.

use super::fact;
use super::parity::{Found, Parity};
use backends::{Conclusion, Look, Pursuit, SpanKey, Timing};
use control::{CountedMetric, Watching};
use gates::Patience;
use gates::backend::{Backend, Search, Stored, StoredTrace};
use model::{BasisPoints, Counters, Environment, Measurement, PerEnvironment, Reading, RouteKey, TraceId, UnixMillis};
use otlp::SpanView;
use rollout::plan::{STORE_MARGIN_MS, StoreCheck, StoreQuery};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc};
use verify::{Delivery, SpanFact, Verifier};

/// Traces of one environment that are looked for at once: 1 % of 1,000 a second for 335 s are 3,350. At some 100 bytes, and
/// 50 for each span, 20 spans of each are 22 MB.
const MAX_PURSUED: usize = 20_000;
/// Questions to one store at once.
const MAX_ASKED: usize = 8;
/// Searches at once, each in both stores.
const MAX_SEARCHES: usize = 4;
/// Searches that wait for their turn: all that settle within some seconds.
const MAX_WANTED: usize = 1_024;

const _: () = assert!(Timing::MARGIN_MS == STORE_MARGIN_MS, "plans are checked by what pursuits need");

/// `INTERNAL` of OTLP's SpanKind: what stores make of a span without a kind.
const INTERNAL: u8 = 1;

/// Both environments' stores.
pub(super) struct Stores {
    route_key: RouteKey,
    readers: PerEnvironment<Option<Reader>>,
    /// The largest mark of a trace that verification is told of.
    ceiling: u64,
    runtime: Handle,
    sender: mpsc::Sender<Answer>,
    answers: mpsc::Receiver<Answer>,
    counted: Vec<Counted>,
    parity: Parity,
    wanted: VecDeque<(TraceId, Search)>,
    searches: Arc<Semaphore>,
    patience: Patience,
}

/// One environment's.
struct Reader {
    /// `None` if it can never be asked: `failing` says why.
    backend: Option<Arc<Backend>>,
    pursuit: Pursuit,
    ceiling: u64,
    replaces_tap: bool,
    asked: Arc<Semaphore>,
    failing: Option<String>,
    settled: Counts,
}

#[derive(Clone, Copy, Default)]
struct Counts {
    total: u64,
    late: u64,
}

/// A metric, when it is to be told of again, and the failure that was told last.
struct Counted {
    metric: CountedMetric,
    due: UnixMillis,
    told: Option<String>,
}

enum Answer {
    Looked { environment: Environment, trace: TraceId, looked: Result<Stored, String> },
    Searched { found: PerEnvironment<Result<Found, String>> },
}

impl Stores {
    /// Those of the plan, if it has any. They are asked on `runtime`.
    pub(super) fn of(watching: &Watching, runtime: Handle) -> Option<Stores> {
        let reader = |environment: Environment| {
            let query = watching.queries[environment].as_ref()?;
            Some(Reader::of(query, environment, watching))
        };
        let readers = PerEnvironment::from_fn(reader);
        let present = || Environment::BOTH.into_iter().filter_map(|environment| readers[environment].as_ref());
        present().next()?;
        let instead = present().filter(|reader| reader.replaces_tap).map(|reader| reader.ceiling);
        let ceiling = instead.min().unwrap_or(u64::MAX);
        let (sender, answers) = mpsc::channel(2 * MAX_ASKED + MAX_SEARCHES);
        let counted = |metric: &CountedMetric| Counted { metric: metric.clone(), due: UnixMillis(0), told: None };
        Some(Stores {
            route_key: watching.route_key,
            readers,
            ceiling,
            runtime,
            sender,
            answers,
            counted: watching.counted.iter().map(counted).collect(),
            parity: Parity::default(),
            wanted: VecDeque::new(),
            searches: Arc::new(Semaphore::new(MAX_SEARCHES)),
            patience: patience(),
        })
    }

    /// The largest mark of a trace that verification is told of.
    pub(super) fn ceiling(&self) -> u64 {
        self.ceiling
    }

    /// Whether verification is told of a trace.
    pub(super) fn includes(&self, trace: TraceId) -> bool {
        self.ceiling == u64::MAX || self.route_key.mark(trace) <= self.ceiling
    }

    /// Whether an environment has no tap.
    pub(super) fn replaces_tap(&self, environment: Environment) -> bool {
        self.readers[environment].as_ref().is_some_and(|reader| reader.replaces_tap)
    }

    /// What is known of a span, as it can be compared with what a store says: a span without a kind becomes INTERNAL in
    /// most of them.
    pub(super) fn fact<'a>(&self, environment: Environment, span: &SpanView<'a>) -> SpanFact<'a> {
        let kind = if self.replaces_tap(environment) { known_kind(span.kind) } else { span.kind };
        SpanFact { kind, ..fact(span) }
    }

    /// A span was handed over. `false` if nothing will be known of its trace.
    pub(super) fn handed_over(
        &mut self,
        environment: Environment,
        at: UnixMillis,
        delivery: Delivery,
        fact: &SpanFact<'_>,
    ) -> bool {
        let Some(reader) = &mut self.readers[environment] else { return true };
        let awaited = match delivery {
            Delivery::Refused => return true,
            Delivery::Unknown | Delivery::Unanswered => None,
            Delivery::Acknowledged => Some((fact.span, known_kind(fact.kind))),
        };
        if reader.ceiling < u64::MAX && self.route_key.mark(fact.trace) > reader.ceiling {
            return true;
        }
        reader.pursuit.handed_over(fact.trace, at, awaited) || !reader.replaces_tap
    }

    /// Takes what was answered, asks what is due, and gives what is to be told of the metrics.
    pub(super) fn advance(&mut self, now: UnixMillis, verifier: &mut Verifier) -> Vec<(String, Measurement)> {
        while let Ok(answer) = self.answers.try_recv() {
            self.take(answer, now, verifier);
        }
        for environment in Environment::BOTH {
            let Some(reader) = &mut self.readers[environment] else { continue };
            for trace in reader.pursuit.advance(now) {
                if reader.replaces_tap {
                    verifier.leave_out(environment, trace, now);
                }
            }
            self.ask(environment, now);
        }
        self.search();
        self.measure(now)
    }

    /// Whether nobody asks anything.
    #[cfg(test)]
    fn is_idle(&self) -> bool {
        let idle = |environment: Environment| {
            self.readers[environment].as_ref().is_none_or(|reader| reader.asked.available_permits() == MAX_ASKED)
        };
        Environment::BOTH.into_iter().all(idle)
            && self.searches.available_permits() == MAX_SEARCHES
            && self.wanted.is_empty()
    }

    fn take(&mut self, answer: Answer, now: UnixMillis, verifier: &mut Verifier) {
        match answer {
            Answer::Looked { environment, trace, looked } => self.looked(environment, trace, looked, now, verifier),
            Answer::Searched { found } => {
                let mut decided = PerEnvironment { blue: Found::Unknown, green: Found::Unknown };
                for environment in Environment::BOTH {
                    let found = found[environment].clone();
                    if let Some(reader) = &mut self.readers[environment] {
                        decided[environment] = reader.heard(environment, found).unwrap_or(Found::Unknown);
                    }
                }
                self.parity.searched(decided);
            }
        }
    }

    fn looked(
        &mut self,
        environment: Environment,
        trace: TraceId,
        looked: Result<Stored, String>,
        now: UnixMillis,
        verifier: &mut Verifier,
    ) {
        let Some(reader) = &mut self.readers[environment] else { return };
        let stored = match reader.heard(environment, looked) {
            Some(Stored::Trace(stored)) => Some(stored),
            Some(Stored::Nothing) => None,
            None => {
                reader.conclude(environment, trace, (Look::Failed, None), now, verifier);
                return;
            }
        };
        let look = stored.as_ref().map_or(Look::Nothing, |stored| Look::There(keys(stored)));
        let is_whole = reader.conclude(environment, trace, (look, stored.as_ref()), now, verifier);
        if let Some(stored) = stored.filter(|_| is_whole)
            && self.counted.iter().any(|counted| counted.metric.check == StoreCheck::QueryParity)
            && let Some(search) = self.parity.stored(environment, trace, &stored)
        {
            // What does not fit is no unit.
            self.wanted.extend(Some((trace, search)).filter(|_| self.wanted.len() < MAX_WANTED));
            self.search();
        }
    }

    fn ask(&mut self, environment: Environment, now: UnixMillis) {
        let Some(reader) = &mut self.readers[environment] else { return };
        let Some(backend) = &reader.backend else { return };
        while let Ok(permit) = reader.asked.clone().try_acquire_owned() {
            let Some(trace) = reader.pursuit.next_look(now) else { return };
            let (backend, sender, patience) = (backend.clone(), self.sender.clone(), self.patience.clone());
            self.runtime.spawn(async move {
                let looked = backend.trace(trace, &patience).await.map_err(|error| error.to_string());
                // Nobody hears it if another rollout is watched by now.
                let _ = sender.send(Answer::Looked { environment, trace, looked }).await;
                drop(permit);
            });
        }
    }

    /// Makes the searches whose turn has come, each in both stores.
    fn search(&mut self) {
        let backend = |environment: Environment| self.readers[environment].as_ref()?.backend.clone();
        let (Some(blue), Some(green)) = (backend(Environment::Blue), backend(Environment::Green)) else { return };
        while let Ok(permit) = self.searches.clone().try_acquire_owned() {
            let Some((trace, search)) = self.wanted.pop_front() else { return };
            let (blue, green) = (blue.clone(), green.clone());
            let (sender, patience) = (self.sender.clone(), self.patience.clone());
            self.runtime.spawn(async move {
                let blue = find(&blue, trace, &search, &patience).await;
                let green = find(&green, trace, &search, &patience).await;
                let _ = sender.send(Answer::Searched { found: PerEnvironment { blue, green } }).await;
                drop(permit);
            });
        }
    }

    fn measure(&mut self, now: UnixMillis) -> Vec<(String, Measurement)> {
        let readers = || Environment::BOTH.into_iter().filter_map(|environment| self.readers[environment].as_ref());
        let failing = readers().find_map(|reader| reader.failing.clone());
        let settled = |environment: Environment| {
            let Counts { total, late } =
                self.readers[environment].as_ref().map_or_else(Counts::default, |it| it.settled);
            Counters { events: late as f64, total: total as f64 }
        };
        let freshness = Reading { at: now, counters: PerEnvironment::from_fn(settled) };
        let mut told = Vec::new();
        for counted in self.counted.iter_mut().filter(|counted| counted.due <= now) {
            counted.due = now.plus_ms(counted.metric.every_ms);
            let before = std::mem::replace(&mut counted.told, failing.clone());
            let measurement = match &failing {
                // Once for each reason, so that a store which is away for days does not fill the ledger.
                Some(_) if before == failing => continue,
                Some(reason) => Measurement::failed(reason),
                None => Measurement::Read(match counted.metric.check {
                    StoreCheck::Freshness => freshness,
                    StoreCheck::QueryParity => self.parity.reading(now),
                }),
            };
            told.push((counted.metric.metric.clone(), measurement));
        }
        told
    }
}

impl Reader {
    fn of(query: &StoreQuery, environment: Environment, watching: &Watching) -> Reader {
        let (backend, failing) = match control::trace_store(query) {
            Ok(backend) => (Some(Arc::new(backend)), None),
            Err(error) => (None, Some(error.to_string())),
        };
        if let Some(reason) = &failing {
            tracing::warn!(%environment, reason, "the trace store cannot be asked, so nothing is said of its traces");
        }
        let timing = Timing {
            settle_ms: query.settle_ms,
            gather_ms: watching.linger_ms,
            // Beside a tap nothing is looked for but whether it is there in time.
            horizon_ms: if query.replaces_tap { watching.horizon_ms } else { 0 },
        };
        Reader {
            backend,
            pursuit: Pursuit::new(timing, MAX_PURSUED),
            ceiling: ceiling(query.share),
            replaces_tap: query.replaces_tap,
            asked: Arc::new(Semaphore::new(MAX_ASKED)),
            failing,
            settled: Counts::default(),
        }
    }

    /// What was answered, if it is an answer; whether the store fails is said once for each reason.
    fn heard<T>(&mut self, environment: Environment, answer: Result<T, String>) -> Option<T> {
        match answer {
            Ok(answer) => {
                if self.failing.take().is_some() {
                    tracing::info!(%environment, "the trace store answers again");
                }
                Some(answer)
            }
            Err(reason) => {
                if self.failing.as_ref() != Some(&reason) {
                    tracing::warn!(%environment, reason, "the trace store fails, so nothing is said of its traces");
                    self.failing = Some(reason);
                }
                None
            }
        }
    }

    /// Tells what became of a trace, if that is known now. Whether the trace was looked for often enough.
    fn conclude(
        &mut self,
        environment: Environment,
        trace: TraceId,
        (look, stored): (Look, Option<&StoredTrace>),
        now: UnixMillis,
        verifier: &mut Verifier,
    ) -> bool {
        let (settled, seen) = match self.pursuit.looked(trace, now, look) {
            Conclusion::GoesOn => return false,
            Conclusion::LeftOut => {
                if self.replaces_tap {
                    verifier.leave_out(environment, trace, now);
                }
                return false;
            }
            Conclusion::Whole { settled, seen } => (settled, seen),
        };
        self.settled.total += u64::from(settled.is_some());
        self.settled.late += u64::from(settled == Some(false));
        if let Some(stored) = stored.filter(|_| self.replaces_tap) {
            stored.for_each(|span| {
                let at_us = seen.get(&key(span)).copied().unwrap_or(now.0.saturating_mul(1_000));
                verifier.out(environment, at_us, &SpanFact { kind: known_kind(span.kind), ..fact(span) });
            });
        }
        true
    }
}

async fn find(backend: &Backend, trace: TraceId, search: &Search, patience: &Patience) -> Result<Found, String> {
    let found = backend.search(search, patience).await;
    found.map(|ids| Found::of(trace, &ids)).map_err(|error| error.to_string())
}

fn key(span: &SpanView<'_>) -> SpanKey {
    (span.span_id, known_kind(span.kind))
}

fn keys(stored: &StoredTrace) -> Vec<SpanKey> {
    let mut keys = Vec::new();
    stored.for_each(|span| keys.push(key(span)));
    keys
}

fn known_kind(kind: u8) -> u8 {
    kind.max(INTERNAL)
}

/// The largest mark of so many of all traces.
fn ceiling(share: BasisPoints) -> u64 {
    match share {
        BasisPoints::ALL => u64::MAX,
        share => u64::MAX / u64::from(BasisPoints::ALL.get()) * u64::from(share.get()),
    }
}

/// Three attempts of 5 s with pauses of 1 and 2 s: 18 s, of the 20 s that a pursuit waits.
fn patience() -> Patience {
    Patience { attempt: Duration::from_secs(5), pauses: [1, 2].map(Duration::from_secs).to_vec() }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
#[path = "../../tests/it/trace_store.rs"]
mod trace_store;
