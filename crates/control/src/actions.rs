//! What the controller does once a decision is durable.

use crate::configurations::{Reading, Sources};
use crate::gating::{Around, Gating};
use crate::handle::Handle;
use crate::measuring::Measuring;
use crate::proving::{Order, Prover, Proving};
use crate::watching::Watching;
use model::RouteTable;
use rollout::plan::GateName;
use rollout::{Action, Landmarks, State};
use std::path::Path;
use std::sync::Arc;
use tokio::sync::watch;

/// The ends that actions go to.
pub(crate) struct Outlets {
    /// The table for the gateway.
    pub table: watch::Sender<Arc<RouteTable>>,
    /// What verification must watch.
    pub watching: watch::Sender<Option<Watching>>,
    /// Where gates come back to.
    pub handle: Handle,
    /// Who asks for the metrics of the rollout that runs.
    pub measuring: Option<Measuring>,
    /// Who reads its configurations.
    pub reading: Option<Reading>,
    /// The runs of its gates.
    pub gating: Option<Gating>,
    /// What these need beside the plan.
    pub around: Around,
    /// Makes proofs of shifts.
    pub prover: Prover,
    /// Who waits for one.
    pub proving: Option<Proving>,
}

impl Outlets {
    pub(crate) fn take(&mut self, state: &State, base_dir: &Path, landmarks: &Landmarks, action: Action) {
        match action {
            Action::Publish(table) => self.publish_proved(*table, landmarks),
            Action::RunGate { gate, run } => self.run_gate(state, base_dir, gate, run),
        }
    }

    /// Has the metrics of the rollout asked for and its configurations read, if nobody does yet.
    pub(crate) fn watch_outside(&mut self, state: &State, base_dir: &Path) {
        if self.measuring.as_ref().is_none_or(|measuring| !measuring.is_of(&state.rollout)) {
            self.measuring = Some(Measuring::start(state, base_dir, &self.handle));
            let reading = |sources| Reading::start(state.rollout.clone(), sources, &self.handle);
            self.reading = Sources::of(state, base_dir, &self.around.commands).map(reading);
        }
    }

    /// The opposite.
    pub(crate) fn leave_outside(&mut self) {
        self.measuring = None;
        self.reading = None;
        self.gating = None;
    }

    /// Publishes a table at once, or, if it raises the candidate's weight where the plan asks for a proof, when there is one.
    /// Whatever is published ends the waiting of the table before.
    pub(crate) fn publish_proved(&mut self, table: RouteTable, landmarks: &Landmarks) {
        self.proving = None;
        let Some(cosignatures) = table.needs_proof(Some(&self.table.borrow())) else {
            return self.publish(table);
        };
        let generation = table.generation;
        match landmarks.of(generation) {
            Some(shows) => {
                let order = Order { generation, shows, cosignatures };
                self.proving = Some(Proving::start(order, self.prover.clone(), &self.handle));
            }
            None => tracing::error!(generation, "no record orders this table, so that nothing can prove it"),
        }
    }

    /// Only newer generations go out, so that a restart cannot take a table back (invariant 2).
    pub(crate) fn publish(&self, table: RouteTable) {
        tracing::info!(
            generation = table.generation,
            active = %table.active,
            weight = %table.weight,
            mirror = table.mirror,
            "route table published",
        );
        self.table.send_replace(Arc::new(table));
    }

    fn run_gate(&mut self, state: &State, base_dir: &Path, gate: GateName, run: u32) {
        let around = self.around.now(state.table.key);
        let gating = self.gating.take().filter(|gating| gating.is_of(&state.rollout));
        let mut gating = gating.unwrap_or_else(|| Gating::of(state.rollout.clone()));
        gating.begin((gate, run), state, base_dir, around, &self.handle);
        self.gating = Some(gating);
    }
}
