//! Splits a request by environment without decoding it: the records' bytes are copied, and the envelopes around them.
//!
//! One pass finds every record's trace id and the size of each part; writing a part copies byte ranges. Records are
//! never changed, and never left out: a record whose trace id is not valid has a place too.

use crate::wire::{Field, Fields, Malformed, Value, put_key, put_varint, varint_len};
use model::{Environment, PerEnvironment, TraceId};

/// Spans (or log records) in each environment's part.
pub type SpanCounts = PerEnvironment<u64>;

/// `Span.trace_id` and `LogRecord.trace_id` (opentelemetry/proto/trace/v1, logs/v1).
const SPAN_TRACE_ID: u32 = 1;
const LOG_RECORD_TRACE_ID: u32 = 9;

/// Scans a request once for its spans' trace ids, and splits it by environment.
///
/// Reusable: keep one per connection or worker, for its scratch memory. A scan needs at most some 12 bytes of it for each
/// byte of the message (one empty span in each resource: six bytes, two envelopes, three pieces), and far less than one
/// for ordinary messages; what an odd message made it grow to is given back at the next scan.
#[derive(Debug, Default)]
pub struct Splitter {
    pieces: Vec<Piece>,
    envelopes: Vec<Envelope>,
    counts: SpanCounts,
    lengths: PerEnvironment<usize>,
    /// Length of the message that was scanned.
    scanned: usize,
}

/// Entries of scratch memory that are kept from scan to scan: 16,384 pieces of 12 bytes and as many envelopes of 16 are
/// 448 KiB. An ordinary request has some dozens.
const MAX_KEPT_ENTRIES: usize = 16 * 1024;

/// What a part is made of, in the message's order. Offsets are of the message, which is shorter than 4 GiB.
#[derive(Clone, Copy, Debug)]
enum Piece {
    /// An envelope begins: a `ResourceSpans`, field 1 of the request, or a `ScopeSpans`, field 2 of that.
    Begin { level: Level, envelope: u32 },
    /// Everything that is neither an envelope nor a record: goes into every part that has a record in that envelope.
    Around { level: Level, start: u32, end: u32 },
    /// Records of one environment, one after the other.
    Records { environment: Environment, start: u32, end: u32 },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    Request,
    Resource,
    Scope,
}

/// What each environment's part of one `ResourceSpans` or `ScopeSpans` holds. A part is no longer than the message, for
/// it repeats nothing, and its prefixes are the shortest possible.
#[derive(Clone, Copy, Debug, Default)]
struct Envelope {
    records: PerEnvironment<u32>,
    /// Length in bytes without key and length prefix.
    length: PerEnvironment<u32>,
}

impl Splitter {
    /// Scans an `ExportTraceServiceRequest` and counts the spans of each part. Both are 0 for a request without spans.
    ///
    /// `route` is asked at least once for each run of spans with the same trace id, and may be asked again for the same
    /// id. A span whose trace id is not 16 bytes, or all zero, is not valid OTLP; it is routed as
    /// `TraceId::default()` and passed on, so that it makes no other span be lost.
    ///
    /// Fails if the framing of the request, an envelope or a span is broken; what spans hold deeper is not looked at.
    pub fn scan(&mut self, message: &[u8], route: impl FnMut(TraceId) -> Environment) -> Result<SpanCounts, Malformed> {
        self.scan_records(message, Router { trace_id_field: SPAN_TRACE_ID, route, last: None })
    }

    /// The same for an `ExportLogsServiceRequest` and its log records. A record without a trace id, which is valid, is
    /// routed as `TraceId::default()`.
    pub fn scan_logs(
        &mut self,
        message: &[u8],
        route: impl FnMut(TraceId) -> Environment,
    ) -> Result<SpanCounts, Malformed> {
        self.scan_records(message, Router { trace_id_field: LOG_RECORD_TRACE_ID, route, last: None })
    }

    /// Length in bytes of the part that [`Splitter::write`] appends for this environment.
    pub fn part_len(&self, environment: Environment) -> usize {
        self.lengths[environment]
    }

    /// After a scan: appends the part of one environment, byte for byte as in `message`: the environment's records, the
    /// resource and scope envelopes around them, and all unknown fields. Envelopes without a record of this environment
    /// are left out; a part without any record is empty. Only the length prefixes of envelopes are new.
    ///
    /// # Panics
    /// If `message` is not as long as the message that was scanned.
    pub fn write(&self, message: &[u8], environment: Environment, out: &mut Vec<u8>) {
        assert_eq!(message.len(), self.scanned, "write takes the message that was scanned");
        out.reserve_exact(self.lengths[environment]);
        let copy =
            |out: &mut Vec<u8>, start: u32, end: u32| out.extend_from_slice(&message[start as usize..end as usize]);
        let mut has_records = [self.counts[environment] > 0, false, false];
        for piece in &self.pieces {
            match *piece {
                Piece::Begin { level, envelope } => {
                    let envelope = &self.envelopes[envelope as usize];
                    has_records[level as usize] = envelope.records[environment] > 0;
                    if envelope.records[environment] > 0 {
                        put_key(out, level.number(), 2);
                        put_varint(out, u64::from(envelope.length[environment]));
                    }
                }
                Piece::Around { level, start, end } if has_records[level as usize] => copy(out, start, end),
                Piece::Records { environment: of, start, end } if of == environment => copy(out, start, end),
                Piece::Around { .. } | Piece::Records { .. } => {}
            }
        }
    }

    fn scan_records<R>(&mut self, message: &[u8], mut router: Router<R>) -> Result<SpanCounts, Malformed>
    where
        R: FnMut(TraceId) -> Environment,
    {
        self.clear(message.len());
        if u32::try_from(message.len()).is_err() {
            return Err(Malformed { offset: u32::MAX as usize, what: "the message is longer than 4 GiB" });
        }
        let request = self.scan_envelope(Fields::of(message), Level::Request, &mut router);
        match request {
            Ok(request) => {
                self.counts = request.records.map(u64::from);
                self.lengths = request.length.map(|length| length as usize);
            }
            Err(_) => self.clear(message.len()),
        }
        request.map(|_| self.counts)
    }

    fn clear(&mut self, scanned: usize) {
        self.pieces.clear();
        self.pieces.shrink_to(MAX_KEPT_ENTRIES);
        self.envelopes.clear();
        self.envelopes.shrink_to(MAX_KEPT_ENTRIES);
        self.counts = SpanCounts::default();
        self.lengths = PerEnvironment::default();
        self.scanned = scanned;
    }

    /// Calls itself twice at most: a request holds resources, these hold scopes, these hold records.
    fn scan_envelope<R>(
        &mut self,
        mut fields: Fields<'_>,
        level: Level,
        router: &mut Router<R>,
    ) -> Result<Envelope, Malformed>
    where
        R: FnMut(TraceId) -> Environment,
    {
        let mut envelope = Envelope::default();
        let mut around = 0;
        while let Some(field) = fields.read()? {
            match (field.number == level.content(), field.fields()) {
                (true, Some(content)) => match level.inner() {
                    Some(inner) => {
                        let (index, pieces) = (self.envelopes.len(), self.pieces.len());
                        self.envelopes.push(Envelope::default());
                        self.pieces.push(Piece::Begin { level: inner, envelope: index as u32 });
                        let inside = self.scan_envelope(content, inner, router)?;
                        if inside.is_empty() {
                            // It goes nowhere, so millions of empty ones take no memory either.
                            self.envelopes.truncate(index);
                            self.pieces.truncate(pieces);
                        } else {
                            self.envelopes[index] = inside;
                            envelope.add(&inside);
                        }
                    }
                    None => {
                        let environment = router.environment(content)?;
                        envelope.records[environment] += 1;
                        envelope.length[environment] += (field.end - field.start) as u32;
                        self.copy_records(environment, &field);
                    }
                },
                (true, None) | (false, _) => {
                    around += (field.end - field.start) as u32;
                    self.copy_around(level, &field);
                }
            }
        }
        for environment in Environment::BOTH {
            if envelope.records[environment] > 0 {
                envelope.length[environment] += around;
            }
        }
        Ok(envelope)
    }

    /// Pieces that touch become one, so that an ordinary request has few.
    fn copy_records(&mut self, of: Environment, field: &Field<'_>) {
        let (start, end) = (field.start as u32, field.end as u32);
        match self.pieces.last_mut() {
            Some(Piece::Records { environment, end: last, .. }) if *environment == of && *last == start => *last = end,
            _ => self.pieces.push(Piece::Records { environment: of, start, end }),
        }
    }

    fn copy_around(&mut self, of: Level, field: &Field<'_>) {
        let (start, end) = (field.start as u32, field.end as u32);
        match self.pieces.last_mut() {
            Some(Piece::Around { level, end: last, .. }) if *level == of && *last == start => *last = end,
            _ => self.pieces.push(Piece::Around { level: of, start, end }),
        }
    }
}

impl Level {
    /// The field by which this level stands in the one around it. The request stands in none.
    fn number(self) -> u32 {
        match self {
            Level::Request | Level::Resource => 1,
            Level::Scope => 2,
        }
    }

    /// The field that holds the next level, or the records.
    fn content(self) -> u32 {
        match self {
            Level::Request => 1,
            Level::Resource | Level::Scope => 2,
        }
    }

    fn inner(self) -> Option<Level> {
        match self {
            Level::Request => Some(Level::Resource),
            Level::Resource => Some(Level::Scope),
            Level::Scope => None,
        }
    }
}

impl Envelope {
    fn is_empty(&self) -> bool {
        self.records == PerEnvironment::default()
    }

    fn add(&mut self, inside: &Envelope) {
        for environment in Environment::BOTH {
            if inside.records[environment] > 0 {
                let length = inside.length[environment];
                self.records[environment] += inside.records[environment];
                // The key of an envelope (field 1 or 2) is one byte.
                self.length[environment] += 1 + varint_len(u64::from(length)) as u32 + length;
            }
        }
    }
}

/// Asks the caller for the environment of a trace, once for each run of records with the same trace id.
struct Router<R> {
    trace_id_field: u32,
    route: R,
    last: Option<(TraceId, Environment)>,
}

impl<R: FnMut(TraceId) -> Environment> Router<R> {
    /// Reads the whole record, though the trace id usually comes first: in protobuf the last one counts.
    fn environment(&mut self, mut record: Fields<'_>) -> Result<Environment, Malformed> {
        let mut trace_id = TraceId::default();
        while let Some(field) = record.read()? {
            if let (true, Value::Bytes(bytes)) = (field.number == self.trace_id_field, field.value) {
                trace_id = bytes.try_into().map(TraceId).unwrap_or_default();
            }
        }
        match self.last {
            Some((last, environment)) if last == trace_id => Ok(environment),
            Some(_) | None => {
                let environment = (self.route)(trace_id);
                self.last = Some((trace_id, environment));
                Ok(environment)
            }
        }
    }
}

#[cfg(test)]
mod tests;
