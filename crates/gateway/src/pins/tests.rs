use super::*;
use model::{RouteKey, TraceId};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Barrier;

const BLUE: Place = 0;
const GREEN: Place = 1;
const PIN_MS: u64 = 60_000;
const KEY: RouteKey = RouteKey([7; 16]);

fn hash(trace: u64) -> PinHash {
    let mut id = [1; 16];
    id[..8].copy_from_slice(&trace.to_be_bytes());
    PinHash(KEY.mark(TraceId(id)))
}

fn at_s(seconds: u64) -> PinTime {
    PinTime::new(seconds * 1_000_000, PIN_MS)
}

/// Plays (second, trace, wanted, pins) against an empty table and expects what becomes of each.
fn check(steps: &[(u64, u64, Place, Pins, Settled)]) {
    let table = PinTable::new(1 << 10);
    for (number, (second, trace, wanted, pins, expected)) in steps.iter().enumerate() {
        let settled = table.settle(hash(*trace), *wanted, *pins, at_s(*second), true);
        assert_eq!(settled, *expected, "step {number}");
    }
}

#[test]
fn a_trace_stays_where_it_began_until_its_pin_expires() {
    check(&[
        (100, 1, BLUE, Pins::Keep, Settled::Pinned(BLUE)),
        (150, 1, GREEN, Pins::Keep, Settled::Pinned(BLUE)),
        // Refreshed at 150: lives until 210.
        (209, 1, GREEN, Pins::Keep, Settled::Pinned(BLUE)),
        (209, 2, GREEN, Pins::Keep, Settled::Pinned(GREEN)),
        (280, 1, GREEN, Pins::Keep, Settled::Pinned(GREEN)),
    ]);
}

#[test]
fn a_tear_is_told_once() {
    check(&[
        (100, 1, GREEN, Pins::Keep, Settled::Pinned(GREEN)),
        (101, 1, BLUE, Pins::Tear, Settled::Torn),
        (102, 1, BLUE, Pins::Tear, Settled::Pinned(BLUE)),
        (103, 1, GREEN, Pins::Keep, Settled::Pinned(BLUE)),
        // Expired: it has no spans in flight that could be torn from it.
        (104, 2, GREEN, Pins::Keep, Settled::Pinned(GREEN)),
        (170, 2, BLUE, Pins::Tear, Settled::Pinned(BLUE)),
    ]);
}

#[test]
fn a_clock_that_steps_back_or_wraps_keeps_the_pins() {
    check(&[
        (TICKS - 1, 1, GREEN, Pins::Keep, Settled::Pinned(GREEN)),
        (TICKS + 20, 1, BLUE, Pins::Keep, Settled::Pinned(GREEN)),
        (TICKS - 20, 1, BLUE, Pins::Keep, Settled::Pinned(GREEN)),
        (TICKS / 2, 1, BLUE, Pins::Keep, Settled::Pinned(BLUE)),
    ]);
}

#[test]
fn a_full_window_is_said_and_forgets_nobody() {
    let table = PinTable::new(WINDOW);
    let settle = |trace, wanted, second| table.settle(hash(trace), wanted, Pins::Keep, at_s(second), true);
    for trace in 0..WINDOW as u64 {
        assert_eq!(settle(trace, GREEN, 100), Settled::Pinned(GREEN));
    }
    assert_eq!(settle(99, BLUE, 100), Settled::Full);
    assert_eq!(table.live(at_s(100)), WINDOW as u64);
    for trace in 0..WINDOW as u64 {
        assert_eq!(settle(trace, BLUE, 100), Settled::Pinned(GREEN));
    }
    assert_eq!(settle(99, BLUE, 161), Settled::Pinned(BLUE), "an expired slot is had again");
    assert_eq!(table.live(at_s(161)), 1);
}

#[test]
fn without_record_nothing_is_entered() {
    let table = PinTable::new(64);
    assert_eq!(table.settle(hash(1), BLUE, Pins::Tear, at_s(1), false), Settled::Unpinned);
    assert_eq!(table.live(at_s(1)), 0);
}

proptest! {
    /// Against a map of traces, as long as there is room.
    #[test]
    fn behaves_as_a_map(steps in proptest::collection::vec((0u64..40, any::<bool>(), any::<bool>(), 0u64..30), 0..300)) {
        let table = PinTable::new(1 << 12);
        let mut model: BTreeMap<u64, (Place, u64)> = BTreeMap::new();
        let mut second = 1_000;
        for (trace, green, tear, pause) in steps {
            second += pause;
            let wanted = if green { GREEN } else { BLUE };
            let pins = if tear { Pins::Tear } else { Pins::Keep };
            let began = model.get(&trace).filter(|(_, last)| second - last <= PIN_MS / 1000).map(|(began, _)| *began);
            let expected = match (pins, began) {
                (Pins::Keep, Some(began)) => Settled::Pinned(began),
                (Pins::Tear, Some(began)) if began != wanted => Settled::Torn,
                (Pins::Keep | Pins::Tear, _) => Settled::Pinned(wanted),
            };
            let goes_to = if let Settled::Pinned(to) = expected { to } else { wanted };
            model.insert(trace, (goes_to, second));
            prop_assert_eq!(table.settle(hash(trace), wanted, pins, at_s(second), true), expected);
        }
    }
}

/// Two threads choose two different slots for the same new trace, for one slot expires between their looks.
#[test]
fn a_thread_that_comes_second_takes_its_own_entry_back() {
    let table = PinTable::new(WINDOW);
    let (early, late, trace) = (at_s(161), at_s(162), hash(99));
    let slots: Vec<usize> = table.window(trace).collect();
    table.slots[slots[0]].store(hash(1).word(BLUE, at_s(101)), SeqCst);
    let Look::Free { slot: of_early, word: 0 } = table.look(trace, early) else { panic!("one is taken") };
    let Look::Free { slot: of_late, word } = table.look(trace, late) else { panic!("none is taken") };
    assert_eq!((of_early, of_late), (slots[1], slots[0]));
    assert!(table.enter(of_late, word, trace, GREEN, late));
    assert!(!table.enter(of_early, 0, trace, BLUE, early));
    assert_eq!(table.slots[of_early].load(SeqCst), 0);
    assert_eq!(table.settle(trace, BLUE, Pins::Keep, early, true), Settled::Pinned(GREEN));
    assert_eq!(table.settle(trace, BLUE, Pins::Keep, late, true), Settled::Pinned(GREEN));
}

/// Nobody follows an entry before it is sure that it stays.
#[test]
fn a_tentative_entry_is_not_followed() {
    let table = PinTable::new(WINDOW);
    let (time, trace) = (at_s(100), hash(1));
    let slot = table.window(trace).nth(3).expect("a window");
    table.slots[slot].store(trace.word(GREEN, time) | TENTATIVE, SeqCst);
    assert!(matches!(table.look(trace, time), Look::Tentative));
    assert_eq!(table.settle(trace, BLUE, Pins::Keep, time, true), Settled::Full);
    let other = table.window(trace).next().expect("a window");
    assert!(!table.enter(other, 0, trace, BLUE, time));
}

/// Threads that want different environments for the same new trace, and whose clocks are a second apart while the slots
/// around expire in just that second, agree. Only a trace that a suspended thread held may go by its bucket.
#[test]
fn concurrent_threads_agree_on_where_a_trace_began() {
    const THREADS: usize = 4;
    const ROUNDS: usize = 2_000;
    let barrier = Barrier::new(THREADS);
    let tables: Vec<PinTable> = (0..ROUNDS).map(|_| PinTable::new(WINDOW)).collect();
    for table in &tables {
        for old in 0..WINDOW as u64 {
            // Every second one expires at the boundary.
            table.settle(hash(1_000_000 + old), BLUE, Pins::Keep, at_s(100 + old % 2), true);
        }
    }
    let settle = &|thread: usize| {
        let wanted = if thread.is_multiple_of(2) { BLUE } else { GREEN };
        let time = at_s(161 + thread as u64 % 2);
        let round = |(round, table): (usize, &PinTable)| {
            barrier.wait();
            table.settle(hash(round as u64), wanted, Pins::Keep, time, true)
        };
        tables.iter().enumerate().map(round).collect::<Vec<Settled>>()
    };
    let answers: Vec<Vec<Settled>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|thread| scope.spawn(move || settle(thread))).collect();
        threads.into_iter().map(|thread| thread.join().expect("no thread panics")).collect()
    });
    let mut bypassed = 0;
    for round in 0..ROUNDS {
        let pinned: Vec<Settled> =
            answers.iter().map(|answers| answers[round]).filter(|settled| *settled != Settled::Full).collect();
        assert!(pinned.windows(2).all(|two| two[0] == two[1]), "round {round}: {pinned:?}");
        bypassed += THREADS - pinned.len();
    }
    assert!(bypassed < ROUNDS / 10, "{bypassed} of {} decisions bypassed the pins", ROUNDS * THREADS);
}

/// What a table of 16 slots in which blue's trace 1 was seen at second 100 becomes in another one of `slots`, by `key`.
fn carried(slots: usize, key: RouteKey, length: Option<usize>, second: u64) -> (PinTable, Result<u64, PinsError>) {
    let table = PinTable::new(16);
    table.settle(hash(1), BLUE, Pins::Keep, at_s(100), true);
    let mut bytes = Vec::new();
    table.write(&KEY, &mut bytes).expect("memory takes everything");
    let taken_over = PinTable::new(slots);
    let read = taken_over.read(&key, at_s(second), &mut &bytes[..length.unwrap_or(bytes.len())]);
    (taken_over, read)
}

#[test]
fn a_pin_that_is_carried_over_lives_as_if_it_had_been_seen_until_the_other_process_ended() {
    let (table, read) = carried(16, KEY, None, 159);
    assert_eq!(read.expect("good pins"), 1);
    // As if seen at 159 + 40, from where it lives for 60 s; and then it is seen at 258.
    for (second, environment) in [(258, BLUE), (319, GREEN)] {
        let settled = table.settle(hash(1), GREEN, Pins::Keep, at_s(second), true);
        assert_eq!(settled, Settled::Pinned(environment), "at {second}");
    }
    let (table, read) = carried(16, KEY, None, 161);
    assert_eq!(read.expect("good pins"), 0, "it has expired");
    assert_eq!(table.settle(hash(1), GREEN, Pins::Keep, at_s(161), true), Settled::Pinned(GREEN));
}

#[test]
fn pins_of_another_rollout_table_or_program_are_refused() {
    assert!(matches!(carried(16, RouteKey([8; 16]), None, 100).1, Err(PinsError::Key)));
    assert!(matches!(carried(32, KEY, None, 100).1, Err(PinsError::Slots { found: 16, expected: 32 })));
    assert!(matches!(carried(16, KEY, Some(100), 100).1, Err(PinsError::Io(_))));
    let other = [b'x'; 200];
    assert!(matches!(PinTable::new(16).read(&KEY, at_s(1), &mut &other[..]), Err(PinsError::Format)));
}
