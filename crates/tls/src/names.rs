//! Whom a client's certificate names. It is asked of certificates alone that a handshake has verified.

use rustls::pki_types::CertificateDer;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// A SPIFFE id has at most 2,048 bytes (SPIFFE-ID, section 2.3), a common name at most 64 characters (X.520, ub-common-name).
const MAX_SPIFFE_BYTES: usize = 2_048;
const MAX_COMMON_NAME_BYTES: usize = 256;

/// The one name of a certificate. They are of different kinds so that one cannot pass for the other: an authority that
/// lets people choose their common name must not make them a workload.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Names {
    /// `spiffe://trust-domain/path`, of the certificate's one URI (SPIFFE X.509-SVID, section 2).
    Spiffe(String),
    /// `CN=name`, of the subject's one common name, where the certificate has no URI at all.
    Subject(String),
    /// None that counts: no common name or several, several URIs, or a URI of another kind.
    None,
}

impl Names {
    /// Of a certificate that was verified.
    pub fn of(certificate: &CertificateDer<'_>) -> Names {
        let Ok((_, certificate)) = X509Certificate::from_der(certificate) else { return Names::None };
        let alternative = match certificate.subject_alternative_name() {
            Ok(found) => found.map(|found| &found.value.general_names[..]).unwrap_or_default(),
            Err(_) => return Names::None,
        };
        let mut uris = alternative.iter().filter_map(|name| match name {
            GeneralName::URI(uri) => Some(*uri),
            _ => None,
        });
        match (uris.next(), uris.next()) {
            (Some(uri), None) if is_spiffe(uri) => return Names::Spiffe(uri.to_owned()),
            (Some(_), _) => return Names::None,
            (None, _) => {}
        }
        let mut names = certificate.subject().iter_common_name().map(|name| name.as_str());
        match (names.next(), names.next()) {
            (Some(Ok(name)), None) if is_common_name(name) => Names::Subject(format!("CN={name}")),
            _ => Names::None,
        }
    }

    /// As the configuration names it.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Names::Spiffe(name) | Names::Subject(name) => Some(name),
            Names::None => None,
        }
    }

    /// The name that a configuration says, or what was expected in its place.
    pub fn read(text: &str) -> Result<Names, &'static str> {
        match text.strip_prefix("CN=") {
            Some(name) if is_common_name(name) => Ok(Names::Subject(text.to_owned())),
            None if is_spiffe(text) => Ok(Names::Spiffe(text.to_owned())),
            Some(_) | None => Err("spiffe://trust-domain/path or CN=name"),
        }
    }
}

/// Until when a certificate holds, in seconds since 1970: what a handshake looked at once, for whoever looks again later.
/// 0 for what cannot be read.
pub fn not_after_secs(certificate: &CertificateDer<'_>) -> u64 {
    let read = X509Certificate::from_der(certificate);
    read.map_or(0, |(_, it)| u64::try_from(it.validity().not_after.timestamp()).unwrap_or(0))
}

/// The letters that a SPIFFE id may have; no query, no fragment, no user, no port, no empty or relative segment.
fn is_spiffe(uri: &str) -> bool {
    let Some(rest) = uri.strip_prefix("spiffe://") else { return false };
    let mut parts = rest.split('/');
    let domain = parts.next().unwrap_or_default();
    let in_domain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-._".contains(c);
    let in_path = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    uri.len() <= MAX_SPIFFE_BYTES
        && !domain.is_empty()
        && domain.chars().all(in_domain)
        && parts.all(|part| !matches!(part, "" | "." | "..") && part.chars().all(in_path))
}

fn is_common_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= MAX_COMMON_NAME_BYTES && name.trim() == name && !name.contains(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, SanType};

    fn check(common_names: &[&str], uris: &[&str], expected: Names) {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        common_names.iter().for_each(|name| params.distinguished_name.push(DnType::CommonName, *name));
        let uri = |uri: &&str| SanType::URI((*uri).try_into().unwrap());
        params.subject_alt_names = uris.iter().map(uri).collect();
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        assert_eq!(Names::of(certificate.der()), expected, "{common_names:?} {uris:?}");
    }

    #[test]
    fn a_certificate_has_one_name_of_one_kind() {
        let spiffe = |name: &str| Names::Spiffe(name.to_owned());
        check(&["ada"], &[], Names::Subject("CN=ada".to_owned()));
        check(&["ada"], &["spiffe://corp.example/ci/deploy"], spiffe("spiffe://corp.example/ci/deploy"));
        check(&["spiffe://corp.example/ci"], &[], Names::Subject("CN=spiffe://corp.example/ci".to_owned()));
        check(&["ada"], &["https://corp.example/ci"], Names::None);
        check(&["ada"], &["spiffe://corp.example/a", "spiffe://corp.example/b"], Names::None);
        check(&["ada"], &["spiffe://corp.example/a", "https://corp.example/"], Names::None);
        check(&[], &[], Names::None);
        check(&[" "], &[], Names::None);
    }

    #[test]
    fn a_configuration_names_what_a_certificate_can_have() {
        for good in ["spiffe://corp.example", "spiffe://corp.example/a/b-c", "CN=ada", "CN=Ada Lovelace"] {
            assert_eq!(Names::read(good).unwrap().as_str(), Some(good));
        }
        let none = ["", "ada", "CN=", "CN= ada", "spiffe://", "spiffe:///a", "spiffe://Corp/a", "spiffe://c:1/a"];
        for bad in none.into_iter().chain(["spiffe://c/../a", "spiffe://c//a", "spiffe://c/a?b", "spiffe://u@c/a"]) {
            assert!(Names::read(bad).is_err(), "{bad}");
        }
    }
}
