use super::*;

/// The example of golang.org/x/mod/sumdb/note: made by the implementation that the format comes from.
const GO_SIGNER: &str = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
const GO_VERIFIER: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";

fn check_refused(key: &str, expected: &str) {
    assert_eq!(key.parse::<VerifierKey>().unwrap_err().to_string(), expected);
}

#[test]
fn keys_are_read_and_written_as_go_does() {
    let signer = SignerKey::from_private_text(GO_SIGNER).unwrap();
    assert_eq!(signer.to_private_text(), GO_SIGNER);
    assert_eq!(signer.verifier().to_string(), GO_VERIFIER);
    assert_eq!(GO_VERIFIER.parse::<VerifierKey>().unwrap(), *signer.verifier());
}

#[test]
fn a_fixed_seed_gives_fixed_keys() {
    let signer = SignerKey::new(KeyName::new("example.com/log").unwrap(), &[7; 32]);
    assert_eq!(signer.verifier().to_string(), GOLDEN_VERIFIER);
    assert_eq!(signer.to_private_text(), GOLDEN_SIGNER);
}

const GOLDEN_VERIFIER: &str = "example.com/log+702f3c70+AepKbGPinFIKvvVQexMuxfmVR3auvr57kkIe6mkURtIs";
const GOLDEN_SIGNER: &str = "PRIVATE+KEY+example.com/log+702f3c70+AQcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcH";

#[test]
fn a_private_key_is_not_shown() {
    let signer = SignerKey::from_private_text(GO_SIGNER).unwrap();
    assert_eq!(format!("{signer:?}"), format!("the private key of {GO_VERIFIER}"));
}

#[test]
fn names_have_no_spaces_plus_signs_or_control_characters() {
    for name in ["", "a b", "a+b", "a\u{a0}b", "a\u{2003}b", "a\nb", "a\u{85}b", "a\u{7f}b", &"a".repeat(1025)] {
        assert!(matches!(KeyName::new(name), Err(ParseKeyError::Name { .. })), "{name:?}");
    }
    for name in ["a", "example.com/log", "größe.example", &"a".repeat(1024)] {
        assert_eq!(KeyName::new(name).unwrap().as_str(), name);
    }
}

#[test]
fn what_is_not_a_key_is_refused() {
    for malformed in [
        "",
        "a",
        "a+b",
        "PeterNeumann+c74f20a3+",
        "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10T",
        "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW\n",
        "PeterNeumann+c74f20a3+A!pc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
    ] {
        check_refused(malformed, "expected a key of the form name+id+base64");
    }
    check_refused(
        "PeterNeumann+c74f20a3+Ahpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "the key of PeterNeumann has signature type 0x02: only Ed25519 (0x01) is supported",
    );
    for id in ["c74f20a4", "C74F20A3", "c74f20a"] {
        check_refused(
            &GO_VERIFIER.replace("c74f20a3", id),
            &format!("the key of PeterNeumann has the id c74f20a3, but its text says {id:?}: name or key was altered"),
        );
    }
    assert!(matches!(SignerKey::from_private_text(GO_VERIFIER), Err(ParseKeyError::Form { .. })));
    assert!(matches!(SignerKey::from_private_text(&GO_SIGNER.replace("Peter", "Paul")), Err(ParseKeyError::Id { .. })));
}
