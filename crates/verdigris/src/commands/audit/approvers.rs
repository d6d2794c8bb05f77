//! `--approvers FILE`: whose key is whose, as an auditor knows it by another way than the ledger.

use crate::describe::{Failed, read_text};
use audit::approvals::KnownKeys;
use rollout::approval::PublicKey;
use std::path::Path;

/// 64 principals with four keys of 2,000 characters each.
const MAX_BYTES: u64 = 512 * 1024;

/// Reads a file in the form of OpenSSH's allowed signers (`ssh-keygen(1)`, "ALLOWED SIGNERS"): `name[,name] key` a line.
/// Options other than `namespaces` are refused, for nothing here would hold to them.
pub(super) fn read(path: &Path) -> Result<KnownKeys, Failed> {
    let text = read_text(path, MAX_BYTES)?;
    let mut known = KnownKeys::new();
    for (number, line) in (1..).zip(text.lines()) {
        let refused = |words: String| Failed::usage(format!("{}:{number}: {words}", path.display()));
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let expected = || refused("expected `name ssh-ed25519 AAAA…`".to_owned());
        let (names, rest) = line.split_once([' ', '\t']).ok_or_else(expected)?;
        let mut key = rest.trim_start();
        while let Some((word, more)) = key.split_once([' ', '\t']).filter(|(word, _)| !is_key_type(word)) {
            if !word.starts_with("namespaces=") {
                return Err(refused(format!(
                    "found {word:?}, expected a key: of the options `namespaces` alone is read"
                )));
            }
            key = more.trim_start();
        }
        let key = PublicKey::from_line(key).map_err(|error| refused(error.to_string()))?;
        for name in names.split(',').filter(|name| !name.is_empty()) {
            known.entry(name.to_owned()).or_default().insert(key.clone());
        }
    }
    match known.is_empty() {
        true => {
            Err(Failed::usage(format!("{}: no line names a key, expected `name ssh-ed25519 AAAA…`", path.display())))
        }
        false => Ok(known),
    }
}

fn is_key_type(word: &str) -> bool {
    word == rollout::approval::PASSKEY_TYPE
        || word.starts_with("ssh-")
        || word.starts_with("sk-ssh-")
        || word.starts_with("ecdsa-")
        || word.starts_with("sk-ecdsa-")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_lines(text: &str) -> Result<KnownKeys, Failed> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("allowed");
        std::fs::write(&path, text).unwrap();
        read(&path)
    }

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAwkMrEM+qYjRbXvtT6xcLmFxHYn9tHLs/dBUCrEZpJ1";

    #[test]
    fn lines_are_those_of_allowed_signers() {
        let text =
            format!("# ours\n\nada,grace {KEY} ada@example.com\nbob namespaces=\"approval@verdigris.dev\" {KEY}\n");
        let known = read_lines(&text).unwrap_or_else(|failed| panic!("{failed}"));
        assert_eq!(known.keys().collect::<Vec<_>>(), ["ada", "bob", "grace"]);
        assert_eq!(known["ada"], known["bob"]);
    }

    #[test]
    fn a_passkey_is_named_by_its_line() {
        // An Ed25519 key (RFC 8410): of the seed 0x07 32 times.
        let key = "webauthn AQEBAQEBAQEBAQEBAQEBAQ MCowBQYDK2VwAyEA6kpsY-KcUgq-9VB7Ey7F-ZVHdq6-vnuSQh7qaRRG0iw \
                   verdigris.example https://verdigris.example";
        let known = read_lines(&format!("bob namespaces=\"approval@verdigris.dev\" {key} bob's phone\nada {KEY}\n"))
            .unwrap_or_else(|failed| panic!("{failed}"));
        let bob = known["bob"].first().and_then(PublicKey::passkey).expect("a passkey");
        assert_eq!((bob.rp_id(), bob.origin()), ("verdigris.example", "https://verdigris.example"));
        let failed = read_lines("bob webauthn AQEB AAAA localhost http://localhost").err();
        let failed = failed.map(|failed| failed.to_string()).unwrap_or_default();
        assert!(failed.contains(":1: the key is no SubjectPublicKeyInfo"), "{failed}");
    }

    #[test]
    fn what_would_not_be_held_to_is_refused_with_its_line() {
        for (text, words) in [
            (format!("ada valid-before=\"20200101\" {KEY}"), ":1: found \"valid-before="),
            ("\nada".to_owned(), ":2: expected `name ssh-ed25519 AAAA…`"),
            ("ada ssh-ed25519 AAAA".to_owned(), ":1: not a public key"),
            ("# nobody".to_owned(), "no line names a key"),
        ] {
            let failed = read_lines(&text).err().map(|failed| failed.to_string()).unwrap_or_default();
            assert!(failed.contains(words), "{failed}");
        }
    }
}
