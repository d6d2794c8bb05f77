//! Recorded traffic as bytes: what came to a gateway, when, and how, so that it can be sent again with the arrival times
//! that it had.
//!
//! [`Writer`] and [`Reader`] are the plain format, over any `Write` and `Read`; [`seal`] and [`open`] put age around it, so
//! that whoever records holds a public key alone. Nothing here opens a file, reads a clock or redacts: bodies are written as
//! they are given, so whoever records redacts them first, and says by which policy ([`Header::redaction`]). The only
//! randomness is age's, which makes a new key for each file.
//!
//! A recording that was cut off is readable up to there, and is never taken for a whole one: that needs the end marker
//! with its totals and digest.

mod format;
mod frame;
mod reader;
mod sealed;
mod writer;

pub use frame::{Attempt, Bounds, Frame, Header, MAX_BODY_BYTES, Totals};
pub use reader::{ReadError, Reader};
pub use sealed::{Opened, SealError, Sealed, open, seal};
pub use writer::{Bound, Pushed, Writer};

#[cfg(test)]
mod tests;
