//! What a browser's form sends, in both kinds: `application/x-www-form-urlencoded` (WHATWG URL, section 5.1), and
//! `multipart/form-data` (RFC 7578), which forms with files are. The door looks into it for the session's token, a page for its fields.
//!
//! Pure. Bodies are whole by then, and bounded. Files are text here: nothing else is handed in. multer reads streams, mends what is
//! broken, and brings five more crates to the door.

use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;

/// The longest boundary (RFC 2046, section 5.1.1).
const MAX_BOUNDARY_BYTES: usize = 70;
/// Fields of a form; the largest that is here has four.
const MAX_PARTS: usize = 32;
/// The head of a part: its name, a file's name, a type.
const MAX_HEAD_BYTES: usize = 2_048;

/// A field, the first of its name. None where there is none, or the body is no form or a broken one.
pub(crate) fn field(headers: &HeaderMap, body: &[u8], name: &str) -> Option<String> {
    let kind = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    let (media_type, parameters) = kind.split_once(';').unwrap_or((kind, ""));
    match media_type.trim().to_ascii_lowercase().as_str() {
        "application/x-www-form-urlencoded" => pair(std::str::from_utf8(body).ok()?, name),
        "multipart/form-data" => {
            let found = parts(body, &boundary(parameters)?)?.into_iter().find(|(known, _)| *known == name)?.1;
            std::str::from_utf8(found).ok().map(str::to_owned)
        }
        _ => None,
    }
}

/// A field of a query, the first of its name.
pub(crate) fn pair(text: &str, name: &str) -> Option<String> {
    let decode = |text: &str| {
        let spaces = text.replace('+', " ");
        Some(percent_encoding::percent_decode_str(&spaces).decode_utf8().ok()?.into_owned())
    };
    let found = text.split('&').filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name);
    decode(found?.1)
}

fn boundary(parameters: &str) -> Option<String> {
    let named = |pair: &str| {
        let (name, value) = pair.trim().split_once('=')?;
        name.eq_ignore_ascii_case("boundary").then(|| value.trim_matches('"').to_owned())
    };
    let boundary = parameters.split(';').find_map(named)?;
    let fits = |byte: u8| byte.is_ascii_graphic() || byte == b' ';
    ((1..=MAX_BOUNDARY_BYTES).contains(&boundary.len()) && boundary.bytes().all(fits)).then_some(boundary)
}

/// Each part's name and content. None if it is not a whole form: what a browser sends is.
fn parts<'b>(body: &'b [u8], boundary: &str) -> Option<Vec<(String, &'b [u8])>> {
    let delimiter = format!("\r\n--{boundary}");
    let mut rest = body.strip_prefix(&delimiter.as_bytes()[2..])?;
    let mut parts = Vec::new();
    loop {
        if rest.starts_with(b"--") {
            return Some(parts);
        }
        rest = rest.strip_prefix(b"\r\n")?;
        let head = find(&rest[..rest.len().min(MAX_HEAD_BYTES)], b"\r\n\r\n")?;
        let name = part_name(std::str::from_utf8(&rest[..head]).ok()?)?;
        rest = &rest[head + 4..];
        let end = find(rest, delimiter.as_bytes())?;
        if parts.len() == MAX_PARTS {
            return None;
        }
        parts.push((name, &rest[..end]));
        rest = &rest[end + delimiter.len()..];
    }
}

/// `Content-Disposition: form-data; name="signature"; filename="a.sig"`. Browsers write a quotation mark in a name as `%22`.
fn part_name(head: &str) -> Option<String> {
    let is_disposition =
        |line: &&str| line.get(..20).is_some_and(|start| start.eq_ignore_ascii_case("content-disposition:"));
    let disposition = head.split("\r\n").find(is_disposition)?;
    let named = disposition.split(';').find_map(|part| part.trim().strip_prefix("name=\""))?;
    named.strip_suffix('"').filter(|name| !name.contains('"')).map(str::to_owned)
}

fn find(within: &[u8], what: &[u8]) -> Option<usize> {
    within.windows(what.len()).position(|window| window == what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn headers(kind: &str) -> HeaderMap {
        [(CONTENT_TYPE, kind.parse().unwrap())].into_iter().collect()
    }

    #[test]
    fn a_field_is_found_by_its_whole_name() {
        let check = |body: &str, expected: Option<&str>| {
            let headers = headers("application/x-www-form-urlencoded; charset=UTF-8");
            assert_eq!(field(&headers, body.as_bytes(), "csrf").as_deref(), expected, "{body}");
        };
        check("csrf=abc", Some("abc"));
        check("reason=a+b&csrf=a%2Db+c", Some("a-b c"));
        check("xcsrf=abc&csrfx=1", None);
        check("csrf=%ff", None);
        check("csrf", None);
        assert_eq!(field(&HeaderMap::new(), b"csrf=abc", "csrf"), None);
    }

    fn part(name: &str, more: &str, value: &str) -> String {
        format!("Content-Disposition: form-data; name=\"{name}\"{more}\r\n\r\n{value}\r\n")
    }

    #[test]
    fn a_part_is_found_by_its_whole_name_in_a_whole_form() {
        let check = |kind: &str, body: &str, expected: Option<&str>| {
            assert_eq!(field(&headers(kind), body.as_bytes(), "csrf").as_deref(), expected, "{kind}: {body}");
        };
        let (kind, csrf) = ("multipart/form-data; boundary=x", part("csrf", "", "abc"));
        // As browsers send it, a file among the fields.
        let file = part("a", "; filename=\"csrf\"\r\nContent-Type: application/octet-stream", "--y\r\n--\r\n");
        check(kind, &format!("--x\r\n{file}--x\r\n{csrf}--x--\r\n"), Some("abc"));
        check("Multipart/Form-Data; charset=utf-8; Boundary=\"x\"", &format!("--x\r\n{csrf}--x--"), Some("abc"));
        check(kind, &format!("--x\r\n{}--x--", part("csrf", "; filename=\"a\"", "")), Some(""));
        // The first counts, and none that only looks like one.
        check(kind, &format!("--x\r\n{csrf}--x\r\n{}--x--", part("csrf", "", "def")), Some("abc"));
        check(kind, &format!("--x\r\n{}--x--", part("acsrf", "", "abc")), None);
        check(kind, &format!("--x\r\n{}--x--", part("a", "; filename=\"name=\"csrf\"\"", "abc")), None);
        check(kind, &format!("--x\r\n{}--x--", part("a", "", &csrf)), None);
        // Broken off, of another boundary, with something before it, with too many parts.
        check(kind, &format!("--x\r\n{csrf}"), None);
        check(kind, &format!("--x\r\n{csrf}--x\r\nContent"), None);
        check(kind, &format!("--y\r\n{csrf}--y--"), None);
        check(kind, &format!("a\r\n--x\r\n{csrf}--x--"), None);
        check(kind, &format!("{}--x--", format!("--x\r\n{csrf}").repeat(MAX_PARTS + 1)), None);
        check("multipart/form-data", &format!("--x\r\n{csrf}--x--"), None);
        check("multipart/form-data; boundary=", &format!("--\r\n{csrf}----"), None);
        check("text/plain; boundary=x", &format!("--x\r\n{csrf}--x--"), None);
        let long = format!("multipart/form-data; boundary={}", "x".repeat(MAX_BOUNDARY_BYTES + 1));
        check(&long, "", None);
    }

    proptest! {
        #[test]
        fn nothing_that_comes_panics(kind in "(multipart/form-data; boundary=-?|a/b;|)[ -~]{0,9}", body: Vec<u8>) {
            if let Ok(value) = kind.parse() {
                field(&[(CONTENT_TYPE, value)].into_iter().collect(), &body, "csrf");
            }
        }

        #[test]
        fn what_is_written_is_read(
            values in prop::collection::vec("[^\u{0}]{0,40}", 1..8), wanted in 0..8_usize, tail in "[-\r\n]{0,8}"
        ) {
            // A browser chooses a boundary that is in none of them.
            prop_assume!(values.iter().all(|value| !value.contains("--b0undary")));
            let names = (0..values.len()).map(|n| format!("f{n}"));
            let each = names.zip(&values).map(|(name, value)| format!("--b0undary\r\n{}", part(&name, "", &format!("{value}{tail}"))));
            let body = format!("{}--b0undary--\r\n", each.collect::<String>());
            let expected = values.get(wanted).map(|value| format!("{value}{tail}"));
            prop_assert_eq!(field(&headers("multipart/form-data; boundary=b0undary"), body.as_bytes(), &format!("f{wanted}")), expected);
        }
    }
}
