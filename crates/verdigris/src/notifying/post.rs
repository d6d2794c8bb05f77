//! A notification as an HTTP POST.

use super::{Failure, place};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, USER_AGENT};
use http::{Request, StatusCode, Uri};
use http_body_util::Full;
use hyper_util::rt::TokioIo;
use model::{ClientTls, with_causes};
use std::sync::Arc;
use tls::{Alpn, Client};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// Standard Webhooks' three headers: id, seconds since the Unix epoch, signature.
pub type Signed = (String, u64, String);

/// Sends it. Takes as long as the receiver takes: the caller bounds it. The answer's body is not read.
pub async fn post(url: &str, tls: &ClientTls, signed: Option<Signed>, body: Vec<u8>) -> Result<(), Failure> {
    let never = |what: &str| Failure::Never(what.to_owned());
    let (host, port, secure) = place(url).ok_or_else(|| never("its address is no URL"))?;
    let parsed: Uri = url.parse().map_err(|_| never("its address is no URL"))?;
    let authority = parsed.authority().map_or("", |authority| authority.as_str());
    let path = parsed.path_and_query().map_or("/", |path| path.as_str());
    let mut request = Request::post(path)
        .header(HOST, authority)
        .header(USER_AGENT, concat!("verdigris/", env!("CARGO_PKG_VERSION")))
        .header(CONTENT_TYPE, "application/json");
    if let Some((id, at, signature)) = signed {
        request =
            request.header("webhook-id", id).header("webhook-timestamp", at).header("webhook-signature", signature);
    }
    let request = request.body(Full::new(Bytes::from(body))).map_err(|_| never("its address is no URL"))?;
    let stream = TcpStream::connect((host.as_str(), port)).await;
    let stream = stream.map_err(|error| Failure::Again(format!("does not accept connections: {error}")))?;
    let status = if secure {
        let client = Client::new(tls, &host, Alpn::Http1).map_err(|error| never(&error.to_string()))?;
        let stream = Arc::new(client).connect(stream).await;
        exchange(stream.map_err(|error| Failure::Again(error.to_string()))?, request).await?
    } else {
        exchange(stream, request).await?
    };
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

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    request: Request<Full<Bytes>>,
) -> Result<StatusCode, Failure> {
    let failed = |error: hyper::Error| Failure::Again(format!("does not speak HTTP: {}", with_causes(&error)));
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
    // Ends with its sender, at the end of this function.
    tokio::spawn(connection);
    Ok(sender.send_request(request).await.map_err(failed)?.status())
}
