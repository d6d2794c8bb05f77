//! Asks the sources of a rollout's metrics, each again and again, as long as the rollout goes on.
//!
//! Deciding is the state machine's: here a source that fails is told, once for each reason, so that one that is away for
//! days does not fill the ledger.

use crate::handle::{Handle, Input};
use gates::prometheus::{Patience, Prometheus, Queries};
use model::Measurement;
use rollout::plan::{MetricFrom, PrometheusServer};
use rollout::{RolloutId, State};
use std::path::Path;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

/// An answer of four numbers takes milliseconds; who needs longer than this is not there.
const MAX_ATTEMPT: Duration = Duration::from_secs(5);
/// Between attempts at most: a Prometheus that is started again is there within seconds.
const MAX_PAUSE: Duration = Duration::from_secs(10);

/// The tasks that ask, one for each metric that a Prometheus is asked for. Dropped, they end.
pub(crate) struct Measuring {
    rollout: RolloutId,
    _tasks: JoinSet<()>,
}

impl Measuring {
    /// Begins to ask for what the plan names.
    pub(crate) fn start(state: &State, base_dir: &Path, handle: &Handle) -> Measuring {
        let guards = &state.plan.guards;
        let mut tasks = JoinSet::new();
        for (guard, source) in guards.judged.metrics.iter().zip(&guards.sources) {
            match &source.from {
                MetricFrom::Prometheus { server, events, total } => {
                    let queries = Queries { events: events.clone(), total: total.clone() };
                    let asking = Asking {
                        rollout: state.rollout.clone(),
                        metric: source.metric.clone(),
                        every: Duration::from_millis(guard.every_ms),
                        handle: handle.clone(),
                    };
                    tasks.spawn(asking.run(prometheus(&server.under(base_dir), queries)));
                }
                // Whoever asks the stores for traces counts, and tells it.
                MetricFrom::Stores(_) => {}
            }
        }
        Measuring { rollout: state.rollout.clone(), _tasks: tasks }
    }

    /// Whether it is this rollout's.
    pub(crate) fn is_of(&self, rollout: &RolloutId) -> bool {
        self.rollout == *rollout
    }
}

/// The source, or why it cannot be one.
fn prometheus(server: &PrometheusServer, queries: Queries) -> Result<Prometheus, String> {
    let token_file = server.bearer_token_file.clone().map(Into::into);
    Prometheus::new(&server.url, &server.tls, token_file, queries).map_err(|error| error.to_string())
}

struct Asking {
    rollout: RolloutId,
    metric: String,
    every: Duration,
    handle: Handle,
}

impl Asking {
    async fn run(self, prometheus: Result<Prometheus, String>) {
        let prometheus = match prometheus {
            Ok(prometheus) => prometheus,
            Err(reason) => return self.tell(Measurement::failed(&reason)).await,
        };
        let patience = patience(self.every);
        let mut ticks = interval(self.every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut told = None;
        loop {
            ticks.tick().await;
            let measurement = prometheus.read(&patience).await;
            let failure = match &measurement {
                Measurement::Read(_) => None,
                Measurement::Failed { reason } => Some(reason.clone()),
            };
            let before = std::mem::replace(&mut told, failure);
            if told.is_none() {
                self.tell(measurement).await;
            } else if told != before {
                tracing::warn!(metric = self.metric, reason = told.as_deref(), "the source of a metric fails");
                self.tell(measurement).await;
            }
        }
    }

    async fn tell(&self, measurement: Measurement) {
        let (rollout, metric) = (self.rollout.clone(), self.metric.clone());
        self.handle.tell(Input::Measured { rollout, metric, measurement }).await;
    }
}

/// Three attempts with pauses that double, all within nine tenths of an interval: 3/5 + 1/10 + 2/10.
fn patience(every: Duration) -> Patience {
    let pauses = [every / 10, every / 5].map(|pause| pause.min(MAX_PAUSE));
    Patience { attempt: (every / 5).min(MAX_ATTEMPT), pauses: pauses.to_vec() }
}
