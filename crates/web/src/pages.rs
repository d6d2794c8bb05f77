//! The pages: HTML made here, which works without JavaScript, and small modules of our own for what is live.
//!
//! Every page is `layout::page`; what a module below needs of the controller it asks for, and what it shows it is given:
//! drawing is pure.

mod acting;
mod approvals;
mod finding;
mod layout;
mod live;
mod passkeys;
mod rollout;
mod rollouts;
mod when;

use crate::assets;
use crate::site::Served;
use axum::Router;
use axum::middleware;

/// Everything that a browser shows.
pub(crate) fn router() -> Router<Served> {
    let pages = Router::new()
        .merge(rollouts::router())
        .merge(rollout::router())
        .merge(acting::router())
        .merge(finding::router())
        .merge(live::router())
        .merge(approvals::router())
        .merge(passkeys::router());
    pages.layer(middleware::from_fn(assets::with_policy)).merge(assets::router())
}
