//! Ids as old formats write them.

use crate::json::hexadecimal;

/// Bytes of a refused text that its error repeats.
const MAX_QUOTED_LEN: usize = 64;

/// An id of up to `2 * N` hexadecimal digits, its leading zeros perhaps left out.
pub(super) fn padded<const N: usize>(field: &str, found: &str) -> Result<[u8; N], String> {
    let digits = format!("{found:0>width$}", width = 2 * N);
    let id = hexadecimal(&digits).filter(|_| !found.is_empty()).and_then(|id| id.try_into().ok());
    id.ok_or_else(|| format!("{field}: found {:?}; expected 1 to {} hexadecimal digits", quoted(found), 2 * N))
}

pub(super) fn quoted(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_QUOTED_LEN)]
}
