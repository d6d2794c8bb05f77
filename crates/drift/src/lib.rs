//! Configuration drift: what differs in meaning between two environments' configurations.
//!
//! Files become a [`Tree`] of documents in a normal form: YAML, JSON, TOML, environment and properties files by their
//! values; Kubernetes objects by kind, namespace and name, without what the API server adds; OpenTelemetry Collector
//! configurations and Compose files without what their defaults say. [`compare`] names what two trees differ in,
//! [`expected`] holds that against what a plan declares, and [`tracing`] finds what would make green's traces less
//! than blue's.
//!
//! No secret is shown, kept or left out: [`Tree::read`] keeps HMACs of them. Pure: files come in as bytes, the time as
//! an argument. Nothing that is read can make it panic, recurse without bound or take more than its bounds
//! ([`limits`]).

mod compare;
mod difference;
mod error;
pub mod expected;
mod format;
pub mod limits;
mod normal;
mod path;
mod seal;
mod secret;
pub mod tracing;
mod tree;
mod value;

pub use compare::{Drift, compare};
pub use difference::{Change, Difference, Shown};
pub use error::{FileError, Format, Position, ReadError};
pub use limits::*;
pub use secret::SecretKey;
pub use tree::Tree;
