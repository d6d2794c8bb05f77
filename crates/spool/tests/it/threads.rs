//! Many callers at once.

use crate::payload;
use spool::{Limits, Spool};
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::task::JoinSet;

const LIMITS: Limits =
    Limits { max_bytes: 64 << 20, segment_bytes: 1 << 20, max_entries: 10_000, max_waiting_bytes: 8 << 20 };
const APPENDERS: u64 = 32;
const DRAINERS: u64 = 4;
const EACH: u64 = 25;

/// Takes entries, gives every fifth back once, and returns the numbers that it delivered.
async fn drain(spool: Arc<Spool>, count: u64) -> Vec<u64> {
    let mut delivered = Vec::new();
    let mut given_back = BTreeSet::new();
    while (delivered.len() as u64) < count {
        let taken = spool.next().await.expect("it can be read");
        let number = taken.at_ms();
        assert_eq!((taken.tag(), taken.payload()), (&number.to_le_bytes()[..], &payload(number)));
        if number.is_multiple_of(5) && given_back.insert(number) {
            drop(taken);
        } else {
            delivered.push(number);
            taken.done();
        }
    }
    delivered
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_of_many_entries_is_delivered_once_and_the_directory_is_empty_in_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let spool = Arc::new(Spool::open(dir.path(), LIMITS).unwrap().0);
    let mut drainers = JoinSet::new();
    for _ in 0..DRAINERS {
        drainers.spawn(drain(spool.clone(), APPENDERS * EACH / DRAINERS));
    }
    let mut appenders = JoinSet::new();
    for appender in 0..APPENDERS {
        let spool = spool.clone();
        appenders.spawn(async move {
            for number in appender * EACH..(appender + 1) * EACH {
                spool.append(number, &number.to_le_bytes(), payload(number)).await.unwrap();
            }
        });
    }
    appenders.join_all().await;
    let mut delivered = drainers.join_all().await.concat();
    delivered.sort_unstable();
    assert_eq!(delivered, (0..APPENDERS * EACH).collect::<Vec<_>>());
    let stats = spool.stats();
    assert_eq!((stats.entries, stats.taken, stats.full, stats.failed, stats.untidy), (0, 0, 0, 0, 0));
    drop(spool);
    let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["lock"]);
}

#[tokio::test]
async fn a_drop_remembers_what_is_done_and_keeps_what_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let (spool, _) = Spool::open(dir.path(), LIMITS).unwrap();
    for number in 0..10 {
        spool.append(number, b"", payload(number)).await.unwrap();
    }
    for _ in 0..4 {
        spool.next().await.unwrap().done();
    }
    drop(spool);
    let (spool, recovered) = Spool::open(dir.path(), LIMITS).unwrap();
    assert_eq!((recovered.entries, recovered.torn_bytes), (6, 0));
    assert_eq!(spool.next().await.unwrap().at_ms(), 4);
}
