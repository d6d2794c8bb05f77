//! Files of an open ledger that are deleted, replaced, cut or extended: the next batch is refused, and nothing acknowledged.

use super::sim::{LARGE, base, open};
use super::{entries, new_store, origin, signer};
use crate::real_disk::RealDisk;
use crate::sim_disk::SimDisk;
use crate::wal::WAL;
use crate::{AppendError, Reserve, Store, Tampered, Tampering};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;

/// What is done to a file.
type Alteration = (&'static str, fn(&Path));

/// Alters a file of a store and appends. Says which alteration was found.
fn found(store: &mut Store, path: &str, alter: impl FnOnce(&str)) -> Tampering {
    alter(path);
    let size = store.size();
    let error = store.append_with(&entries(size..size + 1), Reserve::Use).unwrap_err();
    let AppendError::Tampered(Tampered { path: named, found }) = error else { panic!("{path}: {error}") };
    assert_eq!((named.as_str(), store.size()), (path, size));
    let next = store.append(&entries(size..size + 1)).unwrap_err();
    assert!(matches!(&next, AppendError::Broken { cause } if cause.contains(path)), "{next}");
    found
}

/// On a real disk, with a short write-ahead log: there are many of them.
fn small_store() -> (TempDir, PathBuf, Store) {
    let temporary = tempfile::tempdir().unwrap();
    let dir = temporary.path().to_owned();
    let disk = Arc::new(RealDisk::new(&dir));
    let store = Store::create_on(disk, &dir, (signer("log").into(), &origin("log")), None, LARGE).unwrap();
    (temporary, dir, store)
}

fn watched(size: u64) -> Vec<String> {
    let head = crate::place::head_files(size);
    head.chain([WAL.to_owned(), "checkpoint".to_owned()]).collect()
}

#[test]
fn every_alteration_of_the_newest_files_is_noticed_on_a_real_disk() {
    let alterations: [Alteration; 5] = [
        ("deleted", |path| fs::remove_file(path).unwrap()),
        ("renamed", |path| fs::rename(path, path.with_extension("old")).unwrap()),
        ("replaced", |path| {
            fs::copy(path, path.with_extension("new")).unwrap();
            fs::rename(path.with_extension("new"), path).unwrap();
        }),
        ("cut", |path| {
            let file = fs::OpenOptions::new().write(true).open(path).unwrap();
            file.set_len(file.metadata().unwrap().len() - 1).unwrap();
        }),
        ("extended", |path| {
            let file = fs::OpenOptions::new().write(true).open(path).unwrap();
            file.set_len(file.metadata().unwrap().len() + 1).unwrap();
        }),
    ];
    for size in [7, 256, 300] {
        for path in watched(size) {
            for (name, alter) in alterations {
                let (_temporary, dir, mut store) = small_store();
                store.append(&entries(0..size)).unwrap();
                let found = found(&mut store, &path, |path| alter(&dir.join(path)));
                let fits = match found {
                    Tampering::Deleted => name == "deleted" || name == "renamed",
                    Tampering::Replaced => name == "replaced",
                    Tampering::Length { found, expected } => {
                        (name == "cut" && found == expected - 1) || (name == "extended" && found == expected + 1)
                    }
                };
                assert!(fits, "{path} {name}: {found:?}");
            }
        }
    }
}

#[test]
fn an_alteration_is_noticed_before_and_while_a_batch_is_written() {
    let base = base(300, LARGE);
    for path in watched(300) {
        let store = || {
            let disk = SimDisk::new(base.sim.clone(), 0);
            let (store, _) = open(&disk, LARGE).unwrap();
            (disk, store)
        };
        let (disk, mut opened) = store();
        assert_eq!(found(&mut opened, &path, |path| disk.sim().damage(path, None)), Tampering::Deleted);
        let (disk, mut opened) = store();
        assert_eq!(found(&mut opened, &path, |path| disk.sim().replace(path)), Tampering::Replaced);
        let (disk, mut opened) = store();
        let longer = found(&mut opened, &path, |path| disk.sim().content(path).push(0));
        assert!(matches!(longer, Tampering::Length { found, expected } if found == expected + 1), "{longer:?}");
    }
}

/// What an operator reads.
#[test]
fn the_error_says_which_file_what_was_found_and_what_to_do() {
    let (_temporary, dir, mut store) = new_store();
    store.append(&entries(0..7)).unwrap();
    fs::remove_file(dir.join(WAL)).unwrap();
    let error = store.append(&entries(7..8)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the batch was not acknowledged, for somebody else is at the ledger's files: find out who, keep the folder as it is \
         for the audit, and open the ledger again to learn what is there"
    );
    assert_eq!(
        std::error::Error::source(&error).unwrap().to_string(),
        "wal was deleted or renamed while the ledger was open"
    );
    // All that was acknowledged is in the tiles, so it opens when they verify.
    drop(store);
    super::check(&super::reopen(&dir).0, 7);
}

#[test]
fn a_second_name_for_a_file_is_no_alteration() {
    let (_temporary, dir, mut store) = new_store();
    store.append(&entries(0..7)).unwrap();
    for number in 0..watched(7).len() {
        let size = store.size();
        fs::hard_link(dir.join(&watched(size)[number]), dir.join("backup")).unwrap();
        store.append(&entries(size..size + 1)).unwrap();
        fs::remove_file(dir.join("backup")).unwrap();
    }
}
