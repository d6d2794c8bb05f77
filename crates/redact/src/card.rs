//! Payment card numbers: who issues them, how long they are, and how they are written.
//!
//! One in ten numbers passes Luhn's check, and decimal identifiers have the lengths of cards. So a number without
//! separators and without a word that says so is a card only in a [`Form::Common`]: an issuer's own range with the length
//! that it issues. Times since the epoch begin with 1 and identifiers of 64 bits have 19 or 20 digits: of these forms, one of
//! 19 digits alone is common, UnionPay's debit cards, and those of 15 that begin with 1 are not.

use crate::number::{Digits, Number};

/// How sure it is that a number is a card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// As the issuer issues it.
    Common,
    /// As the issuer may issue it, or did once.
    Rare,
}

/// First and last prefix of a range with the same number of digits, the shortest and longest number, and how common these are.
/// The first that fits counts.
const RANGES: [(u32, u32, usize, usize, Form); 43] = [
    // Visa. Numbers of 13 digits are no longer issued; those of 19 nearly never were.
    (4, 4, 16, 16, Form::Common),
    (4, 4, 13, 13, Form::Rare),
    (4, 4, 18, 19, Form::Rare),
    // Mastercard; the second series since 2017.
    (51, 55, 16, 16, Form::Common),
    (2221, 2720, 16, 16, Form::Common),
    // American Express.
    (34, 34, 15, 15, Form::Common),
    (37, 37, 15, 15, Form::Common),
    // Discover.
    (6011, 6011, 16, 16, Form::Common),
    (644, 649, 16, 16, Form::Common),
    (65, 65, 16, 16, Form::Common),
    (6011, 6011, 17, 19, Form::Rare),
    (644, 649, 17, 19, Form::Rare),
    (65, 65, 17, 19, Form::Rare),
    // Diners Club.
    (300, 305, 14, 14, Form::Common),
    (309, 309, 14, 14, Form::Common),
    (36, 36, 14, 14, Form::Common),
    (38, 39, 14, 14, Form::Common),
    (300, 305, 15, 19, Form::Rare),
    (36, 36, 15, 19, Form::Rare),
    (38, 39, 15, 19, Form::Rare),
    // JCB: its own are 3528 to 3589, but what makes and checks cards takes all of 35.
    (35, 35, 16, 16, Form::Common),
    (2131, 2131, 15, 15, Form::Common),
    (1800, 1800, 15, 15, Form::Rare),
    (3528, 3589, 17, 19, Form::Rare),
    // UnionPay: credit cards have 16 digits, debit cards 19.
    (62, 62, 16, 16, Form::Common),
    (81, 81, 16, 16, Form::Common),
    (621, 623, 19, 19, Form::Common),
    (62, 62, 17, 19, Form::Rare),
    (81, 81, 17, 19, Form::Rare),
    // Maestro.
    (5018, 5018, 16, 16, Form::Common),
    (5020, 5020, 16, 16, Form::Common),
    (5038, 5038, 16, 16, Form::Common),
    (5893, 5893, 16, 16, Form::Common),
    (6304, 6304, 16, 16, Form::Common),
    (6759, 6759, 16, 16, Form::Common),
    (6761, 6763, 16, 16, Form::Common),
    (50, 50, 12, 19, Form::Rare),
    (56, 58, 12, 19, Form::Rare),
    (6, 6, 12, 19, Form::Rare),
    // Older lists have 0604.
    (0, 0, 12, 12, Form::Rare),
    // Mir, RuPay, Troy.
    (2200, 2204, 16, 16, Form::Common),
    (508, 508, 16, 16, Form::Common),
    (9792, 9792, 16, 16, Form::Common),
];

/// Whether the digits are a card's, by issuer, length and Luhn's check.
pub(crate) fn card(digits: &Digits) -> Option<Form> {
    let length = digits.values().len();
    if !(12..=19).contains(&length) {
        return None;
    }
    let fits = |(first, last, shortest, longest, _): &&(u32, u32, usize, usize, Form)| {
        let prefix = digits.leading(first.max(&1).ilog10() as usize + 1);
        (*first..=*last).contains(&prefix) && (*shortest..=*longest).contains(&length)
    };
    let (.., form) = RANGES.iter().find(fits)?;
    luhn(digits.values(), 0).then_some(*form)
}

/// How many of the groups are written as a card's are.
pub(crate) fn groups_of_a_card(number: &Number) -> Option<usize> {
    /// 16 digits in fours; American Express, Diners Club and JCB, also in fours; 19 digits in fours, and behind a
    /// prefix; 13 and 12.
    const SHAPES: [&[usize]; 10] = [
        &[4, 4, 4, 4, 3],
        &[4, 4, 4, 4],
        &[4, 6, 5],
        &[4, 6, 4],
        &[6, 13],
        &[4, 4, 4, 3],
        &[4, 4, 4, 2],
        &[4, 4, 4, 1],
        &[4, 4, 5],
        &[4, 4, 4],
    ];
    if !matches!(number.separator, b' ' | b'-') {
        return None;
    }
    let fits = |shape: &&&[usize]| number.lengths().take(shape.len()).eq(shape.iter().copied());
    SHAPES.iter().find(fits).map(|shape| shape.len())
}

/// ISO/IEC 7812-1, annex B. `constant` is what a prefix that is not written adds to the sum.
pub(crate) fn luhn(digits: &[u8], constant: u32) -> bool {
    let doubled = |digit: u32| if digit > 4 { 2 * digit - 9 } else { 2 * digit };
    let weighed = digits.iter().rev().enumerate().map(|(place, digit)| match place % 2 {
        0 => u32::from(*digit),
        _ => doubled(u32::from(*digit)),
    });
    (weighed.sum::<u32>() + constant).is_multiple_of(10)
}
