use super::*;
use crate::SignerKey;
use proptest::prelude::*;

/// The example of golang.org/x/mod/sumdb/note.
const GO_SIGNER: &str = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
const GO_NOTE: &str = "If you think cryptography is the answer to your problem,\n\
    then you don't know what your problem is.\n\
    \n\
    — PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

fn signer(name: &str, seed: u8) -> SignerKey {
    SignerKey::new(KeyName::new(name).unwrap(), &[seed; 32])
}

fn signed(text: &str, keys: &[&SignerKey]) -> Note {
    Note::new(text.to_owned(), keys.iter().map(|key| key.sign(text)).collect())
}

fn check_refused(note: &str, expected: ParseNoteError) {
    assert_eq!(note.parse::<Note>(), Err(expected), "{note:?}");
}

#[test]
fn a_note_is_signed_and_written_as_go_does() {
    let key = SignerKey::from_private_text(GO_SIGNER).unwrap();
    let note: Note = GO_NOTE.parse().unwrap();
    assert_eq!(note.verify(&[key.verifier()]), Ok(vec![key.verifier()]));
    assert_eq!(signed(note.text(), &[&key]).to_string(), GO_NOTE);
}

#[test]
fn signatures_of_unknown_keys_are_kept_and_ignored() {
    let (ours, stranger, namesake) = (signer("log", 1), signer("witness", 2), signer("log", 3));
    let note: Note = signed("text\n\nmore\n", &[&stranger, &namesake, &ours]).to_string().parse().unwrap();
    assert_eq!(note.text(), "text\n\nmore\n");
    assert_eq!(note.signatures().len(), 3);
    assert_eq!(note.verify(&[ours.verifier()]), Ok(vec![ours.verifier()]));
    assert_eq!(note.verify(&[ours.verifier(), stranger.verifier()]), Ok(vec![stranger.verifier(), ours.verifier()]));
}

#[test]
fn a_note_without_a_known_signature_names_both_keys() {
    let (ours, stranger) = (signer("log", 1), signer("other", 2));
    let error = signed("text\n", &[&stranger]).verify(&[ours.verifier()]).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "the note is signed by other (key id {}), not by log (key id {})",
            stranger.verifier().id(),
            ours.verifier().id()
        )
    );
}

#[test]
fn a_known_key_whose_signature_does_not_fit_fails_the_note() {
    let (ours, witness) = (signer("log", 1), signer("witness", 2));
    let mut bad = witness.sign("another text\n");
    let note = Note::new("text\n".to_owned(), vec![ours.sign("text\n"), bad.clone()]);
    let known = [ours.verifier(), witness.verifier()];
    assert!(matches!(note.verify(&known), Err(VerifyNoteError::BadSignature { .. })));
    assert!(note.verify(&known[..1]).is_ok());
    bad.signature.truncate(10);
    let note = Note::new("text\n".to_owned(), vec![bad]);
    assert!(matches!(note.verify(&known), Err(VerifyNoteError::BadSignature { .. })));
}

#[test]
fn every_altered_bit_of_text_or_signature_is_noticed() {
    let key = signer("log", 1);
    let note = signed("a text\n", &[&key]).to_string();
    let known = [key.verifier()];
    for at in 0..note.len() * 8 {
        let mut bytes = note.clone().into_bytes();
        bytes[at / 8] ^= 1 << (at % 8);
        let Ok(altered) = String::from_utf8(bytes) else { continue };
        assert!(altered.parse::<Note>().map_or(true, |note| note.verify(&known).is_err()), "{altered:?}");
    }
}

#[test]
fn what_is_not_a_note_is_refused() {
    let line = "— a AAAAAAA=\n";
    assert!(format!("text\n\n{line}").parse::<Note>().is_ok());
    check_refused("", ParseNoteError::NoSeparator);
    check_refused("text\n", ParseNoteError::NoSeparator);
    check_refused("text\n\n", ParseNoteError::NoSignature);
    check_refused(&format!("text\n{line}"), ParseNoteError::NoSeparator);
    check_refused("text\n\n— a AAAAAAA=", ParseNoteError::NoSignature);
    check_refused(&format!("te\rxt\n\n{line}"), ParseNoteError::Control { character: '\r', at: 2 });
    check_refused(&format!("t\0\n\n{line}"), ParseNoteError::Control { character: '\0', at: 1 });
    for malformed in ["- a AAAAAAA=", "—a AAAAAAA=", "— a", "— a AAAAAA==", "— a AAAAAAA", "— a AAAAAAB=", "— a b AAAA"]
    {
        let expected = ParseNoteError::Line { found: malformed.to_owned() };
        check_refused(&format!("text\n\n{line}{malformed}\n"), expected);
    }
    assert!(matches!("text\n\n— a+b AAAAAAA=\n".parse::<Note>(), Err(ParseNoteError::Name(_))));
    assert!(format!("text\n\n{}", line.repeat(MAX_SIGNATURES)).parse::<Note>().is_ok());
    check_refused(&format!("text\n\n{}", line.repeat(MAX_SIGNATURES + 1)), ParseNoteError::TooManySignatures);
    let long = format!("{}\n\n{line}", "a".repeat(MAX_NOTE_BYTES));
    check_refused(&long, ParseNoteError::TooLong { found: long.len() });
}

#[test]
fn sixteen_post_quantum_signatures_fit() {
    let signature = NoteSignature { name: KeyName::new("w").unwrap(), id: KeyId([0; 4]), signature: vec![0; 5000] };
    let note = Note::new("text\n".to_owned(), vec![signature; 16]);
    assert_eq!(note.to_string().parse(), Ok(note));
}

proptest! {
    #[test]
    fn any_text_is_a_note_or_refused(text in "[a\n— =A+]{0,30}(\n\n)?(— a AAAAAAA=\n){0,2}") {
        if let Ok(note) = text.parse::<Note>() {
            prop_assert_eq!(note.to_string(), text);
        }
    }
}
