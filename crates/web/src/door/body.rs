//! Bodies of requests, read whole within bounds of bytes and time before anybody works with them.

use axum::body::{Body, to_bytes};
use axum::http::header::CONTENT_LENGTH;
use axum::http::{HeaderMap, StatusCode};
use bytes::Bytes;
use std::time::Duration;

/// Longer than the longest that a route takes, a plan of 1 MiB as a JSON string.
pub(super) const MAX_BODY_BYTES: usize = 4 << 20;
/// Of whoever is not known yet: a token in a form.
pub(super) const MAX_STRANGERS_BYTES: usize = 32 << 10;
/// 4 MiB in 30 s are 140 KB/s.
pub(super) const BODY_LIMIT: Duration = Duration::from_secs(30);

/// The whole body, or how it is refused.
pub(super) async fn whole(headers: &HeaderMap, body: Body, most: usize) -> Result<Bytes, StatusCode> {
    let said = headers.get(CONTENT_LENGTH).and_then(|it| it.to_str().ok()).and_then(|it| it.parse::<u64>().ok());
    if said.is_some_and(|said| said > most as u64) {
        return Err(StatusCode::PAYLOAD_TOO_LARGE);
    }
    match tokio::time::timeout(BODY_LIMIT, to_bytes(body, most)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        // A body that breaks off is answered to nobody.
        Ok(Err(_)) => Err(StatusCode::PAYLOAD_TOO_LARGE),
        Err(_) => Err(StatusCode::REQUEST_TIMEOUT),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_body_that_never_ends_is_given_up() {
        let never = Body::from_stream(futures_util::stream::pending::<Result<Bytes, std::io::Error>>());
        assert_eq!(whole(&HeaderMap::new(), never, 10).await, Err(StatusCode::REQUEST_TIMEOUT));
        assert_eq!(whole(&HeaderMap::new(), Body::from("12345678901"), 10).await, Err(StatusCode::PAYLOAD_TOO_LARGE));
        assert_eq!(whole(&HeaderMap::new(), Body::from("1234567890"), 10).await.as_deref(), Ok(&b"1234567890"[..]));
    }
}
