//! A log goes on in another folder, and what ended stays as it was.

use super::{entries, signer};
use crate::{AppendError, Ended, OpenError, ReadError, Reader, ShardError, Shards, Store, VerifyError};
use ledger::{Checkpoint, KeyName, Origin, SignerKey, verify_inclusion};
use std::fs;
use std::path::Path;

const LOG: &str = "example.com/log";

fn shard(year: u16) -> Origin {
    Origin::shard(signer(LOG).verifier().name(), year).unwrap()
}

fn begun(folder: &Path) -> (Shards, Store) {
    let shards = Shards::of(&folder.join("ledger"));
    let mut store = Store::create(shards.current(), signer(LOG)).unwrap();
    store.append(&entries(0..300)).unwrap();
    let ended = store.checkpoint().to_owned();
    let store = shards.begin(store, 2026, &shard(2027), ended.as_bytes()).unwrap();
    (shards, store)
}

#[test]
fn the_next_part_begins_with_how_the_one_before_ended() {
    let folder = tempfile::tempdir().unwrap();
    let (shards, mut store) = begun(folder.path());
    let key = signer(LOG).verifier().clone();
    assert_eq!((store.size(), store.origin().to_string().as_str()), (1, "example.com/log/2027"));
    let first = store.read(0..1).unwrap().next().unwrap().unwrap();
    let last = Checkpoint::open(std::str::from_utf8(&first).unwrap(), &key).unwrap();
    let ended = shards.ended().unwrap();
    assert_eq!(ended, [Ended { year: 2026, dir: folder.path().join("ledger-2026") }]);
    let reader = Reader::open(&ended[0].dir).unwrap();
    assert_eq!(reader.verify(&key).unwrap().root, last.root());
    assert_eq!((last.size(), last.origin()), (300, LOG));
    store.append(&entries(0..5)).unwrap();
    assert_eq!(Checkpoint::open(store.checkpoint(), &key).unwrap().origin(), "example.com/log/2027");
    // Both folders are locked by whoever has the log.
    assert!(matches!(Store::open(shards.current(), signer(LOG)), Err(OpenError::Locked { .. })));
    store.close().unwrap();
    let (store, _) = Store::open(shards.current(), signer(LOG)).unwrap();
    assert_eq!((store.size(), store.origin()), (6, &shard(2027)));
    let ended = store.checkpoint().to_owned();
    let again = shards.begin(store, 2026, &shard(2028), ended.as_bytes());
    assert!(matches!(again, Err(ShardError::Exists { year: 2026, .. })));
    let (store, _) = Store::open(shards.current(), signer(LOG)).unwrap();
    let store = shards.begin(store, 2027, &shard(2028), ended.as_bytes()).unwrap();
    assert_eq!(store.origin(), &shard(2028));
    assert_eq!(shards.ended().unwrap().iter().map(|it| it.year).collect::<Vec<_>>(), [2026, 2027]);
}

/// Whatever of the two renamings was done, and whatever was left of an earlier attempt.
#[test]
fn a_crash_leaves_the_old_part_or_the_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let (shards, store) = begun(folder.path());
    store.close().unwrap();
    let (current, next) = (shards.current().to_owned(), folder.path().join("ledger.next"));
    // After the first renaming.
    fs::rename(&current, &next).unwrap();
    assert!(matches!(Store::open(&current, signer(LOG)), Err(OpenError::NoCheckpoint { .. })));
    shards.complete().unwrap();
    let (store, _) = Store::open(&current, signer(LOG)).unwrap();
    assert_eq!(store.origin(), &shard(2027));
    // Before it, with what was being made: it goes, and is made again.
    fs::create_dir(&next).unwrap();
    fs::write(next.join("lock"), "").unwrap();
    shards.complete().unwrap();
    let ended = store.checkpoint().to_owned();
    let store = shards.begin(store, 2027, &shard(2028), ended.as_bytes()).unwrap();
    assert_eq!(store.origin(), &shard(2028));
    assert!(!next.exists());
    // A folder that was never a log is not taken for one.
    drop(store);
    fs::remove_dir_all(&current).unwrap();
    fs::create_dir(&next).unwrap();
    shards.complete().unwrap();
    assert!(!current.exists());
}

#[test]
fn without_its_entries_an_ended_part_proves_what_it_proved() {
    let folder = tempfile::tempdir().unwrap();
    let (shards, _store) = begun(folder.path());
    let key = signer(LOG).verifier().clone();
    let ended = shards.ended().unwrap().remove(0);
    let before = Reader::open(&ended.dir).unwrap();
    let checkpoint = before.checkpoint(&key).unwrap();
    let proof = before.inclusion_proof(&checkpoint, 7).unwrap();
    assert!(!before.is_pruned().unwrap());
    assert!(shards.prune(&ended).unwrap());
    assert!(!shards.prune(&ended).unwrap());
    let after = Reader::open(&ended.dir).unwrap();
    assert!(after.is_pruned().unwrap());
    assert_eq!(after.inclusion_proof(&checkpoint, 7).unwrap(), proof);
    verify_inclusion(ledger::Hash::of_leaf(&entries(7..8)[0]), 7, 300, &proof, checkpoint.root()).unwrap();
    assert!(
        matches!(after.verify(&key), Err(VerifyError::Read(ReadError::Missing { .. }))),
        "not without a record of it"
    );
    let report = after.verify_pruned(&key).unwrap();
    assert_eq!((report.size, report.entries, report.root), (300, 0, checkpoint.root()));
    let read = after.entries(&checkpoint, 0..1).and_then(|mut entries| entries.next().transpose());
    assert!(read.is_err());
    // A hash that was altered is found as before.
    let tile = ended.dir.join("tile/0/000");
    let mut bytes = fs::read(&tile).unwrap();
    bytes[40] ^= 1;
    fs::write(&tile, bytes).unwrap();
    assert!(after.verify_pruned(&key).is_err());
}

/// An entry that is gone names no key any more; the one that signed last verifies the part all the same.
#[test]
fn a_part_whose_key_was_changed_is_verified_when_its_entries_are_gone() {
    let folder = tempfile::tempdir().unwrap();
    let shards = Shards::of(&folder.path().join("ledger"));
    let mut store = Store::create(shards.current(), signer(LOG)).unwrap();
    let new = SignerKey::new(KeyName::new(LOG).unwrap(), &[8; 32]);
    store.append(&entries(0..3)).unwrap();
    store.rotate(b"changed", new.clone().into()).unwrap();
    let _store = shards.begin(store, 2026, &shard(2027), b"begun").unwrap();
    let ended = shards.of_year(2026);
    shards.prune(&ended).unwrap();
    let reader = Reader::open(&ended.dir).unwrap();
    let keys = reader.keys(new.verifier(), |_| None).unwrap();
    assert_eq!((keys.keys.as_slice(), keys.changed_at.len()), (&[new.verifier().clone()][..], 0));
    assert_eq!(reader.verify_pruned(keys.current()).unwrap().size, 4);
}

/// The same key signs all parts, so a checkpoint of another one is no forgery by its signature.
#[test]
fn the_checkpoint_of_another_part_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (shards, store) = begun(folder.path());
    store.close().unwrap();
    let ended = shards.ended().unwrap().remove(0);
    fs::copy(ended.dir.join("checkpoint"), shards.current().join("checkpoint")).unwrap();
    let error = Store::open(shards.current(), signer(LOG)).err().unwrap();
    assert!(matches!(&error, OpenError::OtherShard { found, .. } if found == LOG), "{error}");
}

#[test]
fn a_writer_that_is_gone_cannot_go_on_in_a_part_that_ended() {
    let folder = tempfile::tempdir().unwrap();
    let shards = Shards::of(&folder.path().join("ledger"));
    let mut store = Store::create(shards.current(), signer(LOG)).unwrap();
    store.append(&entries(0..2)).unwrap();
    fs::rename(shards.current(), folder.path().join("ledger-2026")).unwrap();
    assert!(matches!(store.append(&entries(2..3)), Err(AppendError::Tampered(_) | AppendError::Disk(_))));
}
