use super::*;

const RUNS_MS: [u64; 4] = [20_000, 60_000, 180_000, 600_000];

#[test]
fn the_same_seed_gives_the_same_schedule_and_another_one_another() {
    for run_ms in RUNS_MS {
        assert_eq!(schedule(7, run_ms), schedule(7, run_ms));
        assert_ne!(schedule(7, run_ms), schedule(8, run_ms));
    }
}

#[test]
fn events_are_in_order_and_over_before_the_run_is() {
    for (run_ms, seed) in RUNS_MS.into_iter().flat_map(|run_ms| (0..200).map(move |seed| (run_ms, seed))) {
        let events = schedule(seed, run_ms);
        assert!(events.is_sorted_by_key(|timed| timed.at_ms));
        assert!(events.iter().all(|timed| timed.at_ms >= QUIET_MS));
        assert!(events.iter().all(|timed| timed.at_ms + timed.event.lasts_ms() + QUIET_MS <= run_ms));
    }
}

/// Events that must not overlap: those of one lane.
fn lane_of(event: &Event) -> usize {
    match event {
        Event::KillSink { sink, .. }
        | Event::StallSink { sink, .. }
        | Event::SlowSink { sink, .. }
        | Event::Exhausted { sink, .. }
        | Event::Unavailable { sink, .. } => *sink as usize,
        Event::KillGateway { .. } => 2,
        Event::FillDisk { .. } => 3,
        Event::StallClients { .. } => 4,
        Event::Rollout(_) => 5,
    }
}

#[test]
fn a_thing_is_disturbed_in_one_way_at_a_time() {
    for seed in 0..200 {
        let mut free_from_ms = [0; 6];
        for timed in schedule(seed, 180_000) {
            let free = &mut free_from_ms[lane_of(&timed.event)];
            assert!(timed.at_ms >= *free, "{timed:?} begins before {free} ms");
            *free = timed.at_ms + timed.event.lasts_ms();
        }
    }
}

#[test]
fn three_minutes_have_every_kind() {
    for seed in 0..200 {
        let events: Vec<Event> = schedule(seed, 180_000).into_iter().map(|timed| timed.event).collect();
        let has = |is: fn(&Event) -> bool| assert!(events.iter().any(is), "seed {seed}: {events:?}");
        has(|event| matches!(event, Event::KillSink { .. }));
        has(|event| matches!(event, Event::StallSink { answers_only: false, .. }));
        has(|event| matches!(event, Event::StallSink { answers_only: true, .. }));
        has(|event| matches!(event, Event::SlowSink { .. }));
        has(|event| matches!(event, Event::Exhausted { .. }));
        has(|event| matches!(event, Event::Unavailable { .. }));
        has(|event| matches!(event, Event::StallClients { .. }));
        has(|event| matches!(event, Event::FillDisk { .. }));
        has(|event| matches!(event, Event::KillGateway { .. }));
        has(|event| matches!(event, Event::Rollout(_)));
        has(|event| matches!(event, Event::StallSink { for_ms: 30_001.., .. }));
    }
}

#[test]
fn a_short_run_has_a_rollout_and_disturbs_both_sinks() {
    for seed in 0..200 {
        let events: Vec<Event> = schedule(seed, 20_000).into_iter().map(|timed| timed.event).collect();
        for lane in [0, 1, 5] {
            assert!(events.iter().any(|event| lane_of(event) == lane), "seed {seed}, lane {lane}: {events:?}");
        }
    }
}

#[test]
fn a_rollouts_weights_rise_and_it_is_ended_before_and_after_it_has_reached_them() {
    let (mut early, mut late) = (0, 0);
    for timed in (0..200).flat_map(|seed| schedule(seed, 180_000)) {
        let Event::Rollout(rollout) = timed.event else { continue };
        assert!(rollout.weights.is_sorted_by(|one, next| one < next), "{rollout}");
        assert!(rollout.weights.iter().all(|weight| (1..100).contains(weight)), "{rollout}");
        assert!(rollout.ended_after_ms > pin_ms(180_000), "{rollout}");
        let reached_ms = pin_ms(180_000) + rollout.weights.len() as u64 * rollout.pause_s * 1_000;
        if rollout.ended_after_ms < reached_ms { early += 1 } else { late += 1 }
    }
    assert!(early > 100 && late > 100, "{early} early, {late} late");
}

#[test]
fn an_event_is_told_in_words() {
    let shown = |event: Event| event.to_string();
    assert_eq!(shown(Event::KillSink { sink: Sink::One, down_ms: 1_250 }), "sink one is killed for 1.2 s");
    let rollout = Rollout { weights: vec![5, 40], pause_s: 2, ended_after_ms: 17_000, promoted: true, paused: false };
    assert_eq!(shown(Event::Rollout(rollout)), "a rollout to 5%, 40%, 100%, 2 s each, promoted after 17.0 s");
}
