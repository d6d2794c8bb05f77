//! Notifications: which records are told to whom, in which words, as which bytes, and when a failed one is tried again.
//!
//! It never sends, reads no clock and draws no randomness: what is to be told is a fold over the ledger's records
//! ([`Outbox`]), so that a restart finds what was decided and not delivered. A crate of its own, because the controller
//! folds and the binary sends, and neither may know the other's part. No secret is in a [`Notice`], and none comes out of
//! here but in a signature.

mod event;
mod outbox;
mod payload;
mod retry;
mod signing;
mod template;

pub use event::Event;
pub use outbox::{MAX_PENDING, Notice, Outbox, Pending};
pub use payload::{Form, email, payload};
pub use retry::{MAX_TRIES, wait_ms};
pub use signing::{SecretError, SigningSecret};
pub use template::{MAX_TEMPLATE_BYTES, Template, TemplateError};
