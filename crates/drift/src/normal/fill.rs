//! Defaults as data: a path, and the value that stands there if nothing else does.

use crate::value::{Number, Raw, RawScalar, Value};

/// A default's value.
#[derive(Clone, Copy)]
pub(super) enum Is {
    Text(&'static str),
    Number(i128),
    Float(f64),
    Bool(bool),
    /// An empty mapping.
    Empty,
}

/// A path from where the defaults are filled in, with dots. A step with `?` at its end must be there; others are made.
pub(super) type Default = (&'static str, Is);

impl Is {
    fn raw(self) -> Raw {
        match self {
            Is::Text(text) => Raw::text(text),
            Is::Number(value) => Value::Leaf(RawScalar::Number(Number::Integer(value))),
            Is::Float(value) => Value::Leaf(RawScalar::Number(Number::float(value))),
            Is::Bool(value) => Value::Leaf(RawScalar::Bool(value)),
            Is::Empty => Raw::empty(),
        }
    }
}

/// Fills in every default whose place has nothing, or null.
pub(super) fn fill(raw: &mut Raw, defaults: &[Default]) {
    for (path, value) in defaults {
        fill_one(raw, path, *value);
    }
}

fn fill_one(raw: &mut Raw, path: &str, default: Is) {
    let mut at = raw;
    let mut steps = path.split('.').peekable();
    while let Some(step) = steps.next() {
        let Some(map) = at.map_mut() else { return };
        let last = steps.peek().is_none();
        let (step, must) = step.strip_suffix('?').map_or((step, false), |step| (step, true));
        if !map.contains_key(step) {
            if must {
                return;
            }
            map.insert(step.to_owned(), Raw::NULL);
        }
        let Some(next) = map.get_mut(step) else { return };
        if next.is_null() {
            *next = if last { default.raw() } else { Raw::empty() };
        }
        at = next;
    }
}
