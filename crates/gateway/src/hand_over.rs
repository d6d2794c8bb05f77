//! Handing a part of a request over to an environment, and what verification sees of it.
//!
//! A hand-over ends with an answer, with the client's timeout, or with a rollback: who waits for the environment that was
//! rolled back from is told at once to send again, to the other one.

use crate::answer::Outcome;
use crate::pins::PinTime;
use crate::pool::Export;
use crate::route::Part;
use crate::run::Running;
use crate::share::Shown;
use crate::table::Snapshot;
use crate::view::{Role, View};
use model::{BasisPoints, Environment, PerEnvironment, Pins, RouteTable};
use std::pin::pin;
use std::time::Duration;
use tokio::sync::watch;

/// After this, verification is told of a hand-over that has no answer. A collector answers within milliseconds, and one
/// that pauses for a garbage collection within some hundred; and a batch of traces closes some seconds after them at the
/// earliest, long before the client's timeout of 30 s. So healthy pipelines are not told of twice, and one that hangs is
/// told of in time.
pub(crate) const UNANSWERED_AFTER: Duration = Duration::from_secs(1);

/// How long an answer is waited for where the request can wait on the disk instead. Exporters wait 10 s for theirs by
/// default (OTLP exporter specification, `OTEL_EXPORTER_OTLP_TIMEOUT`), and one that gives up sends again.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// How long a client waits that is given up in a rollback, in milliseconds: the other environment serves already, and
/// 100 ms spread a queue of clients a little.
pub(crate) const ROLLED_BACK_RETRY_MS: u64 = 100;

/// Which environments were rolled back from, and by which route table: its generation, 0 for none.
pub(crate) struct Rollbacks(watch::Sender<PerEnvironment<u64>>);

impl Rollbacks {
    pub(crate) fn new() -> Rollbacks {
        Rollbacks(watch::channel(PerEnvironment::default()).0)
    }

    /// Gives up what waits for the environment that this table rolls back from, if it does. To be called once the table
    /// is installed: what was routed by an older one before that is given up here or when it begins to wait.
    pub(crate) fn note(&self, table: &RouteTable) {
        if table.weight == BasisPoints::ZERO && !table.mirror && table.pins == Pins::Tear {
            self.0.send_modify(|generations| generations[table.active.other()] = table.generation);
        }
    }

    /// Waits until a table newer than this generation rolls back from the environment.
    async fn from(&self, environment: Environment, generation: u64) {
        let mut rollbacks = self.0.subscribe();
        if rollbacks.wait_for(|generations| generations[environment] > generation).await.is_err() {
            // Without a sender there are no more route tables.
            std::future::pending::<()>().await;
        }
    }
}

/// Hands a part over, waits for what becomes of it, and shows that: once, or twice if it takes long.
pub(crate) async fn hand_over(
    running: &Running,
    snapshot: &Snapshot,
    environment: Environment,
    role: Role,
    part: &Part,
    patience: Duration,
) -> Outcome {
    let mut answered = pin!(answered(running, snapshot, environment, role, part, patience));
    if part.shown == Shown::Nothing {
        return answered.await;
    }
    let handed_over_us = (running.clock)();
    let (counters, generation) = (&running.shared.counters, snapshot.table.generation);
    let outcome = match tokio::time::timeout(UNANSWERED_AFTER, &mut answered).await {
        Ok(outcome) => outcome,
        Err(_) => {
            running.views.send(counters, &part.shown, |message| View::Unanswered {
                environment,
                role,
                message,
                handed_over_us,
                generation,
            });
            answered.await
        }
    };
    running.views.send(counters, &part.shown, |message| View::Sent {
        environment,
        role,
        message,
        handed_over_us,
        answered_us: (running.clock)(),
        outcome: outcome.clone(),
        generation,
    });
    outcome
}

/// What becomes of a part. A mirror copy keeps nobody waiting, so a rollback lets it end by itself.
async fn answered(
    running: &Running,
    snapshot: &Snapshot,
    environment: Environment,
    role: Role,
    part: &Part,
    patience: Duration,
) -> Outcome {
    let Some(pool) = &snapshot.upstreams[environment] else {
        return Outcome::unavailable(format!("the route table names no endpoint of the {environment} environment"));
    };
    let export = Export {
        signal: part.signal,
        message: part.message.clone(),
        packed: part.packed.clone(),
        time: PinTime::new((running.clock)(), snapshot.table.pin_ms),
        patience,
    };
    // Without a candidate there is nothing to roll back.
    let may_be_given_up = role != Role::Mirrored && snapshot.candidate().is_some();
    tokio::select! {
        // What is given up already is not sent.
        biased;
        () = running.rollbacks.from(environment, snapshot.table.generation), if may_be_given_up => {
            let reason = "rolled back while waiting".to_owned();
            Outcome::Unknown { reason, retry_after_ms: ROLLED_BACK_RETRY_MS }
        }
        outcome = pool.export(export) => outcome,
    }
}

#[cfg(test)]
mod tests;
