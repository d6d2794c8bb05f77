//! What tells a table's rows apart, and what of it people may see.

use hmac::{Hmac, Mac};
use sha2::Sha256;
use std::sync::Arc;

/// A row's key, a text for each of its columns, as the server wrote it. May be personal data: `Debug` does not show it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(pub Arc<[String]>);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Key({} columns)", self.0.len())
    }
}

/// How a column of the key is ordered and written, the same on both sides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyClass {
    /// A whole number: written bare, so that an `integer` column meets a `bigint` one, and its index is used.
    Integer,
    /// A type whose order is the same on every server (`uuid`, `date`, timestamps): written with its type.
    Native {
        /// As `format_type` has it.
        type_name: String,
    },
    /// Anything else, as text in the order of its bytes: two servers need not agree on a language's order.
    Text,
    /// The hash of the whole row, where a table has no key.
    RowHash,
}

/// A column of the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyColumn {
    /// Its name.
    pub name: String,
    /// How it is ordered.
    pub class: KeyClass,
    /// Whether it may be NULL: such rows have no place in the order.
    pub nullable: bool,
}

impl KeyColumn {
    /// Whether the text can be a key of this column. What is not hidden, or stands in a statement bare, must be what it says.
    pub(crate) fn takes(&self, text: &str) -> bool {
        match &self.class {
            KeyClass::Integer => is_integer(text),
            KeyClass::Native { type_name } if type_name == "uuid" => is_uuid(text),
            KeyClass::Native { .. } | KeyClass::Text | KeyClass::RowHash => !text.contains('\0'),
        }
    }

    fn is_shown(&self) -> bool {
        match &self.class {
            KeyClass::Integer => true,
            KeyClass::Native { type_name } => type_name == "uuid",
            KeyClass::Text | KeyClass::RowHash => false,
        }
    }
}

/// Says keys to people.
#[derive(Clone)]
pub(crate) struct Shower {
    secret: [u8; 32],
}

impl Shower {
    /// A secret of this run alone: two runs show the same key differently.
    pub(crate) fn new(secret: [u8; 32]) -> Shower {
        Shower { secret }
    }

    /// `id 7`, `(tenant 3, id 7)`, or a hash in the place of a key that may be personal data.
    pub(crate) fn show(&self, table: &str, columns: &[KeyColumn], key: &Key) -> String {
        if columns.iter().all(KeyColumn::is_shown) {
            let parts: Vec<_> =
                columns.iter().zip(key.0.iter()).map(|(column, text)| format!("{} {text}", column.name)).collect();
            return match &parts[..] {
                [part] => part.clone(),
                parts => format!("({})", parts.join(", ")),
            };
        }
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.secret).expect("HMAC takes keys of any length");
        // Lengths keep the parts apart.
        for part in [table].into_iter().chain(key.0.iter().map(String::as_str)) {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part.as_bytes());
        }
        let hash = mac.finalize().into_bytes();
        let hex: String = hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        format!("key hash {hex}")
    }
}

/// Whether a text is a whole number that may stand in a statement bare.
pub(crate) fn is_integer(text: &str) -> bool {
    text.parse::<i64>().is_ok_and(|number| number.to_string() == text)
}

/// As PostgreSQL writes one (RFC 9562, section 4).
fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}
