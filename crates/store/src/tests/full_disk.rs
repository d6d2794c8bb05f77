//! A full disk: ordinary batches are refused, what may use the reserve gets in, and both go on when there is room again.

use super::sim::{Base, SMALL, base, dir, open};
use super::{entries, names, signer};
use crate::sim_disk::SimDisk;
use crate::{AppendError, Reader, Reserve, Store};
use ledger::{LogProof, verify_inclusion};
use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::process::Command;

fn is_full(error: &AppendError) -> bool {
    matches!(error, AppendError::NoRoom(error) if error.source.kind() == ErrorKind::StorageFull)
}

/// A log of three entries on a disk that has just become full.
fn full() -> (Base, SimDisk, Store) {
    let base = base(3, SMALL);
    let disk = SimDisk::new(base.sim.clone(), 0);
    let (store, _) = open(&disk, SMALL).unwrap();
    disk.set_full(true);
    (base, disk, store)
}

#[test]
fn an_ordinary_batch_is_refused_before_anything_is_written_and_a_rollback_gets_in() {
    let (base, disk, mut store) = full();
    let error = store.append(&entries(3..4)).unwrap_err();
    assert!(is_full(&error) && error.is_refusal(), "{error}");
    assert_eq!(
        error.to_string(),
        "there is no room for the batch, so it was not recorded: free some on the ledger's disk"
    );
    assert_eq!(store.append_with(&entries(3..5), Reserve::Use).unwrap(), 3..5);
    // It is in the tree, under a signed checkpoint, and the store proves it; readers of the files see it later.
    base.check_content(&store);
    let proof: LogProof = store.log_proof(4).unwrap().to_string().parse().unwrap();
    proof.verify(&entries(4..5)[0], store.verifier()).unwrap();
    let inclusion = store.inclusion_proof(3, 5).unwrap();
    verify_inclusion(ledger::Hash::of_leaf(&entries(3..4)[0]), 3, 5, &inclusion, store.root()).unwrap();
    let reader = Reader::on(Box::new(disk.clone()), dir());
    assert_eq!(reader.verify(store.verifier()).unwrap().size, 3);
    assert!(is_full(&store.append(&entries(5..6)).unwrap_err()));
    disk.set_full(false);
    assert_eq!(store.append(&entries(5..6)).unwrap(), 5..6);
    assert_eq!(reader.verify(store.verifier()).unwrap().size, 6);
    base.check_published(&disk, &store);
}

#[test]
fn the_reserve_is_there_whatever_was_written_before_and_when_it_is_used_up_nothing_is_lost() {
    // The disk becomes full after each number of ordinary batches: so at each place in a half.
    for before in 0..12 {
        let base = base(3, SMALL);
        let disk = SimDisk::new(base.sim.clone(), 0);
        let (mut store, _) = open(&disk, SMALL).unwrap();
        for _ in 0..before {
            store.append(&entries(store.size()..store.size() + 2)).unwrap();
        }
        disk.set_full(true);
        let (published, reader) = (store.size(), Reader::on(Box::new(disk.clone()), dir()));
        let (mut taken, mut bytes) = (published, 0);
        let error = loop {
            let batch = entries(taken..taken + 1);
            match store.append_with(&batch, Reserve::Use) {
                Ok(appended) => taken = appended.end,
                Err(error) => break error,
            }
            bytes += crate::frame::encode(0, &batch).len() as u64;
            // Readers keep what they had.
            assert_eq!(reader.verify(store.verifier()).unwrap().size, published);
        };
        assert!(is_full(&error), "{error}");
        assert!(bytes + 60 > SMALL.rollback_bytes, "{bytes} after {before}: less than what is set aside");
        drop(store);
        disk.lose_power();
        // Without room it opens, says no and yes as before, and all is there.
        let (mut store, _) = open(&disk, SMALL).unwrap();
        assert_eq!(store.size(), taken);
        base.check_content(&store);
        // The loss of power may have taken newer ones.
        let seen = reader.checkpoint(store.verifier()).unwrap().size();
        assert!((base.edge.size()..=published).contains(&seen), "{seen}");
        assert!(is_full(&store.append(&entries(0..1)).unwrap_err()));
        disk.set_full(false);
        assert_eq!(store.append(&entries(taken..taken + 1)).unwrap(), taken..taken + 1);
        base.check_content(&store);
        Reader::on(Box::new(disk.clone()), dir()).verify(store.verifier()).unwrap();
        store.close().unwrap();
    }
}

/// Where the test below finds its ledger when it runs itself again.
const FULL_DISK: &str = "VERDIGRIS_TEST_FULL_DISK";

/// On a file system of 24 MB, in a mount namespace of its own. Where the system gives none the simulated disk has to do.
#[test]
fn a_real_disk_that_is_full_takes_rollbacks() {
    if let Ok(mount) = std::env::var(FULL_DISK) {
        return fill_and_roll_back(Path::new(&mount));
    }
    let temporary = tempfile::tempdir().unwrap();
    let script = "mount -t tmpfs -o size=24m tmpfs \"$0\" && exec \"$@\"";
    let mut mounting = Command::new("unshare");
    mounting.args(["--user", "--map-root-user", "--mount", "sh", "-c"]);
    if !mounting.arg("mount -t tmpfs tmpfs /mnt").status().is_ok_and(|status| status.success()) {
        eprintln!("no file system can be mounted here, so that none was filled");
        return;
    }
    let name = "tests::full_disk::a_real_disk_that_is_full_takes_rollbacks";
    let mut again = Command::new("unshare");
    again.args(["--user", "--map-root-user", "--mount", "sh", "-c", script]).arg(temporary.path());
    again.arg(std::env::current_exe().unwrap()).args(["--exact", name, "--nocapture"]);
    let output = again.env(FULL_DISK, temporary.path()).output().unwrap();
    let said = [output.stderr, output.stdout].concat();
    let text = String::from_utf8_lossy(&said);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

fn fill_and_roll_back(mount: &Path) {
    let dir = mount.join("ledger");
    let mut store = Store::create(&dir, signer("example.com/log")).unwrap();
    store.append(&entries(0..300)).unwrap();
    let filler = mount.join("filler");
    let error = fs::write(&filler, vec![1; 24 << 20]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StorageFull);
    let before = names(&dir);
    assert!(is_full(&store.append(&entries(300..301)).unwrap_err()));
    assert_eq!(names(&dir), before);
    // A rollback's records, at their greatest.
    let record = vec![b'r'; 65_535];
    for index in 300..320 {
        assert_eq!(store.append_with(std::slice::from_ref(&record), Reserve::Use).unwrap(), index..index + 1);
    }
    drop(store);
    let (mut store, recovered) = Store::open(&dir, signer("example.com/log")).unwrap();
    assert_eq!((store.size(), recovered.entries_replayed), (320, 20));
    assert!(is_full(&store.append(&entries(300..301)).unwrap_err()));
    assert_eq!(store.append_with(&entries(320..321), Reserve::Use).unwrap(), 320..321);
    fs::remove_file(filler).unwrap();
    assert_eq!(store.append(&entries(321..322)).unwrap(), 321..322);
    assert_eq!(Reader::open(&dir).unwrap().verify(store.verifier()).unwrap().entries, 322);
    store.close().unwrap();
    let (store, _) = Store::open(&dir, signer("example.com/log")).unwrap();
    assert_eq!(store.size(), 322);
    assert_eq!(store.read(0..300).unwrap().collect::<Result<Vec<_>, _>>().unwrap(), entries(0..300));
}
