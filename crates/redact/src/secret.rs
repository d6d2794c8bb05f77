//! Values under names of secrets: where they begin and end in a text, and whether they are what the name says.

use crate::class::Class;
use crate::context::Context;
use crate::redactor::tag_end;
use crate::scan::Scan;
use crate::token;

/// The fewest bytes of a value that can look random.
const MIN_RANDOM_LEN: usize = 12;

/// Bits a byte, of its own distribution, that a value has which looks random: words of a language have less.
const MIN_ENTROPY_BITS: f64 = 3.0;

/// Bytes of a value that are counted for that: enough to tell, and a bound where names of secrets stand in one another.
const MAX_JUDGED_LEN: usize = 256;

/// What stands under names of passwords and is none.
const PLACEHOLDERS: [&[u8]; 10] =
    [b"true", b"false", b"null", b"none", b"nil", b"undefined", b"required", b"redacted", b"hidden", b"masked"];

/// Backslashes before a quote in JSON that stands in JSON, as often as that is met.
const MAX_ESCAPES: usize = 3;

/// The class of a value whose name says this, if it is what the name says.
pub(crate) fn judge(context: Context, value: &[u8]) -> Option<Class> {
    let any = Context::PASSWORD.and(Context::SECRET).and(Context::AUTHORIZATION);
    if !context.has(any) || value.is_empty() || tag_end(value, 0) == Some(value.len()) {
        return None;
    }
    if let Some((class, length)) = token::known(value, None)
        && length == value.len()
    {
        return Some(class);
    }
    if context.has(Context::AUTHORIZATION) && is_authorization(value) {
        return Some(Class::Authorization);
    }
    if context.has(Context::PASSWORD) && !is_placeholder(value) {
        return Some(Class::Secret);
    }
    if context.has(Context::SECRET) && looks_random(value) {
        let is_aws = value.len() == 40 && !value.iter().all(u8::is_ascii_hexdigit);
        return Some(if is_aws { Class::CloudKey } else { Class::Secret });
    }
    None
}

/// A scheme and credentials, or these alone.
fn is_authorization(value: &[u8]) -> bool {
    let mut words = value.splitn(2, |byte| *byte == b' ');
    match (words.next(), words.next()) {
        (Some(_), Some(credentials)) => tag_end(credentials, 0) != Some(credentials.len()) && !credentials.is_empty(),
        _ => value.len() >= MIN_RANDOM_LEN || value.iter().any(u8::is_ascii_digit),
    }
}

fn is_placeholder(value: &[u8]) -> bool {
    let masked = value.iter().all(|byte| matches!(byte, b'*' | b'x' | b'X' | b'.' | b'-' | b'?'));
    let variable = [&b"${"[..], b"{{", b"<", b"%("].iter().any(|begin| value.starts_with(begin));
    masked || variable || PLACEHOLDERS.iter().any(|word| value.eq_ignore_ascii_case(word))
}

/// Letters and digits without a pattern. Identifiers in hexadecimal of 64 or 128 bits, and UUIDs, never do.
fn looks_random(value: &[u8]) -> bool {
    let is_id = match value.len() {
        16 | 32 => value.iter().all(u8::is_ascii_hexdigit),
        36 => value.iter().all(|byte| byte.is_ascii_hexdigit() || *byte == b'-'),
        _ => false,
    };
    let judged = &value[..value.len().min(MAX_JUDGED_LEN)];
    let digits = judged.iter().any(u8::is_ascii_digit);
    let letters = judged.iter().any(u8::is_ascii_alphabetic);
    let plain = judged.iter().all(|byte| (0x21..0x7f).contains(byte));
    !is_id && value.len() >= MIN_RANDOM_LEN && digits && letters && plain && entropy(judged) >= MIN_ENTROPY_BITS
}

/// Shannon's, in bits a byte.
fn entropy(bytes: &[u8]) -> f64 {
    let mut counts = [0_u32; 256];
    for byte in bytes {
        counts[usize::from(*byte)] += 1;
    }
    let length = bytes.len() as f64;
    let shares = counts.iter().filter(|count| **count > 0).map(|count| f64::from(*count) / length);
    shares.map(|share| -share * share.log2()).sum()
}

/// Where the value begins, with its quote, of the name that ends here: behind `=` or `:`.
pub(crate) fn value_after(bytes: &[u8], name_end: usize) -> Option<usize> {
    let at = quote(bytes, name_end).map_or(name_end, |(_, _, after)| after);
    let at = skip_spaces(bytes, at);
    match bytes.get(at..)? {
        [b':', b'/', b'/', ..] => None,
        [b':' | b'=', ..] => Some(skip_spaces(bytes, at + 1)).filter(|at| *at < bytes.len()),
        _ => None,
    }
}

fn skip_spaces(bytes: &[u8], at: usize) -> usize {
    at + bytes[at..].iter().take(2).take_while(|byte| **byte == b' ').count()
}

/// The quote here, the backslashes before it, and where it ends.
fn quote(bytes: &[u8], at: usize) -> Option<(u8, usize, usize)> {
    let escapes = bytes[at..].iter().take(MAX_ESCAPES).take_while(|byte| **byte == b'\\').count();
    let quote = bytes.get(at + escapes).copied().filter(|byte| matches!(byte, b'"' | b'\''))?;
    Some((quote, escapes, at + escapes + 1))
}

/// Start and end of the value that begins here.
pub(crate) fn extent(scan: &mut Scan<'_>, at: usize, context: Context) -> (usize, usize) {
    let bytes = scan.bytes;
    if let Some((quote, escapes, start)) = quote(bytes, at) {
        let end = closing(&bytes[start..], quote, escapes).map_or(bytes.len(), |length| start + length);
        scan.work += end - start;
        return (start, end);
    }
    if let Some(end) = tag_end(bytes, at) {
        return (at, end);
    }
    if at >= scan.value_end {
        let ends = |byte: &u8| *byte <= b' ' || b"&,;\"'`)}]><|\\".contains(byte);
        let length = bytes[at..].iter().position(ends).unwrap_or(bytes.len() - at);
        scan.work += length;
        scan.value_end = at + length;
    }
    let end = scan.value_end;
    // `Authorization: Bearer abc`: the scheme is followed by what matters.
    if context.has(Context::AUTHORIZATION) && bytes.get(end) == Some(&b' ') && tag_end(bytes, end + 1).is_none() {
        let length = bytes[end + 1..].iter().take_while(|byte| token::is_token68(**byte)).count();
        scan.work += length;
        return if length > 0 { (at, end + 1 + length) } else { (at, end) };
    }
    (at, end)
}

/// The bytes before the quote that closes the value, and before its backslashes. One with more of them is inside it.
fn closing(text: &[u8], quote: u8, escapes: usize) -> Option<usize> {
    let mut backslashes = 0;
    for (at, byte) in text.iter().enumerate() {
        match byte {
            b'\\' => backslashes += 1,
            _ if *byte == quote => {
                let closes = if escapes == 0 { backslashes % 2 == 0 } else { backslashes <= escapes };
                if closes {
                    return Some(at - backslashes.min(if escapes == 0 { 0 } else { backslashes }));
                }
                backslashes = 0;
            }
            _ => backslashes = 0,
        }
    }
    None
}
