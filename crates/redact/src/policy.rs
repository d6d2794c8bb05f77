//! What is done with what was found.

use crate::class::Class;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Keys that a policy may name: 1,024 of 256 bytes are 256 KiB.
const MAX_KEYS: usize = 1_024;

/// Bytes of such a key. OpenTelemetry's own are shorter than 64.
const MAX_KEY_LEN: usize = 256;

/// What becomes of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// It stays.
    Keep,
    /// A tag takes its place: `[payment-card]`.
    Mask,
    /// The whole text that holds it becomes empty.
    Drop,
    /// A tag with a keyed hash takes its place, `[payment-card:kdpambfoohgjcnel]`: the same value gives the same tag, so
    /// joins stay possible.
    Hash,
}

/// An action for each class, and for keys by their names.
///
/// As JSON or YAML: `{"classes": {"email": "hash"}, "keys": {"app.note": "keep"}}`; what is left out has
/// [`Policy::default`]'s action. It is written with every class, in the order of their names, so that equal policies are
/// equal bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Policy {
    of_class: [Action; Class::ALL.len()],
    keys: BTreeMap<String, Action>,
}

/// A policy that is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// It names too many keys.
    #[error("the redaction policy names {found} keys; expected {MAX_KEYS} at most")]
    TooManyKeys {
        /// How many it names.
        found: usize,
    },
    /// It names a key that is too long, or empty.
    #[error("the redaction policy names a key of {found} bytes; expected 1 to {MAX_KEY_LEN}")]
    KeyLength {
        /// Its bytes.
        found: usize,
    },
}

impl Policy {
    /// The action for a class.
    pub fn action(&self, class: Class) -> Action {
        self.of_class[class as usize]
    }

    /// The action for all texts under a key, whatever is in them: [`Action::Keep`] is an allowlist, the others replace the
    /// whole text.
    pub fn key_action(&self, key: &str) -> Option<Action> {
        if self.keys.is_empty() { None } else { self.keys.get(key).copied() }
    }

    /// The same with another action for a class.
    pub fn with(mut self, class: Class, action: Action) -> Policy {
        self.of_class[class as usize] = action;
        self
    }

    /// The same with an action for a key.
    pub fn with_key(mut self, key: &str, action: Action) -> Result<Policy, PolicyError> {
        self.keys.insert(key.to_owned(), action);
        self.check()?;
        Ok(self)
    }

    fn check(&self) -> Result<(), PolicyError> {
        if self.keys.len() > MAX_KEYS {
            return Err(PolicyError::TooManyKeys { found: self.keys.len() });
        }
        match self.keys.keys().find(|key| key.is_empty() || key.len() > MAX_KEY_LEN) {
            Some(key) => Err(PolicyError::KeyLength { found: key.len() }),
            None => Ok(()),
        }
    }
}

impl Default for Policy {
    /// Masks everything but IP addresses: what a trace says of the network is mostly about machines.
    fn default() -> Policy {
        let of_class = Class::ALL.map(|class| match class {
            Class::Ipv4 | Class::Ipv6 => Action::Keep,
            Class::PaymentCard
            | Class::Iban
            | Class::UsSsn
            | Class::NhsNumber
            | Class::UsNpi
            | Class::Email
            | Class::Phone
            | Class::BirthDate
            | Class::Jwt
            | Class::PrivateKey
            | Class::Certificate
            | Class::CloudKey
            | Class::Authorization
            | Class::UrlPassword
            | Class::Secret => Action::Mask,
        });
        Policy { of_class, keys: BTreeMap::new() }
    }
}

/// The key of the hashes: who has it can try values against them. It is never shown.
#[derive(Clone)]
pub struct Key(pub [u8; 32]);

/// How a policy is written.
#[derive(Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Written {
    classes: BTreeMap<Name, Action>,
    keys: BTreeMap<String, Action>,
}

/// A class, in the order of the names.
#[derive(PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
struct Name(Class);

impl Ord for Name {
    fn cmp(&self, other: &Name) -> std::cmp::Ordering {
        self.0.name().cmp(other.0.name())
    }
}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Name) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl TryFrom<Written> for Policy {
    type Error = PolicyError;

    fn try_from(written: Written) -> Result<Policy, PolicyError> {
        let classes = written.classes.into_iter();
        let policy = classes.fold(Policy::default(), |policy, (name, action)| policy.with(name.0, action));
        let policy = Policy { keys: written.keys, ..policy };
        policy.check()?;
        Ok(policy)
    }
}

impl From<Policy> for Written {
    fn from(policy: Policy) -> Written {
        let classes = Class::ALL.into_iter().map(|class| (Name(class), policy.action(class))).collect();
        Written { classes, keys: policy.keys }
    }
}
