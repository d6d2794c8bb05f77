//! Telephone numbers: international ones by their sign, national ones by how they are grouped.

use crate::class::Class;
use crate::number::Number;
use crate::scan::{Scan, is_word};

/// E.164: a number has 15 digits at most, with its country code. No shorter ones than 8 are known to be in use.
const INTERNATIONAL_DIGITS: std::ops::RangeInclusive<usize> = 8..=15;

/// Digits of a national number, with the 0 in front.
const NATIONAL_DIGITS: std::ops::RangeInclusive<usize> = 9..=12;

/// Bytes of a number with its separators: twice its digits, and what is around an extension.
const MAX_LEN: usize = 2 * 15 + 10;

/// Digits of an extension (`x1234`).
const MAX_EXTENSION_DIGITS: usize = 6;

impl Scan<'_> {
    /// A number that begins with the `+` or `(` that is here.
    pub fn phone_with_sign(&mut self, sign: u8) -> bool {
        let rest = &self.bytes[self.at..];
        let rest = &rest[..rest.len().min(MAX_LEN)];
        self.work += rest.len();
        let length = if sign == b'+' { international(rest) } else { parenthesized(rest) };
        let Some(length) = length else { return false };
        let end = self.at + length;
        let extended = with_extension(self.bytes, end);
        let goes_on = self.byte(end).is_some_and(is_word) && extended == end;
        if goes_on || self.byte(end) == Some(b'@') {
            return false;
        }
        self.hit(Class::Phone, self.at, extended);
        true
    }
}

/// The length of `+44 20 7946 0958`, `+1 (555) 123-4567`.
fn international(text: &[u8]) -> Option<usize> {
    if !matches!(text.get(1), Some(b'1'..=b'9')) {
        return None;
    }
    let (mut digits, mut at, mut end) = (0, 1, 0);
    while let Some(byte) = text.get(at) {
        let next_is_digit = |further: usize| text.get(at + further).is_some_and(u8::is_ascii_digit);
        match byte {
            b'0'..=b'9' => {
                digits += 1;
                end = at + 1;
            }
            b' ' | b'-' | b'.' | b'/' if digits > 0 && (next_is_digit(1) || text.get(at + 1) == Some(&b'(')) => {}
            b'(' if digits > 0 && next_is_digit(1) => {}
            b')' if digits > 0 && (next_is_digit(1) || next_is_digit(2)) => {}
            _ => break,
        }
        at += 1;
    }
    INTERNATIONAL_DIGITS.contains(&digits).then_some(end)
}

/// The length of `(555) 123-4567`, `(020) 7946 0958`.
fn parenthesized(text: &[u8]) -> Option<usize> {
    let area = text[1..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    if !(2..=5).contains(&area) || text.get(1 + area) != Some(&b')') {
        return None;
    }
    let begin = 2 + area + usize::from(matches!(text.get(2 + area), Some(b' ' | b'-')));
    let (mut digits, mut at, mut end) = (area, begin, 0);
    while let Some(byte) = text.get(at) {
        match byte {
            b'0'..=b'9' => {
                digits += 1;
                end = at + 1;
            }
            b' ' | b'-' | b'.' if at > begin && text.get(at + 1).is_some_and(u8::is_ascii_digit) => {}
            _ => break,
        }
        at += 1;
    }
    let is_american = area == 3 && digits == 10 && matches!(text[1], b'2'..=b'9');
    let is_national = text[1] == b'0' && NATIONAL_DIGITS.contains(&digits);
    (is_american || is_national).then_some(end)
}

/// The North American plan (`555-123-4567`, with or without 1 in front), a 0 in front as most other plans have it
/// (`020 7946 0958`, `06 12 34 56 78`), and 00 before a country's code.
pub(crate) fn is_national(number: &Number, bytes: &[u8]) -> bool {
    let groups = number.groups();
    let first = &bytes[groups[0].0..groups[0].1];
    let begins_a_part = |group: &(usize, usize)| matches!(bytes[group.0], b'2'..=b'9');
    let is_american = match groups {
        [area, ..] if number.is(&[3, 3, 4]) => begins_a_part(area),
        [_, area, ..] if number.is(&[1, 3, 3, 4]) || number.is(&[3, 3, 3, 4]) => {
            matches!(first, b"1" | b"001") && begins_a_part(area)
        }
        _ => false,
    };
    if is_american {
        return number.separator != b'/';
    }
    let digits: usize = number.lengths().sum();
    let even = number.lengths().all(|length| (2..=8).contains(&length));
    match first {
        [b'0', b'0', ..] => even && groups.len() > 2 && (10..=17).contains(&digits) && number.separator != b'.',
        // Groups of three with dots are an address or a number with thousands.
        [b'0', ..] => even && NATIONAL_DIGITS.contains(&digits) && (number.separator != b'.' || groups.len() == 5),
        _ => false,
    }
}

/// The end of the number with its extension, if one follows: `x1234`, ` ext. 12`.
pub(crate) fn with_extension(bytes: &[u8], end: usize) -> usize {
    let rest = &bytes[end..];
    let mark = [&b"x"[..], b" x", b" ext. ", b" ext "].into_iter().find(|mark| rest.starts_with(mark));
    let Some(mark) = mark else { return end };
    let digits =
        rest[mark.len()..].iter().take(MAX_EXTENSION_DIGITS + 1).take_while(|byte| byte.is_ascii_digit()).count();
    let after = rest.get(mark.len() + digits);
    if (1..=MAX_EXTENSION_DIGITS).contains(&digits) && !after.is_some_and(|byte| is_word(*byte)) {
        end + mark.len() + digits
    } else {
        end
    }
}
