//! Sets of spans that only have to be counted and compared: a hash for each, and a bound.

use opentelemetry_proto::tonic::trace::v1::Span;
use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hasher};

/// Keys that one set holds at most: 2^22 spans are two minutes at 2,500 traces/s of 14 spans; a B-tree of 8-byte keys
/// takes about 12 bytes for each, so at most 50 MB.
pub const MAX_KEYS: usize = 1 << 22;

/// A set of spans, each known by a 64-bit hash of its trace id, span id and kind. Two of 2^22 spans share a hash with
/// probability 2^-21; a set that is full counts what it could not take, so that nobody mistakes its size for the truth.
#[derive(Clone, Debug, Default)]
pub struct SpanKeys {
    keys: BTreeSet<u64>,
    overflowed: u64,
}

/// A span's key: ids and kind, since client and server may share a span id (as Zipkin's do).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SpanKey(u64);

impl SpanKey {
    /// The key of this span.
    pub fn of(span: &Span) -> SpanKey {
        let mut hasher = DefaultHasher::new();
        hasher.write(&span.trace_id);
        hasher.write(&span.span_id);
        hasher.write_i32(span.kind);
        SpanKey(hasher.finish())
    }

    /// The key of a whole trace.
    pub fn of_trace(trace_id: &[u8]) -> SpanKey {
        let mut hasher = DefaultHasher::new();
        hasher.write(trace_id);
        SpanKey(hasher.finish())
    }
}

impl SpanKeys {
    /// True if the key was not there before and fits.
    pub fn insert(&mut self, key: SpanKey) -> bool {
        if self.keys.len() < MAX_KEYS {
            return self.keys.insert(key.0);
        }
        if !self.keys.contains(&key.0) {
            self.overflowed += 1;
        }
        false
    }

    /// How many there are.
    pub fn len(&self) -> u64 {
        self.keys.len() as u64
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Insertions that did not fit any more. The set says nothing about these.
    pub fn overflowed(&self) -> u64 {
        self.overflowed
    }

    /// Adds all of the other set.
    pub fn extend(&mut self, other: &SpanKeys) {
        for key in &other.keys {
            self.insert(SpanKey(*key));
        }
        self.overflowed += other.overflowed;
    }

    /// How many of these are in the other set.
    pub fn found_in(&self, other: &SpanKeys) -> u64 {
        self.keys.intersection(&other.keys).count() as u64
    }
}
