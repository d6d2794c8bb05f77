//! A schedule, taken apart into what must be done at which moment. Pure.

use super::schedule::{Event, PROMOTING_MS, Rollout, Sink, Timed};
use serde_json::{Value, json};

/// How often a promotion is ordered: each order ends one wait, and there are as many as there are weights.
const PROMOTE_EVERY_MS: u64 = 600;

/// What is done at one moment.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    KillSink(Sink),
    StartSink(Sink),
    /// An order for `bench soak-sink`.
    TellSink(Sink, Value),
    StallClients(bool),
    FillDisk,
    FreeDisk,
    KillGateway,
    StartGateway,
    StartRollout(Rollout),
    /// `verdigris rollout …`
    Command(&'static str),
}

/// An action, when, and what is said of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    pub at_ms: u64,
    pub action: Action,
    pub words: Option<String>,
}

/// All actions, by time.
pub fn timeline(events: &[Timed]) -> Vec<Step> {
    let mut steps = Vec::new();
    for timed in events {
        let first = steps.len();
        let mut at = |after_ms, action| steps.push(Step { at_ms: timed.at_ms + after_ms, action, words: None });
        match &timed.event {
            Event::KillSink { sink, down_ms } => {
                at(0, Action::KillSink(*sink));
                at(*down_ms, Action::StartSink(*sink));
            }
            Event::StallSink { sink, answers_only, for_ms } => {
                let order = if *answers_only { json!({"do": "stallAnswers"}) } else { json!({"do": "stall"}) };
                tell_for(&mut at, *sink, order, *for_ms);
            }
            Event::SlowSink { sink, delay_ms, for_ms } => {
                tell_for(&mut at, *sink, json!({"do": "slow", "delayMs": delay_ms}), *for_ms);
            }
            Event::Exhausted { sink, for_ms } => {
                tell_for(&mut at, *sink, json!({"do": "exhausted", "retryAfterMs": 700}), *for_ms);
            }
            Event::Unavailable { sink, for_ms } => tell_for(&mut at, *sink, json!({"do": "unavailable"}), *for_ms),
            Event::StallClients { for_ms } => {
                at(0, Action::StallClients(true));
                at(*for_ms, Action::StallClients(false));
            }
            Event::FillDisk { for_ms } => {
                at(0, Action::FillDisk);
                at(*for_ms, Action::FreeDisk);
            }
            Event::KillGateway { down_ms } => {
                at(0, Action::KillGateway);
                at(*down_ms, Action::StartGateway);
            }
            Event::Rollout(rollout) => of_rollout(&mut at, rollout),
        }
        steps[first].words = Some(timed.event.to_string());
    }
    steps.sort_by_key(|step| step.at_ms);
    steps
}

fn tell_for(at: &mut impl FnMut(u64, Action), sink: Sink, order: Value, for_ms: u64) {
    at(0, Action::TellSink(sink, order));
    at(for_ms, Action::TellSink(sink, json!({"do": "take"})));
}

fn of_rollout(at: &mut impl FnMut(u64, Action), rollout: &Rollout) {
    let end_ms = rollout.ended_after_ms;
    at(0, Action::StartRollout(rollout.clone()));
    if rollout.paused {
        at(end_ms * 7 / 10, Action::Command("pause"));
        at(end_ms * 8 / 10, Action::Command("resume"));
    }
    if rollout.promoted {
        for after_ms in (0..PROMOTING_MS).step_by(PROMOTE_EVERY_MS as usize) {
            at(end_ms + after_ms, Action::Command("promote"));
        }
        // Refused if it was promoted. If it was not, the next rollout could not start.
        at(end_ms + PROMOTING_MS, Action::Command("rollback"));
    } else {
        at(end_ms, Action::Command("rollback"));
    }
}

#[cfg(test)]
mod tests {
    use super::super::schedule::schedule;
    use super::*;

    #[test]
    fn everything_is_as_before_at_the_end_and_never_twice_the_same() {
        for seed in 0..100 {
            let steps = timeline(&schedule(seed, 180_000));
            assert!(steps.is_sorted_by_key(|step| step.at_ms));
            let (mut down, mut full, mut dead, mut stalled) = ([false; 2], false, false, false);
            let change = |state: &mut bool, to: bool| {
                assert_ne!(*state, to, "seed {seed}");
                *state = to;
            };
            for step in &steps {
                match &step.action {
                    Action::KillSink(sink) => change(&mut down[*sink as usize], true),
                    Action::StartSink(sink) => change(&mut down[*sink as usize], false),
                    Action::FillDisk => change(&mut full, true),
                    Action::FreeDisk => change(&mut full, false),
                    Action::KillGateway => change(&mut dead, true),
                    Action::StartGateway => change(&mut dead, false),
                    Action::StallClients(to) => change(&mut stalled, *to),
                    Action::TellSink(sink, _) => assert!(!down[*sink as usize], "seed {seed}"),
                    Action::StartRollout(_) | Action::Command(_) => {}
                }
            }
            assert_eq!((down, full, dead, stalled), ([false; 2], false, false, false), "seed {seed}");
            let last = |sink| {
                let told = steps.iter().rev().find_map(|step| match &step.action {
                    Action::TellSink(to, order) if *to == sink => Some(order.clone()),
                    _ => None,
                });
                assert!(told.is_none_or(|order| order == json!({"do": "take"})), "seed {seed}");
            };
            last(Sink::One);
            last(Sink::Two);
        }
    }

    #[test]
    fn a_promotion_is_ordered_often_enough_and_then_given_up() {
        let rollout = Rollout { weights: vec![50], pause_s: 1, ended_after_ms: 10_000, promoted: true, paused: true };
        let steps = timeline(&[Timed { at_ms: 500, event: Event::Rollout(rollout.clone()) }]);
        assert_eq!(steps[0].words.as_deref(), Some(rollout.to_string().as_str()));
        let commands: Vec<(u64, &str)> = steps
            .iter()
            .filter_map(|step| match step.action {
                Action::Command(command) => Some((step.at_ms, command)),
                _ => None,
            })
            .collect();
        assert_eq!(commands[..3], [(7_500, "pause"), (8_500, "resume"), (10_500, "promote")]);
        assert_eq!(commands.last(), Some(&(13_500, "rollback")));
        assert!(commands.iter().filter(|(_, command)| *command == "promote").count() >= 5);
    }
}
