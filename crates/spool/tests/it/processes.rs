//! Processes that are killed, and one whose disk is full. The children are this test binary again: a test that does
//! nothing unless it is told a directory.

use crate::payload;
use spool::{AppendError, Limits, Spool};
use std::collections::BTreeSet;
use std::error::Error as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const DIR: &str = "SPOOL_TEST_DIR";
const FIRST: &str = "SPOOL_TEST_FIRST";

const LIMITS: Limits =
    Limits { max_bytes: 256 << 20, segment_bytes: 512 << 10, max_entries: 100_000, max_waiting_bytes: 8 << 20 };

/// So many lines are read from a child before it is killed.
const ROUNDS: [usize; 6] = [1, 40, 150, 700, 1500, 300];

const DRAINERS: usize = 2;

/// One line, at once: what is not in the pipe when the process is killed was not told.
fn tell(what: &str, number: u64) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{what} {number}").and_then(|()| out.flush()).expect("the parent reads until the end");
}

/// Not a test of its own: appends until it is killed, delivers every other entry, and tells both.
#[test]
fn child_that_is_killed() {
    let (Ok(dir), Ok(first)) = (std::env::var(DIR), std::env::var(FIRST)) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let (spool, recovered) = Spool::open(Path::new(&dir), LIMITS).unwrap();
    assert_eq!((recovered.lost_entries, recovered.lost_bytes), (0, 0));
    let (spool, next) = (Arc::new(spool), Arc::new(AtomicU64::new(first.parse().unwrap())));
    for _ in 0..8 {
        let (spool, next) = (spool.clone(), next.clone());
        runtime.spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                spool.append(number, b"tag", payload(number)).await.unwrap();
                tell("acknowledged", number);
            }
        });
    }
    for _ in 0..DRAINERS {
        let spool = spool.clone();
        runtime.spawn(async move {
            let mut held = Vec::new();
            loop {
                let taken = spool.next().await.unwrap();
                if taken.at_ms().is_multiple_of(2) {
                    tell("delivered", taken.at_ms());
                    taken.done();
                } else {
                    held.push(taken);
                }
            }
        });
    }
    runtime.block_on(std::future::pending::<()>());
}

fn child(command: &mut Command, test: &str, dir: &Path) -> Child {
    let name = format!("processes::{test}");
    command.args(["--exact", &name, "--nocapture"]).env(DIR, dir).stdout(Stdio::piped()).spawn().expect("it runs")
}

/// Invariant 7, through kill -9: what was acknowledged and not delivered is there.
#[tokio::test]
async fn a_killed_process_loses_nothing_that_it_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let (mut acknowledged, mut delivered) = (BTreeSet::new(), BTreeSet::new());
    for (round, lines) in (0..).zip(ROUNDS) {
        let mut command = Command::new(std::env::current_exe().unwrap());
        let first = round * 1_000_000u64;
        let mut child = child(command.env(FIRST, first.to_string()), "child_that_is_killed", dir.path());
        let mut told = 0;
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            // The test harness writes lines of its own, and the first of ours behind one of them.
            let words: Vec<_> = line.rsplit(' ').take(2).collect();
            match words[..] {
                [number, word] if word.ends_with("acknowledged") => acknowledged.insert(number.parse::<u64>().unwrap()),
                [number, word] if word.ends_with("delivered") => delivered.insert(number.parse::<u64>().unwrap()),
                _ => continue,
            };
            told += 1;
            if told == lines {
                child.kill().unwrap();
            }
        }
        assert!(!child.wait().unwrap().success());
        assert!(told >= lines, "the child ended by itself");
    }
    let (spool, recovered) = Spool::open(dir.path(), LIMITS).unwrap();
    assert_eq!((recovered.lost_entries, recovered.lost_bytes), (0, 0));
    let mut held = Vec::new();
    let mut there = BTreeSet::new();
    for _ in 0..recovered.entries {
        let taken = spool.next().await.unwrap();
        assert_eq!((taken.tag(), taken.payload()), (&b"tag"[..], &payload(taken.at_ms())));
        there.insert(taken.at_ms());
        held.push(taken);
    }
    assert_eq!(spool.stats().lost_entries, 0);
    let missing: Vec<_> =
        acknowledged.iter().filter(|number| !delivered.contains(number) && !there.contains(number)).collect();
    assert!(missing.is_empty(), "{missing:?} were acknowledged, and are neither delivered nor there");
    let again = there.intersection(&delivered).count();
    // Of the last round alone, for each began with what the one before left, and delivered that first.
    assert!(again <= 512 + DRAINERS, "{again} come again");
    assert!(delivered.len() > 100 && there.len() > 100);
}

/// Not a test of its own: fills the file system, which has 4 MiB.
#[tokio::test]
async fn child_whose_disk_is_full() {
    let Ok(dir) = std::env::var(DIR) else { return };
    let (spool, _) = Spool::open(&Path::new(&dir).join("spool"), LIMITS).unwrap();
    let mut accepted = 0u64;
    let refuse = |error: AppendError| {
        let AppendError::Failed(error) = error else { panic!("{error}") };
        let errno = error.source().and_then(|source| source.downcast_ref::<std::io::Error>()).unwrap();
        assert_eq!(errno.kind(), std::io::ErrorKind::StorageFull);
    };
    let refused = loop {
        match spool.append(accepted, b"", payload(accepted)).await {
            Ok(_) => accepted += 1,
            Err(error) => break error,
        }
    };
    refuse(refused);
    // It does not stop there: small ones may fit, the others are refused one by one, and what was accepted comes out.
    refuse(spool.append(6, b"", payload(6)).await.unwrap_err());
    for number in 0..accepted {
        let taken = spool.next().await.unwrap();
        assert_eq!((taken.at_ms(), taken.payload()), (number, &payload(number)));
        taken.done();
        if number == accepted / 2 {
            // Segments were removed, so there is room.
            spool.append(accepted, b"", payload(6)).await.unwrap();
        }
    }
    assert_eq!(spool.next().await.unwrap().at_ms(), accepted);
    assert_eq!((spool.stats().lost_entries, spool.stats().untidy), (0, 0));
    tell("accepted", accepted);
}

/// A file system of its own, in a namespace of its own, so that it is gone with the process.
const MOUNT: &str = "mount -t tmpfs -o size=4m tmpfs \"$SPOOL_TEST_DIR\" && exec \"$0\" \"$@\"";

#[test]
fn a_full_disk_refuses_appends_and_drains() {
    let dir = tempfile::tempdir().unwrap();
    let mut probe = Command::new("unshare");
    let probe = probe.args(["-Urm", "sh", "-c", MOUNT, "true"]).env(DIR, dir.path()).output();
    if !probe.is_ok_and(|output| output.status.success()) {
        eprintln!("no tmpfs can be mounted here: the full disk is left to the tests over the simulated one");
        return;
    }
    let mut command = Command::new("unshare");
    command.args(["-Urm", "sh", "-c", MOUNT]).arg(std::env::current_exe().unwrap());
    let output = child(&mut command, "child_whose_disk_is_full", dir.path()).wait_with_output().unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && told.contains("accepted "), "{told}");
}
