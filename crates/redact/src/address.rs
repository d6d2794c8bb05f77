//! E-mail and network addresses.

use crate::number::Number;
use crate::scan::is_word;
use std::net::Ipv6Addr;

/// RFC 5321: bytes of the part before the at-sign, and of a domain.
pub(crate) const MAX_LOCAL_LEN: usize = 64;
const MAX_DOMAIN_LEN: usize = 253;

/// The longest text of an IPv6 address, with an IPv4 address at its end.
pub(crate) const MAX_IPV6_LEN: usize = 45;

/// Start and end of the address whose at-sign is at `sign`. A top-level domain has letters alone, two at
/// least, or is an encoded one.
pub(crate) fn email(bytes: &[u8], floor: usize, sign: usize) -> Option<(usize, usize)> {
    let least = floor.max(sign.saturating_sub(MAX_LOCAL_LEN)).min(sign);
    let in_local = |byte: &u8| is_word(*byte) || matches!(byte, b'.' | b'-' | b'+' | b'%' | b'\'');
    let local = bytes[least..sign].iter().rev().take_while(|byte| in_local(byte)).count();
    let trimmed = bytes[sign - local..sign].iter().take_while(|byte| !is_word(**byte)).count();
    let start = sign - local + trimmed;
    // `git@` is how repositories are addressed: nobody's mailbox.
    if start == sign || bytes[start..sign] == *b"git" {
        return None;
    }
    let begin = sign + 1;
    let rest = &bytes[begin..bytes.len().min(begin + MAX_DOMAIN_LEN)];
    let in_domain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
    let length = rest.iter().take_while(|byte| in_domain(byte)).count();
    let domain = &rest[..length];
    let kept = domain.iter().rev().take_while(|byte| !byte.is_ascii_alphanumeric()).count();
    let domain = &domain[..domain.len() - kept];
    let mut labels = domain.rsplit(|byte| *byte == b'.');
    let top = labels.next()?;
    let is_top = (top.len() >= 2 && top.iter().all(u8::is_ascii_alphabetic)) || top.starts_with(b"xn--");
    let valid = labels.clone().next().is_some() && labels.all(|label| !label.is_empty() && label[0] != b'-');
    (is_top && valid).then_some((start, begin + domain.len()))
}

/// Four numbers up to 255 without zeros in front.
pub(crate) fn is_ipv4(number: &Number, bytes: &[u8]) -> bool {
    let octet = |(start, end): &(usize, usize)| {
        let digits = &bytes[*start..*end];
        let value = || digits.iter().fold(0, |value, digit| value * 10 + u32::from(digit - b'0'));
        digits.len() <= 3 && (digits.len() == 1 || digits[0] != b'0') && value() <= 255
    };
    number.groups().len() == 4 && !number.goes_on && number.groups().iter().all(octet)
}

/// The length of the address that begins here. Times, hardware addresses and paths of types (`std::a::b`) have colons too: it has a
/// digit, at least two groups, and not eight groups of two digits.
pub(crate) fn ipv6(text: &[u8]) -> Option<usize> {
    let bounded = &text[..text.len().min(MAX_IPV6_LEN + 1)];
    let inside = |byte: &u8| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.');
    let length = bounded.iter().take_while(|byte| inside(byte)).count();
    let ends = bounded[..length].iter().rev().take_while(|byte| **byte == b'.').count();
    let address = &bounded[..length - ends];
    let address =
        if address.ends_with(b":") && !address.ends_with(b"::") { &address[..address.len() - 1] } else { address };
    let groups = || address.split(|byte| matches!(byte, b':' | b'.')).filter(|group| !group.is_empty());
    let is_hardware = groups().count() == 8 && groups().all(|group| group.len() == 2);
    if is_hardware || groups().count() < 2 || !address.iter().any(u8::is_ascii_digit) {
        return None;
    }
    let goes_on = text.get(address.len()).is_some_and(|byte| is_word(*byte));
    let parsed = str::from_utf8(address).ok()?.parse::<Ipv6Addr>();
    (parsed.is_ok() && !goes_on).then_some(address.len())
}
