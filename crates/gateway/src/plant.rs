//! Requests of our own, for verification: to where an environment's traces go, and past everything that is the traffic's.
//!
//! What is planted takes no turn, no pin and no place in a spool, is in no counter and no view, and what becomes of it is
//! no mark against an endpoint: so it changes nothing for the traffic (invariant 5). Who plants bounds how much.

use crate::answer::Outcome;
use crate::run::Gateway;
use crate::table::Snapshot;
use bytes::Bytes;
use model::{BasisPoints, Environment, RouteKey, TraceId};
use std::sync::Arc;
use std::time::Duration;

/// How long an answer is waited for. A collector answers within milliseconds; one that does not is not asked twice.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where the traffic of a rollout goes at the moment, while its candidate gets any.
pub struct Ground(Arc<Snapshot>);

impl Gateway {
    /// Where to plant, if the table that applies is of the rollout with this key and sends its candidate anything: its own
    /// traces, or copies.
    pub fn ground(&self, key: RouteKey) -> Option<Ground> {
        let snapshot = self.shared.snapshot.load_full()?;
        let table = &snapshot.table;
        let has_traffic = table.weight > BasisPoints::ZERO || table.mirror;
        (table.key == key && has_traffic && snapshot.candidate().is_some()).then_some(Ground(snapshot))
    }
}

impl Ground {
    /// Sends an `ExportTraceServiceRequest` of one trace to the endpoint of the environment that its trace id chooses, and
    /// waits for the answer.
    pub async fn plant(&self, environment: Environment, trace: TraceId, message: Bytes) -> Outcome {
        match &self.0.upstreams[environment] {
            Some(pool) => pool.plant(trace, message, PATIENCE).await,
            None => Outcome::unavailable(format!("the route table names no endpoint of {environment}")),
        }
    }
}
