use super::*;
use crate::{Checkpoint, Hash, OpenCheckpointError, SignerKey};
use proptest::prelude::*;

fn name(name: &str) -> KeyName {
    KeyName::new(name).unwrap()
}

fn witness(seed: u8) -> CosignerKey {
    CosignerKey::new(name("witness.example.com/w1"), &[seed; 32])
}

fn log() -> SignerKey {
    SignerKey::new(name("example.com/log"), &[7; 32])
}

fn checkpoint() -> Note {
    Checkpoint::new(log().verifier().name(), 20_852_163, Hash([0xab; 32])).sign(&log())
}

/// Key and signature were made once by Python's `cryptography` (OpenSSL), from the specification's words.
const GOLDEN_VERIFIER: &str = "witness.example.com/w1+4bdc7eaa+BP0XJDhaoMdbZPt4zWAvodmR/ev3axPFjtcC6sg16fYY";
const GOLDEN_SIGNER: &str = "PRIVATE+KEY+witness.example.com/w1+4bdc7eaa+BAkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJ";
const GOLDEN_LINE: &str = "— witness.example.com/w1 S9x+qgAAAABkGFDLP0DRyaLfG3odUA6Kxt0MG8zXwY124c1rdPIpRMx/\
    SqiKBvn6a/R/GdyktHqOpJ9ubbf3KHEWloiPd2kFJDbRDA==";
const GOLDEN_AT_S: u64 = 1_679_315_147;

#[test]
fn keys_are_read_and_written_with_signature_type_4() {
    let key = witness(9);
    assert_eq!(key.verifier().to_string(), GOLDEN_VERIFIER);
    assert_eq!(key.to_private_text(), GOLDEN_SIGNER);
    assert_eq!(GOLDEN_VERIFIER.parse::<WitnessKey>().as_ref(), Ok(key.verifier()));
    assert_eq!(CosignerKey::from_private_text(GOLDEN_SIGNER).unwrap().to_private_text(), GOLDEN_SIGNER);
    assert_eq!(format!("{key:?}"), format!("the private key of {GOLDEN_VERIFIER}"));
}

#[test]
fn a_key_of_another_type_or_with_another_id_is_refused() {
    let of_log = log().verifier().to_string();
    assert_eq!(
        of_log.parse::<WitnessKey>().unwrap_err().to_string(),
        "the key of example.com/log has signature type 0x01: only an Ed25519 cosignature (0x04) is supported"
    );
    assert!(matches!(GOLDEN_VERIFIER.parse::<crate::VerifierKey>(), Err(ParseKeyError::Type { .. })));
    assert!(matches!(SignerKey::from_private_text(GOLDEN_SIGNER), Err(ParseKeyError::Type { .. })));
    assert!(matches!(GOLDEN_VERIFIER.replace("w1", "w2").parse::<WitnessKey>(), Err(ParseKeyError::Id { .. })));
    assert!(matches!(
        CosignerKey::from_private_text(&GOLDEN_SIGNER.replace("4bdc7eaa", "4bdc7eab")),
        Err(ParseKeyError::Id { .. })
    ));
}

#[test]
fn a_cosignature_is_written_to_fixed_bytes() {
    let signature = witness(9).cosign(checkpoint().text(), GOLDEN_AT_S);
    assert_eq!(signature.to_string(), GOLDEN_LINE);
    assert_eq!(signature.signature.len(), 72);
}

/// Ed25519 by itself, over bytes that stand here as the specification has them.
#[test]
fn what_is_signed_is_what_the_specification_says() {
    let signature = witness(9).cosign(checkpoint().text(), GOLDEN_AT_S).signature;
    let message = "cosignature/v1\ntime 1679315147\nexample.com/log\n20852163\n\
        q6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s=\n";
    let key = SigningKey::from_bytes(&[9; 32]).verifying_key();
    let bytes = Signature::from_slice(&signature[8..]).unwrap();
    key.verify_strict(message.as_bytes(), &bytes).unwrap();
    assert_eq!(signature[..8], GOLDEN_AT_S.to_be_bytes());
}

/// The example of the specification: its key is not published, so the signature is one of a stranger.
#[test]
fn the_specification_s_example_is_read() {
    let lines = "— witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n";
    let read = NoteSignature::parse_lines(lines).unwrap();
    assert_eq!((read[0].id.to_string(), read[0].signature.len()), ("8d66cf3f".to_owned(), 72));
    assert_eq!(read[0].signature[..8], 1_679_315_147u64.to_be_bytes());
}

#[test]
fn a_checkpoint_says_which_known_witness_cosigned_it_and_when() {
    let (one, two) = (witness(9), CosignerKey::new(name("w2"), &[10; 32]));
    let stranger = CosignerKey::new(name("w3"), &[11; 32]);
    let text = checkpoint().text().to_owned();
    let more = [one.cosign(&text, 5), stranger.cosign(&text, 6), one.cosign(&text, 9), one.cosign(&text, 7)];
    let note: Note = checkpoint().with_signatures(more).unwrap().to_string().parse().unwrap();
    let known = [one.verifier(), two.verifier()];
    let (opened, cosigned) = Checkpoint::open_cosigned(&note, log().verifier(), &known).unwrap();
    assert_eq!(opened.size(), 20_852_163);
    assert_eq!(cosigned, [Cosigned { witness: one.verifier(), at_s: 9 }]);
    let both = note.with_signatures([two.cosign(&text, 1)]).unwrap();
    assert_eq!(both.cosigned_by(&known).unwrap().len(), 2);
    assert_eq!(both.cosigned_by(&[]), Ok(Vec::new()));
}

#[test]
fn a_known_witness_s_cosignature_that_does_not_fit_fails_the_checkpoint() {
    let key = witness(9);
    let text = checkpoint().text().to_owned();
    let good = key.cosign(&text, 5);
    let check = |signature: NoteSignature| {
        let note = checkpoint().with_signatures([signature]).unwrap();
        let opened = Checkpoint::open_cosigned(&note, log().verifier(), &[key.verifier()]);
        assert!(matches!(opened, Err(OpenCheckpointError::Signature(VerifyNoteError::BadSignature { .. }))));
    };
    check(key.cosign("another\n1\ntext\n", 5));
    check(NoteSignature { signature: good.signature[..71].to_vec(), ..good.clone() });
    check(NoteSignature { signature: [&good.signature[..], &[0]].concat(), ..good.clone() });
    check(NoteSignature { signature: good.signature[..7].to_vec(), ..good.clone() });
    for bit in 0..72 * 8 {
        let mut altered = good.clone();
        altered.signature[bit / 8] ^= 1 << (bit % 8);
        check(altered);
    }
    // Beyond 2^63 - 1 nothing is a time, even if it was signed.
    let at_s = 1u64 << 63;
    let signed = key.key.sign(message(&text, at_s).as_bytes()).to_bytes();
    check(NoteSignature { signature: [&at_s.to_be_bytes()[..], &signed].concat(), ..good });
}

/// A log's signature by the same secret does not pass for a cosignature, and the other way round.
#[test]
fn a_note_s_signature_is_no_cosignature() {
    let (signer, key) = (SignerKey::new(name("w"), &[9; 32]), CosignerKey::new(name("w"), &[9; 32]));
    let signature = signer.sign("a\n1\n");
    assert!(!key.verifier().made(&signature), "another key id");
    assert_eq!(key.verifier().cosigned_at("a\n1\n", &signature.signature), None);
    assert!(!signer.verifier().verifies("a\n1\n", &key.cosign("a\n1\n", 1).signature[8..]));
}

proptest! {
    #[test]
    fn a_cosignature_tells_its_time(at_s in 0..=MAX_TIMESTAMP_S, text in "[a-z]{1,9}\n[0-9]{1,9}\n") {
        let key = witness(3);
        let signature = key.cosign(&text, at_s);
        prop_assert_eq!(key.verifier().cosigned_at(&text, &signature.signature), Some(at_s));
        prop_assert_eq!(key.verifier().cosigned_at(&format!("{text}x\n"), &signature.signature), None);
    }

    #[test]
    fn any_bytes_are_refused_without_harm(text in ".{0,40}", bytes in prop::collection::vec(any::<u8>(), 0..90)) {
        prop_assert_eq!(witness(3).verifier().cosigned_at(&text, &bytes), None);
    }

    #[test]
    fn any_text_is_a_key_or_refused(text in "(PRIVATE\\+KEY\\+)?[a-z+ ]{0,9}\\+[0-9a-f]{0,9}\\+[A-Za-z0-9+/=]{40,46}") {
        if let Ok(key) = text.parse::<WitnessKey>() {
            prop_assert_eq!(key.to_string(), text.clone());
        }
        let _ = CosignerKey::from_private_text(&text);
    }
}
