//! What group commit gives: appended bytes and spans a second, beside a plain file that is synced for each entry, and
//! beside what the disk gives with one sync for each 8 MiB, and for as much as all appenders have: they append again when
//! they were acknowledged, so a group has no more. All in one run, in turn, three rounds; medians.
//!
//! `cargo bench -p spool` writes below the target directory; `cargo bench -p spool -- DIR` into a directory of DIR.
#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot go on ends")]

use bytes::Bytes;
use spool::{Limits, Spool};
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Bytes of one measurement. More than a second on a disk of 130 MB/s.
const TOTAL_BYTES: usize = 256 << 20;
/// Bytes of the plain file that is synced for each entry, which takes longer.
const PLAIN_BYTES: usize = 64 << 20;
/// What the raw writes sync at once.
const RAW_BYTES: usize = 8 << 20;
const APPENDERS: usize = 32;
const ROUNDS: usize = 3;
/// With about ten attributes.
const SPAN_BYTES: f64 = 522.0;
/// Spans a second that the gateway is to make durable, or what the disk gives.
const AIM: f64 = 230_000.0;

#[derive(Default)]
struct Rates {
    spool: Vec<f64>,
    plain: Vec<f64>,
    raw: Vec<f64>,
    grouped: Vec<f64>,
    drain: Vec<f64>,
    open_ms: Vec<f64>,
}

fn main() {
    let root = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let root = root.map_or_else(|| PathBuf::from(env!("CARGO_TARGET_TMPDIR")), PathBuf::from);
    let dir = tempfile::tempdir_in(&root).unwrap();
    println!("in {}, {APPENDERS} appenders, medians of {ROUNDS} rounds", root.display());
    for spans in [100, 1000] {
        let entry = noise(spans * SPAN_BYTES as usize);
        let mut rates = Rates::default();
        for _ in 0..ROUNDS {
            rates.raw.push(written(dir.path(), &noise(RAW_BYTES), TOTAL_BYTES));
            rates.grouped.push(written(dir.path(), &noise(APPENDERS * entry.len()), TOTAL_BYTES));
            spool(dir.path(), &entry, &mut rates);
            rates.plain.push(written(dir.path(), &entry, PLAIN_BYTES));
        }
        report(spans, &mut rates);
    }
}

fn report(spans: usize, rates: &mut Rates) {
    let Rates { spool, plain, raw, grouped, drain, open_ms } = rates;
    let [spool, plain, raw, grouped, drain, open_ms] =
        [spool, plain, raw, grouped, drain, open_ms].map(|rates| median(rates));
    let line = |what: &str, rate: f64| {
        println!("  {what:<34} {:>7.0} MB/s {:>10.0} spans/s", rate / 1e6, rate / SPAN_BYTES);
    };
    println!("{spans} spans an entry ({} bytes)", spans * SPAN_BYTES as usize);
    line("spool, each entry durable", spool);
    line("plain file, one sync an entry", plain);
    line("raw, one sync for 8 MiB", raw);
    line("raw, one sync for 32 entries", grouped);
    line("taken and done, from the page cache", drain);
    println!("  opened again in {open_ms:.1} ms with {} entries", TOTAL_BYTES / (spans * SPAN_BYTES as usize));
    println!(
        "  spool is {:.2} of raw with 8 MiB, {:.2} of raw with 32 entries, {:.2} of plain, {:.2} of the aim of {AIM} spans/s",
        spool / raw,
        spool / grouped,
        spool / plain,
        spool / SPAN_BYTES / AIM
    );
}

fn median(rates: &mut [f64]) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

/// Bytes that no file system can leave out or compress.
fn noise(length: usize) -> Bytes {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..length).map(next).collect()
}

/// Bytes a second of a number of bytes since a time.
fn rate(bytes: usize, since: Instant) -> f64 {
    bytes as f64 / since.elapsed().as_secs_f64()
}

fn written(dir: &Path, chunk: &[u8], total: usize) -> f64 {
    let path = dir.join("file");
    let mut file = File::create(&path).unwrap();
    let (since, count) = (Instant::now(), total / chunk.len());
    for _ in 0..count {
        file.write_all(chunk).unwrap();
        file.sync_data().unwrap();
    }
    let rate = rate(count * chunk.len(), since);
    fs::remove_file(path).unwrap();
    rate
}

fn spool(dir: &Path, entry: &Bytes, rates: &mut Rates) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let dir = dir.join("spool");
    let (spool, _) = Spool::open(&dir, Limits::default()).unwrap();
    let spool = Arc::new(spool);
    let count = (TOTAL_BYTES / entry.len()) as u64;
    let since = Instant::now();
    runtime.block_on(append(&spool, entry, count));
    rates.spool.push(rate(count as usize * entry.len(), since));

    let since = Instant::now();
    runtime.block_on(async {
        for _ in 0..count {
            spool.next().await.unwrap().done();
        }
    });
    rates.drain.push(rate(count as usize * entry.len(), since));
    drop(spool);

    let (spool, _) = Spool::open(&dir, Limits::default()).unwrap();
    let spool = Arc::new(spool);
    runtime.block_on(append(&spool, entry, count));
    drop(spool);
    let since = Instant::now();
    let (_, recovered) = Spool::open(&dir, Limits::default()).unwrap();
    rates.open_ms.push(since.elapsed().as_secs_f64() * 1e3);
    assert_eq!(recovered.entries, count);
    fs::remove_dir_all(&dir).unwrap();
}

async fn append(spool: &Arc<Spool>, entry: &Bytes, count: u64) {
    let left = Arc::new(AtomicU64::new(count));
    let mut appenders = tokio::task::JoinSet::new();
    for _ in 0..APPENDERS {
        let (spool, entry, left) = (spool.clone(), entry.clone(), left.clone());
        appenders.spawn(async move {
            let one_less = |left: u64| left.checked_sub(1);
            while left.try_update(Ordering::Relaxed, Ordering::Relaxed, one_less).is_ok() {
                spool.append(0, b"traces", entry.clone()).await.unwrap();
            }
        });
    }
    appenders.join_all().await;
}
