//! The pages: HTML made here, which works without JavaScript, and small modules of our own for what is live.
//!
//! Every page is `layout::page`; what a module below needs of the controller it asks for, and what it shows it is given:
//! drawing is pure.

mod layout;
mod ledger;
mod map;
mod rollouts;
#[cfg(test)]
mod serving;
mod trace;

use crate::site::Served;
use axum::Router;

/// Everything that a browser shows.
pub(crate) fn router() -> Router<Served> {
    Router::new().merge(rollouts::router()).merge(ledger::router()).merge(trace::router()).merge(map::router())
}

/// Text as a value in a query.
fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(char::from(byte)),
            _ => encoded += &format!("%{byte:02X}"),
        }
    }
    encoded
}
