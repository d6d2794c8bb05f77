//! TOML by the `toml` crate's parser, which bounds recursion. Dates and times are texts as they are written.

use super::Budget;
use crate::error::{FileError, Format, Position};
use crate::value::{Number, Raw, RawScalar, Value};
use toml::de::{DeTable, DeValue};

pub(super) fn read(text: &str, budget: &mut Budget) -> Result<Raw, FileError> {
    let table = DeTable::parse(text).map_err(|error| {
        let at = Position::of(text, error.span().map_or(0, |span| span.start));
        // The parser's own words may quote the text.
        FileError::Malformed { format: Format::Toml, at, expected: "a table, a key that is new, or a value" }
    })?;
    let at = Position { line: 1, column: 1 };
    convert(DeValue::Table(table.into_inner()), budget, 1, at)
}

fn convert(value: DeValue<'_>, budget: &mut Budget, depth: usize, at: Position) -> Result<Raw, FileError> {
    budget.value(at)?;
    budget.depth(depth, at)?;
    let scalar = match value {
        DeValue::String(text) => RawScalar::Text(text.into_owned()),
        DeValue::Boolean(value) => RawScalar::Bool(value),
        DeValue::Integer(integer) => match i128::from_str_radix(integer.as_str(), integer.radix()) {
            Ok(value) => RawScalar::Number(Number::Integer(value)),
            Err(_) => RawScalar::Text(integer.as_str().to_owned()),
        },
        DeValue::Float(float) => match float.as_str().parse() {
            Ok(value) => RawScalar::Number(Number::float(value)),
            Err(_) => RawScalar::Text(float.as_str().to_owned()),
        },
        DeValue::Datetime(time) => RawScalar::Text(time.to_string()),
        DeValue::Array(items) => {
            let items = items.into_iter().map(|item| convert(item.into_inner(), budget, depth + 1, at));
            return items.collect::<Result<_, _>>().map(Value::List);
        }
        DeValue::Table(entries) => {
            let entries = entries.into_iter().map(|(key, value)| {
                let value = convert(value.into_inner(), budget, depth + 1, at)?;
                Ok((key.into_inner().into_owned(), value))
            });
            return entries.collect::<Result<_, _>>().map(Value::Map);
        }
    };
    Ok(Value::Leaf(scalar))
}
