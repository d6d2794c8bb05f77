//! The pages: HTML made here, which works without JavaScript, and small modules of our own for what is live.
//!
//! Every page is `layout::page`; what a module below needs of the controller it asks for, and what it shows it is given:
//! drawing is pure.

mod acting;
mod approvals;
mod drift;
mod finding;
mod gates;
pub(crate) mod layout;
mod ledger;
mod live;
mod map;
mod numbers;
mod over_time;
mod passkeys;
mod plan;
mod plot;
mod rollout;
mod rollouts;
#[cfg(test)]
mod serving;
mod trace;
mod when;

use crate::assets;
use crate::site::Served;
use axum::Router;
use axum::middleware;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Everything that a browser shows.
pub(crate) fn router() -> Router<Served> {
    let pages = Router::new()
        .merge(rollouts::router())
        .merge(rollout::router())
        .merge(acting::router())
        .merge(finding::router())
        .merge(gates::router())
        .merge(numbers::router())
        .merge(drift::router())
        .merge(plan::router())
        .merge(live::router())
        .merge(approvals::router())
        .merge(passkeys::router())
        .merge(ledger::router())
        .merge(trace::router())
        .merge(map::router());
    pages.layer(middleware::from_fn(assets::with_policy)).merge(assets::router())
}

/// What stands for itself in a query (RFC 3986, section 2.3).
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Text as a value in a query.
fn encoded(text: &str) -> String {
    utf8_percent_encode(text, UNRESERVED).to_string()
}
