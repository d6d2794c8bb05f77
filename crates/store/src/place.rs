//! Where a tile or bundle is in the directory, whatever its width, and how it is read while a writer may replace it.

use crate::DiskError;
use crate::disk::{Disk, ReadDisk};
use ledger::{Bundle, HASH_BYTES, MAX_BUNDLE_BYTES, TILE_WIDTH, Tile};
use std::collections::BTreeSet;

/// The head of the log.
pub(crate) const CHECKPOINT: &str = "checkpoint";

/// Where files are written before they get their names: a directory of the ledger's one writer, a file of a witness'.
pub(crate) const TEMPORARY: &str = "tmp";

/// The next checkpoint.
pub(crate) const TEMPORARY_CHECKPOINT: &str = "tmp/checkpoint";

/// The folder of tiles and bundles.
pub(crate) const TILES: &str = "tile";

/// The folder of the entries' bundles.
pub(crate) const ENTRIES: &str = "tile/entries";

/// A write-ahead log that is being made.
pub(crate) const TEMPORARY_WAL: &str = "tmp/wal";

/// How often a tile is looked for again that was replaced between two looks. Each time costs the writer a whole append
/// (several fsyncs) and the reader three calls, so that even two times in a row are rare.
const LOOKS: usize = 16;

/// Levels that a tree of fewer than 2^64 leaves can have.
const LEVELS: u8 = 8;

/// A tile or a bundle, of whatever width.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    Tile { level: u8, index: u64 },
    Bundle { index: u64 },
}

/// A tile or bundle, and the width that its file has: at least the width that was asked for.
pub(crate) struct Found {
    pub path: String,
    pub width: u16,
    pub bytes: Vec<u8>,
}

impl Place {
    pub fn path(self, width: u16) -> String {
        match self {
            Place::Tile { level, index } => Tile { level, index, width }.to_string(),
            Place::Bundle { index } => Bundle { index, width }.to_string(),
        }
    }

    /// The directory of the partial files.
    pub fn partial_dir(self) -> String {
        format!("{}.p", self.path(TILE_WIDTH))
    }

    /// The width in a tree of `size` entries: 0 if the tree does not have it.
    fn width_in(self, size: u64) -> u16 {
        let (level, index) = match self {
            Place::Tile { level, index } => (level, index),
            Place::Bundle { index } => (0, index),
        };
        Tile::holding(level, index * u64::from(TILE_WIDTH), size).map_or(0, |tile| tile.width)
    }

    fn max_bytes(self) -> usize {
        match self {
            Place::Tile { .. } => usize::from(TILE_WIDTH) * HASH_BYTES,
            Place::Bundle { .. } => MAX_BUNDLE_BYTES,
        }
    }

    /// The file of at least this width: the one of exactly this width, or the full one, or a wider partial one. The log
    /// only grows, so a wider file begins with what a narrower one held.
    pub fn read(self, disk: &dyn ReadDisk, width: u16) -> Result<Option<Found>, DiskError> {
        let look_at = |width| -> Result<Option<Found>, DiskError> {
            let path = self.path(width);
            Ok(disk.read(&path, self.max_bytes())?.map(|bytes| Found { path, width, bytes }))
        };
        if width == TILE_WIDTH {
            return look_at(width);
        }
        for _ in 0..LOOKS {
            for width in [width, TILE_WIDTH] {
                if let Some(found) = look_at(width)? {
                    return Ok(Some(found));
                }
            }
            let names = disk.list(&self.partial_dir())?.unwrap_or_default();
            let widest = names.iter().filter_map(|name| name.parse().ok()).filter(|wider| *wider > width).max();
            if let Some(found) = widest.map(look_at).transpose()?.flatten() {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// Removes partial files that trees of these sizes do not need, and nothing else.
    pub fn sweep(self, disk: &dyn Disk, sizes: &[u64]) -> Result<(), DiskError> {
        let directory = self.partial_dir();
        let Some(names) = disk.list(&directory)? else { return Ok(()) };
        let is_needed = |found: u8| sizes.iter().any(|size| self.width_in(*size) == u16::from(found));
        let is_stale = |name: &&String| name.parse::<u8>().is_ok_and(|found| !is_needed(found));
        let stale: Vec<_> = names.iter().filter(is_stale).collect();
        for name in &stale {
            disk.remove(&format!("{directory}/{name}"))?;
        }
        if stale.len() == names.len() { disk.remove_dir(&directory) } else { Ok(()) }
    }
}

/// At each level, the places from that of entry `first` to that of entry `end`: all that an append of the entries
/// between them writes. 2^19 entries, the most of one batch, have 2,048 bundles.
pub(crate) fn places_between(first: u64, end: u64) -> impl Iterator<Item = Place> {
    let places = move |level: u8| {
        let shift = 8 * (u32::from(level) + 1);
        let index = move |size: u64| size.checked_shr(shift).unwrap_or(0);
        index(first)..=index(end)
    };
    let tiles = move |level| places(level).map(move |index| Place::Tile { level, index });
    places(0).map(|index| Place::Bundle { index }).chain((0..LEVELS).flat_map(tiles))
}

/// The partial files of a tree of `size` entries: at most one bundle and a tile of each level.
pub(crate) fn partial_files(size: u64) -> impl Iterator<Item = String> {
    let bundle = Bundle::partial(size).map(|bundle| bundle.to_string());
    bundle
        .into_iter()
        .chain((0..LEVELS).filter_map(move |level| Tile::partial(level, size)).map(|tile| tile.to_string()))
}

/// The files that the last entries of a tree of `size` are in, and the partial ones above them.
pub(crate) fn head_files(size: u64) -> impl Iterator<Item = String> {
    let is_full = size > 0 && size.is_multiple_of(u64::from(TILE_WIDTH));
    let index = (size / u64::from(TILE_WIDTH)).wrapping_sub(1);
    let last = [Place::Bundle { index }, Place::Tile { level: 0, index }].map(|place| place.path(TILE_WIDTH));
    partial_files(size).chain(last.into_iter().filter(move |_| is_full))
}

/// The directories above a path, the nearest first, without the ledger's own.
pub(crate) fn directories_above(path: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(path.rsplit_once('/'), |(directory, _)| directory.rsplit_once('/'))
        .map(|(directory, _)| directory)
}

/// All directories that an append from `first` to `end` entries may have made or changed.
pub(crate) fn directories_between(first: u64, end: u64) -> BTreeSet<String> {
    let mut directories = BTreeSet::new();
    for place in places_between(first, end) {
        let partial = place.partial_dir();
        directories.extend(directories_above(&partial).map(str::to_owned));
        directories.insert(partial);
    }
    directories
}
