//! What changes on a rollout's page while it is open, as server-sent events (WHATWG HTML, section 9.2).
//!
//! One task for each rollout that somebody watches draws its fragments, at most twice a second, and all viewers send the
//! same bytes: a viewer more costs a write. Nobody watches, and the task ends.

use super::over_time;
use super::rollout::{fragments, is_over};
use crate::api::learning::Stops;
use crate::api::problem::Problem;
use crate::site::Served;
use crate::{Api, Caller};
use access::Action;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use control::Handle;
use control::rollout::{Report, RolloutId, TimelineReport};
use futures_util::stream;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// A change shows within this.
const DRAW_EVERY: Duration = Duration::from_millis(500);
/// The plots are drawn each so many-eth time, every five seconds: they are most of the page's bytes.
const PLOT_EACH: u64 = 10;
/// Something is sent at least as often, so that a connection which is gone is found out.
const QUIET_LIMIT: Duration = Duration::from_secs(20);
/// Viewers of all rollouts at once: each holds a connection and some 2 kB, and its share of the bytes is a pointer.
const MAX_VIEWERS: usize = 1_000;
/// Rollouts that are watched at once. One runs at a time, and those that ended say so and are left.
const MAX_WATCHED: usize = 8;

/// The rollouts that somebody watches. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Live {
    watched: Arc<Mutex<BTreeMap<RolloutId, watch::Sender<Drawn>>>>,
}

/// What all viewers send.
#[derive(Clone, Default)]
struct Drawn {
    /// Counts up; 0 before anything is drawn.
    sequence: u64,
    /// All fragments, as one event.
    all: Bytes,
    /// Those that changed since the one before.
    changed: Bytes,
    /// Whether nothing comes any more.
    over: bool,
}

pub(super) fn router() -> Router<Served> {
    Router::new().route("/rollouts/{rollout}/events", get(events)).layer(Extension(Live::default()))
}

impl Live {
    /// What is drawn of this rollout from here on; none when there are too many viewers.
    fn follow(&self, handle: &Handle, rollout: RolloutId) -> Option<watch::Receiver<Drawn>> {
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        let viewers: usize = watched.values().map(watch::Sender::receiver_count).sum();
        let known = watched.get(&rollout).map(watch::Sender::subscribe);
        if viewers >= MAX_VIEWERS || (known.is_none() && watched.len() >= MAX_WATCHED) {
            return None;
        }
        Some(known.unwrap_or_else(|| {
            let sender = watch::Sender::new(Drawn::default());
            let receiver = sender.subscribe();
            watched.insert(rollout.clone(), sender);
            tokio::spawn(self.clone().draw(handle.clone(), rollout));
            receiver
        }))
    }

    /// Draws until nobody watches, or nothing changes any more.
    async fn draw(self, handle: Handle, rollout: RolloutId) {
        let mut before: Vec<Fragment> = Vec::new();
        let mut plots = None;
        for turn in 0u64.. {
            let report = handle.report(Some(rollout.clone())).await;
            let timeline = handle.timeline(Some(rollout.clone())).await;
            let over = report.as_deref().is_none_or(is_over);
            if let Some(report) = report.as_deref().filter(|_| over || turn % PLOT_EACH == 0) {
                plots = Some(("over-time", over_time::plots(report, timeline.as_deref()).into_string()));
            }
            let drawn = report.as_deref().map(|report| drawn(report, timeline.as_deref()));
            let now: Vec<Fragment> = drawn.into_iter().flatten().chain(plots.clone()).collect();
            if !self.show(&rollout, (&before, &now), over) {
                return;
            }
            before = now;
            tokio::time::sleep(DRAW_EVERY).await;
        }
    }

    /// Gives all viewers what is new. `false` if there is nobody any more, or nothing to come: then the rollout is left, and
    /// whoever has a receiver still sees what came last.
    fn show(&self, rollout: &RolloutId, (before, now): (&[Fragment], &[Fragment]), over: bool) -> bool {
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(sender) = watched.get(rollout) else { return false };
        if now != before || over {
            let changed = event(now.iter().filter(|fragment| !before.contains(fragment)));
            sender.send_modify(|drawn| {
                *drawn = Drawn { sequence: drawn.sequence + 1, all: event(now.iter()), changed, over };
            });
        }
        let goes_on = !over && sender.receiver_count() > 0;
        if !goes_on {
            watched.remove(rollout);
        }
        goes_on
    }
}

/// A part of the page, by its id.
type Fragment = (&'static str, String);

fn drawn(report: &Report, timeline: Option<&TimelineReport>) -> Vec<Fragment> {
    fragments(report, timeline).into_iter().map(|(id, fragment)| (id, fragment.into_string())).collect()
}

/// Fragments as one event: each line of the data begins anew, and a carriage return would end a line too.
fn event<'f>(fragments: impl Iterator<Item = &'f Fragment>) -> Bytes {
    let mut event = String::from("event: change\n");
    for line in fragments.flat_map(|(_, fragment)| fragment.split(['\n', '\r'])) {
        event.extend(["data: ", line, "\n"]);
    }
    event.push('\n');
    Bytes::from(event)
}

async fn events(
    State(api): State<Api>,
    State(Stops(stops)): State<Stops>,
    Extension(live): Extension<Live>,
    caller: Caller,
    Path(rollout): Path<String>,
) -> Result<Response, Problem> {
    caller.to(Action::SeeRollouts)?;
    super::rollout::found(&api, &rollout).await?;
    let drawn = live.follow(&api.handle, RolloutId(rollout)).ok_or_else(|| {
        let detail = "as many look at rollouts as can at once: reload the page instead";
        Problem::new("unavailable", StatusCode::SERVICE_UNAVAILABLE, detail)
    })?;
    let first = Viewer { drawn, stops, seen: 0, over: false };
    let events = stream::unfold(first, async |mut viewer| {
        let bytes = viewer.next().await?;
        Some((Ok::<_, Infallible>(bytes), viewer))
    });
    let headers = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store")];
    Ok((headers, Body::from_stream(events)).into_response())
}

/// One open page.
struct Viewer {
    drawn: watch::Receiver<Drawn>,
    stops: watch::Receiver<bool>,
    seen: u64,
    over: bool,
}

impl Viewer {
    /// What is to be sent next; none when it is over, or the server stops.
    async fn next(&mut self) -> Option<Bytes> {
        if self.over {
            return None;
        }
        let seen = self.seen;
        let drawn = tokio::select! {
            biased;
            _ = self.stops.wait_for(|stops| *stops) => return None,
            drawn = self.drawn.wait_for(|drawn| drawn.sequence > seen) => drawn.ok()?.clone(),
            () = tokio::time::sleep(QUIET_LIMIT) => return Some(Bytes::from_static(b": nothing changed\n\n")),
        };
        let next = if drawn.sequence == seen + 1 && seen > 0 { drawn.changed } else { drawn.all };
        (self.seen, self.over) = (drawn.sequence, drawn.over);
        match drawn.over {
            true => Some(Bytes::from([&next[..], b"event: over\ndata: over\n\n"].concat())),
            false => Some(next),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_lines_stay_data() {
        let fragment = ("standing", "<p>a\nevent: over\r\rdata: b</p>".to_owned());
        let event = event([fragment].iter());
        let text = std::str::from_utf8(&event).unwrap();
        assert_eq!(text, "event: change\ndata: <p>a\ndata: event: over\ndata: \ndata: data: b</p>\n\n");
    }

    #[test]
    fn what_is_over_is_left_and_its_last_bytes_stay() {
        let live = Live::default();
        let rollout = RolloutId("r.1".to_owned());
        let sender = watch::Sender::new(Drawn::default());
        let receiver = sender.subscribe();
        live.watched.lock().unwrap().insert(rollout.clone(), sender);
        let one = [("steps", "1".to_owned()), ("traffic", "2".to_owned())];
        assert!(live.show(&rollout, (&[], &one), false));
        let two = [("steps", "1".to_owned()), ("traffic", "3".to_owned())];
        assert!(live.show(&rollout, (&one, &two), false));
        assert_eq!(receiver.borrow().changed, "event: change\ndata: 3\n\n");
        assert!(live.show(&rollout, (&two, &two), false));
        assert_eq!(receiver.borrow().sequence, 2);
        assert!(!live.show(&rollout, (&two, &two), true));
        assert!(receiver.borrow().over && live.watched.lock().unwrap().is_empty());
    }
}
