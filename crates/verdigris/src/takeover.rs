//! One server after another without a gap: the new process gets the listening sockets of the old one, then its ledger
//! and its pins, serves, and tells the old one, which finishes what it took and ends.
//!
//! ```text
//! new                                     old
//! Hello ───────────────────────────────▶  serves, and goes on to
//!   ◀──────────────────────── Sockets     (file descriptors)
//! Release ─────────────────────────────▶  closes the API and the ledger; its gateway goes on by the last table
//!   ◀─────────────────────── Released     (the pins)
//! opens the ledger, serves
//! Accepting ───────────────────────────▶  stops accepting
//!   ◀──────────────────────── Leaving
//!                                         finishes its requests
//!   ◀─────────────────────────── Gone     ends
//! ```
//!
//! Both accept from one queue, so no connection is refused or reset. If the new process ends or says nothing for too
//! long before `Accepting`, the old one takes its ledger back and goes on. An old process that dies after `Released` is
//! followed all the same.

mod give;
mod take;
mod wire;

pub use give::{Applicant, Door};
pub use take::{Predecessor, Taking};
pub use wire::Wire;
