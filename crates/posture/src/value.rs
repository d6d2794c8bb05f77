//! What a setting can be, and which of two values is the safer one.
//!
//! Each kind of value is a lattice: [`Value::compare`] is its order, [`Value::weaker_of`] gives what is no safer than
//! either, so that several endpoints of one environment are as safe as the least safe of them in each respect.

use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::fmt;

/// Strength that is enough for everybody: what has more is not safer (NIST SP 800-57 part 1, revision 5, table 4:
/// acceptable after 2030, without an end).
pub const ENOUGH_BITS: u16 = 128;

/// How green's value stands to blue's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Order {
    /// Green is safer.
    Stronger,
    /// Neither is.
    Equal,
    /// Green is less safe.
    Weaker,
    /// Green is safer in one respect and less safe in another.
    Incomparable,
}

/// A version of TLS, or of what it was before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum TlsVersion {
    /// RFC 6101, forbidden by RFC 7568.
    #[serde(rename = "SSL 3.0")]
    Ssl3,
    /// RFC 2246, forbidden by RFC 8996.
    #[serde(rename = "TLS 1.0")]
    Tls10,
    /// RFC 4346, forbidden by RFC 8996.
    #[serde(rename = "TLS 1.1")]
    Tls11,
    /// RFC 5246.
    #[serde(rename = "TLS 1.2")]
    Tls12,
    /// RFC 8446.
    #[serde(rename = "TLS 1.3")]
    Tls13,
}

/// Whether a certificate holds at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Validity {
    /// It has expired, or does not hold yet.
    Invalid,
    /// It holds, and not for long.
    EndsSoon,
    /// It holds.
    Valid,
}

/// What a setting is. As JSON: a boolean, `"TLS 1.2"`, a list of names, a number, `"valid"`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// Whether something safe is so. True is safer.
    Holds(bool),
    /// Newer is safer.
    Version(TlsVersion),
    /// What is accepted and should not be. A part of it is safer.
    Accepts(BTreeSet<String>),
    /// Bits of strength. More are safer, up to [`ENOUGH_BITS`].
    Strength(u16),
    /// Longer is safer.
    Validity(Validity),
}

impl TlsVersion {
    /// All of them, oldest first.
    pub const ALL: [TlsVersion; 5] =
        [TlsVersion::Ssl3, TlsVersion::Tls10, TlsVersion::Tls11, TlsVersion::Tls12, TlsVersion::Tls13];

    /// As a handshake has it.
    pub fn code(self) -> u16 {
        match self {
            TlsVersion::Ssl3 => 0x0300,
            TlsVersion::Tls10 => 0x0301,
            TlsVersion::Tls11 => 0x0302,
            TlsVersion::Tls12 => 0x0303,
            TlsVersion::Tls13 => 0x0304,
        }
    }

    /// The version of this code.
    pub fn of_code(code: u16) -> Option<TlsVersion> {
        TlsVersion::ALL.into_iter().find(|version| version.code() == code)
    }

    /// `TLS 1.2`.
    pub fn name(self) -> &'static str {
        match self {
            TlsVersion::Ssl3 => "SSL 3.0",
            TlsVersion::Tls10 => "TLS 1.0",
            TlsVersion::Tls11 => "TLS 1.1",
            TlsVersion::Tls12 => "TLS 1.2",
            TlsVersion::Tls13 => "TLS 1.3",
        }
    }
}

impl fmt::Display for TlsVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Value {
    /// How `green` stands to `self`, which is blue's. Values of two kinds are incomparable.
    pub fn compare(&self, green: &Value) -> Order {
        match (self, green) {
            (Value::Holds(blue), Value::Holds(green)) => order(green.cmp(blue)),
            (Value::Version(blue), Value::Version(green)) => order(green.cmp(blue)),
            (Value::Strength(blue), Value::Strength(green)) => {
                order((*green).min(ENOUGH_BITS).cmp(&(*blue).min(ENOUGH_BITS)))
            }
            (Value::Validity(blue), Value::Validity(green)) => order(green.cmp(blue)),
            (Value::Accepts(blue), Value::Accepts(green)) => match (green.is_subset(blue), blue.is_subset(green)) {
                (true, true) => Order::Equal,
                (true, false) => Order::Stronger,
                (false, true) => Order::Weaker,
                (false, false) => Order::Incomparable,
            },
            (Value::Holds(_) | Value::Version(_) | Value::Strength(_) | Value::Validity(_) | Value::Accepts(_), _) => {
                Order::Incomparable
            }
        }
    }

    /// What is as safe as the less safe of two endpoints in each respect. `None` for values of two kinds.
    pub fn weaker_of(&self, other: &Value) -> Option<Value> {
        match (self, other) {
            (Value::Holds(a), Value::Holds(b)) => Some(Value::Holds(*a && *b)),
            (Value::Version(a), Value::Version(b)) => Some(Value::Version(*a.min(b))),
            (Value::Strength(a), Value::Strength(b)) => Some(Value::Strength(*a.min(b))),
            (Value::Validity(a), Value::Validity(b)) => Some(Value::Validity(*a.min(b))),
            (Value::Accepts(a), Value::Accepts(b)) => Some(Value::Accepts(a.union(b).cloned().collect())),
            (Value::Holds(_) | Value::Version(_) | Value::Strength(_) | Value::Validity(_) | Value::Accepts(_), _) => {
                None
            }
        }
    }
}

fn order(green_to_blue: Ordering) -> Order {
    match green_to_blue {
        Ordering::Greater => Order::Stronger,
        Ordering::Equal => Order::Equal,
        Ordering::Less => Order::Weaker,
    }
}

#[cfg(test)]
mod tests;
