//! Whoever knows a key that the ledger once had comes to the one that signed the bundle.

use super::*;
use crate::KeyChangeError;

fn refused(bundle: &Bundle, known: &SignerKey) -> KeyChangeError {
    match Bundle::verify(&bundle.to_bytes(), known.verifier()) {
        Err(VerifyBundleError::KeyChange(error)) => error,
        other => panic!("{:?}", other.map(drop)),
    }
}

#[test]
fn each_key_of_the_ledger_leads_to_the_last() {
    let bundle = Ledger::of_each_kind_of_file().bundle();
    let keys = [key(2), key(1)];
    for known in &keys {
        let (_, verified) = Bundle::verify(&bundle.to_bytes(), known.verifier()).unwrap();
        assert_eq!(verified.keys, keys.each_ref().map(|key| key.verifier().clone()));
    }
    assert!(matches!(refused(&bundle, &key(3)), KeyChangeError::UnknownKey { of } if of.len() == 2));
}

/// Whoever knows the old key alone believes nothing else than what it signed.
#[test]
fn a_change_that_the_old_key_did_not_sign_leads_nowhere() {
    let ledger = Ledger::of_each_kind_of_file();
    let whole = ledger.bundle();
    let with = |change: &dyn Fn(&mut LogProof)| {
        let mut bundle = whole.clone();
        change(bundle.key_changes.get_mut(&0).unwrap());
        refused(&bundle, &key(2))
    };
    let text = || Checkpoint::open_note(&whole.key_changes[&0].checkpoint, key(2).verifier()).unwrap();
    let by = |keys: &[u8]| {
        let signers: Vec<LogSigner> = keys.iter().map(|seed| key(*seed).into()).collect();
        text().signed_by(&signers.iter().collect::<Vec<_>>()).unwrap()
    };
    assert!(matches!(with(&|it| it.checkpoint = by(&[1])), KeyChangeError::Proof { .. }));
    assert!(matches!(with(&|it| it.checkpoint = by(&[2])), KeyChangeError::NewKey { .. }));
    assert!(matches!(with(&|it| it.checkpoint = by(&[1, 2])), KeyChangeError::Checkpoint { .. }));
    assert!(matches!(with(&|it| it.checkpoint = by(&[2, 1, 3])), KeyChangeError::Checkpoint { .. }));
    assert!(matches!(with(&|it| it.extra = None), KeyChangeError::NoRecord { .. }));
    let other = encoded(&ledger.records[1]);
    assert!(matches!(with(&|it| it.extra = Some(other.clone())), KeyChangeError::NoRecord { .. }));
    // A key of somebody else's who signs a change to a key of theirs.
    let mut forged = ledger.records[0].clone();
    forged.body = Body::KeyRotated { old: key(2).verifier().to_string(), new: key(3).verifier().to_string() };
    assert!(matches!(with(&|it| it.extra = Some(encoded(&forged))), KeyChangeError::Proof { .. }));
    // The change is left out.
    let mut without = whole.clone();
    without.key_changes.clear();
    let refused = Bundle::verify(&without.to_bytes(), key(2).verifier());
    assert!(matches!(refused, Err(VerifyBundleError::Checkpoint(_))));
}
