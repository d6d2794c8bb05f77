//! The way of a span: from the app through the gateway and a pipeline, and what verification is told of it.

use super::{Happening, World};
use crate::pipeline::{Fault, Noise, Taken, hand_over};
use crate::traffic::{Change, Trace};
use model::{Environment, UnixMillis};
use std::ops::Range;
use std::rc::Rc;
use verify::Delivery;

/// A request of a trace that is to be sent.
pub(super) struct Outgoing {
    trace: Rc<Trace>,
    request: usize,
    /// Where the request before went, and what the gateway had torn and lived by then.
    before: Option<Before>,
}

struct Before {
    endpoint: Option<String>,
    tears: u64,
    gateway_starts: u64,
}

/// What verification is told.
pub(super) enum Told {
    Sent { environment: Environment, delivery: Delivery, at: u64, trace: Rc<Trace>, spans: Range<usize> },
    Out { environment: Environment, at: u64, trace: Rc<Trace>, out: u16, changed: u16, change: Change },
    Dropped { environment: Environment, at: u64, trace: Rc<Trace> },
}

/// The share of copies that the mirror drops.
const MIRROR_DROPS: f64 = 0.005;

/// How late verification is told, at most, in milliseconds. With the slowest healthy pipeline (220 ms) it is far below
/// the shortest horizon of the plans, 1 s.
const TOLD_MS: u64 = 60;

impl Outgoing {
    pub(super) fn new(trace: Rc<Trace>) -> Outgoing {
        Outgoing { trace, request: 0, before: None }
    }
}

impl World {
    /// What is wrong with green now. In a second rollout nothing is.
    pub(super) fn fault(&self) -> Fault {
        match self.started == 1 && self.now >= self.begun_ms + self.scenario.fault_from_ms {
            true => self.scenario.fault,
            false => Fault::None,
        }
    }

    pub(super) fn send(&mut self, outgoing: Outgoing) {
        let Outgoing { trace, request, before } = outgoing;
        if !self.gateway_up {
            // The app gives up: nothing of the trace goes anywhere any more.
            return;
        }
        let route = self.gateway.route(trace.id, self.now);
        let endpoint = self.gateway.endpoint(route.environment);
        if let Some(before) = before.filter(|before| before.endpoint != endpoint) {
            let torn = self.gateway.tears > before.tears || self.gateway_starts > before.gateway_starts;
            assert!(
                torn,
                "seed {}: trace {} went to {:?} and now to {endpoint:?}, without a rollback, by {:?}",
                self.seed, trace.id, before.endpoint, self.gateway.table
            );
        }
        let spans = trace.requests[request].1.clone();
        self.hand_over(route.environment, &trace, spans.clone());
        if let Some(mirror) = route.mirror {
            if self.traffic.chance(MIRROR_DROPS) {
                let (at, trace) = (self.now, Rc::clone(&trace));
                self.plan(0, Happening::Told(Told::Dropped { environment: mirror, at, trace }));
            } else {
                self.hand_over(mirror, &trace, spans);
            }
        }
        if let Some((gap_ms, _)) = trace.requests.get(request + 1) {
            let (gap_ms, tears, gateway_starts) = (*gap_ms, self.gateway.tears, self.gateway_starts);
            let before = Some(Before { endpoint, tears, gateway_starts });
            self.plan(gap_ms, Happening::Sends(Outgoing { trace, request: request + 1, before }));
        }
    }

    fn hand_over(&mut self, environment: Environment, trace: &Rc<Trace>, spans: Range<usize>) {
        let fault = match environment {
            Environment::Blue => Fault::None,
            Environment::Green => self.fault(),
        };
        let noise: Noise = self.scenario.noise;
        let taken = hand_over(&mut self.traffic, fault, &noise, trace, spans.clone());
        let Taken { delivery, answer_ms, out_ms, out, changed, change } = taken;
        if self.verifier.is_none() {
            return;
        }
        let at = self.now;
        let told_ms = self.traffic.between(0, TOLD_MS);
        let sent = Told::Sent { environment, delivery, at, trace: Rc::clone(trace), spans };
        self.plan(answer_ms + told_ms, Happening::Told(sent));
        if out != 0 {
            let at = self.now + out_ms;
            let came_out = Told::Out { environment, at, trace: Rc::clone(trace), out, changed, change };
            let told_ms = self.traffic.between(0, TOLD_MS);
            self.plan(out_ms + told_ms, Happening::Told(came_out));
        }
    }

    /// Verification takes what it is told, unless it is away: then that is lost.
    pub(super) fn tell(&mut self, told: &Told) {
        let crashed = self.fault() == Fault::Crash;
        let Some(verifier) = &mut self.verifier else { return };
        match told {
            Told::Sent { environment, delivery, at, trace, spans } => {
                for span in spans.clone() {
                    verifier.sent(*environment, *delivery, at * 1_000, &trace.fact(span, Change::Nothing));
                }
            }
            Told::Out { environment: Environment::Green, .. } if crashed => {}
            Told::Out { environment, at, trace, out, changed, change } => {
                for span in (0..trace.spans.len()).filter(|span| out & (1 << span) != 0) {
                    let change = if changed & (1 << span) != 0 { *change } else { Change::Nothing };
                    verifier.out(*environment, at * 1_000, &trace.fact(span, change));
                }
            }
            Told::Dropped { environment, at, trace } => {
                verifier.leave_out(*environment, trace.id, UnixMillis(*at));
            }
        }
    }
}
