//! The ledger in a browser: its records, each with its proof, its files as any tlog client reads them, and the bundle.
//!
//! It shows what the files say and changes nothing. What it says of itself proves nothing to whoever does not trust this
//! server: so each record comes with a proof, `verify.js` recomputes it, and the page names the check that needs no server.

mod browse;
mod files;
mod record;

use crate::site::Served;
use axum::Router;
use axum::routing::{get, post};

/// Everything of the ledger.
pub(super) fn router() -> Router<Served> {
    Router::new()
        .route("/ledger", get(browse::records))
        .route("/ledger/{index}", get(record::record))
        .route("/ledger/tiles/checkpoint", get(files::checkpoint))
        .route("/ledger/tiles/tile/{*path}", get(files::tile))
        .route("/ledger/export", post(files::export))
}

#[cfg(test)]
mod tests;
