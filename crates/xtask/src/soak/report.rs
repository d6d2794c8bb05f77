//! The table of a run, and what must hold of ours. Pure.

use super::field::Found;
use super::proxy::Contender;
use serde_json::{Value, json};
use std::fmt::Write;

#[cfg(test)]
mod tests;

const MIB: u64 = 1 << 20;

/// What the gateway may hold, in MiB, and where that is stated. Bodies that are decompressed or read as JSON are not
/// among them: this load sends neither.
const MEMORY_BOUND_MIB: [(u64, &str); 9] = [
    (512, "requests in flight (Limits::max_inflight_bytes)"),
    (64, "views that wait for verification (16 MiB, or one of the largest messages)"),
    (64, "mirror copies (Limits::mirror_queue_bytes)"),
    (16, "pins (2,097,152 of 8 bytes)"),
    (600_000 * 100 / MIB + 1, "spans that verification follows (600,000 of 100 bytes)"),
    (2 * 72, "requests that wait to be written into the two spools (72 MiB each)"),
    (2 * 128, "requests that are delivered from them (a quarter of what may be in flight each)"),
    // 6 connections of the clients to the gateway with OTLP/gRPC, at the window of a connection.
    (6 * 16, "windows of the clients' 6 HTTP/2 connections (16 MiB each)"),
    (64, "code, stacks, buffers of sockets, the ledger's write-ahead log"),
];

/// More file descriptors than before that are no leak: each spool keeps the segment open that it wrote last.
const MORE_DESCRIPTORS: usize = 2;

/// The bound of ours, in MiB.
pub fn memory_bound_mib() -> u64 {
    MEMORY_BOUND_MIB.iter().map(|(mib, _)| mib).sum()
}

/// The bound's arithmetic.
pub fn memory_bound_words() -> String {
    let terms: Vec<String> = MEMORY_BOUND_MIB.iter().map(|(mib, what)| format!("{mib} {what}")).collect();
    format!("{} MiB = {}", memory_bound_mib(), terms.join(" + "))
}

/// What does not hold that must: of ours alone, for Rotel acknowledges what it has only in memory.
pub fn broken(found: &Found) -> Vec<String> {
    match found.contender {
        Contender::Rotel => return Vec::new(),
        Contender::Ours => {}
    }
    let mut broken = Vec::new();
    let mut must = |holds: bool, what: String| {
        if !holds {
            broken.push(what);
        }
    };
    let count = |path: &str| found.audit.pointer(path).and_then(Value::as_u64).unwrap_or(u64::MAX);
    for (path, what) in [
        ("/lost", "spans were acknowledged and did not arrive"),
        ("/changed", "spans arrived otherwise than they were sent"),
        ("/malformed", "requests came to a sink that were none"),
        ("/torn/byShifts", "traces were torn by shifts"),
        ("/torn/byPromotions", "traces were torn by promotions"),
        ("/counts/never", "requests were refused for good"),
    ] {
        must(count(path) == 0, format!("{} {what}", count(path)));
    }
    must(count("/acknowledged") > 0, "nothing was acknowledged".to_owned());
    must(found.delivered, "what was sent again was still not taken a minute after everything was well".to_owned());
    let (peak, bound) = (found.peak_resident_mib, memory_bound_mib());
    must(peak <= bound as f64, format!("{peak:.0} MiB resident, more than {bound}"));
    let (before, after) = (found.before, found.after);
    must(
        after.descriptors <= before.descriptors + MORE_DESCRIPTORS && after.connections <= before.connections,
        format!(
            "{} file descriptors and {} connections, {} and {} before",
            after.descriptors, after.connections, before.descriptors, before.connections
        ),
    );
    for end in &found.own_ends {
        must(false, format!("the gateway ended by itself: {end}"));
    }
    for panic in &found.panics {
        must(false, format!("the gateway's log has: {panic}"));
    }
    if let Some(wrong) = &found.ledger {
        must(false, format!("the ledger does not hold: {wrong}"));
    }
    broken
}

/// A line of the table.
struct Row {
    label: &'static str,
    value: fn(&Found) -> Option<String>,
    /// What must be, for ours.
    must: &'static str,
}

const ROWS: &[Row] = &[
    row("spans sent", "", |found| audit(found, "/counts/spans")),
    row("spans acknowledged", "", |found| audit(found, "/acknowledged")),
    row("spans arrived, acknowledged or not", "", |found| audit(found, "/arrived")),
    row("LOST after acknowledgement", "0", |found| audit(found, "/lost")),
    row("arrived once more (duplicates)", "", |found| audit(found, "/duplicates")),
    row("arrived otherwise than sent", "0", |found| audit(found, "/changed")),
    row("traces TORN by shifts", "0", |found| torn(found, "byShifts")),
    row("traces TORN by promotions", "0", |found| torn(found, "byPromotions")),
    row("traces torn by rollbacks", "", |found| torn(found, "byRollbacks")),
    row("traces torn by SIGKILLs of the proxy", "", |found| torn(found, "byKills")),
    row("traces torn after their pin ran out", "", |found| torn(found, "afterPin")),
    row("route tables / rollbacks / promotions", "", |found| {
        let moves = &found.moves;
        ours(found, format!("{} / {} / {}", moves.shifts, moves.rollbacks.len(), moves.promotions.len()))
    }),
    row("rollbacks by guards / holds", "", |found| {
        ours(found, format!("{} / {}", found.moves.by_guards.len(), found.moves.holds))
    }),
    row("commands refused or not answered", "", |found| ours(found, grouped(found.refused_commands))),
    row("requests", "", |found| audit(found, "/counts/requests")),
    row("attempts refused, to be sent again", "", |found| audit(found, "/counts/refused")),
    row("attempts without an answer", "", |found| audit(found, "/counts/lost")),
    row("requests refused for good", "0", |found| audit(found, "/counts/never")),
    row("requests that a client's queue had no room for", "", |found| audit(found, "/counts/overflowed")),
    row("acknowledgement p50 / p99, ms", "", |found| pair(found, "/answeredP50Ms", "/answeredP99Ms")),
    row("with all attempts p50 / p99, ms", "", |found| pair(found, "/deliveredP50Ms", "/deliveredP99Ms")),
    row("peak resident memory, MiB", "<= bound", |found| Some(format!("{:.0}", found.peak_resident_mib))),
    row("file descriptors before / after", "no more", |found| {
        Some(format!("{} / {}", found.before.descriptors, found.after.descriptors))
    }),
    row("connections before / after", "no more", |found| {
        Some(format!("{} / {}", found.before.connections, found.after.connections))
    }),
    row("SIGKILLs / own ends / failed starts", "- / 0 / -", |found| {
        Some(format!("{} / {} / {}", found.kills, found.own_ends.len(), found.failed_starts.len()))
    }),
    row("panics in the log", "0", |found| Some(found.panics.len().to_string())),
    row("the ledger holds", "yes", |found| {
        ours(found, if found.ledger.is_none() { "yes".to_owned() } else { "NO".to_owned() })
    }),
    row("events", "", |found| {
        let disk = if found.disk || found.contender != Contender::Ours { "" } else { ", disk not filled" };
        Some(format!("{}{disk}", found.events))
    }),
];

const fn row(label: &'static str, must: &'static str, value: fn(&Found) -> Option<String>) -> Row {
    Row { label, value, must }
}

/// One column for each run.
pub fn table(found: &[Found]) -> String {
    const LABEL: usize = 48;
    const VALUE: usize = 18;
    let mut text = format!("{:<LABEL$}", "");
    // Writing to a string cannot fail.
    for run in found {
        let _ = write!(text, "{:>VALUE$}", run.contender.name());
    }
    text += "   must be\n";
    for row in ROWS {
        let _ = write!(text, "{:<LABEL$}", row.label);
        for run in found {
            let _ = write!(text, "{:>VALUE$}", (row.value)(run).unwrap_or_else(|| "-".to_owned()));
        }
        let _ = writeln!(text, "   {}", row.must);
    }
    text
}

/// The same as one JSON value.
pub fn json(found: &Found) -> Value {
    let rows: serde_json::Map<String, Value> =
        ROWS.iter().map(|row| (row.label.to_owned(), json!((row.value)(found)))).collect();
    json!({
        "contender": found.contender.name(),
        "rows": rows,
        "audit": found.audit,
        "memoryBoundMib": memory_bound_mib(),
        "broken": broken(found),
    })
}

fn audit(found: &Found, path: &str) -> Option<String> {
    Some(grouped(found.audit.pointer(path)?.as_u64()?))
}

fn torn(found: &Found, cause: &str) -> Option<String> {
    ours(found, grouped(found.audit["torn"][cause].as_u64()?))
}

/// A peer has one sink and no rollouts.
fn ours(found: &Found, value: String) -> Option<String> {
    (found.contender == Contender::Ours).then_some(value)
}

fn pair(found: &Found, one: &str, other: &str) -> Option<String> {
    Some(format!("{} / {}", audit(found, one)?, audit(found, other)?))
}

/// `1,234,567`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
