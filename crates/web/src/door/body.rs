//! Bodies of requests, read whole within bounds of bytes and time before anybody works with them.

use axum::body::{Body, to_bytes};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
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

/// A field of a form (`application/x-www-form-urlencoded`), the first of its name.
pub(super) fn field(headers: &HeaderMap, body: &[u8], name: &str) -> Option<String> {
    let media_type = headers.get(CONTENT_TYPE)?.to_str().ok()?.split(';').next()?.trim();
    if !media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return None;
    }
    pair(std::str::from_utf8(body).ok()?, name)
}

/// The same of a query.
pub(super) fn pair(text: &str, name: &str) -> Option<String> {
    let decode = |text: &str| {
        let spaces = text.replace('+', " ");
        Some(percent_encoding::percent_decode_str(&spaces).decode_utf8().ok()?.into_owned())
    };
    let found = text.split('&').filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name);
    decode(found?.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_found_by_its_whole_name() {
        let headers: HeaderMap =
            [(CONTENT_TYPE, "application/x-www-form-urlencoded; charset=UTF-8".parse().unwrap())].into_iter().collect();
        let check = |body: &str, expected: Option<&str>| {
            assert_eq!(field(&headers, body.as_bytes(), "csrf").as_deref(), expected, "{body}");
        };
        check("csrf=abc", Some("abc"));
        check("reason=a+b&csrf=a%2Db+c", Some("a-b c"));
        check("xcsrf=abc&csrfx=1", None);
        check("csrf=%ff", None);
        check("csrf", None);
        assert_eq!(field(&HeaderMap::new(), b"csrf=abc", "csrf"), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_never_ends_is_given_up() {
        let never = Body::from_stream(futures_util::stream::pending::<Result<Bytes, std::io::Error>>());
        assert_eq!(whole(&HeaderMap::new(), never, 10).await, Err(StatusCode::REQUEST_TIMEOUT));
        assert_eq!(whole(&HeaderMap::new(), Body::from("12345678901"), 10).await, Err(StatusCode::PAYLOAD_TOO_LARGE));
        assert_eq!(whole(&HeaderMap::new(), Body::from("1234567890"), 10).await.as_deref(), Ok(&b"1234567890"[..]));
    }
}
