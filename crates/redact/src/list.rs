//! Lists of members: W3C Baggage (`user=a%40b.org;property=1,plan=gold`) and W3C `tracestate`. Each member's own name is the
//! context of its value, and a value that is percent-encoded is looked at decoded.

use std::borrow::Cow;

/// The list with the values that `edit` changes, given name and decoded value; nothing if it changes none.
pub(crate) fn edit(list: &str, mut edit: impl FnMut(&str, &str) -> Option<String>) -> Option<String> {
    let mut out = String::new();
    let (mut copied, mut at) = (0, 0);
    for part in list.split_inclusive([',', ';']) {
        let member = part.trim_end_matches([',', ';']);
        if let Some((name, value)) = member.split_once('=') {
            let trimmed = value.trim();
            let decoded = decode(trimmed);
            if let Some(edited) = edit(name.trim(), &decoded) {
                let start = at + name.len() + 1 + (value.len() - value.trim_start().len());
                out.push_str(&list[copied..start]);
                match decoded {
                    Cow::Borrowed(_) => out.push_str(&edited),
                    Cow::Owned(_) => encode(&edited, &mut out),
                }
                copied = start + trimmed.len();
            }
        }
        at += part.len();
    }
    if copied == 0 {
        return None;
    }
    out.push_str(&list[copied..]);
    Some(out)
}

/// Percent-decoded; as it is where nothing is encoded, or what is encoded is no text.
fn decode(value: &str) -> Cow<'_, str> {
    if !value.contains('%') {
        return Cow::Borrowed(value);
    }
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let Some((first, others)) = rest.split_first() {
        let hex = |digit: &u8| char::from(*digit).to_digit(16);
        let escaped = match rest {
            [b'%', high, low, after @ ..] => hex(high).zip(hex(low)).map(|(high, low)| (high * 16 + low, after)),
            _ => None,
        };
        match escaped {
            Some((byte, after)) => {
                bytes.push(byte as u8);
                rest = after;
            }
            None => {
                bytes.push(*first);
                rest = others;
            }
        }
    }
    String::from_utf8(bytes).map_or(Cow::Borrowed(value), Cow::Owned)
}

/// What W3C Baggage lets stand in a value stays, all else is encoded.
fn encode(value: &str, out: &mut String) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for byte in value.bytes() {
        match byte {
            b'"' | b',' | b';' | b'\\' | b'%' | 0..=b' ' | 0x7f.. => {
                out.push('%');
                out.push(char::from(HEX[usize::from(byte >> 4)]));
                out.push(char::from(HEX[usize::from(byte & 15)]));
            }
            _ => out.push(char::from(byte)),
        }
    }
}
