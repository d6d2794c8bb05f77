//! What the controller does once a decision is durable.

use crate::configurations::{Reading, Sources};
use crate::controller::Watching;
use crate::handle::{Handle, Input};
use crate::measuring::Measuring;
use crate::proving::{Order, Prover, Proving};
use model::{GateResult, GateVerdict, PerEnvironment, RouteTable};
use rollout::plan::{ConfigSource, GateName};
use rollout::{Action, Landmarks, State};
use std::path::{Path, PathBuf};
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
            self.reading = Sources::of(state, base_dir).map(reading);
        }
    }

    /// The opposite.
    pub(crate) fn leave_outside(&mut self) {
        self.measuring = None;
        self.reading = None;
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

    fn run_gate(&self, state: &State, base_dir: &Path, gate: GateName, run: u32) {
        let (handle, rollout) = (self.handle.clone(), state.rollout.clone());
        let environments = &state.plan.environments;
        match gate {
            GateName::Probe => {
                let upstreams =
                    PerEnvironment::from_fn(|environment| environments[environment].upstream.under(base_dir));
                tokio::spawn(async move {
                    let result = gates::probe::run(&upstreams).await;
                    handle.tell(Input::GateFinished { rollout, gate, run, result }).await;
                });
            }
            GateName::Drift => {
                let files = |sources: &[ConfigSource]| -> Vec<PathBuf> {
                    sources.iter().map(|source| base_dir.join(&source.files)).collect()
                };
                let (blue, green) = (files(&environments.blue.config), files(&environments.green.config));
                let expected: Vec<String> = match &state.plan.gates.drift {
                    Some(drift) => drift.expected.iter().map(|expected| expected.path.clone()).collect(),
                    None => Vec::new(),
                };
                tokio::task::spawn_blocking(move || {
                    let result = gates::drift::run(&blue, &green, &expected);
                    handle.tell_blocking(Input::GateFinished { rollout, gate, run, result });
                });
            }
            // The state machine counts approvals itself and never asks for a run.
            GateName::Approval => {
                let reasons = vec!["approvals are commands, not a run".to_owned()];
                let result = GateResult { verdict: GateVerdict::Error, reasons, evidence: None };
                tokio::spawn(async move { handle.tell(Input::GateFinished { rollout, gate, run, result }).await });
            }
        }
    }
}
