//! Certificates of the server's own files: until when they hold, and for whom.

use super::Finding;
use crate::clock;
use model::{ShortDuration, UnixMillis};
use posture::Certificate;
use std::path::Path;

/// A file of certificates has some KB; a system's whole bundle has 230.
const MAX_BYTES: u64 = 1 << 20;
/// Who renews by hand needs a month; who lets a program renew has it done by then.
const SOON_MS: u64 = 30 * 24 * 3_600_000;

/// Every certificate of a PEM file. Blocking.
pub fn certificates(what: &str, path: &Path) -> Vec<Finding> {
    let what = format!("{what} ({})", path.display());
    let text = match crate::describe::read_text(path, MAX_BYTES) {
        Ok(text) => text,
        Err(failed) => {
            return vec![Finding::trouble(what, failed.to_string(), "name a PEM file that this user may read")];
        }
    };
    let chain = tls::certificates(path, text.as_bytes()).unwrap_or_default();
    let read: Vec<Option<Certificate>> = chain.iter().map(|der| Certificate::read(der).ok()).collect();
    if read.is_empty() || read.iter().any(Option::is_none) {
        let says = "holds no certificate in PEM, or one that cannot be read";
        return vec![Finding::trouble(
            what,
            says,
            "write the certificate and those of its authorities into it, as PEM",
        )];
    }
    read.into_iter().flatten().map(|certificate| left(&what, &certificate, clock::now())).collect()
}

/// How long a certificate holds.
pub fn left(what: &str, certificate: &Certificate, now: UnixMillis) -> Finding {
    let names: Vec<&str> = certificate.names.iter().map(String::as_str).take(4).collect();
    let names = if names.is_empty() { "no names".to_owned() } else { names.join(", ") };
    let days = |ms: u64| format!("{} days", ms / (24 * 3_600_000));
    if now < certificate.not_before {
        let wait = ShortDuration(certificate.not_before.since_ms(now));
        return Finding::trouble(
            what,
            format!("{names}: holds only in {wait}"),
            "look at the clock, or have another made",
        );
    }
    if now > certificate.not_after {
        let ago = days(now.since_ms(certificate.not_after));
        return Finding::trouble(
            what,
            format!("{names}: expired {ago} ago"),
            "renew it; new connections use it at once",
        );
    }
    let left = certificate.not_after.since_ms(now);
    let says = format!("{names}: holds for {}", days(left));
    if left < SOON_MS {
        Finding::warning(what, says, "renew it; new connections use it at once")
    } else {
        Finding::ok(what, says)
    }
}
