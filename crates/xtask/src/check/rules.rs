//! The workspace's rules (DESIGN.md, "The layout"; STYLE.md, "The code"). Pure: what is read comes in as arguments.

#[cfg(test)]
mod tests;

use crate::workspace::Package;
use std::fmt;

/// Who may depend on whom among our crates: a crate exists because of what it must not depend on.
const ALLOWED: &[(&str, &[&str])] = &[
    ("access", &[]),
    ("model", &["redact"]),
    ("ledger", &[]),
    ("drift", &[]),
    ("spool", &[]),
    ("xtask", &[]),
    ("otlp", &["model"]),
    ("redact", &[]),
    ("prometheus", &["model"]),
    ("backends", &["model", "otlp"]),
    ("verify", &["model"]),
    ("posture", &["model"]),
    ("migration", &["model"]),
    ("postgres", &["migration", "model", "tls"]),
    ("testing", &["model"]),
    ("integrations", &["model", "otlp"]),
    ("judge", &["model"]),
    ("rollout", &["integrations", "judge", "model", "redact"]),
    ("audit", &["judge", "ledger", "model", "rollout"]),
    ("store", &["ledger"]),
    ("keys", &["ledger", "store"]),
    ("notices", &["model", "rollout"]),
    ("certs", &[]),
    ("tls", &["model"]),
    ("http-client", &["model", "tls"]),
    ("recording", &["model", "otlp"]),
    ("load", &["model", "otlp", "recording", "tls"]),
    ("gateway", &["otlp", "model", "redact", "spool", "tls"]),
    (
        "gates",
        &[
            "backends",
            "drift",
            "http-client",
            "integrations",
            "otlp",
            "model",
            "posture",
            "prometheus",
            "testing",
            "tls",
        ],
    ),
    (
        "control",
        &[
            "rollout",
            "verify",
            "judge",
            "ledger",
            "store",
            "gates",
            "model",
            "posture",
            "testing",
            "integrations",
            "load",
            "migration",
            "notices",
            "postgres",
        ],
    ),
    ("web", &["access", "control", "http-client", "ledger", "model", "store", "tls", "verify"]),
    ("sim", PURE),
    (
        "bench",
        &["drift", "judge", "ledger", "load", "model", "otlp", "recording", "redact", "rollout", "store", "verify"],
    ),
    (
        "fuzz-targets",
        &[
            "audit",
            "backends",
            "drift",
            "integrations",
            "ledger",
            "migration",
            "model",
            "otlp",
            "posture",
            "prometheus",
            "recording",
            "redact",
            "rollout",
            "testing",
        ],
    ),
    (
        "verdigris",
        &[
            "access",
            "model",
            "otlp",
            "verify",
            "judge",
            "rollout",
            "ledger",
            "store",
            "gateway",
            "gates",
            "http-client",
            "control",
            "web",
            "spool",
            "tls",
            "backends",
            "audit",
            "keys",
            "posture",
            "redact",
            "testing",
            "integrations",
            "load",
            "notices",
            "recording",
        ],
    ),
];

/// The crates without clock, randomness, I/O, async and logging.
const PURE: &[&str] = &[
    "access",
    "model",
    "otlp",
    "redact",
    "prometheus",
    "backends",
    "verify",
    "notices",
    "judge",
    "rollout",
    "ledger",
    "audit",
    "drift",
    "posture",
    "migration",
    "recording",
    "testing",
    "integrations",
];

/// What a pure crate must not depend on, these and the crates named after them (`tokio-util`, `rand_core`).
const IMPURE: &[&str] = &["tokio", "hyper", "tracing", "getrandom", "rand", "rustix"];

/// Lines of a Rust file: 500 are the aim (STYLE.md, 5); a fifth more is where it must be divided.
const MAX_LINES: usize = 600;

/// What a reader looks for at the root.
const DOCUMENTS: &[&str] = &["README.md", "ARCHITECTURE.md", "CHANGELOG.md", "LICENSE"];

/// A rule that does not hold: where, what was found, and what to do.
#[derive(Debug, PartialEq, Eq)]
pub struct Violation {
    place: String,
    found: String,
    expected: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.place, self.found, self.expected)
    }
}

fn violation(place: impl Into<String>, found: impl Into<String>, expected: impl Into<String>) -> Violation {
    Violation { place: place.into(), found: found.into(), expected: expected.into() }
}

/// Holds the lists above against the crates' normal dependencies.
pub fn dependencies(packages: &[Package]) -> Vec<Violation> {
    let ours = |name: &str| packages.iter().any(|package| package.name == name);
    let mut violations = Vec::new();
    for package in packages {
        let place = format!("crates/{}/Cargo.toml", package.name);
        let Some((_, allowed)) = ALLOWED.iter().find(|(name, _)| *name == package.name) else {
            let expected = "say in ALLOWED of crates/xtask/src/check/rules.rs which of our crates it may depend on";
            violations.push(violation(place, format!("the crate `{}` is not in the list", package.name), expected));
            continue;
        };
        for dependency in &package.dependencies {
            if ours(dependency) && !allowed.contains(&dependency.as_str()) {
                let found = format!("`{}` depends on `{dependency}`", package.name);
                violations.push(violation(&place, found, format!("of our crates it may depend on {}", list(allowed))));
            }
            if PURE.contains(&package.name.as_str()) && is_impure(dependency) {
                let found = format!("the pure crate `{}` depends on `{dependency}`", package.name);
                let expected = format!("pure crates do without {}, and what is named after them", list(IMPURE));
                violations.push(violation(&place, found, expected));
            }
        }
    }
    violations
}

fn is_impure(dependency: &str) -> bool {
    IMPURE.iter().any(|impure| {
        dependency.strip_prefix(impure).is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '_']))
    })
}

fn list(names: &[&str]) -> String {
    if names.is_empty() { "none".into() } else { names.join(", ") }
}

/// The root of a crate begins with what it does and never does.
pub fn header(path: &str, text: &str) -> Option<Violation> {
    let expected = "a crate's root file begins with a `//!` header: what it does, what it never does, and why";
    (!text.starts_with("//!")).then(|| violation(path, "has no header", expected))
}

/// No file grows too long, and no test is left out.
pub fn source(path: &str, text: &str) -> Vec<Violation> {
    let mut violations = Vec::new();
    let lines = text.lines().count();
    if lines > MAX_LINES {
        let expected = format!("a file has {MAX_LINES} at most: divide it by what its parts do");
        violations.push(violation(path, format!("has {lines} lines"), expected));
    }
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("#[ignore") {
            let place = format!("{path}:{}", index + 1);
            violations.push(violation(place, "ignores a test", "repair the test, or take it out"));
        }
    }
    violations
}

/// Each dependency of the root manifest stands on a line of its own with its reason, or is one of our crates.
pub fn reasons(manifest: &str) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut inside = false;
    for (index, line) in manifest.lines().enumerate() {
        let trimmed = line.trim();
        if trimmed.starts_with('[') {
            inside = trimmed.starts_with("[workspace.dependencies]");
            continue;
        }
        let Some((name, value)) = trimmed.split_once('=') else { continue };
        let ours = value.trim_start().trim_start_matches('{').trim_start().starts_with("path");
        if inside && !trimmed.starts_with('#') && !ours && comment(line).is_none_or(str::is_empty) {
            let expected = "write it on one line that ends with `# ` and the reason why it is here";
            let found = format!("the dependency `{}` has no reason beside it", name.trim());
            violations.push(violation(format!("Cargo.toml:{}", index + 1), found, expected));
        }
    }
    violations
}

/// What follows the first `#` outside quotes.
fn comment(line: &str) -> Option<&str> {
    let mut quoted = false;
    for (at, character) in line.char_indices() {
        match character {
            '"' => quoted = !quoted,
            '#' if !quoted => return Some(line[at + 1..].trim()),
            _ => {}
        }
    }
    None
}

/// The documents that a reader looks for are there.
pub fn documents(exists: impl Fn(&str) -> bool) -> Vec<Violation> {
    let missing = DOCUMENTS.iter().filter(|name| !exists(name));
    missing
        .map(|name| violation(*name, "is missing", "every reader of the repository looks for it: write it"))
        .collect()
}
