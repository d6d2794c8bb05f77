//! A crash at every call of an append, of making its files durable, and of a recovery.

use super::sim::{Base, Case, Failure, LARGE, SMALL, base, create, dir, open};
use super::signer;
use crate::settle::HowToSettle;
use crate::sim_disk::{Sim, SimDisk};
use crate::wal::Layout;
use crate::{OpenError, Reader, Recovered, Reserve};
use proptest::prelude::*;

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

fn batches(batches: &[u64]) -> Case<'_> {
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

#[test]
fn a_crash_at_any_call_of_an_append_loses_nothing() {
    let (empty, short) = (base(0, SMALL), base(3, SMALL));
    let mut cases = 0;
    for reserve in [Reserve::Keep, Reserve::Use] {
        cases += check(&empty, Case { reserve, ..batches(&[1, 2]) }, &EVERY_WAY, 12);
        cases += check(&short, Case { reserve, ..batches(&[1, 1, 1]) }, &EVERY_WAY, 12);
    }
    assert!(cases > 1000, "{cases}");
}

#[test]
fn a_crash_where_tiles_fill_loses_nothing() {
    let powerless = [(Failure::Once, true), (Failure::End, true)];
    check(&base(254, LARGE), batches(&[1, 1]), &powerless, 3);
    check(&base(200, LARGE), batches(&[400]), &powerless, 3);
    check(&base(511, LARGE), batches(&[1]), &powerless, 3);
}

#[test]
fn a_crash_where_three_levels_of_tiles_fill_loses_nothing() {
    check(&base(65_535, LARGE), batches(&[1]), &[(Failure::End, true)], 1);
}
