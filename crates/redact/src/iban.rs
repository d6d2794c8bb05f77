//! International bank account numbers (ISO 13616): each country's structure as SWIFT's registry has it, and the check digits
//! (ISO 7064, modulo 97).

/// The longest is Malta's and Saint Lucia's with 31 and 32; ISO allows 34. Separators stand behind every fourth.
const MAX_LEN: usize = 34;

/// What a part of an account number is made of.
#[derive(Clone, Copy)]
enum Kind {
    Digits,
    Capitals,
    Either,
}

const N: Kind = Kind::Digits;
const A: Kind = Kind::Capitals;
const C: Kind = Kind::Either;

/// Country, and the parts behind its check digits, each with its length. The letters are the registry's.
type Structure = (&'static [u8; 2], &'static [(Kind, usize)]);

#[rustfmt::skip]
const STRUCTURES: &[Structure] = &[
    (b"AD", &[(N, 8), (C, 12)]), (b"AE", &[(N, 19)]), (b"AL", &[(N, 8), (C, 16)]), (b"AT", &[(N, 16)]), (b"AZ", &[(A, 4), (C, 20)]), (b"BA", &[(N, 16)]),
    (b"BE", &[(N, 12)]), (b"BG", &[(A, 4), (N, 6), (C, 8)]), (b"BH", &[(A, 4), (C, 14)]), (b"BI", &[(N, 23)]), (b"BR", &[(N, 23), (A, 1), (C, 1)]), (b"BY", &[(C, 4), (N, 4), (C, 16)]),
    (b"CH", &[(N, 5), (C, 12)]), (b"CR", &[(N, 18)]), (b"CY", &[(N, 8), (C, 16)]), (b"CZ", &[(N, 20)]), (b"DE", &[(N, 18)]), (b"DJ", &[(N, 23)]),
    (b"DK", &[(N, 14)]), (b"DO", &[(C, 4), (N, 20)]), (b"EE", &[(N, 16)]), (b"EG", &[(N, 25)]), (b"ES", &[(N, 20)]), (b"FI", &[(N, 14)]),
    (b"FK", &[(A, 2), (N, 12)]), (b"FO", &[(N, 14)]), (b"FR", &[(N, 10), (C, 11), (N, 2)]), (b"GB", &[(A, 4), (N, 14)]), (b"GE", &[(A, 2), (N, 16)]), (b"GI", &[(A, 4), (C, 15)]),
    (b"GL", &[(N, 14)]), (b"GR", &[(N, 7), (C, 16)]), (b"GT", &[(C, 24)]), (b"HR", &[(N, 17)]), (b"HU", &[(N, 24)]), (b"IE", &[(A, 4), (N, 14)]),
    (b"IL", &[(N, 19)]), (b"IQ", &[(A, 4), (N, 15)]), (b"IS", &[(N, 22)]), (b"IT", &[(A, 1), (N, 10), (C, 12)]), (b"JO", &[(A, 4), (N, 4), (C, 18)]), (b"KW", &[(A, 4), (C, 22)]),
    (b"KZ", &[(N, 3), (C, 13)]), (b"LB", &[(N, 4), (C, 20)]), (b"LC", &[(A, 4), (C, 24)]), (b"LI", &[(N, 5), (C, 12)]), (b"LT", &[(N, 16)]), (b"LU", &[(N, 3), (C, 13)]),
    (b"LV", &[(A, 4), (C, 13)]), (b"LY", &[(N, 21)]), (b"MC", &[(N, 10), (C, 11), (N, 2)]), (b"MD", &[(C, 20)]), (b"ME", &[(N, 18)]), (b"MK", &[(N, 3), (C, 10), (N, 2)]),
    (b"MN", &[(N, 16)]), (b"MR", &[(N, 23)]), (b"MT", &[(A, 4), (N, 5), (C, 18)]), (b"MU", &[(A, 4), (N, 19), (A, 3)]), (b"NI", &[(A, 4), (N, 20)]), (b"NL", &[(A, 4), (N, 10)]),
    (b"NO", &[(N, 11)]), (b"OM", &[(N, 3), (C, 16)]), (b"PK", &[(A, 4), (C, 16)]), (b"PL", &[(N, 24)]), (b"PS", &[(A, 4), (C, 21)]), (b"PT", &[(N, 21)]),
    (b"QA", &[(A, 4), (C, 21)]), (b"RO", &[(A, 4), (C, 16)]), (b"RS", &[(N, 18)]), (b"RU", &[(N, 14), (C, 15)]), (b"SA", &[(N, 2), (C, 18)]), (b"SC", &[(A, 4), (N, 20), (A, 3)]),
    (b"SD", &[(N, 14)]), (b"SE", &[(N, 20)]), (b"SI", &[(N, 15)]), (b"SK", &[(N, 20)]), (b"SM", &[(A, 1), (N, 10), (C, 12)]), (b"SO", &[(N, 19)]),
    (b"ST", &[(N, 21)]), (b"SV", &[(A, 4), (N, 20)]), (b"TL", &[(N, 19)]), (b"TN", &[(N, 20)]), (b"TR", &[(N, 6), (C, 16)]), (b"UA", &[(N, 6), (C, 19)]),
    (b"VA", &[(N, 18)]), (b"VG", &[(A, 4), (N, 16)]), (b"XK", &[(N, 16)]), (b"YE", &[(A, 4), (N, 4), (C, 18)]),
];

/// The length of the account number that begins here, together or in groups of four.
pub(crate) fn iban(text: &[u8]) -> Option<usize> {
    let [b'A'..=b'Z', b'A'..=b'Z', b'0'..=b'9', b'0'..=b'9', ..] = text else { return None };
    let (_, structure) = STRUCTURES.iter().find(|(country, _)| text.starts_with(*country))?;
    let mut letters = [0; MAX_LEN];
    letters[..4].copy_from_slice(&text[..4]);
    let (mut count, mut at) = (4, 4);
    let separator = text.get(4).copied().filter(|byte| matches!(byte, b' ' | b'-'));
    for (kind, length) in *structure {
        for _ in 0..*length {
            if separator.is_some() && count % 4 == 0 {
                if text.get(at).copied() != separator {
                    return None;
                }
                at += 1;
            }
            let byte = *text.get(at)?;
            let fits = match kind {
                Kind::Digits => byte.is_ascii_digit(),
                Kind::Capitals => byte.is_ascii_uppercase(),
                Kind::Either => byte.is_ascii_digit() || byte.is_ascii_uppercase(),
            };
            *letters.get_mut(count).filter(|_| fits)? = byte;
            (count, at) = (count + 1, at + 1);
        }
    }
    let goes_on = text.get(at).is_some_and(|byte| crate::scan::is_word(*byte));
    (!goes_on && checks(&letters[..count])).then_some(at)
}

/// The first four moved to the end, letters as 10 to 35, give 1 modulo 97.
fn checks(letters: &[u8]) -> bool {
    let moved = letters[4..].iter().chain(&letters[..4]);
    let rest = moved.fold(0, |rest, letter| match letter {
        b'0'..=b'9' => (rest * 10 + u32::from(letter - b'0')) % 97,
        _ => (rest * 100 + u32::from(letter - b'A') + 10) % 97,
    });
    rest == 1
}
