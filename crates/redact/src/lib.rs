//! Detectors of sensitive values in texts, and what replaces them.
//!
//! A [`Redactor`] takes one text and the key that it stands under, and gives the edited text, or nothing where nothing was
//! found. Values are validated (check digits, issuers, structure), and what cannot be told from an identifier without
//! context is taken for a value only where its key or the words beside it say so: identifiers are what traces are for.
//!
//! Pure: no clock, no randomness, no I/O, no async, no logging. It knows nothing of OTLP. Every detector walks over a text
//! once, or over a bounded part of it: time and memory are linear in the text, whatever is in it.
//!
//! Sources: ISO/IEC 7812 and the issuers' published ranges, the SWIFT IBAN registry, SSA's rules of 2011, the NHS Data
//! Dictionary, CMS' NPI check digit, RFC 5322, 4291, 7519, 7468, 6750 and 7617, and what the issuers of keys say of their form.

mod address;
mod card;
mod class;
mod context;
mod date;
mod iban;
mod list;
mod national;
mod number;
mod pem;
mod percent;
mod phone;
mod policy;
mod redactor;
mod scan;
mod secret;
mod token;
mod url;

pub use class::{Class, Counts};
pub use policy::{Action, Key, Policy, PolicyError};
pub use redactor::Redactor;

#[cfg(test)]
mod tests;
