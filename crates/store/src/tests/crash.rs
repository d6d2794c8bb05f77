//! A crash at every call of an append, of making its files durable, and of a recovery.

use super::sim::{Base, Case, Failure, LARGE, SMALL, base, create, dir, open};
use super::{entries, signer};
use crate::disk::Disk as _;
use crate::settle::HowToSettle;
use crate::sim_disk::{Sim, SimDisk};
use crate::wal::WAL;
use crate::{AppendError, OpenError, Reader, Reserve, frame};
use proptest::prelude::*;
use std::thread;

const EVERY_WAY: [(Failure, bool); 4] =
    [(Failure::Once, true), (Failure::Once, false), (Failure::End, true), (Failure::End, false)];

/// Every call, in these ways, so many seeds each. Returns how many cases there were.
fn check(base: &Base, template: Case, ways: &[(Failure, bool)], seeds: u64) -> u64 {
    let mut cases = 0;
    for fail_at in 1.. {
        let mut failed = false;
        for seed in 0..seeds {
            for (failure, power_fails) in ways.iter().copied() {
                let seed = (seed * 1000 + fail_at) * 10 + cases % 10;
                failed |= base.run(&Case { failure, power_fails, fail_at, seed, ..template });
                cases += 1;
            }
        }
        if !failed {
            return cases;
        }
    }
    unreachable!("an append makes finitely many calls")
}

fn of(batches: &[u64]) -> Case<'_> {
    Case {
        batches,
        reserve: Reserve::Keep,
        how_to_settle: HowToSettle::AtOnce,
        failure: Failure::Once,
        fail_at: 0,
        power_fails: true,
        is_full: false,
        seed: 0,
    }
}

/// Cases that are counted together: the ledger has stood at least so many. On two threads, for it takes some seconds.
#[test]
fn ten_thousand_crashes_lose_nothing() {
    let bases = (base(0, SMALL), base(3, SMALL), base(250, SMALL));
    let crash = |reserve| {
        let (empty, short, longer) = &bases;
        let mut cases = 0;
        for how_to_settle in [HowToSettle::AtOnce, HowToSettle::Late] {
            let case = |batches| Case { reserve, how_to_settle, ..of(batches) };
            cases += check(empty, case(&[1, 2]), &EVERY_WAY, 5);
            cases += check(short, case(&[1, 1, 1]), &EVERY_WAY, 3);
            // The halves change, twice and more.
            cases += check(short, case(&[5, 5, 5, 1]), &EVERY_WAY, 2);
        }
        cases += check(longer, Case { reserve, ..of(&[5, 5, 5]) }, &EVERY_WAY, 2);
        // A full disk too: what may not use the reserve is refused, the rest gets in; also when the power goes then.
        cases + check(short, Case { reserve, is_full: true, ..of(&[2, 2, 2, 2]) }, &EVERY_WAY, 3)
    };
    let cases: u64 = thread::scope(|scope| {
        let threads = [Reserve::Keep, Reserve::Use].map(|reserve| {
            scope.spawn({
                let crash = &crash;
                move || crash(reserve)
            })
        });
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert!(cases > 10_000, "{cases}");
    println!("{cases} crashes");
}

#[test]
fn a_crash_where_tiles_fill_loses_nothing() {
    let powerless = [(Failure::Once, true), (Failure::End, true)];
    check(&base(254, LARGE), of(&[1, 1]), &powerless, 2);
    check(&base(200, LARGE), of(&[400]), &powerless, 2);
    check(&base(511, LARGE), of(&[1]), &powerless, 2);
}

#[test]
fn a_crash_where_three_levels_of_tiles_fill_loses_nothing() {
    check(&base(65_535, LARGE), of(&[1]), &[(Failure::End, true)], 1);
}

/// The checkpoint, a tile and the write-ahead log are looked at on the way: a calm disk is never taken for a tampered one.
#[test]
fn a_failed_call_is_not_taken_for_tampering() {
    let base = base(3, SMALL);
    for fail_at in 1..60 {
        let disk = SimDisk::new(base.sim.clone(), fail_at);
        let (mut store, _) = open(&disk, SMALL).unwrap();
        disk.fail_in(Some(fail_at));
        for batch in 0..6 {
            match store.append_with(&entries(batch..batch + 1), Reserve::Use) {
                Ok(_) | Err(AppendError::Disk(_) | AppendError::Broken { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
    }
}

#[test]
fn a_crash_at_any_call_of_creating_can_be_tried_again() {
    for seed in 0..400 {
        let disk = SimDisk::new(Sim::default(), seed);
        match seed % 3 {
            0 => disk.end_in(1 + seed % 20),
            _ => disk.fail_in(Some(1 + seed % 20)),
        }
        drop(create(&disk, SMALL));
        disk.fail_in(None);
        if seed % 2 == 0 {
            disk.lose_power();
        }
        match create(&disk, SMALL) {
            Ok(_) => {}
            // The checkpoint got its name before the failure; opening makes that durable, and the rest.
            Err(crate::CreateError::Exists { .. }) => drop(open(&disk, SMALL).unwrap()),
            Err(error) => panic!("{error}"),
        }
        disk.lose_power();
        assert_eq!(open(&disk, SMALL).unwrap().0.size(), 0);
    }
}

#[test]
fn a_file_that_goes_missing_is_an_error_and_no_panic() {
    let base = base(300, LARGE);
    for path in base.sim.paths().iter().filter(|path| path.starts_with("tile/")) {
        for at in [None, Some(0)] {
            let disk = SimDisk::new(base.sim.clone(), 0);
            disk.sim().damage(path, at);
            let reader = Reader::on(Box::new(disk.clone()), dir());
            assert!(reader.verify(signer("log").verifier()).is_err(), "{path}");
            assert!(at.is_some() || matches!(open(&disk, LARGE), Err(OpenError::Short { .. })), "{path}");
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
        drop(create(&disk, LARGE).unwrap());
        let frames = [frame::encode(0, &batch), rest].concat();
        disk.open(WAL).unwrap().unwrap().write_at(8192, &frames).unwrap();
        let (store, recovered) = open(&disk, LARGE).unwrap();
        prop_assert_eq!(recovered.entries_replayed, batch.len() as u64);
        prop_assert_eq!(store.read(0..store.size()).unwrap().collect::<Result<Vec<_>, _>>().unwrap(), batch);
    }
}
