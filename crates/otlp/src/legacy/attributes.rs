//! Attributes, written as they come.

use crate::wire::{put_bytes_field, put_fixed64_field, put_key, put_message, put_varint, put_varint_field};
use serde_json::Value as Json;
use std::borrow::Cow;

/// The value of a tag, as OTLP's `AnyValue` has it.
#[derive(Clone, Debug)]
pub(super) enum AnyValue<'v> {
    Text(Cow<'v, str>),
    Bool(bool),
    Int(i64),
    Double(f64),
    Bytes(&'v [u8]),
    /// The fields of an `ArrayValue`.
    Array(&'v [u8]),
    Json(&'v Json),
}

impl<'v> AnyValue<'v> {
    pub fn text(text: &'v str) -> AnyValue<'v> {
        AnyValue::Text(text.into())
    }

    /// As field `number`.
    pub fn put(&self, number: u32, out: &mut Vec<u8>) {
        put_message(number, out, |out| match self {
            AnyValue::Text(text) => put_bytes_field(out, 1, text.as_bytes()),
            AnyValue::Bool(value) => put_varint_field(out, 2, u64::from(*value)),
            AnyValue::Int(value) => put_varint_field(out, 3, *value as u64),
            AnyValue::Double(value) => put_fixed64_field(out, 4, value.to_bits()),
            AnyValue::Bytes(bytes) => put_bytes_field(out, 7, bytes),
            AnyValue::Array(values) => put_bytes_field(out, 5, values),
            AnyValue::Json(json) => put_json(json, out),
        });
    }
}

/// The content of an `AnyValue`. Recursive: serde_json let the value nest 128 deep at most.
fn put_json(json: &Json, out: &mut Vec<u8>) {
    match json {
        // The value that is there and empty.
        Json::Null => {}
        Json::Bool(value) => put_varint_field(out, 2, u64::from(*value)),
        Json::Number(number) => match number.as_i64() {
            Some(value) => put_varint_field(out, 3, value as u64),
            None => put_fixed64_field(out, 4, number.as_f64().unwrap_or(f64::NAN).to_bits()),
        },
        Json::String(text) => put_bytes_field(out, 1, text.as_bytes()),
        Json::Array(values) => put_message(5, out, |out| {
            values.iter().for_each(|value| put_message(1, out, |out| put_json(value, out)));
        }),
        Json::Object(members) => put_message(6, out, |out| {
            for (key, value) in members {
                put_message(1, out, |out| {
                    put_bytes_field(out, 1, key.as_bytes());
                    put_message(2, out, |out| put_json(value, out));
                });
            }
        }),
    }
}

/// A list of attributes (`KeyValue`) that is one field of a message. The bytes are written at once, for a tree of them
/// would be larger than the request by what a small tag costs in memory. Beyond the limit nothing more is kept.
pub(super) struct Attributes {
    number: u32,
    limit: usize,
    bytes: Vec<u8>,
    /// 12 bytes for an attribute, and eight more for a moment to sort them; an attribute has at least eight itself.
    entries: Vec<Entry>,
    full: bool,
}

struct Entry {
    start: u32,
    key_start: u32,
    key_end: u32,
}

impl Attributes {
    /// None yet, of the field with this number.
    pub fn of_field(number: u32, limit: usize) -> Attributes {
        Attributes { number, limit, bytes: Vec::new(), entries: Vec::new(), full: false }
    }

    /// Whether something was left out, for the limit was reached.
    pub fn is_full(&self) -> bool {
        self.full
    }

    /// Adds one. Of several with one key the last one counts.
    pub fn put(&mut self, key: &str, value: &AnyValue<'_>) {
        let start = self.bytes.len();
        if self.full || start > self.limit {
            self.full = true;
            return;
        }
        let mut attribute = Vec::new();
        put_bytes_field(&mut attribute, 1, key.as_bytes());
        let key_end = attribute.len();
        value.put(2, &mut attribute);
        put_key(&mut self.bytes, self.number, 2);
        put_varint(&mut self.bytes, attribute.len() as u64);
        let key_end = self.bytes.len() + key_end;
        self.bytes.extend_from_slice(&attribute);
        match (u32::try_from(self.bytes.len()), u32::try_from(start), u32::try_from(key_end)) {
            (Ok(_), Ok(start), Ok(key_end)) => {
                self.entries.push(Entry { start, key_start: key_end - key.len() as u32, key_end });
            }
            _ => self.full = true,
        }
    }

    /// Adds one, unless its key is there already.
    pub fn put_new(&mut self, key: &str, value: &AnyValue<'_>) {
        if !self.entries.iter().any(|entry| self.key(entry) == key.as_bytes()) {
            self.put(key, value);
        }
    }

    fn key(&self, entry: &Entry) -> &[u8] {
        &self.bytes[entry.key_start as usize..entry.key_end as usize]
    }

    /// The fields' bytes, each key once.
    pub fn into_bytes(self) -> Vec<u8> {
        let mut by_key: Vec<usize> = (0..self.entries.len()).collect();
        by_key.sort_by_key(|&index| self.key(&self.entries[index]));
        let is_same = |one: usize, next: usize| self.key(&self.entries[one]) == self.key(&self.entries[next]);
        let mut outdated: Vec<usize> =
            by_key.windows(2).filter(|pair| is_same(pair[0], pair[1])).map(|pair| pair[0]).collect();
        if outdated.is_empty() {
            return self.bytes;
        }
        outdated.sort_unstable();
        let mut outdated = outdated.into_iter().peekable();
        let mut kept = Vec::new();
        for (index, entry) in self.entries.iter().enumerate() {
            if outdated.next_if_eq(&index).is_none() {
                let end = self.entries.get(index + 1).map_or(self.bytes.len(), |next| next.start as usize);
                kept.extend_from_slice(&self.bytes[entry.start as usize..end]);
            }
        }
        kept
    }
}
