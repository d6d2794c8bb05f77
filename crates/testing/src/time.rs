//! When tests ran, as reports write it.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;
use model::UnixMillis;

/// A moment of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub at: UnixMillis,
    /// The report did not say the time zone: the moment is read in the one that was given.
    pub zone_is_assumed: bool,
}

/// Reads RFC 3339, or ISO 8601 without a zone (what Ant's schema of JUnit XML has, in UTC; Jest and older Gradles write
/// UTC as well, older pytests local time). `None` for anything else, and before 1970.
pub(crate) fn stamp(text: &str, zone_minutes: i16) -> Option<Stamp> {
    let text = text.trim();
    let millis = |at: Timestamp| u64::try_from(at.as_millisecond()).ok().map(UnixMillis);
    if let Ok(at) = text.parse::<Timestamp>() {
        return Some(Stamp { at: millis(at)?, zone_is_assumed: false });
    }
    let local: DateTime = text.parse().ok()?;
    // A date alone is no moment.
    text.contains(['T', 't', ' ']).then_some(())?;
    let offset = Offset::from_seconds(i32::from(zone_minutes) * 60).ok()?;
    Some(Stamp { at: millis(offset.to_timestamp(local).ok()?)?, zone_is_assumed: true })
}
