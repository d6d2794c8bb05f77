//! Requests that are encoded once and sent often, each time with other ids and times, which are overwritten where they
//! stand: some five writes a span, and one copy of the whole.

use model::TraceId;
use otlp::grpc::{PREFIX_LEN, prefix};
use otlp::{Fixed, Signal, for_each_fixed};
use std::collections::BTreeMap;

/// One request.
#[derive(Clone, Debug)]
pub struct Template {
    /// gRPC's prefix, and the message.
    body: Vec<u8>,
    spans: u32,
    /// Where trace ids begin, and the number of the trace.
    traces: Vec<(u32, u32)>,
    /// Where span ids begin.
    span_ids: Vec<u32>,
    /// Where times begin.
    times: Vec<u32>,
}

/// Requests among which the same traces are spread, as services that export each for itself spread them.
#[derive(Clone, Debug)]
pub struct Group {
    pub(crate) requests: Vec<Template>,
    /// How many traces there are in them.
    pub(crate) traces: usize,
    /// From the beginning of its first span to the end of its last one.
    pub(crate) longest_ns: u64,
}

impl Group {
    /// Of messages that share their traces: `ExportTraceServiceRequest`s of ours.
    pub(crate) fn new(messages: &[Vec<u8>]) -> Group {
        let mut numbers = BTreeMap::new();
        let requests = messages.iter().map(|message| Template::new(message, &mut numbers));
        // There may be fewer services than messages that share them.
        let requests: Vec<Template> = requests.filter(|template| template.spans > 0).collect();
        let times = || requests.iter().flat_map(Template::times);
        let longest_ns = times().max().unwrap_or(0) - times().min().unwrap_or(0);
        Group { requests, traces: numbers.len(), longest_ns }
    }

    /// The requests.
    pub fn requests(&self) -> &[Template] {
        &self.requests
    }

    /// How many traces are in them together.
    pub fn traces(&self) -> usize {
        self.traces
    }
}

impl Template {
    fn new(message: &[u8], numbers: &mut BTreeMap<[u8; 16], u32>) -> Template {
        let length = u32::try_from(message.len()).expect("Shape bounds a request far below 4 GiB");
        let mut template = Template {
            body: [&prefix(false, length)[..], message].concat(),
            spans: 0,
            traces: Vec::new(),
            span_ids: Vec::new(),
            times: Vec::new(),
        };
        for_each_fixed(Signal::Traces, message, |fixed, at| {
            let place = (PREFIX_LEN + at) as u32;
            match fixed {
                Fixed::TraceId | Fixed::LinkedTraceId => {
                    let id = message[at..].first_chunk::<16>().expect("a trace id stands there");
                    let next = numbers.len() as u32;
                    template.traces.push((place, *numbers.entry(*id).or_insert(next)));
                    template.spans += u32::from(fixed == Fixed::TraceId);
                }
                Fixed::SpanId | Fixed::ParentSpanId | Fixed::LinkedSpanId => template.span_ids.push(place),
                Fixed::UnixNanos => template.times.push(place),
            }
        })
        .expect("prost wrote it");
        template
    }

    fn times(&self) -> impl Iterator<Item = u64> + '_ {
        let read = |place: &u32| self.body[*place as usize..].first_chunk().map(|eight| u64::from_le_bytes(*eight));
        self.times.iter().filter_map(read)
    }

    /// Bytes of gRPC's prefix and the message.
    pub(crate) fn len(&self) -> usize {
        self.body.len()
    }

    /// How many spans it has.
    pub fn spans(&self) -> u32 {
        self.spans
    }

    /// Appends gRPC's prefix and the message, with the traces' ids taken from `ids` by their number, all span ids changed
    /// by the same bits (so that parents stay parents), and all times later by `later_ns`.
    ///
    /// # Panics
    /// If there are fewer ids than the group has traces.
    pub fn stamp(&self, ids: &[TraceId], span_bits: u64, later_ns: u64, out: &mut Vec<u8>) {
        let begin = out.len();
        out.extend_from_slice(&self.body);
        let body = &mut out[begin..];
        for (place, number) in &self.traces {
            put(body, *place, &ids[*number as usize].0);
        }
        // The lowest bit of every span id of ours is set, and stays: none becomes zero, which would be no id.
        let bits = span_bits & !1;
        for place in &self.span_ids {
            change(body, *place, |id| u64::from_be_bytes(id) ^ bits, u64::to_be_bytes);
        }
        for place in &self.times {
            change(body, *place, |time| u64::from_le_bytes(time).wrapping_add(later_ns), u64::to_le_bytes);
        }
    }
}

fn put(body: &mut [u8], place: u32, bytes: &[u8]) {
    body[place as usize..][..bytes.len()].copy_from_slice(bytes);
}

fn change(body: &mut [u8], place: u32, read: impl Fn([u8; 8]) -> u64, write: impl Fn(u64) -> [u8; 8]) {
    let bytes = body[place as usize..].first_chunk_mut::<8>().expect("eight bytes stand there");
    *bytes = write(read(*bytes));
}
