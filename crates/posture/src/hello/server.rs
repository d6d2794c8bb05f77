use crate::TlsVersion;

/// What is read of an answer: a record with the most that a record may hold (RFC 5246, section 6.2.3: 2^14 + 2,048),
/// and its header. Every server's hello fits into its first kilobyte.
pub const MAX_ANSWER_BYTES: usize = 16_384 + 2_048 + 5;

/// The first answer to a hello.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The server goes on with this version and suite, in its hello or in a request for another one.
    Hello {
        /// The version; `None` for one that nobody knows.
        version: Option<TlsVersion>,
        /// Its code in the IANA registry "TLS Cipher Suites".
        suite: u16,
    },
    /// The server refuses: its reason's code (RFC 8446, section 6).
    Alert {
        /// 40 is `handshake_failure`, 70 `protocol_version`.
        description: u8,
    },
}

/// Why bytes are no answer of a TLS server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HelloError {
    /// The first byte is neither a handshake's nor an alert's, or the version is none of TLS.
    #[error("the answer is no TLS")]
    NotTls,
    /// A length passes a bound, or goes over the end of what holds it.
    #[error("the answer's {field} has a wrong length")]
    Length {
        /// What is too long or too short.
        field: &'static str,
    },
    /// Another message than a server's hello.
    #[error("the answer begins with the handshake message {kind}, expected 2 (ServerHello)")]
    Message {
        /// The message's code.
        kind: u8,
    },
}

/// Reads the first answer from what has come so far: `None` while more is needed. Looks at [`MAX_ANSWER_BYTES`] at most.
pub fn read(bytes: &[u8]) -> Result<Option<Answer>, HelloError> {
    let mut hello = Vec::new();
    let mut rest = &bytes[..bytes.len().min(MAX_ANSWER_BYTES)];
    // A hello may be divided among records; each has a byte at least, so the loop ends with the bytes.
    loop {
        let Some((header, behind)) = rest.split_first_chunk::<5>() else { return more(bytes, rest) };
        let [kind, major, _, high, low] = *header;
        let length = usize::from(u16::from_be_bytes([high, low]));
        if major != 3 || !(kind == ALERT || kind == HANDSHAKE) {
            return Err(HelloError::NotTls);
        }
        if length == 0 || length > MAX_ANSWER_BYTES - 5 {
            return Err(HelloError::Length { field: "record" });
        }
        let (content, after) = behind.split_at(length.min(behind.len()));
        if kind == ALERT {
            return match content {
                // A warning (`unrecognized_name`) goes before the hello; `close_notify` is one that ends.
                [1, description] if length == 2 && *description != 0 => {
                    rest = after;
                    continue;
                }
                [_, description] if length == 2 => Ok(Some(Answer::Alert { description: *description })),
                _ if length == 2 => more(bytes, rest),
                _ => Err(HelloError::Length { field: "alert" }),
            };
        }
        hello.extend_from_slice(content);
        if let Some(answer) = server_hello(&hello)? {
            return Ok(Some(answer));
        }
        if content.len() < length {
            return more(bytes, rest);
        }
        rest = after;
    }
}

const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const SERVER_HELLO: u8 = 2;
const SUPPORTED_VERSIONS: u16 = 43;

/// More is needed, unless all that is looked at is there. What has come already must be the beginning of TLS.
fn more(bytes: &[u8], rest: &[u8]) -> Result<Option<Answer>, HelloError> {
    if bytes.len() >= MAX_ANSWER_BYTES {
        return Err(HelloError::Length { field: "hello" });
    }
    match rest {
        [] | [ALERT | HANDSHAKE] => Ok(None),
        [ALERT | HANDSHAKE, 3, ..] => Ok(None),
        [_, ..] => Err(HelloError::NotTls),
    }
}

/// `None` while more is needed.
fn server_hello(bytes: &[u8]) -> Result<Option<Answer>, HelloError> {
    let Some((header, body)) = bytes.split_first_chunk::<4>() else {
        return match bytes.first() {
            Some(kind) if *kind != SERVER_HELLO => Err(HelloError::Message { kind: *kind }),
            Some(_) | None => Ok(None),
        };
    };
    let [kind, high, middle, low] = *header;
    if kind != SERVER_HELLO {
        return Err(HelloError::Message { kind });
    }
    let length = u32::from_be_bytes([0, high, middle, low]) as usize;
    if length > MAX_ANSWER_BYTES {
        return Err(HelloError::Length { field: "hello" });
    }
    let Some(body) = body.get(..length) else { return Ok(None) };
    let mut reader = Reader { rest: body };
    let legacy = reader.number("version")?;
    reader.take(32, "random")?;
    let session = reader.byte("session")?;
    reader.take(session.into(), "session")?;
    let suite = reader.number("suite")?;
    reader.byte("compression")?;
    let mut version = legacy;
    // Servers of before 2003 have no extensions at all.
    if !reader.rest.is_empty() {
        let length = reader.number("extensions")?;
        let mut extensions = Reader { rest: reader.take(length.into(), "extensions")? };
        while !extensions.rest.is_empty() {
            let kind = extensions.number("extension")?;
            let length = extensions.number("extension")?;
            let mut data = Reader { rest: extensions.take(length.into(), "extension")? };
            if kind == SUPPORTED_VERSIONS {
                version = data.number("supported version")?;
            }
        }
    }
    Ok(Some(Answer::Hello { version: TlsVersion::of_code(version), suite }))
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize, field: &'static str) -> Result<&'a [u8], HelloError> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(HelloError::Length { field })?;
        self.rest = rest;
        Ok(taken)
    }

    fn byte(&mut self, field: &'static str) -> Result<u8, HelloError> {
        let (byte, rest) = self.rest.split_first().ok_or(HelloError::Length { field })?;
        self.rest = rest;
        Ok(*byte)
    }

    fn number(&mut self, field: &'static str) -> Result<u16, HelloError> {
        let (bytes, rest) = self.rest.split_first_chunk::<2>().ok_or(HelloError::Length { field })?;
        self.rest = rest;
        Ok(u16::from_be_bytes(*bytes))
    }
}
