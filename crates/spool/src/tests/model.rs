//! Random calls, kills and power losses, against a plain list of what was appended.

use super::{Rig, payload};
use crate::writer::MAX_UNSAVED;
use crate::{AppendError, Bound, EntryId, Limits, Recovered, Taken};
use bytes::Bytes;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// Segments of about 8 KiB, so that a few entries begin the next; bounds that some runs reach.
const LIMITS: Limits =
    Limits { max_bytes: 5 * 16_384, segment_bytes: 16_384, max_entries: 60, max_waiting_bytes: 40_000 };

#[derive(Clone, Debug)]
enum Call {
    /// Entries of such lengths, which wait together.
    Append(Vec<usize>),
    Take,
    Done(usize),
    GiveBack(usize),
    /// The writer's thread comes by.
    Tidy,
    Reopen(End),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Close,
    Kill,
    PowerLoss,
}

fn calls() -> impl Strategy<Value = Call> {
    let length = prop_oneof![0usize..100, 0usize..2000, Just(8149)];
    prop_oneof![
        5 => prop::collection::vec(length, 1..6).prop_map(Call::Append),
        8 => Just(Call::Take),
        6 => any::<usize>().prop_map(Call::Done),
        2 => any::<usize>().prop_map(Call::GiveBack),
        2 => Just(Call::Tidy),
        1 => prop_oneof![Just(End::Close), Just(End::Kill), Just(End::PowerLoss)].prop_map(Call::Reopen),
    ]
}

/// What was appended, and not delivered.
#[derive(Default)]
struct Model {
    waiting: BTreeMap<EntryId, (u64, Bytes)>,
    /// What may come again after a crash.
    delivered: BTreeMap<EntryId, (u64, Bytes)>,
    number: u64,
}

impl Model {
    fn append(&mut self, rig: &mut Rig, lengths: &[usize]) {
        let first = self.number;
        self.number += lengths.len() as u64;
        let payloads = (first..).zip(lengths).map(|(number, length)| (number, payload(number, *length)));
        let entries: Vec<_> = payloads.map(|(number, payload)| (number, &b"tag"[..], payload)).collect();
        for (answer, (number, _, payload)) in rig.append_group(&entries).into_iter().zip(entries) {
            match answer {
                Ok(id) => {
                    // Ids grow, and none is given twice while the entry is there.
                    assert!(self.waiting.last_key_value().is_none_or(|(newest, _)| *newest < id));
                    self.waiting.insert(id, (number, payload));
                }
                Err(AppendError::Full(Bound::DiskBytes(_))) => {
                    let stats = rig.spool.stats();
                    assert!(stats.disk_bytes + LIMITS.segment_bytes > LIMITS.max_bytes, "{stats:?}");
                }
                Err(AppendError::Full(Bound::Entries(_) | Bound::WaitingBytes(_))) => {}
                Err(error) => panic!("{error}"),
            }
        }
    }

    fn check(&self, entry: &Taken) {
        let (number, payload) = &self.waiting[&entry.id()];
        assert_eq!((entry.at_ms(), entry.tag(), entry.payload()), (*number, &b"tag"[..], payload));
    }

    fn take(&self, rig: &Rig, out: &mut Vec<Taken>) {
        let is_out = |id: &EntryId| out.iter().any(|taken| taken.id() == *id);
        let expected = self.waiting.keys().find(|id| !is_out(id));
        let taken = rig.next().map(Result::unwrap);
        assert_eq!(taken.as_ref().map(Taken::id).as_ref(), expected, "the oldest that is not taken");
        taken.iter().for_each(|entry| self.check(entry));
        out.extend(taken);
    }

    fn done(&mut self, entry: Taken) {
        let known = self.waiting.remove_entry(&entry.id()).unwrap();
        self.delivered.extend([known]);
        entry.done();
    }

    /// Everything is there after a crash that was, and what was delivered comes again within the bound.
    fn reopen(&mut self, rig: Rig, out: Vec<Taken>, end: End) -> Rig {
        let rig = match end {
            End::Close => {
                drop(out);
                rig.close(LIMITS)
            }
            End::Kill => Rig::open(rig.disk.kill(), LIMITS).unwrap(),
            End::PowerLoss => Rig::open(rig.disk.lose_power(), LIMITS).unwrap(),
        };
        let again = rig.take_all();
        assert!(again.is_sorted_by_key(Taken::id));
        let recovered = Recovered { entries: again.len() as u64, ..Recovered::default() };
        assert_eq!(rig.recovered, recovered);
        let waiting = self.waiting.len();
        for entry in &again {
            if let Some(delivered) = self.delivered.remove(&entry.id()) {
                self.waiting.insert(entry.id(), delivered);
            }
            self.check(entry);
        }
        assert_eq!(again.len(), self.waiting.len(), "an acknowledged entry is lost");
        let duplicates = again.len() - waiting;
        assert!(duplicates == 0 || end != End::Close, "an orderly end remembers everything");
        assert!(duplicates <= MAX_UNSAVED as usize);
        self.delivered.clear();
        rig
    }

    fn check_stats(&self, rig: &Rig, out: usize) {
        let stats = rig.spool.stats();
        let oldest_ms = self.waiting.values().next().map(|(number, _)| *number);
        let seen = (stats.entries, stats.taken, stats.oldest_ms, stats.waiting_bytes);
        assert_eq!(seen, (self.waiting.len() as u64, out as u64, oldest_ms, 0));
        assert!(stats.disk_bytes <= LIMITS.max_bytes);
        let sim = &mut rig.disk.sim();
        let on_disk: usize = sim.names().iter().map(|name| sim.content(name).len()).sum();
        assert_eq!(stats.disk_bytes, on_disk as u64);
        assert_eq!((stats.lost_entries, stats.failed, stats.untidy), (0, 0, 0));
    }
}

fn run(calls: Vec<Call>, seed: u64) {
    let disk = crate::sim_disk::SimDisk::new(crate::sim_disk::Sim::default(), seed);
    let mut rig = Rig::open(disk, LIMITS).unwrap();
    let (mut model, mut out) = (Model::default(), Vec::new());
    for call in calls {
        match call {
            Call::Append(lengths) => model.append(&mut rig, &lengths),
            Call::Take => model.take(&rig, &mut out),
            Call::Done(which) if !out.is_empty() => {
                let entry = out.swap_remove(which % out.len());
                model.done(entry);
            }
            Call::GiveBack(which) if !out.is_empty() => drop(out.swap_remove(which % out.len())),
            Call::Done(_) | Call::GiveBack(_) => {}
            Call::Tidy => rig.writer.step(),
            Call::Reopen(end) => rig = model.reopen(rig, std::mem::take(&mut out), end),
        }
        model.check_stats(&rig, out.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Invariant 7: what was acknowledged is delivered or on the disk.
    #[test]
    fn a_spool_is_a_list_that_survives(calls in prop::collection::vec(calls(), 1..80), seed: u64) {
        run(calls, seed);
    }
}
