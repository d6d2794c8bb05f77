//! Moments as other formats write them.

use jiff::Timestamp;
use model::UnixMillis;

/// RFC 3339 in UTC, to the millisecond. A moment after the year 9999, which none of these formats can say, is its last.
pub(crate) fn rfc3339(at: UnixMillis) -> String {
    let ms = i64::try_from(at.0).unwrap_or(i64::MAX);
    let timestamp = Timestamp::from_millisecond(ms).unwrap_or(Timestamp::MAX);
    format!("{timestamp:.3}")
}
