use super::*;
use crate::{Hash, KeyName};
use ed25519_dalek::{Signer as _, SigningKey};

/// A token with a key of its own, which may be another than the one that was named.
struct Token {
    seed: Option<[u8; 32]>,
}

impl Sign for Token {
    fn sign(&self, message: &[u8]) -> Result<[u8; SIGNATURE_BYTES], Box<dyn Error + Send + Sync>> {
        let seed = self.seed.ok_or("the token was removed")?;
        Ok(SigningKey::from_bytes(&seed).sign(message).to_bytes())
    }
}

fn key(seed: u8) -> SignerKey {
    SignerKey::new(KeyName::new("example.com/log").unwrap(), &[seed; 32])
}

fn checkpoint() -> Checkpoint {
    Checkpoint::new(key(7).verifier().name(), 3, Hash([1; 32]))
}

fn signed_by_token(seed: Option<[u8; 32]>) -> Result<Note, SignError> {
    let signer = LogSigner::elsewhere(key(7).verifier().clone(), Arc::new(Token { seed }));
    checkpoint().signed_by(&[&signer])
}

#[test]
fn a_key_elsewhere_makes_the_same_checkpoint_as_the_key_here() {
    assert_eq!(signed_by_token(Some([7; 32])).unwrap(), checkpoint().sign(&key(7)));
    assert_eq!(checkpoint().signed_by(&[&key(7).into()]).unwrap(), checkpoint().sign(&key(7)));
}

#[test]
fn another_key_and_a_token_that_is_gone_make_no_checkpoint() {
    assert!(matches!(signed_by_token(Some([8; 32])), Err(SignError::DoesNotFit { .. })));
    let error = signed_by_token(None).unwrap_err();
    assert_eq!(error.to_string(), format!("the key of {} did not sign", key(7).verifier()));
    assert_eq!(error.source().unwrap().to_string(), "the token was removed");
}

#[test]
fn two_keys_sign_one_checkpoint_and_each_verifies_alone() {
    let (old, new) = (key(7), key(8));
    let note = checkpoint().signed_by(&[&old.clone().into(), &new.clone().into()]).unwrap();
    assert_eq!(note.verify(&[old.verifier(), new.verifier()]).unwrap().len(), 2);
    for key in [old, new] {
        assert_eq!(Checkpoint::open_note(&note, key.verifier()).unwrap(), checkpoint());
    }
}

#[test]
fn no_secret_is_shown() {
    let shown = format!("{:?}", LogSigner::from(key(7)));
    assert_eq!(shown, format!("the private key of {}, here", key(7).verifier()));
}
