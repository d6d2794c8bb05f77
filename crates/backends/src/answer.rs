//! Answers, whatever bytes they are.

use crate::Api;
use model::{TraceId, quoted};
use otlp::json::{StoredError, stored_to_protobuf};
use otlp::legacy::{Format, jaeger_answer_to_otlp};
use otlp::{SpanView, for_each_span};
use serde::Deserialize;
use std::collections::BTreeSet;

/// Spans of a trace that are read: more are an error. With the 16 MiB that `gates` reads of an answer, a span of 800 bytes
/// of JSON; a larger trace is left out of the verdict, as verification itself does with one of 65,536 spans.
pub const MAX_SPANS: usize = 20_000;
/// Bytes that an answer may become as OTLP: JSON is several times as long as what it says.
const MAX_OTLP_BYTES: usize = 32 << 20;
/// What a store has of a trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stored {
    /// Nothing. Who cannot be sure whom it asked must ask for a greeting before it believes that.
    Nothing,
    /// Spans.
    Trace(StoredTrace),
}

/// The spans of one trace, one at least and [`MAX_SPANS`] at most.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredTrace {
    otlp: Vec<u8>,
}

impl StoredTrace {
    /// Calls `each` for every span, in the answer's order: all that is known of it, as of one that passes the gateway.
    pub fn for_each(&self, each: impl FnMut(&SpanView<'_>)) {
        for_each_span(&self.otlp, each).expect("it was read whole when it was made");
    }
}

/// An answer that is no evidence, neither of a trace nor of none. Its words hold no control character and are at most
/// some 1,000 bytes long.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// It is not what the API answers.
    #[error("answered HTTP status {status} with something else than {} ({reason}); expected {}", api.words(), expected(*status))]
    NotTheApi {
        /// What was expected.
        api: Api,
        /// HTTP's.
        status: u16,
        /// Where it ends to be the API's, or what it says.
        reason: String,
    },
    /// The store knows that it has more than it answers.
    #[error("answered with a part of what it has: {reason}; an answer that is incomplete is not used")]
    Partial {
        /// In whose words.
        reason: String,
    },
    /// It is another trace.
    #[error("answered with a span of the trace {found}; expected {expected} alone")]
    AnotherTrace {
        /// What was asked for.
        expected: TraceId,
        /// What came.
        found: TraceId,
    },
    /// It is too large.
    #[error("answered with a trace of more than {MAX_SPANS} spans; one of this size is not compared")]
    TooLarge,
}

fn expected(status: u16) -> &'static str {
    match status {
        401 | 403 => {
            "its answer to a query: it wants a token or a certificate that the plan gives it (`bearerTokenFile`, `tls`)"
        }
        300..=399 => "its answer to a query, not another address: name that address in `query`",
        404 => "the query API below the URL: is the path missing, such as /jaeger, or is it another port?",
        429 => "room for our queries: lower `share`",
        500..=599 => "an answer: is the store overloaded or starting?",
        _ => "its answer to a query",
    }
}

/// Reads the answer to [`trace_path`](crate::trace_path).
pub fn trace(api: Api, status: u16, body: &[u8], trace: TraceId) -> Result<Stored, AnswerError> {
    if status == 404 {
        return Ok(Stored::Nothing);
    }
    let request = spans(api, status, body)?;
    let (mut count, mut another) = (0, None);
    let read = for_each_span(&request, |span| {
        count += 1;
        another = another.or(Some(span.trace_id).filter(|found| *found != trace));
    });
    read.map_err(|error| not_the_api(api, status, &error.to_string()))?;
    match (count, another) {
        (_, Some(found)) => Err(AnswerError::AnotherTrace { expected: trace, found }),
        (0, None) => Ok(Stored::Nothing),
        (count, None) if count > MAX_SPANS => Err(AnswerError::TooLarge),
        (_, None) => Ok(Stored::Trace(StoredTrace { otlp: request })),
    }
}

/// Reads the answer to [`search_path`](crate::search_path): the traces that were found.
pub fn found(api: Api, status: u16, body: &[u8]) -> Result<BTreeSet<TraceId>, AnswerError> {
    match api {
        // The HTTP gateway has this status for a search that finds nothing.
        Api::Jaeger if status == 404 => {
            let answer: Failure = parse(api, status, body)?;
            let is_its_own = answer.error.is_some_and(|error| error.http_code == 404);
            if is_its_own { Ok(BTreeSet::new()) } else { Err(not_the_api(api, status, "no error of its own")) }
        }
        Api::Jaeger => {
            let mut ids = BTreeSet::new();
            let read = for_each_span(&spans(api, status, body)?, |span| {
                ids.insert(span.trace_id);
            });
            read.map(|()| ids).map_err(|error| not_the_api(api, status, &error.to_string()))
        }
        Api::JaegerV2 => {
            let answer: Listed<FoundTrace> = successful(api, status, body)?;
            answer.without_errors()?;
            listed(api, status, answer.data.iter().flatten())
        }
        Api::Tempo => {
            let answer: TempoFound = successful(api, status, body)?;
            listed(api, status, answer.traces.iter().flatten())
        }
        Api::Zipkin => {
            let answer: Vec<Vec<FoundTrace>> = successful(api, status, body)?;
            listed(api, status, answer.iter().filter_map(|spans| spans.first()))
        }
    }
}

/// Whether the answer to [`greeting_path`](crate::greeting_path) is that of the store which is expected.
pub fn greeted(api: Api, status: u16, body: &[u8]) -> Result<(), AnswerError> {
    match api {
        Api::Tempo if status == 200 && body.trim_ascii() == b"echo" => Ok(()),
        Api::Tempo => Err(not_the_api(api, status, "no echo")),
        Api::Jaeger => successful::<Services>(api, status, body).map(drop),
        Api::JaegerV2 => successful::<Listed<String>>(api, status, body).map(drop),
        Api::Zipkin => successful::<Vec<String>>(api, status, body).map(drop),
    }
}

/// The bytes of an `ExportTraceServiceRequest` with all spans of an answer.
fn spans(api: Api, status: u16, body: &[u8]) -> Result<Vec<u8>, AnswerError> {
    let refused = |reason: &str| not_the_api(api, status, reason);
    if status != 200 {
        return Err(refused(&String::from_utf8_lossy(body)));
    }
    match api {
        Api::Jaeger | Api::Tempo => {
            let stored = stored_to_protobuf(body).map_err(|error: StoredError| refused(&error.to_string()))?;
            match stored.failure {
                Some(reason) => Err(AnswerError::Partial { reason: quoted(&reason) }),
                None if stored.is_partial => Err(AnswerError::Partial { reason: "it says so itself".to_owned() }),
                None if !stored.is_trace => Err(refused("an object without a trace")),
                None => Ok(stored.request),
            }
        }
        Api::JaegerV2 => {
            let answer: Listed<serde::de::IgnoredAny> = parse(api, status, body)?;
            answer.without_errors()?;
            jaeger_answer_to_otlp(body, MAX_OTLP_BYTES).map_err(|error| refused(&error.to_string()))
        }
        Api::Zipkin => Format::ZipkinJson.to_otlp(body, MAX_OTLP_BYTES).map_err(|error| refused(&error.to_string())),
    }
}

/// What Jaeger's older interface answers with: everything, and errors beside it.
#[derive(Deserialize)]
#[serde(bound = "T: Deserialize<'de>")]
struct Listed<T> {
    data: Option<Vec<T>>,
    /// Always there: it tells Jaeger's answer from any other object.
    #[serde(rename = "total")]
    _total: serde::de::IgnoredAny,
    #[serde(default)]
    errors: Option<Vec<Problem>>,
}

impl<T> Listed<T> {
    fn without_errors(&self) -> Result<(), AnswerError> {
        match self.errors.iter().flatten().next() {
            Some(error) => Err(AnswerError::Partial { reason: quoted(&error.msg) }),
            None => Ok(()),
        }
    }
}

#[derive(Deserialize)]
struct Problem {
    #[serde(default)]
    msg: String,
}

#[derive(Deserialize)]
struct FoundTrace {
    #[serde(rename = "traceID", alias = "traceId")]
    trace_id: String,
}

#[derive(Deserialize)]
struct TempoFound {
    /// Left out where nothing was found, as ProtoJSON leaves out what is empty.
    #[serde(default)]
    traces: Option<Vec<FoundTrace>>,
    /// Always there: it tells Tempo's answer from any other object.
    #[serde(rename = "metrics")]
    _metrics: serde::de::IgnoredAny,
}

#[derive(Deserialize)]
struct Services {
    #[serde(rename = "services")]
    _services: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Failure {
    error: Option<FailureDetails>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FailureDetails {
    http_code: u16,
}

fn successful<'b, T: Deserialize<'b>>(api: Api, status: u16, body: &'b [u8]) -> Result<T, AnswerError> {
    if status == 200 { parse(api, status, body) } else { Err(not_the_api(api, status, &String::from_utf8_lossy(body))) }
}

/// serde_json bounds the depth (128), and whoever calls bounds the bytes.
fn parse<'b, T: Deserialize<'b>>(api: Api, status: u16, body: &'b [u8]) -> Result<T, AnswerError> {
    serde_json::from_slice(body).map_err(|error| not_the_api(api, status, &error.to_string()))
}

fn listed<'f>(
    api: Api,
    status: u16,
    found: impl Iterator<Item = &'f FoundTrace>,
) -> Result<BTreeSet<TraceId>, AnswerError> {
    let read = |found: &FoundTrace| {
        // Leading zeros may be left out (Tempo, older Jaegers, Zipkin's 64-bit ids).
        let id = format!("{:0>32}", found.trace_id).parse().ok();
        id.ok_or_else(|| not_the_api(api, status, &format!("the trace id {}", found.trace_id)))
    };
    found.map(read).collect()
}

fn not_the_api(api: Api, status: u16, reason: &str) -> AnswerError {
    AnswerError::NotTheApi { api, status, reason: quoted(reason) }
}

#[cfg(test)]
mod tests;
