//! What one file may still add to a tree: values, depth, and bytes that aliases repeat.

use crate::error::{FileError, Position};
use crate::limits::{MAX_DEPTH, MAX_FILE_VALUES, MAX_REPEATED_BYTES};

/// Counts down; what would pass below zero is refused before it is made.
pub(crate) struct Budget {
    values: usize,
    repeated_bytes: usize,
    depth: usize,
}

impl Budget {
    pub(crate) fn new() -> Budget {
        Budget { values: MAX_FILE_VALUES, repeated_bytes: MAX_REPEATED_BYTES, depth: MAX_DEPTH }
    }

    /// Reads a document that stands inside another one, at that depth.
    pub(crate) fn below<T>(&mut self, depth: usize, read: impl FnOnce(&mut Budget) -> T) -> T {
        let before = self.depth;
        self.depth = before.saturating_sub(depth);
        let value = read(self);
        self.depth = before;
        value
    }

    pub(crate) fn used(&self) -> usize {
        MAX_FILE_VALUES - self.values
    }

    pub(crate) fn value(&mut self, at: Position) -> Result<(), FileError> {
        self.repeat(1, 0, at)
    }

    /// A copy of so many values and so many bytes of text.
    pub(crate) fn repeat(&mut self, values: usize, bytes: usize, at: Position) -> Result<(), FileError> {
        let refused = FileError::TooManyValues { at };
        let (Some(values), Some(bytes)) = (self.values.checked_sub(values), self.repeated_bytes.checked_sub(bytes))
        else {
            return Err(refused);
        };
        (self.values, self.repeated_bytes) = (values, bytes);
        Ok(())
    }

    /// A value inside so many others.
    pub(crate) fn depth(&self, depth: usize, at: Position) -> Result<(), FileError> {
        if depth > self.depth { Err(FileError::TooDeep { at }) } else { Ok(()) }
    }
}
