//! Times as people read them, in UTC.

use jiff::Timestamp;
use maud::{Markup, html};
use model::UnixMillis;

/// `2026-12-01 02:03:04 UTC`, as an element that programs can read too.
pub(super) fn time(at: UnixMillis) -> Markup {
    let (date, clock) = parts(at);
    html! { time datetime={ (date) "T" (clock) "Z" } { (date) " " (clock) " UTC" } }
}

/// Date and time of day. What is beyond the calendar's last day is that day.
fn parts(UnixMillis(ms): UnixMillis) -> (String, String) {
    let known = i64::try_from(ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    let at = known.unwrap_or(Timestamp::MAX);
    (at.strftime("%F").to_string(), at.strftime("%T").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        let check =
            |ms, date: &str, clock: &str| assert_eq!(parts(UnixMillis(ms)), (date.to_owned(), clock.to_owned()));
        check(0, "1970-01-01", "00:00:00");
        check(951_782_400_000, "2000-02-29", "00:00:00");
        check(1_709_251_199_999, "2024-02-29", "23:59:59");
        check(4_107_542_400_000, "2100-03-01", "00:00:00");
    }
}
