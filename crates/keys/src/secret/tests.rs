use super::*;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

fn from_file(path: &Path) -> Result<String, String> {
    let secret = SecretFrom::File(path.to_owned()).read("passphrase", false);
    secret.map(|secret| secret.expose_secret().to_owned()).map_err(|error| error.to_string())
}

#[test]
fn a_file_holds_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("passphrase");
    let check = |content: &[u8], expected: Result<&str, &str>| {
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o400)).unwrap();
        let found = from_file(&path);
        match expected {
            Ok(secret) => assert_eq!(found.as_deref(), Ok(secret)),
            Err(words) => assert!(found.as_ref().is_err_and(|found| found.contains(words)), "{found:?}"),
        }
        fs::remove_file(&path).unwrap();
    };
    check(b"correct horse\n", Ok("correct horse"));
    check(b"correct horse", Ok("correct horse"));
    check(b"correct horse\r\n", Ok("correct horse"));
    check(b" spaces stay ", Ok(" spaces stay "));
    check(b"\n", Err("is empty: expected one line of 1 to 1024 bytes"));
    check(b"one\ntwo\n", Err("more than one line"));
    check(&[b'x'; MAX_SECRET_BYTES + 9], Err("too long"));
    check(b"\xff\n", Err("not UTF-8"));
}

#[test]
fn what_is_not_there_and_what_others_may_read_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("passphrase");
    assert!(from_file(&path).unwrap_err().contains("there is no passphrase: the file"));
    fs::write(&path, "secret").unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
    let error = SecretFrom::File(path).read("passphrase", false).unwrap_err();
    assert!(matches!(error, SecretError::File { source: KeyFileError::Exposed { mode: 0o640, .. }, .. }));
    let error = SecretFrom::Variable("VERDIGRIS_TEST_UNSET".to_owned()).read("PIN", false).unwrap_err();
    assert_eq!(error.to_string(), "there is no PIN: the environment variable VERDIGRIS_TEST_UNSET is not there");
    assert!(!format!("{:?}", Secret::from("tell nobody".to_owned())).contains("tell nobody"));
}
