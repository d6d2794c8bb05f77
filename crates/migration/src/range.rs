//! Ranges of a table's key, and the bounds of what is followed.

use crate::key::Key;

/// Parts that a range is divided into at a time. 10,000,000 rows become ranges of 156,250, 2,442 and 39: three levels. A level's
/// answers are 64 keys and twice 64 sums of some 50 bytes.
pub const FANOUT: usize = 64;
/// A range of so many rows, on either side, is not divided but fetched: a key and a hash of 32 bytes for each, which is less
/// than the sums of its 64 parts would save.
pub const LEAF_ROWS: u64 = 256;
/// Rows fetched of a range that cannot be divided, because many rows have the same key.
pub const MAX_FETCHED_ROWS: usize = 2_000;
/// Rows of a sample that the whole table is divided by: 200 for each part.
pub(crate) const SAMPLED_ROWS: u64 = 200 * FANOUT as u64;
/// A table of so many rows is divided by a sample: to number a tenth of a million rows takes some 0.1 s.
pub(crate) const MIN_SAMPLED_ROWS: u64 = 100_000;
/// Differing ranges of a table whose rows are fetched: 16 × 2 × 2,000 rows of some 100 bytes are 6.4 MB at worst, and 0.8 MB
/// where ranges can be divided.
pub const MAX_FOLLOWED: usize = 16;
/// Ranges of a table that are divided: 16 followed ranges, each below two others of its own, and the whole.
pub const MAX_SPLITS: usize = 2 * MAX_FOLLOWED + 1;

/// The keys that come after one, up to and with another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    /// Not this one itself. `None`: from the first.
    pub after: Option<Key>,
    /// This one too. `None`: to the last.
    pub until: Option<Key>,
}

impl Range {
    /// The whole table.
    pub const ALL: Range = Range { after: None, until: None };

    /// The parts between `bounds`: one more than there are bounds.
    pub(crate) fn parts(&self, bounds: &[Key]) -> Vec<Range> {
        let ends = bounds.iter().cloned().map(Some).chain([self.until.clone()]);
        let mut after = self.after.clone();
        ends.map(|until| Range { after: std::mem::replace(&mut after, until.clone()), until }).collect()
    }
}
