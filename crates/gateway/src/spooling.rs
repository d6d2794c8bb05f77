//! What cannot be handed over waits on the disk: acknowledged, and delivered when its environment takes it again, the
//! oldest first.
//!
//! Each environment has a spool of its own, so that one that is down holds up nothing of the other, and cannot take the
//! other's room. An entry is routed anew when its turn comes: after a rollback, what waited for the candidate goes to the
//! active environment.

use crate::answer::Outcome;
use crate::hand_over::PATIENCE;
use crate::pressure::Pressure;
use crate::route::{Part, redeliver};
use crate::run::Running;
use crate::stats::{Held, add};
use model::{Environment, PerEnvironment};
use otlp::Signal;
use otlp::reply::{Status, code};
use spool::{Spool, Taken};
use std::pin::pin;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::{Notify, Semaphore, watch};

/// Entries of one environment that are delivered at once. At 10 ms an answer 1,600 a second, faster than a disk fills.
const MAX_DELIVERIES: u32 = 16;

/// The pause after an entry could not be read or delivered, or there was no room for it.
const PAUSE: Duration = Duration::from_millis(100);

/// How long a sender waits for room in a full spool, in milliseconds: some requests' time to be delivered.
const FULL_RETRY_MS: u64 = 1_000;

/// The spools, once they are open. A process that takes over from another gets them when that has let them go.
#[derive(Clone, Default)]
pub struct Spools(Arc<PerEnvironment<Slot>>);

#[derive(Default)]
struct Slot {
    spool: OnceLock<Spool>,
    opened: Notify,
}

impl Spools {
    /// From now on what cannot be handed over to this environment waits here. The first one counts.
    pub fn set(&self, environment: Environment, spool: Spool) {
        let slot = &self.0[environment];
        // A second one would be another folder's, of which nobody knows what is in it; it stays there.
        if slot.spool.set(spool).is_ok() {
            slot.opened.notify_one();
        }
    }

    /// What is in them; nothing of one that is not open.
    pub fn stats(&self) -> PerEnvironment<Option<spool::Stats>> {
        PerEnvironment::from_fn(|environment| self.get(environment).map(Spool::stats))
    }

    fn get(&self, environment: Environment) -> Option<&Spool> {
        self.0[environment].spool.get()
    }

    async fn opened(&self, environment: Environment) -> &Spool {
        loop {
            match self.get(environment) {
                Some(spool) => return spool,
                None => self.0[environment].opened.notified().await,
            }
        }
    }
}

/// The spools, and how their environments take what they are handed.
pub(crate) struct Spooling {
    spools: Spools,
    pub(crate) pressure: PerEnvironment<Pressure>,
}

impl Spooling {
    pub(crate) fn new(spools: Spools) -> Spooling {
        Spooling { spools, pressure: PerEnvironment::default() }
    }

    /// Whether what cannot be handed over to this environment can wait on the disk.
    pub(crate) fn is_open(&self, environment: Environment) -> bool {
        self.spools.get(environment).is_some()
    }

    /// Whether the environment did not take what it was handed last, and that waits on the disk: until it takes it, others
    /// wait behind it, and do not hang at the environment one by one.
    pub(crate) fn leaves_alone(&self, environment: Environment) -> bool {
        let waits = |spool: &Spool| spool.stats().entries > 0;
        !self.pressure[environment].is_clear() && self.spools.get(environment).is_some_and(waits)
    }

    /// Keeps a part that was not taken, if it may be handed over again and there is a spool: from then on it is as good as
    /// taken. Otherwise the outcome is as it was, or tells the sender to wait where the spool is full.
    pub(crate) async fn keep(
        &self,
        running: &Running,
        environment: Environment,
        part: &Part,
        outcome: Outcome,
    ) -> Outcome {
        let is_retryable = match &outcome {
            Outcome::Acknowledged(_) => false,
            Outcome::Refused(status) => status.is_retryable(),
            Outcome::Unknown { .. } => true,
        };
        let (true, Some(spool)) = (is_retryable, self.spools.get(environment)) else { return outcome };
        let counters = &running.shared.counters.environments[environment];
        let now_ms = (running.clock)() / 1_000;
        match spool.append(now_ms, &tag(part.signal), part.message.clone()).await {
            Ok(_) => {
                add(&counters.spooled_spans, part.spans());
                Outcome::TAKEN
            }
            Err(spool::AppendError::Full(bound)) => {
                let message = format!("{environment} takes nothing now, and its spool has reached {bound}; send again");
                Outcome::Refused(Status {
                    code: code::RESOURCE_EXHAUSTED,
                    message,
                    retry_after_ms: Some(FULL_RETRY_MS),
                })
            }
            Err(error) => {
                tracing::warn!(%environment, error = &error as &dyn std::error::Error, "the spool takes nothing");
                outcome
            }
        }
    }
}

fn tag(signal: Signal) -> [u8; 1] {
    match signal {
        Signal::Traces => [0],
        Signal::Metrics => [1],
        Signal::Logs => [2],
    }
}

fn signal(tag: &[u8]) -> Option<Signal> {
    Signal::ALL.into_iter().find(|signal| self::tag(*signal) == tag)
}

/// Delivers what waits for an environment, until `stop`.
pub(crate) async fn drain(running: Arc<Running>, environment: Environment, mut stop: watch::Receiver<bool>) {
    let deliveries = Arc::new(Semaphore::new(MAX_DELIVERIES as usize));
    let mut stopped = pin!(async move {
        // Without a sender the gateway is gone.
        let _ = stop.wait_for(|stop| *stop).await;
    });
    let bytes = Arc::<AtomicU64>::default();
    loop {
        tokio::select! {
            biased;
            () = &mut stopped => return,
            () = deliver_next(&running, environment, &deliveries, &bytes) => {}
        }
    }
}

/// Takes the oldest entry when its environment can be handed something, and begins to deliver it: alone while it is not
/// known whether the environment takes anything, else beside others.
async fn deliver_next(
    running: &Arc<Running>,
    environment: Environment,
    deliveries: &Arc<Semaphore>,
    bytes: &Arc<AtomicU64>,
) {
    let spooling = &running.spooling;
    let spool = spooling.spools.opened(environment).await;
    let pressure = &spooling.pressure[environment];
    let turns = if pressure.is_clear() { 1 } else { MAX_DELIVERIES };
    let turn = Arc::clone(deliveries).acquire_many_owned(turns).await.expect("the semaphore is never closed");
    match pressure.pause_ms((running.clock)() / 1_000) {
        0 => {}
        pause_ms => {
            tokio::time::sleep(Duration::from_millis(pause_ms)).await;
            return;
        }
    }
    let taken = match spool.next().await {
        Ok(taken) => taken,
        Err(error) => {
            tracing::error!(%environment, error = &error as &dyn std::error::Error, "an entry of the spool");
            tokio::time::sleep(PAUSE).await;
            return;
        }
    };
    let mut held = Held::none(bytes);
    if !held.grow(taken.payload().len() as u64, running.shared.limits.environment_bytes()) {
        drop(taken);
        tokio::time::sleep(PAUSE).await;
        return;
    }
    let running = Arc::clone(running);
    tokio::spawn(async move {
        let _kept = (turn, held, running.unfinished.clone());
        deliver(&running, environment, taken).await;
    });
}

/// Routes an entry by the table of now, and says what became of it. What is not taken goes back, after a pause, so that one
/// that is refused at once is not read again and again.
async fn deliver(running: &Arc<Running>, environment: Environment, taken: Taken) {
    let counters = &running.shared.counters.environments[environment];
    let Some(signal) = signal(taken.tag()) else {
        tracing::error!(%environment, tag = ?taken.tag(), "the spool has an entry of a later version; it stays");
        tokio::time::sleep(PATIENCE).await;
        return;
    };
    let Some(outcomes) = redeliver(running, signal, taken.payload().clone()).await else {
        tokio::time::sleep(PAUSE).await;
        return;
    };
    for (to, part, outcome) in outcomes {
        match outcome {
            Outcome::Acknowledged(partial) => {
                add(&counters.drained_spans, part.spans());
                add(&counters.spool_refused_spans, partial.rejected.min(part.spans()));
            }
            Outcome::Refused(status) if !status.is_retryable() => {
                // Its sender was told that it was taken, so somebody must hear that it was not.
                tracing::error!(environment = %to, code = status.code, message = status.message,
                    items = part.items, "refused for good after it had waited in the spool");
                add(&counters.spool_refused_spans, part.spans());
            }
            // The whole entry goes back: the environment that took its part gets it once more.
            Outcome::Refused(_) | Outcome::Unknown { .. } => {
                tokio::time::sleep(PAUSE).await;
                return;
            }
        }
    }
    taken.done();
}
