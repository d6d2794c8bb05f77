use super::*;
use proptest::prelude::*;

/// Fields as `number:type(place)`, one after the other, or the error with its offset.
fn check(bytes: &[u8], expected: &str) {
    let mut fields = Fields::of(bytes);
    let mut found = Vec::new();
    let end = loop {
        match fields.read() {
            Ok(Some(field)) => {
                let value = match field.value {
                    Value::Varint(value) => format!("varint {value}"),
                    Value::Fixed64(value) => format!("fixed64 {value}"),
                    Value::Fixed32(value) => format!("fixed32 {value}"),
                    Value::Bytes(bytes) => format!("bytes {bytes:?}"),
                    Value::Skipped => "skipped".to_owned(),
                };
                found.push(format!("{}: {value} at {}..{}", field.number, field.start, field.end));
            }
            Ok(None) => break None,
            Err(Malformed { offset, what }) => break Some(format!("{offset}: {what}")),
        }
    };
    found.extend(end);
    assert_eq!(found.join("; "), expected, "{bytes:?}");
}

#[test]
fn every_wire_type_is_read() {
    check(&[], "");
    check(&[0x08, 0x96, 0x01], "1: varint 150 at 0..3");
    check(&[0x09, 1, 0, 0, 0, 0, 0, 0, 0, 0x10, 0], "1: fixed64 1 at 0..9; 2: varint 0 at 9..11");
    check(&[0x12, 2, 7, 8], "2: bytes [7, 8] at 0..4");
    check(&[0x1d, 1, 2, 3, 4], "3: fixed32 67305985 at 0..5");
    check(&[0x0b, 0x13, 0x08, 1, 0x14, 0x0c, 0x08, 2], "1: skipped at 0..6; 1: varint 2 at 6..8");
    check(&[0xf8, 0xff, 0xff, 0xff, 0x0f, 1], "536870911: varint 1 at 0..6");
    check(&[0x88, 0x80, 0x00, 1], "1: varint 1 at 0..4");
}

#[test]
fn varints_hold_64_bits_and_no_more() {
    let ten = |last: u8| [&[0x08][..], &[0xff; 9], &[last]].concat();
    check(&ten(0x01), "1: varint 18446744073709551615 at 0..11");
    check(&ten(0x02), "1: a varint above 64 bits");
    check(&ten(0x81), "1: a varint above 64 bits");
    check(&[0x08, 0x80], "1: a varint that the end cuts off");
    check(&[0x80; 3], "0: a varint that the end cuts off");
}

#[test]
fn broken_framing_is_refused_with_its_place() {
    check(&[0x08, 1, 0x00, 1], "1: varint 1 at 0..2; 2: field number 0");
    check(&[0x02, 0], "0: field number 0");
    check(&[0x80, 0x80, 0x80, 0x80, 0x10, 0], "0: a field number above 2^29 - 1");
    check(&[0x0a, 3, 1, 2], "2: a length beyond the end");
    check(&[0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1], "11: a length beyond the end");
    check(&[0x09, 1, 2, 3], "1: a length beyond the end");
    check(&[0x0d, 1, 2, 3], "1: a length beyond the end");
    check(&[0x0e], "1: a wire type that does not exist (6 or 7)");
    check(&[0x0c], "1: the end of a group that did not begin");
    check(&[0x0b, 0x14], "1: the end of another group than the one that began");
    check(&[0x0b, 0x08, 1], "3: a varint that the end cuts off");
}

#[test]
fn groups_nest_as_deep_as_the_bound() {
    let nested = |depth: usize| [vec![0x0b; depth], vec![0x0c; depth]].concat();
    check(&nested(MAX_GROUP_DEPTH), "1: skipped at 0..200");
    check(&nested(MAX_GROUP_DEPTH + 1), "100: groups nested too deep");
}

#[test]
fn offsets_inside_a_submessage_are_the_requests() {
    let mut request = Fields::of(&[0x08, 1, 0x12, 3, 0x08, 5, 0x02]);
    request.read().unwrap();
    let mut inside = request.read().unwrap().unwrap().fields().unwrap();
    let field = inside.read().unwrap().unwrap();
    assert_eq!((field.start, field.end), (4, 6));
    assert_eq!(inside.read().unwrap_err(), Malformed { offset: 6, what: "field number 0" });
}

proptest! {
    #[test]
    fn what_is_put_is_read(number in 1..1u32 << 29, value: u64, bytes: Vec<u8>) {
        let mut out = Vec::new();
        put_varint_field(&mut out, number, value);
        put_bytes_field(&mut out, number, &bytes);
        let mut fields = Fields::of(&out);
        let first = fields.read()?.expect("two fields");
        prop_assert!(matches!(first.value, Value::Varint(found) if found == value));
        prop_assert_eq!(first.end, varint_len(u64::from(number) << 3) + varint_len(value));
        let second = fields.read()?.expect("two fields");
        prop_assert!(matches!(second.value, Value::Bytes(found) if found == bytes));
        prop_assert_eq!((first.number, second.number), (number, number));
        prop_assert!(fields.read()?.is_none());
    }
}

proptest! {
    #[test]
    fn the_quick_walk_reads_what_the_cursor_reads(message in crate::sample::hostile_message(), number in 1u32..=15) {
        let mut cursor = Fields::of(&message);
        let mut expected = Ok(None);
        loop {
            match cursor.read() {
                Ok(Some(Field { number: read, value: Value::Bytes(bytes), .. })) if read == number => expected = Ok(Some(bytes)),
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(malformed) => {
                    expected = Err(malformed);
                    break;
                }
            }
        }
        prop_assert_eq!(last_bytes(Fields::of(&message), number), expected);
    }
}
