//! C2SP tlog-tiles: where the hashes and entries of a tree are, and what an entry bundle looks like.

use crate::{HASH_BYTES, Hash};
use std::fmt;
use std::str::FromStr;

/// Hashes of a full tile, and entries of a full bundle.
pub const TILE_WIDTH: u16 = 256;

/// The longest entry: a bundle writes its length in 16 bits.
pub const MAX_ENTRY_BYTES: usize = u16::MAX as usize;

/// The longest bundle: 256 entries of 65,535 bytes, each with 2 bytes of length, are 16,777,472 bytes.
pub const MAX_BUNDLE_BYTES: usize = TILE_WIDTH as usize * (2 + MAX_ENTRY_BYTES);

/// Levels that a tree of at most 2^64 - 1 leaves can have: a tile is 8 levels of the tree high, and 8 * 8 is 64.
pub(crate) const LEVELS: u8 = 8;

/// The highest level that a path may name.
const MAX_PATH_LEVEL: u8 = 63;

/// A tile of hashes: `tile/<level>/<index>`, with `.p/<width>` while it is not full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tile {
    /// 0 for leaf hashes; the hashes at level l + 1 are those of full tiles at level l.
    pub level: u8,
    /// Counts the tiles of a level from the left, from 0.
    pub index: u64,
    /// How many hashes: 1 to [`TILE_WIDTH`].
    pub width: u16,
}

/// A bundle of entries: `tile/entries/<index>`, with `.p/<width>` while it is not full. It holds the entries of the
/// tile with the same index at level 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bundle {
    /// Counts the bundles from the left, from 0.
    pub index: u64,
    /// How many entries: 1 to [`TILE_WIDTH`].
    pub width: u16,
}

/// A path that is no tile's.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("expected a path such as {expected}, found {found:?}")]
pub struct ParsePathError {
    expected: &'static str,
    found: String,
}

/// An entry that does not fit into a bundle.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("an entry of {length} bytes does not fit: a tlog-tiles entry has at most {MAX_ENTRY_BYTES} bytes")]
pub struct EntryTooLong {
    /// Its length in bytes.
    pub length: usize,
}

/// Bytes that are not a bundle of the expected width.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BundleError {
    /// The bundle ends inside an entry or its length.
    #[error("the bundle ends within entry {entry}: {missing} bytes are missing")]
    Short {
        /// Counts from 0 within the bundle.
        entry: usize,
        /// How many bytes are missing.
        missing: usize,
    },
    /// Bytes follow the last entry.
    #[error("{extra} bytes follow the bundle's {width} entries")]
    Long {
        /// How many entries were expected.
        width: u16,
        /// How many bytes follow.
        extra: usize,
    },
}

impl Tile {
    /// The tile at `level` that holds the hash number `hash_index` of that level, as wide as it is in a tree of `size`
    /// leaves. `None` if that tree does not have the hash.
    pub fn holding(level: u8, hash_index: u64, size: u64) -> Option<Tile> {
        let hashes = hashes_at(level, size);
        let index = hash_index / u64::from(TILE_WIDTH);
        (hash_index < hashes).then(|| Tile { level, index, width: width_at(index, hashes) })
    }

    /// The incomplete tile at `level` of a tree of `size` leaves, if there is one.
    pub fn partial(level: u8, size: u64) -> Option<Tile> {
        let hashes = hashes_at(level, size);
        let width = u16::try_from(hashes % u64::from(TILE_WIDTH)).expect("a remainder of 256 fits into 16 bits");
        (width > 0).then_some(Tile { level, index: hashes / u64::from(TILE_WIDTH), width })
    }

    /// How many full tiles a tree of `size` leaves has at `level`.
    pub fn full_count(level: u8, size: u64) -> u64 {
        hashes_at(level, size) / u64::from(TILE_WIDTH)
    }

    /// How long the tile's file is.
    pub fn length_bytes(self) -> usize {
        usize::from(self.width) * HASH_BYTES
    }

    /// The same tile when it is full.
    pub fn full(self) -> Tile {
        Tile { width: TILE_WIDTH, ..self }
    }
}

impl Bundle {
    /// The bundle that holds entry `index` of a tree of `size` leaves, if the tree has that entry.
    pub fn holding(index: u64, size: u64) -> Option<Bundle> {
        Tile::holding(0, index, size).map(|tile| Bundle { index: tile.index, width: tile.width })
    }

    /// The incomplete bundle of a tree of `size` leaves, if there is one.
    pub fn partial(size: u64) -> Option<Bundle> {
        Tile::partial(0, size).map(|tile| Bundle { index: tile.index, width: tile.width })
    }

    /// The same bundle when it is full.
    pub fn full(self) -> Bundle {
        Bundle { width: TILE_WIDTH, ..self }
    }
}

/// How many hashes the tiles of a level hold together: floor(size / 256^level).
fn hashes_at(level: u8, size: u64) -> u64 {
    size.checked_shr(8 * u32::from(level)).unwrap_or(0)
}

fn width_at(index: u64, hashes: u64) -> u16 {
    let here = hashes - index * u64::from(TILE_WIDTH);
    u16::try_from(here.min(u64::from(TILE_WIDTH))).expect("the width is at most 256")
}

impl fmt::Display for Tile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tile/{}/", self.level)?;
        write_index(f, self.index)?;
        write_width(f, self.width)
    }
}

impl fmt::Display for Bundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("tile/entries/")?;
        write_index(f, self.index)?;
        write_width(f, self.width)
    }
}

/// Groups of three digits, of which all but the last begin with an x: 1234067 is `x001/x234/067`.
fn write_index(f: &mut fmt::Formatter<'_>, index: u64) -> fmt::Result {
    let mut groups = vec![index % 1000];
    let mut rest = index / 1000;
    while rest > 0 {
        groups.push(rest % 1000);
        rest /= 1000;
    }
    for group in groups[1..].iter().rev() {
        write!(f, "x{group:03}/")?;
    }
    write!(f, "{:03}", groups[0])
}

fn write_width(f: &mut fmt::Formatter<'_>, width: u16) -> fmt::Result {
    if width == TILE_WIDTH { Ok(()) } else { write!(f, ".p/{width}") }
}

impl FromStr for Tile {
    type Err = ParsePathError;

    fn from_str(path: &str) -> Result<Tile, ParsePathError> {
        let parse = || {
            let (level, rest) = path.strip_prefix("tile/")?.split_once('/')?;
            let level = parse_decimal(level)?.try_into().ok().filter(|level| *level <= MAX_PATH_LEVEL)?;
            let (index, width) = parse_index_and_width(rest)?;
            Some(Tile { level, index, width })
        };
        parse().ok_or_else(|| ParsePathError { expected: "tile/0/x001/234.p/5", found: excerpt(path) })
    }
}

impl FromStr for Bundle {
    type Err = ParsePathError;

    fn from_str(path: &str) -> Result<Bundle, ParsePathError> {
        let (index, width) = path
            .strip_prefix("tile/entries/")
            .and_then(parse_index_and_width)
            .ok_or_else(|| ParsePathError { expected: "tile/entries/x001/234.p/5", found: excerpt(path) })?;
        Ok(Bundle { index, width })
    }
}

fn parse_index_and_width(text: &str) -> Option<(u64, u16)> {
    let (index, width) = match text.split_once(".p/") {
        None => (text, TILE_WIDTH),
        Some((index, width)) => {
            let width = u16::try_from(parse_decimal(width)?).ok()?;
            (index, Some(width).filter(|width| (1..TILE_WIDTH).contains(width))?)
        }
    };
    let (leading, last) = index.rsplit_once('/').map_or((None, index), |(leading, last)| (Some(leading), last));
    let mut number: u64 = 0;
    for group in leading.into_iter().flat_map(|leading| leading.split('/')) {
        number = number.checked_mul(1000)?.checked_add(parse_group(group.strip_prefix('x')?)?)?;
        if number == 0 {
            return None; // A leading group of zeros: the same index would have two paths.
        }
    }
    Some((number.checked_mul(1000)?.checked_add(parse_group(last)?)?, width))
}

fn parse_group(digits: &str) -> Option<u64> {
    (digits.len() == 3 && digits.bytes().all(|digit| digit.is_ascii_digit())).then(|| digits.parse().ok())?
}

/// A decimal number without sign and needless zeros.
pub(crate) fn parse_decimal(text: &str) -> Option<u64> {
    let canonical = text == "0" || (!text.starts_with('0') && text.bytes().all(|digit| digit.is_ascii_digit()));
    if canonical { text.parse().ok() } else { None }
}

/// What an error shows of text from outside.
pub(crate) fn excerpt(text: &str) -> String {
    text.chars().take(80).collect()
}

/// The hashes of a tile's file; `None` unless its length is a multiple of a hash's.
pub(crate) fn hashes_of(content: &[u8]) -> Option<Vec<Hash>> {
    let (hashes, rest) = content.as_chunks::<HASH_BYTES>();
    rest.is_empty().then(|| hashes.iter().copied().map(Hash).collect())
}

/// Appends one entry to a bundle: its length in 16 bits, the highest byte first, then its bytes.
pub fn encode_entry(bundle: &mut Vec<u8>, entry: &[u8]) -> Result<(), EntryTooLong> {
    let length = u16::try_from(entry.len()).map_err(|_| EntryTooLong { length: entry.len() })?;
    bundle.extend_from_slice(&length.to_be_bytes());
    bundle.extend_from_slice(entry);
    Ok(())
}

/// The entries of a bundle with exactly `width` of them, borrowed from its bytes.
pub fn decode_bundle(bytes: &[u8], width: u16) -> Result<Vec<&[u8]>, BundleError> {
    let mut entries = Vec::with_capacity(usize::from(width));
    let mut rest = bytes;
    for entry in 0..usize::from(width) {
        let (length, after) = rest
            .split_first_chunk::<2>()
            .ok_or(BundleError::Short { entry, missing: 2usize.saturating_sub(rest.len()) })?;
        let length = usize::from(u16::from_be_bytes(*length));
        let (bytes, after) = after
            .split_at_checked(length)
            .ok_or(BundleError::Short { entry, missing: length.saturating_sub(after.len()) })?;
        entries.push(bytes);
        rest = after;
    }
    if rest.is_empty() { Ok(entries) } else { Err(BundleError::Long { width, extra: rest.len() }) }
}

#[cfg(test)]
mod tests;
