//! JSON by serde_json, which bounds recursion at 128; a key that stands twice is refused.

use super::Budget;
use crate::error::{FileError, Format, Position};
use crate::value::{Number, Raw, RawScalar, Value};
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use std::collections::BTreeMap;
use std::fmt;

/// Which of our own rules stopped the parser; `None` if it was JSON's.
type Stopped = Option<fn(Position) -> FileError>;

pub(super) fn read(text: &str, budget: &mut Budget) -> Result<Raw, FileError> {
    let mut stopped = None;
    let mut parser = serde_json::Deserializer::from_str(text);
    let read = Seed { budget, stopped: &mut stopped, depth: 1 }.deserialize(&mut parser);
    read.and_then(|raw| parser.end().map(|()| raw)).map_err(|error| {
        let at = Position { line: error.line().max(1), column: error.column().max(1) };
        // Only the category: the parser's words may quote the text.
        let expected = match error.classify() {
            serde_json::error::Category::Eof => "more, before the end",
            serde_json::error::Category::Io
            | serde_json::error::Category::Syntax
            | serde_json::error::Category::Data => "a value, a key or an end that fits what stands before",
        };
        stopped.map_or(FileError::Malformed { format: Format::Json, at, expected }, |stopped| stopped(at))
    })
}

struct Seed<'a> {
    budget: &'a mut Budget,
    stopped: &'a mut Stopped,
    depth: usize,
}

impl Seed<'_> {
    fn stop<E: serde::de::Error>(&mut self, why: fn(Position) -> FileError) -> E {
        *self.stopped = Some(why);
        E::custom("stopped")
    }

    fn child(&mut self) -> Seed<'_> {
        Seed { budget: self.budget, stopped: self.stopped, depth: self.depth + 1 }
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Raw;

    fn deserialize<D: Deserializer<'de>>(mut self, deserializer: D) -> Result<Raw, D::Error> {
        // The parser alone knows the position; it adds it to what stops it.
        let nowhere = Position { line: 1, column: 1 };
        if self.budget.value(nowhere).is_err() {
            return Err(self.stop(|at| FileError::TooManyValues { at }));
        }
        if self.budget.depth(self.depth, nowhere).is_err() {
            return Err(self.stop(|at| FileError::TooDeep { at }));
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::NULL)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Raw, E> {
        Ok(Value::Leaf(RawScalar::Bool(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Raw, E> {
        Ok(Value::Leaf(RawScalar::Number(Number::Integer(value.into()))))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Raw, E> {
        Ok(Value::Leaf(RawScalar::Number(Number::Integer(value.into()))))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Raw, E> {
        Ok(Value::Leaf(RawScalar::Number(Number::float(value))))
    }

    fn visit_str<E>(self, value: &str) -> Result<Raw, E> {
        Ok(Raw::text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut access: A) -> Result<Raw, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element_seed(self.child())? {
            items.push(item);
        }
        Ok(Value::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut access: A) -> Result<Raw, A::Error> {
        let mut entries = BTreeMap::new();
        while let Some(key) = access.next_key::<String>()? {
            if entries.contains_key(&key) {
                return Err(A::Error::custom(self.stop::<A::Error>(duplicate)));
            }
            let value = access.next_value_seed(self.child())?;
            entries.insert(key, value);
        }
        Ok(Value::Map(entries))
    }
}

fn duplicate(at: Position) -> FileError {
    FileError::DuplicateKey { format: Format::Json, at }
}
