//! Split, then decode, equals decode, then split: on messages of every manner (`fuzz_targets::hostile` says which), and
//! what happens to those that prost refuses, one by one.

use crate::dice::Dice;
use fuzz_targets::hostile::{self, Manner};
use fuzz_targets::split::{self, Understood};
use otlp::Signal;
use proptest::collection::vec;
use proptest::prelude::*;

/// Bytes of choices; they write some times as many.
const MAX_CHOICES: usize = 1_500;

fn signal() -> impl Strategy<Value = Signal> {
    prop::sample::select(&Signal::ALL[..])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn what_every_decoder_takes_is_split_as_it_is_decoded(
        signal in signal(), choices in vec(any::<u8>(), 0..MAX_CHOICES)
    ) {
        hostile::check(signal, Manner::Valid, &choices);
    }

    #[test]
    fn what_decoders_refuse_inside_is_passed_on(signal in signal(), choices in vec(any::<u8>(), 0..MAX_CHOICES)) {
        hostile::check(signal, Manner::Odd, &choices);
    }

    #[test]
    fn what_is_broken_is_refused_or_split_by_its_framing(
        signal in signal(), choices in vec(any::<u8>(), 0..MAX_CHOICES)
    ) {
        hostile::check(signal, Manner::Broken, &choices);
    }
}

/// The properties above say little of messages that are nearly all refused, or nearly all go one way.
#[test]
fn the_messages_are_of_all_kinds() {
    for (manner, taken, decoded, split) in
        [(Manner::Valid, 500, 500, 200), (Manner::Odd, 500, 50, 200), (Manner::Broken, 150, 50, 80)]
    {
        let mut dice = Dice(1);
        let mut seen = [0; 3];
        for _ in 0..500 {
            let choices: Vec<u8> = (0..dice.below(MAX_CHOICES)).map(|_| dice.next() as u8).collect();
            let understood = hostile::check(Signal::Traces, manner, &choices);
            seen[0] += usize::from(understood.taken);
            seen[1] += usize::from(understood.decoded);
            seen[2] += usize::from(understood.parts >= 2);
        }
        assert!(seen[0] >= taken && seen[1] >= decoded && seen[2] >= split, "{manner:?}: {seen:?}");
    }
}

/// A field of at most 127 bytes.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let length = u8::try_from(content.len()).expect("a test's field is short");
    assert!(number < 16 && length < 0x80, "key and length are a byte each");
    [&[number << 3 | 2, length], content].concat()
}

/// Two traces that go to different parts, the second where invalid ids go.
const FIRST: [u8; 16] = [1; 16];
const SECOND: [u8; 16] = [0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1];

/// A request of two spans: one of the first trace with these fields, and a plain one of the second.
fn two_spans(inside: &[u8]) -> Vec<u8> {
    let span = |trace: &[u8], more: &[u8]| field(2, &[&field(1, trace), more].concat());
    field(1, &field(2, &[span(&FIRST, inside), span(&SECOND, b"")].concat()))
}

const SPLIT: Understood = Understood { taken: true, decoded: true, parts: 2 };
/// prost refuses all of it; the gateway passes it on, each span to its environment, and refuses nothing for it.
const PASSED_ON: Understood = Understood { decoded: false, ..SPLIT };
const REFUSED: Understood = Understood { taken: false, decoded: false, parts: 0 };

#[track_caller]
fn check(message: &[u8], expected: Understood) {
    assert_eq!(split::check(Signal::Traces, message), expected);
}

#[track_caller]
fn check_inside_a_span(inside: &[u8], expected: Understood) {
    check(&two_spans(inside), expected);
}

#[test]
fn what_prost_refuses_within_a_span_is_the_environments_to_judge() {
    check_inside_a_span(b"", SPLIT);
    // A name that is no UTF-8; a name, a time and attributes that are numbers; attributes whose length lies.
    check_inside_a_span(&field(5, b"\xff"), PASSED_ON);
    check_inside_a_span(b"\x28\x05", PASSED_ON);
    check_inside_a_span(b"\x38\x05", PASSED_ON);
    check_inside_a_span(b"\x48\x05", PASSED_ON);
    check_inside_a_span(&field(9, b"\x0a\x05a"), PASSED_ON);
    // A second trace id that is a number, or in a group, is none: the first counts.
    check_inside_a_span(b"\x08\x05", PASSED_ON);
    check_inside_a_span(b"\x0b\x0c", PASSED_ON);
}

#[test]
fn a_known_field_of_another_type_is_an_unknown_field() {
    for other in
        [&b"\x08\x01"[..], b"\x09\x01\x02\x03\x04\x05\x06\x07\x08", b"\x0b\x10\x02\x0c", b"\x0d\x01\x02\x03\x04"]
    {
        check(&[other, &two_spans(b"")].concat(), PASSED_ON);
    }
    // Spans and scopes that are numbers, beside real ones.
    check(&field(1, &[&b"\x10\x01"[..], &two_spans(b"")[2..]].concat()), PASSED_ON);
    check(&field(1, &field(2, &[&b"\x10\x01"[..], &two_spans(b"")[4..]].concat())), PASSED_ON);
}

#[test]
fn groups_nest_as_deep_as_messages_may_and_no_deeper() {
    let nested = |depth: usize| [b"\x1b".repeat(depth), b"\x1c".repeat(depth), two_spans(b"")].concat();
    check(&nested(100), SPLIT);
    check(&nested(101), REFUSED);
    check(&nested(100_000), REFUSED);
    check(&[b"\x1b", &two_spans(b"")[..]].concat(), REFUSED);
    check(&[b"\x1b\x24", &two_spans(b"")[..]].concat(), REFUSED);
    check(&[b"\x1c", &two_spans(b"")[..]].concat(), REFUSED);
}

#[test]
fn numbers_have_ten_bytes_at_most() {
    let kind = |value: &[u8]| [&b"\x30"[..], value].concat();
    check_inside_a_span(&kind(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), SPLIT);
    check_inside_a_span(&kind(b"\x83\x80\x80\x80\x80\x80\x80\x80\x80\x00"), SPLIT);
    check_inside_a_span(&kind(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"), REFUSED);
    check_inside_a_span(&kind(b"\x83\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00"), REFUSED);
    // An envelope's key and length in ten bytes each: the parts have them in one.
    let padded = |byte: u8| [&[byte | 0x80][..], &[0x80; 8], &[0]].concat();
    let plain = two_spans(b"");
    check(&[&padded(plain[0])[..], &padded(plain[1]), &plain[2..]].concat(), SPLIT);
}

#[test]
fn ids_of_no_length_or_another_length_are_no_ids_and_the_last_counts() {
    let together = Understood { parts: 1, ..SPLIT };
    for length in [0, 1, 15, 17, 32] {
        let invalid = field(1, &[1; 32][..length]);
        check_inside_a_span(&invalid, together);
        check_inside_a_span(&[invalid, field(1, &FIRST)].concat(), SPLIT);
    }
    check_inside_a_span(&field(1, &SECOND), together);
}

#[test]
fn what_ends_too_early_is_refused_whole() {
    let message = two_spans(&field(5, b"name"));
    check(&message, SPLIT);
    for length in 1..message.len() {
        check(&message[..length], REFUSED);
    }
    check(b"", Understood { parts: 0, ..SPLIT });
    for outer in [&b"\x0a\x00"[..], b"\x0a\x02\x12\x00", b"\x0a\x02\x12\x00\x0a\x00\xa0\x06\x01"] {
        check(outer, Understood { parts: 0, ..SPLIT });
    }
}
