//! The ledger's texts (C2SP signed-note, tlog-checkpoint, tlog-proof, tlog-witness): whatever is read is written again as the
//! same bytes, so that no two texts are one; and no key that signed nothing here verifies anything.

use ::ledger::{AddCheckpoint, Checkpoint, KeyName, LogProof, Note, SignerKey, VerifierKey, WitnessKey};
use std::fmt::Display;
use std::str::FromStr;

/// The target: any text, taken for each of them.
pub(crate) fn run(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    same::<Note>(text);
    same::<Checkpoint>(text);
    same::<LogProof>(text);
    same::<AddCheckpoint>(text);
    same::<VerifierKey>(text);
    same::<WitnessKey>(text);
    if let Ok(note) = text.parse::<Note>() {
        let nobody = SignerKey::new(KeyName::new("fuzz.example/nobody").expect("a name"), &[1; 32]);
        assert!(Checkpoint::open_note(&note, nobody.verifier()).is_err(), "nothing was signed by this key");
    }
}

fn same<T: FromStr<Err: Display> + Display>(text: &str) {
    match text.parse::<T>() {
        Ok(read) => assert_eq!(read.to_string(), text, "what was read is written as it was"),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
