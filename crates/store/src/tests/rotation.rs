//! A change of the key: followed by whoever has the old one, and completed or undone after a crash at any call.

use super::sim::LARGE;
use super::{entries, origin, signer};
use crate::disk::{Disk as _, ReadDisk as _};
use crate::sim_disk::{Sim, SimDisk};
use crate::{
    AppendError, KeyChange, OpenError, ReadCheckpointError, Reader, RotateError, RotationError, Signers, Store,
};
use ledger::{Checkpoint, KeyName, LogSigner, OpenCheckpointError, Sign, SignerKey, VerifierKey};
use proptest::prelude::*;
use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

fn key(seed: u8) -> SignerKey {
    SignerKey::new(KeyName::new("log").unwrap(), &[seed; 32])
}

fn verifier(seed: u8) -> VerifierKey {
    key(seed).verifier().clone()
}

/// The old key and the new.
fn both() -> Signers {
    Signers { current: key(7).into(), next: Some(key(8).into()) }
}

/// The entry that the caller writes of it.
fn record(old: u8, new: u8) -> Vec<u8> {
    format!("changed {} {}", verifier(old), verifier(new)).into_bytes()
}

fn change(entry: &[u8]) -> Option<KeyChange> {
    let (old, new) = std::str::from_utf8(entry).ok()?.strip_prefix("changed ")?.split_once(' ')?;
    Some(KeyChange { old: old.parse().ok()?, new: new.parse().ok()? })
}

fn create(disk: &SimDisk) -> Store {
    Store::create_on(
        Arc::new(disk.clone()),
        Path::new("simulated"),
        (signer("log").into(), &origin("log")),
        None,
        LARGE,
    )
    .unwrap()
}

fn open(disk: &SimDisk, signers: impl Into<Signers>) -> Result<Store, OpenError> {
    Store::open_on(Arc::new(disk.clone()), Path::new("simulated"), signers, None, LARGE).map(|(store, _)| store)
}

fn reader(disk: &SimDisk) -> Reader {
    Reader::on(Box::new(disk.clone()), Path::new("simulated"))
}

/// A log of so many entries, then a change of the key, then as many again.
fn rotated(size: u64) -> SimDisk {
    let disk = SimDisk::new(Sim::default(), 0);
    let mut store = create(&disk);
    store.append(&entries(0..size)).unwrap();
    assert_eq!(store.rotate(&record(7, 8), key(8).into()).unwrap(), size);
    assert_eq!(*store.verifier(), verifier(8));
    store.append(&entries(0..size)).unwrap();
    disk
}

fn refusal(result: Result<Store, OpenError>) -> RotationError {
    match result {
        Err(OpenError::Rotation { source, .. }) => *source,
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("it should be refused"),
    }
}

#[test]
fn whoever_has_the_old_key_comes_to_the_new_one() {
    for size in [0, 3, 255, 256, 300] {
        let disk = rotated(size);
        for from in [7, 8] {
            let keys = reader(&disk).keys(&verifier(from), change).unwrap();
            assert_eq!((keys.keys.clone(), &*keys.changed_at), (vec![verifier(7), verifier(8)], &[size][..]));
            assert_eq!(reader(&disk).verify(keys.current()).unwrap().size, 2 * size + 1);
        }
        let stranger = reader(&disk).keys(&verifier(9), change).unwrap();
        assert_eq!(stranger.keys, [verifier(9)]);
        assert!(reader(&disk).checkpoint(&verifier(9)).is_err());
    }
}

#[test]
fn keys_are_followed_over_several_changes() {
    let disk = rotated(3);
    let mut store = open(&disk, key(8)).unwrap();
    store.rotate(&record(8, 9), key(9).into()).unwrap();
    drop(store);
    for from in [7, 8, 9] {
        let keys = reader(&disk).keys(&verifier(from), change).unwrap();
        assert_eq!((keys.keys.len(), keys.current()), (3, &verifier(9)));
        assert_eq!(keys.changed_at, [3, 7]);
    }
}

/// Golden: what is in the folder, and that each key verifies it alone.
#[test]
fn the_checkpoint_that_covers_the_entry_is_signed_by_both_keys() {
    let disk = SimDisk::new(Sim::default(), 0);
    let mut store = create(&disk);
    store.append(&entries(0..2)).unwrap();
    store.rotate(&record(7, 8), key(8).into()).unwrap();
    assert!(disk.sim().paths().contains(&"rotation/3".to_owned()), "{:?}", disk.sim().paths());
    assert!(!disk.sim().paths().contains(&"rotation/next".to_owned()));
    let text = store.checkpoint().to_owned();
    for seed in [7, 8] {
        assert_eq!(Checkpoint::open(&text, &verifier(seed)).unwrap().size(), 3);
    }
    store.append(&entries(0..1)).unwrap();
    assert!(Checkpoint::open(store.checkpoint(), &verifier(7)).is_err());
}

#[test]
fn the_old_key_opens_it_no_more() {
    let disk = rotated(3);
    assert!(matches!(refusal(open(&disk, key(7))), RotationError::Retired { entry: 3, .. }));
    assert!(matches!(refusal(open(&disk, key(9))), RotationError::Retired { .. }));
    // Both are there until somebody takes the old one away.
    assert_eq!(*open(&disk, both()).unwrap().verifier(), verifier(8));
    assert_eq!(*open(&disk, key(8)).unwrap().verifier(), verifier(8));
}

#[test]
fn a_key_of_another_name_and_the_same_key_are_refused() {
    let disk = SimDisk::new(Sim::default(), 0);
    let mut store = create(&disk);
    for other in [signer("other"), key(7)] {
        assert!(matches!(store.rotate(b"changed", other.into()), Err(RotateError::Key { .. })));
    }
    store.append(&entries(0..1)).unwrap();
}

#[test]
fn what_was_altered_is_not_followed() {
    let keys = |disk: &SimDisk| reader(disk).keys(&verifier(7), change);
    let disk = rotated(3);
    // A signature, the root, the entry, its hash.
    for (path, at) in [("rotation/4", 150), ("rotation/4", 10), ("tile/entries/000.p/7", 40), ("tile/0/000.p/7", 100)] {
        disk.sim().damage(path, Some(at));
        assert!(keys(&disk).is_err(), "{path}");
        disk.sim().damage(path, Some(at));
    }
    keys(&disk).unwrap();
    // Without the file, nothing leads from the old key to the new one.
    disk.sim().damage("rotation/4", None);
    let alone = keys(&disk).unwrap();
    assert_eq!(alone.keys, [verifier(7)]);
    assert!(reader(&disk).verify(&verifier(7)).is_err());
    // An entry that names other keys than those that signed.
    let disk = SimDisk::new(Sim::default(), 0);
    create(&disk).rotate(&record(7, 9), key(8).into()).unwrap();
    assert!(matches!(keys(&disk), Err(RotationError::Note { .. })));
    let disk = SimDisk::new(Sim::default(), 0);
    create(&disk).rotate(b"something else", key(8).into()).unwrap();
    assert!(matches!(keys(&disk), Err(RotationError::NoRecord { .. })));
}

#[test]
fn a_ledger_shorter_than_what_both_keys_signed_is_refused() {
    let disk = SimDisk::new(Sim::default(), 0);
    let mut store = create(&disk);
    store.append(&entries(0..3)).unwrap();
    let before = disk.sim().clone();
    store.rotate(&record(7, 8), key(8).into()).unwrap();
    // The log as it was, with the doubly signed checkpoint of later.
    let note = store.checkpoint().to_owned();
    let set_back = SimDisk::new(before, 0);
    set_back.create_dir("rotation").unwrap();
    set_back.write_synced("rotation/4", note.as_bytes()).unwrap();
    assert!(matches!(reader(&set_back).keys(&verifier(7), change), Err(RotationError::SetBack { .. })));
    let both = both();
    assert!(matches!(open(&set_back, both), Err(OpenError::Checkpoint { .. } | OpenError::Rotation { .. })));
}

/// One change of the key with a failure at one call, then failing openings, then one that does not fail. Returns whether
/// the failure came to pass.
fn crash(base: &Sim, size: u64, fail_at: u64, power_fails: bool, seed: u64) -> bool {
    let disk = SimDisk::new(base.clone(), seed);
    let mut store = open(&disk, key(7)).unwrap();
    disk.fail_in(Some(fail_at));
    let acknowledged = store.rotate(&record(7, 8), key(8).into()).is_ok();
    drop(store);
    let failed = disk.failed();
    disk.fail_in(None);
    let mut lost_power = power_fails;
    if power_fails {
        disk.lose_power();
    }
    for _ in 0..seed % 3 {
        disk.fail_in(Some(1 + disk.random(30)));
        drop(open(&disk, both()));
        disk.fail_in(None);
        if disk.random(2) == 0 {
            disk.lose_power();
            lost_power = true;
        }
    }
    // A reader meanwhile is never led astray: it is told a key that signed the checkpoint. What was not durable when the power
    // went may be missing or torn until the log was opened.
    let keys = reader(&disk).keys(&verifier(7), change);
    let read = keys.map(|keys| reader(&disk).checkpoint(keys.current()));
    match read {
        Ok(Ok(_)) => {}
        Ok(Err(ReadCheckpointError::Open { source: OpenCheckpointError::Note(_), .. })) if lost_power => {}
        Err(RotationError::Entry { .. } | RotationError::Proof { .. }) if lost_power => {}
        Ok(Err(error)) => panic!("{error:?}"),
        Err(error) => panic!("{error:?}"),
    }
    let store = open(&disk, both()).unwrap();
    let done = store.size() == size + 1;
    assert!(done || (store.size() == size && !acknowledged), "{} of {size}, acknowledged {acknowledged}", store.size());
    assert_eq!(*store.verifier(), verifier(if done { 8 } else { 7 }));
    drop(store);
    // What opening has shown once stays; one key is enough from here on.
    disk.lose_power();
    let mut store = open(&disk, key(if done { 8 } else { 7 })).unwrap();
    assert_eq!(store.size(), if done { size + 1 } else { size });
    store.append(&entries(0..2)).unwrap();
    if !done {
        store.rotate(&record(7, 8), key(8).into()).unwrap();
        store.append(&entries(0..1)).unwrap();
    }
    drop(store);
    let keys = reader(&disk).keys(&verifier(7), change).unwrap();
    assert_eq!(keys.keys, [verifier(7), verifier(8)]);
    reader(&disk).verify(keys.current()).unwrap();
    check_published(&disk);
    failed
}

/// Every checkpoint that anybody can have seen: one history, and once the new key has signed alone the old one never signs.
fn check_published(disk: &SimDisk) {
    let published = disk.sim().published.clone();
    let signed_by = |text: &str, seed| Checkpoint::open(text, &verifier(seed)).is_ok();
    let mut changed = false;
    for text in &published {
        let (old, new) = (signed_by(text, 7), signed_by(text, 8));
        assert!(old || new, "{text}");
        assert!(!(old && changed && !new), "the old key signed after the change: {published:?}");
        changed |= new;
    }
}

#[test]
fn a_crash_at_any_call_of_a_rotation_completes_or_undoes_it() {
    let mut cases = 0;
    for size in [0, 3, 255] {
        let disk = SimDisk::new(Sim::default(), 0);
        create(&disk).append(&entries(0..size)).unwrap();
        drop(open(&disk, key(7)).unwrap());
        let mut base = disk.sim().clone();
        base.published.clear();
        for fail_at in 1.. {
            let mut failed = false;
            for seed in 0..6 {
                for power_fails in [true, false] {
                    failed |= crash(&base, size, fail_at, power_fails, seed * 1000 + fail_at);
                    cases += 1;
                }
            }
            if !failed {
                break;
            }
        }
    }
    assert!(cases > 500, "{cases}");
}

#[test]
fn an_interrupted_rotation_needs_both_keys() {
    let before = SimDisk::new(Sim::default(), 3);
    create(&before).append(&entries(0..3)).unwrap();
    let interrupted = |call| {
        let disk = SimDisk::new(before.sim().clone(), 3);
        let mut store = open(&disk, key(7)).unwrap();
        disk.fail_in(Some(call));
        assert!(store.rotate(&record(7, 8), key(8).into()).is_err(), "it began with none of the calls before");
        drop(store);
        disk.fail_in(None);
        disk.length("rotation/next").unwrap().is_some().then_some(disk)
    };
    let disk = (1..).find_map(interrupted).unwrap();
    for one in [7, 8] {
        assert!(matches!(refusal(open(&disk, key(one))), RotationError::BothKeys { .. }));
    }
    open(&disk, both()).unwrap();
}

/// A key in a token that can be taken away.
struct Token {
    seed: u8,
    is_there: AtomicBool,
}

impl Sign for Token {
    fn sign(&self, message: &[u8]) -> Result<[u8; 64], Box<dyn Error + Send + Sync>> {
        if !self.is_there.load(Ordering::Relaxed) {
            return Err("the token was removed".into());
        }
        let text = std::str::from_utf8(message)?;
        Ok(key(self.seed).sign(text).signature.as_slice().try_into()?)
    }
}

#[test]
fn without_a_signature_nothing_is_acknowledged_until_the_token_is_back() {
    let disk = SimDisk::new(Sim::default(), 0);
    let token = Arc::new(Token { seed: 7, is_there: AtomicBool::new(true) });
    let elsewhere = || LogSigner::elsewhere(verifier(7), token.clone());
    let mut store =
        Store::create_on(Arc::new(disk.clone()), Path::new("simulated"), (elsewhere(), &origin("log")), None, LARGE)
            .unwrap();
    store.append(&entries(0..2)).unwrap();
    token.is_there.store(false, Ordering::Relaxed);
    let error = store.append(&entries(2..3)).unwrap_err();
    let AppendError::Disk(error) = error else { panic!("{error}") };
    assert_eq!(error.to_string(), "cannot sign checkpoint");
    assert!(error.source.source().unwrap().to_string().contains("the token was removed"));
    assert!(matches!(store.append(&entries(2..3)), Err(AppendError::Broken { .. })));
    assert_eq!(Checkpoint::open(store.checkpoint(), &verifier(7)).unwrap().size(), 2);
    drop(store);
    // Nor can it be opened: the entry in the write-ahead log needs a checkpoint.
    assert!(matches!(open(&disk, elsewhere()), Err(OpenError::Disk(_))));
    token.is_there.store(true, Ordering::Relaxed);
    assert_eq!(open(&disk, elsewhere()).unwrap().size(), 3);
}

#[test]
fn a_rotation_that_a_token_does_not_sign_is_completed_when_it_is_back() {
    let disk = SimDisk::new(Sim::default(), 0);
    let token = Arc::new(Token { seed: 8, is_there: AtomicBool::new(false) });
    let next = || LogSigner::elsewhere(verifier(8), token.clone());
    let mut store = create(&disk);
    store.append(&entries(0..2)).unwrap();
    assert!(matches!(store.rotate(&record(7, 8), next()), Err(RotateError::Append(_))));
    drop(store);
    let both = || Signers { current: key(7).into(), next: Some(next()) };
    assert!(matches!(open(&disk, both()), Err(OpenError::Disk(_))));
    token.is_there.store(true, Ordering::Relaxed);
    let store = open(&disk, both()).unwrap();
    assert_eq!((store.size(), store.verifier()), (3, &verifier(8)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn anything_in_the_files_of_a_rotation_is_an_error_at_most(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        index in any::<u64>(),
        name in prop_oneof![Just("next".to_owned()), Just("0".to_owned()), Just("1".to_owned()), any::<u64>().prop_map(|it| it.to_string())],
    ) {
        let disk = rotated(3);
        let intent = format!("{index}\n{}\n{}\n", verifier(7), verifier(8)).into_bytes();
        for content in [bytes, intent] {
            disk.write_synced(&format!("rotation/{name}"), &content).unwrap();
            drop(reader(&disk).keys(&verifier(7), change));
            drop(open(&disk, both()));
        }
    }
}
