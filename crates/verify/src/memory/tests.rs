use super::*;

/// Inserts a trace at 1 s, moves on to `at_ms` in steps of 10 ms, and says whether the trace is known.
fn known(retention_ms: u64, bound: usize, others: u64, at_ms: u64) -> bool {
    let mut memory = Memory::new(Keyed([1; 16]), retention_ms, bound, UnixMillis(0));
    memory.advance(UnixMillis(1_000));
    memory.insert(7);
    (0..others).for_each(|other| memory.insert(100 + other));
    (1_000..=at_ms).step_by(10).for_each(|now_ms| memory.advance(UnixMillis(now_ms)));
    memory.contains(7)
}

#[test]
fn a_trace_is_known_for_the_retention_and_forgotten_later() {
    assert!(known(400, 10, 0, 1_390));
    assert!(!known(400, 10, 0, 1_700));
}

#[test]
fn the_bound_lets_the_oldest_go() {
    assert!(known(400, 10, 29, 1_000));
    assert!(!known(400, 10, 30, 1_000));
}

#[test]
fn what_is_inserted_again_is_known_from_then_on() {
    let mut memory = Memory::new(Keyed([1; 16]), 400, 10, UnixMillis(0));
    for now_ms in (0..4_000).step_by(100) {
        memory.insert(7);
        memory.advance(UnixMillis(now_ms));
        assert!(memory.contains(7), "{now_ms}");
    }
    assert!(memory.len() <= 3);
}
