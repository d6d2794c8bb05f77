//! Learning from what passes which transformations explain it, for somebody who asked for it and hears of it: one at a
//! time, for a bounded time, on the thread that verifies, so that it never blocks traffic either (invariant 5).
//!
//! It needs no rollout: while it goes on, and no rollout does, views are made for its sake.

use super::{delivery, fact};
use crate::clock;
use crate::describe::thousands;
use crate::learned::{Told, unexplained};
use control::Watching;
use gateway::{View, ViewShare};
use model::{BasisPoints, Environment, RouteKey, RouteTable, ShortDuration, UnixMillis};
use otlp::for_each_span;
use rollout::Principal;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use verify::{Least, LiveConfig, LiveLearner, Watched};
use web::{LearnError, LearnRequest};

/// Spans that are followed at once, those that came out already among them: at some 50 bytes 20 MB. With a horizon of 200 s,
/// and two for a trace of one span, 1,000 a second.
const MAX_SPANS: usize = 400_000;
/// Bytes of those that wait for their other side, about 1 kB each without their values: 60,000 spans, 30 s of 2,000 a second.
const MAX_BYTES: usize = 64 << 20;
/// Of the spans a second that verification may join, learning takes this part: each costs more here, for its keys are kept.
const PART_OF_RATE: u64 = 4;
/// How often is told what was learned so far.
const TELL_MS: u64 = 1_000;

/// Asks the thread that verifies to learn.
#[derive(Clone)]
pub struct Learning {
    asks: mpsc::Sender<Asked>,
    place: Arc<Semaphore>,
    told: Arc<Mutex<Value>>,
    table: watch::Receiver<Arc<RouteTable>>,
    watching: watch::Receiver<Option<Watching>>,
    alone: watch::Receiver<bool>,
}

/// The other end of it.
pub(super) struct Lessons {
    asked: mpsc::Receiver<Asked>,
    table: watch::Receiver<Arc<RouteTable>>,
    max_rate: u64,
    current: Option<Lesson>,
}

/// What was asked for, and where the answers go.
pub(super) struct Asked {
    request: LearnRequest,
    environment: Environment,
    tap: String,
    answers: watch::Sender<Value>,
    shown: Shown,
    _place: OwnedSemaphorePermit,
}

/// What the status says of it; nothing when it is over.
struct Shown(Arc<Mutex<Value>>);

impl Shown {
    fn set(&self, value: Value) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = value;
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        self.set(Value::Null);
    }
}

impl Learning {
    /// Both ends. Nothing is learned until this process is `alone`.
    pub fn new(
        table: watch::Receiver<Arc<RouteTable>>,
        watching: watch::Receiver<Option<Watching>>,
        alone: watch::Receiver<bool>,
    ) -> (Learning, Taught) {
        let (asks, asked) = mpsc::channel(1);
        let (place, told) = (Arc::new(Semaphore::new(1)), Arc::default());
        let taught = Taught { asked, table: table.clone() };
        (Learning { asks, place, told, table, watching, alone }, taught)
    }

    /// Begins to learn. Ends when nobody hears the answers any more.
    pub fn begin(&self, request: LearnRequest, by: &Principal) -> Result<watch::Receiver<Value>, LearnError> {
        let table = self.table.borrow().clone();
        let environment = request.environment.unwrap_or(table.active);
        let Some(upstream) = &table.upstreams[environment] else {
            return Err(LearnError::NotThere { environment, active: table.active });
        };
        let reads_store =
            |watching: &Watching| watching.queries[environment].as_ref().is_some_and(|query| query.replaces_tap);
        if self.watching.borrow().as_ref().is_some_and(reads_store) {
            return Err(LearnError::NoTap { environment });
        }
        if !*self.alone.borrow() {
            return Err(LearnError::NotAlone);
        }
        let place = self.place.clone().try_acquire_owned().map_err(|_| LearnError::Busy)?;
        let (answers, answered) = watch::channel(Value::Null);
        let (shown, tap) = (Shown(self.told.clone()), upstream.tap.clone());
        let asked = Asked { request, environment, tap, answers, shown, _place: place };
        // There is room for whoever has the place.
        self.asks.try_send(asked).map_err(|_| LearnError::Stopped)?;
        let time = ShortDuration(request.for_ms);
        tracing::info!(%environment, by = by.name, "learns for {time} what the pipeline changes");
        Ok(answered)
    }

    /// What is being learned, for the status.
    pub fn status(&self) -> Value {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What the thread that verifies needs for it.
pub struct Taught {
    asked: mpsc::Receiver<Asked>,
    table: watch::Receiver<Arc<RouteTable>>,
}

/// One that goes on.
struct Lesson {
    asked: Asked,
    learner: LiveLearner,
    until: UnixMillis,
    tell_at: UnixMillis,
}

impl Lessons {
    /// `max_rate` is what verification may join a second.
    pub(super) fn new(taught: Taught, max_rate: u64) -> Lessons {
        let Taught { asked, table } = taught;
        Lessons { asked, table, max_rate: (max_rate / PART_OF_RATE).max(1), current: None }
    }

    /// What somebody asks for next.
    pub(super) async fn asked(&mut self) -> Asked {
        match self.asked.recv().await {
            Some(asked) => asked,
            // Nobody can ask any more.
            None => std::future::pending().await,
        }
    }

    pub(super) fn begin(&mut self, asked: Asked, now: UnixMillis) {
        let LearnRequest { environment: _, for_ms, horizon_ms, least_share, least_spans } = asked.request;
        let config = LiveConfig {
            least: Least { share: least_share, count: least_spans },
            horizon_ms,
            max_spans: MAX_SPANS,
            max_bytes: MAX_BYTES,
            max_rate: self.max_rate,
            key: clock::random(),
        };
        let learner = LiveLearner::new(config, self.table.borrow().key, now);
        self.current = Some(Lesson { asked, learner, until: now.plus_ms(for_ms), tell_at: now });
    }

    pub(super) fn take(&mut self, view: &View) {
        if let Some(lesson) = &mut self.current {
            lesson.take(view, self.table.borrow().key);
        }
    }

    /// Tells what was learned, if it is time; the last time when all is over.
    pub(super) fn advance(&mut self, now: UnixMillis) {
        let Some(lesson) = &mut self.current else { return };
        if lesson.asked.answers.is_closed() {
            tracing::info!(environment = %lesson.asked.environment, "nobody hears any more what is learned");
            self.current = None;
            return;
        }
        lesson.learner.advance(now);
        let is_over = now >= lesson.until;
        if is_over || now >= lesson.tell_at {
            lesson.tell_at = now.plus_ms(TELL_MS);
            lesson.tell(now);
        }
        if is_over {
            self.current = None;
        }
    }

    /// Has the views show what is needed: what verification says while a rollout is watched, and otherwise what is learned
    /// from, if anything is.
    pub(super) fn show(&mut self, share: &ViewShare, verified: Option<u64>, now: UnixMillis) {
        let table = &mut self.table;
        let ceiling = self.current.as_mut().map_or(verified.unwrap_or(u64::MAX), |lesson| {
            let ceiling = verified.unwrap_or(lesson.learner.ceiling());
            // Before any view is made so.
            lesson.learner.shown(table.borrow_and_update().key, ceiling, now);
            ceiling
        });
        share.set(ceiling);
        share.show_always(self.current.is_some());
    }
}

impl Lesson {
    fn take(&mut self, view: &View, route_key: RouteKey) {
        let (learner, ours) = (&mut self.learner, self.asked.environment);
        let read = match view {
            View::Sent { environment, message, handed_over_us, outcome, .. } if *environment == ours => {
                let (delivery, at) = (delivery(outcome), UnixMillis(handed_over_us / 1_000));
                for_each_span(message, |span| learner.sent(delivery, at, &fact(span)))
            }
            View::Unanswered { environment, message, handed_over_us, .. } if *environment == ours => {
                let at = UnixMillis(handed_over_us / 1_000);
                for_each_span(message, |span| learner.sent(verify::Delivery::Unanswered, at, &fact(span)))
            }
            View::Out { environment, message, at_us } if *environment == ours => {
                let at = UnixMillis(at_us / 1_000);
                // What a rollout plants is not among what was sent.
                for_each_span(message, |span| {
                    if !route_key.is_canary(span.trace_id) {
                        learner.out(at, &fact(span));
                    }
                })
            }
            View::NotMirrored { environment, message } if *environment == ours => {
                let now = clock::now();
                for_each_span(message, |span| learner.leave_out(span.trace_id, now))
            }
            View::Missed { .. } => {
                learner.missed(clock::now());
                Ok(())
            }
            View::Sent { .. }
            | View::Unanswered { .. }
            | View::Out { .. }
            | View::NotMirrored { .. }
            | View::Tried { .. } => Ok(()),
        };
        if let Err(error) = read {
            tracing::debug!("a message that passed cannot be learned from whole: {error}");
        }
    }

    fn tell(&self, now: UnixMillis) {
        let (learned, watched) = (self.learner.learned(), self.learner.watched());
        let horizon = ShortDuration(self.asked.request.horizon_ms);
        let told = Told { learned: &learned, notes: notes(&watched, horizon) };
        let Watched { sent, out, compared, lost, unsent, traces, left_out, awaited, gaps, share } = watched;
        let known = json!({
            "environment": self.asked.environment,
            "tap": self.asked.tap,
            "leftMs": self.until.since_ms(now),
            "spans": { "sent": sent, "out": out, "compared": compared, "lost": lost, "unsent": unsent },
            "traces": { "settled": traces, "awaited": awaited, "leftOut": left_out },
            "gaps": gaps,
            "share": share.to_string(),
            "isWhole": share == BasisPoints::ALL && left_out == 0,
            "isOver": now >= self.until,
        });
        let mut answer = told.json();
        if let (Value::Object(answer), Value::Object(known)) = (&mut answer, known.clone()) {
            answer.extend(known);
        }
        self.asked.shown.set(known);
        self.asked.answers.send_replace(answer);
    }
}

/// What a person must know who reviews it.
fn notes(watched: &Watched, horizon: ShortDuration) -> Vec<String> {
    let Watched { lost, unsent, traces, left_out, awaited, gaps, share, .. } = *watched;
    let mut notes = unexplained(lost, unsent);
    let mut note = |is_so: bool, text: String| notes.extend(is_so.then_some(text));
    let is_known = traces > 0;
    note(
        !is_known,
        format!("Nothing is known of what does not come out: no trace had waited for the horizon of {horizon}."),
    );
    note(
        is_known && awaited > 0,
        format!("{} traces may still come out: nothing is said of what is missing of them.", thousands(awaited)),
    );
    let missed = if gaps > 0 { format!(" ({} times it could not look)", thousands(gaps)) } else { String::new() };
    note(left_out > 0, format!("{} traces were left out, of which not all was seen{missed}.", thousands(left_out)));
    note(
        share < BasisPoints::ALL,
        format!("Only {share} of the traces were looked at, chosen by hash: there were more than can be followed."),
    );
    notes
}

#[cfg(test)]
mod tests;
