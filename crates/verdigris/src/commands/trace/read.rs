//! From files to traces: what a file is, which traces it has, and one of them.
//!
//! Everything becomes an OTLP request in protobuf first, by the readers of `otlp`; only the one trace that is wanted is
//! decoded whole.

use super::decode::decode;
use super::evidence::RawExample;
use crate::commands::evidence::{check_name, gone};
use crate::describe::Failed;
use model::TraceId;
use otlp::legacy::{Format, jaeger_answer_to_otlp};
use otlp::{Signal, Splitter, Unit};
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::collections::BTreeSet;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use verify::diff::{MAX_SPANS, Side};

/// The largest file: as large as a request that the gateway takes. What JSON becomes is at worst four times that.
const MAX_FILE_BYTES: usize = 64 << 20;
/// The largest trace: 65,536 spans of 512 bytes. Decoded it is some five times that; at worst, of nothing but empty links,
/// fifty times, 1.6 GiB.
const MAX_TRACE_BYTES: usize = 32 << 20;
/// Ids of traces that an error names.
const MAX_NAMED: usize = 5;

/// What was expected of a file that is none of these.
const EXPECTED: &str = "expected OTLP in JSON (objects with `resourceSpans`) or in protobuf, a trace as Jaeger, Tempo or \
                        Zipkin answer it in JSON, or a blob of evidence";

/// What a file is called.
#[derive(Clone, Debug)]
pub(super) struct Name(String);

impl Name {
    pub(super) fn refused(&self, why: impl fmt::Display) -> Failed {
        Failed::usage(format!("{self}: {why}"))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a file holds.
#[derive(Debug)]
pub(super) enum Contents {
    /// The bytes of an `ExportTraceServiceRequest`.
    Spans(Vec<u8>),
    /// Example traces.
    Evidence(Vec<RawExample>),
}

/// A file that was understood.
pub(super) struct Input {
    pub(super) name: Name,
    pub(super) contents: Contents,
}

/// A file with spans, and the traces that it has.
pub(super) struct Spans {
    pub(super) name: Name,
    message: Vec<u8>,
    traces: BTreeSet<TraceId>,
}

/// Reads a file, or standard input for `-`.
pub(super) fn file(path: &Path) -> Result<Input, Failed> {
    let is_stdin = path == Path::new("-");
    let name = Name(if is_stdin { "standard input".to_owned() } else { path.display().to_string() });
    let read = if is_stdin {
        bounded(std::io::stdin().lock())
    } else {
        if let Some(failed) = gone(path, None) {
            return Err(failed);
        }
        File::open(path).and_then(bounded)
    };
    let bytes = read.map_err(|error| name.refused(format_args!("cannot be read: {error}")))?;
    if bytes.len() > MAX_FILE_BYTES {
        return Err(name.refused(format_args!("longer than {} MiB; take fewer traces into it", MAX_FILE_BYTES >> 20)));
    }
    let contents = understand(&bytes).map_err(|why| name.refused(why))?;
    if let Contents::Evidence(_) = contents {
        check_name(path, &bytes)?;
    }
    Ok(Input { name, contents })
}

fn bounded(from: impl Read) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(MAX_FILE_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Reads a file of which only spans are wanted.
pub(super) fn spans(path: &Path) -> Result<Spans, Failed> {
    let Input { name, contents } = file(path)?;
    let Contents::Spans(message) = contents else {
        return Err(name.refused("a blob of evidence, which has both sides in itself: name it alone"));
    };
    let mut traces = BTreeSet::new();
    let scanned = Splitter::default().scan(Signal::Traces, &message, |unit| {
        if let Unit::Trace(trace) = unit {
            traces.insert(trace);
        }
        0
    });
    scanned.map_err(|error| name.refused(error))?;
    if traces.is_empty() {
        return Err(name.refused(format_args!("no spans in it; {EXPECTED}")));
    }
    Ok(Spans { name, message, traces })
}

impl Spans {
    /// One of its traces.
    pub(super) fn side(&self, trace: TraceId) -> Result<Side, Failed> {
        if !self.traces.contains(&trace) {
            return Err(self.name.refused(format_args!("no trace {trace} in it; it has {}", self.named())));
        }
        let refused = |why: &dyn fmt::Display| self.name.refused(format_args!("trace {trace}: {why}"));
        let mut splitter = Splitter::default();
        let wanted = |unit| u8::from(unit != Unit::Trace(trace));
        splitter.scan(Signal::Traces, &self.message, wanted).map_err(|error| refused(&error))?;
        let spans = splitter.records(0);
        if spans > MAX_SPANS as u64 {
            return Err(refused(&format_args!("{spans} spans; expected {MAX_SPANS} at most")));
        }
        let mut part = Vec::new();
        splitter.write(&self.message, |part| part == 0, &mut part);
        if part.len() > MAX_TRACE_BYTES {
            return Err(refused(&format_args!("longer than {} MiB", MAX_TRACE_BYTES >> 20)));
        }
        decode(&part).map_err(|error| refused(&error))
    }

    fn named(&self) -> String {
        let named: Vec<String> = self.traces.iter().take(MAX_NAMED).map(TraceId::to_string).collect();
        match self.traces.len().saturating_sub(MAX_NAMED) {
            0 => named.join(", "),
            more => format!("{} and {more} more", named.join(", ")),
        }
    }
}

/// Which trace is meant where none is named: the only one of each file, or the only one of one file if the other has it too.
pub(super) fn choose(a: &Spans, b: &Spans) -> Result<(TraceId, TraceId), Failed> {
    let only = |spans: &Spans| spans.traces.first().copied().filter(|_| spans.traces.len() == 1);
    let several =
        |spans: &Spans| spans.name.refused(format_args!("several traces: name one with --trace: {}", spans.named()));
    match (only(a), only(b)) {
        (Some(a), Some(b)) => Ok((a, b)),
        (Some(id), None) if b.traces.contains(&id) => Ok((id, id)),
        (None, Some(id)) if a.traces.contains(&id) => Ok((id, id)),
        (Some(_), None) => Err(several(b)),
        (None, _) => Err(several(a)),
    }
}

/// What bytes are, whoever wrote them.
pub(super) fn understand(bytes: &[u8]) -> Result<Contents, String> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    // A request in protobuf begins with its field 1, and that byte is a line feed. So what begins with white space is
    // JSON only if it is no protobuf.
    let is_json = match bytes.trim_ascii_start().first() {
        Some(b'{' | b'[') if bytes[0].is_ascii_whitespace() => is_no_protobuf(bytes),
        Some(b'{' | b'[') => true,
        Some(_) | None => false,
    };
    match bytes.trim_ascii_start().first() {
        Some(b'[') if is_json => list(bytes),
        Some(_) if is_json => objects(bytes),
        Some(_) | None if is_no_protobuf(bytes) => Err(EXPECTED.to_owned()),
        Some(_) | None => Ok(Contents::Spans(bytes.to_vec())),
    }
}

fn is_no_protobuf(bytes: &[u8]) -> bool {
    Splitter::default().scan(Signal::Traces, bytes, |_| 0).is_err()
}

/// What tells the elements of lists apart.
#[derive(Deserialize)]
struct Element {
    environment: Option<IgnoredAny>,
}

fn list(bytes: &[u8]) -> Result<Contents, String> {
    let elements: Vec<Element> = serde_json::from_slice(bytes).map_err(|error| format!("{error}; {EXPECTED}"))?;
    match elements.first() {
        Some(Element { environment: Some(_) }) => {
            let examples = serde_json::from_slice(bytes).map_err(|error| format!("no blob of evidence: {error}"))?;
            Ok(Contents::Evidence(examples))
        }
        Some(_) => Format::ZipkinJson.to_otlp(bytes, MAX_FILE_BYTES).map(Contents::Spans).map_err(|it| it.to_string()),
        None => Ok(Contents::Spans(Vec::new())),
    }
}

/// What tells objects apart: OTLP's, what Jaeger's API v3 and Tempo put around it, and Jaeger's own.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Object {
    resource_spans: Option<IgnoredAny>,
    result: Option<IgnoredAny>,
    batches: Option<IgnoredAny>,
    trace: Option<IgnoredAny>,
    data: Option<IgnoredAny>,
}

/// One request, or one a line as the Collector's file exporter writes them. Their bytes one after the other are a request
/// again: protobuf merges.
fn objects(bytes: &[u8]) -> Result<Contents, String> {
    let (mut message, mut at, mut number) = (Vec::new(), 0, 0);
    while !bytes[at..].trim_ascii().is_empty() {
        number += 1;
        let refused = |why: String| format!("value {number}, from byte {at} on: {why}");
        let mut values = serde_json::Deserializer::from_slice(&bytes[at..]).into_iter::<Object>();
        let found = match values.next() {
            Some(Ok(found)) => found,
            Some(Err(error)) => return Err(refused(error.to_string())),
            None => break,
        };
        let end = at + values.byte_offset();
        message.extend(object(&found, &bytes[at..end]).map_err(refused)?);
        at = end;
    }
    Ok(Contents::Spans(message))
}

/// The bytes of an `ExportTraceServiceRequest`.
fn object(found: &Object, json: &[u8]) -> Result<Vec<u8>, String> {
    match found {
        Object { resource_spans: Some(_), .. } => {
            otlp::json::request_to_protobuf(Signal::Traces, json).map_err(|error| error.to_string())
        }
        Object { result: Some(_), .. } | Object { batches: Some(_), .. } | Object { trace: Some(_), .. } => {
            let stored = otlp::json::stored_to_protobuf(json).map_err(|error| error.to_string())?;
            match stored.failure {
                Some(failure) => Err(format!("the store answered with an error: {failure:?}")),
                // What is missing would be taken for lost.
                None if stored.is_partial => {
                    Err("the store says that it answered a part of the trace alone".to_owned())
                }
                None => Ok(stored.request),
            }
        }
        Object { data: Some(_), .. } => jaeger_answer_to_otlp(json, MAX_FILE_BYTES).map_err(|error| error.to_string()),
        Object { resource_spans: None, result: None, batches: None, trace: None, data: None } => {
            Err(format!("an object without `resourceSpans`; {EXPECTED}"))
        }
    }
}

#[cfg(test)]
mod tests;
