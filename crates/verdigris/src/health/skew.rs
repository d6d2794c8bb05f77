//! How far this machine's clock is from others': by the `Date` of answers that are asked for anyway.

use super::Finding;
use jiff::fmt::rfc2822::DateTimeParser;
use model::{ShortDuration, UnixMillis};

/// Two clocks that are kept differ by less; access tokens are taken within 60 s.
const MUCH_MS: u64 = 30_000;
/// Beyond this tokens, certificates and approvals fail.
const TOO_MUCH_MS: u64 = 5 * 60_000;
/// `Date` and `Age` have whole seconds.
const COARSE_MS: u64 = 2_000;
/// A cache's answer that is older says nothing exact.
const MAX_AGE_SECS: u64 = 24 * 3_600;

/// What a server's `Date` (RFC 9110, section 6.6.1), with the seconds of its `Age`, says of our clock, which read these times
/// before it was asked and when it had answered. Nothing if it is no date.
pub fn skew(
    who: &str,
    (date, age_secs): &(String, u64),
    (asked, answered): (UnixMillis, UnixMillis),
) -> Option<Finding> {
    static PARSER: DateTimeParser = DateTimeParser::new();
    let said = PARSER.parse_timestamp(date.trim()).ok()?.as_millisecond();
    let said = UnixMillis(u64::try_from(said).ok()?).plus_ms((*age_secs).min(MAX_AGE_SECS) * 1_000);
    let (behind, ahead) = (said.since_ms(answered), asked.since_ms(said.plus_ms(COARSE_MS)));
    let what = format!("clock, beside that of {who}");
    let (off, word) = if behind > 0 { (behind, "behind") } else { (ahead, "ahead of") };
    if off <= MUCH_MS {
        return Some(Finding::ok(what, "less than 30 s apart"));
    }
    let says = format!("is {} {word} it", ShortDuration(off / 1_000 * 1_000));
    let does = "see which of the two is wrong (`chronyc tracking`, `timedatectl`), and set it: access tokens, certificates and \
                approvals hang on both";
    Some(if off > TOO_MUCH_MS { Finding::trouble(what, says, does) } else { Finding::warning(what, says, does) })
}
