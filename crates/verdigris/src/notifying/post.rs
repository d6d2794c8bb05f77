//! A notification as an HTTP POST.

use super::Failure;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, USER_AGENT};
use http::{Method, StatusCode};
use http_body_util::Full;
use http_client::Server;
use model::ClientTls;

/// Standard Webhooks' three headers: id, seconds since the Unix epoch, signature.
pub type Signed = (String, u64, String);

/// Sends it. Takes as long as the receiver takes: the caller bounds it. The answer's body is not read.
pub async fn post(url: &str, tls: &ClientTls, signed: Option<Signed>, body: Vec<u8>) -> Result<(), Failure> {
    let never = |what: &str| Failure::Never(what.to_owned());
    let server = Server::new(url, tls).map_err(|error| never(&error.to_string()))?;
    let mut request = server
        .request(Method::POST, "")
        .header(USER_AGENT, concat!("verdigris/", env!("CARGO_PKG_VERSION")))
        .header(CONTENT_TYPE, "application/json");
    if let Some((id, at, signature)) = signed {
        request =
            request.header("webhook-id", id).header("webhook-timestamp", at).header("webhook-signature", signature);
    }
    let request = request.body(Full::new(Bytes::from(body))).map_err(|_| never("its address is no URL"))?;
    let status = server.send(request).await.map_err(|error| Failure::Again(error.to_string()))?.status();
    match status {
        status if status.is_success() => Ok(()),
        // Standard Webhooks: the receiver wants no more of this.
        StatusCode::GONE => Err(never("HTTP status 410: it wants no notifications any more")),
        status if status.is_redirection() => {
            Err(Failure::Again(format!("HTTP status {}: redirects are not followed", status.as_u16())))
        }
        status => Err(Failure::Again(format!("HTTP status {}", status.as_u16()))),
    }
}
