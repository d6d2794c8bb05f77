//! What callers can rely on, one thing a test.

use super::{Rig, SMALL, payload};
use crate::open::OpenError;
use crate::sim_disk::{Sim, SimDisk};
use crate::writer::{MAX_UNSAVED, SAVE_EVERY};
use crate::{AppendError, Bound, Limits, ReadError, Stats};
use bytes::Bytes;
use std::error::Error as _;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

/// Room for many entries in one segment.
const WIDE: Limits =
    Limits { max_bytes: 8 << 20, segment_bytes: 1 << 20, max_entries: 10_000, max_waiting_bytes: 1 << 20 };

#[test]
fn entries_come_back_as_they_went_in_oldest_first() {
    let mut rig = Rig::new(SMALL);
    assert_eq!(rig.spool.stats(), Stats::default());
    let first = rig.append(5, b"blue", b"one").unwrap();
    let second = rig.append(4, &[9; 64], &payload(1, 5000)).unwrap();
    let third = rig.append(9, b"", b"").unwrap();
    assert!(first < second && second < third);
    assert_eq!((first.to_string(), third.to_string()), ("0/0".to_owned(), "0/2".to_owned()));
    let taken = rig.take_all();
    let seen: Vec<_> =
        taken.iter().map(|entry| (entry.id(), entry.at_ms(), entry.tag(), &entry.payload()[..])).collect();
    let long = payload(1, 5000);
    assert_eq!(seen, [(first, 5, &b"blue"[..], &b"one"[..]), (second, 4, &[9; 64], &long), (third, 9, b"", b"")]);
    assert!(rig.next().is_none());
}

#[test]
fn all_that_waits_is_synced_once() {
    let mut rig = Rig::new(WIDE);
    let group: Vec<_> = (0..200).map(|number| (number, &b"t"[..], payload(number, 300))).collect();
    let before = rig.disk.sim().calls();
    assert!(rig.append_group(&group).iter().all(Result::is_ok));
    // The segment, the directory's sync, one write, one sync.
    assert_eq!(rig.disk.sim().calls(), before + 4);
    assert!(rig.append_group(&group).iter().all(Result::is_ok));
    assert_eq!(rig.disk.sim().calls(), before + 6);
}

#[test]
fn what_is_given_back_comes_again_in_its_place() {
    let mut rig = Rig::new(SMALL);
    let ids: Vec<_> = (0..4).map(|number| rig.append(number, b"", &payload(number, 10)).unwrap()).collect();
    let (first, second, third) = (rig.take(), rig.take(), rig.take());
    drop(second);
    drop(first);
    let mut taken = rig.take_all();
    assert_eq!(taken.iter().map(|entry| entry.id()).collect::<Vec<_>>(), [ids[0], ids[1], ids[3]]);
    taken.remove(1).done();
    third.done();
    drop(taken);
    let again = rig.take_all();
    assert_eq!(again.iter().map(|entry| entry.id()).collect::<Vec<_>>(), [ids[0], ids[3]]);
}

#[test]
fn stats_tell_what_is_there() {
    let mut rig = Rig::new(SMALL);
    for number in 0..3 {
        rig.append(100 + number, b"", &payload(number, 24)).unwrap();
    }
    let expected = Stats { entries: 3, bytes: 3 * 64, oldest_ms: Some(100), disk_bytes: 16_384, ..Stats::default() };
    assert_eq!(rig.spool.stats(), expected);
    let (first, second) = (rig.take(), rig.take());
    assert_eq!(rig.spool.stats(), Stats { taken: 2, ..expected });
    second.done();
    assert_eq!(rig.spool.stats(), Stats { taken: 1, entries: 2, bytes: 128, ..expected });
    first.done();
    assert_eq!(rig.spool.stats(), Stats { entries: 1, bytes: 64, oldest_ms: Some(102), ..expected });
    rig.take().done();
    assert_eq!(rig.spool.stats(), Stats { entries: 0, bytes: 0, oldest_ms: None, ..expected });
}

#[test]
fn a_segment_goes_when_all_of_it_is_delivered_whatever_is_before_it() {
    let mut rig = Rig::new(SMALL);
    // Two of 3,000 bytes fit into a segment.
    for number in 0..6 {
        rig.append(number, b"", &payload(number, 3000)).unwrap();
    }
    assert_eq!(rig.disk.sim().names().len(), 3);
    let mut taken = rig.take_all();
    taken.drain(2..4).for_each(|entry| entry.done());
    rig.writer.step();
    let names = rig.disk.sim().names();
    assert_eq!(names, ["0000000000000000-00000.segment", "0000000000000002-00002.segment"]);
    // The newest stays, to be written to.
    taken.drain(2..).for_each(|entry| entry.done());
    rig.writer.step();
    assert_eq!(rig.disk.sim().names().len(), 2);
    drop(taken);
    let rig = rig.close(SMALL);
    assert_eq!((rig.take_all().len(), rig.disk.sim().names().len()), (2, 1));
}

#[test]
fn a_spool_that_is_closed_when_all_is_delivered_leaves_nothing_behind() {
    let mut rig = Rig::new(SMALL);
    rig.append(0, b"", b"x").unwrap();
    rig.take().done();
    let rig = rig.close(SMALL);
    assert!(rig.disk.sim().names().is_empty());
    assert_eq!(rig.spool.stats(), Stats::default());
}

#[test]
fn a_full_disk_bound_refuses_and_is_counted_until_a_segment_is_delivered() {
    let mut rig = Rig::new(SMALL);
    let mut accepted = 0;
    let refused = loop {
        match rig.append(accepted, b"", &payload(accepted, 3000)) {
            Ok(_) => accepted += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, AppendError::Full(Bound::DiskBytes(98_304))), "{refused}");
    assert_eq!(
        refused.to_string(),
        "the spool is full: it has reached 98304 bytes on the disk; there is room when entries were delivered"
    );
    // Two in each segment. Five are cut to 14,272 bytes, the sixth has 16,384 set aside: a seventh would be too much.
    assert_eq!((accepted, rig.spool.stats().full, rig.spool.stats().disk_bytes), (12, 1, 5 * 14_272 + 16_384));
    // Smaller ones still fit into the newest.
    rig.append(99, b"", b"small").unwrap();
    rig.take().done();
    assert!(rig.append(0, b"", &payload(0, 3000)).is_err());
    rig.take().done();
    rig.append(0, b"", &payload(0, 3000)).unwrap();
    assert_eq!(rig.spool.stats().full, 2);
}

#[test]
fn a_full_spool_whose_newest_segment_is_delivered_makes_room_of_it() {
    let limits = Limits { max_bytes: 2 * 16_384, ..SMALL };
    let mut rig = Rig::new(limits);
    for number in 0..4 {
        rig.append(number, b"", &payload(number, 3000)).unwrap();
    }
    assert!(rig.append(4, b"", &payload(4, 3000)).is_err());
    let mut taken = rig.take_all();
    taken.drain(2..).for_each(|entry| entry.done());
    rig.append(4, b"", &payload(4, 3000)).unwrap();
    assert_eq!(rig.disk.sim().names(), ["0000000000000000-00000.segment", "0000000000000002-00002.segment"]);
}

#[test]
fn the_bounds_on_entries_and_on_waiting_bytes_hold() {
    let mut rig = Rig::new(Limits { max_entries: 3, max_waiting_bytes: 200, ..SMALL });
    let group: Vec<_> = (0..4).map(|number| (number, &b""[..], payload(number, 24))).collect();
    let answers = rig.append_group(&group);
    assert!(answers[..3].iter().all(Result::is_ok));
    assert!(matches!(answers[3], Err(AppendError::Full(Bound::WaitingBytes(200)))));
    assert!(matches!(rig.append(0, b"", b""), Err(AppendError::Full(Bound::Entries(3)))));
    assert!(matches!(rig.append(0, b"", &[0; 161]), Err(AppendError::TooLong { found: 208, at_most: 200 })));
    assert_eq!((rig.spool.stats().full, rig.spool.stats().waiting_bytes), (2, 0));
    // Room comes with the segment's removal, for entries are remembered until then.
    let mut taken = rig.take_all();
    taken.drain(1..).for_each(|entry| entry.done());
    assert!(matches!(rig.append(0, b"", b""), Err(AppendError::Full(Bound::Entries(3)))));
    taken.remove(0).done();
    rig.append(0, b"", b"").unwrap();
}

#[test]
fn an_entry_that_fits_nowhere_is_told_so() {
    let mut rig = Rig::new(SMALL);
    let longest = 16_384 - 8192 - 40;
    rig.append(0, b"", &payload(0, longest)).unwrap();
    let error = rig.append(0, b"", &payload(0, longest + 1)).unwrap_err();
    assert!(matches!(error, AppendError::TooLong { found: 8200, at_most: 8192 }), "{error}");
    let error = rig.append(0, &[0; 65], b"").unwrap_err();
    assert_eq!(error.to_string(), "a tag has 65 bytes, expected at most 64");
    assert_eq!(rig.take().payload().len(), longest);
}

#[test]
fn an_append_that_is_given_up_is_not_written() {
    let mut rig = Rig::new(SMALL);
    let mut given_up = Box::pin(rig.spool.append(0, b"", Bytes::from_static(b"nobody")));
    assert!(given_up.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    drop(given_up);
    rig.append(1, b"", b"somebody").unwrap();
    assert_eq!(rig.spool.stats().waiting_bytes, 0);
    assert_eq!(rig.take_all()[0].payload(), "somebody");
}

#[test]
fn a_take_that_is_given_up_gives_its_entry_back() {
    let mut rig = Rig::new(SMALL);
    rig.append(1, b"", b"x").unwrap();
    let mut given_up = Box::pin(rig.spool.next());
    assert!(given_up.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    assert_eq!(rig.spool.stats().taken, 1);
    drop(given_up);
    assert_eq!(rig.spool.stats().taken, 0);
    rig.take().done();
}

#[test]
fn who_waits_for_an_entry_is_woken() {
    struct Woken(std::sync::atomic::AtomicU32);
    impl std::task::Wake for Woken {
        fn wake(self: std::sync::Arc<Self>) {
            self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        }
    }
    let rig = Rig::new(SMALL);
    let woken = std::sync::Arc::new(Woken(0.into()));
    let waker = woken.clone().into();
    let Rig { spool, mut writer, .. } = rig;
    let mut next = pin!(spool.next());
    assert!(next.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    let mut append = pin!(spool.append(0, b"", Bytes::new()));
    assert!(append.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    assert_eq!(woken.0.load(std::sync::atomic::Ordering::SeqCst), 0);
    writer.step();
    assert_eq!(woken.0.load(std::sync::atomic::Ordering::SeqCst), 1);
    assert!(matches!(append.poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(Ok(_))));
}

/// How many come again after a kill.
fn duplicates(rig: Rig) -> usize {
    let rig = Rig::open(rig.disk.kill(), WIDE).unwrap();
    rig.take_all().len()
}

#[test]
fn progress_is_written_every_so_often_and_bounds_what_comes_twice() {
    let mut rig = filled(7, 1000);
    for _ in 0..SAVE_EVERY - 1 {
        rig.take().done();
    }
    let calls = rig.disk.sim().calls();
    rig.writer.step();
    assert_eq!(rig.disk.sim().calls(), calls, "a save before it is due");
    rig.take().done();
    rig.writer.step();
    // A slot, and its sync.
    assert_eq!(rig.disk.sim().calls(), calls + 2);
    for _ in 0..10 {
        rig.take().done();
    }
    assert_eq!(duplicates(rig), 1000 - SAVE_EVERY as usize);

    // Without the writer nothing is handed out beyond the bound; with it, it goes on.
    let mut rig = filled(7, 1000);
    let mut count = 0;
    while let Some(next) = rig.next() {
        next.unwrap().done();
        count += 1;
    }
    assert_eq!(count, MAX_UNSAVED);
    rig.writer.step();
    rig.take().done();
    assert_eq!(duplicates(rig), 1000 - MAX_UNSAVED as usize);
}

/// A spool of so many entries in one segment, on a disk with its own accidents.
fn filled(seed: u64, count: u64) -> Rig {
    let mut rig = Rig::open(SimDisk::new(Sim::default(), seed), WIDE).unwrap();
    let group: Vec<_> = (0..count).map(|number| (number, &b""[..], payload(number, 24))).collect();
    assert!(rig.append_group(&group).iter().all(Result::is_ok));
    rig
}

#[test]
fn progress_that_is_torn_leaves_what_was_written_before_it() {
    // Of more than 3,968 entries a slot has the bits in two sectors, of which a power loss may keep one.
    let (all, before) = (4500, 16 * SAVE_EVERY);
    let mut torn = 0;
    for seed in 0..20 {
        let mut rig = filled(seed, all);
        for delivered in 1..=before + SAVE_EVERY {
            rig.take().done();
            if delivered == before + SAVE_EVERY {
                // It writes the slot, and dies before that is synced.
                let sync = rig.disk.sim().calls() + 2;
                rig.disk.sim().die_at = Some(sync);
            }
            rig.writer.step();
        }
        let rig = Rig::open(rig.disk.lose_power(), WIDE).unwrap();
        let again = rig.take_all().len() as u64 - (all - before - SAVE_EVERY);
        assert!(again == 0 || again == SAVE_EVERY, "{again} come again");
        torn += u32::from(again > 0);
    }
    assert!(torn > 0 && torn < 20);
}

#[test]
fn a_segment_that_was_removed_stays_away_when_the_power_goes() {
    for seed in 0..20 {
        let mut rig = filled(seed, 1000);
        rig.append(0, b"", &payload(0, 1_000_000)).unwrap();
        for _ in 0..1000 {
            rig.take().done();
            rig.writer.step();
        }
        let rig = Rig::open(rig.disk.lose_power(), WIDE).unwrap();
        assert_eq!(rig.take_all().len(), 1);
    }
}

#[test]
fn progress_that_cannot_be_written_is_counted_and_holds_nothing_up() {
    let mut rig = filled(7, 1000);
    for _ in 0..MAX_UNSAVED {
        rig.take().done();
    }
    let next = rig.disk.sim().calls() + 1;
    rig.disk.sim().fail_at = Some(next);
    rig.writer.step();
    assert_eq!(rig.spool.stats().untidy, 1);
    rig.take().done();
}

#[test]
fn a_segment_that_cannot_be_removed_is_tried_again() {
    let mut rig = Rig::new(SMALL);
    for number in 0..5 {
        rig.append(number, b"", &payload(number, 3000)).unwrap();
    }
    rig.take().done();
    rig.take().done();
    let next = rig.disk.sim().calls() + 1;
    rig.disk.sim().fail_at = Some(next);
    rig.writer.step();
    assert_eq!(rig.spool.stats().untidy, 1);
    rig.take().done();
    rig.take().done();
    rig.writer.step();
    assert_eq!(rig.disk.sim().names(), ["0000000000000002-00002.segment"]);
    assert_eq!(rig.spool.stats().disk_bytes, 16_384);
}

#[test]
fn a_full_disk_refuses_appends_and_lets_entries_go() {
    let mut rig = Rig::new(SMALL);
    rig.disk.sim().room = Some(2 * 16_384);
    let mut accepted = 0;
    let error = loop {
        match rig.append(accepted, b"", &payload(accepted, 3000)) {
            Ok(_) => accepted += 1,
            Err(error) => break error,
        }
    };
    let AppendError::Failed(source) = &error else { panic!("{error}") };
    assert_eq!(source.to_string(), "cannot make simulated/0000000000000002-00002.segment");
    let errno = source.source().and_then(|source| source.downcast_ref::<std::io::Error>()).unwrap();
    assert_eq!(errno.raw_os_error(), Some(rustix::io::Errno::NOSPC.raw_os_error()));
    assert_eq!((accepted, rig.spool.stats().failed), (4, 1));
    // Not a byte more than there is; all that was acknowledged comes out, and then there is room again.
    rig.disk.sim().room = Some(0);
    for number in 0..4 {
        let taken = rig.take();
        assert_eq!(taken.payload(), &payload(number, 3000));
        taken.done();
        rig.writer.step();
    }
    rig.disk.sim().room = Some(2 * 16_384);
    rig.append(0, b"", &payload(0, 3000)).unwrap();
}

#[test]
fn a_failed_sync_fails_its_group_and_ends_the_segment() {
    let mut rig = Rig::new(SMALL);
    rig.append(0, b"", b"before").unwrap();
    let next = rig.disk.sim().calls() + 2;
    rig.disk.sim().fail_at = Some(next);
    let answers = rig.append_group(&[(1, b"", payload(1, 10)), (2, b"", payload(2, 10))]);
    for answer in &answers {
        let Err(AppendError::Failed(error)) = answer else { panic!("{answer:?}") };
        assert_eq!(error.to_string(), "cannot sync simulated/0000000000000000-00000.segment");
    }
    let after = rig.append(3, b"", b"after").unwrap();
    assert_eq!(after.to_string(), "1/0");
    assert_eq!(rig.disk.sim().names()[1], "0000000000000001-00001.segment");
    assert_eq!((rig.spool.stats().failed, rig.spool.stats().entries), (2, 2));
    let rig = Rig::open(rig.disk.lose_power(), SMALL).unwrap();
    let taken = rig.take_all();
    assert_eq!(taken.iter().map(|entry| entry.at_ms()).collect::<Vec<_>>(), [0, 3]);
    assert_eq!(rig.recovered, crate::Recovered { entries: 2, ..Default::default() });
}

#[test]
fn without_file_handles_an_entry_stays() {
    let mut rig = Rig::new(SMALL);
    let id = rig.append(0, b"", b"x").unwrap();
    rig.disk.sim().refuse_open = 1;
    let error = rig.next().unwrap().unwrap_err();
    assert_eq!(error.to_string(), "entry 0/0 cannot be read now, and stays in the spool");
    assert_eq!(rig.take().id(), id);
    assert_eq!(rig.spool.stats().lost_entries, 0);
}

#[test]
fn limits_that_cannot_be_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let check = |limits: Limits, expected: &str| match crate::Spool::open(dir.path(), limits) {
        Err(error @ OpenError::Limit { .. }) => assert_eq!(error.to_string(), expected),
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("{limits:?} was accepted"),
    };
    check(Limits { segment_bytes: 100, ..SMALL }, "segment_bytes is 100, expected 16384 to 1073741824");
    check(
        Limits { segment_bytes: u64::MAX, ..SMALL },
        "segment_bytes is 18446744073709551615, expected 16384 to 1073741824",
    );
    check(Limits { max_bytes: 20_000, ..SMALL }, "max_bytes is 20000, expected 32768 to 536870912");
    check(Limits { max_entries: 0, ..SMALL }, "max_entries is 0, expected 1 to 4294967295");
    check(Limits { max_waiting_bytes: 1, ..SMALL }, "max_waiting_bytes is 1, expected 48 to 9223372036854775807");
    // Nothing was made.
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn a_spool_opens_with_lower_limits_and_drains() {
    let mut rig = Rig::new(SMALL);
    for number in 0..10 {
        rig.append(number, b"", &payload(number, 3000)).unwrap();
    }
    let mut rig = rig.close(Limits { max_bytes: 2 * 16_384, max_entries: 2, ..SMALL });
    assert!(rig.append(0, b"", b"").is_err());
    let taken = rig.take_all();
    assert_eq!(taken.len(), 10);
    taken.into_iter().for_each(|entry| entry.done());
    rig.append(0, b"", b"").unwrap();
}

#[test]
fn appends_and_takes_of_a_spool_that_closes_are_told() {
    let rig = Rig::new(SMALL);
    let context = &mut Context::from_waker(Waker::noop());
    let mut append = pin!(rig.spool.append(0, b"", Bytes::new()));
    let mut next = pin!(rig.spool.next());
    assert!(append.as_mut().poll(context).is_pending() && next.as_mut().poll(context).is_pending());
    rig.spool.shared.dismiss();
    assert!(matches!(append.poll(context), Poll::Ready(Err(AppendError::Closed))));
    assert!(matches!(next.poll(context), Poll::Ready(Err(ReadError::Closed))));
    let mut late = pin!(rig.spool.append(0, b"", Bytes::new()));
    assert!(matches!(late.as_mut().poll(context), Poll::Ready(Err(AppendError::Closed))));
    assert_eq!(rig.spool.stats().waiting_bytes, 0);
}
