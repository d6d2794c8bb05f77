//! Lists and texts that are refused while they are read, before they take more memory than is promised.

use crate::import::{MAX_FEW, MAX_ITEMS};
use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::fmt;
use std::marker::PhantomData;

/// Bytes of a text that is read: ids and names have a few dozen, paths and licence expressions some hundred.
const MAX_FIELD_BYTES: usize = 64 * 1024;

/// A text.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Field(pub String);

/// A list of [`MAX_ITEMS`] at most.
#[derive(Debug)]
pub(super) struct Items<T>(pub Vec<T>);

/// A list of [`MAX_FEW`] at most.
#[derive(Debug)]
pub(super) struct Few<T>(pub Vec<T>);

impl<T> Default for Items<T> {
    fn default() -> Self {
        Items(Vec::new())
    }
}

impl<T> Default for Few<T> {
    fn default() -> Self {
        Few(Vec::new())
    }
}

impl<'de> Deserialize<'de> for Field {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Field;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Field, E> {
                if text.len() > MAX_FIELD_BYTES {
                    return Err(E::custom(format_args!("more than {MAX_FIELD_BYTES} bytes")));
                }
                Ok(Field(text.to_owned()))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Items<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        list::<D, T, MAX_ITEMS>(deserializer).map(Items)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Few<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        list::<D, T, MAX_FEW>(deserializer).map(Few)
    }
}

/// Go's programs write `null` for a list without elements.
fn list<'de, D: Deserializer<'de>, T: Deserialize<'de>, const MAX: usize>(deserializer: D) -> Result<Vec<T>, D::Error> {
    struct List<T, const MAX: usize>(PhantomData<T>);
    impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for List<T, MAX> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "a list of {MAX} at most")
        }

        fn visit_unit<E: Error>(self) -> Result<Vec<T>, E> {
            Ok(Vec::new())
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Vec<T>, A::Error> {
            let mut list = Vec::new();
            while let Some(element) = elements.next_element()? {
                if list.len() == MAX {
                    return Err(A::Error::custom(format_args!("more than {MAX} elements")));
                }
                list.push(element);
            }
            Ok(list)
        }
    }
    deserializer.deserialize_any(List::<T, MAX>(PhantomData))
}
