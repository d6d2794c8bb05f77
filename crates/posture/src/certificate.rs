//! What a server's certificate says: names, validity, key and signature, as facts. Nobody's signature is checked here.

use crate::{Fact, Setting, Validity, Value};
use model::{UnixMillis, quoted};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::net::IpAddr;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey;

/// A certificate of a server has a few kilobytes, with a post-quantum key some more.
pub const MAX_CERTIFICATE_BYTES: usize = 64 * 1024;
/// Names that are kept. Public authorities allow 100.
const MAX_NAMES: usize = 128;
/// A certificate that ends within a fortnight ends before somebody looks again.
const ENDS_SOON_MS: u64 = 14 * 24 * 60 * 60 * 1_000;

/// Facts of a certificate. All of it is public: it is shown to everybody who connects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Certificate {
    /// Since when it holds.
    pub not_before: UnixMillis,
    /// Until when.
    pub not_after: UnixMillis,
    /// DNS names and IP addresses that it is for (its alternative names; common names count nowhere any more).
    pub names: BTreeSet<String>,
    /// `RSA 2048`, `EC P-256`, `Ed25519`.
    pub key: String,
    /// Strength of the key; `None` for a kind that is not known here.
    pub key_bits: Option<u16>,
    /// `SHA-256 with RSA`, or the identifier of what is not known here.
    pub signature: String,
    /// Strength of the signature's hash; `None` for a kind that is not known here.
    pub signature_bits: Option<u16>,
    /// Whether it names itself as the one who signed it.
    pub self_signed: bool,
}

/// Why bytes are no certificate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// Longer than [`MAX_CERTIFICATE_BYTES`].
    #[error("the certificate has {bytes} bytes, more than {MAX_CERTIFICATE_BYTES}")]
    TooLong {
        /// How many there are.
        bytes: usize,
    },
    /// No X.509 in DER (RFC 5280).
    #[error("the certificate is no X.509 in DER: {reason}")]
    Malformed {
        /// The parser's words.
        reason: String,
    },
}

impl Certificate {
    /// Reads one certificate in DER.
    pub fn read(der: &[u8]) -> Result<Certificate, CertificateError> {
        if der.len() > MAX_CERTIFICATE_BYTES {
            return Err(CertificateError::TooLong { bytes: der.len() });
        }
        let malformed =
            |error: &dyn std::fmt::Display| CertificateError::Malformed { reason: quoted(&error.to_string()) };
        let (_, parsed) = X509Certificate::from_der(der).map_err(|error| malformed(&error))?;
        let alternative = parsed.subject_alternative_name().map_err(|error| malformed(&error))?;
        let names = alternative.iter().flat_map(|names| &names.value.general_names).filter_map(name);
        let key = parsed.public_key().parsed().map_err(|error| malformed(&error))?;
        let curve = parsed.public_key().algorithm.parameters.as_ref().and_then(|curve| curve.as_oid().ok());
        let curve = curve.map(|oid| oid.to_id_string());
        let algorithm = parsed.public_key().algorithm.algorithm.to_id_string();
        let (key, key_bits) = strength_of_key(&key, &algorithm, curve.as_deref());
        let (signature, signature_bits) = strength_of_signature(&parsed.signature_algorithm.algorithm.to_id_string());
        Ok(Certificate {
            not_before: millis(parsed.validity().not_before.timestamp()),
            not_after: millis(parsed.validity().not_after.timestamp()),
            names: names.take(MAX_NAMES).collect(),
            key,
            key_bits,
            signature,
            signature_bits,
            self_signed: parsed.subject().as_raw() == parsed.issuer().as_raw(),
        })
    }

    /// Whether it holds at this moment, and for how long.
    pub fn validity(&self, now: UnixMillis) -> Validity {
        if now < self.not_before || now > self.not_after {
            return Validity::Invalid;
        }
        if self.not_after.since_ms(now) < ENDS_SOON_MS { Validity::EndsSoon } else { Validity::Valid }
    }

    /// Whether it is for this host: an IP address, or a DNS name without a dot at its end (RFC 9525: a wildcard is the
    /// whole of the first label, and stands for one label).
    pub fn is_for(&self, host: &str) -> bool {
        if let Ok(address) = host.parse::<IpAddr>() {
            return self.names.iter().any(|name| name.parse() == Ok(address));
        }
        self.names.iter().any(|name| match name.strip_prefix("*.") {
            Some(rest) => host.split_once('.').is_some_and(|(_, parent)| parent.eq_ignore_ascii_case(rest)),
            None => name.eq_ignore_ascii_case(host),
        })
    }

    /// What it says of each setting, for a server that is called `host`.
    pub fn facts(&self, host: &str, now: UnixMillis) -> [(Setting, Fact); 4] {
        let bits = |bits: Option<u16>, seen: &str| match bits {
            Some(bits) => Fact::known(Value::Strength(bits), seen),
            None => Fact::Unknown { why: format!("nothing is known here of the strength of {seen}") },
        };
        let names = if self.is_for(host) { "it names the host" } else { "it does not name the host" };
        let validity = format!("holds from {} ms to {} ms", self.not_before.0, self.not_after.0);
        [
            (Setting::CertificateValidity, Fact::known(Value::Validity(self.validity(now)), validity)),
            (Setting::CertificateNames, Fact::known(Value::Holds(self.is_for(host)), names)),
            (Setting::CertificateSignature, bits(self.signature_bits, &self.signature)),
            (Setting::TlsKeyBits, bits(self.key_bits, &self.key)),
        ]
    }
}

/// Moments before 1970 are its beginning.
fn millis(seconds: i64) -> UnixMillis {
    UnixMillis(u64::try_from(seconds).unwrap_or(0).saturating_mul(1_000))
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some(quoted(name)),
        GeneralName::IPAddress(bytes) => {
            let v4 = <[u8; 4]>::try_from(*bytes).map(IpAddr::from);
            let v6 = || <[u8; 16]>::try_from(*bytes).map(IpAddr::from);
            v4.or_else(|_| v6()).ok().map(|address| address.to_string())
        }
        _ => None,
    }
}

/// NIST SP 800-57 part 1, revision 5, table 2; RFC 8032 for the Edwards curves; FIPS 204, table 1 for ML-DSA.
fn strength_of_key(key: &PublicKey<'_>, algorithm: &str, curve: Option<&str>) -> (String, Option<u16>) {
    match (key, algorithm, curve) {
        (PublicKey::RSA(rsa), ..) => {
            let bits = rsa.key_size();
            let strength = match bits {
                ..1_024 => 40,
                1_024..2_048 => 80,
                2_048..3_072 => 112,
                3_072..7_680 => 128,
                7_680..15_360 => 192,
                15_360.. => 256,
            };
            (format!("RSA {bits}"), Some(strength))
        }
        (_, _, Some("1.2.840.10045.3.1.1")) => ("EC P-192".to_owned(), Some(96)),
        (_, _, Some("1.3.132.0.33")) => ("EC P-224".to_owned(), Some(112)),
        (_, _, Some("1.2.840.10045.3.1.7")) => ("EC P-256".to_owned(), Some(128)),
        (_, _, Some("1.3.132.0.34")) => ("EC P-384".to_owned(), Some(192)),
        (_, _, Some("1.3.132.0.35")) => ("EC P-521".to_owned(), Some(256)),
        (_, "1.3.101.112", _) => ("Ed25519".to_owned(), Some(128)),
        (_, "1.3.101.113", _) => ("Ed448".to_owned(), Some(224)),
        (_, "2.16.840.1.101.3.4.3.17", _) => ("ML-DSA-44".to_owned(), Some(128)),
        (_, "2.16.840.1.101.3.4.3.18", _) => ("ML-DSA-65".to_owned(), Some(192)),
        (_, "2.16.840.1.101.3.4.3.19", _) => ("ML-DSA-87".to_owned(), Some(256)),
        (_, other, _) => (quoted(other), None),
    }
}

/// Half of the hash's length, and less where it is broken: MD5 in seconds, SHA-1 in 2^63 steps (RFC 6194, SHAttered).
/// RSASSA-PSS names its hash in parameters that are not read here: its strength is not known.
fn strength_of_signature(algorithm: &str) -> (String, Option<u16>) {
    let (name, bits) = match algorithm {
        "1.2.840.113549.1.1.4" => ("MD5 with RSA", Some(18)),
        "1.2.840.113549.1.1.5" => ("SHA-1 with RSA", Some(63)),
        "1.2.840.113549.1.1.14" => ("SHA-224 with RSA", Some(112)),
        "1.2.840.113549.1.1.11" => ("SHA-256 with RSA", Some(128)),
        "1.2.840.113549.1.1.12" => ("SHA-384 with RSA", Some(192)),
        "1.2.840.113549.1.1.13" => ("SHA-512 with RSA", Some(256)),
        "1.2.840.10045.4.1" => ("SHA-1 with ECDSA", Some(63)),
        "1.2.840.10045.4.3.1" => ("SHA-224 with ECDSA", Some(112)),
        "1.2.840.10045.4.3.2" => ("SHA-256 with ECDSA", Some(128)),
        "1.2.840.10045.4.3.3" => ("SHA-384 with ECDSA", Some(192)),
        "1.2.840.10045.4.3.4" => ("SHA-512 with ECDSA", Some(256)),
        "1.3.101.112" => ("Ed25519", Some(128)),
        "1.3.101.113" => ("Ed448", Some(224)),
        "2.16.840.1.101.3.4.3.17" => ("ML-DSA-44", Some(128)),
        "2.16.840.1.101.3.4.3.18" => ("ML-DSA-65", Some(192)),
        "2.16.840.1.101.3.4.3.19" => ("ML-DSA-87", Some(256)),
        "1.2.840.113549.1.1.10" => ("RSASSA-PSS", None),
        other => return (quoted(other), None),
    };
    (name.to_owned(), bits)
}

#[cfg(test)]
mod tests;
