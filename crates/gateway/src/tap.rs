//! Taps: what comes out of a pipeline passes here, on its way to the back end or as a copy.

use crate::answer::{Answer, Outcome, combine};
use crate::receive::Message;
use crate::run::Running;
use crate::share::{Shown, show, show_those};
use crate::stats::{Held, add};
use crate::table::Snapshot;
use crate::testers::is_testers;
use crate::view::View;
use bytes::Bytes;
use http::StatusCode;
use otlp::reply::code;
use otlp::{Malformed, Signal, count_items};
use std::sync::Arc;

/// Takes one request of a pipeline: acknowledged when the back end behind the tap acknowledged it, or at once where
/// there is none. A refusal of the back end is passed on.
pub(crate) async fn deliver(
    running: Arc<Running>,
    tap: Arc<str>,
    signal: Signal,
    message: Message,
    _held: Held,
) -> Answer {
    // The pipeline's own deadline is its back end's to keep.
    let Message { message, packed, timeout: _, tester: _ } = message;
    let counters = &running.shared.counters;
    let at_us = (running.clock)();
    let snapshot = running.shared.snapshot.load_full();
    let (spans, shown) = match read(&running, snapshot.as_deref(), signal, &message) {
        Ok(read) => read,
        Err(malformed) => return Answer::refused(StatusCode::BAD_REQUEST, code::INVALID_ARGUMENT, malformed),
    };
    let tapped = snapshot.as_deref().and_then(|snapshot| Some((snapshot, snapshot.environment_of_tap(&tap)?)));
    let Some((snapshot, environment)) = tapped else {
        // A pipeline that no rollout watches must not fill its queue for it.
        add(&counters.tap_unassigned, 1);
        return combine([(spans, Outcome::TAKEN)]);
    };
    let outcome = match &snapshot.backends[environment] {
        Some(backend) => backend.export_packed(signal, message.clone(), packed).await,
        None => Outcome::TAKEN,
    };
    if matches!(outcome, Outcome::Acknowledged(_)) {
        counters.tapped(environment, spans);
        if signal == Signal::Traces
            && let Some(load) = running.shared.counting.load().as_deref()
        {
            load.count(environment, &message);
        }
        running.views.send(counters, &shown, |message| View::Out { environment, message, at_us });
    }
    combine([(spans, outcome)])
}

/// How many spans a request has, and what is shown of them. Metrics and logs pass unread.
fn read(
    running: &Running,
    snapshot: Option<&Snapshot>,
    signal: Signal,
    message: &Bytes,
) -> Result<(u64, Shown), Malformed> {
    if signal != Signal::Traces {
        return Ok((0, Shown::Nothing));
    }
    let Some(snapshot) = snapshot else { return Ok((count_items(signal, message)?, Shown::Nothing)) };
    if snapshot.testers.is_some() {
        // Verification was not shown that they went in.
        let (key, ceiling) = (&snapshot.table.key, running.share.ceiling());
        let is_shown = |mark: u64| mark <= ceiling && !is_testers(&running.shared.pins, mark);
        return show_those(message, key, is_shown);
    }
    match (snapshot.candidate(), running.share.ceiling()) {
        (None, _) => running.share.show_unrouted(message, &snapshot.table.key),
        (Some(_), u64::MAX) => Ok((count_items(signal, message)?, Shown::Spans(message.clone()))),
        (Some(_), ceiling) => show(message, &snapshot.table.key, ceiling),
    }
}
