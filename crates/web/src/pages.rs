//! The pages: HTML made here, which works without JavaScript, and small modules of our own for what is live.
//!
//! Every page is `layout::page`; what a module below needs of the controller it asks for, and what it shows it is given:
//! drawing is pure.

mod approvals;
mod layout;
mod passkeys;
mod rollouts;

use crate::site::Served;
use axum::Router;

/// Everything that a browser shows.
pub(crate) fn router() -> Router<Served> {
    Router::new().merge(rollouts::router()).merge(approvals::router()).merge(passkeys::router())
}
