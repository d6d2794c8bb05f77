//! A configuration value: the same tree over two kinds of leaves. [`Raw`] holds text as it was read, has no `Debug`
//! and never leaves [`crate::Tree::read`]; [`Node`] is what a tree keeps, with every secret sealed.

use crate::secret::Seal;
use std::collections::BTreeMap;

/// A value with leaves of the type `L`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Value<L> {
    Leaf(L),
    /// Keys have no order: no format that is read here gives one a meaning.
    Map(BTreeMap<String, Value<L>>),
    /// Items in an order that matters.
    List(Vec<Value<L>>),
    /// Items in an order that does not matter.
    Bag(Vec<Value<L>>),
    /// Items that a name of their own tells apart, whatever their position.
    Named(Named<L>),
}

/// A list whose items are found by name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Named<L> {
    pub(crate) items: BTreeMap<String, Value<L>>,
    /// The names in the order of the file, where order matters.
    pub(crate) order: Option<Vec<String>>,
}

/// A value as it was read; it may hold secrets, and so cannot be printed.
pub(crate) type Raw = Value<RawScalar>;
/// A value as a tree keeps it; printing it shows no secret.
pub(crate) type Node = Value<Scalar>;

/// A leaf as it was read.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum RawScalar {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    /// Bytes that are secret wherever they stand: a Kubernetes Secret's.
    Secret(Vec<u8>),
    /// Bytes without a format.
    Opaque(Vec<u8>),
}

/// A number by its value: `1.0` is `1`, `0x10` is `16`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Number {
    Integer(i128),
    /// The bits of a float that is no integer.
    Float(u64),
}

/// A leaf as a tree keeps it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Scalar {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    /// A secret: equal or not, and nothing else.
    Secret(Seal),
    /// A text with a secret in it: what may be shown, and the seal of what may not.
    Masked {
        shown: String,
        seal: Seal,
    },
    /// The seal of bytes without a format.
    Opaque(Seal),
}

impl Number {
    /// Integers below 2^53 are exact as floats, so both spellings of one value meet as an integer.
    pub(crate) fn float(value: f64) -> Number {
        const EXACT: f64 = 9_007_199_254_740_992.0;
        if value.fract() == 0.0 && value.abs() <= EXACT {
            Number::Integer(value as i128)
        } else {
            Number::Float(value.to_bits())
        }
    }
}

impl std::fmt::Display for Number {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Number::Integer(value) => write!(f, "{value}"),
            Number::Float(bits) => write!(f, "{}", f64::from_bits(*bits)),
        }
    }
}

impl<L> Value<L> {
    pub(crate) fn map(&self) -> Option<&BTreeMap<String, Value<L>>> {
        match self {
            Value::Map(map) => Some(map),
            Value::Leaf(_) | Value::List(_) | Value::Bag(_) | Value::Named(_) => None,
        }
    }

    pub(crate) fn map_mut(&mut self) -> Option<&mut BTreeMap<String, Value<L>>> {
        match self {
            Value::Map(map) => Some(map),
            Value::Leaf(_) | Value::List(_) | Value::Bag(_) | Value::Named(_) => None,
        }
    }

    /// What stands below a key of a map, or below a name.
    pub(crate) fn get(&self, key: &str) -> Option<&Value<L>> {
        match self {
            Value::Map(map) => map.get(key),
            Value::Named(named) => named.items.get(key),
            Value::Leaf(_) | Value::List(_) | Value::Bag(_) => None,
        }
    }

    /// What stands at the end of a path of keys.
    pub(crate) fn at(&self, path: &[&str]) -> Option<&Value<L>> {
        path.iter().try_fold(self, |value, key| value.get(key))
    }

    /// The values of a map or named list by their keys.
    pub(crate) fn entries(&self) -> Option<&BTreeMap<String, Value<L>>> {
        match self {
            Value::Map(map) => Some(map),
            Value::Named(named) => Some(&named.items),
            Value::Leaf(_) | Value::List(_) | Value::Bag(_) => None,
        }
    }
}

impl Raw {
    pub(crate) const NULL: Raw = Value::Leaf(RawScalar::Null);

    pub(crate) fn text(text: impl Into<String>) -> Raw {
        Value::Leaf(RawScalar::Text(text.into()))
    }

    pub(crate) fn empty() -> Raw {
        Value::Map(BTreeMap::new())
    }

    pub(crate) fn is_null(&self) -> bool {
        matches!(self, Value::Leaf(RawScalar::Null))
    }

    pub(crate) fn as_text(&self) -> Option<&str> {
        match self {
            Value::Leaf(RawScalar::Text(text)) => Some(text),
            Value::Leaf(_) | Value::Map(_) | Value::List(_) | Value::Bag(_) | Value::Named(_) => None,
        }
    }

    /// The text that a place which holds strings alone would read; `None` for what is no scalar, and for null.
    pub(crate) fn spelled(&self) -> Option<String> {
        let Value::Leaf(scalar) = self else { return None };
        match scalar {
            RawScalar::Bool(value) => Some(value.to_string()),
            RawScalar::Number(number) => Some(number.to_string()),
            RawScalar::Text(text) => Some(text.clone()),
            RawScalar::Null | RawScalar::Secret(_) | RawScalar::Opaque(_) => None,
        }
    }

    /// Leaves the scalar as a string, for the places that hold strings alone.
    pub(crate) fn spell_out(&mut self) {
        if let Some(text) = self.spelled() {
            *self = Raw::text(text);
        }
    }
}

impl Node {
    /// What may be shown of a scalar as text; `None` for secrets and what is no text.
    pub(crate) fn shown(&self) -> Option<String> {
        let Value::Leaf(scalar) = self else { return None };
        match scalar {
            Scalar::Bool(value) => Some(value.to_string()),
            Scalar::Number(number) => Some(number.to_string()),
            Scalar::Text(text) | Scalar::Masked { shown: text, .. } => Some(text.clone()),
            Scalar::Null | Scalar::Secret(_) | Scalar::Opaque(_) => None,
        }
    }
}
