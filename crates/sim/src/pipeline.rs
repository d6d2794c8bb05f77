//! One environment's collector: what it answers, what it puts out, and what is wrong with it.

use crate::random::Random;
use crate::traffic::{COMMON, Change, Trace};
use serde::Serialize;
use std::ops::Range;
use verify::Delivery;

/// What is wrong with the candidate, from some time on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub enum Fault {
    /// Nothing.
    None,
    /// This share of spans does not come out.
    Loss(f64),
    /// The spans of a common service do not come out.
    BlindSpot,
    /// This share of exports is refused.
    Errors(f64),
    /// It takes four times as long.
    Slow,
    /// This share of spans comes out with another parent.
    Reparent(f64),
    /// This share of spans comes out without an attribute.
    MissingAttribute(f64),
    /// It takes everything, and nothing comes to the tap.
    DeadTap,
    /// It is gone: exports get no answer.
    Crash,
}

/// What goes wrong in both environments alike.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Noise {
    /// Share of spans that do not come out.
    pub loss: f64,
    /// Share of exports that are refused.
    pub refused: f64,
    /// Share of spans that tell of an error of the app.
    pub errors: f64,
}

/// What became of one export.
pub(crate) struct Taken {
    pub(crate) delivery: Delivery,
    /// When the answer is there, in milliseconds after the hand-over.
    pub(crate) answer_ms: u64,
    /// When its spans come out, in milliseconds after the hand-over.
    pub(crate) out_ms: u64,
    /// The spans that come out, a bit each.
    pub(crate) out: u16,
    /// Of these, the changed ones.
    pub(crate) changed: u16,
    pub(crate) change: Change,
}

/// Hands a request's spans over to an environment in which `fault` is at work.
pub(crate) fn hand_over(random: &mut Random, fault: Fault, noise: &Noise, trace: &Trace, spans: Range<usize>) -> Taken {
    let mut taken = Taken {
        delivery: Delivery::Acknowledged,
        answer_ms: random.between(1, 20),
        out_ms: if random.chance(0.1) { random.between(50, 200) } else { random.between(10, 60) },
        out: 0,
        changed: 0,
        change: Change::Nothing,
    };
    let (refused, lost, changed) = match fault {
        Fault::None | Fault::BlindSpot | Fault::DeadTap => (0.0, 0.0, 0.0),
        Fault::Loss(share) => (0.0, share, 0.0),
        Fault::Errors(share) => (share, 0.0, 0.0),
        Fault::Slow => {
            taken.out_ms *= 4;
            (0.0, 0.0, 0.0)
        }
        Fault::Reparent(share) => {
            taken.change = Change::Parent;
            (0.0, 0.0, share)
        }
        Fault::MissingAttribute(share) => {
            taken.change = Change::Key;
            (0.0, 0.0, share)
        }
        Fault::Crash => {
            taken.delivery = Delivery::Unknown;
            taken.answer_ms = 300;
            return taken;
        }
    };
    if random.chance(noise.refused) || random.chance(refused) {
        taken.delivery = Delivery::Refused;
        return taken;
    }
    for span in spans {
        let unseen = match fault {
            Fault::BlindSpot => trace.service(span) == COMMON,
            Fault::DeadTap => true,
            _ => random.chance(lost),
        };
        if !unseen && !random.chance(noise.loss) {
            taken.out |= 1 << span;
            taken.changed |= u16::from(random.chance(changed)) << span;
        }
    }
    taken
}
