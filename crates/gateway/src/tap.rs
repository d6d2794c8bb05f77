//! Taps: what comes out of a pipeline passes here, on its way to the back end or as a copy.

use crate::answer::{Answer, Outcome, combine};
use crate::receive::Message;
use crate::run::Running;
use crate::stats::{Held, add};
use crate::view::View;
use http::StatusCode;
use otlp::reply::code;
use otlp::{Signal, count_items};
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
    let Message { message, packed } = message;
    let counters = &running.shared.counters;
    let at_us = (running.clock)();
    let spans = match signal {
        Signal::Traces => match count_items(signal, &message) {
            Ok(spans) => spans,
            Err(malformed) => return Answer::refused(StatusCode::BAD_REQUEST, code::INVALID_ARGUMENT, malformed),
        },
        // They pass unread, as they do at the gateway.
        Signal::Metrics | Signal::Logs => 0,
    };
    let snapshot = running.shared.snapshot.load_full();
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
        if signal == Signal::Traces && snapshot.candidate().is_some() {
            running.views.send(counters, &message, |message| View::Out { environment, message, at_us });
        }
    }
    combine([(spans, outcome)])
}
