//! Numbers that states and their health services give to people: the rules that a valid one follows.

use crate::card::luhn;
use crate::number::{Digits, Number};

/// What the prefix 80840 of card issuer numbers adds to Luhn's sum of an NPI (CMS, *Requirements for NPI check digit*).
const NPI_PREFIX_SUM: u32 = 24;

/// Area 001 to 899 without 666, group and serial not zero (SSA, since 2011).
pub(crate) fn is_ssn(digits: &Digits) -> bool {
    let area = digits.leading(3);
    let (group, serial) = (digits.leading(5) % 100, digits.leading(9) % 10_000);
    digits.values().len() == 9 && (1..900).contains(&area) && area != 666 && group > 0 && serial > 0
}

/// `123-45-6789`, `123 45 6789`.
pub(crate) fn is_grouped_ssn(number: &Number, digits: &Digits) -> bool {
    matches!(number.separator, b'-' | b' ') && number.is(&[3, 2, 4]) && is_ssn(digits)
}

/// Ten digits whose last is the weighted sum of the others modulo 11 (NHS Data Dictionary). All zero is none.
pub(crate) fn is_nhs(digits: &Digits) -> bool {
    let [first @ .., check] = digits.values() else { return false };
    if first.len() != 9 || first.iter().all(|digit| *digit == 0) {
        return false;
    }
    let sum: u32 = first.iter().zip((2..=10).rev()).map(|(digit, weight)| u32::from(*digit) * weight).sum();
    // A remainder of 10 is no check digit: such numbers are not given.
    (11 - sum % 11) % 11 == u32::from(*check)
}

/// `943 476 5919`, `943-476-5919`.
pub(crate) fn is_grouped_nhs(number: &Number, digits: &Digits) -> bool {
    matches!(number.separator, b'-' | b' ') && number.is(&[3, 3, 4]) && is_nhs(digits)
}

/// Ten digits that begin with 1 or 2, with Luhn's check behind the prefix 80840.
pub(crate) fn is_npi(digits: &Digits) -> bool {
    digits.values().len() == 10 && matches!(digits.leading(1), 1 | 2) && luhn(digits.values(), NPI_PREFIX_SUM)
}
