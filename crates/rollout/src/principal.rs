//! Who acts: one person, or program, is one name, behind whatever they come.

use crate::approval::PublicKey;
use serde::{Deserialize, Serialize};

/// Who acts, by a canonical name, and the roles that this name has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Principal {
    /// The canonical name: one person is one name.
    pub name: String,
    /// The roles of that name when it acted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<String>,
    /// From where, in words: `unix socket, uid 1000`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
}

impl Principal {
    /// Without a word of where it acts from.
    pub fn new(name: impl Into<String>, roles: Vec<String>) -> Principal {
        Principal { name: name.into(), roles, from: None }
    }
}

/// Somebody whom the server's configuration names, as the ledger has it: who had which role, and by what they are known.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KnownPrincipal {
    /// The canonical name.
    pub name: String,
    /// What it may do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<String>,
    /// Its user ids of the operating system.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub uids: Vec<u32>,
    /// Its keys for approvals.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<PublicKey>,
    /// A salted commitment to who it is, which is sealed outside the ledger and can be erased: `sha256:…`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<String>,
}

/// Principals that a configuration names: with every bound of theirs full, 64 of them are half of a ledger's entry.
pub const MAX_PRINCIPALS: usize = 64;
/// Roles, user ids and keys of one, each.
pub const MAX_OF_EACH: usize = 4;
/// Characters of all keys together: 256 of Ed25519, on tokens too, or 140 passkeys of 230 characters.
pub const MAX_KEYS_CHARACTERS: usize = 32 * 1024;
/// Characters of a name or a role.
pub const MAX_NAME_CHARACTERS: usize = 64;
