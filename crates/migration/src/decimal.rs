//! Decimal numbers as PostgreSQL writes them, compared without rounding.

use std::cmp::Ordering;

/// Digits of a number that is compared: 10^28 ten-thousandfold fits 128 bits, and so does the difference of two.
const MAX_DIGITS: usize = 28;

/// `units` × 10^-`scale`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Decimal {
    units: i128,
    scale: usize,
}

impl Decimal {
    /// `-12.50`; no exponent, at most [`MAX_DIGITS`] digits.
    pub(crate) fn parse(text: &str) -> Option<Decimal> {
        let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        // Zeros at the end mean nothing, and would use up the digits.
        let fraction = fraction.trim_end_matches('0');
        let all = format!("{whole}{fraction}");
        if whole.is_empty()
            || all.len() > MAX_DIGITS
            || !digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
        {
            return None;
        }
        let units: i128 = all.parse().ok()?;
        Some(Decimal { units: if negative { -units } else { units }, scale: fraction.len() })
    }

    /// Both as whole numbers of the same unit, if these fit.
    fn aligned(self, other: Decimal) -> Option<(i128, i128)> {
        let scale = self.scale.max(other.scale);
        let to = |number: Decimal| number.units.checked_mul(10_i128.checked_pow((scale - number.scale) as u32)?);
        Some((to(self)?, to(other)?))
    }

    /// `None` where the two are too far apart in scale.
    pub(crate) fn compare(self, other: Decimal) -> Option<Ordering> {
        self.aligned(other).map(|(left, right)| left.cmp(&right))
    }

    /// Whether `self` is within so many hundredths of a percent of `of`.
    pub(crate) fn is_within(self, of: Decimal, basis_points: u32) -> Option<bool> {
        let (value, of) = self.aligned(of)?;
        let difference = value.checked_sub(of)?.checked_abs()?.checked_mul(10_000)?;
        Some(difference <= of.checked_abs()?.checked_mul(basis_points.into())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(left: &str, right: &str, expected: Option<Ordering>) {
        let compared = Decimal::parse(left).zip(Decimal::parse(right)).and_then(|(left, right)| left.compare(right));
        assert_eq!(compared, expected, "{left} and {right}");
    }

    #[test]
    fn numbers_are_compared_by_what_they_mean() {
        check("1.0", "1.00", Some(Ordering::Equal));
        check("-0", "0", Some(Ordering::Equal));
        check("-0.5", "0.25", Some(Ordering::Less));
        check("9007199254740993", "9007199254740992", Some(Ordering::Greater));
        check("1234567890123456789012345678", "1234567890123456789012345679", Some(Ordering::Less));
        for no_number in ["", "-", ".5", "1e5", "NaN", "1.2.3", "12345678901234567890123456789", "+1", "--1"] {
            check(no_number, "1", None);
        }
    }

    #[test]
    fn a_share_is_of_the_second_number() {
        let within = |value, of, points| Decimal::parse(value).unwrap().is_within(Decimal::parse(of).unwrap(), points);
        assert_eq!(within("101", "100", 100), Some(true));
        assert_eq!(within("101.0001", "100", 100), Some(false));
        assert_eq!(within("-99", "-100", 100), Some(true));
        assert_eq!(within("1", "0", 10_000), Some(false));
        assert_eq!(within("0", "0", 0), Some(true));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[-+0-9.eE]{0,40}", other in "-?[0-9]{1,20}(\\.[0-9]{0,9})?") {
            let (text, other) = (Decimal::parse(&text), Decimal::parse(&other));
            if let Some((text, other)) = text.zip(other) {
                let _ = text.compare(other);
                let _ = text.is_within(other, u32::MAX);
            }
        }
    }
}
