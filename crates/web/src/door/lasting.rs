//! Answers that go on (a page's live view, what is learned or recorded): they end when what somebody showed ends.
//!
//! The door looks at whoever asks; such an answer would outlive that look by hours. So nothing of it goes out that was not
//! looked at again, and a quiet one is looked at every few seconds: signed out, idle for too long, an access token or a
//! certificate that is over, a name or a role that the configuration does not have any more.

use super::{Door, Identity};
use access::Action;
use axum::body::{Body, HttpBody as _};
use axum::response::Response;
use futures_util::{StreamExt as _, stream};
use model::UnixMillis;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Interval, MissedTickBehavior, interval};

/// How long an answer in which nothing comes stays open after its end: 512 connections make 100 looks a second, at a
/// microsecond each.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(5);

/// What somebody showed with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shown {
    /// Whom it names.
    pub(super) identity: Identity,
    /// How long it counts.
    pub(super) until: Until,
}

/// How long what was shown counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Until {
    /// As long as the session of this key; asking does not use it.
    Session([u8; 32]),
    /// Until then.
    At(UnixMillis),
    /// As long as the process.
    Stop,
}

impl Door {
    /// Whether whoever showed this still may.
    fn still(&self, shown: &Shown, action: Option<Action>) -> bool {
        let now = (self.way.clock)();
        let counts = match &shown.until {
            Until::Session(key) => self.sessions.holds(key, now),
            Until::At(end) => now < *end,
            Until::Stop => true,
        };
        counts && self.principal(&shown.identity).is_some_and(|caller| action.is_none_or(|action| caller.may(action)))
    }
}

/// An answer whose length is not known goes on only while it may; every other is whole already.
pub(super) fn lasting(door: Arc<Door>, shown: Shown, action: Option<Action>, response: Response) -> Response {
    if response.body().size_hint().exact().is_some() {
        return response;
    }
    response.map(|body| {
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let first = Going { data: body.into_data_stream(), looks, door, shown, action };
        Body::from_stream(stream::unfold(first, async |mut going| {
            let next = going.next().await?;
            Some((next, going))
        }))
    })
}

struct Going {
    data: axum::body::BodyDataStream,
    looks: Interval,
    door: Arc<Door>,
    shown: Shown,
    action: Option<Action>,
}

impl Going {
    async fn next(&mut self) -> Option<Result<bytes::Bytes, axum::Error>> {
        loop {
            let next = tokio::select! {
                biased;
                _ = self.looks.tick() => None,
                next = self.data.next() => Some(next?),
            };
            if !self.door.still(&self.shown, self.action) {
                return None;
            }
            if next.is_some() {
                return next;
            }
        }
    }
}
