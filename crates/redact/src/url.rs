//! Passwords in URLs (`scheme://user:password@host`) and in Go's data source names (`user:password@tcp(host)/db`).

/// Bytes of what stands before a URL's host.
const MAX_USER_INFO_LEN: usize = 512;

/// Where the at-sign before the host is, of the URL whose authority begins here: the last one in it.
pub(crate) fn end_of_user_info(bytes: &[u8], begin: usize) -> Option<usize> {
    let rest = &bytes[begin..bytes.len().min(begin + MAX_USER_INFO_LEN)];
    let ends =
        |byte: &u8| matches!(byte, b'/' | b'?' | b'#' | b'"' | b'\'' | b'<' | b'>' | b',' | b'\\') || *byte <= b' ';
    let length = rest.iter().take_while(|byte| !ends(byte)).count();
    rest[..length].iter().rposition(|byte| *byte == b'@').map(|at| begin + at)
}

/// Where the password begins that ends at the at-sign, unless it is empty or a tag.
pub(crate) fn password(bytes: &[u8], begin: usize, sign: usize) -> Option<usize> {
    let colon = bytes[begin..sign].iter().position(|byte| *byte == b':')?;
    let start = begin + colon + 1;
    (start < sign && crate::redactor::tag_end(bytes, start) != Some(sign)).then_some(start)
}

/// Start and end of the password before the at-sign, if a Go data source name's network follows it.
pub(crate) fn password_of_go_dsn(bytes: &[u8], floor: usize, sign: usize) -> Option<(usize, usize)> {
    let network = &bytes[sign + 1..];
    if ![&b"tcp("[..], b"unix(", b"tcp6("].iter().any(|name| network.starts_with(name)) {
        return None;
    }
    let least = floor.max(sign.saturating_sub(MAX_USER_INFO_LEN)).min(sign);
    let inside = bytes[least..sign].iter().rev().take_while(|byte| !b"\"'(),;".contains(byte) && **byte > b' ').count();
    let begin = sign - inside;
    password(bytes, begin, sign).map(|start| (start, sign))
}
