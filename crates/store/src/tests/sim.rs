//! A store on the simulated disk, with a failure on the way: what was acknowledged must be there afterwards, whole batches
//! only, under a checkpoint that no earlier one contradicts.

use super::{edge, entries, origin, signer};
use crate::settle::HowToSettle;
use crate::sim_disk::{Sim, SimDisk};
use crate::wal::Layout;
use crate::{AppendError, CreateError, OpenError, Reader, Recovered, Reserve, Store};
use ledger::{Checkpoint, Edge, Hash};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

/// So small that the halves change every few batches.
pub(crate) const SMALL: Layout = Layout { half_bytes: 400, rollback_bytes: 150 };

/// For batches of some hundred entries.
pub(crate) const LARGE: Layout = Layout { half_bytes: 96 * 1024, rollback_bytes: 16 * 1024 };

pub(crate) fn dir() -> &'static Path {
    Path::new("simulated")
}

pub(crate) fn open(disk: &SimDisk, layout: Layout) -> Result<(Store, Recovered), OpenError> {
    Store::open_on(Arc::new(disk.clone()), dir(), signer("log"), None, layout)
}

pub(crate) fn create(disk: &SimDisk, layout: Layout) -> Result<Store, CreateError> {
    Store::create_on(Arc::new(disk.clone()), dir(), (signer("log").into(), &origin("log")), None, layout)
}

/// A log with so many entries, all of it durable.
pub(crate) struct Base {
    pub sim: Sim,
    pub edge: Edge,
    pub layout: Layout,
}

/// How a process meets its end, or does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// One call fails, and those after it do not.
    Once,
    /// The process ends with the call: none after it has an effect.
    End,
}

/// What is done to a log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case<'case> {
    /// Entries of each batch.
    pub batches: &'case [u64],
    pub reserve: Reserve,
    pub how_to_settle: HowToSettle,
    pub failure: Failure,
    /// Which call fails, from 1.
    pub fail_at: u64,
    pub power_fails: bool,
    pub is_full: bool,
    pub seed: u64,
}

/// What a checkpoint says that the key of these tests signed. The same few come again in thousands of cases.
fn opened(text: &str) -> (u64, Hash) {
    static OPENED: Mutex<BTreeMap<String, (u64, Hash)>> = Mutex::new(BTreeMap::new());
    let mut opened = OPENED.lock().unwrap();
    if let Some(known) = opened.get(text) {
        return *known;
    }
    let checkpoint = Checkpoint::open(text, signer("log").verifier()).unwrap();
    *opened.entry(text.to_owned()).or_insert((checkpoint.size(), checkpoint.root()))
}

pub(crate) fn base(size: u64, layout: Layout) -> Base {
    let disk = SimDisk::new(Sim::default(), 0);
    let mut store = create(&disk, layout).unwrap();
    // An entry of `entries` has at most 25 bytes, two more in a frame.
    let step = ((layout.half_bytes - layout.rollback_bytes - 20) / 27) as usize;
    for first in (0..size).step_by(step) {
        store.append(&entries(first..size.min(first + step as u64))).unwrap();
    }
    store.close().unwrap();
    disk.lose_power();
    let mut sim = disk.sim().clone();
    // Only what a case publishes is checked again in it.
    sim.published.clear();
    sim.forget_unnamed();
    Base { sim, edge: edge(size), layout }
}

impl Base {
    pub fn root(&self, size: u64) -> Hash {
        let mut edge = self.edge.clone();
        let more = entries(edge.size()..size);
        more.iter().for_each(|entry| edge.append(Hash::of_leaf(entry), &mut Vec::new()));
        edge.root()
    }

    /// Opens the log, with failures on the way if `failing`, and checks that it has one of two sizes and goes on.
    pub fn check(&self, disk: &SimDisk, acknowledged: u64, attempted: u64, failing: bool) {
        if failing {
            for _ in 0..3 {
                match disk.random(2) {
                    0 => disk.fail_in(Some(1 + disk.random(30))),
                    _ => disk.end_in(1 + disk.random(30)),
                }
                drop(open(disk, self.layout));
                disk.fail_in(None);
                if disk.random(2) == 0 {
                    disk.lose_power();
                }
            }
        }
        let (store, _) = open(disk, self.layout).unwrap();
        let size = store.size();
        assert!(size == acknowledged || size == attempted, "{size} is neither {acknowledged} nor {attempted}");
        self.check_content(&store);
        drop(store);
        // What recovery has shown once stays, even if the power goes right after.
        disk.lose_power();
        let (mut store, recovered) = open(disk, self.layout).unwrap();
        assert_eq!((store.size(), recovered), (size, Recovered::default()));
        self.check_published(disk, &store);
        // And it goes on, which takes as long as all the rest.
        if disk.random(2) == 0 {
            return;
        }
        assert_eq!(store.append(&entries(size..size + 3)).unwrap(), size..size + 3);
        drop(store);
        disk.lose_power();
        let (store, _) = open(disk, self.layout).unwrap();
        assert_eq!(store.size(), size + 3);
        self.check_content(&store);
        self.check_published(disk, &store);
        // It hashes the whole log: in every third case of a short one.
        if size < 1000 && disk.random(3) == 0 {
            let report = Reader::on(Box::new(disk.clone()), dir()).verify(store.verifier()).unwrap();
            assert_eq!(report.entries, size + 3);
        }
    }

    pub fn check_content(&self, store: &Store) {
        let (size, from) = (store.size(), self.edge.size().saturating_sub(2));
        assert_eq!(store.root(), self.root(size));
        assert_eq!(store.read(from..size).unwrap().collect::<Result<Vec<_>, _>>().unwrap(), entries(from..size));
    }

    /// No checkpoint that anybody can have seen contradicts the log (tlog-checkpoint, "Signatures"), or is newer than it.
    pub fn check_published(&self, disk: &SimDisk, store: &Store) {
        for text in disk.sim().published.iter() {
            let (size, root) = opened(text);
            assert!(size <= store.size());
            assert_eq!(root, self.root(size));
        }
    }

    /// Appends batches with a failure at one call, and recovers. Returns whether the failure came to pass.
    pub fn run(&self, case: &Case) -> bool {
        let disk = SimDisk::new(self.sim.clone(), case.seed);
        let (mut store, _) = open(&disk, self.layout).unwrap();
        store.how_to_settle = case.how_to_settle;
        disk.set_full(case.is_full);
        match case.failure {
            Failure::Once => disk.fail_in(Some(case.fail_at)),
            Failure::End => disk.end_in(case.fail_at),
        }
        let mut acknowledged = self.edge.size();
        let mut attempted = acknowledged;
        for batch in case.batches {
            let range = acknowledged..acknowledged + batch;
            match store.append_with(&entries(range.clone()), case.reserve) {
                Ok(appended) => {
                    assert_eq!(appended, range);
                    (acknowledged, attempted) = (range.end, range.end);
                }
                // Nothing was written, so nothing of it may be there.
                Err(error) if error.is_refusal() => assert!(case.reserve == Reserve::Keep, "{error}"),
                Err(AppendError::Disk(_)) => {
                    attempted = range.end;
                    let next = store.append(&entries(0..1));
                    assert!(matches!(next, Err(AppendError::Broken { .. })));
                    break;
                }
                Err(error) => panic!("{case:?}: {error}"),
            }
            self.check_published(&disk, &store);
        }
        drop(store);
        let failed = disk.failed();
        disk.fail_in(None);
        if case.power_fails {
            disk.lose_power();
        }
        if case.is_full {
            // It opens without room too, and goes on for what may use the reserve.
            let (store, _) = open(&disk, self.layout).unwrap();
            self.check_content(&store);
            disk.set_full(false);
        }
        self.check(&disk, acknowledged, attempted, case.seed % 2 == 1);
        failed
    }
}
