//! Traces by an attribute of their resource.

use crate::span::{read_key_value, string_value};
use crate::wire::{Fields, Malformed, Value};
use model::TraceId;

/// Calls `each` for every span of an `ExportTraceServiceRequest` whose resource has this attribute as a string: with the
/// attribute's value and the span's trace id, all zero if that is not 16 bytes long. Of an attribute that stands twice the
/// first counts, as in the OpenTelemetry Collector. A request that nowhere has the key's bytes is not walked through.
pub fn for_each_tagged_trace(message: &[u8], key: &str, mut each: impl FnMut(&str, TraceId)) -> Result<(), Malformed> {
    if key.is_empty() || !contains(message, key.as_bytes()) {
        return Ok(());
    }
    let mut request = Fields::of(message);
    while let Some(field) = request.read()? {
        let (1, Some(mut resource_spans)) = (field.number, field.fields()) else { continue };
        let Some(value) = value_of(resource_spans.clone(), key)? else { continue };
        while let Some(field) = resource_spans.read()? {
            let (2, Some(mut scope_spans)) = (field.number, field.fields()) else { continue };
            while let Some(field) = scope_spans.read()? {
                let (2, Some(mut span)) = (field.number, field.fields()) else { continue };
                let mut trace = TraceId::default();
                while let Some(field) = span.read()? {
                    if let (1, Value::Bytes(bytes)) = (field.number, field.value) {
                        trace = bytes.try_into().map(TraceId).unwrap_or_default();
                    }
                }
                each(value, trace);
            }
        }
    }
    Ok(())
}

/// The attribute's text, in the `resource` fields of a `ResourceSpans`: protobuf merges repeated ones.
fn value_of<'m>(mut resource_spans: Fields<'m>, key: &str) -> Result<Option<&'m str>, Malformed> {
    while let Some(field) = resource_spans.read()? {
        let (1, Some(mut resource)) = (field.number, field.fields()) else { continue };
        while let Some(field) = resource.read()? {
            let (1, Value::Bytes(_)) = (field.number, field.value) else { continue };
            if let Some((_, value)) = read_key_value(&field)?.filter(|(found, _)| *found == key) {
                return Ok(Some(string_value(value)).filter(|value| !value.is_empty()));
            }
        }
    }
    Ok(None)
}

/// Looks for the first byte, and then for the rest.
fn contains(message: &[u8], wanted: &[u8]) -> bool {
    let mut rest = message;
    while let Some(at) = rest.iter().position(|byte| *byte == wanted[0]) {
        if rest[at..].starts_with(wanted) {
            return true;
        }
        rest = &rest[at + 1..];
    }
    false
}

#[cfg(test)]
mod tests;
