//! From what passes the gateway to observations: a thread of its own, so that verification never blocks traffic
//! (invariant 5). What comes out of an environment without a tap is read from its trace store ([`stores`]).

mod callees;
mod calls;
mod canaries;
mod leaks;
mod learning;
mod meant;
mod parity;
mod stores;
mod trying;

pub use callees::SeenCallees;
pub use calls::Calls;
pub use learning::{Learning, Taught};

use crate::clock;
use callees::Callees;
use canaries::Canaries;
use control::{Handle, Input, Watching};
use gateway::{Gateway, Outcome, Role, View, ViewShare};
use leaks::Leaks;
use learning::Lessons;
use model::{Environment, SpanId, TraceId, UnixMillis};
use otlp::for_each_span;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use stores::Stores;
use tokio::sync::{mpsc, oneshot, watch};
use trying::Trying;
use verify::{Config, Delivery, SpanFact, Status, Verifier};

/// Views that wait for verification; the gateway bounds their bytes as well.
pub const MAX_VIEWS: usize = 8_192;
/// Spans that are followed at once: with 104 bytes and their part of a trace each 80 MB. For three times as many there is
/// room once they came out as they were sent: that is 5,000 spans/s for the default horizon of 335 s, and 25,000 for one of
/// 60 s; beyond, a share of the traces is verified.
const MAX_SPANS: usize = 600_000;

/// Spans that are joined in a second for each core, those that were sent and those that came out: at some 1.7 us each 3.4 %
/// of all cores, so that the traffic keeps the rest.
const MAX_RATE_PER_CORE: u64 = 20_000;
/// How often batches are looked at.
const TICK: Duration = Duration::from_millis(50);
/// Traces whose evidence is held for a verdict; an observation names at most 90, of at most 300 KiB each.
const MAX_EXAMPLES: usize = 384;
/// Views that are read before the time is looked at.
const MAX_VIEWS_AT_ONCE: usize = 32;
/// How long views gather before they are read: to be woken for each costs the thread that sends it more than all else
/// about it. At 600 MB/s of views, far above what is followed, 3 MB.
const GATHER: Duration = Duration::from_millis(5);

/// What was sent and what came out of the traces that findings name, the newest last.
#[derive(Clone, Default)]
pub struct Examples(Arc<Mutex<VecDeque<(TraceId, serde_json::Value)>>>);

impl Examples {
    /// What is known of a trace.
    pub fn of(&self, trace: TraceId) -> Option<serde_json::Value> {
        let kept = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        kept.iter().rev().find(|(id, _)| *id == trace).map(|(_, example)| example.clone())
    }

    fn keep(&self, trace: TraceId, example: serde_json::Value) {
        let mut kept = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        kept.retain(|(id, _)| *id != trace);
        if kept.len() >= MAX_EXAMPLES {
            kept.pop_front();
        }
        kept.push_back((trace, example));
    }
}

/// Starts the thread. It begins when `alone` is true: while the process before this one still serves, traffic passes
/// there that is not seen here. It ends when the gateway has gone and with it the views, and then `ended` does.
pub fn spawn(
    views: mpsc::Receiver<View>,
    watching: watch::Receiver<Option<Watching>>,
    handle: Handle,
    (examples, seen, calls): (Examples, SeenCallees, Calls),
    (gateway, share): (Gateway, Arc<ViewShare>),
    alone: watch::Receiver<bool>,
    taught: Taught,
) -> std::io::Result<oneshot::Receiver<Infallible>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let (ending, ended) = oneshot::channel();
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
    let max_rate = MAX_RATE_PER_CORE * cores;
    // Stores are asked where the traffic is served: this thread may wait for nobody.
    let asking = tokio::runtime::Handle::current();
    std::thread::Builder::new().name("verify".to_owned()).spawn(move || {
        let (current, stores, canaries, leaks, callees) = (None, None, None, None, None);
        let lessons = Lessons::new(taught, max_rate);
        let observer = Observer {
            views,
            watching,
            handle,
            examples,
            gateway,
            share,
            alone,
            current,
            stores,
            canaries,
            leaks,
            callees,
            seen,
            calls,
            trying: Trying::default(),
            asking,
            max_rate,
            lessons,
        };
        runtime.block_on(observer.run());
        drop(ending);
    })?;
    Ok(ended)
}

struct Observer {
    views: mpsc::Receiver<View>,
    watching: watch::Receiver<Option<Watching>>,
    handle: Handle,
    examples: Examples,
    gateway: Gateway,
    share: Arc<ViewShare>,
    alone: watch::Receiver<bool>,
    current: Option<(Watching, Verifier)>,
    /// The trace stores of the rollout that is watched, if its plan has any.
    stores: Option<Stores>,
    /// Its canaries, if it has any planted.
    canaries: Option<Canaries>,
    /// The search for sensitive values, if its plan has it.
    leaks: Option<Leaks>,
    /// Whom its services call, if its plan asks.
    callees: Option<Callees>,
    seen: SeenCallees,
    /// What came out of the calls between services.
    calls: Calls,
    /// What its testers had at green.
    trying: Trying,
    asking: tokio::runtime::Handle,
    max_rate: u64,
    lessons: Lessons,
}

impl Observer {
    async fn run(mut self) {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut views = Vec::with_capacity(MAX_VIEWS_AT_ONCE);
        loop {
            self.follow_rollout();
            tokio::select! {
                count = self.views.recv_many(&mut views, MAX_VIEWS_AT_ONCE) => {
                    if count == 0 {
                        // What is complete is told, also at the end.
                        return self.advance(clock::now()).await;
                    }
                    // A batch may only be closed over what was read: while views wait, time is theirs, not the clock's.
                    let mut read_until = None;
                    for view in views.drain(..) {
                        read_until = time_of(&view).or(read_until);
                        self.take(&view);
                    }
                    match read_until {
                        Some(at) if !self.views.is_empty() => self.advance(at).await,
                        _ => tokio::time::sleep(GATHER).await,
                    }
                }
                asked = self.lessons.asked() => {
                    self.lessons.begin(asked, clock::now());
                    self.show();
                }
                _ = ticks.tick() => {
                    if self.views.is_empty() {
                        self.advance(clock::now()).await;
                    }
                }
            }
        }
    }

    /// Each rollout has a verifier of its own: it knows nothing of traces before.
    fn follow_rollout(&mut self) {
        let wanted = if *self.alone.borrow() { self.watching.borrow_and_update().clone() } else { None };
        if self.current.as_ref().map(|(watching, _)| watching) == wanted.as_ref() {
            return;
        }
        self.stores = wanted.as_ref().and_then(|watching| Stores::of(watching, self.asking.clone()));
        let canaries =
            |watching: &Watching| Canaries::of(watching, &self.gateway, self.asking.clone(), clock::random::<8>);
        self.canaries = wanted.as_ref().and_then(canaries);
        self.leaks = wanted.as_ref().and_then(|watching| Leaks::of(watching, clock::random(), clock::now()));
        let callees = |watching: &Watching| Callees::of(watching, &self.seen, clock::random(), clock::now());
        self.callees = wanted.as_ref().and_then(callees);
        self.trying = Trying::default();
        self.current = wanted.map(|watching| {
            let config = Config {
                batch_ms: watching.batch_ms,
                linger_ms: watching.linger_ms,
                horizon_ms: watching.horizon_ms,
                max_spans: MAX_SPANS,
                max_rate: self.max_rate,
                key: clock::random(),
                route_key: watching.route_key,
            };
            let meant = meant::meant(&watching);
            let verifier = Verifier::new(config, clock::now()).with(meant);
            let verifier = if watching.times_services { verifier.with_service_times() } else { verifier };
            self.calls.begin(&watching, &verifier, clock::now());
            (watching, verifier)
        });
        self.show();
    }

    /// Has the views show what is followed.
    fn show(&mut self) {
        let stores = self.stores.as_ref().map_or(u64::MAX, Stores::ceiling);
        let verified = self.current.as_ref().map(|(_, verifier)| verifier.ceiling().min(stores));
        self.lessons.show(&self.share, verified, clock::now());
    }

    fn take(&mut self, view: &View) {
        self.lessons.take(view);
        let Some((watching, verifier)) = &mut self.current else { return };
        let (stores, canaries, trying) = (&mut self.stores, &mut self.canaries, &mut self.trying);
        let read = match view {
            View::Sent { environment, role, message, handed_over_us, outcome, .. } => {
                let (delivery, at_us) = (delivery(outcome), *handed_over_us);
                let handed_over = HandedOver { environment: *environment, role: *role, delivery, at_us };
                let mut callees = self.callees.as_mut().filter(|_| *role == Role::Serving);
                for_each_span(message, |span| {
                    if let Some(callees) = &mut callees {
                        callees.take(*environment, span, UnixMillis(at_us / 1_000));
                    }
                    handed_over.tell(verifier, stores.as_mut(), span);
                })
            }
            View::Unanswered { environment, role, message, handed_over_us, .. } => {
                let (role, delivery, at_us) = (*role, Delivery::Unanswered, *handed_over_us);
                let handed_over = HandedOver { environment: *environment, role, delivery, at_us };
                for_each_span(message, |span| handed_over.tell(verifier, stores.as_mut(), span))
            }
            View::NotMirrored { environment, message } => {
                let now = clock::now();
                let is_looked_at = |trace| stores.as_ref().is_none_or(|stores| stores.includes(trace));
                for_each_span(message, |span| {
                    if is_looked_at(span.trace_id) {
                        verifier.leave_out(*environment, span.trace_id, now);
                    }
                })
            }
            // What comes out there was not all that came out: the plan names no tap of this environment.
            View::Out { environment, .. }
                if stores.as_ref().is_some_and(|stores| stores.replaces_tap(*environment)) =>
            {
                Ok(())
            }
            View::Out { environment, message, at_us } => {
                let mut canary_spans: Vec<(TraceId, SpanId)> = Vec::new();
                let key = watching.route_key;
                let read = for_each_span(message, |span| match canaries {
                    Some(canaries) if canaries.include(span.trace_id) => {
                        canary_spans.push((span.trace_id, span.span_id));
                    }
                    Some(_) | None if trying.include(span.trace_id) => {}
                    // Nobody sent it through here: the load gate did, and the tap counts it.
                    Some(_) | None if watching.sends_load && key.is_load(span.trace_id) => {}
                    Some(_) | None => verifier.out(*environment, *at_us, &fact(span)),
                });
                if let (Some(leaks), Ok(())) = (&mut self.leaks, &read) {
                    leaks.came_out(*environment, message);
                }
                if let Some(canaries) = canaries {
                    canaries.came_out(*environment, &canary_spans, message);
                }
                read
            }
            View::Tried { traces, message, at_us } => trying.take(traces, message, UnixMillis(at_us / 1_000)),
            View::Missed { .. } => {
                verifier.missed(clock::now());
                Ok(())
            }
        };
        if let Err(error) = read {
            tracing::debug!("a message that passed cannot be read whole: {error}");
        }
    }

    async fn advance(&mut self, now: UnixMillis) {
        self.lessons.advance(now);
        let Some((watching, verifier)) = &mut self.current else { return self.show() };
        if let Some(stores) = &mut self.stores {
            // Before batches are closed over what the stores have answered.
            for (metric, measurement) in stores.advance(clock::now(), verifier) {
                let rollout = watching.rollout.clone();
                self.handle.tell(Input::Measured { rollout, metric, measurement }).await;
            }
        }
        for (tester, traces) in self.trying.advance() {
            let rollout = watching.rollout.clone();
            self.handle.tell(Input::Tried { rollout, tester, traces }).await;
        }
        let observations = verifier.advance(now);
        // Before the controller hears of them: what it decides may be the end of this rollout.
        if !observations.is_empty() {
            self.calls.show(watching, verifier, clock::now());
        }
        let ceiling = verifier.ceiling().min(self.stores.as_ref().map_or(u64::MAX, Stores::ceiling));
        self.lessons.show(&self.share, Some(ceiling), clock::now());
        if let Some(callees) = &mut self.callees {
            callees.advance(clock::now());
        }
        if let Some(canaries) = &mut self.canaries {
            for canary in canaries.advance(now, ceiling) {
                let rollout = watching.rollout.clone();
                self.handle.tell(Input::CanaryFollowed { rollout, canary: Box::new(canary) }).await;
            }
        }
        for search in self.leaks.as_mut().map(|leaks| leaks.advance(clock::now())).unwrap_or_default() {
            let rollout = watching.rollout.clone();
            self.handle.tell(Input::LeaksSearched { rollout, search: Box::new(search) }).await;
        }
        for observation in observations {
            let found = observation.findings.iter().filter_map(|finding| finding.example);
            let unseen = observation.blind_spots.iter().filter_map(|spot| spot.example);
            let slowest = Environment::BOTH.into_iter().filter_map(|it| Some(observation.arms[it].slowest?.trace));
            let slow = observation.operations.iter().filter_map(|operation| Some(operation.slowest?.trace));
            let in_services = observation.services.iter().filter_map(|times| Some(times.slowest?.trace));
            for trace in found.chain(unseen).chain(slowest).chain(slow).chain(in_services) {
                let seen = Environment::BOTH.map(|environment| verifier.example(environment, trace));
                let seen: Vec<_> = seen.into_iter().flatten().collect();
                match serde_json::to_value(&seen) {
                    Ok(example) if !seen.is_empty() => self.examples.keep(trace, example),
                    Ok(_) => {}
                    Err(error) => tracing::error!("an example cannot be written: {error}"),
                }
            }
            let rollout = watching.rollout.clone();
            self.handle.tell(Input::Observed { rollout, observation: Box::new(observation) }).await;
        }
    }
}

fn time_of(view: &View) -> Option<UnixMillis> {
    match view {
        View::Sent { answered_us, .. } => Some(UnixMillis(answered_us / 1_000)),
        // It is told later than that; a time that is too early closes nothing too early.
        View::Unanswered { handed_over_us, .. } => Some(UnixMillis(handed_over_us / 1_000)),
        View::Out { at_us, .. } | View::Tried { at_us, .. } => Some(UnixMillis(at_us / 1_000)),
        View::NotMirrored { .. } | View::Missed { .. } => None,
    }
}

/// What became of a hand-over, as verification takes it.
fn delivery(outcome: &Outcome) -> Delivery {
    match outcome {
        Outcome::Acknowledged(partial) if partial.rejected == 0 => Delivery::Acknowledged,
        // A partial success does not say which spans were rejected.
        Outcome::Acknowledged(_) | Outcome::Unknown { .. } => Delivery::Unknown,
        Outcome::Refused(_) => Delivery::Refused,
    }
}

/// What is the same of all spans of a request that was handed to an environment.
struct HandedOver {
    environment: Environment,
    role: Role,
    delivery: Delivery,
    at_us: u64,
}

impl HandedOver {
    fn tell(&self, verifier: &mut Verifier, stores: Option<&mut Stores>, span: &otlp::SpanView<'_>) {
        let HandedOver { environment, role, delivery, at_us } = *self;
        let Some(stores) = stores else {
            return telling(role)(verifier, environment, delivery, at_us, &fact(span));
        };
        if !stores.includes(span.trace_id) {
            return;
        }
        let fact = stores.fact(environment, span);
        telling(role)(verifier, environment, delivery, at_us, &fact);
        let at = UnixMillis(at_us / 1_000);
        if !stores.handed_over(environment, at, delivery, &fact) {
            verifier.leave_out(environment, span.trace_id, at);
        }
    }
}

/// How verification is told of a hand-over.
fn telling(role: Role) -> fn(&mut Verifier, Environment, Delivery, u64, &SpanFact<'_>) {
    match role {
        Role::Serving | Role::Mirrored => Verifier::sent,
        Role::Redelivering => Verifier::redelivered,
    }
}

/// What verification reads of a span.
pub(crate) fn fact<'a>(span: &otlp::SpanView<'a>) -> SpanFact<'a> {
    SpanFact {
        trace: span.trace_id,
        span: span.span_id,
        parent: span.parent_span_id,
        kind: span.kind,
        service: span.service,
        operation: span.name,
        start_ns: span.start_unix_ns,
        end_ns: span.end_unix_ns,
        status: Status { code: span.status.code, message: span.status.message },
        trace_state: span.trace_state,
        flags: span.flags,
        attributes: span.attributes,
        events: span.events,
        links: span.links,
        dropped: span.dropped,
        scope: [span.scope.name, span.scope.version, span.scope.schema_url],
        resource: span.resource,
    }
}

#[cfg(test)]
mod tests;
