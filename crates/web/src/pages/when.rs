//! Times as people read them, in UTC.

use maud::{Markup, html};
use model::UnixMillis;

/// `2026-12-01 02:03:04 UTC`, as an element that programs can read too.
pub(super) fn time(at: UnixMillis) -> Markup {
    let (date, clock) = parts(at);
    html! { time datetime={ (date) "T" (clock) "Z" } { (date) " " (clock) " UTC" } }
}

/// Date and time of day. The days since 1970 become a date as Howard Hinnant's `civil_from_days` has it: years begin in
/// March, so that the leap day is the last of its year.
fn parts(UnixMillis(ms): UnixMillis) -> (String, String) {
    let (seconds, days) = (ms / 1_000 % 86_400, ms / 86_400_000 + 719_468);
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let clock = format!("{:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60);
    (format!("{year:04}-{month:02}-{day:02}"), clock)
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
