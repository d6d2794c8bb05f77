//! Real processes that are killed: this test binary runs itself again as a writer, which ends itself with SIGKILL before each of
//! the system calls that change something, one after the other, or is killed by its parent at some moment. What it printed as
//! acknowledged is there afterwards, and no checkpoint that it printed or left contradicts the log.
//!
//! All writers continue one log, so that they also recover what the ones before them left, and are killed at that. After each
//! the parent opens a copy.

use super::{edge, entries, origin, signer};
use crate::real_disk::RealDisk;
use crate::wal::Layout;
use crate::{Group, Reader, Reserve, Store};
use ledger::Checkpoint;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The writer's folder, and at which call it ends itself: 0 for none.
const FOLDER: &str = "VERDIGRIS_TEST_KILLED_IN";
const AT_CALL: &str = "VERDIGRIS_TEST_KILLED_AT";

const NAME: &str = "tests::kills::a_process_that_is_killed_loses_nothing_that_was_acknowledged";

/// So small that the halves change within one writer's batches.
const LAYOUT: Layout = Layout { half_bytes: 400, rollback_bytes: 100 };

/// Batches of a writer that ends itself.
const BATCHES: u64 = 8;

/// Writers that their parent kills.
const AT_ANY_MOMENT: u64 = 120;

static CALLS: AtomicU64 = AtomicU64::new(0);
static LAST_CALL: AtomicU64 = AtomicU64::new(0);

fn before_call() {
    if CALLS.fetch_add(1, Ordering::SeqCst) + 1 == LAST_CALL.load(Ordering::SeqCst) {
        let killed = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        unreachable!("nobody survives SIGKILL: {killed:?}");
    }
}

fn open(dir: &Path, before_call: fn()) -> Store {
    let disk = Arc::new(RealDisk::calling(dir, before_call));
    Store::open_on(disk, dir, signer("log"), None, LAYOUT).unwrap().0
}

fn say(what: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{what}").unwrap();
    out.flush().unwrap();
}

/// The writer: appends the next entries, and says what was acknowledged, and under which root.
fn write(dir: &Path, last_call: u64) {
    LAST_CALL.store(last_call, Ordering::SeqCst);
    let mut store = open(dir, before_call);
    if last_call > 0 {
        for _ in 0..BATCHES {
            let range = store.size()..store.size() + 3;
            store.append(&entries(range.clone())).unwrap();
            say(&format!("\nacknowledged {} {}", range.end, store.root()));
        }
        return;
    }
    // Several threads, and one that makes files durable beside them: all entries are alike, for nobody knows whose come first.
    let group = Group::start(store).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            let appender = group.appender();
            scope.spawn(move || {
                loop {
                    let range = appender.append(vec![ALIKE.to_vec()], Reserve::Keep).unwrap();
                    say(&format!("\nacknowledged {} -", range.end));
                }
            });
        }
    });
}

const ALIKE: &[u8] = b"an entry that is like the others";

/// Runs a writer, and kills it after it has acknowledged so many. Returns what it said, and whether it was killed.
fn run(dir: &Path, at_call: u64, after: Option<u64>) -> (Vec<(u64, String)>, bool) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", NAME, "--nocapture"]).env(FOLDER, dir).env(AT_CALL, at_call.to_string());
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut said = Vec::new();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    if after == Some(0) {
        child.kill().unwrap();
    }
    for line in &mut lines {
        let mut words = line.split(' ');
        if let (Some("acknowledged"), Some(end), Some(root)) = (words.next(), words.next(), words.next()) {
            said.push((end.parse().unwrap(), root.to_owned()));
            if after.is_some_and(|after| after == said.len() as u64) {
                child.kill().unwrap();
            }
        }
    }
    let status = child.wait().unwrap();
    let was_killed = status.signal() == Some(9);
    assert!(was_killed || status.success(), "{status}: run it alone to see why");
    (said, was_killed)
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// Opens a copy of what a writer left. Returns its size.
fn check(dir: &Path, said: &[(u64, String)], root_at: impl Fn(&Store, u64) -> String) -> u64 {
    let opened = dir.with_extension("copy");
    copy(dir, &opened);
    let left = fs::read_to_string(opened.join("checkpoint")).unwrap();
    let left = Checkpoint::open(&left, signer("log").verifier()).unwrap();
    let store = open(&opened, || {});
    for (end, root) in said.iter().filter(|(_, root)| root != "-") {
        assert_eq!(root_at(&store, *end), *root);
    }
    let acknowledged = said.iter().map(|(end, _)| *end).max().unwrap_or_default();
    assert!(store.size() >= acknowledged, "{} of {acknowledged}", store.size());
    assert!(store.size() >= left.size());
    assert_eq!(store.root_at(left.size()).unwrap(), left.root());
    let report = Reader::open(&opened).unwrap().verify(store.verifier()).unwrap();
    assert_eq!(report.entries, store.size());
    fs::remove_dir_all(&opened).unwrap();
    report.entries
}

#[test]
fn a_process_that_is_killed_loses_nothing_that_was_acknowledged() {
    if let Ok(folder) = std::env::var(FOLDER) {
        let at_call = std::env::var(AT_CALL).unwrap().parse().unwrap();
        return write(Path::new(&folder), at_call);
    }
    // What a process leaves does not depend on the disk; in memory there are more processes a second.
    let memory = Path::new("/dev/shm");
    let temporary = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
    let (one, other) = (temporary.path().join("one"), temporary.path().join("other"));
    for dir in [&one, &other] {
        fs::create_dir(dir).unwrap();
        let disk = Arc::new(RealDisk::new(dir));
        drop(Store::create_on(disk, dir, (signer("log").into(), &origin("log")), None, LAYOUT).unwrap());
    }
    let (mut kills, mut size) = (0, 0);
    for at_call in 1.. {
        let (said, was_killed) = run(&one, at_call, None);
        size = check(&one, &said, |_, end| edge(end).root().to_string()).max(size);
        if !was_killed {
            assert_eq!(said.len() as u64, BATCHES);
            break;
        }
        kills += 1;
    }
    assert_eq!(size % 3, 0, "whole batches only");
    assert!(kills > 150, "{kills}");
    let mut before = 0;
    for after in 0..AT_ANY_MOMENT {
        let (said, was_killed) = run(&other, 0, Some(after % 40));
        assert!(was_killed);
        let size = check(&other, &said, |_, _| unreachable!("they say no root"));
        assert!(size >= before);
        before = size;
    }
    let store = open(&other, || {});
    assert!(store.read(0..store.size()).unwrap().all(|entry| entry.unwrap() == ALIKE));
}
