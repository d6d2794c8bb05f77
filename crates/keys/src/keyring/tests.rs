use super::*;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use tempfile::TempDir;

fn origin() -> KeyName {
    KeyName::new("example.com/log").unwrap()
}

/// A data folder with a passphrase's file.
struct Data(TempDir);

impl Data {
    fn new() -> Data {
        let data = Data(tempfile::tempdir().unwrap());
        fs::write(data.path("passphrase"), "correct horse\n").unwrap();
        fs::set_permissions(data.path("passphrase"), Permissions::from_mode(0o600)).unwrap();
        data
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn plain(&self) -> KeySource {
        KeySource::File { path: self.path("ledger.key"), passphrase: None }
    }

    fn open(&self, key: &KeySource, next: Option<&KeySource>) -> Result<Keyring, KeyError> {
        Keyring::open(key, next, &self.path("ledger.key.pub"), origin())
    }

    fn public(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap().trim_end().to_owned()
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(self.0.path()).unwrap().map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
        names.retain(|name| name != "passphrase");
        names.sort();
        names
    }
}

fn verifier(signer: &LogSigner) -> VerifierKey {
    signer.verifier().clone()
}

#[test]
fn a_key_is_made_when_it_is_asked_for_and_not_before() {
    let data = Data::new();
    let mut keyring = data.open(&data.plain(), None).unwrap();
    assert!(!keyring.is_there() && !keyring.has_signed() && data.names().is_empty());
    let made = keyring.make([7; 32]).unwrap();
    assert_eq!(keyring.settle(made.current.verifier()).unwrap(), Settled::InForce);
    let mut again = data.open(&data.plain(), None).unwrap();
    assert!(again.is_there() && again.has_signed());
    assert_eq!(again.make([8; 32]).unwrap().current.verifier(), made.current.verifier());
    assert_eq!(data.names(), ["ledger.key", "ledger.key.pub"]);
}

/// A rotation as the ledger sees it, with a crash after each step: files that another process finds.
#[test]
fn files_follow_the_ledger_and_a_crash_between_them_is_completed() {
    let data = Data::new();
    let mut keyring = data.open(&data.plain(), None).unwrap();
    let old = verifier(&keyring.make([7; 32]).unwrap().current);
    let new = verifier(&keyring.make_next([8; 32]).unwrap());
    // Nothing is in the ledger yet: the new key waits, and the next attempt takes it.
    let mut keyring = data.open(&data.plain(), None).unwrap();
    assert_eq!(keyring.settle(&old).unwrap(), Settled::Waiting);
    assert_eq!(verifier(&keyring.make_next([9; 32]).unwrap()), new);
    let signers = keyring.make([9; 32]).unwrap();
    assert_eq!((verifier(&signers.current), verifier(&signers.next.unwrap())), (old.clone(), new.clone()));
    // The private key has its new name, the public one has not.
    fs::rename(data.path("ledger.key.next"), data.path("ledger.key")).unwrap();
    let mut keyring = data.open(&data.plain(), None).unwrap();
    assert_eq!(verifier(&keyring.make([9; 32]).unwrap().current), new);
    assert_eq!(keyring.settle(&new).unwrap(), Settled::InForce);
    assert_eq!(data.public("ledger.key.pub"), new.to_string());
    assert_eq!(data.names(), ["ledger.key", "ledger.key.pub"]);
    // And once more, without a crash, and twice, as a ledger that is opened again does.
    let next = verifier(&keyring.make_next([10; 32]).unwrap());
    assert_eq!(keyring.settle(&next).unwrap(), Settled::Switched);
    assert_eq!(keyring.settle(&next).unwrap(), Settled::Switched);
    let kept = format!("ledger.key.{}.pub", new.id());
    assert_eq!(data.public(&kept), new.to_string());
    let mut expected = vec!["ledger.key".to_owned(), "ledger.key.pub".to_owned(), kept];
    expected.sort();
    assert_eq!(data.names(), expected);
    assert_eq!(verifier(&data.open(&data.plain(), None).unwrap().make([9; 32]).unwrap().current), next);
}

#[test]
fn a_next_key_that_the_configuration_names_stays_where_it_is() {
    let data = Data::new();
    let next = KeySource::File { path: data.path("next.key"), passphrase: None };
    let mut keyring = data.open(&data.plain(), Some(&next)).unwrap();
    let old = verifier(&keyring.make([7; 32]).unwrap().current);
    assert_eq!(keyring.settle(&old).unwrap(), Settled::InForce);
    let new = verifier(&keyring.make_next([8; 32]).unwrap());
    assert_eq!(keyring.settle(&old).unwrap(), Settled::Waiting);
    assert_eq!(keyring.settle(&new).unwrap(), Settled::GoneOn);
    // Beside the ledger stands the key in force.
    assert_eq!(data.public("ledger.key.pub"), new.to_string());
    assert_eq!(data.public(&format!("ledger.key.{}.pub", old.id())), old.to_string());
    assert!(data.path("next.key").exists() && data.path("ledger.key").exists());
}

#[test]
fn another_s_public_key_is_not_replaced() {
    let data = Data::new();
    let key = KeySource::File { path: data.path("elsewhere.key"), passphrase: None };
    fs::write(data.path("ledger.key.pub"), "somebody else's\n").unwrap();
    let mut keyring = data.open(&key, None).unwrap();
    let signers = keyring.make([7; 32]).unwrap();
    assert!(matches!(keyring.settle(signers.current.verifier()), Err(KeyError::OtherPublicKey { .. })));
    assert_eq!(data.public("ledger.key.pub"), "somebody else's");
}

/// The whole cost of scrypt, once: what is written is what `age` writes.
#[test]
fn a_file_is_made_encrypted_and_asks_for_the_right_passphrase() {
    let data = Data::new();
    let passphrase = Some(SecretFrom::File(data.path("passphrase")));
    let encrypted = KeySource::File { path: data.path("ledger.key"), passphrase };
    let made = verifier(&data.open(&encrypted, None).unwrap().make([7; 32]).unwrap().current);
    let file = fs::read(data.path("ledger.key")).unwrap();
    assert!(crate::is_encrypted(&file));
    assert_eq!(fs::metadata(data.path("ledger.key")).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(verifier(&data.open(&encrypted, None).unwrap().make([8; 32]).unwrap().current), made);
    let words = |error: KeyError| std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
    assert!(words(data.open(&data.plain(), None).err().unwrap()).starts_with("it is encrypted, and no passphrase"));
    fs::write(data.path("passphrase"), "wrong horse\n").unwrap();
    assert_eq!(words(data.open(&encrypted, None).err().unwrap()), "the passphrase is wrong");
    let missing =
        KeySource::File { path: data.path("ledger.key"), passphrase: Some(SecretFrom::File(data.path("absent"))) };
    assert!(matches!(data.open(&missing, None), Err(KeyError::Secret(SecretError::Missing { .. }))));
}
