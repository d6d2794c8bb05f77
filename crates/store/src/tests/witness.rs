//! What witnesses cosigned of a ledger, and what a witness remembers.

use super::{edge, entries, new_store, signer};
use crate::sim_disk::{Sim, SimDisk};
use crate::{CosignatureError, Cosignatures, Reader, Store, Witnessed, WitnessedError, load_or_create_cosigner_key};
use ledger::{Checkpoint, CosignerKey, Head, KeyName, Note, WitnessKey};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

const LOG: &str = "example.com/log";

fn witness(seed: u8) -> CosignerKey {
    CosignerKey::new(KeyName::new("example.com/witness").unwrap(), &[seed; 32])
}

/// The log's first `size` entries, signed.
fn note(size: u64) -> Note {
    Checkpoint::new(signer(LOG).verifier().name(), size, edge(size).root()).sign(&signer(LOG))
}

fn head(size: u64) -> Head {
    Head { size, root: edge(size).root() }
}

fn cosigned(note: &Note, key: &CosignerKey, at_s: u64) -> Note {
    note.with_signatures([key.cosign(note.text(), at_s)]).unwrap()
}

fn read(dir: &Path, witnesses: &[WitnessKey]) -> Result<Vec<(Head, u64)>, CosignatureError> {
    let reader = Reader::open(dir).unwrap();
    let heads = reader.cosigned(std::slice::from_ref(signer(LOG).verifier()), witnesses)?;
    Ok(heads.into_iter().map(|it| (it.head, it.at_s)).collect())
}

#[test]
fn each_witness_newest_cosignature_is_kept_beside_the_checkpoint() {
    let (_temporary, dir, mut store) = new_store();
    store.append(&entries(0..300)).unwrap();
    let keys = [witness(1), witness(2), witness(3)];
    let known = keys.each_ref().map(|key| key.verifier().clone());
    assert_eq!(read(&dir, &known).unwrap(), []);
    let kept = Cosignatures::open(&dir).unwrap();
    kept.keep(&known[0], &cosigned(&note(7), &keys[0], 50)).unwrap();
    kept.keep(&known[0], &cosigned(&note(257), &keys[0], 60)).unwrap();
    kept.keep(&known[2], &cosigned(&note(300), &keys[2], 70)).unwrap();
    let expected = [(head(257), 60), (head(300), 70)];
    assert_eq!(read(&dir, &known).unwrap(), expected);
    // The ledger goes on, and is opened again, as if nothing were there; its checkpoint is the log's alone.
    store.append(&entries(300..310)).unwrap();
    drop(store);
    let (store, _) = Store::open(&dir, signer(LOG)).unwrap();
    assert_eq!(store.checkpoint(), note(310).to_string());
    assert_eq!(read(&dir, &known).unwrap(), expected);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let folder = dir.join("cosignatures");
    assert_eq!(mode(&folder), 0o700);
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 4, "two notes and two keys; nothing is left over");
    assert_eq!(mode(&folder.join(known[0].id().to_string())), 0o600);
}

/// Nothing that a witness saw may be missing: also where the checkpoint itself was set back, with all that it needs.
#[test]
fn a_log_shorter_than_its_last_cosignature_does_not_open() {
    let (temporary, dir, mut store) = new_store();
    store.append(&entries(0..300)).unwrap();
    let key = witness(1);
    let kept = Cosignatures::open(&dir).unwrap();
    kept.keep(key.verifier(), &cosigned(&note(300), &key, 50)).unwrap();
    store.append(&entries(300..301)).unwrap();
    store.close().unwrap();
    drop(Store::open(&dir, signer(LOG)).unwrap());
    let folder = dir.join("cosignatures");
    let name = key.verifier().id().to_string();
    let (file, by) = (folder.join(&name), format!("cosignatures/{name}"));
    let refused =
        |dir: &Path| Store::open(dir, signer(LOG)).err().unwrap().to_string().replace(dir.to_str().unwrap(), "DIR");

    // A log of the same key that ends before, or that has other entries.
    let (_temporary, shorter, mut store) = new_store();
    store.append(&entries(0..299)).unwrap();
    store.close().unwrap();
    fs::create_dir(shorter.join("cosignatures")).unwrap();
    fs::copy(&file, shorter.join(&by)).unwrap();
    assert_eq!(
        refused(&shorter),
        format!(
            "the ledger in DIR has 299 entries, fewer than the 300 of {by}: it was set back; restore it from a backup; \
             nothing was changed"
        )
    );
    let other = temporary.path().join("other");
    let mut store = Store::create(&other, signer(LOG)).unwrap();
    store.append(&entries(1..302)).unwrap();
    store.close().unwrap();
    fs::create_dir(other.join("cosignatures")).unwrap();
    fs::copy(&file, other.join(&by)).unwrap();
    let text = refused(&other);
    assert!(text.contains("the first 300 entries of the ledger in DIR lead to the root"), "{text}");
    assert!(text.contains(&format!("but {by} has {}", edge(300).root())), "{text}");
    assert!(text.contains("restore the ledger from a backup; nothing was changed"), "{text}");
    // What is not signed by this log says nothing of it.
    fs::write(other.join(&by), "torn").unwrap();
    drop(Store::open(&other, signer(LOG)).unwrap());
}

#[test]
fn what_was_cosigned_is_handed_on_with_the_keys_that_verify_it() {
    let (_temporary, dir, mut store) = new_store();
    store.append(&entries(0..20)).unwrap();
    let keys = [witness(1), witness(2)];
    let kept = Cosignatures::open(&dir).unwrap();
    let handed_on = || Reader::open(&dir).unwrap().cosigned_notes(signer(LOG).verifier());
    assert_eq!(handed_on().unwrap(), []);
    // A signature of somebody else beside it is not handed on: nothing here says whose it is.
    let strangers = [signer("example.com/other").sign(note(9).text())];
    let with_others = cosigned(&note(9), &keys[0], 5).with_signatures(strangers).unwrap();
    kept.keep(keys[0].verifier(), &with_others).unwrap();
    kept.keep(keys[1].verifier(), &cosigned(&note(20), &keys[1], 6)).unwrap();
    let mut found: Vec<_> = handed_on().unwrap().into_iter().map(|it| (it.witness, it.note)).collect();
    found.sort_by_key(|(_, note)| note.text().len());
    let expected = [(&keys[0], cosigned(&note(9), &keys[0], 5)), (&keys[1], cosigned(&note(20), &keys[1], 6))];
    assert_eq!(found, expected.map(|(key, note)| (key.verifier().clone(), note)));
    // The keys' files are not trusted further than their names: another key in one is found.
    let file = format!("{}.pub", keys[0].verifier().id());
    fs::write(dir.join("cosignatures").join(&file), keys[1].verifier().to_string()).unwrap();
    let expected = format!(
        "cosignatures/{file} does not hold the key of a witness with that id: move it away, and what it cosigned"
    );
    assert_eq!(handed_on().unwrap_err().to_string(), expected);
}

#[test]
fn what_was_not_cosigned_so_does_not_hold() {
    let (_temporary, dir, mut store) = new_store();
    store.append(&entries(0..20)).unwrap();
    let key = witness(1);
    let known = [key.verifier().clone()];
    let kept = Cosignatures::open(&dir).unwrap();
    let check = |note: &Note, expected: &str| {
        kept.keep(key.verifier(), note).unwrap();
        let error = read(&dir, &known).unwrap_err();
        assert_eq!(error.to_string(), expected);
    };
    let ahead = cosigned(&note(21), &key, 1);
    check(&ahead, "example.com/witness has cosigned 21 entries, but there are 20: the ledger was set back");
    let other = Checkpoint::new(signer(LOG).verifier().name(), 9, edge(8).root()).sign(&signer(LOG));
    let words = format!(
        "example.com/witness has cosigned 9 entries with the root {}, but here they have {}: the log was forked",
        edge(8).root(),
        edge(9).root()
    );
    check(&cosigned(&other, &key, 1), &words);
    let not_hold = "what example.com/witness cosigned does not hold";
    let strangers =
        Checkpoint::new(signer(LOG).verifier().name(), 9, edge(9).root()).sign(&signer("example.com/other"));
    check(&cosigned(&strangers, &key, 1), not_hold);
    let borrowed = note(9).with_signatures([key.cosign(note(8).text(), 1)]).unwrap();
    check(&borrowed, not_hold);
    // A note without the witness' signature says nothing of it.
    kept.keep(key.verifier(), &note(9)).unwrap();
    assert_eq!(read(&dir, &known).unwrap(), []);
}

#[test]
fn a_witness_remembers_each_log_by_its_origin_and_one_process_at_a_time_has_its_memory() {
    let temporary = tempfile::tempdir().unwrap();
    let dir = temporary.path().join("state");
    let mut memory = Witnessed::open(&dir).unwrap();
    assert_eq!(memory.head(LOG).unwrap(), Head::empty());
    memory.record(LOG, &note(5)).unwrap();
    assert_eq!(memory.head(LOG).unwrap(), head(5));
    memory.record(LOG, &note(7)).unwrap();
    assert_eq!(memory.head("example.com/other").unwrap(), Head::empty());
    assert!(matches!(Witnessed::open(&dir), Err(WitnessedError::Locked { .. })));
    drop(memory);
    assert_eq!(Witnessed::open(&dir).unwrap().head(LOG).unwrap(), head(7));
    assert_eq!(fs::metadata(&dir).unwrap().permissions().mode() & 0o777, 0o700);
}

/// A memory that cannot be read is no empty one: a witness that forgets would cosign a fork.
#[test]
fn a_damaged_memory_is_refused() {
    let temporary = tempfile::tempdir().unwrap();
    let mut memory = Witnessed::open(temporary.path()).unwrap();
    memory.record(LOG, &note(5)).unwrap();
    let names = fs::read_dir(temporary.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let name = names.filter(|name| name != "lock").collect::<String>();
    assert_eq!(name.len(), 64, "the SHA-256 of the origin");
    let path = temporary.path().join(name);
    for text in ["", "x", &note(5).to_string().replace("\n5\n", "\nfive\n")] {
        fs::write(&path, text).unwrap();
        assert!(memory.head(LOG).is_err(), "{text:?}");
    }
    fs::write(&path, note(5).to_string().replace(LOG, "example.com/lag")).unwrap();
    assert!(matches!(memory.head(LOG), Err(WitnessedError::Origin { .. })));
}

/// Power is lost after each call of a record, also after one that failed: what was recorded, and so may have been cosigned,
/// is still known, and what is known was recorded or was being recorded.
#[test]
fn no_crash_makes_a_witness_forget() {
    let mut cases = 0;
    for seed in 0..50 {
        for call in 1..12 {
            let disk = SimDisk::new(Sim::default(), seed);
            let mut memory = Witnessed::on(Box::new(disk.clone()));
            memory.record(LOG, &note(1)).unwrap();
            disk.fail_in(Some(call));
            let mut acknowledged = 1;
            for size in 2..4 {
                match memory.record(LOG, &note(size)) {
                    Ok(()) => acknowledged = size,
                    Err(_) => break,
                }
            }
            disk.lose_power();
            let found = Witnessed::on(Box::new(disk)).head(LOG).unwrap().size;
            assert!(
                (acknowledged..=acknowledged + 1).contains(&found),
                "{found} of {acknowledged}: seed {seed}, call {call}"
            );
            cases += 1;
        }
    }
    assert_eq!(cases, 550);
}

#[test]
fn a_witness_key_is_made_once_and_is_not_a_log_s() {
    let temporary = tempfile::tempdir().unwrap();
    let path = temporary.path().join("witness.key");
    let name = KeyName::new("example.com/witness").unwrap();
    let made = load_or_create_cosigner_key(&path, &name, [7; 32]).unwrap();
    let read = load_or_create_cosigner_key(&path, &name, [8; 32]).unwrap();
    assert_eq!(read.to_private_text(), made.to_private_text());
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let public = fs::read_to_string(temporary.path().join("witness.key.pub")).unwrap();
    assert_eq!(public.trim_end().parse::<WitnessKey>().as_ref(), Ok(made.verifier()));
    assert!(crate::load_or_create_signing_key(&path, &name, [7; 32]).is_err());
}
