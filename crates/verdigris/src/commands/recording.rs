//! Recordings of spans as the Collector's file exporter writes them: JSON lines (`format: json`, the default), or messages
//! each behind its length in four bytes, most significant first (`format: proto`). Both hold `TracesData`, which on the wire
//! is the same as an export request. A single export request is read too.

use crate::describe::Failed;
use anyhow::Context;
use otlp::{Malformed, Signal, SpanView};
use serde::de::IgnoredAny;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

/// Bytes of one message; the Collector's receivers take 20 MiB at most by default.
const MAX_MESSAGE_BYTES: u64 = 64 << 20;

/// The first byte of a `resource_spans`, field 1: so begins a single export request. As the first byte of a length it would
/// be a message of 160 MiB; as a line's end it stands behind JSON.
const FIRST_FIELD: u8 = 0x0a;

/// Calls `each` for every span of the file. The error names the file, and where in it.
pub(super) fn for_each_span(path: &Path, mut each: impl FnMut(&SpanView<'_>)) -> Result<(), Failed> {
    for_each_message(path, |message| otlp::for_each_span(message, &mut each))
}

/// Calls `each` for every message of the file.
pub(super) fn for_each_message(
    path: &Path,
    mut each: impl FnMut(&[u8]) -> Result<(), Malformed>,
) -> Result<(), Failed> {
    let file = path.display();
    let opened = File::open(path).with_context(|| format!("{file}: cannot be read"));
    let mut reader = BufReader::new(opened.map_err(usage)?);
    let mut number = 0;
    loop {
        let first =
            reader.fill_buf().with_context(|| format!("{file}: cannot be read")).map_err(usage)?.first().copied();
        let Some(first) = first else { return Ok(()) };
        // Between lines of JSON; at the file's beginning it is a request's first field.
        if number > 0 && matches!(first, b'\n' | b'\r' | b' ') {
            reader.consume(1);
            continue;
        }
        number += 1;
        let message = match first {
            b'{' => json(&mut reader),
            FIRST_FIELD => bounded(&mut reader, MAX_MESSAGE_BYTES),
            _ => framed(&mut reader),
        };
        let message = message.with_context(|| format!("{file}: message {number}")).map_err(usage)?;
        each(&message).with_context(|| format!("{file}: message {number} is no OTLP traces")).map_err(usage)?;
    }
}

fn usage(error: anyhow::Error) -> Failed {
    Failed::usage(format!("{error:#}; expected what the Collector's file exporter writes, uncompressed"))
}

fn json(reader: &mut impl BufRead) -> anyhow::Result<Vec<u8>> {
    let mut line = Vec::new();
    reader.by_ref().take(MAX_MESSAGE_BYTES + 1).read_until(b'\n', &mut line)?;
    anyhow::ensure!(line.len() as u64 <= MAX_MESSAGE_BYTES, "longer than {MAX_MESSAGE_BYTES} bytes");
    // A request over several lines is the only one of its file.
    if matches!(serde_json::from_slice::<IgnoredAny>(&line), Err(error) if error.is_eof()) {
        let left = MAX_MESSAGE_BYTES - line.len() as u64;
        line.extend(bounded(reader, left)?);
    }
    Ok(otlp::json::request_to_protobuf(Signal::Traces, &line)?)
}

fn framed(reader: &mut impl BufRead) -> anyhow::Result<Vec<u8>> {
    let mut length = [0; 4];
    reader.read_exact(&mut length).context("ends within the length of a message")?;
    let length = u64::from(u32::from_be_bytes(length));
    anyhow::ensure!(length <= MAX_MESSAGE_BYTES, "{length} bytes long, at most {MAX_MESSAGE_BYTES} are read");
    let message = bounded(&mut reader.by_ref().take(length), length)?;
    anyhow::ensure!(message.len() as u64 == length, "ends after {} of {length} bytes", message.len());
    Ok(message)
}

/// All that is left, which is allocated as it is read.
fn bounded(reader: &mut impl Read, most: u64) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.by_ref().take(most + 1).read_to_end(&mut bytes)?;
    anyhow::ensure!(bytes.len() as u64 <= most, "longer than {most} bytes");
    Ok(bytes)
}
