//! A crash at every call of an append and of a recovery: what was acknowledged is there, whole batches only, under a
//! checkpoint that no earlier one contradicts.

use super::{edge, entries, signer};
use crate::disk::Disk as _;
use crate::sim_disk::{Sim, SimDisk};
use crate::wal::WAL;
use crate::{AppendError, OpenError, Reader, Recovered, Store};
use ledger::{Checkpoint, Edge, Hash};
use proptest::prelude::*;
use std::path::Path;

fn dir() -> &'static Path {
    Path::new("simulated")
}

fn open(disk: &SimDisk) -> Result<(Store, Recovered), OpenError> {
    Store::open_on(Box::new(disk.clone()), dir(), signer("log"), None)
}

fn create(disk: &SimDisk) -> Result<Store, crate::CreateError> {
    Store::create_on(Box::new(disk.clone()), dir(), signer("log"), None)
}

/// A log with so many entries, all of it durable.
struct Base {
    sim: Sim,
    edge: Edge,
}

fn base(size: u64) -> Base {
    let disk = SimDisk::new(Sim::default(), 0);
    let mut store = create(&disk).unwrap();
    for first in (0..size).step_by(20_000) {
        store.append(&entries(first..size.min(first + 20_000))).unwrap();
    }
    drop(store);
    open(&disk).unwrap();
    let mut sim = disk.sim().clone();
    // Only what a case publishes is checked again in it.
    sim.published.clear();
    Base { sim, edge: edge(size) }
}

impl Base {
    fn root(&self, size: u64) -> Hash {
        let mut edge = self.edge.clone();
        let more = entries(edge.size()..size);
        more.iter().for_each(|entry| edge.append(Hash::of_leaf(entry), &mut Vec::new()));
        edge.root()
    }

    /// Opens the log, with failures on the way if `failing`, and checks that it has one of two sizes and goes on.
    fn check(&self, disk: &SimDisk, acknowledged: u64, attempted: u64, failing: bool) {
        if failing {
            for _ in 0..3 {
                disk.fail_in(Some(1 + disk.random(40)));
                drop(open(disk));
                disk.fail_in(None);
                if disk.random(2) == 0 {
                    disk.lose_power();
                }
            }
        }
        let (store, _) = open(disk).unwrap();
        let size = store.size();
        assert!(size == acknowledged || size == attempted, "{size} is neither {acknowledged} nor {attempted}");
        self.check_content(&store);
        drop(store);
        // What recovery has shown once stays, even if the power goes right after.
        disk.lose_power();
        let (mut store, recovered) = open(disk).unwrap();
        assert_eq!((store.size(), recovered), (size, Recovered::default()));
        assert_eq!(store.append(&entries(size..size + 3)).unwrap(), size..size + 3);
        drop(store);
        disk.lose_power();
        let (store, _) = open(disk).unwrap();
        assert_eq!(store.size(), size + 3);
        self.check_content(&store);
        self.check_published(disk, &store);
        // It hashes the whole log: in every third case of a short one.
        if size < 1000 && disk.random(3) == 0 {
            let report = Reader::on(Box::new(disk.clone()), dir()).verify(store.verifier()).unwrap();
            assert_eq!(report.entries, size + 3);
        }
    }

    fn check_content(&self, store: &Store) {
        let (size, from) = (store.size(), self.edge.size().saturating_sub(2));
        assert_eq!(store.root(), self.root(size));
        assert_eq!(store.read(from..size).unwrap().collect::<Result<Vec<_>, _>>().unwrap(), entries(from..size));
    }

    /// No checkpoint that anybody can have seen contradicts the log (tlog-checkpoint, "Signatures").
    fn check_published(&self, disk: &SimDisk, store: &Store) {
        for text in disk.sim().published.clone() {
            let checkpoint = Checkpoint::open(&text, store.verifier()).unwrap();
            assert_eq!(checkpoint.root(), self.root(checkpoint.size()));
        }
    }

    /// Appends batches with a failure at one call, and recovers. Returns whether the failure came to pass.
    fn run(&self, batches: &[u64], fail_at: u64, power_fails: bool, seed: u64) -> bool {
        let disk = SimDisk::new(self.sim.clone(), seed);
        let (mut store, _) = open(&disk).unwrap();
        disk.fail_in(Some(fail_at));
        let mut acknowledged = self.edge.size();
        let mut attempted = acknowledged;
        for batch in batches {
            let range = acknowledged..acknowledged + batch;
            match store.append(&entries(range.clone())) {
                Ok(appended) => {
                    assert_eq!(appended, range);
                    (acknowledged, attempted) = (range.end, range.end);
                }
                Err(AppendError::Disk(_)) => {
                    attempted = range.end;
                    let next = store.append(&entries(0..1));
                    assert!(matches!(next, Err(AppendError::Broken { .. })));
                    break;
                }
                // The failure came after the last acknowledgement.
                Err(AppendError::Broken { .. }) => break,
                Err(error) => panic!("{error}"),
            }
        }
        drop(store);
        let failed = disk.failed();
        disk.fail_in(None);
        if power_fails {
            disk.lose_power();
        }
        self.check(&disk, acknowledged, attempted, seed % 2 == 1);
        failed
    }
}

/// Every call, with or without power loss, a few seeds each. Returns how many cases there were.
fn check(size: u64, batches: &[u64], power_fails: &[bool], seeds: u64) -> u64 {
    let base = base(size);
    let mut cases = 0;
    for fail_at in 1.. {
        let mut failed = false;
        for seed in 0..seeds {
            for power_fails in power_fails {
                failed |= base.run(batches, fail_at, *power_fails, seed * 1000 + fail_at);
                cases += 1;
            }
        }
        if !failed {
            return cases;
        }
    }
    unreachable!("an append makes finitely many calls")
}

#[test]
fn a_crash_at_any_call_of_an_append_loses_nothing() {
    let both = [true, false];
    assert!(check(0, &[1, 2], &both, 5) + check(3, &[1, 1, 1], &both, 5) > 1000);
}

#[test]
fn a_crash_where_tiles_fill_loses_nothing() {
    check(254, &[1, 1], &[true], 1);
    check(200, &[400], &[true], 1);
    check(511, &[1], &[true], 1);
}

#[test]
fn a_crash_where_three_levels_of_tiles_fill_loses_nothing() {
    check(65_535, &[1], &[true], 1);
}

#[test]
fn a_crash_while_the_write_ahead_log_is_emptied_loses_nothing() {
    let big = vec![vec![9; 65_000]; 16];
    // The write-ahead log becomes too long with the fifth batch; emptying it is the last that this append does.
    let before_fifth = |seed| {
        let disk = SimDisk::new(Sim::default(), seed);
        let mut store = create(&disk).unwrap();
        for _ in 0..4 {
            store.append(&big).unwrap();
        }
        (disk, store)
    };
    let (disk, mut store) = before_fifth(0);
    let before = disk.calls();
    store.append(&big).unwrap();
    assert_eq!(disk.length(WAL).unwrap(), Some(0));
    let calls = disk.calls() - before;
    for fail_at in [calls - 2, calls - 1, calls] {
        let (disk, mut store) = before_fifth(fail_at);
        disk.fail_in(Some(fail_at));
        store.append(&big).unwrap();
        assert!(matches!(store.append(&big), Err(AppendError::Broken { .. })));
        drop(store);
        disk.fail_in(None);
        disk.lose_power();
        assert_eq!(open(&disk).unwrap().0.size(), 80);
    }
}

#[test]
fn a_crash_at_any_call_of_creating_can_be_tried_again() {
    for seed in 0..400 {
        let disk = SimDisk::new(Sim::default(), seed);
        disk.fail_in(Some(1 + seed % 12));
        drop(create(&disk));
        disk.fail_in(None);
        if seed % 2 == 0 {
            disk.lose_power();
        }
        match create(&disk) {
            Ok(_) => {}
            // The checkpoint got its name before the failure; opening makes that durable.
            Err(crate::CreateError::Exists { .. }) => drop(open(&disk).unwrap()),
            Err(error) => panic!("{error}"),
        }
        disk.lose_power();
        assert_eq!(open(&disk).unwrap().0.size(), 0);
    }
}

#[test]
fn a_file_that_goes_missing_is_an_error_and_no_panic() {
    let base = base(300);
    for path in base.sim.paths().iter().filter(|path| path.starts_with("tile/")) {
        for at in [None, Some(0)] {
            let disk = SimDisk::new(base.sim.clone(), 0);
            disk.sim().damage(path, at);
            let reader = Reader::on(Box::new(disk.clone()), dir());
            assert!(reader.verify(signer("log").verifier()).is_err(), "{path}");
            assert!(at.is_some() || matches!(open(&disk), Err(OpenError::Short { .. })), "{path}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_batch_in_the_write_ahead_log_is_replayed_and_anything_else_cut(
        batch in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 1..20),
        rest in prop::collection::vec(any::<u8>(), 0..100),
    ) {
        let disk = SimDisk::new(Sim::default(), 0);
        drop(create(&disk).unwrap());
        disk.append_synced(WAL, &crate::wal::encode(0, &batch)).unwrap();
        disk.append_synced(WAL, &rest).unwrap();
        let (store, recovered) = open(&disk).unwrap();
        prop_assert_eq!(
            recovered,
            Recovered { entries_replayed: batch.len() as u64, bytes_cut: rest.len() as u64 }
        );
        prop_assert_eq!(store.read(0..store.size()).unwrap().collect::<Result<Vec<_>, _>>().unwrap(), batch);
    }
}
