//! What goes to and fro between controller, gateway, gates and verification.

use super::{Happening, World};
use crate::pipeline::Fault;
use model::{Environment, GateResult, GateVerdict, Observation, RouteTable, Routed};
use rollout::plan::GateName;
use rollout::{Action, Event, RolloutId};

/// What comes to the controller.
#[derive(Clone)]
pub(super) enum Input {
    Observed { life: u64, rollout: RolloutId, observation: Box<Observation> },
    Applied { generation: u64, torn: u64, routed: Routed },
    GateFinished { life: u64, rollout: RolloutId, gate: GateName, run: u32, verdict: GateVerdict },
}

/// How often the gateway tells a controller that is away what it applied, at most.
const MAX_WAITING: usize = 8;

impl World {
    pub(super) fn act(&mut self, action: Action) {
        match action {
            Action::Publish(table) => self.plan_publish(*table),
            Action::RunGate { gate, run } => self.run_gate(gate, run),
        }
    }

    /// A table is on its way to the gateway; it may be late, come twice, and be overtaken.
    pub(super) fn plan_publish(&mut self, table: RouteTable) {
        let mut delay_ms = self.chaos.between(0, 50);
        if self.is_rough(0.2) {
            delay_ms = self.chaos.between(50, 4_000);
        }
        if self.is_rough(0.02) {
            // Longer than a gateway may take to apply a table.
            self.deaf_until = self.now + self.chaos.between(5_000, 35_000);
        }
        if self.is_rough(0.2) {
            let again_ms = self.chaos.between(0, 6_000);
            self.plan(again_ms, Happening::Publishes(Box::new(table.clone())));
        }
        self.plan(delay_ms, Happening::Publishes(Box::new(table)));
    }

    pub(super) fn publish(&mut self, table: RouteTable) {
        if !self.gateway_up {
            return;
        }
        if self.now < self.deaf_until {
            return self.plan(self.deaf_until - self.now, Happening::Publishes(Box::new(table)));
        }
        let before = self.gateway.table.clone();
        if self.gateway.publish(table) {
            self.controller.watch.applied(&before, &self.gateway.table, false);
        }
        // Also after a refusal: the controller may not know yet what applies.
        let input = Input::Applied {
            generation: self.gateway.table.generation,
            torn: self.gateway.torn,
            routed: self.gateway.table.routed(),
        };
        self.plan_arrival(input);
    }

    fn plan_arrival(&mut self, input: Input) {
        let mut delay_ms = self.chaos.between(0, 30);
        if self.is_rough(0.1) {
            delay_ms = self.chaos.between(30, 3_000);
        }
        if self.is_rough(0.1) {
            let again_ms = self.chaos.between(0, 3_000);
            self.plan(again_ms, Happening::Arrives(input.clone()));
        }
        self.plan(delay_ms, Happening::Arrives(input));
    }

    fn run_gate(&mut self, gate: GateName, run: u32) {
        if self.chaos.chance(self.scenario.gate_loss_share) {
            return;
        }
        let Some(rollout) = self.controller.running().map(|state| state.rollout.clone()) else { return };
        let verdict = match self.scenario.crash_share > 0.0 && self.chaos.chance(0.15) {
            true => self.chaos.pick(&[GateVerdict::Fail, GateVerdict::Inconclusive, GateVerdict::Error]),
            false => GateVerdict::Pass,
        };
        let delay_ms = self.chaos.between(20, 3_000);
        let input = Input::GateFinished { life: self.life, rollout, gate, run, verdict };
        self.plan(delay_ms, Happening::Arrives(input));
    }

    /// Closes the batches that are old enough.
    pub(super) fn advance(&mut self) {
        let (Some(verifier), Some(state)) = (&mut self.verifier, self.controller.running()) else { return };
        let rollout = state.rollout.clone();
        for observation in verifier.advance(model::UnixMillis(self.now)) {
            let observation = Box::new(observation);
            self.plan_arrival(Input::Observed { life: self.life, rollout: rollout.clone(), observation });
        }
    }

    pub(super) fn arrive(&mut self, input: Input) {
        let (up, life) = (self.up, self.life);
        let running = self.controller.running().map(|state| state.rollout.clone());
        match input {
            Input::Applied { .. } if !up => {
                self.waiting.push_back(input);
                if self.waiting.len() > MAX_WAITING {
                    self.waiting.pop_front();
                }
            }
            Input::Applied { generation, torn, routed } => {
                while let Some(earlier) = self.waiting.pop_front() {
                    self.arrive(earlier);
                }
                self.take(Event::Applied { generation, torn, routed }, None);
            }
            Input::Observed { life: of, rollout, observation } => {
                let Some(state) = self.controller.running().filter(|state| state.rollout == rollout) else { return };
                if up && of == life {
                    let recorded = Box::new(state.recorded(*observation));
                    self.count(&recorded);
                    self.take(Event::Observed(recorded), None);
                }
            }
            Input::GateFinished { life: of, rollout, gate, run, verdict } => {
                if up && of == life && running == Some(rollout) {
                    let reasons = vec![format!("simulated: {verdict:?}")];
                    let result = GateResult { verdict, reasons, evidence: None };
                    self.take(Event::GateFinished { gate, run, result }, None);
                }
            }
        }
    }

    fn count(&mut self, observation: &Observation) {
        let from = self.begun_ms + self.scenario.fault_from_ms;
        if self.fault() != Fault::None && observation.assigned_from.0 < from {
            return;
        }
        self.green_traces += observation.arms[Environment::Green].traces;
    }
}
