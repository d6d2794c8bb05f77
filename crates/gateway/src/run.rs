//! The life of a gateway: bind, serve, apply route tables, drain.

use crate::config::{Config, Limits, Listen};
use crate::hand_over::Rollbacks;
use crate::listen::{self, Addresses, BindError, Sockets};
use crate::mirror::Mirror;
use crate::pins::{PinTable, PinTime};
use crate::stats::{Counters, Stats};
use crate::table::{Snapshot, TableError, snapshot};
use crate::view::{View, Views};
use arc_swap::ArcSwapOption;
use model::{RouteTable, UnixMillis};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::Future;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;

/// Unix microseconds. The binary makes it; the gateway reads no other clock.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// How often views that were missed are told when no further view comes that could tell it.
const TELL_MISSED: Duration = Duration::from_secs(1);

/// Requests that are decompressed or read as JSON beside the runtime's threads at once: before they are counted as in
/// flight, 4 take at most 64 MiB decompressed (with a window of 8 MiB) and 256 MiB read as JSON each (a number of two bytes becomes eight).
const MAX_DECODING: usize = 4;

/// What connects a gateway with the rest of the process.
pub struct Channels {
    /// The route table that should apply. The first value applies before the first connection is taken.
    pub tables: watch::Receiver<Arc<RouteTable>>,
    /// What became of the tables. If this is full, the newest table's event alone is kept until there is room.
    pub events: mpsc::Sender<Event>,
    /// The traffic, for verification. If this is full, views are dropped and counted.
    pub views: mpsc::Sender<View>,
    /// The time.
    pub clock: Clock,
}

/// What became of a route table.
#[derive(Debug)]
pub enum Event {
    /// Every request that is routed from now on is routed by this table.
    Applied {
        /// Its generation.
        generation: u64,
        /// When.
        at: UnixMillis,
    },
    /// The table before goes on to apply.
    Refused {
        /// Its generation.
        generation: u64,
        /// Why.
        error: TableError,
    },
}

/// How a gateway stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// Every request was answered.
    Drained,
    /// The drain timeout passed with requests still in flight; their clients were not answered.
    TimedOut,
}

/// What outlives and precedes the serving.
pub(crate) struct Shared {
    pub(crate) limits: Limits,
    pub(crate) taps: BTreeMap<String, Listen>,
    pub(crate) snapshot: ArcSwapOption<Snapshot>,
    pub(crate) pins: PinTable,
    pub(crate) counters: Counters,
    clock: OnceLock<Clock>,
}

/// What every request needs.
pub(crate) struct Running {
    pub(crate) shared: Arc<Shared>,
    pub(crate) clock: Clock,
    pub(crate) views: Views,
    pub(crate) mirror: Mirror,
    pub(crate) rollbacks: Rollbacks,
    pub(crate) decoding: Semaphore,
    /// Kept by every task that must end before the gateway has stopped.
    pub(crate) unfinished: mpsc::Sender<Infallible>,
}

/// A handle on a gateway, for its counters.
#[derive(Clone)]
pub struct Gateway {
    shared: Arc<Shared>,
}

/// A gateway whose ports are bound, and that serves nothing yet.
pub struct Bound {
    sockets: Sockets,
    addresses: Addresses,
    shared: Arc<Shared>,
}

impl Gateway {
    /// Binds every port, or none.
    pub async fn bind(config: Config) -> Result<Bound, BindError> {
        let (sockets, addresses) = listen::bind(&config).await?;
        let shared = Shared {
            pins: PinTable::new(config.limits.pin_slots),
            limits: config.limits,
            taps: config.taps,
            snapshot: ArcSwapOption::empty(),
            counters: Counters::default(),
            clock: OnceLock::new(),
        };
        Ok(Bound { sockets, addresses, shared: Arc::new(shared) })
    }

    /// What was counted since the start.
    pub fn stats(&self) -> Stats {
        let mut stats = self.shared.counters.read();
        let snapshot = self.shared.snapshot.load();
        if let (Some(snapshot), Some(clock)) = (snapshot.as_ref(), self.shared.clock.get()) {
            stats.generation = Some(snapshot.table.generation);
            stats.live_pins = self.shared.pins.live(PinTime::new(clock(), snapshot.table.pin_ms));
        }
        stats
    }
}

impl Bound {
    /// The real ports.
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// The handle, to be kept while `run` takes this.
    pub fn gateway(&self) -> Gateway {
        Gateway { shared: Arc::clone(&self.shared) }
    }

    /// Serves until `shutdown`, then finishes the requests in flight within the limits' drain timeout.
    pub async fn run(self, channels: Channels, shutdown: impl Future<Output = ()>) -> Stopped {
        let Channels { tables, events, views, clock } = channels;
        // The same bound gateway runs once, so the cell is empty.
        let _ = self.shared.clock.set(Arc::clone(&clock));
        let (unfinished, mut finished) = mpsc::channel(1);
        let running = Arc::new(Running {
            mirror: Mirror::new(self.shared.limits.mirror_queue_bytes),
            rollbacks: Rollbacks::new(),
            shared: self.shared,
            clock,
            views: Views::new(views),
            decoding: Semaphore::new(MAX_DECODING),
            unfinished,
        });
        let drain_timeout = Duration::from_millis(running.shared.limits.drain_timeout_ms);
        let mut applying = Applying { running: Arc::clone(&running), tables, events, pending: None };
        applying.apply();

        let (stop, stopping) = watch::channel(false);
        let mut accepting = JoinSet::new();
        // Dropped, and so ended, when the gateway has stopped.
        let mut renewing = JoinSet::new();
        for secure in self.sockets.secure {
            renewing.spawn(listen::renew(secure));
        }
        for listener in self.sockets.listeners {
            accepting.spawn(listen::accept(Arc::clone(&running), listener, stopping.clone()));
        }
        tokio::select! {
            () = shutdown => {}
            () = applying.run() => {}
        }
        drop(applying);
        stop.send_replace(true);
        let drain = async {
            while accepting.join_next().await.is_some() {}
            running.views.tell_missed();
            drop(running);
            // Ends when the last task has dropped its sender.
            finished.recv().await;
        };
        match tokio::time::timeout(drain_timeout, drain).await {
            Ok(()) => Stopped::Drained,
            Err(_) => Stopped::TimedOut,
        }
    }
}

/// Takes route tables and tells what became of them.
struct Applying {
    running: Arc<Running>,
    tables: watch::Receiver<Arc<RouteTable>>,
    events: mpsc::Sender<Event>,
    /// Not yet told. A later table's event takes the place of an earlier one's: a rollback never waits for a queue.
    pending: Option<Event>,
}

impl Applying {
    /// Never ends.
    async fn run(&mut self) {
        let mut tell_missed = tokio::time::interval(TELL_MISSED);
        let mut published = true;
        let events = self.events.clone();
        loop {
            tokio::select! {
                changed = self.tables.changed(), if published => match changed {
                    Ok(()) => self.apply(),
                    // The last table goes on to apply.
                    Err(_) => published = false,
                },
                place = events.reserve(), if self.pending.is_some() => {
                    // Without a receiver there is nobody to tell.
                    if let (Some(event), Ok(place)) = (self.pending.take(), place) {
                        place.send(event);
                    }
                }
                _ = tell_missed.tick() => self.running.views.tell_missed(),
            }
        }
    }

    /// Installs the newest table. From here on it is read by every request that is not yet routed. A rollback also ends
    /// the waiting of those that were routed before.
    fn apply(&mut self) {
        let shared = &self.running.shared;
        let table = Arc::clone(&self.tables.borrow_and_update());
        let generation = table.generation;
        let before = shared.snapshot.load_full();
        match snapshot(before.as_deref(), table, &shared.taps, &shared.limits.upstream) {
            Ok(snapshot) => {
                let table = Arc::clone(&snapshot.table);
                shared.snapshot.store(Some(Arc::new(snapshot)));
                self.running.rollbacks.note(&table);
                let at = UnixMillis((self.running.clock)() / 1000);
                self.pending = Some(Event::Applied { generation, at });
            }
            // A watch also wakes for the table that applies already.
            Err(TableError::NotNewer { applied, found }) if applied == found => {}
            Err(error) => {
                tracing::warn!(generation, %error, "route table refused");
                self.pending = Some(Event::Refused { generation, error });
            }
        }
    }
}
