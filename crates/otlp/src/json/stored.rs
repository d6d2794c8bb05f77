//! Traces as stores answer them in JSON: OTLP's `TracesData` under the names that each store has for it.
//!
//! - Jaeger's API v3: `{"result": {"resourceSpans": […]}}`, one or several of them one after the other, as gRPC's gateway
//!   streams them (jaeger-idl, `proto/api_v3/query_service.proto`, `GRPCGatewayWrapper`). A failure in the midst of them
//!   is `{"error": {…}}`.
//! - Tempo: `{"batches": […]}`; its v2 `{"trace": {"resourceSpans": […]}, "status": "PARTIAL"}` (`tempo.proto`, `Trace` and
//!   `TraceByIDResponse`). Its ids are in base64, for it writes JSON by ProtoJSON's rules.

use super::{Ids, Object, schema};
use crate::wire::{Fields, Malformed, Value, last_bytes, put_bytes_field};
use serde::de::DeserializeSeed;

/// What a store answered.
#[derive(Debug, PartialEq, Eq)]
pub struct Stored {
    /// The bytes of an `ExportTraceServiceRequest` with all spans.
    pub request: Vec<u8>,
    /// A place for spans was there, with or without any in it. Any other object of JSON has none.
    pub is_trace: bool,
    /// The store says itself that spans are missing.
    pub is_partial: bool,
    /// It says that it failed, in its own words.
    pub failure: Option<String>,
}

/// An answer that is no stored trace.
#[derive(Debug, thiserror::Error)]
pub enum StoredError {
    /// It is not the JSON it should be.
    #[error("{0}")]
    // The cause is part of the text, and no `#[source]`: the text has the line and column.
    Json(serde_json::Error),
    /// What was written cannot be read again, which is a fault of ours.
    #[error(transparent)]
    Wire(#[from] Malformed),
}

/// Reads an answer, whatever bytes it is. It takes memory in proportion to them, as
/// [`request_to_protobuf`](super::request_to_protobuf) does.
pub fn stored_to_protobuf(json: &[u8]) -> Result<Stored, StoredError> {
    let mut stored = Stored { request: Vec::new(), is_trace: false, is_partial: false, failure: None };
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    loop {
        let mut out = Vec::new();
        let object = Object { message: &schema::STORED, ids: Ids::OrBase64, out: &mut out };
        // Each value takes a byte at least, so this ends.
        object.deserialize(&mut deserializer).map_err(StoredError::Json)?;
        unwrap(&out, &mut stored)?;
        if deserializer.end().is_ok() {
            return Ok(stored);
        }
    }
}

/// Spans below a name of the store's go where OTLP has them: the bytes of two requests one after the other are a request.
fn unwrap(answer: &[u8], stored: &mut Stored) -> Result<(), Malformed> {
    let mut fields = Fields::of(answer);
    while let Some(field) = fields.read()? {
        stored.is_trace |= field.number <= 2;
        match (field.number, field.value) {
            (1, Value::Bytes(resource_spans)) => put_bytes_field(&mut stored.request, 1, resource_spans),
            (2, Value::Bytes(spans)) => stored.request.extend_from_slice(spans),
            (3, Value::Varint(status)) => stored.is_partial |= status != 0,
            (4, Value::Bytes(failure)) => {
                let words = last_bytes(Fields::of(failure), 1)?.unwrap_or_default();
                stored.failure = Some(String::from_utf8_lossy(words).into_owned());
            }
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
