//! Entries in their order, bundle by bundle: never more than one bundle (16 MiB) in memory.

use crate::DiskError;
use crate::disk::ReadDisk;
use crate::place::Place;
use ledger::{Bundle, BundleError, HASH_BYTES, Hash, Tile, TreeError, decode_bundle};
use std::ops::Range;
use std::vec;

/// An entry, tile or proof that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The entries are not in the log.
    #[error("entries {} to {} were asked for, but the log has {size}", range.start, range.end)]
    Range {
        /// What was asked for, without its end.
        range: Range<u64>,
        /// The number of entries.
        size: u64,
    },
    /// A tile or bundle is not there.
    #[error("{path} is missing: restore the ledger's directory from a backup")]
    Missing {
        /// Its path in the ledger's directory.
        path: String,
    },
    /// A tile is too short or too long.
    #[error("{path} has {found} bytes, expected {expected}: restore the ledger's directory from a backup")]
    Length {
        /// Its path in the ledger's directory.
        path: String,
        /// Its length.
        found: usize,
        /// The length of a tile of that width.
        expected: usize,
    },
    /// A bundle is malformed.
    #[error("{path} is not an entry bundle: restore the ledger's directory from a backup")]
    Bundle {
        /// Its path in the ledger's directory.
        path: String,
        /// What is wrong with it.
        #[source]
        source: BundleError,
    },
    /// An entry is not the one that was logged.
    #[error("entry {index} does not hash to its leaf in {tile}: one of them was altered")]
    Altered {
        /// The entry's index.
        index: u64,
        /// The tile with its hash.
        tile: String,
    },
    /// The file system failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

/// A proof that cannot be made.
pub type ProofError = TreeError<ReadError>;

/// The entries of a range, each checked against the leaf hash in its tile. Ends after an error.
pub struct Entries<'disk> {
    disk: &'disk dyn ReadDisk,
    size: u64,
    range: Range<u64>,
    bundle: vec::IntoIter<Vec<u8>>,
}

impl<'disk> Entries<'disk> {
    pub(crate) fn new(disk: &'disk dyn ReadDisk, size: u64, range: Range<u64>) -> Result<Entries<'disk>, ReadError> {
        if range.start > range.end || range.end > size {
            return Err(ReadError::Range { range, size });
        }
        Ok(Entries { disk, size, range, bundle: Vec::new().into_iter() })
    }

    /// Reads the bundle that holds the next entry, and skips the entries before it.
    fn read_bundle(&mut self) -> Result<(), ReadError> {
        let bundle = Bundle::holding(self.range.start, self.size).expect("the range is within the log");
        let leaves = read_tile(self.disk, Tile { level: 0, index: bundle.index, width: bundle.width })?;
        let entries = read_bundle(self.disk, bundle)?;
        let first = bundle.index * u64::from(ledger::TILE_WIDTH);
        for ((entry, leaf), index) in entries.iter().zip(leaves.chunks_exact(HASH_BYTES)).zip(first..) {
            if Hash::of_leaf(entry).0 != *leaf {
                let tile = Tile { level: 0, index: bundle.index, width: bundle.width }.to_string();
                return Err(ReadError::Altered { index, tile });
            }
        }
        self.bundle = entries.into_iter();
        for _ in first..self.range.start {
            self.bundle.next();
        }
        Ok(())
    }
}

impl Iterator for Entries<'_> {
    type Item = Result<Vec<u8>, ReadError>;

    fn next(&mut self) -> Option<Result<Vec<u8>, ReadError>> {
        if self.range.is_empty() {
            return None;
        }
        if self.bundle.len() == 0
            && let Err(error) = self.read_bundle()
        {
            self.range.start = self.range.end;
            return Some(Err(error));
        }
        self.range.start += 1;
        self.bundle.next().map(Ok)
    }
}

/// The bytes of a tile of exactly the width asked for.
pub(crate) fn read_tile(disk: &dyn ReadDisk, tile: Tile) -> Result<Vec<u8>, ReadError> {
    let place = Place::Tile { level: tile.level, index: tile.index };
    let found = place.read(disk, tile.width)?.ok_or_else(|| ReadError::Missing { path: tile.to_string() })?;
    let expected = Tile { width: found.width, ..tile }.length_bytes();
    if found.bytes.len() != expected {
        return Err(ReadError::Length { path: found.path, found: found.bytes.len(), expected });
    }
    let mut bytes = found.bytes;
    bytes.truncate(tile.length_bytes());
    Ok(bytes)
}

/// The entries of a bundle of exactly the width asked for.
pub(crate) fn read_bundle(disk: &dyn ReadDisk, bundle: Bundle) -> Result<Vec<Vec<u8>>, ReadError> {
    let place = Place::Bundle { index: bundle.index };
    let found = place.read(disk, bundle.width)?.ok_or_else(|| ReadError::Missing { path: bundle.to_string() })?;
    let entries = decode_bundle(&found.bytes, found.width)
        .map_err(|source| ReadError::Bundle { path: found.path.clone(), source })?;
    Ok(entries.into_iter().take(usize::from(bundle.width)).map(<[u8]>::to_vec).collect())
}
