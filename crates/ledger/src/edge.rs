//! The right edge of a growing tree: the hashes of its incomplete tiles. It is all that an append needs, so that an
//! append costs O(entries + log n) however long the log is.

use crate::tile::{LEVELS, hashes_of};
use crate::{Hash, TILE_WIDTH, Tile};

/// The incomplete tile of every level. At most 8 levels of 255 hashes of 32 bytes: 65,280 bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    size: u64,
    /// Fewer than 256 hashes each, the lowest level first.
    levels: [Vec<Hash>; LEVELS as usize],
}

/// A tile and the bytes of its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TileContent {
    /// Where it belongs.
    pub tile: Tile,
    /// Its hashes, one after the other.
    pub bytes: Vec<u8>,
}

/// An edge that could not be read from its tiles.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum EdgeError<E: std::error::Error + 'static> {
    /// The caller's reader failed.
    #[error("tile {tile} cannot be read")]
    Read {
        /// Which one.
        tile: Tile,
        /// Why.
        #[source]
        source: E,
    },
    /// The tile is too short or too long.
    #[error("tile {tile} has {found} bytes, expected {}", tile.length_bytes())]
    Length {
        /// Which one.
        tile: Tile,
        /// Its length in bytes.
        found: usize,
    },
}

impl Edge {
    /// The edge of the empty tree.
    pub fn empty() -> Edge {
        Edge { size: 0, levels: Default::default() }
    }

    /// The edge of a tree of `size` leaves, from its incomplete tiles. `read` gives exactly the bytes of the tile that
    /// it is asked for.
    pub fn from_tiles<E: std::error::Error>(
        size: u64,
        mut read: impl FnMut(Tile) -> Result<Vec<u8>, E>,
    ) -> Result<Edge, EdgeError<E>> {
        let mut edge = Edge { size, ..Edge::empty() };
        for level in 0..LEVELS {
            let Some(tile) = Tile::partial(level, size) else { continue };
            let bytes = read(tile).map_err(|source| EdgeError::Read { tile, source })?;
            let hashes = hashes_of(&bytes).filter(|hashes| hashes.len() == usize::from(tile.width));
            edge.levels[usize::from(level)] = hashes.ok_or(EdgeError::Length { tile, found: bytes.len() })?;
        }
        Ok(edge)
    }

    /// The number of leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The leaf hashes of the incomplete tile at level 0.
    pub fn leaves(&self) -> &[Hash] {
        &self.levels[0]
    }

    /// Adds a leaf. The tiles that it completes, the lowest level first, are added to `completed`.
    ///
    /// # Panics
    /// At 2^64 - 1 leaves: at a million entries a second that is half a million years away.
    pub fn append(&mut self, leaf: Hash, completed: &mut Vec<TileContent>) {
        self.size = self.size.checked_add(1).expect("a log has fewer than 2^64 entries");
        let mut hash = leaf;
        for level in 0..LEVELS {
            let hashes = &mut self.levels[usize::from(level)];
            hashes.push(hash);
            if hashes.len() < usize::from(TILE_WIDTH) {
                return;
            }
            let index = Tile::full_count(level, self.size) - 1;
            completed.push(content(Tile { level, index, width: TILE_WIDTH }, hashes));
            hash = Hash::of_perfect(hashes);
            hashes.clear();
        }
    }

    /// The incomplete tiles that differ from those of the same tree when it had `before` leaves.
    pub fn partial_tiles_since(&self, before: u64) -> Vec<TileContent> {
        (0..LEVELS)
            .filter_map(|level| Tile::partial(level, self.size))
            .filter(|tile| Tile::partial(tile.level, before) != Some(*tile))
            .map(|tile| content(tile, &self.levels[usize::from(tile.level)]))
            .collect()
    }

    /// The root of the tree.
    pub fn root(&self) -> Hash {
        let mut root = None;
        for level in &self.levels {
            // The hashes of a level are perfect subtrees of one height. From the right: the largest power of two that
            // divides what is left is the next subtree of RFC 6962's recursion.
            let mut left = level.len();
            while left > 0 {
                let width = 1 << left.trailing_zeros();
                let subtree = Hash::of_perfect(&level[left - width..left]);
                root = Some(root.map_or(subtree, |right| Hash::of_node(subtree, right)));
                left -= width;
            }
        }
        root.unwrap_or_else(Hash::of_empty_tree)
    }
}

fn content(tile: Tile, hashes: &[Hash]) -> TileContent {
    TileContent { tile, bytes: hashes.iter().flat_map(|hash| hash.0).collect() }
}
