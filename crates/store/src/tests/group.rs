//! Many writers at once.

use super::sim::{LARGE, SMALL, base, dir, open};
use super::{entries, new_store, reopen};
use crate::disk::Disk as _;
use crate::sim_disk::SimDisk;
use crate::wal::WAL;
use crate::{Appender, Group, GroupError, MAX_BATCH_BYTES, Reader, Reserve};
use ledger::Checkpoint;
use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::thread;

/// Appends batches from several threads, each until the first error. Returns what was acknowledged: entries by index.
fn append_from(writers: u64, batches: u64, appender: &Appender) -> (BTreeMap<u64, Vec<u8>>, Vec<GroupError>) {
    let write = |writer: u64| {
        let mut acknowledged = Vec::new();
        for batch in 0..batches {
            let entries: Vec<_> =
                (0..1 + (writer + batch) % 3).map(|entry| format!("{writer} {batch} {entry}").into_bytes()).collect();
            let reserve = if writer.is_multiple_of(4) { Reserve::Use } else { Reserve::Keep };
            match appender.append(entries.clone(), reserve) {
                Ok(range) => {
                    assert_eq!(range.end - range.start, entries.len() as u64);
                    acknowledged.extend(range.zip(entries));
                }
                Err(error) => return (acknowledged, Some(error)),
            }
        }
        (acknowledged, None)
    };
    let results: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..writers).map(|writer| scope.spawn(move || write(writer))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let mut all = BTreeMap::new();
    let mut errors = Vec::new();
    for (acknowledged, error) in results {
        for (index, entry) in acknowledged {
            assert!(all.insert(index, entry).is_none(), "{index} was given twice");
        }
        errors.extend(error);
    }
    (all, errors)
}

fn read(store: &crate::Store, range: Range<u64>) -> Vec<Vec<u8>> {
    store.read(range).unwrap().collect::<Result<_, _>>().unwrap()
}

#[test]
fn each_of_many_writers_gets_its_own_indices() {
    let (_temporary, dir, store) = new_store();
    let group = Group::start(store).unwrap();
    let (acknowledged, errors) = append_from(24, 20, &group.appender());
    assert!(errors.is_empty(), "{errors:?}");
    let store = group.stop();
    let size = store.size();
    assert_eq!(size, acknowledged.len() as u64);
    assert_eq!(read(&store, 0..size), acknowledged.into_values().collect::<Vec<_>>());
    drop(store);
    let (store, _) = reopen(&dir);
    assert_eq!(store.size(), size);
    assert_eq!(Reader::open(&dir).unwrap().verify(store.verifier()).unwrap().entries, size);
}

#[test]
fn batches_that_wait_share_a_frame_up_to_its_length() {
    let (_temporary, dir, store) = new_store();
    let group = Group::start(store).unwrap();
    let appender = group.appender();
    let half = vec![vec![7; 60_000]; 8];
    assert!(half.len() * 60_002 * 3 > MAX_BATCH_BYTES);
    thread::scope(|scope| {
        for _ in 0..9 {
            scope.spawn(|| appender.append(half.clone(), Reserve::Keep).unwrap());
        }
    });
    let too_long = vec![vec![0; 65_535]; 17];
    assert!(matches!(appender.append(too_long, Reserve::Keep), Err(GroupError::Refused(_))));
    assert_eq!(appender.append(vec![vec![1]], Reserve::Keep).unwrap(), 72..73);
    assert_eq!(appender.append(vec![], Reserve::Keep).unwrap(), 73..73);
    group.close().unwrap();
    assert!(matches!(appender.append(vec![vec![1]], Reserve::Keep), Err(GroupError::Closed)));
    assert_eq!(reopen(&dir).0.size(), 73);
}

#[test]
fn a_failure_reaches_everybody_who_waits() {
    let (_temporary, dir, store) = new_store();
    let group = Group::start(store).unwrap();
    group.appender().append(vec![vec![1]], Reserve::Keep).unwrap();
    fs::remove_file(dir.join(WAL)).unwrap();
    let (acknowledged, errors) = append_from(16, 3, &group.appender());
    assert!(acknowledged.is_empty());
    assert_eq!(errors.len(), 16);
    assert!(errors.iter().all(|error| matches!(error, GroupError::Append(_))), "{errors:?}");
    drop(group.stop());
}

/// Calls fail, the process ends, the power goes, while several threads append and another makes files durable. The order of the
/// threads is the system's; what must hold does not depend on it.
#[test]
fn a_crash_under_many_writers_loses_nothing_that_was_acknowledged() {
    for seed in 0..150 {
        let (size, layout) = if seed % 2 == 0 { (3, SMALL) } else { (250, LARGE) };
        let base = base(size, layout);
        let disk = SimDisk::new(base.sim.clone(), seed);
        let (store, _) = open(&disk, layout).unwrap();
        let group = Group::start(store).unwrap();
        match seed % 3 {
            0 => disk.fail_in(Some(1 + disk.random(80))),
            _ => disk.end_in(1 + disk.random(80)),
        }
        let (acknowledged, _) = append_from(4, 4, &group.appender());
        drop(group.stop());
        disk.fail_in(None);
        if seed % 4 != 3 {
            disk.lose_power();
        }
        let (store, _) = open(&disk, layout).unwrap();
        for (index, entry) in &acknowledged {
            assert_eq!(read(&store, *index..index + 1), std::slice::from_ref(entry), "seed {seed}");
        }
        let published = disk.sim().published.clone();
        for text in &published {
            let checkpoint = Checkpoint::open(text, store.verifier()).unwrap();
            assert!(checkpoint.size() <= store.size(), "seed {seed}");
            assert_eq!(checkpoint.root(), store.root_at(checkpoint.size()).unwrap(), "seed {seed}");
        }
        assert_eq!(disk.open(WAL).unwrap().unwrap().identity().unwrap().length, layout.length());
        let report = Reader::on(Box::new(disk.clone()), dir()).verify(store.verifier()).unwrap();
        assert!(report.entries >= size + acknowledged.len() as u64);
        assert_eq!(read(&store, 0..size), entries(0..size));
    }
}
