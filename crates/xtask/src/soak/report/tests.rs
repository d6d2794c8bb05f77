use super::*;
use crate::soak::ledger::Moves;
use crate::soak::watch::Held;

fn found(contender: Contender) -> Found {
    let held = Held { descriptors: 24, connections: 2 };
    Found {
        contender,
        audit: json!({
            "acknowledged": 1_234_567, "arrived": 1_234_600, "lost": 0, "duplicates": 33, "changed": 0, "malformed": 0,
            "torn": { "byShifts": 0, "byPromotions": 0, "byRollbacks": 7, "byKills": 3, "afterPin": 1 },
            "counts": { "spans": 1_300_000, "requests": 9_000, "refused": 12, "lost": 5, "never": 0, "overflowed": 0 },
            "answeredP50Ms": 2, "answeredP99Ms": 80, "deliveredP50Ms": 3, "deliveredP99Ms": 9_000,
        }),
        delivered: true,
        moves: Moves { rollbacks: vec![(1, 2)], shifts: 9, ..Moves::default() },
        peak_resident_mib: 61.4,
        before: held,
        after: held,
        kills: 4,
        failed_starts: Vec::new(),
        own_ends: Vec::new(),
        panics: Vec::new(),
        refused_commands: 2,
        events: 41,
        disk: true,
        ledger: None,
    }
}

#[test]
fn the_table_has_a_column_for_each_run() {
    let table = table(&[found(Contender::Ours), found(Contender::Rotel)]);
    let line = |label: &str| {
        let line = table.lines().find(|line| line.starts_with(label)).unwrap();
        line.strip_prefix(label).unwrap().split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(line("spans acknowledged"), "1,234,567 1,234,567");
    assert_eq!(line("LOST after acknowledgement"), "0 0 0");
    assert_eq!(line("traces torn by rollbacks"), "7 -");
    assert_eq!(line("acknowledgement p50 / p99, ms"), "2 / 80 2 / 80");
    assert_eq!(line("route tables / rollbacks / promotions"), "9 / 1 / 0 -");
    assert_eq!(line("peak resident memory, MiB"), "61 61 <= bound");
    assert!(table.lines().all(|line| line.len() <= 110), "{table}");
}

#[test]
fn what_must_hold_is_named_when_it_does_not() {
    assert_eq!(broken(&found(Contender::Ours)), [""; 0]);
    let check = |change: fn(&mut Found), expected: &str| {
        let mut run = found(Contender::Ours);
        change(&mut run);
        let told = broken(&run);
        assert!(told.len() == 1 && told[0].contains(expected), "{expected}: {told:?}");
        let mut peer = found(Contender::Rotel);
        change(&mut peer);
        assert_eq!(broken(&peer), [""; 0]);
    };
    check(|run| run.audit["lost"] = json!(3), "3 spans were acknowledged and did not arrive");
    check(|run| run.audit["changed"] = json!(1), "otherwise");
    check(|run| run.audit["malformed"] = json!(1), "that were none");
    check(|run| run.audit["torn"]["byShifts"] = json!(2), "2 traces were torn by shifts");
    check(|run| run.audit["torn"]["byPromotions"] = json!(2), "promotions");
    check(|run| run.audit["counts"]["never"] = json!(1), "refused for good");
    check(|run| run.audit["acknowledged"] = json!(0), "nothing was acknowledged");
    check(|run| run.audit["torn"] = json!({ "byPromotions": 0 }), "torn by shifts");
    check(|run| run.delivered = false, "not taken");
    check(|run| run.peak_resident_mib = 5_000.0, "MiB resident");
    check(|run| run.after.descriptors += 3, "27 file descriptors");
    check(|run| run.after.connections += 1, "3 connections");
    check(|run| run.own_ends.push("exit status: 101".to_owned()), "by itself");
    check(|run| run.panics.push("thread panicked at x".to_owned()), "panicked at x");
    check(|run| run.ledger = Some("the root differs".to_owned()), "root differs");
}

#[test]
fn numbers_are_grouped() {
    let shown = [0, 999, 1_000, 1_234_567].map(grouped);
    assert_eq!(shown, ["0", "999", "1,000", "1,234,567"]);
}

#[test]
fn the_bounds_arithmetic_adds_up() {
    let words = memory_bound_words();
    let (sum, terms) = words.split_once(" MiB = ").unwrap();
    let terms = terms.split(" + ").map(|term| term.split(' ').next().unwrap().parse::<u64>().unwrap());
    assert_eq!(terms.sum::<u64>(), sum.parse::<u64>().unwrap());
}
