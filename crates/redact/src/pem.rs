//! PEM blocks (RFC 7468). One that was cut off reaches to the end of the text: half a key is a secret too.

use crate::class::Class;

const BEGIN: &[u8] = b"-----BEGIN ";
const END: &[u8] = b"-----END ";

/// Bytes of a label. The longest in use is `ENCRYPTED PRIVATE KEY`.
const MAX_LABEL_LEN: usize = 64;

/// Class and length of the private key or certificate that begins here. Public keys stay.
pub(crate) fn block(text: &[u8]) -> Option<(Class, usize)> {
    let rest = text.strip_prefix(BEGIN)?;
    let (label, _) = label(rest)?;
    let class = match label {
        _ if label.ends_with(b"PRIVATE KEY") || label.ends_with(b"PRIVATE KEY BLOCK") => Class::PrivateKey,
        _ if label.ends_with(b"CERTIFICATE") => Class::Certificate,
        _ => return None,
    };
    let end = rest.windows(END.len()).position(|window| window == END);
    let end = end.and_then(|end| label_end(rest, end + END.len()));
    Some((class, end.map_or(text.len(), |end| BEGIN.len() + end)))
}

/// The label before the five dashes, and the length of both.
fn label(text: &[u8]) -> Option<(&[u8], usize)> {
    let bounded = &text[..text.len().min(MAX_LABEL_LEN)];
    let length = bounded.windows(5).position(|window| window == b"-----")?;
    Some((&bounded[..length], length + 5))
}

fn label_end(text: &[u8], begin: usize) -> Option<usize> {
    label(&text[begin..]).map(|(_, length)| begin + length)
}
