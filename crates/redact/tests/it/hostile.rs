//! Any text: no panic, twice is once, and time that grows with the text alone.

use crate::{edit, redactor};
use proptest::prelude::*;

/// Pieces of what detectors look for, so that random texts nearly hold values.
const PIECES: [&str; 58] = [
    "4111111111111111",
    "4111",
    "1111 ",
    "4111-1111-1111-1111",
    "123-45-6789",
    "943 476 5919",
    "card ",
    "ssn ",
    "dob=",
    "1980-03-12",
    "a@b.org",
    "@",
    "a.b",
    ":",
    "://",
    "user:pw@",
    "tcp(",
    "10.0.0.1",
    "2001:db8::1",
    "::",
    ".",
    "-",
    " ",
    "+",
    "(555) 123-4567",
    "+4915112345678",
    "eyJhbGciOiJIUzI1NiJ9.e30.c2ln",
    "eyJ",
    "Bearer ",
    "Basic dXNlcjpwYXNz",
    "-----BEGIN RSA PRIVATE KEY-----",
    "-----END RSA PRIVATE KEY-----",
    "password",
    "token",
    "=",
    "\"",
    "\\",
    "'",
    "[",
    "]",
    "[payment-card]",
    "[email:abcdefghijklmnop]",
    "authorization",
    "Zx81kqPw92LmVb7T",
    "AKIAIOSFODNN7EXAMPLE",
    "%40",
    "%",
    "%20",
    "DE89370400440532013000",
    "é",
    ",",
    ";",
    "\n",
    "x12",
    "phone ",
    "7",
    "nhs:",
    "redacted",
];

fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        8 => prop::sample::select(&PIECES[..]).prop_map(str::to_owned),
        1 => ".{0,6}",
        1 => "[0-9 .-]{0,20}",
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

fn key() -> impl Strategy<Value = Option<&'static str>> {
    prop::sample::select(
        &[
            None,
            Some("a"),
            Some("order.id"),
            Some("password"),
            Some("token"),
            Some("authorization"),
            Some("baggage"),
            Some("card"),
        ][..],
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_096))]

    #[test]
    fn twice_is_once(key in key(), text in text()) {
        let redactor = redactor();
        if let Some(once) = edit(&redactor, key, &text) {
            prop_assert_ne!(&once, &text);
            prop_assert_eq!(edit(&redactor, key, &once), None, "{:?} of {:?}", once, text);
        }
    }

    #[test]
    fn any_text_is_read(key in key(), text in any::<String>()) {
        edit(&redactor(), key, &text);
    }
}
