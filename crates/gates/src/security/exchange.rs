//! Whether an endpoint takes what it should refuse: an empty export in clear text, without a certificate, without a token.
//! Each is one that every OTLP receiver must accept if it is let in (OTLP specification 1.9, "Full success"), and leaves
//! nothing behind.

use super::CONNECTION_LIMIT;
use super::endpoint::Endpoint;
use crate::probe;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use model::{Protocol, quoted, with_causes};
use posture::{Fact, Setting, Value};
use std::sync::Arc;
use tls::Client;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// An answer to an empty export is a few bytes.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// What came back of an export.
enum Answered {
    /// It was taken.
    Taken(Heard),
    /// Who sent it is not known well enough: HTTP 401 and 403, gRPC 16 (UNAUTHENTICATED) and 7 (PERMISSION_DENIED).
    Unauthenticated(Heard),
    /// Another answer.
    Otherwise(Heard),
    /// None: the connection did not come about, or broke.
    Broken(String),
    /// None within the time.
    Late,
}

/// An answer.
struct Heard {
    /// `answered HTTP status 401`.
    words: String,
    /// The header `server`.
    server: Option<String>,
}

/// Settings with their facts, in clear text and, where that makes sense, over TLS.
pub(super) async fn ask(endpoint: &Endpoint, has_tls: bool, is_trusted: bool) -> Vec<(Setting, Fact)> {
    let clear = send(endpoint, None).await;
    let clear_fact = clear_text(&clear, has_tls);
    let takes_clear = matches!(&clear_fact, Fact::Known { value: Value::Holds(false), .. });
    let anonymous = match (has_tls, is_trusted) {
        (true, true) => Some(send(endpoint, Some(&endpoint.anonymous)).await),
        (true, false) | (false, _) => None,
    };
    let identified = match (&anonymous, &endpoint.identified) {
        (Some(_), Some(client)) => Some(send(endpoint, Some(client)).await),
        (Some(_) | None, _) => None,
    };
    let certificate = match (&anonymous, &identified) {
        (None, _) if takes_clear && !has_tls => Fact::known(Value::Holds(false), "there is no TLS"),
        (None, _) => {
            Fact::Unknown { why: "its certificate is not trusted, so that nothing was sent to it over TLS".to_owned() }
        }
        (Some(anonymous), identified) => client_certificate(anonymous, identified.as_ref()),
    };
    // The least that gets in: whoever is taken in clear text needs no certificate either.
    let ways = [takes_clear.then_some(&clear), anonymous.as_ref(), identified.as_ref()];
    let heard = ways.into_iter().flatten().filter_map(Answered::heard).next();
    let banner = match heard {
        None => Fact::Unknown { why: "it answered nothing".to_owned() },
        Some(Heard { server: None, .. }) => Fact::known(Value::Holds(true), "its answer has no header `server`"),
        Some(Heard { server: Some(server), .. }) => {
            let hides = !server.chars().any(|character| character.is_ascii_digit());
            Fact::known(Value::Holds(hides), format!("its answer has the header `server: {server}`"))
        }
    };
    let auth = ways.into_iter().flatten().map(token).reduce(Fact::weaker_of);
    let nothing_sent = || Fact::Unknown { why: "nothing could be sent to it".to_owned() };
    vec![
        (Setting::TlsRequired, clear_fact),
        (Setting::ClientCertificateRequired, certificate),
        (Setting::AuthRequired, known_or(auth, nothing_sent)),
        (Setting::BannerVersion, banner),
    ]
}

fn known_or(fact: Option<Fact>, otherwise: impl FnOnce() -> Fact) -> Fact {
    match fact {
        Some(fact @ (Fact::Known { .. } | Fact::Unknown { .. } | Fact::Failed { .. })) => fact,
        Some(Fact::Absent) | None => otherwise(),
    }
}

/// A server of TLS may answer in clear text that it wants TLS: that is a refusal (Go and nginx answer 400).
fn clear_text(answered: &Answered, has_tls: bool) -> Fact {
    match answered {
        Answered::Taken(heard) | Answered::Unauthenticated(heard) => {
            Fact::known(Value::Holds(false), format!("in clear text it {}", heard.words))
        }
        Answered::Otherwise(heard) => Fact::known(Value::Holds(has_tls), format!("in clear text it {}", heard.words)),
        Answered::Broken(_) if has_tls => Fact::known(Value::Holds(true), "it does not answer in clear text"),
        Answered::Broken(why) => Fact::Failed { why: format!("it speaks neither TLS nor the plan's protocol: {why}") },
        Answered::Late => Fact::Unknown { why: "in clear text it did not answer in time".to_owned() },
    }
}

/// A refusal is believed where the same works with a certificate.
fn client_certificate(anonymous: &Answered, identified: Option<&Answered>) -> Fact {
    match (anonymous, identified.map(|answered| answered.heard())) {
        (Answered::Taken(heard) | Answered::Unauthenticated(heard) | Answered::Otherwise(heard), _) => {
            Fact::known(Value::Holds(false), format!("without a certificate it {}", heard.words))
        }
        (Answered::Broken(why), Some(Some(_))) => {
            Fact::known(Value::Holds(true), format!("without a certificate: {}", quoted(why)))
        }
        (Answered::Broken(why), Some(None)) => {
            Fact::Unknown { why: format!("it does not answer with the plan's certificate either: {}", quoted(why)) }
        }
        (Answered::Broken(why), None) => {
            Fact::Unknown { why: format!("the plan has no certificate to show, and without one: {}", quoted(why)) }
        }
        (Answered::Late, _) => Fact::Unknown { why: "without a certificate it did not answer in time".to_owned() },
    }
}

/// A way that does not lead to an answer does not take anything without a token.
fn token(answered: &Answered) -> Fact {
    match answered {
        Answered::Taken(heard) => Fact::known(Value::Holds(false), format!("without a token it {}", heard.words)),
        Answered::Unauthenticated(heard) => {
            Fact::known(Value::Holds(true), format!("without a token it {}", heard.words))
        }
        Answered::Otherwise(heard) => Fact::Unknown { why: format!("without a token it {}", heard.words) },
        Answered::Broken(_) => Fact::Absent,
        Answered::Late => Fact::Unknown { why: "without a token it did not answer in time".to_owned() },
    }
}

impl Answered {
    fn heard(&self) -> Option<&Heard> {
        match self {
            Answered::Taken(heard) | Answered::Unauthenticated(heard) | Answered::Otherwise(heard) => Some(heard),
            Answered::Broken(_) | Answered::Late => None,
        }
    }
}

/// Sends an empty export: in clear text, or as this client.
async fn send(endpoint: &Endpoint, client: Option<&Arc<Client>>) -> Answered {
    let sent = async {
        let stream = match endpoint.connect().await {
            Ok(stream) => stream,
            Err(error) => return Answered::Broken(error.to_string()),
        };
        let scheme = if client.is_some() { "https" } else { "http" };
        let Some(request) = probe::request(&endpoint.upstream(scheme)) else {
            return Answered::Broken("its URL is none".to_owned());
        };
        let answered = match client {
            None => exchange(stream, endpoint.protocol, request).await,
            Some(client) => match client.connect(stream).await {
                Ok(stream) => exchange(stream, endpoint.protocol, request).await,
                Err(error) => return Answered::Broken(error.to_string()),
            },
        };
        answered.unwrap_or_else(|error| Answered::Broken(with_causes(&error)))
    };
    timeout(CONNECTION_LIMIT, sent).await.unwrap_or(Answered::Late)
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    protocol: Protocol,
    request: Request<Full<Bytes>>,
) -> Result<Answered, hyper::Error> {
    // Ends the connection with this future, whether it is done or dropped.
    let mut connections = JoinSet::new();
    let io = TokioIo::new(stream);
    let response = match protocol {
        Protocol::Grpc => {
            let (mut sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await?;
            connections.spawn(connection);
            let response = sender.send_request(request).await?;
            return Ok(read_answer(response, true).await);
        }
        Protocol::Http => {
            let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await?;
            connections.spawn(connection);
            sender.send_request(request).await?
        }
    };
    Ok(read_answer(response, false).await)
}

async fn read_answer(response: hyper::Response<Incoming>, grpc: bool) -> Answered {
    let status = response.status().as_u16();
    let text = |value: &http::HeaderValue| quoted(&String::from_utf8_lossy(value.as_bytes()));
    let server = response.headers().get("server").map(text);
    let early = response.headers().get("grpc-status").cloned();
    let is_success = response.status().is_success();
    let Ok(body) = Limited::new(response.into_body(), MAX_ANSWER_BYTES).collect().await else {
        return Answered::Broken("a broken or endless body".to_owned());
    };
    if !is_success || !grpc {
        let heard = Heard { words: format!("answered HTTP status {status}"), server };
        return match status {
            401 | 403 => Answered::Unauthenticated(heard),
            _ if is_success => Answered::Taken(heard),
            _ => Answered::Otherwise(heard),
        };
    }
    let late = body.trailers().and_then(|trailers| trailers.get("grpc-status").cloned());
    let Some(code) = late.or(early) else {
        return Answered::Otherwise(Heard { words: "answered without a gRPC status".to_owned(), server });
    };
    let heard = Heard { words: format!("answered gRPC status {}", text(&code)), server };
    match code.as_bytes() {
        b"0" => Answered::Taken(heard),
        b"16" | b"7" => Answered::Unauthenticated(heard),
        _ => Answered::Otherwise(heard),
    }
}
