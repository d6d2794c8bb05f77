//! The query interfaces of trace stores as bytes: which path to ask for a trace or for a search, and what the answer
//! says; and which traces are asked for when ([`Pursuit`]).
//!
//! Pure: asking is the business of `gates`. A crate of its own, so that what reads bytes from anybody can be fuzzed
//! without a network stack. An answer is read into OTLP's bytes by what `otlp` has for senders of the same formats, so
//! that a span that comes back from a store is compared as one that came out at a tap. Nothing is guessed: an answer
//! that may be incomplete, or may be somebody else's, is an error and no evidence.
//!
//! Sources: Jaeger's `proto/api_v3/query_service.proto` (jaeger-idl) and its HTTP gateway, the JSON of its page
//! (`/api/traces`), Tempo's "HTTP API", openzipkin/zipkin-api's `zipkin2-api.yaml`.

mod answer;
mod pursuit;
mod question;

pub use answer::{AnswerError, MAX_SPANS, Stored, StoredTrace, found, greeted, trace};
pub use pursuit::{Conclusion, Look, Pursuit, SpanKey, Timing};
pub use question::{Search, greeting_path, search_path, trace_path};

/// What a trace store speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Api {
    /// Jaeger's API v3: OTLP in JSON.
    Jaeger,
    /// The JSON of Jaeger's own page, which versions before 1.49 have alone.
    JaegerV2,
    /// Tempo's HTTP API: OTLP in JSON.
    Tempo,
    /// Zipkin's API v2.
    Zipkin,
}

impl Api {
    /// All of them.
    pub const ALL: [Api; 4] = [Api::Jaeger, Api::JaegerV2, Api::Tempo, Api::Zipkin];

    /// For people.
    pub fn words(self) -> &'static str {
        match self {
            Api::Jaeger => "Jaeger's API v3",
            Api::JaegerV2 => "Jaeger's /api/traces",
            Api::Tempo => "Tempo's API",
            Api::Zipkin => "Zipkin's API v2",
        }
    }
}
