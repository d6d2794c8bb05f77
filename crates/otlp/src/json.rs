//! OTLP/JSON requests to protobuf bytes, so that everything behind the receiver knows one encoding.
//!
//! Written from the JSON straight to the wire, by a table of OTLP's messages: there is no tree in between, so memory is
//! bounded by the body (a list of numbers grows most: `0,` becomes eight bytes). Read as liberally as clients write:
//! unknown fields are passed over, `null` is the same as absent, 64-bit integers are numbers or strings, enums are
//! numbers or names, and lists and parents may be missing. Depth is bounded by serde_json (128).
//!
//! Source: the OTLP specification, "JSON Protobuf Encoding" (lowerCamelCase names alone, ids in hexadecimal), and
//! *ProtoJSON Format* for the rest.

mod schema;
mod stored;

pub use stored::{Stored, StoredError, stored_to_protobuf};

use crate::Signal;
use crate::wire::{put_bytes_field, put_delimited, put_key, put_varint, put_varint_field};
use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use schema::{ANY_VALUE, Field, Kind, Message};
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Unexpected, Visitor};
use std::fmt;

/// Bytes of a refused text that its error repeats.
const MAX_QUOTED_LEN: usize = 64;

/// ProtoJSON takes base64 with or without padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// A body that is not the OTLP/JSON request it should be.
#[derive(Debug, thiserror::Error)]
// The cause is part of the text, and no `#[source]`: the text goes to the client, who needs the line and column.
#[error("the body is no OTLP/JSON export request of {}: {cause}", signal.name())]
pub struct JsonError {
    /// What the request should have carried.
    pub signal: Signal,
    /// What was found and expected, with line and column.
    pub cause: serde_json::Error,
}

/// The protobuf bytes of an `Export…ServiceRequest` in OTLP/JSON.
pub fn request_to_protobuf(signal: Signal, json: &[u8]) -> Result<Vec<u8>, JsonError> {
    let request = match signal {
        Signal::Traces => &schema::TRACES,
        Signal::Metrics => &schema::METRICS,
        Signal::Logs => &schema::LOGS,
    };
    let mut out = Vec::new();
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    Object { message: request, ids: Ids::Hexadecimal, out: &mut out }
        .deserialize(&mut deserializer)
        .and_then(|()| deserializer.end())
        .map_err(|cause| JsonError { signal, cause })?;
    Ok(out)
}

/// How trace and span ids are written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ids {
    /// As OTLP/JSON has it.
    Hexadecimal,
    /// That, or base64 as ProtoJSON writes all other bytes.
    OrBase64,
}

/// Writes the fields of one message.
struct Object<'o> {
    message: &'static Message,
    ids: Ids,
    out: &'o mut Vec<u8>,
}

impl<'de> DeserializeSeed<'de> for Object<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Object<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object ({})", self.message.name)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(field) = map.next_key_seed(Name(self.message))? {
            match field {
                Some(field) => {
                    map.next_value_seed(Slot { field, place: Place::Member, ids: self.ids, out: self.out })?
                }
                None => map.next_value::<IgnoredAny>().map(|_| ())?,
            }
        }
        Ok(())
    }
}

/// Looks a member's name up; `None` for an unknown one.
struct Name(&'static Message);

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Option<&'static Field>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = Option<&'static Field>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the name of a member of {}", self.0.name)
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.fields.iter().find(|field| field.name == name))
    }
}

/// Where a value of a field stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// After the field's name: a list, if the field is repeated.
    Member,
    /// In the list of a repeated field.
    Element,
    /// In the list of a repeated number: these share one key and length (protobuf's "packed").
    Packed,
}

/// Writes a value of a field.
struct Slot<'o> {
    field: &'static Field,
    place: Place,
    ids: Ids,
    out: &'o mut Vec<u8>,
}

impl<'de> DeserializeSeed<'de> for Slot<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Slot<'_> {
    /// Whether one value may stand here, not a list.
    fn takes_one(&self) -> bool {
        !self.field.repeated || self.place != Place::Member
    }

    fn put_key(&mut self, wire_type: u8) {
        if self.place != Place::Packed {
            put_key(self.out, self.field.number, wire_type);
        }
    }

    /// Writes an integer; `None` if the field takes none, or not this one.
    fn put_integer(&mut self, value: i128) -> Option<()> {
        if !self.takes_one() {
            return None;
        }
        match self.field.kind {
            Kind::Int64 => self.put_varint(i64::try_from(value).ok()? as u64),
            Kind::Uint64 => self.put_varint(u64::try_from(value).ok()?),
            Kind::Uint32 => self.put_varint(u32::try_from(value).ok()?.into()),
            Kind::Enum(_) => self.put_varint(i64::from(i32::try_from(value).ok()?) as u64),
            Kind::Sint32 => {
                let value = i32::try_from(value).ok()?;
                self.put_varint(u64::from((value << 1 ^ value >> 31) as u32));
            }
            Kind::Fixed64 => self.put_fixed64(u64::try_from(value).ok()?.to_le_bytes()),
            Kind::Sfixed64 => self.put_fixed64(i64::try_from(value).ok()?.to_le_bytes()),
            Kind::Double => self.put_fixed64((value as f64).to_le_bytes()),
            Kind::Fixed32 => {
                let value = u32::try_from(value).ok()?;
                self.put_key(5);
                self.out.extend(value.to_le_bytes());
            }
            Kind::Bool | Kind::Text | Kind::Id | Kind::Bytes | Kind::Message(_) => return None,
        }
        Some(())
    }

    fn put_varint(&mut self, value: u64) {
        self.put_key(0);
        put_varint(self.out, value);
    }

    fn put_fixed64(&mut self, value: [u8; 8]) {
        self.put_key(1);
        self.out.extend(value);
    }

    fn put_bytes(&mut self, bytes: &[u8]) {
        put_bytes_field(self.out, self.field.number, bytes);
    }

    /// Writes what stands in quotes; `None` if the field does not take it.
    fn put_text(&mut self, text: &str) -> Option<()> {
        if !self.takes_one() {
            return None;
        }
        match self.field.kind {
            Kind::Text => self.put_bytes(text.as_bytes()),
            // Base64 of 16 and of 8 bytes has 24 and 12 characters: no id in hexadecimal has as many.
            Kind::Id => match hexadecimal(text).filter(|id| self.ids == Ids::Hexadecimal || is_id(id)) {
                Some(id) => self.put_bytes(&id),
                None if self.ids == Ids::OrBase64 => self.put_bytes(&base64(text)?),
                None => return None,
            },
            Kind::Bytes => self.put_bytes(&base64(text)?),
            Kind::Double => self.put_fixed64(text.parse::<f64>().ok()?.to_le_bytes()),
            Kind::Enum(names) => match names.iter().find(|(name, _)| *name == text) {
                Some((_, number)) => self.put_varint(u64::from(*number)),
                None => self.put_integer(text.parse().ok()?)?,
            },
            Kind::Int64
            | Kind::Uint64
            | Kind::Uint32
            | Kind::Sint32
            | Kind::Fixed64
            | Kind::Sfixed64
            | Kind::Fixed32 => {
                self.put_integer(text.parse().ok()?)?;
            }
            Kind::Bool | Kind::Message(_) => return None,
        }
        Some(())
    }
}

impl<'de> Visitor<'de> for Slot<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let one = match self.field.kind {
            Kind::Text => "a string",
            Kind::Id => "an id in hexadecimal digits",
            Kind::Bytes => "bytes in base64",
            Kind::Bool => "true or false",
            Kind::Double => "a number, \"NaN\", \"Infinity\" or \"-Infinity\"",
            Kind::Int64 | Kind::Sfixed64 => "a signed 64-bit integer, as a number or in a string",
            Kind::Uint64 | Kind::Fixed64 => "an unsigned 64-bit integer, as a number or in a string",
            Kind::Uint32 | Kind::Fixed32 => "an unsigned 32-bit integer",
            Kind::Sint32 => "a signed 32-bit integer",
            Kind::Enum(_) => "the number or the name of one of the enum's values",
            Kind::Message(message) => message.name,
        };
        let list = if self.takes_one() { "" } else { "a list, each of its elements " };
        write!(f, "{list}{one}, in {:?}", self.field.name)
    }

    /// `null`: as if the member were absent. In a list it has no meaning, but for a value, which may be empty.
    fn visit_unit<E: Error>(mut self) -> Result<(), E> {
        match (self.place, self.field.kind) {
            (Place::Member, _) => Ok(()),
            (Place::Element, Kind::Message(message)) if std::ptr::eq(message, &ANY_VALUE) => {
                self.put_bytes(&[]);
                Ok(())
            }
            (Place::Element | Place::Packed, _) => Err(E::invalid_type(Unexpected::Unit, &self)),
        }
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        match self.field.kind {
            Kind::Bool if self.takes_one() => {
                put_varint_field(self.out, self.field.number, value.into());
                Ok(())
            }
            _ => Err(E::invalid_type(Unexpected::Bool(value), &self)),
        }
    }

    fn visit_i64<E: Error>(mut self, value: i64) -> Result<(), E> {
        self.put_integer(value.into()).ok_or_else(|| E::invalid_value(Unexpected::Signed(value), &self))
    }

    fn visit_u64<E: Error>(mut self, value: u64) -> Result<(), E> {
        self.put_integer(value.into()).ok_or_else(|| E::invalid_value(Unexpected::Unsigned(value), &self))
    }

    /// An integer may come as `1e3` or `5.0`.
    fn visit_f64<E: Error>(mut self, value: f64) -> Result<(), E> {
        let put = match self.field.kind {
            Kind::Double if self.takes_one() => {
                self.put_fixed64(value.to_le_bytes());
                Some(())
            }
            // Saturates beyond 128 bits, and is refused then, as no field is so wide.
            _ if value.fract() == 0.0 => self.put_integer(value as i128),
            _ => None,
        };
        put.ok_or_else(|| E::invalid_value(Unexpected::Float(value), &self))
    }

    fn visit_str<E: Error>(mut self, text: &str) -> Result<(), E> {
        self.put_text(text).ok_or_else(|| {
            let quoted = &text[..text.floor_char_boundary(MAX_QUOTED_LEN)];
            E::invalid_value(Unexpected::Str(quoted), &self)
        })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        if self.takes_one() {
            return Err(A::Error::invalid_type(Unexpected::Seq, &self));
        }
        let Slot { field, out, ids, place: _ } = self;
        if field.kind.is_packed() {
            return put_delimited(field.number, out, |out| {
                while list.next_element_seed(Slot { field, place: Place::Packed, ids, out })?.is_some() {}
                Ok(())
            });
        }
        while list.next_element_seed(Slot { field, place: Place::Element, ids, out })?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        match self.field.kind {
            Kind::Message(message) if self.takes_one() => {
                let ids = self.ids;
                put_delimited(self.field.number, self.out, |out| Object { message, ids, out }.visit_map(map))
            }
            _ => Err(A::Error::invalid_type(Unexpected::Map, &self)),
        }
    }
}

/// ProtoJSON takes both alphabets.
fn base64(text: &str) -> Option<Vec<u8>> {
    BASE64.decode(text.replace('-', "+").replace('_', "/")).ok()
}

/// Whether it has the length of a trace id or a span id, or is none.
fn is_id(bytes: &[u8]) -> bool {
    matches!(bytes.len(), 0 | 8 | 16)
}

/// Upper or lower case; `None` for half a byte or another character.
pub(crate) fn hexadecimal(text: &str) -> Option<Vec<u8>> {
    let digit = |digit: u8| char::from(digit).to_digit(16).map(|value| value as u8);
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}

#[cfg(test)]
mod tests;
