//! Dates. Which of them is one of birth is for the words beside it to say.

use crate::number::{Digits, Number};

/// Years in which somebody was born whom a trace may be about.
const YEARS: std::ops::RangeInclusive<u32> = 1880..=2079;

/// Whether the number begins as a date does: cheap, before anything else is asked.
pub(crate) fn is_dated(number: &Number) -> bool {
    let mut lengths = number.lengths();
    let lengths = [lengths.next(), lengths.next(), lengths.next()];
    matches!(lengths, [Some(4), Some(1 | 2), Some(1 | 2)] | [Some(1 | 2), Some(1 | 2), Some(4)])
}

/// A date of three groups: the year first, or last with day and month in either order.
pub(crate) fn is_date(date: &Number, bytes: &[u8]) -> bool {
    let value = |(start, end): (usize, usize)| {
        bytes[start..end].iter().fold(0, |value, digit| value * 10 + u32::from(digit - b'0'))
    };
    match *date.groups() {
        [year, month, day] if year.1 - year.0 == 4 => exists(value(year), value(month), value(day)),
        [first, second, year] => {
            let (first, second, year) = (value(first), value(second), value(year));
            exists(year, first, second) || exists(year, second, first)
        }
        _ => false,
    }
}

/// `19800312`.
pub(crate) fn is_compact(digits: &Digits) -> bool {
    let whole = digits.leading(8);
    exists(whole / 10_000, whole / 100 % 100, whole % 100)
}

fn exists(year: u32, month: u32, day: u32) -> bool {
    YEARS.contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day)
}
