//! The API and the pages as one: what stands behind every door.

use crate::api::learning::Stops;
use crate::api::openapi;
use crate::api::problem::Problem;
use crate::{Api, api, pages};
use axum::Router;
use axum::extract::{FromRef, Request};
use axum::http::{Method, StatusCode};
use axum::middleware::{self, Next};
use axum::response::Response;
use control::OWN_SPANS;
use tracing::Instrument;

/// What every route may need.
#[derive(Clone)]
pub(crate) struct Served {
    pub(crate) api: Api,
    pub(crate) stops: Stops,
}

impl FromRef<Served> for Api {
    fn from_ref(served: &Served) -> Api {
        served.api.clone()
    }
}

impl FromRef<Served> for Stops {
    fn from_ref(served: &Served) -> Stops {
        served.stops.clone()
    }
}

/// Every route. Each takes a [`Caller`](crate::Caller), which the door has put into the request, and asks it for one action.
pub(crate) fn router(api: Api, stops: Stops) -> Router {
    api::router(api.answers.clone())
        .merge(pages::router())
        .fallback(async || Problem::new("unknown", StatusCode::NOT_FOUND, "there is nothing at this path"))
        .method_not_allowed_fallback(wrong_method)
        .with_state(Served { api, stops })
        .layer(middleware::from_fn(in_span))
}

/// The router adds `Allow`.
async fn wrong_method(method: Method) -> Problem {
    let detail = format!("{method} is nothing that this path takes: `allow` says what is");
    Problem::new("bad-request", StatusCode::METHOD_NOT_ALLOWED, detail)
}

/// A request as a span of our own: by its operation, for paths have names in them.
async fn in_span(request: Request, next: Next) -> Response {
    let operation = openapi::operation(request.method().as_str(), request.uri().path());
    let (method, route) = (request.method().as_str().to_owned(), operation.map_or("page", |operation| operation.path));
    let span = tracing::info_span!(target: OWN_SPANS, "request", method, route, status = tracing::field::Empty);
    let response = next.run(request).instrument(span.clone()).await;
    span.record("status", response.status().as_u16());
    response
}
