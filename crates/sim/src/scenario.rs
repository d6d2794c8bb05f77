//! What a seed stands for.

use crate::pipeline::{Fault, Noise};
use crate::plans::Template;
use crate::random::Random;

/// Everything about a simulation that is chosen before it begins.
#[derive(Clone, Debug)]
pub struct Scenario {
    pub(crate) template: Template,
    /// Rollouts one after the other in the same ledger.
    pub rollouts: u32,
    /// New traces a second.
    pub traces_per_s: u64,
    /// Spans of the largest traces.
    pub max_spans: u64,
    /// What is wrong with the candidate of the first rollout.
    pub fault: Fault,
    /// From when on, in milliseconds.
    pub fault_from_ms: u64,
    /// What goes wrong in both environments.
    pub noise: Noise,
    /// Who acts.
    pub people: People,
    /// What becomes of messages.
    pub roughness: Roughness,
    /// The chance that an event ends in a crash of the controller.
    pub crash_share: f64,
    /// The chance that the result of a gate is lost.
    pub gate_loss_share: f64,
    /// When it is over whatever the rollout does, in milliseconds.
    pub limit_ms: u64,
}

/// Who acts on a rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum People {
    /// No one.
    Nobody,
    /// People who do what the rollout waits for, after a while.
    Attendants,
    /// The same, and others who do anything at any time.
    Anybody,
}

/// What becomes of messages between gateway, verification and controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Roughness {
    /// They arrive once, soon, in order.
    Steady,
    /// Late, twice, in another order, or for a while not at all.
    Rough,
}

/// The purpose of the stream that chooses scenarios.
const CHOICES: u64 = 1;

const HEALTHY_NOISE: Noise = Noise { loss: 0.001, refused: 0.005, errors: 0.01 };

impl Scenario {
    /// Any scenario.
    pub fn of(seed: u64) -> Scenario {
        let random = &mut Random::of(seed, CHOICES);
        let limit_ms = if random.chance(0.02) { 240_000 } else { random.between(15_000, 32_000) };
        Scenario {
            template: if random.chance(0.2) { Template::steady() } else { Template::random(random) },
            rollouts: if random.chance(0.15) { 2 } else { 1 },
            traces_per_s: match limit_ms {
                240_000 => 20,
                _ if random.chance(0.02) => 300,
                // Enough that a rollback meets traces under way.
                _ => random.between(50, 70),
            },
            max_spans: if random.chance(0.05) { crate::traffic::MAX_SPANS } else { 3 },
            fault: any_fault(random),
            fault_from_ms: if random.chance(0.5) { 0 } else { random.between(0, 20_000) },
            noise: if random.chance(0.5) {
                Noise { loss: 0.0, refused: 0.0, errors: 0.0 }
            } else {
                Noise { loss: random.pick(&[0.0, 0.001, 0.01]), refused: random.pick(&[0.0, 0.01]), errors: 0.02 }
            },
            people: random.pick(&[People::Nobody, People::Attendants, People::Attendants, People::Anybody]),
            roughness: random.pick(&[Roughness::Steady, Roughness::Rough]),
            crash_share: random.pick(&[0.0, 0.005, 0.02, 0.05]),
            gate_loss_share: random.pick(&[0.0, 0.0, 0.1, 0.5]),
            limit_ms,
        }
    }

    /// A steady plan which nobody touches and nothing disturbs; the candidate has this fault from the start.
    pub fn undisturbed(seed: u64, fault: Fault) -> Scenario {
        let random = &mut Random::of(seed, CHOICES);
        Scenario {
            template: Template::steady(),
            rollouts: 1,
            traces_per_s: random.between(20, 30),
            max_spans: 3,
            fault,
            fault_from_ms: 0,
            noise: HEALTHY_NOISE,
            people: People::Nobody,
            roughness: Roughness::Steady,
            crash_share: 0.0,
            gate_loss_share: 0.0,
            limit_ms: 32_000,
        }
    }

    /// The same, with crashes of the controller and rough messages, and a fault that begins at any time.
    pub fn disturbed(seed: u64, fault: Fault) -> Scenario {
        let random = &mut Random::of(seed, CHOICES);
        let fault_from_ms = random.between(0, 12_000);
        let undisturbed = Scenario::undisturbed(seed, fault);
        Scenario { fault_from_ms, roughness: Roughness::Rough, crash_share: 0.01, ..undisturbed }
    }
}

fn any_fault(random: &mut Random) -> Fault {
    let share = random.pick(&[0.02, 0.2, 0.6]);
    match random.between(0, 15) {
        0 => Fault::Loss(share),
        1 => Fault::BlindSpot,
        2 => Fault::Errors(share),
        3 => Fault::Slow,
        4 => Fault::Reparent(share),
        5 => Fault::MissingAttribute(share),
        6 => Fault::DeadTap,
        7 => Fault::Crash,
        _ => Fault::None,
    }
}
