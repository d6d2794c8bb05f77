//! Jaeger's protobuf (jaegertracing/jaeger-idl, `proto/api_v2/model.proto` and `collector.proto`), read from the wire.

use super::{JaegerSpan, Log, NANOS_PER_SECOND, Process, Reference, ReferenceKind, text};
use crate::legacy::LegacyError;
use crate::legacy::attributes::AnyValue;
use crate::legacy::groups::Groups;
use crate::signal::contents;
use crate::wire::{Field, Fields, Malformed, Value};
use std::borrow::Cow;

pub(in crate::legacy) fn to_otlp(request: &[u8], limit: usize) -> Result<Vec<u8>, LegacyError> {
    let mut groups = Groups::new(limit);
    // The process may stand behind the spans, and protobuf merges what stands there twice.
    let mut process = Process::new(limit);
    let mut batches = Fields::of(request);
    while let Some(mut batch) = contents(&mut batches, 1)? {
        while let Some(fields) = contents(&mut batch, 2)? {
            read_process(fields, &mut process)?;
        }
    }
    let mut index = 0;
    let mut batches = Fields::of(request);
    while let Some(mut batch) = contents(&mut batches, 1)? {
        while let Some(fields) = contents(&mut batch, 1)? {
            let refused = |what| LegacyError::Span { index, what };
            let (span, own_process) = read_span(fields, limit)?.map_err(refused)?;
            let resource = match own_process {
                Some(mut process) => process.resource(&mut groups),
                None => process.resource(&mut groups),
            };
            span.finish(resource, &mut groups).map_err(refused)?;
            index += 1;
            if groups.is_full() {
                return groups.into_request();
            }
        }
    }
    groups.into_request()
}

impl From<Malformed> for LegacyError {
    fn from(malformed: Malformed) -> LegacyError {
        let Malformed { offset, what } = malformed;
        LegacyError::Malformed { expected: "PostSpansRequest of Jaeger in protobuf", offset, what }
    }
}

/// A span and its own process, which counts more than the batch's; or what is wrong with it.
type SpanAndProcess = Result<(JaegerSpan, Option<Process>), String>;

fn read_span(mut fields: Fields<'_>, limit: usize) -> Result<SpanAndProcess, Malformed> {
    let mut span = JaegerSpan::new(limit);
    let mut process: Option<Process> = None;
    while let Some(field) = fields.read()? {
        match (field.number, field.value) {
            (1, Value::Bytes(bytes)) => match trace_id("trace_id", bytes) {
                Ok(id) => span.span.trace_id = id,
                Err(what) => return Ok(Err(what)),
            },
            (2, Value::Bytes(bytes)) => match span_id("span_id", bytes) {
                Ok(id) => span.span.span_id = id,
                Err(what) => return Ok(Err(what)),
            },
            (3, Value::Bytes(name)) => span.span.name = text(name).into_owned(),
            (4, Value::Bytes(_)) => match read_reference(&field)? {
                Ok(reference) => span.reference(reference),
                Err(what) => return Ok(Err(what)),
            },
            (5, Value::Varint(flags)) => span.flags = flags as u32,
            (6, Value::Bytes(_)) => span.start_ns = read_time(&field)?,
            (7, Value::Bytes(_)) => span.duration_ns = read_time(&field)?,
            (8, Value::Bytes(_)) => {
                let (key, value) = read_tag(&field)?;
                span.tag(&key, &value);
            }
            (9, Value::Bytes(_)) => {
                let mut log = span.new_log();
                read_log(&field, &mut log)?;
                if let Err(what) = span.log(log) {
                    return Ok(Err(what));
                }
            }
            (10, Value::Bytes(_)) => {
                if let Some(fields) = field.fields() {
                    read_process(fields, process.get_or_insert_with(|| Process::new(limit)))?;
                }
            }
            (12, Value::Bytes(warning)) => span.warning(&text(warning)),
            _ => {}
        }
    }
    Ok(Ok((span, process)))
}

fn read_process(mut fields: Fields<'_>, process: &mut Process) -> Result<(), Malformed> {
    while let Some(field) = fields.read()? {
        match (field.number, field.value) {
            (1, Value::Bytes(name)) => process.service = text(name).into_owned(),
            (2, Value::Bytes(_)) => {
                let (key, value) = read_tag(&field)?;
                process.tag(&key, &value);
            }
            _ => {}
        }
    }
    Ok(())
}

fn read_log(field: &Field<'_>, log: &mut Log) -> Result<(), Malformed> {
    let Some(mut fields) = field.fields() else { return Ok(()) };
    while let Some(field) = fields.read()? {
        match (field.number, field.value) {
            (1, Value::Bytes(_)) => log.time_ns = read_time(&field)?,
            (2, Value::Bytes(_)) => {
                let (key, value) = read_tag(&field)?;
                log.field(&key, &value);
            }
            _ => {}
        }
    }
    Ok(())
}

fn read_reference(field: &Field<'_>) -> Result<Result<Reference, String>, Malformed> {
    let mut reference = Reference { trace_id: [0; 16], span_id: [0; 8], kind: ReferenceKind::ChildOf };
    let Some(mut fields) = field.fields() else { return Ok(Ok(reference)) };
    while let Some(field) = fields.read()? {
        match (field.number, field.value) {
            (1, Value::Bytes(bytes)) => match trace_id("references: trace_id", bytes) {
                Ok(id) => reference.trace_id = id,
                Err(what) => return Ok(Err(what)),
            },
            (2, Value::Bytes(bytes)) => match span_id("references: span_id", bytes) {
                Ok(id) => reference.span_id = id,
                Err(what) => return Ok(Err(what)),
            },
            (3, Value::Varint(0)) => reference.kind = ReferenceKind::ChildOf,
            (3, Value::Varint(_)) => reference.kind = ReferenceKind::FollowsFrom,
            _ => {}
        }
    }
    Ok(Ok(reference))
}

/// A `google.protobuf.Timestamp` or `Duration`, in nanoseconds.
fn read_time(field: &Field<'_>) -> Result<i128, Malformed> {
    let (mut seconds, mut nanos) = (0, 0);
    let Some(mut fields) = field.fields() else { return Ok(0) };
    while let Some(field) = fields.read()? {
        match (field.number, field.value) {
            (1, Value::Varint(value)) => seconds = value as i64,
            (2, Value::Varint(value)) => nanos = value as i32,
            _ => {}
        }
    }
    Ok(i128::from(seconds) * NANOS_PER_SECOND + i128::from(nanos))
}

/// A `KeyValue` of Jaeger's, which has a field for each type of value.
fn read_tag<'m>(field: &Field<'m>) -> Result<(Cow<'m, str>, AnyValue<'m>), Malformed> {
    let (mut key, mut kind): (Cow<'m, str>, u64) = ("".into(), 0);
    let (mut string, mut flag, mut integer, mut double, mut binary) = (&b""[..], 0, 0, 0, &b""[..]);
    if let Some(mut fields) = field.fields() {
        while let Some(field) = fields.read()? {
            match (field.number, field.value) {
                (1, Value::Bytes(bytes)) => key = text(bytes),
                (2, Value::Varint(value)) => kind = value,
                (3, Value::Bytes(bytes)) => string = bytes,
                (4, Value::Varint(value)) => flag = value,
                (5, Value::Varint(value)) => integer = value,
                (6, Value::Fixed64(bits)) => double = bits,
                (7, Value::Bytes(bytes)) => binary = bytes,
                _ => {}
            }
        }
    }
    let value = match kind {
        0 => AnyValue::Text(text(string)),
        1 => AnyValue::Bool(flag != 0),
        2 => AnyValue::Int(integer as i64),
        3 => AnyValue::Double(f64::from_bits(double)),
        4 => AnyValue::Bytes(binary),
        other => AnyValue::Text(format!("<unknown Jaeger tag type {other}>").into()),
    };
    Ok((key, value))
}

/// 64-bit ids are as valid as in Jaeger's other format.
fn trace_id(field: &str, bytes: &[u8]) -> Result<[u8; 16], String> {
    let mut id = [0; 16];
    match bytes.len() {
        16 => id.copy_from_slice(bytes),
        8 => id[8..].copy_from_slice(bytes),
        length => return Err(format!("{field}: found {length} bytes; expected 16 (or 8 of a 64-bit id)")),
    }
    Ok(id)
}

fn span_id(field: &str, bytes: &[u8]) -> Result<[u8; 8], String> {
    bytes.try_into().map_err(|_| format!("{field}: found {} bytes; expected 8", bytes.len()))
}
