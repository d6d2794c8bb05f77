//! The life of a gateway: bind, serve, apply route tables, drain.

use crate::config::{Config, Limits};
use crate::counting::LoadOut;
use crate::hand_over::Rollbacks;
use crate::listen::{self, Addresses, BindError, Listener, Socket};
use crate::mirror::Mirror;
use crate::pins::{PinTable, PinTime};
use crate::pool::EndpointState;
use crate::ports::Accepting;
use crate::record::Recorder;
use crate::redacting::Redacting;
use crate::senders::Senders;
use crate::share::ViewShare;
use crate::spooling::{self, Spooling, Spools};
use crate::stats::{Counters, RefusedClient, Stats};
use crate::table::{Snapshot, TableError, snapshot};
use crate::testers::{Minute, Testers};
use crate::view::{View, Views};
use arc_swap::{ArcSwap, ArcSwapOption};
use model::{Environment, PerEnvironment, RouteTable, Routed, UnixMillis};
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::{Mutex, Semaphore, mpsc, watch};

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
    /// Which traces the views show.
    pub share: Arc<ViewShare>,
    /// Where requests wait that cannot be handed over; without them their senders are told to send again.
    pub spools: Spools,
    /// Whether a newer table may follow the one that applies; without it any may.
    pub warrant: Option<Warrant>,
    /// The key of the hashes in copies from which sensitive values are taken: nobody else has it.
    pub redaction_key: redact::Key,
    /// The time.
    pub clock: Clock,
}

/// Says of the table that applies, if one does, and of a newer one, why this one must not follow that one.
pub type Warrant = Arc<dyn Fn(Option<&RouteTable>, &RouteTable) -> Result<(), String> + Send + Sync>;

/// What became of a route table.
#[derive(Debug)]
pub enum Event {
    /// Every request that is routed from now on is routed by this table.
    Applied {
        /// Its generation.
        generation: u64,
        /// How it divides the traffic.
        routed: Routed,
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
    /// The names that a route table may use.
    pub(crate) taps: ArcSwap<BTreeSet<String>>,
    /// The sockets that are to accept.
    pub(crate) listeners: watch::Sender<Vec<Listener>>,
    /// Held while ports change.
    pub(crate) moving: Mutex<()>,
    pub(crate) snapshot: ArcSwapOption<Snapshot>,
    pub(crate) pins: PinTable,
    /// Whether requests' headers must be looked at for testers: the one thing that costs every request something.
    pub(crate) look_for_testers: AtomicBool,
    /// How many new traces of testers there were.
    pub(crate) testers_minute: Minute,
    pub(crate) counters: Counters,
    /// What comes out of a load, while a gate sends one.
    pub(crate) counting: ArcSwapOption<LoadOut>,
    /// While somebody records what is received.
    pub(crate) recorder: ArcSwapOption<Recorder>,
    /// Who may send where.
    pub(crate) senders: ArcSwap<Senders>,
    clock: OnceLock<Clock>,
}

/// What every request needs.
pub(crate) struct Running {
    pub(crate) shared: Arc<Shared>,
    pub(crate) clock: Clock,
    pub(crate) views: Views,
    pub(crate) share: Arc<ViewShare>,
    pub(crate) spooling: Spooling,
    /// Bytes of requests that each environment has not answered.
    pub(crate) unanswered: PerEnvironment<Arc<AtomicU64>>,
    pub(crate) mirror: Mirror,
    pub(crate) redacting: Redacting,
    pub(crate) rollbacks: Rollbacks,
    pub(crate) decoding: Semaphore,
    /// Kept by every task that must end before the gateway has stopped.
    pub(crate) unfinished: mpsc::Sender<Infallible>,
}

/// A handle on a gateway, for its counters and its ports.
#[derive(Clone)]
pub struct Gateway {
    pub(crate) shared: Arc<Shared>,
}

/// A gateway whose ports are bound, and that serves nothing yet.
pub struct Bound {
    addresses: Addresses,
    pub(crate) shared: Arc<Shared>,
}

impl Gateway {
    /// Binds every port, or none.
    pub async fn bind(config: Config) -> Result<Bound, BindError> {
        Gateway::bind_with(config, Vec::new()).await
    }

    /// The same with sockets that listen already: one is taken for its role if it is fixed or has the address that the
    /// configuration names, or for any role that names its address. Those that nothing asks for are closed.
    pub async fn bind_with(config: Config, sockets: Vec<Socket>) -> Result<Bound, BindError> {
        let mut there = Vec::new();
        for socket in sockets {
            let role = socket.role.clone();
            there.push(Listener::of(socket).map_err(|source| BindError::Given { role, source })?);
        }
        let listeners = listen::bind(&config, &there).await?;
        let addresses = listen::addresses(&listeners);
        let shared = Shared {
            pins: PinTable::new(config.limits.pin_slots),
            look_for_testers: AtomicBool::new(false),
            testers_minute: Minute::default(),
            limits: config.limits,
            taps: ArcSwap::from_pointee(config.taps.into_keys().collect()),
            listeners: watch::channel(listeners).0,
            moving: Mutex::new(()),
            snapshot: ArcSwapOption::empty(),
            counters: Counters::default(),
            counting: ArcSwapOption::empty(),
            recorder: ArcSwapOption::empty(),
            senders: ArcSwap::default(),
            clock: OnceLock::new(),
        };
        Ok(Bound { addresses, shared: Arc::new(shared) })
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

    /// From the next request on these may send, and nobody else where there is a list.
    pub fn let_in(&self, senders: Senders) {
        self.shared.senders.store(Arc::new(senders));
    }

    /// The client that was refused last, because of its certificate or because it is not on a port's list.
    pub fn last_refused(&self) -> Option<RefusedClient> {
        self.shared.counters.last_refused()
    }

    /// The generation of the table that applies, and how it divides the traffic.
    pub fn routed(&self) -> Option<(u64, Routed)> {
        let snapshot = self.shared.snapshot.load();
        snapshot.as_ref().map(|snapshot| (snapshot.table.generation, snapshot.table.routed()))
    }

    /// The endpoints of each environment that the route table names, and how they are.
    pub fn endpoints(&self) -> PerEnvironment<Vec<(String, EndpointState)>> {
        let snapshot = self.shared.snapshot.load();
        PerEnvironment::from_fn(|environment| {
            let pool = snapshot.as_ref().and_then(|snapshot| snapshot.upstreams[environment].as_ref());
            pool.map_or_else(Vec::new, |pool| pool.states())
        })
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
        let Channels { tables, events, views, share, spools, warrant, redaction_key, clock } = channels;
        // The same bound gateway runs once, so the cell is empty.
        let _ = self.shared.clock.set(Arc::clone(&clock));
        let (unfinished, mut finished) = mpsc::channel(1);
        let running = Arc::new(Running {
            mirror: Mirror::new(self.shared.limits.mirror_queue_bytes),
            redacting: Redacting::new(redaction_key),
            rollbacks: Rollbacks::new(),
            shared: self.shared,
            clock,
            views: Views::new(views),
            share,
            spooling: Spooling::new(spools),
            unanswered: PerEnvironment::default(),
            decoding: Semaphore::new(MAX_DECODING),
            unfinished,
        });
        let drain_timeout = Duration::from_millis(running.shared.limits.drain_timeout_ms);
        let mut applying = Applying { running: Arc::clone(&running), tables, events, warrant, pending: None };
        applying.apply();

        let wanted = running.shared.listeners.subscribe();
        let mut accepting = Accepting::new(Arc::clone(&running));
        let (stop_draining, stopping) = watch::channel(false);
        for environment in Environment::BOTH {
            tokio::spawn(spooling::drain(Arc::clone(&running), environment, stopping.clone()));
        }
        tokio::select! {
            () = shutdown => {}
            () = applying.run() => {}
            () = accepting.follow(wanted) => {}
        }
        drop(applying);
        running.shared.listeners.send_replace(Vec::new());
        stop_draining.send_replace(true);
        let drain = async {
            accepting.finish().await;
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
    warrant: Option<Warrant>,
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

    /// Whether a table that is newer may follow; one that is not is refused for that.
    fn warranted(&self, before: Option<&Snapshot>, table: &RouteTable) -> Result<(), TableError> {
        let Some(warrant) = &self.warrant else { return Ok(()) };
        let before = before.map(|before| &*before.table);
        if before.is_some_and(|before| table.generation <= before.generation) {
            return Ok(());
        }
        let generation = table.generation;
        warrant(before, table).map_err(|reason| TableError::NotWarranted { generation, reason })
    }

    /// Installs the newest table. From here on it is read by every request that is not yet routed. A rollback also ends
    /// the waiting of those that were routed before.
    fn apply(&mut self) {
        let shared = &self.running.shared;
        let table = Arc::clone(&self.tables.borrow_and_update());
        let generation = table.generation;
        let before = shared.snapshot.load_full();
        let warranted = self.warranted(before.as_deref(), &table);
        let next = warranted.and_then(|()| {
            snapshot(before.as_deref(), table, &shared.taps.load(), (&shared.limits, &self.running.redacting))
        });
        match next {
            Ok(snapshot) => {
                let table = Arc::clone(&snapshot.table);
                let look = snapshot.testers.as_ref().is_some_and(Testers::look_at_headers);
                shared.snapshot.store(Some(Arc::new(snapshot)));
                shared.look_for_testers.store(look, Relaxed);
                self.running.rollbacks.note(&table);
                let at = UnixMillis((self.running.clock)() / 1000);
                self.pending = Some(Event::Applied { generation, routed: table.routed(), at });
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
