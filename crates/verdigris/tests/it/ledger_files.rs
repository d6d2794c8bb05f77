//! The ledger on disk is what C2SP tlog-tiles says, readable by nobody but its owner, and what it proves holds outside.

use crate::process::run;
use crate::stage::Stage;
use ledger::{Hash, LogProof, VerifierKey};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// A server with a rollout that waits, stopped in order: a ledger at rest.
fn at_rest() -> (Stage, u64) {
    let stage = Stage::set();
    stage.start(&stage.plan(&["pause: {}", "setWeight: 100%", "bake: { for: 1s }"])).expect(0);
    stage.server.rollout(&["rollback", "--reason", "done"]).expect(0);
    stage.server.rollout(&["watch"]).expect(3);
    let size = stage.server.ledger_command(&["verify"]).expect(0).json()["size"].as_u64().expect("a count");
    (stage, size)
}

/// Every path below a folder, with its mode; folders end in a slash.
fn files(folder: &Path, within: &str, found: &mut BTreeSet<(String, u32)>) {
    for entry in fs::read_dir(folder).expect("a folder of ours") {
        let entry = entry.expect("a folder of ours");
        let metadata = entry.metadata().expect("it is there");
        let name = format!("{within}{}", entry.file_name().to_string_lossy());
        let mode = metadata.permissions().mode() & 0o777;
        if metadata.is_dir() {
            found.insert((format!("{name}/"), mode));
            files(&entry.path(), &format!("{name}/"), found);
        } else {
            found.insert((name, mode));
        }
    }
}

#[test]
fn the_files_are_those_of_tlog_tiles_and_only_their_owner_reads_them() {
    let (stage, size) = at_rest();
    assert!((1..256).contains(&size), "one tile, not full: {size}");
    let mut found = BTreeSet::new();
    files(&stage.server.ledger(), "", &mut found);
    // Made before they are needed, each under a name that the next record may take.
    found.retain(|(path, mode)| !path.starts_with("tmp/") || path == "tmp/" || *mode != 0o600);
    let expected: BTreeSet<(String, u32)> = [
        ("checkpoint".to_owned(), 0o600),
        ("lock".to_owned(), 0o600),
        ("wal".to_owned(), 0o600),
        ("tmp/".to_owned(), 0o700),
        ("tile/".to_owned(), 0o700),
        ("tile/0/".to_owned(), 0o700),
        ("tile/0/000.p/".to_owned(), 0o700),
        (format!("tile/0/000.p/{size}"), 0o600),
        ("tile/entries/".to_owned(), 0o700),
        ("tile/entries/000.p/".to_owned(), 0o700),
        (format!("tile/entries/000.p/{size}"), 0o600),
    ]
    .into();
    assert_eq!(found, expected);
    let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    let data = stage.server.folder().join("data");
    assert_eq!(mode(&data), 0o700);
    assert_eq!(mode(&stage.server.ledger()), 0o700);
    assert_eq!(mode(&data.join("ledger.key")), 0o600);
    assert_eq!(mode(&stage.server.socket()), 0o600);
}

#[test]
fn the_checkpoint_and_the_tile_hold_what_the_specification_says() {
    let (stage, size) = at_rest();
    let read = |path: &str| fs::read(stage.server.ledger().join(path)).expect("the layout was checked");
    let checkpoint = String::from_utf8(read("checkpoint")).expect("a note is UTF-8");
    let lines: Vec<&str> = checkpoint.lines().collect();
    assert_eq!(lines[..2], ["verdigris.local/ledger", &size.to_string()], "origin and size: {checkpoint}");
    assert!(lines[3].is_empty() && lines[4].starts_with("— verdigris.local/ledger "), "a signature: {checkpoint}");
    // A bundle is the entries, each behind its length in two bytes; a tile is their hashes.
    let (tile, mut bundle) = (read(&format!("tile/0/000.p/{size}")), &*read(&format!("tile/entries/000.p/{size}")));
    assert_eq!(tile.len() as u64, size * 32);
    for hash in tile.chunks(32) {
        let (length, rest) = bundle.split_at(2);
        let (entry, rest) = rest.split_at(usize::from(u16::from_be_bytes([length[0], length[1]])));
        assert_eq!(Hash::of_leaf(entry).0, hash, "{}", String::from_utf8_lossy(entry));
        let record: serde_json::Value = serde_json::from_slice(entry).expect("a record is JSON");
        assert!(record.is_object(), "{record}");
        bundle = rest;
    }
    assert!(bundle.is_empty());
}

#[test]
fn a_proof_of_an_entry_holds_for_this_entry_and_this_key_alone() {
    let (stage, size) = at_rest();
    let key: VerifierKey = stage.server.verifier_key().parse().expect("serve prints a verifier key");
    let bundle = fs::read(stage.server.ledger().join(format!("tile/entries/000.p/{size}"))).expect("it is there");
    let width = u16::try_from(size).expect("below 256");
    let entries = ledger::decode_bundle(&bundle, width).expect("a bundle");
    for index in [0, size / 2, size - 1] {
        let proved = stage.server.ledger_command(&["proof", &index.to_string()]).expect(0).json();
        let proof: LogProof = proved["proof"].as_str().expect("a text").parse().expect("a tlog-proof");
        let at = usize::try_from(index).expect("below 256");
        let checkpoint = proof.verify(entries[at], &key).expect("the proof holds");
        assert_eq!(checkpoint.size(), size);
        assert!(proof.verify(entries[(at + 1) % entries.len()], &key).is_err(), "another entry is not proved");
        let other: VerifierKey = Stage::set().server.verifier_key().parse().expect("a verifier key");
        assert!(proof.verify(entries[at], &other).is_err(), "another key did not sign it");
    }
    stage.server.ledger_command(&["proof", &size.to_string()]).expect(5);
}

#[test]
fn a_ledger_is_verified_only_by_the_key_that_signed_it() {
    let (stage, other) = (Stage::set(), Stage::set());
    let dir = stage.server.ledger().display().to_string();
    let verify = |key: &str| run(&["ledger", "verify", "--dir", &dir, "--key", key, "--format", "json"]);
    assert_eq!(verify(&stage.server.verifier_key()).expect(0).json()["verified"], true);
    verify(&other.server.verifier_key()).expect(5);
    verify("no key+at all").expect(2);
    let beside = run(&["ledger", "verify", "--dir", &dir]).expect(0).stdout;
    assert!(beside.contains("the key was taken from beside the ledger"), "it says what that does not prove: {beside}");
}

#[test]
fn an_altered_entry_is_found() {
    let (stage, size) = at_rest();
    let path = stage.server.ledger().join(format!("tile/entries/000.p/{size}"));
    let mut bundle = fs::read(&path).expect("it is there");
    let middle = bundle.len() / 2;
    bundle[middle] ^= 1;
    fs::write(&path, bundle).expect("it is ours");
    let refused = stage.server.ledger_command(&["verify"]).expect(5);
    assert!(refused.stderr.contains("altered"), "{refused:?}");
}
