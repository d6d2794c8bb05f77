//! The API and the pages as one: what stands behind every door.

use crate::api::learning::Stops;
use crate::api::problem::Problem;
use crate::{Api, api, pages};
use axum::Router;
use axum::extract::FromRef;
use axum::http::StatusCode;

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
    api::router()
        .merge(pages::router())
        .fallback(async || Problem::new("unknown", StatusCode::NOT_FOUND, "there is nothing at this path"))
        .with_state(Served { api, stops })
}
