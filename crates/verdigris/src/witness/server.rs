//! `verdigris witness`: cosigns the checkpoints of the logs that it knows, each once it is shown to continue the one before.
//! What it cosigned is durable before it answers, and it forgets nothing in a restart.

use crate::cli::{self, Format};
use crate::clock;
use crate::commands::ledger::key_text;
use crate::describe::{Exit, Failed, printable, say};
use anyhow::Context;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use ledger::{
    AddCheckpoint, CosignerKey, Head, KeyName, MAX_ADD_CHECKPOINT_BYTES, Misbehaviour, NoteSignature, Origin, Refusal,
    VerifierKey, consider,
};
use model::with_causes;
use serde_json::json;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use store::Witnessed;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Semaphore;

/// Connections at once; each holds one request of 134 kB at most, 8.6 MB together. Further ones wait to be accepted.
const MAX_CONNECTIONS: usize = 64;
/// Bytes of a request's head; hyper's least is 8 KiB.
const MAX_HEAD_BYTES: usize = 16 * 1024;
/// How long a request's head may take, the wait for the next request of a connection included.
const HEAD_LIMIT: Duration = Duration::from_secs(10);
/// How long a request's body may take.
const BODY_LIMIT: Duration = Duration::from_secs(10);
/// How long requests that are under way hold up a stop; each takes some fsyncs.
const FINISH_LIMIT: Duration = Duration::from_secs(5);
/// How long accepting rests when the system has no file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A witness with its memory.
struct Witness {
    key: CosignerKey,
    /// The keys of each log, by its origin.
    logs: BTreeMap<String, Vec<VerifierKey>>,
    /// One update at a time: what is known is read, compared and replaced under this lock.
    memory: Mutex<Witnessed>,
}

/// Serves until SIGTERM or SIGINT.
pub async fn run(command: &cli::Witness, format: Format) -> Result<Exit, Failed> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let logs = read_logs(&command.log)?;
    let name = KeyName::new(&command.name).map_err(|error| Failed::usage(format!("--name: {error}")))?;
    let key = store::load_or_create_cosigner_key(&command.key, &name, clock::random())?;
    let memory = Mutex::new(Witnessed::open(&command.state)?);
    let listener = TcpListener::bind(command.listen).await;
    let listener = listener.with_context(|| format!("{}: cannot be listened on", command.listen))?;
    let address = listener.local_addr()?;
    if !address.ip().is_loopback() {
        tracing::warn!("listening on {address} without TLS: checkpoints are signed, but not secret");
    }
    let witness = Arc::new(Witness { key, logs, memory });
    announce(&witness, &format!("http://{address}"), format);
    let graceful = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let accepted = async {
            let place = places.clone().acquire_owned().await.expect("the semaphore is never closed");
            (place, listener.accept().await)
        };
        let (place, stream) = tokio::select! {
            (place, accepted) = accepted => match accepted {
                Ok((stream, _)) => (place, stream),
                Err(error) => {
                    tracing::warn!("no connection can be accepted: {error}");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
        };
        let connection = graceful.watch(serve(witness.clone(), stream));
        tokio::spawn(async move {
            let _place = place;
            if let Err(error) = connection.await {
                tracing::debug!("a connection ended: {error}");
            }
        });
    }
    tracing::info!("stopping: requests in flight are finished first");
    drop(listener);
    if tokio::time::timeout(FINISH_LIMIT, graceful.shutdown()).await.is_err() {
        tracing::warn!("some requests were still in flight");
    }
    Ok(Exit::Done)
}

fn read_logs(arguments: &[String]) -> Result<BTreeMap<String, Vec<VerifierKey>>, Failed> {
    let mut logs: BTreeMap<String, Vec<VerifierKey>> = BTreeMap::new();
    for argument in arguments {
        let key: VerifierKey =
            key_text(argument)?.trim().parse().map_err(|error| Failed::usage(format!("--log: {error}")))?;
        let keys = logs.entry(key.name().to_string()).or_default();
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    Ok(logs)
}

/// Who may sign for an origin. A log is named by its keys; each year's part of it is a log of its own, under the same keys,
/// unless another log has that very name.
fn keys_of<'logs>(logs: &'logs BTreeMap<String, Vec<VerifierKey>>, origin: &str) -> &'logs [VerifierKey] {
    let is_part = |keys: &&Vec<VerifierKey>| keys.iter().any(|key| Origin::of(key.name(), origin).is_some());
    logs.get(origin).or_else(|| logs.values().find(is_part)).map_or(&[], Vec::as_slice)
}

fn announce(witness: &Witness, url: &str, format: Format) {
    let keys: Vec<String> = witness.logs.values().flatten().map(VerifierKey::to_string).collect();
    let verifier = witness.key.verifier();
    match format {
        Format::Json => {
            let said = json!({ "listening": url, "verifierKey": verifier.to_string(), "logs": keys });
            say(format_args!("{said}"));
        }
        Format::Text => {
            say(format_args!("verdigris witness {}", env!("CARGO_PKG_VERSION")));
            say(format_args!("  listening  {url}"));
            say(format_args!("  key        {verifier}"));
            for key in keys {
                say(format_args!("  witnesses  {key}"));
            }
        }
    }
}

fn serve(
    witness: Arc<Witness>,
    stream: TcpStream,
) -> hyper::server::conn::http1::Connection<
    TokioIo<TcpStream>,
    impl hyper::service::Service<Request<Incoming>, Response = Response<Full<Bytes>>, Error = Infallible, Future: Send>
    + Send,
> {
    let service = service_fn(move |request| {
        let witness = witness.clone();
        async move { Ok::<_, Infallible>(answer(witness, request).await) }
    });
    hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_LIMIT)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service)
}

async fn answer(witness: Arc<Witness>, request: Request<Incoming>) -> Response<Full<Bytes>> {
    if request.uri().path() != "/add-checkpoint" {
        return reply(StatusCode::NOT_FOUND, "nothing is here but POST /add-checkpoint".to_owned());
    }
    if request.method() != Method::POST {
        let mut response = reply(StatusCode::METHOD_NOT_ALLOWED, "expected POST".to_owned());
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
        return response;
    }
    let body = Limited::new(request.into_body(), MAX_ADD_CHECKPOINT_BYTES).collect();
    let body = match tokio::time::timeout(BODY_LIMIT, body).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            let words = format!("the request has more than {MAX_ADD_CHECKPOINT_BYTES} bytes");
            return reply(StatusCode::PAYLOAD_TOO_LARGE, words);
        }
        Ok(Err(error)) => return reply(StatusCode::BAD_REQUEST, with_causes(&*error)),
        Err(_) => {
            let words = format!("the request did not come within {} s", BODY_LIMIT.as_secs());
            return reply(StatusCode::REQUEST_TIMEOUT, words);
        }
    };
    let considered = tokio::task::spawn_blocking(move || witness.add_checkpoint(&body)).await;
    considered.unwrap_or_else(|_| reply(StatusCode::INTERNAL_SERVER_ERROR, "the witness failed".to_owned()))
}

fn reply(status: StatusCode, words: String) -> Response<Full<Bytes>> {
    typed(status, "text/plain; charset=utf-8", format!("{words}\n"))
}

fn typed(status: StatusCode, content_type: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

impl Witness {
    /// Considers a request's body, and persists before it signs. Blocks on fsync.
    fn add_checkpoint(&self, body: &[u8]) -> Response<Full<Bytes>> {
        let request = match AddCheckpoint::parse(body) {
            Ok(request) => request,
            Err(error) => return reply(StatusCode::BAD_REQUEST, with_causes(&error)),
        };
        let origin = request.checkpoint().origin();
        let keys = keys_of(&self.logs, origin);
        // What a panic left is what is on the disk, and it is read anew each time.
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let known = if keys.is_empty() { Ok(Head::empty()) } else { memory.head(origin) };
        let known = match known {
            Ok(known) => known,
            Err(error) => return failed(&with_causes(&error)),
        };
        let by_log = |signature: &NoteSignature| {
            keys.iter().any(|key| *key.name() == signature.name && key.id() == signature.id)
        };
        // Strangers' signatures are not kept, so that they cannot fill the disk or the log.
        let shown = request.note().retaining(by_log);
        match consider(&request, keys, known) {
            Err(refusal) => {
                if let Some(misbehaviour) = refusal.misbehaviour() {
                    let signatures: Vec<String> = shown.signatures().iter().map(NoteSignature::to_string).collect();
                    let shown = request.checkpoint();
                    tracing::warn!(
                        "{} of {}: shown were {} entries with the root {} (proof from {}), signed {}; cosigned last were {} \
                         with the root {}. Not cosigned",
                        words(misbehaviour),
                        printable(origin),
                        shown.size(),
                        shown.root(),
                        request.old_size(),
                        signatures.join(" and "),
                        known.size,
                        known.root,
                    );
                }
                refused(&refusal)
            }
            Ok(()) => match memory.record(origin, &shown) {
                Ok(()) => {
                    let cosignature = self.key.cosign(request.note().text(), clock::now_us() / 1_000_000);
                    reply(StatusCode::OK, cosignature.to_string())
                }
                Err(error) => failed(&with_causes(&error)),
            },
        }
    }
}

fn words(misbehaviour: Misbehaviour) -> &'static str {
    match misbehaviour {
        Misbehaviour::SetBack => "a rollback (or an old checkpoint, sent again)",
        Misbehaviour::Forked => "a fork (or a proof that does not fit)",
    }
}

fn failed(words: &str) -> Response<Full<Bytes>> {
    tracing::error!("nothing was cosigned: {words}");
    reply(StatusCode::INTERNAL_SERVER_ERROR, "the witness cannot persist or read what it cosigned".to_owned())
}

fn refused(refusal: &Refusal) -> Response<Full<Bytes>> {
    let status = StatusCode::from_u16(refusal.status()).expect("the specification's are status codes");
    match refusal {
        Refusal::Conflict { known, .. } => typed(status, "text/x.tlog.size", format!("{}\n", known.size)),
        Refusal::UnknownOrigin { .. }
        | Refusal::NotSigned(_)
        | Refusal::Order { .. }
        | Refusal::Inconsistent { .. } => reply(status, with_causes(refusal)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ledger::SignerKey;

    #[test]
    fn each_year_s_part_is_signed_by_its_log_s_keys_unless_another_log_has_the_name() {
        let key = |name: &str| SignerKey::new(KeyName::new(name).unwrap(), &[7; 32]).verifier().clone();
        let logs = |names: &[&str]| -> BTreeMap<String, Vec<VerifierKey>> {
            names.iter().map(|name| ((*name).to_owned(), vec![key(name)])).collect()
        };
        let one = logs(&["example.com/log"]);
        for (origin, known) in [("example.com/log", 1), ("example.com/log/2027", 1), ("example.com/lo", 0)] {
            assert_eq!(keys_of(&one, origin).len(), known, "{origin}");
        }
        let both = logs(&["example.com/log", "example.com/log/2027"]);
        assert_eq!(keys_of(&both, "example.com/log/2027"), [key("example.com/log/2027")]);
        assert_eq!(keys_of(&both, "example.com/log/2028"), [key("example.com/log")]);
    }
}
