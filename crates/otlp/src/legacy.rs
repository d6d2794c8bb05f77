//! Zipkin's and Jaeger's requests to protobuf bytes of an `ExportTraceServiceRequest`, so that old senders come along
//! in a migration, and everything behind the receiver knows one encoding.
//!
//! The specification maps OpenTelemetry to these formats (opentelemetry-specification, `trace/sdk_exporters/zipkin.md`
//! and `jaeger.md`, `common/mapping-to-non-otlp.md`); this reads it backwards. Where it says nothing, it follows the
//! translators of the OpenTelemetry Collector; what is done otherwise is said where it is done. The docs' operations.md
//! has the table of names.
//!
//! - A span without a valid trace id and span id makes the whole request be refused, with the span's index and the
//!   field, as Zipkin's server does. Nothing is dropped silently.
//! - No span kind is `INTERNAL`: the specification leaves exactly that one out.
//! - Spans are grouped: one `ResourceSpans` for each resource, one `ScopeSpans` for each scope in it.
//! - Attribute keys are unique, as OTLP wants them: of several tags with one name the last one counts.
//! - Texts that are not UTF-8 (Thrift's strings are any bytes) get U+FFFD for what is none.
//! - Nothing is guessed: HTTP status codes make no span status, tags that are strings stay strings.

mod attributes;
mod groups;
mod ids;
mod jaeger;
mod span;
mod zipkin;

/// What an old sender speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A list of Zipkin v2 spans in JSON (openzipkin/zipkin-api, `zipkin2-api.yaml`).
    ZipkinJson,
    /// Jaeger's `PostSpansRequest` in protobuf (jaegertracing/jaeger-idl, `proto/api_v2/collector.proto`).
    JaegerProto,
    /// Jaeger's `Batch` as a bare struct in Thrift's binary protocol (jaeger-idl, `thrift/jaeger.thrift`), as its
    /// clients post it over HTTP.
    JaegerThrift,
}

impl Format {
    /// All three.
    pub const ALL: [Format; 3] = [Format::ZipkinJson, Format::JaegerProto, Format::JaegerThrift];

    /// The path that its senders post to; of Jaeger's protobuf it is a gRPC method.
    pub fn path(self) -> &'static str {
        match self {
            Format::ZipkinJson => "/api/v2/spans",
            Format::JaegerProto => "/jaeger.api_v2.CollectorService/PostSpans",
            Format::JaegerThrift => "/api/traces",
        }
    }

    /// The format that is posted to a path.
    pub fn from_path(path: &str) -> Option<Format> {
        Format::ALL.into_iter().find(|format| format.path() == path)
    }

    /// The bytes of an `ExportTraceServiceRequest`, at most `limit` (below 4 GiB) of them. It takes less memory than four
    /// times the larger of request and limit, whatever the request claims: twice for the parts as their vectors double,
    /// once for where the attributes stand, once for the whole. Of 64 MiB of the worst that was tried it took 192 MiB.
    pub fn to_otlp(self, request: &[u8], limit: usize) -> Result<Vec<u8>, LegacyError> {
        match self {
            Format::ZipkinJson => zipkin::to_otlp(request, limit),
            Format::JaegerProto => jaeger::proto::to_otlp(request, limit),
            Format::JaegerThrift => jaeger::thrift::to_otlp(request, limit),
        }
    }
}

/// The bytes of an `ExportTraceServiceRequest` from the JSON in which Jaeger's query service answers its own page
/// (`/api/traces`), with the spans of all its traces; at most `limit` (below 4 GiB) of them.
pub fn jaeger_answer_to_otlp(answer: &[u8], limit: usize) -> Result<Vec<u8>, LegacyError> {
    jaeger::json::to_otlp(answer, limit)
}

/// A request that is not converted. Nothing of it goes on.
#[derive(Debug, thiserror::Error)]
pub enum LegacyError {
    /// It would become larger than allowed.
    #[error("the request becomes larger in OTLP than the {limit} bytes that are allowed; send smaller batches")]
    TooLarge {
        /// The limit that was passed, in bytes.
        limit: usize,
    },
    /// It is no JSON, no list of Zipkin's spans, or has a span that is none.
    // The cause is part of the text, and no `#[source]`: the text goes to the client, who needs the line and column.
    #[error("the body is no list of Zipkin v2 spans in JSON: {0}")]
    Json(serde_json::Error),
    /// It is no JSON of Jaeger's query service.
    #[error("the body is no answer of Jaeger's query service in JSON: {0}")]
    JaegerJson(serde_json::Error),
    /// Its bytes are not what they should be.
    #[error("the body is no {expected}: at byte {offset}, {what}")]
    Malformed {
        /// The message that was expected.
        expected: &'static str,
        /// Where, in bytes from the start of the message.
        offset: usize,
        /// What is wrong there.
        what: &'static str,
    },
    /// A span that is none.
    #[error("span {index}: {what}")]
    Span {
        /// Which span, counted from 0.
        index: usize,
        /// The field, what was found, and what was expected.
        what: String,
    },
}

#[cfg(test)]
mod tests;
