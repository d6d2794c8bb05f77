use super::{edge, entries, names, new_store, signer};
use crate::{OpenReaderError, Reader, VerifyError};
use std::fs;
use std::path::Path;

fn verify(dir: &Path) -> Result<crate::Report, VerifyError> {
    Reader::open(dir).unwrap().verify(signer("example.com/log").verifier())
}

fn copy(from: &Path, to: &Path) {
    for name in names(from).iter().filter(|name| *name == "checkpoint" || name.starts_with("tile/")) {
        fs::create_dir_all(to.join(name).parent().unwrap()).unwrap();
        fs::copy(from.join(name), to.join(name)).unwrap();
    }
}

#[test]
fn a_plain_copy_is_verified_with_the_public_key_alone() {
    let (temporary, dir, mut store) = new_store();
    store.append(&entries(0..700)).unwrap();
    let other = temporary.path().join("copy");
    copy(&dir, &other);
    let report = verify(&other).unwrap();
    assert_eq!((report.size, report.entries, report.tiles), (700, 700, 4));
    assert_eq!((report.origin.as_str(), report.root), ("example.com/log", edge(700).root()));
    let reader = Reader::open(&other).unwrap();
    let checkpoint = reader.checkpoint(store.verifier()).unwrap();
    let read = reader.entries(&checkpoint, 250..700).unwrap().collect::<Result<Vec<_>, _>>().unwrap();
    assert_eq!(read, entries(250..700));
    let proof = reader.log_proof(store.verifier(), 255).unwrap();
    proof.verify(&entries(255..256)[0], store.verifier()).unwrap();
    let consistency = reader.consistency_proof(&checkpoint, 300).unwrap();
    assert_eq!(consistency, store.consistency_proof(300, 700).unwrap());
    assert!(reader.log_proof(store.verifier(), 700).is_err());
}

#[test]
fn an_empty_log_is_verified() {
    let (_temporary, dir, _store) = new_store();
    assert_eq!(verify(&dir).unwrap().entries, 0);
}

#[test]
fn a_directory_without_checkpoint_is_no_ledger() {
    let temporary = tempfile::tempdir().unwrap();
    assert!(matches!(Reader::open(temporary.path()), Err(OpenReaderError::NoCheckpoint { .. })));
}

#[test]
fn every_altered_byte_is_noticed() {
    let (_temporary, dir, mut store) = new_store();
    store.append(&entries(0..260)).unwrap();
    for name in names(&dir).iter().filter(|name| *name == "checkpoint" || name.starts_with("tile/")) {
        let content = fs::read(dir.join(name)).unwrap();
        for at in (0..content.len()).step_by(content.len() / 40 + 1) {
            let mut altered = content.clone();
            altered[at] ^= 1;
            fs::write(dir.join(name), &altered).unwrap();
            assert!(verify(&dir).is_err(), "{name}, byte {at}");
        }
        fs::remove_file(dir.join(name)).unwrap();
        assert!(Reader::open(&dir).is_err() || verify(&dir).is_err(), "{name} missing");
        fs::write(dir.join(name), content).unwrap();
    }
    verify(&dir).unwrap();
}

#[test]
fn a_tile_that_blocks_or_never_ends_is_an_error() {
    let (_temporary, dir, mut store) = new_store();
    store.append(&entries(0..2)).unwrap();
    for name in ["tile/entries/000.p/2", "tile/0/000.p/2", "checkpoint"] {
        let content = fs::read(dir.join(name)).unwrap();
        fs::remove_file(dir.join(name)).unwrap();
        std::os::unix::fs::symlink("/dev/zero", dir.join(name)).unwrap();
        assert!(verify(&dir).is_err(), "{name}");
        fs::remove_file(dir.join(name)).unwrap();
        fs::write(dir.join(name), content).unwrap();
    }
}

#[test]
fn a_reader_reads_on_while_a_writer_appends() {
    let (_temporary, dir, mut store) = new_store();
    let last = 540;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for size in (0..last).step_by(3) {
                store.append(&entries(size..size + 3)).unwrap();
            }
        });
        let reader = Reader::open(&dir).unwrap();
        let key = signer("example.com/log");
        let mut seen = 0;
        while seen < last {
            let checkpoint = reader.checkpoint(key.verifier()).unwrap();
            let report = reader.verify(key.verifier()).unwrap();
            assert!(report.size >= checkpoint.size() && checkpoint.size() >= seen);
            // What an older checkpoint was signed over is there still.
            let read = reader.entries(&checkpoint, seen..checkpoint.size()).unwrap();
            assert_eq!(read.collect::<Result<Vec<_>, _>>().unwrap(), entries(seen..checkpoint.size()));
            if checkpoint.size() > 0 {
                reader.inclusion_proof(&checkpoint, checkpoint.size() - 1).unwrap();
            }
            seen = checkpoint.size();
        }
    });
}
