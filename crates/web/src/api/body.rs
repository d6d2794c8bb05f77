//! What a request says, read so that every mistake is told as a problem: what was found, where, and what was expected.

use super::MAX_BODY_BYTES;
use super::problem::Problem;
use axum::extract::path::ErrorKind;
use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use bytes::Bytes;
use serde::de::DeserializeOwned;

/// A body of JSON, of at most [`MAX_BODY_BYTES`].
pub(crate) struct Body<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Body<T>, Problem> {
        if !is_json(request.headers()) {
            let detail = "content-type: expected application/json, in which this path is asked";
            return Err(Problem::new("bad-request", StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
        }
        let bytes = Bytes::from_request(request, state).await.map_err(|rejection| unread(rejection.status()))?;
        parse(&bytes).map(Body)
    }
}

/// A body that could not be read whole.
pub(crate) fn unread(status: StatusCode) -> Problem {
    match status {
        StatusCode::PAYLOAD_TOO_LARGE => {
            Problem::new("bad-request", status, format!("the body has more than {MAX_BODY_BYTES} bytes"))
        }
        _ => Problem::new("bad-request", StatusCode::BAD_REQUEST, "the body came to no end"),
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let named = headers.get(header::CONTENT_TYPE).and_then(|it| it.to_str().ok()).unwrap_or_default();
    let essence = named.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || essence.strip_prefix("application/").is_some_and(|it| it.ends_with("+json"))
}

/// What is no JSON is a bad request; what is JSON of another shape cannot be processed. Both name the place.
fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let (path, inner) = (error.path().to_string(), error.inner());
        let at = if path == "." { String::new() } else { format!("{path}: ") };
        let status = match inner.is_data() {
            true => StatusCode::UNPROCESSABLE_ENTITY,
            false => StatusCode::BAD_REQUEST,
        };
        Problem::new("bad-request", status, format!("{at}{inner}"))
    })?;
    reader.end().map_err(|error| Problem::new("bad-request", StatusCode::BAD_REQUEST, error.to_string()))?;
    Ok(value)
}

/// The one part of a path that is a name.
pub(crate) struct Named(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Named, Problem> {
        let Path(name) = Path::<String>::from_request_parts(parts, state).await.map_err(|rejection| {
            let is_text = !matches!(&rejection, PathRejection::FailedToDeserializePathParams(failed)
                if matches!(failed.kind(), ErrorKind::InvalidUtf8InPathParam { .. }));
            let detail = if is_text { "a name is missing in the path" } else { "the path is not UTF-8" };
            Problem::new("bad-request", StatusCode::BAD_REQUEST, detail)
        })?;
        Ok(Named(name))
    }
}
