//! Was green tested, and what were the results: reports of tests as facts, and whether they let a rollout go on.
//!
//! Pure: no file is read, no program run, no clock asked; `gates::testing` does. Nothing of a report but names, outcomes,
//! digests and times is kept: messages, stack traces and output may hold anybody's data, and are passed over.
//!
//! [`read`] takes JUnit XML, or an in-toto test-result attestation, also in a DSSE envelope, and gives a [`Suite`];
//! [`decide`] holds suites against a [`Demand`].

mod attestation;
mod bounded;
mod decide;
mod demand;
mod digest;
mod junit;
mod key;
mod suite;
mod time;

pub use attestation::PREDICATE_TYPE;
pub use decide::{Assessment, decide};
pub use demand::{Demand, Exception};
pub use digest::{ArtifactDigest, DigestError};
pub use junit::{MAX_ATTRIBUTES, MAX_DEPTH};
pub use key::{AttestationKey, ParseAttestationKeyError};
pub use suite::{
    Case, Format, MAX_NAME_CHARACTERS, MAX_REPORT_BYTES, MAX_TESTS, Outcome, ReadError, Reading, Signature, Span,
    Suite, read,
};
