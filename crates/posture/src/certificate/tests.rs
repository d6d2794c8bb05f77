use super::*;
use certs::{Authority, Validity as Made};
use proptest::prelude::*;

fn read(names: &[&str], validity: Made) -> Certificate {
    let pem = Authority::new("ours").server(names, validity).cert;
    let (_, pem) = x509_parser::pem::parse_x509_pem(pem.as_bytes()).unwrap();
    Certificate::read(&pem.contents).unwrap()
}

const NOW: UnixMillis = UnixMillis(1_790_000_000_000);

fn check(names: &[&str], host: &str, expect: bool) {
    assert_eq!(read(names, Made::Long).is_for(host), expect, "{names:?} for {host}");
}

#[test]
fn a_name_is_whole_or_has_a_wildcard_for_one_label() {
    check(&["green.example"], "green.example", true);
    check(&["green.example"], "GREEN.example", true);
    check(&["green.example"], "blue.green.example", false);
    check(&["*.example.com"], "green.example.com", true);
    check(&["*.example.com"], "a.green.example.com", false);
    check(&["*.example.com"], "example.com", false);
    check(&["127.0.0.1"], "127.0.0.1", true);
    check(&["127.0.0.1"], "127.0.0.2", false);
    check(&["::1"], "0:0:0:0:0:0:0:1", true);
}

#[test]
fn facts_of_a_certificate() {
    let good = read(&["localhost", "10.0.0.1"], Made::Long);
    assert_eq!((good.key.as_str(), good.key_bits), ("EC P-256", Some(128)));
    assert_eq!((good.signature.as_str(), good.signature_bits), ("SHA-256 with ECDSA", Some(128)));
    assert_eq!(good.names, BTreeSet::from(["10.0.0.1".to_owned(), "localhost".to_owned()]));
    assert!(!good.self_signed);
    assert_eq!(good.validity(NOW), Validity::Valid);
    let over = read(&["localhost"], Made::Over);
    assert_eq!(over.validity(NOW), Validity::Invalid);
    assert_eq!(over.validity(UnixMillis(over.not_after.0 - 1)), Validity::EndsSoon);
    assert_eq!(over.validity(UnixMillis(over.not_before.0)), Validity::Valid);
    assert_eq!(over.validity(UnixMillis(over.not_before.0 - 1)), Validity::Invalid);
    let (_, own) = x509_parser::pem::parse_x509_pem(Authority::new("ours").pem().as_bytes()).unwrap();
    assert!(Certificate::read(&own.contents).unwrap().self_signed);
}

#[test]
fn what_is_no_certificate_is_refused() {
    let long = vec![0x30; MAX_CERTIFICATE_BYTES + 1];
    assert_eq!(Certificate::read(&long), Err(CertificateError::TooLong { bytes: long.len() }));
    assert!(matches!(Certificate::read(b"-----BEGIN"), Err(CertificateError::Malformed { .. })));
}

proptest! {
    #[test]
    fn a_broken_certificate_never_panics(at in 0_usize..400, byte: u8, cut in 0_usize..400) {
        let pem = Authority::new("ours").pem().to_owned();
        let (_, pem) = x509_parser::pem::parse_x509_pem(pem.as_bytes()).unwrap();
        let mut der = pem.contents;
        let at = at % der.len();
        der[at] = byte;
        let _ = Certificate::read(&der);
        der.truncate(cut);
        let _ = Certificate::read(&der);
    }
}
