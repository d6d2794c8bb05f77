//! A crash, or a failure, at every call to the disk: what was acknowledged is there (invariant 7).

use super::{Rig, SMALL, payload};
use crate::sim_disk::{Sim, SimDisk};
use crate::{AppendError, EntryId, ReadError, Taken};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};

/// What a caller was told, and what it asked for.
#[derive(Default)]
struct Told {
    acknowledged: BTreeMap<EntryId, u64>,
    done: BTreeSet<EntryId>,
    /// Numbers that were handed to `append`: those that were refused may be there nevertheless.
    asked: u64,
}

fn length(number: u64) -> usize {
    [10, 2500, 700, 3000][number as usize % 4]
}

impl Told {
    fn append(&mut self, rig: &mut Rig, count: u64) {
        let numbers = self.asked..self.asked + count;
        self.asked = numbers.end;
        let entry = |number: u64| (number, &b"tag"[..], payload(number, length(number)));
        let entries: Vec<(u64, &[u8], Bytes)> = numbers.clone().map(entry).collect();
        for (number, answer) in numbers.zip(rig.append_group(&entries)) {
            match answer {
                Ok(id) => drop(self.acknowledged.insert(id, number)),
                Err(AppendError::Failed(_)) => {}
                Err(error) => panic!("{error}"),
            }
        }
    }

    fn deliver(&mut self, rig: &mut Rig, give_back: bool) {
        match rig.next() {
            Some(Ok(taken)) if give_back => drop(taken),
            Some(Ok(taken)) => {
                self.done.insert(taken.id());
                taken.done();
            }
            // Of a process that is dead.
            Some(Err(ReadError::Disk { .. })) | None => {}
            Some(Err(error)) => panic!("{error}"),
        }
        rig.writer.step();
    }

    /// Fills a few segments, empties some of them, and goes on; then ends as an orderly process does.
    fn script(&mut self, rig: &mut Rig) {
        for round in 0..5 {
            self.append(rig, 3);
            self.append(rig, 1);
            for give_back in [false, true, false, round % 2 == 0] {
                self.deliver(rig, give_back);
            }
        }
        self.append(rig, 2);
        rig.writer.finish();
    }

    /// Everything that was acknowledged and not done is there, as it was, and nothing that nobody ever appended.
    fn check(&self, rig: &Rig) -> Vec<EntryId> {
        let taken = rig.take_all();
        let stats = rig.spool.stats();
        assert_eq!((stats.lost_entries, stats.lost_bytes), (0, 0));
        let ids: Vec<_> = taken.iter().map(Taken::id).collect();
        assert!(ids.is_sorted());
        for id in self.acknowledged.keys().filter(|id| !self.done.contains(id)) {
            assert!(ids.contains(id), "{id} was acknowledged and is not there");
        }
        for entry in &taken {
            let number = entry.at_ms();
            assert!(number < self.asked);
            assert_eq!(entry.payload(), &payload(number, length(number)));
            if let Some(acknowledged) = self.acknowledged.get(&entry.id()) {
                assert_eq!(*acknowledged, number);
            }
        }
        ids
    }
}

/// Opens after a crash, with further crashes on the way, and checks what is there.
fn check_after(disk: SimDisk, told: &Told, power_fails: bool) {
    let again = |disk: SimDisk| if power_fails { disk.lose_power() } else { disk.kill() };
    let mut disk = again(disk);
    for _ in 0..2 {
        {
            let mut sim = disk.sim();
            let at = sim.calls() + 1 + sim.random(6);
            sim.die_at = Some(at);
        }
        drop(Rig::open(disk.clone(), SMALL).map(|mut rig| rig.writer.step()));
        disk = again(disk);
    }
    let mut rig = Rig::open(disk, SMALL).unwrap();
    let ids = told.check(&rig);
    // What opening has shown once stays.
    let rig_again = Rig::open(rig.disk.lose_power(), SMALL).unwrap();
    assert_eq!(told.check(&rig_again), ids);
    assert_eq!(rig_again.recovered.torn_bytes, 0);
    rig = rig_again;
    let new = rig.append(0, b"", b"new").unwrap();
    assert!(!ids.contains(&new));
    let rig = Rig::open(rig.disk.lose_power(), SMALL).unwrap();
    assert!(rig.take_all().iter().any(|entry| entry.id() == new));
}

/// Runs the script with a crash or a failure at one call. False if the script has fewer calls.
fn run(at: u64, dies: bool, power_fails: bool, seed: u64) -> bool {
    let disk = SimDisk::new(Sim::default(), seed);
    let mut rig = Rig::open(disk.clone(), SMALL).unwrap();
    {
        let mut sim = disk.sim();
        *(if dies { &mut sim.die_at } else { &mut sim.fail_at }) = Some(at);
    }
    let mut told = Told::default();
    told.script(&mut rig);
    let reached = disk.sim().calls() >= at;
    if !dies {
        // One failure does not stop it: two groups were refused at most, if a file was made whose making was said to fail.
        assert!(told.asked - told.acknowledged.len() as u64 <= 4);
    }
    drop(rig);
    check_after(disk, &told, power_fails);
    reached
}

fn every_call(dies: bool) -> u64 {
    for at in 2.. {
        let mut reached = false;
        for seed in 0..8 {
            for power_fails in [false, true] {
                reached |= run(at, dies, power_fails, seed * 1000 + at);
            }
        }
        if !reached {
            return at;
        }
    }
    unreachable!("the script makes finitely many calls")
}

#[test]
fn a_crash_at_any_call_loses_nothing() {
    assert!(every_call(true) > 30);
}

#[test]
fn a_failure_at_any_call_loses_nothing() {
    assert!(every_call(false) > 30);
}
