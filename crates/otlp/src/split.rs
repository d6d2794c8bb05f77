//! Splits a request without decoding it: the records' bytes are copied, and the envelopes around them.
//!
//! One pass finds what each record is routed by; writing a part copies byte ranges. Records are never changed, and never
//! left out: a record whose trace id is not valid has a place too.

use crate::resource::resource_id;
use crate::wire::{Field, Fields, Malformed, last_bytes, put_key, put_varint, varint_len};
use crate::{Signal, routes::Routes};
use model::TraceId;

/// The number of the part that a record goes to. What it stands for is the caller's.
pub type Part = u8;

/// What is routed as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unit {
    /// The spans and log records of one trace.
    Trace(TraceId),
    /// All that comes from one resource, by a hash of its attributes, whatever their order: metrics, so that a series
    /// stays together, and log records that belong to no trace.
    Resource([u8; 16]),
}

/// `Span.trace_id` and `LogRecord.trace_id` (opentelemetry/proto/trace/v1, logs/v1).
const SPAN_TRACE_ID: u32 = 1;
const LOG_RECORD_TRACE_ID: u32 = 9;

/// Scans a request once for what its records are routed by, and splits it.
///
/// Reusable: keep one per connection or worker, for its scratch memory. A scan needs at most some 7 bytes of it for each
/// byte of the message (one empty span in each resource: six bytes, three pieces, two lengths), and far less than one for
/// ordinary messages; what an odd message made it grow to is given back at the next scan.
#[derive(Debug)]
pub struct Splitter {
    pieces: Vec<Piece>,
    /// Lengths of the envelopes of the part that is being written, in the order of their beginnings; 0 for one that the
    /// part does not have.
    lengths: Vec<u32>,
    records: Box<[u32; PARTS]>,
    routes: Routes,
    /// Length of the message that was scanned.
    scanned: usize,
}

/// How many parts there can be.
const PARTS: usize = Part::MAX as usize + 1;

/// Entries of scratch memory that are kept from scan to scan: 16,384 pieces of 12 bytes and as many lengths of 4 are
/// 256 KiB. An ordinary request has some dozens.
const MAX_KEPT_ENTRIES: usize = 16 * 1024;

/// What a part is made of, in the message's order. Offsets are of the message, which is shorter than 4 GiB.
#[derive(Clone, Copy, Debug)]
enum Piece {
    /// An envelope begins: a `ResourceSpans`, field 1 of the request, or a `ScopeSpans`, field 2 of that.
    Begin(Level),
    /// Everything that is neither an envelope nor a record: goes into every part that has a record in that envelope.
    Around { level: Level, start: u32, end: u32 },
    /// Records of one part, one after the other.
    Records { part: Part, start: u32, end: u32 },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    Request,
    Resource,
    Scope,
}

impl Default for Splitter {
    fn default() -> Splitter {
        let records = Box::new([0; PARTS]);
        Splitter { pieces: Vec::new(), lengths: Vec::new(), records, routes: Routes::default(), scanned: 0 }
    }
}

impl Splitter {
    /// Scans an `Export…ServiceRequest` of this signal, and asks for each record's part.
    ///
    /// Records are spans, log records, or the `ResourceMetrics` of a metrics request, which stay whole. `route` is asked
    /// at least once for each [`Unit`], may be asked again for the same, and must then say the same. A span whose trace id
    /// is not 16 bytes, or all zero, is not valid OTLP; it is routed as `TraceId::default()` and passed on, so that it
    /// makes no other span be lost. A log record without a trace id, which is valid, is routed by its resource.
    ///
    /// Fails if the framing of the request, an envelope or a record is broken; what they hold deeper is passed on as it is.
    pub fn scan(&mut self, signal: Signal, message: &[u8], route: impl FnMut(Unit) -> Part) -> Result<(), Malformed> {
        self.clear(message.len());
        if u32::try_from(message.len()).is_err() {
            return Err(Malformed { offset: u32::MAX as usize, what: "the message is longer than 4 GiB" });
        }
        let mut around = Around::default();
        let scanned = Scan { splitter: self, signal, route }.envelope(Fields::of(message), Level::Request, &mut around);
        if scanned.is_err() {
            self.clear(message.len());
        }
        scanned
    }

    /// How many records of the message that was scanned go to this part.
    pub fn records(&self, part: Part) -> u64 {
        u64::from(self.records[usize::from(part)])
    }

    /// The parts that have a record, in the order of their numbers.
    pub fn parts(&self) -> impl Iterator<Item = Part> + '_ {
        (0..=Part::MAX).filter(|part| self.records[usize::from(*part)] > 0)
    }

    /// After a scan: appends what the wanted parts have together, byte for byte as in `message`: their records, the
    /// resource and scope envelopes around them, and all unknown fields, in the message's order. Envelopes without a
    /// wanted record are left out; without any wanted record nothing is appended. Only the length prefixes of envelopes
    /// are new.
    ///
    /// # Panics
    /// If `message` is not as long as the message that was scanned.
    pub fn write(&mut self, message: &[u8], wanted: impl Fn(Part) -> bool, out: &mut Vec<u8>) {
        assert_eq!(message.len(), self.scanned, "write takes the message that was scanned");
        let length = self.measure(&wanted);
        if length == 0 {
            return;
        }
        out.reserve_exact(length as usize);
        let copy =
            |out: &mut Vec<u8>, start: u32, end: u32| out.extend_from_slice(&message[start as usize..end as usize]);
        let mut has_records = [true, false, false];
        let mut lengths = self.lengths.iter();
        for piece in &self.pieces {
            match *piece {
                Piece::Begin(level) => {
                    let length = lengths.next().copied().unwrap_or_default();
                    has_records[level as usize] = length > 0;
                    if length > 0 {
                        put_key(out, level.number(), 2);
                        put_varint(out, u64::from(length));
                    }
                }
                Piece::Around { level, start, end } if has_records[level as usize] => copy(out, start, end),
                Piece::Records { part, start, end } if wanted(part) => copy(out, start, end),
                Piece::Around { .. } | Piece::Records { .. } => {}
            }
        }
    }

    /// Fills in the lengths of the part's envelopes, and gives its whole length: 0 if it has no record. No part is longer
    /// than the message, for it repeats nothing, and its prefixes are the shortest possible.
    fn measure(&mut self, wanted: &impl Fn(Part) -> bool) -> u32 {
        self.lengths.clear();
        let mut open = OpenEnvelopes::default();
        for piece in &self.pieces {
            match *piece {
                Piece::Begin(level) => {
                    open.close_down_to(level, &mut self.lengths);
                    open.begin(level, self.lengths.len());
                    self.lengths.push(0);
                }
                Piece::Around { level, start, end } => {
                    open.close_below(level, &mut self.lengths);
                    open.around[level as usize] += end - start;
                }
                Piece::Records { part, start, end } if wanted(part) => open.records(end - start),
                Piece::Records { .. } => {}
            }
        }
        open.close_down_to(Level::Resource, &mut self.lengths);
        open.whole(Level::Request)
    }

    fn clear(&mut self, scanned: usize) {
        self.pieces.clear();
        self.pieces.shrink_to(MAX_KEPT_ENTRIES);
        self.lengths.clear();
        self.lengths.shrink_to(MAX_KEPT_ENTRIES);
        self.records.fill(0);
        self.routes.forget();
        self.scanned = scanned;
    }

    /// Pieces that touch become one, so that an ordinary request has few.
    fn copy_records(&mut self, of: Part, field: &Field<'_>) {
        let (start, end) = (field.start as u32, field.end as u32);
        self.records[usize::from(of)] += 1;
        match self.pieces.last_mut() {
            Some(Piece::Records { part, end: last, .. }) if *part == of && *last == start => *last = end,
            _ => self.pieces.push(Piece::Records { part: of, start, end }),
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

/// The `ResourceLogs` around the records that are read, and its id once that was needed: a resource is read once, however
/// many records it has.
#[derive(Default)]
struct Around<'m> {
    resource: Option<Fields<'m>>,
    id: Option<[u8; 16]>,
}

impl Around<'_> {
    fn resource_id(&mut self) -> Result<[u8; 16], Malformed> {
        let id = match (self.id, &self.resource) {
            (Some(id), _) => id,
            (None, Some(resource)) => resource_id(resource.clone())?,
            (None, None) => [0; 16],
        };
        self.id = Some(id);
        Ok(id)
    }
}

/// One pass over a message.
struct Scan<'s, R> {
    splitter: &'s mut Splitter,
    signal: Signal,
    route: R,
}

impl<R: FnMut(Unit) -> Part> Scan<'_, R> {
    /// Calls itself twice at most: a request holds resources, these hold scopes, these hold records.
    fn envelope<'m>(&mut self, mut fields: Fields<'m>, level: Level, around: &mut Around<'m>) -> Result<(), Malformed> {
        let inner = level.inner(self.signal);
        while let Some(field) = fields.read()? {
            let content = if field.number == level.content() { field.fields() } else { None };
            match (content, inner) {
                (Some(content), Some(inner)) => {
                    let pieces = self.splitter.pieces.len();
                    self.splitter.pieces.push(Piece::Begin(inner));
                    let begun = self.splitter.pieces.len();
                    if inner == Level::Resource {
                        *around = Around { resource: Some(content.clone()), id: None };
                    }
                    self.envelope(content, inner, around)?;
                    if self.splitter.pieces[begun..].iter().all(|piece| matches!(piece, Piece::Around { .. })) {
                        // It goes nowhere, so millions of empty ones take no memory either.
                        self.splitter.pieces.truncate(pieces);
                    }
                }
                (Some(content), None) => {
                    let part = self.record(content, around)?;
                    self.splitter.copy_records(part, &field);
                }
                (None, _) => self.splitter.copy_around(level, &field),
            }
        }
        Ok(())
    }

    /// Reads the whole record, though the trace id usually comes first: in protobuf the last one counts.
    fn record(&mut self, record: Fields<'_>, around: &mut Around<'_>) -> Result<Part, Malformed> {
        let trace_id = |bytes: Option<&[u8]>| bytes.and_then(|bytes| bytes.try_into().ok()).map(TraceId);
        let unit = match self.signal {
            Signal::Traces => Unit::Trace(trace_id(last_bytes(record, SPAN_TRACE_ID)?).unwrap_or_default()),
            Signal::Metrics => Unit::Resource(resource_id(record)?),
            Signal::Logs => match trace_id(last_bytes(record, LOG_RECORD_TRACE_ID)?) {
                Some(trace) if trace != TraceId::default() => Unit::Trace(trace),
                Some(_) | None => Unit::Resource(around.resource_id()?),
            },
        };
        Ok(match unit {
            Unit::Trace(trace) => self.splitter.routes.of(trace, || (self.route)(unit)),
            Unit::Resource(_) => (self.route)(unit),
        })
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

    /// The envelopes in this one; none where its content are records.
    fn inner(self, signal: Signal) -> Option<Level> {
        match (self, signal) {
            (Level::Request, Signal::Metrics) | (Level::Scope, _) => None,
            (Level::Request, _) => Some(Level::Resource),
            (Level::Resource, _) => Some(Level::Scope),
        }
    }
}

/// The envelopes around the piece that is looked at, while a part is measured.
#[derive(Default)]
struct OpenEnvelopes {
    /// Where an open envelope's length is to be put.
    places: [Option<usize>; 3],
    /// Bytes around the records, by level.
    around: [u32; 3],
    /// Bytes of wanted records, or of envelopes that have some.
    inside: [u32; 3],
}

impl OpenEnvelopes {
    fn begin(&mut self, level: Level, place: usize) {
        (self.places[level as usize], self.around[level as usize], self.inside[level as usize]) = (Some(place), 0, 0);
    }

    /// Counts records in the innermost envelope that is open.
    fn records(&mut self, length: u32) {
        let innermost = (1..3).rev().find(|level| self.places[*level].is_some()).unwrap_or(0);
        self.inside[innermost] += length;
    }

    /// The length of an envelope in this part; 0 if it has no wanted record, whatever is around.
    fn whole(&self, level: Level) -> u32 {
        match self.inside[level as usize] {
            0 => 0,
            inside => inside + self.around[level as usize],
        }
    }

    fn close_below(&mut self, level: Level, lengths: &mut [u32]) {
        match level {
            Level::Request => self.close_down_to(Level::Resource, lengths),
            Level::Resource => self.close_down_to(Level::Scope, lengths),
            Level::Scope => {}
        }
    }

    /// Closes this level, and those inside it first.
    fn close_down_to(&mut self, level: Level, lengths: &mut [u32]) {
        for (closing, around) in [(Level::Scope, Level::Resource), (Level::Resource, Level::Request)] {
            if (closing as usize) < level as usize {
                return;
            }
            let Some(place) = self.places[closing as usize].take() else { continue };
            let length = self.whole(closing);
            lengths[place] = length;
            if length > 0 {
                // The key of an envelope (field 1 or 2) is one byte.
                self.inside[around as usize] += 1 + varint_len(u64::from(length)) as u32 + length;
            }
        }
    }
}

#[cfg(test)]
mod tests;
