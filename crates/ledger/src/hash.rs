//! RFC 6962 section 2.1: how leaves and nodes are hashed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::str::FromStr;

/// The bytes of a hash.
pub const HASH_BYTES: usize = 32;

/// A SHA-256 hash of a leaf, a node or a whole tree. Written in standard base64, as checkpoints and proofs have it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash(pub [u8; HASH_BYTES]);

/// Text that is not a hash in base64.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("expected the standard base64 of {HASH_BYTES} bytes (44 characters), found {found:?}")]
pub struct ParseHashError {
    found: String,
}

/// RFC 6962 prefixes leaves and nodes differently, so that no leaf can pass for a node.
const LEAF_PREFIX: [u8; 1] = [0];
const NODE_PREFIX: [u8; 1] = [1];

impl Hash {
    /// The root of the empty tree: the hash of nothing.
    pub fn of_empty_tree() -> Hash {
        Hash(Sha256::digest([]).into())
    }

    /// The hash of an entry.
    pub fn of_leaf(entry: &[u8]) -> Hash {
        Hash(Sha256::new().chain_update(LEAF_PREFIX).chain_update(entry).finalize().into())
    }

    /// The hash of the node above two others.
    pub fn of_node(left: Hash, right: Hash) -> Hash {
        Hash(Sha256::new().chain_update(NODE_PREFIX).chain_update(left.0).chain_update(right.0).finalize().into())
    }

    /// The root of a perfect tree over these hashes; their number is a power of two.
    pub(crate) fn of_perfect(hashes: &[Hash]) -> Hash {
        assert!(hashes.len().is_power_of_two(), "a perfect tree has a power of two of leaves");
        let mut row = hashes.to_vec();
        while row.len() > 1 {
            row = row.chunks_exact(2).map(|pair| Hash::of_node(pair[0], pair[1])).collect();
        }
        row[0]
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&STANDARD.encode(self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Hash {
    type Err = ParseHashError;

    fn from_str(text: &str) -> Result<Hash, ParseHashError> {
        let refused = || ParseHashError { found: text.chars().take(64).collect() };
        // 4 characters hold 3 bytes: longer text is refused before anything is allocated for it.
        if text.len() != HASH_BYTES.div_ceil(3) * 4 {
            return Err(refused());
        }
        let bytes = STANDARD.decode(text).map_err(|_| refused())?;
        Ok(Hash(bytes.try_into().map_err(|_| refused())?))
    }
}
