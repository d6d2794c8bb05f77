use crate::{KeyFileError, load_or_create_signing_key};
use ledger::KeyName;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

fn name(name: &str) -> KeyName {
    KeyName::new(name).unwrap()
}

#[test]
fn a_key_is_made_once_and_kept() {
    let temporary = tempfile::tempdir().unwrap();
    let path = temporary.path().join("log.key");
    let made = load_or_create_signing_key(&path, &name("example.com/log"), [7; 32]).unwrap();
    let read = load_or_create_signing_key(&path, &name("example.com/log"), [8; 32]).unwrap();
    assert_eq!(read.to_private_text(), made.to_private_text());
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        "PRIVATE+KEY+example.com/log+702f3c70+AQcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcH\n"
    );
    assert_eq!(
        fs::read_to_string(temporary.path().join("log.key.pub")).unwrap(),
        "example.com/log+702f3c70+AepKbGPinFIKvvVQexMuxfmVR3auvr57kkIe6mkURtIs\n"
    );
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(temporary.path()).unwrap().count(), 2);
    // A crash between the two files leaves the second to the next call.
    fs::remove_file(temporary.path().join("log.key.pub")).unwrap();
    load_or_create_signing_key(&path, &name("example.com/log"), [8; 32]).unwrap();
    assert!(temporary.path().join("log.key.pub").exists());
}

#[test]
fn a_key_that_others_may_read_or_that_is_another_s_is_refused() {
    let temporary = tempfile::tempdir().unwrap();
    let path = temporary.path().join("log.key");
    let load = |origin: &str| load_or_create_signing_key(&path, &name(origin), [7; 32]).map(|_| ());
    load("example.com/log").unwrap();
    assert!(matches!(load("example.com/other"), Err(KeyFileError::OtherOrigin { .. })));
    for mode in [0o640, 0o604, 0o620, 0o610] {
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        assert!(matches!(load("example.com/log"), Err(KeyFileError::Exposed { mode: found, .. }) if found == mode));
    }
    fs::set_permissions(&path, Permissions::from_mode(0o400)).unwrap();
    load("example.com/log").unwrap();
    fs::write(temporary.path().join("log.key.pub"), "example.com/log+00000000+AAAA\n").unwrap();
    assert!(matches!(load("example.com/log"), Err(KeyFileError::OtherPublicKey { .. })));
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    for text in ["", "PRIVATE+KEY+example.com/log", "\n\n"] {
        fs::write(&path, text).unwrap();
        assert!(matches!(load("example.com/log"), Err(KeyFileError::Malformed { .. })));
    }
}
