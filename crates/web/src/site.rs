//! The API and the pages as one: what stands behind every door.

use crate::api::learning::Stops;
use crate::api::openapi;
use crate::api::problem::Problem;
use crate::{Api, Caller, Refusal, api, pages};
use axum::Router;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRef, Request, State};
use axum::http::{Method, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use control::{Handle, Input, OWN_SPANS};
use tracing::Instrument;

/// Paths, and beginnings of paths, for which nobody need be known: what is the same for everybody and says nothing of the
/// server's work. Every other route asks its caller for an action.
const PUBLIC: [&str; 5] = ["/sign-in", "/healthz", "/readyz", "/favicon.ico", "/assets/"];

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
    let handle = api.handle.clone();
    let routes = api::router(api.answers.clone())
        .merge(pages::router())
        .fallback(nothing_there)
        .method_not_allowed_fallback(wrong_method)
        .with_state(Served { api, stops })
        .layer(middleware::from_fn(in_span));
    watched(routes, handle)
}

/// Takes the body as well: hyper closes a connection whose request was answered before its body had come, without a word, and a
/// client that keeps it meets the end of it with its next request.
async fn nothing_there(_: Result<Bytes, BytesRejection>) -> Problem {
    Problem::new("unknown", StatusCode::NOT_FOUND, "there is nothing at this path")
}

/// The router adds `Allow`. Takes the body as well, for the same reason.
async fn wrong_method(method: Method, _: Result<Bytes, BytesRejection>) -> Problem {
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

/// Routes that answer nobody whom they did not ask for an action.
pub(crate) fn watched(routes: Router, handle: Handle) -> Router {
    routes.layer(middleware::from_fn_with_state(handle, watch))
}

/// Whether nobody need be known.
pub(crate) fn is_public(path: &str) -> bool {
    PUBLIC.iter().any(|public| if public.ends_with('/') { path.starts_with(public) } else { path == *public })
}

/// Has refusals recorded, and lets nothing out of a route that asked nobody for an action: a route that forgets to ask must
/// not be one that everybody may use.
async fn watch(State(handle): State<Handle>, request: Request, next: Next) -> Response {
    let caller = request.extensions().get::<Caller>().cloned();
    let is_public = is_public(request.uri().path());
    let response = next.run(request).await;
    if let Some(Refusal { by, action }) = response.extensions().get::<Refusal>().cloned() {
        handle.tell(Input::AccessRefused { what: action.words().to_owned(), by }).await;
    }
    let went_well = response.status().is_success() || response.status().is_redirection();
    if went_well && !is_public && caller.is_none_or(|caller| caller.asked().is_none()) {
        let detail = "this route asked for no action, so that nothing of it is shown: a fault of the program";
        return Problem::new("unavailable", StatusCode::INTERNAL_SERVER_ERROR, detail).into_response();
    }
    response
}
