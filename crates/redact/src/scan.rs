//! One pass over a text: what begins where decides which detector looks.
//!
//! A detector is asked where its value could begin, looks at a bounded part of the text or consumes what it walked over,
//! and never looks left of `floor`, the end of the last value: what was found does not depend on what replaced the value
//! before it.

use crate::class::Class;
use crate::context::Context;
use crate::redactor::tag_end;
use crate::{address, iban, pem, secret, token, url};
use std::ops::Range;

/// Bytes before a number that may hold the words that say what it is.
const WINDOW_LEN: usize = 48;

/// The longest name that is read left of a value.
const MAX_NAME_LEN: usize = 64;

/// A value that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hit {
    pub class: Class,
    pub start: usize,
    pub end: usize,
}

pub(crate) struct Scan<'t> {
    pub bytes: &'t [u8],
    /// The text without the white space around it.
    pub content: Range<usize>,
    /// What the text's own key says.
    pub key: Context,
    pub at: usize,
    /// The end of the last value or tag: nothing left of it is looked at again.
    pub floor: usize,
    /// The end of the last value without quotes that was walked over: another that begins before it ends there too.
    pub value_end: usize,
    /// The at-sign of a URL, which makes no e-mail address.
    pub no_email_at: Option<usize>,
    pub hits: Vec<Hit>,
    /// Bytes that detectors looked at: the tests hold it against the length of the text.
    pub work: usize,
}

/// What a byte may begin.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Begins {
    Nothing,
    Word,
    Plus,
    At,
    Colon,
    Dash,
    Tag,
    Escape,
}

const BEGINS: [Begins; 256] = {
    let mut table = [Begins::Nothing; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = match byte as u8 {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' => Begins::Word,
            b'+' | b'(' => Begins::Plus,
            b'@' => Begins::At,
            b':' => Begins::Colon,
            b'-' => Begins::Dash,
            b'[' => Begins::Tag,
            b'\\' => Begins::Escape,
            _ => Begins::Nothing,
        };
        byte += 1;
    }
    table
};

/// Letters, digits and `_`.
pub(crate) fn is_word(byte: u8) -> bool {
    BEGINS[usize::from(byte)] == Begins::Word
}

/// Everything in the bytes of a text that stands under a key of this context, from left to right.
pub(crate) fn scan(bytes: &[u8], key: Context) -> Scan<'_> {
    let start = bytes.len() - bytes.trim_ascii_start().len();
    let content = start..start + bytes.trim_ascii().len();
    let mut scan = Scan {
        bytes,
        content,
        key,
        at: 0,
        floor: 0,
        value_end: 0,
        no_email_at: None,
        hits: Vec::new(),
        work: bytes.len(),
    };
    if !scan.whole() {
        scan.run();
    }
    scan
}

impl<'t> Scan<'t> {
    fn run(&mut self) {
        while let Some(byte) = self.byte(self.at) {
            match BEGINS[usize::from(byte)] {
                Begins::Nothing => self.at += 1,
                Begins::Word => self.word(),
                Begins::Plus => self.plus(byte),
                Begins::At => self.email(),
                Begins::Colon => self.colon(),
                Begins::Dash => self.dash(),
                Begins::Tag => match tag_end(self.bytes, self.at) {
                    Some(end) => (self.at, self.floor) = (end, end),
                    None => self.at += 1,
                },
                Begins::Escape => self.at += if self.byte(self.at + 1) == Some(b'u') { 6 } else { 2 },
            }
        }
    }

    pub fn byte(&self, at: usize) -> Option<u8> {
        self.bytes.get(at).copied()
    }

    /// The byte before this place, unless it belongs to another value.
    pub fn before(&self, at: usize) -> Option<u8> {
        if at > self.floor { self.byte(at - 1) } else { None }
    }

    pub fn hit(&mut self, class: Class, start: usize, end: usize) {
        self.hits.push(Hit { class, start, end });
        (self.at, self.floor) = (end, end);
    }

    /// The whole text is a secret because its key says so.
    fn whole(&mut self) -> bool {
        let hit = secret::judge(self.key, &self.bytes[self.content.clone()]);
        if let Some(class) = hit {
            self.hits.push(Hit { class, start: 0, end: self.bytes.len() });
        }
        hit.is_some()
    }

    /// A word ends where neither a letter, a digit nor `_` follows.
    fn word(&mut self) {
        let (start, first) = (self.at, self.bytes[self.at]);
        let length = self.bytes[start..].iter().position(|byte| !is_word(*byte));
        let end = length.map_or(self.bytes.len(), |length| start + length);
        let next = self.byte(end);
        if next == Some(b':') && end - start <= 4 && self.ipv6(start) {
            return;
        }
        let found = match first {
            b'0'..=b'9' => self.number(start),
            _ => self.letters(start, end),
        };
        if found {
            return;
        }
        self.at = end;
        if let Some(b'=' | b':' | b'"' | b'\'' | b'\\' | b' ') = next {
            self.pair(end);
        }
    }

    /// What begins with a letter.
    fn letters(&mut self, start: usize, end: usize) -> bool {
        let rest = &self.bytes[start..];
        if let Some((class, length)) = token::known(rest, self.before(start)) {
            self.work += length;
            self.hit(class, start, start + length);
            return true;
        }
        if let Some(length) = iban::iban(rest) {
            self.hit(Class::Iban, start, start + length);
            return true;
        }
        if let Some((class, from, to)) = token::credentials(rest, end - start, self.key) {
            self.hit(class, start + from, start + to);
            return true;
        }
        false
    }

    fn plus(&mut self, byte: u8) {
        let joined = self.before(self.at).is_some_and(is_word);
        if joined || !self.phone_with_sign(byte) {
            self.at += 1;
        }
    }

    /// An address around the at-sign that is here.
    fn email(&mut self) {
        let sign = self.at;
        self.at += 1;
        self.work += address::MAX_LOCAL_LEN;
        if self.no_email_at == Some(sign) {
            self.floor = self.at;
            return;
        }
        if let Some((start, end)) = url::password_of_go_dsn(self.bytes, self.floor, sign) {
            self.hit(Class::UrlPassword, start, end);
        } else if let Some((start, end)) = address::email(self.bytes, self.floor, sign) {
            self.hit(Class::Email, start, end);
        }
    }

    fn colon(&mut self) {
        let start = self.at;
        if self.bytes[start..].starts_with(b"://") {
            self.at += 3;
            self.user_info();
        } else if self.byte(start + 1) != Some(b':')
            || self.before(start).is_some_and(|byte| is_word(byte) || byte == b':')
            || !self.ipv6(start)
        {
            self.at += 1;
        }
    }

    /// What stands before the host of a URL.
    fn user_info(&mut self) {
        let Some(sign) = url::end_of_user_info(self.bytes, self.at) else { return };
        match url::password(self.bytes, self.at, sign) {
            Some(start) => {
                self.hit(Class::UrlPassword, start, sign);
            }
            None => self.no_email_at = Some(sign),
        }
    }

    fn ipv6(&mut self, start: usize) -> bool {
        let joined = matches!(self.before(start), Some(b':' | b'.' | b'-'));
        self.work += address::MAX_IPV6_LEN;
        match address::ipv6(&self.bytes[start..]) {
            Some(length) if !joined => {
                self.hit(Class::Ipv6, start, start + length);
                true
            }
            Some(_) | None => false,
        }
    }

    fn dash(&mut self) {
        match pem::block(&self.bytes[self.at..]) {
            Some((class, length)) => self.hit(class, self.at, self.at + length),
            None => self.at += 1,
        }
    }

    /// `name=value`, `name: value`, `"name":"value"`: the word that ends here may be the end of a name.
    fn pair(&mut self, name_end: usize) {
        let Some(value) = secret::value_after(self.bytes, name_end) else { return };
        let context = Context::of(self.name_before(name_end));
        if !context.has(Context::PASSWORD.and(Context::SECRET).and(Context::AUTHORIZATION)) {
            return;
        }
        let (start, end) = secret::extent(self, value, context);
        if let Some(class) = secret::judge(context, &self.bytes[start..end]) {
            self.hit(class, start, end);
        }
    }

    /// The name that ends here: words joined by dots and dashes.
    fn name_before(&self, end: usize) -> &'t [u8] {
        let least = self.floor.max(end.saturating_sub(MAX_NAME_LEN)).min(end);
        let joined = |byte: &u8| is_word(*byte) || matches!(byte, b'.' | b'-');
        let length = self.bytes[least..end].iter().rev().take_while(|byte| joined(byte)).count();
        &self.bytes[end - length..end]
    }

    /// What stands before a number says of it.
    pub fn near(&mut self, start: usize) -> Near {
        self.work += WINDOW_LEN;
        let least = self.floor.max(start.saturating_sub(WINDOW_LEN)).min(start);
        let between = |byte: &u8| matches!(byte, b' ' | b':' | b'=' | b'"' | b'\'' | b'#' | b'\\');
        let skipped = self.bytes[least..start].iter().rev().take_while(|byte| between(byte)).count();
        let adjacent = Context::of(self.name_before(start - skipped));
        let ends = |byte: &u8| matches!(byte, b',' | b';' | b'&' | b'{' | b'}' | b'|' | b'?' | b')' | b']' | b'\n');
        let window = self.bytes[least..start].iter().rev();
        let length = window.take_while(|byte| !ends(byte) && !byte.is_ascii_digit()).count();
        let window = Context::of(&self.bytes[start - length..start]);
        Near { adjacent, said: self.key.and(adjacent).and(window) }
    }
}

/// What stands before a number says of it.
#[derive(Clone, Copy)]
pub(crate) struct Near {
    /// The name that it follows at once.
    pub adjacent: Context,
    /// That, the words before, and the text's key.
    pub said: Context,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every byte is looked at so often at most: an address of 45 bytes may begin at every second byte, two names of 48 before
    /// a number of seven.
    const MAX_LOOKS: usize = 40;

    /// Two pieces, over and over: what makes detectors begin, and not end.
    #[test]
    fn work_grows_with_the_text() {
        let pieces = [
            "1",
            "1 ",
            "4111111111111111",
            "12-",
            "a@",
            "a.",
            "::",
            "1:",
            "eyJ",
            "eyJ-",
            "ya29.",
            "Bearer ",
            "Bearer+",
            "basic ",
            "password=",
            "token=",
            "token:\"",
            "token='",
            "\\\"",
            "authorization: ",
            "-----BEGIN ",
            "-----BEGIN X PRIVATE KEY-----",
            "://",
            "@tcp(",
            "[",
            "[email",
            "DE89",
            "+1",
            "(",
            "-",
            " ",
            "%",
            "pwd=${",
            "pypi-AgEI-",
            "x",
            "=",
            "card 1234567 ",
        ];
        for first in pieces {
            for second in pieces {
                let text = format!("{first}{second}").repeat(2_000);
                let work = scan(text.as_bytes(), Context::CARD).work;
                let looks = work / text.len();
                assert!(looks <= MAX_LOOKS, "{first:?} and {second:?}: every byte {looks} times");
            }
        }
    }
}
