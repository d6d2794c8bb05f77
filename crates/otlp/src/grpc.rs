//! gRPC's length-prefixed messages (*gRPC over HTTP2*, "Length-Prefixed-Message"): one byte that says whether the
//! message is compressed, four of length, big-endian, then the message. OTLP's calls are unary: a body is one message.

use std::ops::Range;

/// Length of the prefix in bytes.
pub const PREFIX_LEN: usize = 5;

/// The message of a unary body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Whether the message is compressed as the header `grpc-encoding` says.
    pub compressed: bool,
    /// Where the message is in the body.
    pub message: Range<usize>,
}

/// A body that is not exactly one length-prefixed message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The body ends before its message does.
    #[error("the gRPC body has {found} bytes, but its message needs {expected}: was it cut off?")]
    Short {
        /// Bytes in the body.
        found: usize,
        /// Bytes that prefix and message need.
        expected: usize,
    },
    /// Bytes follow the message.
    #[error("{extra} bytes follow the gRPC message; expected exactly one message, as in every unary call")]
    Trailing {
        /// How many.
        extra: usize,
    },
    /// The first byte is neither 0 nor 1.
    #[error("the gRPC message begins with the flag {0}; expected 0 (plain) or 1 (compressed)")]
    Flag(u8),
}

/// Finds the one message of a unary request or response body.
pub fn parse_unary(body: &[u8]) -> Result<Frame, FrameError> {
    let short = |expected: usize| FrameError::Short { found: body.len(), expected };
    let (prefix, rest) = body.split_first_chunk::<PREFIX_LEN>().ok_or_else(|| short(PREFIX_LEN))?;
    let (compressed, length) = parse_prefix(*prefix)?;
    let length = length as usize;
    match rest.len().checked_sub(length) {
        None => Err(short(PREFIX_LEN.saturating_add(length))),
        Some(0) => Ok(Frame { compressed, message: PREFIX_LEN..body.len() }),
        Some(extra) => Err(FrameError::Trailing { extra }),
    }
}

/// Whether the message is compressed, and its length: for a receiver that wants to refuse before the message came.
pub fn parse_prefix(prefix: [u8; PREFIX_LEN]) -> Result<(bool, u32), FrameError> {
    let [flag, length @ ..] = prefix;
    match flag {
        0 | 1 => Ok((flag == 1, u32::from_be_bytes(length))),
        _ => Err(FrameError::Flag(flag)),
    }
}

/// The prefix of a message of `length` bytes.
pub fn prefix(compressed: bool, length: u32) -> [u8; PREFIX_LEN] {
    let [a, b, c, d] = length.to_be_bytes();
    [u8::from(compressed), a, b, c, d]
}

#[cfg(test)]
mod tests;
