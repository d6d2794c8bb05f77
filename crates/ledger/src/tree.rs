//! RFC 6962 sections 2.1, 2.1.1 and 2.1.2: roots and proofs of a tree, made from its tiles.

use crate::tile::hashes_of;
use crate::{EdgeError, Hash, TILE_WIDTH, Tile};
use std::collections::BTreeMap;
use std::ops::Range;

/// A tree of `size` leaves whose tiles are read with a closure. Roots and proofs can be made for it and for every
/// smaller size. A tile is read once: one proof needs at most two tiles of each of 8 levels, 128 KiB together.
///
/// Nothing read is checked against a signed root: whoever does not trust the tiles verifies what was made of them.
pub struct TileTree<R> {
    size: u64,
    read: R,
    tiles: BTreeMap<(u8, u64), Vec<Hash>>,
}

/// A proof that could not be made.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum TreeError<E: std::error::Error + 'static> {
    /// The tree is smaller than the size asked for.
    #[error("the log has {size} entries: there is no tree of {asked}")]
    Size {
        /// The size asked for.
        asked: u64,
        /// The size of the tree.
        size: u64,
    },
    /// The entry is not in a tree of that size.
    #[error("a tree of {size} entries has no entry {index}")]
    Index {
        /// The index asked for.
        index: u64,
        /// The size asked for.
        size: u64,
    },
    /// A consistency proof goes from a size to one that is not smaller.
    #[error("no consistency proof from {old} to {new} entries: the first must not be larger")]
    Order {
        /// The smaller size.
        old: u64,
        /// The larger size.
        new: u64,
    },
    /// A tile could not be read, or is of the wrong length.
    #[error(transparent)]
    Tile(#[from] EdgeError<E>),
}

impl<E: std::error::Error, R: FnMut(Tile) -> Result<Vec<u8>, E>> TileTree<R> {
    /// The tree of `size` leaves. `read` gives exactly the bytes of the tile that it is asked for.
    pub fn new(size: u64, read: R) -> TileTree<R> {
        TileTree { size, read, tiles: BTreeMap::new() }
    }

    /// The root of the first `size` leaves.
    pub fn root(&mut self, size: u64) -> Result<Hash, TreeError<E>> {
        self.check_size(size)?;
        if size == 0 { Ok(Hash::of_empty_tree()) } else { Ok(self.range(0..size)?) }
    }

    /// PATH of RFC 6962 section 2.1.1: the hashes from the leaf's sibling to the root's child, which prove that entry
    /// `index` is in the tree of the first `size` leaves.
    pub fn inclusion_proof(&mut self, index: u64, size: u64) -> Result<Vec<Hash>, TreeError<E>> {
        self.check_size(size)?;
        if index >= size {
            return Err(TreeError::Index { index, size });
        }
        let mut proof = Vec::new();
        let mut range = 0..size;
        while range.end - range.start > 1 {
            let middle = split(&range);
            if index < middle {
                proof.push(self.range(middle..range.end)?);
                range.end = middle;
            } else {
                proof.push(self.range(range.start..middle)?);
                range.start = middle;
            }
        }
        proof.reverse();
        Ok(proof)
    }

    /// PROOF of RFC 6962 section 2.1.2: the hashes which prove that the tree of `new` leaves begins with that of `old`.
    /// Empty where there is nothing to prove: from the empty tree, and between equal sizes.
    pub fn consistency_proof(&mut self, old: u64, new: u64) -> Result<Vec<Hash>, TreeError<E>> {
        self.check_size(new)?;
        if old > new {
            return Err(TreeError::Order { old, new });
        }
        let mut proof = Vec::new();
        if old == 0 || old == new {
            return Ok(proof);
        }
        let mut range = 0..new;
        while range.end != old {
            let middle = split(&range);
            if old <= middle {
                proof.push(self.range(middle..range.end)?);
                range.end = middle;
            } else {
                proof.push(self.range(range.start..middle)?);
                range.start = middle;
            }
        }
        // Whoever holds the old root knows this hash already if it is the old root itself.
        if range.start > 0 {
            proof.push(self.range(range)?);
        }
        proof.reverse();
        Ok(proof)
    }

    fn check_size(&self, asked: u64) -> Result<(), TreeError<E>> {
        if asked <= self.size { Ok(()) } else { Err(TreeError::Size { asked, size: self.size }) }
    }

    /// The hash over a range of leaves that RFC 6962's recursion makes: it starts at a multiple of the smallest power
    /// of two that is not below its length.
    fn range(&mut self, range: Range<u64>) -> Result<Hash, EdgeError<E>> {
        let length = range.end - range.start;
        if length.is_power_of_two() {
            return self.perfect(range.start, length.trailing_zeros());
        }
        let middle = split(&range);
        let right = self.range(middle..range.end)?;
        Ok(Hash::of_node(self.range(range.start..middle)?, right))
    }

    /// The root of the 2^height leaves from `start` on.
    fn perfect(&mut self, start: u64, height: u32) -> Result<Hash, EdgeError<E>> {
        let level = u8::try_from(height / 8).expect("a height is below 64");
        let first = start >> (8 * u32::from(level));
        let offset = usize::try_from(first % u64::from(TILE_WIDTH)).expect("a remainder of 256 fits");
        let hashes = self.tile(level, first)?;
        Ok(Hash::of_perfect(&hashes[offset..offset + (1 << (height % 8))]))
    }

    fn tile(&mut self, level: u8, hash_index: u64) -> Result<&[Hash], EdgeError<E>> {
        let tile = Tile::holding(level, hash_index, self.size).expect("a perfect subtree of the tree is in its tiles");
        let key = (tile.level, tile.index);
        if !self.tiles.contains_key(&key) {
            let bytes = (self.read)(tile).map_err(|source| EdgeError::Read { tile, source })?;
            let hashes = hashes_of(&bytes).filter(|hashes| hashes.len() == usize::from(tile.width));
            self.tiles.insert(key, hashes.ok_or(EdgeError::Length { tile, found: bytes.len() })?);
        }
        Ok(&self.tiles[&key])
    }
}

/// Where RFC 6962 splits a range of more than one leaf: after the largest power of two below its length.
fn split(range: &Range<u64>) -> u64 {
    let last = range.end - range.start - 1;
    range.start + (1 << (u64::BITS - 1 - last.leading_zeros()))
}

#[cfg(test)]
mod tests;
