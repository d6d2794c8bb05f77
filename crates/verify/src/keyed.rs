//! Hash maps without ambient randomness: the key is an argument, so the same calls give the same bytes, and whoever
//! sends spans cannot choose ids that collide.

use siphasher::sip::SipHasher13;
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, Hasher};

/// SipHash-1-3 under a key that was given.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keyed(pub(crate) [u8; 16]);

pub(crate) type Map<K, V> = HashMap<K, V, Keyed>;
pub(crate) type Set<K> = HashSet<K, Keyed>;

impl BuildHasher for Keyed {
    type Hasher = SipHasher13;

    fn build_hasher(&self) -> SipHasher13 {
        SipHasher13::new_with_key(&self.0)
    }
}

impl Keyed {
    /// The hash of several pieces, each with its length, so that no two lists of pieces are written alike.
    pub(crate) fn of<'a>(&self, pieces: impl Iterator<Item = &'a [u8]>) -> u64 {
        let mut hasher = self.build_hasher();
        for piece in pieces {
            hasher.write(&(piece.len() as u64).to_le_bytes());
            hasher.write(piece);
        }
        hasher.finish()
    }
}
