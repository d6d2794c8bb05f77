//! What `otlp`, `redact`, `prometheus`, `backends`, `drift`, the ledger's texts, approvals, recordings and what the gates of
//! security, tests, integrations and migration read are held to by bytes from anybody. A target takes any bytes and panics where a
//! claim of their documentation does not hold; it never panics for another reason.
//!
//! Here, and not in `fuzz/`, so that two programs run the same targets: libFuzzer with the nightly compiler
//! (`cargo xtask fuzz`, see `fuzz/README.md`), and `cargo test -p otlp` with the stable one. Nothing that ships depends
//! on this crate.
//!
//! Each target compares with something that is neither: prost where it takes the bytes, flate2's own reader, and for
//! all other bytes [`tree`], a reader of the wire that is slow and short.

mod approvals;
mod backends;
mod drift;
mod grpc;
mod gzip;
pub mod hostile;
mod json;
mod migration;
mod notes;
mod parts;
mod prometheus;
mod recordings;
mod redaction;
mod security;
mod spans;
pub mod split;
mod testing;
pub mod tree;

pub use security::policy_input;

/// A target of fuzzing: `fuzz/fuzz_targets/NAME.rs` runs it, `fuzz/seeds/NAME` are the bytes that it begins with.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The name of its file and of its folder of seeds.
    pub name: &'static str,
    /// Panics where a claim does not hold.
    pub run: fn(&[u8]),
}

/// All of them.
pub const TARGETS: [Target; 20] = [
    Target { name: "split", run: split::run },
    Target { name: "hostile", run: hostile::run },
    Target { name: "spans", run: spans::run },
    Target { name: "gunzip", run: gzip::run },
    Target { name: "json", run: json::run },
    Target { name: "grpc", run: grpc::run },
    Target { name: "prometheus", run: prometheus::run },
    Target { name: "backends", run: backends::run },
    Target { name: "drift", run: drift::run },
    Target { name: "notes", run: notes::run },
    Target { name: "redact", run: redaction::run },
    Target { name: "approvals", run: approvals::run },
    Target { name: "hello", run: security::hello },
    Target { name: "certificates", run: security::certificates },
    Target { name: "reports", run: security::reports },
    Target { name: "recordings", run: recordings::run },
    Target { name: "tests", run: testing::tests },
    Target { name: "calls", run: testing::calls },
    Target { name: "dependencies", run: testing::dependencies },
    Target { name: "migration", run: migration::run },
];

/// Runs one by its name.
///
/// # Panics
/// If a claim does not hold, or if there is no such target.
pub fn run(name: &str, bytes: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name).expect("fuzz/fuzz_targets names targets that exist");
    (target.run)(bytes);
}
