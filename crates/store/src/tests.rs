//! What the store promises, on the real file system; `crash` has the simulated one.

mod crash;
mod full_disk;
mod group;
mod key_file;
mod kills;
mod reader;
mod rotation;
mod shards;
mod sim;
mod tampering;
mod witness;

use crate::wal::{Layout, WAL};
use crate::{AppendError, CreateError, MAX_BATCH_BYTES, OpenError, Reader, Recovered, Store};
use ledger::{Edge, Hash, KeyName, Origin, SignerKey};
use std::fs;
use std::ops::Range;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

pub(crate) fn signer(name: &str) -> SignerKey {
    SignerKey::new(KeyName::new(name).unwrap(), &[7; 32])
}

pub(crate) fn origin(name: &str) -> Origin {
    Origin::first(&KeyName::new(name).unwrap())
}

pub(crate) fn entries(range: Range<u64>) -> Vec<Vec<u8>> {
    range.map(|index| format!("entry {index}{}", "+".repeat(index as usize % 13)).into_bytes()).collect()
}

/// The edge of the log of the first `size` entries.
pub(crate) fn edge(size: u64) -> Edge {
    let mut edge = Edge::empty();
    entries(0..size).iter().for_each(|entry| edge.append(Hash::of_leaf(entry), &mut Vec::new()));
    edge
}

fn new_store() -> (TempDir, PathBuf, Store) {
    let temporary = tempfile::tempdir().unwrap();
    let dir = temporary.path().join("ledger");
    let store = Store::create(&dir, signer("example.com/log")).unwrap();
    (temporary, dir, store)
}

fn reopen(dir: &Path) -> (Store, Recovered) {
    Store::open(dir, signer("example.com/log")).unwrap()
}

fn refused(dir: &Path) -> String {
    let error = Store::open(dir, signer("example.com/log")).err().expect("the ledger should be refused");
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(error) = source {
        text += &format!(": {error}");
        source = error.source();
    }
    text.replace(dir.to_str().unwrap(), "DIR")
}

/// All files in a directory with their permission bits, but those that have no names of their own yet.
fn files(dir: &Path) -> Vec<(String, u32)> {
    let mut found = Vec::new();
    let mut directories = vec![dir.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let (path, metadata) = entry.map(|entry| (entry.path(), entry.metadata().unwrap())).unwrap();
            let mode = metadata.permissions().mode() & 0o777;
            if metadata.is_dir() {
                assert_eq!(mode, 0o700, "{path:?}");
                directories.push(path);
            } else {
                found.push((path.strip_prefix(dir).unwrap().to_str().unwrap().to_owned(), mode));
            }
        }
    }
    found.retain(|(name, _)| !name.starts_with("tmp/"));
    found.sort();
    found
}

fn names(dir: &Path) -> Vec<String> {
    files(dir).into_iter().map(|(name, _)| name).collect()
}

/// The store holds exactly the first `size` entries.
fn check(store: &Store, size: u64) {
    assert_eq!(store.size(), size);
    assert_eq!(store.root(), edge(size).root());
    assert_eq!(store.read(0..size).unwrap().collect::<Result<Vec<_>, _>>().unwrap(), entries(0..size));
    let checkpoint = ledger::Checkpoint::open(store.checkpoint(), store.verifier()).unwrap();
    assert_eq!((checkpoint.size(), checkpoint.root()), (size, store.root()));
}

#[test]
fn what_was_appended_is_there_after_opening() {
    let (_temporary, dir, mut store) = new_store();
    let mut size = 0;
    for batch in [1, 0, 3, 250, 1, 1, 1, 600, 3] {
        assert_eq!(store.append(&entries(size..size + batch)).unwrap(), size..size + batch);
        size += batch;
        check(&store, size);
    }
    drop(store);
    let (store, recovered) = reopen(&dir);
    assert_eq!(recovered, Recovered::default());
    check(&store, size);
}

/// Golden bytes of everything that is on the disk.
#[test]
fn the_directory_is_that_of_tlog_tiles() {
    let (_temporary, dir, mut store) = new_store();
    store.append(&[b"one".to_vec(), b"".to_vec()]).unwrap();
    store.append(&[b"three".to_vec()]).unwrap();
    let expected = ["checkpoint", "lock", "tile/0/000.p/3", "tile/entries/000.p/3", "wal"];
    assert_eq!(files(&dir), expected.map(|name| (name.to_owned(), 0o600)));
    assert_eq!(fs::read(dir.join("tile/entries/000.p/3")).unwrap(), b"\0\x03one\0\0\0\x05three");
    let leaves = [b"one".as_slice(), b"", b"three"].map(|entry| Hash::of_leaf(entry).0);
    assert_eq!(fs::read(dir.join("tile/0/000.p/3")).unwrap(), leaves.concat());
    assert_eq!(fs::read_to_string(dir.join("checkpoint")).unwrap(), GOLDEN_CHECKPOINT);
    let wal = fs::read(dir.join(WAL)).unwrap();
    assert_eq!(wal.len() as u64, Layout::STANDARD.length());
    assert_eq!(wal[..GOLDEN_BASE.len()], *GOLDEN_BASE);
    assert_eq!(wal[FRAMES_AT..][..GOLDEN_FRAMES.len()], *GOLDEN_FRAMES);
    let rest = [&wal[GOLDEN_BASE.len()..FRAMES_AT], &wal[FRAMES_AT + GOLDEN_FRAMES.len()..]];
    assert!(rest.iter().all(|bytes| bytes.iter().all(|byte| *byte == 0)));
    store.append(&vec![b"x".to_vec(); 254]).unwrap();
    let expected = [
        "checkpoint",
        "lock",
        "tile/0/000",
        "tile/0/001.p/1",
        "tile/1/000.p/1",
        "tile/entries/000",
        "tile/entries/001.p/1",
        "wal",
    ];
    assert_eq!(names(&dir), expected);
    assert_eq!(fs::metadata(&dir).unwrap().permissions().mode() & 0o777, 0o700);
}

const GOLDEN_CHECKPOINT: &str = "example.com/log\n\
    3\n\
    QbhLyeicMZpcF4n58jzH13w4Sdz2Uzk5SIp5SswHLYk=\n\n\
    — example.com/log cC88cHsHMschtnkkITLDmxaVgEaBtAMP65z5mBYKuwyWOrb8A9tAeHB6yDKlX+cyisqPTICrOdLhQcunkYumRipKgQM=\n";
/// Behind the two places of bases.
const FRAMES_AT: usize = 8192;
const GOLDEN_BASE: &[u8] = b"\x00\x00\x00\xb1\x84\xfd\xb2\x84\
    example.com/log\n\
    0\n\
    47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n\n\
    \xe2\x80\x94 example.com/log cC88cMDY+F2scM7oHmYuLh0dab5bBhJfhA1ZAcihLOGONkzwIuUbCMBe3tjRqdt7fEf3KXsTbNqpFgoSd1QQtmpmMQ0=\n";
const GOLDEN_FRAMES: &[u8] = b"\x00\x00\x00\x07t\xfd\x0b\xc5\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\
    \x00\x03one\x00\x00\
    \x00\x00\x00\x07\xca\xb5\x9d\xae\x00\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x01\
    \x00\x05three";

#[test]
fn appending_one_by_one_leaves_no_old_partial_files() {
    let (_temporary, dir, mut store) = new_store();
    for size in 0..300 {
        store.append(&entries(size..size + 1)).unwrap();
    }
    let expected = [
        "checkpoint",
        "lock",
        "tile/0/000",
        "tile/0/001.p/44",
        "tile/1/000.p/1",
        "tile/entries/000",
        "tile/entries/001.p/44",
        "wal",
    ];
    assert_eq!(names(&dir), expected);
}

#[test]
fn a_second_writer_is_refused_until_the_first_is_gone() {
    let (_temporary, dir, store) = new_store();
    assert_eq!(refused(&dir), "another process writes to DIR: stop it first; to read, no lock is needed");
    drop(store);
    reopen(&dir);
}

#[test]
fn creating_twice_or_over_other_files_is_refused() {
    let (temporary, dir, store) = new_store();
    drop(store);
    let create = |dir: &Path| Store::create(dir, signer("example.com/log")).err();
    assert!(matches!(create(&dir), Some(CreateError::Exists { .. })));
    let other = temporary.path().join("other");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("thesis.txt"), "").unwrap();
    assert!(matches!(create(&other), Some(CreateError::NotEmpty { found, .. }) if found == "thesis.txt"));
    assert!(refused(&other).starts_with("DIR holds no ledger, for it has no checkpoint"));
    assert_eq!(names(&other), ["thesis.txt"]);
    assert!(refused(&temporary.path().join("absent")).contains("holds no ledger"));
    // A ledger that lost its checkpoint is no place for a new one.
    let (_store, recovered) = reopen(&dir);
    assert_eq!(recovered, Recovered::default());
    drop(_store);
    fs::remove_file(dir.join("checkpoint")).unwrap();
    assert!(matches!(create(&dir), Some(CreateError::NotEmpty { found, .. }) if found == WAL));
}

#[test]
fn somebody_else_s_ledger_is_refused_with_both_keys() {
    let (_temporary, dir, store) = new_store();
    drop(store);
    let theirs = SignerKey::new(KeyName::new("example.com/log").unwrap(), &[8; 32]);
    for other in [signer("example.com/other"), theirs] {
        let OpenError::Checkpoint { source, .. } = Store::open(&dir, other.clone()).err().unwrap() else { panic!() };
        let ours = signer("example.com/log");
        let name = |key: &SignerKey| format!("{} (key id {})", key.verifier().name(), key.verifier().id());
        assert_eq!(source.to_string(), format!("the note is signed by {}, not by {}", name(&ours), name(&other)));
    }
}

#[test]
fn what_does_not_fit_is_refused_before_it_is_written() {
    let (_temporary, _dir, mut store) = new_store();
    let long = store.append(&[vec![0; 3], vec![0; 65_536]]).unwrap_err();
    assert!(matches!(long, AppendError::EntryTooLong { entry: 1, .. }));
    let batch = vec![vec![0; 65_534]; 16];
    assert_eq!(batch.len() * 65_536, MAX_BATCH_BYTES);
    let over = store.append(&[batch.clone(), vec![vec![]]].concat()).unwrap_err();
    assert!(matches!(over, AppendError::BatchTooLong { found } if found == MAX_BATCH_BYTES + 2));
    assert_eq!(store.append(&batch).unwrap(), 0..16);
    assert_eq!(store.append(&[vec![1; 65_535]]).unwrap(), 16..17);
}

#[test]
fn the_write_ahead_log_keeps_its_length_and_its_blocks() {
    let (_temporary, dir, mut store) = new_store();
    let megabyte = vec![vec![5; 60_000]; 17];
    for _ in 0..20 {
        store.append(&megabyte).unwrap();
    }
    let metadata = fs::metadata(dir.join(WAL)).unwrap();
    assert_eq!(metadata.len(), Layout::STANDARD.length());
    assert!(metadata.blocks() * 512 >= metadata.len(), "all its room is set aside");
    drop(store);
    assert_eq!(reopen(&dir).0.size(), 340);
}

/// Writes into the write-ahead log of a closed ledger what comes after its base.
fn log_behind_the_base(dir: &Path, frames: &[&[u8]]) {
    let file = fs::OpenOptions::new().write(true).open(dir.join(WAL)).unwrap();
    file.write_all_at(&frames.concat(), FRAMES_AT as u64).unwrap();
}

#[test]
fn a_batch_in_the_write_ahead_log_is_replayed_and_a_torn_one_cut() {
    let (_temporary, dir, mut store) = new_store();
    store.append(&entries(0..5)).unwrap();
    store.close().unwrap();
    let torn = crate::frame::encode(300, &entries(300..303));
    let frames = [crate::frame::encode(5, &entries(5..8)), crate::frame::encode(8, &entries(8..300))];
    log_behind_the_base(&dir, &[&frames[0], &frames[1], &torn[..torn.len() - 1]]);
    let (mut store, recovered) = reopen(&dir);
    let expected = Recovered { entries_replayed: 295, bytes_cut: torn.len() as u64, checkpoint_torn: false };
    assert_eq!(recovered, expected);
    check(&store, 300);
    store.append(&entries(300..301)).unwrap();
    drop(store);
    let (store, recovered) = reopen(&dir);
    assert_eq!(recovered, Recovered::default());
    check(&store, 301);
}

#[test]
fn every_altered_byte_of_a_frame_cuts_it() {
    let (_temporary, dir, store) = new_store();
    drop(store);
    let frame = crate::frame::encode(0, &entries(0..3));
    for at in 0..frame.len() {
        let mut altered = frame.clone();
        altered[at] ^= 0x10;
        log_behind_the_base(&dir, &[&altered]);
        let (store, recovered) = reopen(&dir);
        assert_eq!(recovered.entries_replayed, 0, "byte {at}");
        // A header with another length or index does not say how much of it there was.
        assert!(at < 4 || (8..16).contains(&at) || recovered.bytes_cut == frame.len() as u64, "byte {at}");
        check(&store, 0);
    }
}

/// A process that ends leaves tiles that nobody synced: all that came since the base is written again.
#[test]
fn what_is_not_durable_is_made_again_from_the_write_ahead_log() {
    let (_temporary, dir, mut store) = new_store();
    store.append(&entries(0..5)).unwrap();
    store.close().unwrap();
    let (mut store, _) = reopen(&dir);
    store.append(&entries(5..300)).unwrap();
    store.append(&entries(300..600)).unwrap();
    let expected = names(&dir);
    drop(store);
    for (damaged, content) in [("tile/0/000", None), ("tile/entries/001", Some("torn")), ("checkpoint", Some("torn"))] {
        match content {
            None => fs::remove_file(dir.join(damaged)).unwrap(),
            Some(content) => fs::write(dir.join(damaged), content).unwrap(),
        }
    }
    let (store, recovered) = reopen(&dir);
    assert_eq!(recovered, Recovered { entries_replayed: 595, bytes_cut: 0, checkpoint_torn: true });
    check(&store, 600);
    Reader::open(&dir).unwrap().verify(store.verifier()).unwrap();
    let base = ["tile/0/000.p/5", "tile/entries/000.p/5"];
    let expected: Vec<_> = expected.into_iter().filter(|name| !base.contains(&name.as_str())).collect();
    assert_eq!(names(&dir), expected, "the base's partial files were there until there was a new base");
}

#[test]
fn a_log_shorter_than_its_checkpoint_is_refused_and_left_alone() {
    let (_temporary, dir, mut store) = new_store();
    store.append(&entries(0..600)).unwrap();
    store.close().unwrap();
    for damaged in names(&dir).iter().filter(|name| name.starts_with("tile/")) {
        let path = dir.join(damaged);
        let content = fs::read(&path).unwrap();
        for replacement in [None, Some(&content[..content.len() - 1]), Some(&[])] {
            if damaged == "tile/entries/000" && replacement.is_some_and(|bytes| bytes.len() > 512) {
                continue; // Only reading it all would tell: that is what verifying is for.
            }
            if damaged == "tile/entries/001" && replacement.is_some_and(|bytes| bytes.len() > 512) {
                continue;
            }
            match replacement {
                None => fs::remove_file(&path).unwrap(),
                Some(content) => fs::write(&path, content).unwrap(),
            }
            let before = names(&dir);
            let text = refused(&dir);
            assert!(text.contains("is shorter than its checkpoint of 600 entries"), "{text}");
            assert!(text.contains("nothing was changed") && text.contains(damaged), "{text}");
            assert_eq!(names(&dir), before);
            fs::write(&path, &content).unwrap();
        }
    }
    check(&reopen(&dir).0, 600);
}

#[test]
fn altered_tiles_and_gaps_are_refused() {
    let (_temporary, dir, mut store) = new_store();
    store.append(&entries(0..5)).unwrap();
    store.close().unwrap();
    let wal = fs::read(dir.join(WAL)).unwrap();
    let frame = |first, count| crate::frame::encode(first, &entries(0..count));
    log_behind_the_base(&dir, &[&frame(6, 1)]);
    assert!(refused(&dir).contains("goes on at entry 6, expected 5"), "{}", refused(&dir));
    log_behind_the_base(&dir, &[&frame(4, 2)]);
    assert!(refused(&dir).contains("goes on at entry 4, expected 5"));
    fs::write(dir.join(WAL), &wal).unwrap();
    let tile = dir.join("tile/0/000.p/5");
    let mut content = fs::read(&tile).unwrap();
    content[40] ^= 1;
    fs::write(&tile, content).unwrap();
    assert!(refused(&dir).contains("lead to the root"), "{}", refused(&dir));
}

#[test]
fn a_write_ahead_log_that_is_not_the_ledger_s_is_refused() {
    let (_temporary, dir, mut store) = new_store();
    store.append(&entries(0..5)).unwrap();
    store.close().unwrap();
    let (checkpoint, wal) = (fs::read(dir.join("checkpoint")).unwrap(), fs::read(dir.join(WAL)).unwrap());
    let check = |wal: &[u8], expected: &str| {
        fs::write(dir.join(WAL), wal).unwrap();
        let text = refused(&dir);
        assert!(text.contains(expected) && text.contains("nothing was changed"), "{text}");
        assert!(text.contains("restore the ledger from a backup"), "{text}");
    };
    check(&wal[..wal.len() - 1], "has 16785407 bytes, expected 16785408: it was cut or extended");
    check(&[], "has 0 bytes, expected 16785408");
    check(&vec![0; wal.len()], "does not begin with the head of a log");
    fs::write(dir.join(WAL), &wal).unwrap();
    let (mut store, _) = reopen(&dir);
    store.append(&entries(5..6)).unwrap();
    store.close().unwrap();
    let newer = fs::read(dir.join(WAL)).unwrap();
    fs::write(dir.join("checkpoint"), checkpoint).unwrap();
    check(&newer, "the checkpoint of DIR has 5 entries, but a newer one of 6 entries was durable");
}

/// Acknowledged batches are nowhere but in the write-ahead log for a while: without it the rest does not open as if it were
/// all there was.
#[test]
fn a_log_that_lost_batches_of_its_write_ahead_log_is_refused() {
    let (_temporary, dir, mut store) = new_store();
    store.append(&entries(0..5)).unwrap();
    store.append(&entries(5..9)).unwrap();
    drop(store);
    let first = crate::frame::encode(0, &entries(0..5)).len() as u64;
    let file = fs::OpenOptions::new().write(true).open(dir.join(WAL)).unwrap();
    file.write_all_at(&[0; 30], FRAMES_AT as u64 + first).unwrap();
    let text = refused(&dir);
    assert!(text.contains("has 5 entries, fewer than the 9 of its checkpoint: it was set back"), "{text}");
    assert!(text.contains("restore it from a backup; nothing was changed"), "{text}");
    // Other entries than those that were signed.
    let other = crate::frame::encode(5, &entries(15..19));
    file.write_all_at(&other, FRAMES_AT as u64 + first).unwrap();
    let text = refused(&dir);
    assert!(text.contains("the first 9 entries of the ledger in DIR lead to the root"), "{text}");
    assert!(text.contains("but its checkpoint has"), "{text}");
}

#[test]
fn a_copy_of_the_served_files_alone_opens() {
    let (_temporary, dir, mut store) = new_store();
    store.append(&entries(0..5)).unwrap();
    drop(store);
    fs::remove_file(dir.join(WAL)).unwrap();
    fs::remove_file(dir.join("lock")).unwrap();
    fs::remove_dir_all(dir.join("tmp")).unwrap();
    let (mut store, recovered) = reopen(&dir);
    assert_eq!(recovered, Recovered::default());
    store.append(&entries(5..6)).unwrap();
    check(&store, 6);
    drop(store);
    // What is not there any more is missed, though only reading all of it tells.
    fs::remove_file(dir.join(WAL)).unwrap();
    let bundle = dir.join("tile/entries/000.p/6");
    let mut content = fs::read(&bundle).unwrap();
    content[4] ^= 1;
    fs::write(bundle, content).unwrap();
    assert!(refused(&dir).contains("all its entries were verified, and they do not hold"), "{}", refused(&dir));
}

#[test]
fn ranges_and_proofs_are_those_of_the_log() {
    let (_temporary, _dir, mut store) = new_store();
    store.append(&entries(0..700)).unwrap();
    let read = |range: Range<u64>| store.read(range).unwrap().collect::<Result<Vec<_>, _>>().unwrap();
    for range in [0..0, 0..1, 255..257, 250..700, 699..700, 700..700] {
        assert_eq!(read(range.clone()), entries(range));
    }
    assert!(store.read(0..701).is_err());
    #[expect(clippy::reversed_empty_ranges, reason = "what a caller gets wrong")]
    let reversed = store.read(5..4);
    assert!(reversed.is_err());
    let leaf = Hash::of_leaf(&entries(3..4)[0]);
    for size in [4, 256, 300, 700] {
        let root = store.root_at(size).unwrap();
        ledger::verify_inclusion(leaf, 3, size, &store.inclusion_proof(3, size).unwrap(), root).unwrap();
        let proof = store.consistency_proof(size, 700).unwrap();
        ledger::verify_consistency(size, root, 700, store.root(), &proof).unwrap();
    }
    let proof: ledger::LogProof = store.log_proof(3).unwrap().to_string().parse().unwrap();
    assert_eq!(proof.verify(&entries(3..4)[0], store.verifier()).unwrap().size(), 700);
}
