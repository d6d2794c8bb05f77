//! Percent-encoded texts (RFC 3986): URLs, query strings, W3C Baggage. Values are looked for in what they mean, and replaced
//! in what is written.

use std::borrow::Cow;

/// What a text means, and where each of its bytes is written.
pub(crate) struct Decoded<'t> {
    pub bytes: Cow<'t, [u8]>,
    /// For each byte where it is written, and the text's length; nothing if that is its own place.
    written: Vec<usize>,
}

impl<'t> Decoded<'t> {
    /// Decodes a text. Nothing is copied if nothing is encoded, which is nearly always.
    pub fn new(text: &'t str) -> Decoded<'t> {
        let text = text.as_bytes();
        if !text.contains(&b'%') {
            return Decoded { bytes: Cow::Borrowed(text), written: Vec::new() };
        }
        let mut bytes = Vec::with_capacity(text.len());
        let mut written = Vec::with_capacity(text.len() + 1);
        let mut at = 0;
        while let Some(byte) = text.get(at) {
            written.push(at);
            let decoded = escaped(text, at);
            bytes.push(decoded.unwrap_or(*byte));
            at += if decoded.is_some() { 3 } else { 1 };
        }
        written.push(text.len());
        Decoded { bytes: Cow::Owned(bytes), written }
    }

    /// Where the byte of this number is written.
    pub fn written(&self, at: usize) -> usize {
        self.written.get(at).copied().unwrap_or(at)
    }
}

/// The byte that `%` and two digits here stand for.
fn escaped(text: &[u8], at: usize) -> Option<u8> {
    let hex = |digit: &u8| char::from(*digit).to_digit(16);
    match text.get(at..at + 3)? {
        [b'%', high, low] => Some((hex(high)? * 16 + hex(low)?) as u8),
        _ => None,
    }
}
