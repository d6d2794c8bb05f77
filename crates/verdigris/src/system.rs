//! The parts put together: gateway, verification, controller and ledger in one process. `serve` and the demo run the
//! same system.

use crate::clock;
use crate::load_out::LoadAtTaps;
use crate::notifying::{Notifying, Target};
use crate::observe::{self, Calls, Examples, Learning, MAX_VIEWS, SeenCallees};
use crate::proving::{self, Trust};
use crate::recorder::Recorder;
use crate::spools;
use crate::witness::{Witnesses, Witnessing};
use anyhow::Context;
use arc_swap::ArcSwap;
use audit::shift_proof::Trusted;
use control::{Controller, Extent, Handle, Input, OpenStore, Outlook, Persons, Settings};
use gateway::{
    Addresses, Bound, Channels, Event, Gateway, Listen, RefusedClient, Senders, Socket, Spools, Stats, Stopped,
    ViewShare,
};
use keys::{Keyring, Settled};
use ledger::{VerifierKey, WitnessKey};
use model::{Environment, RouteTable, Upstream, with_causes};
use rollout::KnownPrincipal;
use rustix::fs::{MemfdFlags, memfd_create};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fs::{DirBuilder, File};
use std::io::BufReader;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;
use store::{Evidence, Recovered, Retention, Shards, Store, Subjects};
use tokio::sync::{mpsc, oneshot, watch};

/// How long a trace stays where it began, outside of a rollout.
const PIN_MS: u64 = 60_000;
/// Events of the gateway on their way to the controller; the gateway keeps the newest if it is full.
const MAX_EVENTS: usize = 64;

/// How long a stop waits for verification: 8,192 views, of which it reads 100,000 a second.
const VERIFY_LIMIT: Duration = Duration::from_secs(5);

/// The decision path, and the reading of a plan inside of it, keep large values on the stack where nothing is optimised: four
/// times what a thread has otherwise. Memory that is not used is not there.
const CONTROL_STACK_BYTES: usize = 8 << 20;

/// How often torn traces are looked at.
const TORN_EVERY: Duration = Duration::from_secs(1);

/// A gateway whose ports are bound, and everything else still to be made.
pub struct Ports {
    bound: Bound,
    taps: BTreeMap<String, Listen>,
}

/// Where the data is, and where traffic goes before the first rollout.
pub struct Ground {
    /// The folder for ledger, keys and evidence.
    pub data: PathBuf,
    /// The keys that sign the ledger's checkpoints; one in a file is made if it is not there.
    pub keyring: Keyring,
    /// Where traffic goes before the first rollout.
    pub serving: Upstream,
    /// Bytes that may wait on the disk for environments that take nothing; none, and senders are told to wait.
    pub spool_bytes: Option<u64>,
    /// How long and how much evidence is kept.
    pub retention: Retention,
    /// How long entries of parts of the ledger that ended are kept; none for ever.
    pub keep_entries_ms: Option<u64>,
    /// Who is asked to cosign the ledger's checkpoints.
    pub witnesses: Witnesses,
    /// The programs that may be run for a configuration.
    pub commands: Vec<PathBuf>,
    /// Who is told of what.
    pub notifications: Vec<Target>,
    /// Whom the configuration names.
    pub principals: Vec<KnownPrincipal>,
    /// Who they are, by their names.
    pub persons: Persons,
}

/// What a process before this one leaves to it.
pub struct Inherited {
    /// Its pins, as [`Gateway::write_pins`] has written them.
    pub pins: Option<File>,
    /// Whether it has gone: until then traffic passes there as well, and verification waits.
    pub gone: watch::Receiver<bool>,
}

impl Inherited {
    /// There was none.
    pub fn nothing() -> Inherited {
        Inherited { pins: None, gone: watch::channel(true).1 }
    }
}

/// A system that runs.
pub struct System {
    /// To talk to the controller.
    pub handle: Handle,
    /// To have learned what a pipeline changes.
    pub learning: Learning,
    /// What came out of the calls between services.
    pub calls: Calls,
    /// To have recorded what the gateway receives.
    pub recorder: Recorder,
    /// The gateway's counters.
    pub gateway: Gateway,
    /// What waits on the disk.
    pub spools: Spools,
    /// The ledger's folder.
    pub ledger_dir: PathBuf,
    /// Who verifies its checkpoints.
    pub verifier_key: VerifierKey,
    /// The tasks that ask witnesses.
    pub witnessing: Witnessing,
    notifying: Notifying,
    /// What the ledger has under a durable checkpoint.
    pub ledger: watch::Receiver<Extent>,
    trust: Trust,
    /// What opening the ledger had to mend, in words.
    pub recovered: Option<String>,
    stop_gateway: oneshot::Sender<()>,
    serving: tokio::task::JoinHandle<Stopped>,
    telling: tokio::task::JoinHandle<u64>,
    verified: oneshot::Receiver<Infallible>,
    controller: JoinHandle<()>,
}

impl Ports {
    /// Binds every port of the gateway and its taps, or none; those that are there already are taken as they are.
    pub async fn bind(
        listen: Listen,
        fixed: BTreeMap<String, SocketAddr>,
        taps: BTreeMap<String, Listen>,
        there: Vec<Socket>,
    ) -> anyhow::Result<Ports> {
        let config = gateway::Config { listen, fixed, taps: taps.clone(), limits: gateway::Limits::default() };
        Ok(Ports { bound: Gateway::bind_with(config, there).await?, taps })
    }

    /// Who may send, from the first request on.
    pub fn let_in(&self, senders: Senders) {
        self.bound.gateway().let_in(senders);
    }

    /// The real ports.
    pub fn addresses(&self) -> &Addresses {
        self.bound.addresses()
    }
}

impl System {
    /// Opens the ledger, replays it, and serves. Nothing is served if the ledger cannot be used.
    pub async fn start(ports: Ports, ground: Ground, inherited: Inherited) -> anyhow::Result<System> {
        let opened = prepare_ledger(&ground.data, ground.keyring, ground.retention)?;
        let witnesses: Vec<WitnessKey> = ground.witnesses.asked.iter().map(|asked| asked.key.clone()).collect();
        let noted = Examples::default();
        let examples = noted.clone();
        let (seen, calls) = (SeenCallees::default(), Calls::default());
        let (callees, taps) = (seen.clone(), LoadAtTaps::of(ports.bound.gateway()));
        let settings = Settings {
            serving: ground.serving,
            taps: ports.taps.keys().cloned().collect(),
            pin_ms: PIN_MS,
            principals: ground.principals.clone(),
            persons: ground.persons,
            witnesses: witnesses.len(),
            commands: ground.commands,
            notifications: ground.notifications.iter().map(Target::named).collect(),
            keep_entries_ms: ground.keep_entries_ms,
            dependencies: Some(Arc::new(move |rollout| callees.get(rollout))),
            counts_load: Some(Arc::new(taps)),
        };
        let surroundings = (
            Arc::new(clock::now) as control::Clock,
            Arc::new(clock::random::<16>) as control::Random,
            Arc::new(move |trace| examples.of(trace)) as control::Examples,
            proving::prover(&opened.dir, opened.verifier_key.clone(), witnesses.clone()),
        );
        let (controller, Outlook { handle, table, watching, ledger, notices: pending }) = Controller::open(
            (opened.open, Shards::of(&opened.dir)),
            (opened.evidence, opened.subjects),
            settings,
            surroundings,
        )?;
        check_taps(&table.borrow(), &ports.taps)?;
        let (view_sender, views) = mpsc::channel(MAX_VIEWS);
        let (events, applied) = mpsc::channel(MAX_EVENTS);
        let gateway = ports.bound.gateway();
        if let Some(pins) = inherited.pins {
            take_pins(&ports.bound, &table.borrow(), pins);
        }
        let is_taken_over = !*inherited.gone.borrow();
        let spools = match ground.spool_bytes {
            Some(bytes) => spools::open(&ground.data, bytes, is_taken_over).await?,
            None => Spools::default(),
        };
        let share = Arc::new(ViewShare::default());
        let (learning, taught) = Learning::new(table.clone(), watching.clone(), inherited.gone.clone());
        let redaction_key = crate::redaction_key::open(&ground.data)?;
        let recorder = Recorder::new(gateway.clone(), redaction_key.clone(), inherited.gone.clone());
        let beside = (gateway.clone(), share.clone());
        let verified = observe::spawn(
            views,
            watching,
            handle.clone(),
            (noted, seen, calls.clone()),
            beside,
            inherited.gone,
            taught,
        );
        let verified = verified.context("the verification thread")?;
        let controller = spawn_controller(controller)?;
        let verifier_key = opened.verifier_key.get().context("the ledger was opened, so its key is known")?.clone();
        let trusted = Trusted { log: verifier_key.clone(), witnesses, principals: ground.principals };
        let trust: Trust = Arc::new(ArcSwap::from_pointee(trusted));
        let notifying = Notifying::start(ground.notifications, pending, handle.clone(), notices::wait_ms);
        let witnessing = Witnessing::start(ground.witnesses, &opened.dir, verifier_key.clone(), ledger.clone()).await?;
        let (stop_gateway, stopping) = oneshot::channel();
        let channels = Channels {
            tables: table,
            events,
            views: view_sender,
            share,
            spools: spools.clone(),
            warrant: Some(proving::warrant(trust.clone())),
            redaction_key,
            clock: Arc::new(clock::now_us),
        };
        let serving = tokio::spawn(ports.bound.run(channels, async {
            // A sender that is dropped stops the gateway as well.
            let _ = stopping.await;
        }));
        let telling = tokio::spawn(tell_applied(applied, gateway.clone(), handle.clone()));
        Ok(System {
            handle,
            learning,
            calls,
            recorder,
            gateway,
            spools,
            ledger_dir: opened.dir,
            verifier_key,
            witnessing,
            notifying,
            ledger,
            trust,
            recovered: opened.recovered.get().cloned(),
            stop_gateway,
            serving,
            telling,
            verified,
            controller,
        })
    }

    /// The configuration names others from now on.
    pub async fn name(&self, principals: Vec<KnownPrincipal>, persons: Persons) {
        let trusted = Trusted { principals: principals.clone(), ..Trusted::clone(&self.trust.load()) };
        self.trust.store(Arc::new(trusted));
        self.handle.tell(Input::Principals { principals, persons }).await;
    }

    /// The configuration has others told from now on. Those first that send, so that nobody is given up as unknown.
    pub async fn notify(&self, targets: Vec<Target>) {
        let named = targets.iter().map(Target::named).collect();
        self.notifying.change(targets);
        self.handle.tell(Input::Notifications(named)).await;
    }

    /// The configuration allows other programs from now on.
    pub async fn allow(&self, commands: Vec<PathBuf>) {
        self.handle.tell(Input::Commands(commands)).await;
    }

    /// Gives up what another process is to have, while the gateway goes on by the table that applies; gives the pins.
    pub async fn release(&self) -> anyhow::Result<Option<File>> {
        // From here on the other process asks.
        self.witnessing.stop().await;
        self.notifying.stop();
        self.handle.release().await?;
        let gateway = self.gateway.clone();
        let written = tokio::task::spawn_blocking(move || -> std::io::Result<Option<File>> {
            let mut file = File::from(memfd_create("verdigris-pins", MemfdFlags::CLOEXEC)?);
            Ok(gateway.write_pins(&mut file)?.then_some(file))
        });
        written.await?.or_else(|error| {
            tracing::warn!("the pins cannot be passed on, so the next shift may tear traces in flight: {error}");
            Ok(None)
        })
    }

    /// Takes it back, as soon as the other process has given it up.
    pub async fn take_back(&self) {
        self.handle.tell(Input::TakeBack).await;
        self.witnessing.go_on().await;
        self.notifying.go_on();
    }

    /// Finishes the requests in flight, has everything judged and told that passed, then closes the ledger in order.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.witnessing.stop().await;
        self.notifying.stop();
        let _ = self.stop_gateway.send(());
        if self.serving.await.context("the gateway")? == Stopped::TimedOut {
            tracing::warn!("some requests were still in flight when the gateway stopped; their senders will retry");
        }
        let spools = self.spools;
        tokio::task::spawn_blocking(move || drop(spools)).await.context("the spools")?;
        if tokio::time::timeout(VERIFY_LIMIT, self.verified).await.is_err() {
            tracing::warn!("verification did not come to its end; what passed last is not in the evidence");
        }
        let told = self.telling.await.context("the gateway's events")?;
        let stats = self.gateway.stats();
        if let Some((generation, routed)) = self.gateway.routed().filter(|_| stats.torn_traces > told) {
            self.handle.tell(Input::Applied { generation, torn: stats.torn_traces, routed }).await;
        }
        self.handle.tell(Input::Stop).await;
        let controller = self.controller;
        let joined = tokio::task::spawn_blocking(move || controller.join()).await.context("the controller")?;
        joined.map_err(|_| anyhow::anyhow!("the controller panicked"))
    }
}

/// Tells the controller which table applies, and afterwards how many traces a rollback tore: they are counted as they
/// are seen again, and told when the count has stood still for a moment. Ends with the gateway, and gives what it told.
async fn tell_applied(mut events: mpsc::Receiver<Event>, gateway: Gateway, handle: Handle) -> u64 {
    let mut ticks = tokio::time::interval(TORN_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let (mut applied, mut told, mut before, mut refused) = (None, 0, 0, 0);
    loop {
        tokio::select! {
            event = events.recv() => match event {
                None => return told,
                Some(Event::Applied { generation, routed, .. }) => {
                    applied = Some((generation, routed));
                    told = gateway.stats().torn_traces;
                    handle.tell(Input::Applied { generation, torn: told, routed }).await;
                }
                Some(Event::Refused { generation, error }) => {
                    tracing::error!("the gateway refused route table {generation}: {error}");
                }
            },
            _ = ticks.tick() => {
                let Stats { torn_traces: torn, clients_refused: clients, .. } = gateway.stats();
                // What the gateway routes by is looked at again and again: whatever changed it, it is in the ledger.
                let routes = gateway.routed().filter(|_| applied.is_some());
                if let Some((generation, routed)) = routes.filter(|_| torn > told && torn == before || routes != applied) {
                    (applied, told) = (routes, torn);
                    handle.tell(Input::Applied { generation, torn, routed }).await;
                }
                before = torn;
                if clients > refused && let Some(RefusedClient { from, reason }) = gateway.last_refused() {
                    refused = clients;
                    let from = from.map(|from| from.to_string());
                    handle.tell(Input::ClientsRefused { clients, from, reason }).await;
                }
            }
        }
    }
}

/// Without them a trace in flight goes by its bucket, as after any other start.
fn take_pins(bound: &Bound, table: &RouteTable, pins: File) {
    match bound.read_pins(table, clock::now_us(), &mut BufReader::new(pins)) {
        Ok(pins) => tracing::info!("{pins} traces in flight stay where they began"),
        Err(error) => tracing::warn!("traces in flight go by their buckets, for their pins cannot be taken: {error}"),
    }
}

/// The gateway would refuse such a table, and with it all traffic.
fn check_taps(table: &RouteTable, taps: &BTreeMap<String, Listen>) -> anyhow::Result<()> {
    for environment in Environment::BOTH {
        if let Some(upstream) = table.upstreams[environment].as_ref().filter(|it| !taps.contains_key(&it.tap)) {
            let known = taps.keys().cloned().collect::<Vec<_>>().join(", ");
            anyhow::bail!(
                "the ledger's last rollout says that {environment} exports to the tap {:?}, but verdigris.yaml has the \
                 taps {known}: add it to `taps`",
                upstream.tap
            );
        }
    }
    Ok(())
}

/// The controller blocks on fsync, so it has a thread of its own.
fn spawn_controller(controller: Controller) -> anyhow::Result<JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let thread = std::thread::Builder::new().name("control".to_owned()).stack_size(CONTROL_STACK_BYTES);
    thread.spawn(move || runtime.block_on(controller.run())).context("the controller's thread")
}

/// The ledger's folder below the data folder, and what stands beside it.
pub const LEDGER_DIR: &str = "ledger";
/// The private key, unless `verdigris.yaml` says that it is elsewhere.
pub const KEY_FILE: &str = "ledger.key";
/// The key that verifies the ledger.
pub const PUBLIC_KEY_FILE: &str = "ledger.key.pub";
/// The folder of evidence below the data folder.
pub const EVIDENCE_DIR: &str = "evidence";
/// The folder of what can be erased, in the data folder.
pub const SUBJECTS_DIR: &str = "subjects";

struct Opened {
    open: OpenStore,
    evidence: Evidence,
    subjects: Subjects,
    dir: PathBuf,
    /// Known once the store was opened, for the ledger says which key is in force.
    verifier_key: Arc<OnceLock<VerifierKey>>,
    recovered: Arc<OnceLock<String>>,
}

/// Makes the data folder, if it is not there.
pub fn make_data_folder(data: &Path) -> anyhow::Result<()> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(data);
    made.with_context(|| format!("{}: the data folder cannot be made", data.display()))
}

/// Makes the data folder and the key if they are not there. The store itself is opened by the controller.
fn prepare_ledger(data: &Path, mut keyring: Keyring, retention: Retention) -> anyhow::Result<Opened> {
    make_data_folder(data)?;
    let dir = data.join(LEDGER_DIR);
    let had_key = keyring.has_signed();
    let signers = keyring.make(clock::random())?;
    let evidence = Evidence::open(&data.join(EVIDENCE_DIR), retention)?;
    let subjects = Subjects::open(&data.join(SUBJECTS_DIR))?;
    let (recovered, verifier_key) = (Arc::new(OnceLock::new()), Arc::new(OnceLock::new()));
    let (mended, in_force, folder) = (recovered.clone(), verifier_key.clone(), dir.clone());
    let shards = Shards::of(&dir);
    let open: OpenStore = Box::new(move || {
        shards.complete().map_err(|error| with_causes(&error))?;
        let (store, found) = match Store::open(&folder, signers.clone()) {
            Ok(opened) => opened,
            // A new log under a key that has signed another one would be a fork of it.
            Err(store::OpenError::NoCheckpoint { .. }) if had_key => {
                return Err(format!(
                    "{} holds no ledger, but its key {} is there: restore the ledger from a backup; if this is a first \
                     start that was interrupted, remove the key",
                    folder.display(),
                    keyring.place()
                ));
            }
            Err(store::OpenError::NoCheckpoint { .. }) => {
                let store = Store::create(&folder, signers.current.clone()).map_err(|error| with_causes(&error))?;
                (store, Recovered::default())
            }
            Err(error) => return Err(with_causes(&error)),
        };
        let settled = keyring.settle(store.verifier()).map_err(|error| with_causes(&error))?;
        say_of_keys(&settled, store.verifier());
        // No other process changes the key while this one serves: that needs the ledger's lock, and both keys here.
        let _ = in_force.set(store.verifier().clone());
        if found != Recovered::default() {
            let Recovered { entries_replayed, bytes_cut, checkpoint_torn } = found;
            let torn = if checkpoint_torn { ", a torn checkpoint made again" } else { "" };
            let words = format!("{entries_replayed} entries replayed, {bytes_cut} torn bytes cut off{torn}");
            tracing::warn!("the ledger was not closed in order: {words}");
            // The first opening is the one that `serve` announces.
            let _ = mended.set(words);
        }
        Ok(store)
    });
    Ok(Opened { open, evidence, subjects, dir, verifier_key, recovered })
}

/// What whoever operates the server should know of its keys.
pub fn say_of_keys(settled: &Settled, in_force: &VerifierKey) {
    match settled {
        Settled::InForce => {}
        Settled::Waiting => tracing::warn!(
            "a new signing key is there, but the ledger was not changed over to it: `verdigris ledger rotate-key` does that"
        ),
        Settled::Switched => tracing::info!("the ledger is signed by {in_force} now, and its key file is that key's"),
        Settled::GoneOn => tracing::warn!(
            "the ledger is signed by `ledger.nextKey` now, {in_force}: name it as `ledger.key` in verdigris.yaml"
        ),
    }
}
