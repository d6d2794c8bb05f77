//! `verdigris serve`: everything in one process, until SIGTERM or SIGINT, or until another process takes over.

pub(crate) mod asked;
pub(crate) mod door;
mod exposure;

use crate::activation::Passed;
use crate::cli::{Format, Serve};
use crate::config::{Config, Identified};
use crate::describe::{Exit, Failed, say};
use crate::system::{Ground, Inherited, Ports, System};
use crate::takeover::{Applicant, Door, Taking, Wire};
use crate::{notify, reload, signing, telemetry};
use door::WebPort;
use gateway::{Addresses, Listen, PortRole, Senders, Socket, Stats};
use keys::Keyring;
use model::Environment;
use rollout::KnownPrincipal;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use web::{Api, Listening};

type Named = Vec<KnownPrincipal>;

/// Runs until it is told to stop.
pub async fn run(command: &Serve, format: Format, passed: Passed) -> Result<Exit, Failed> {
    let config = Config::read(&command.config)?;
    // Before a port is bound, and before another process gives up its ledger: somebody may be asked for a passphrase.
    let keyring = tokio::task::block_in_place(|| signing::open(&config))?;
    let signals = Signals {
        terminate: signal(SignalKind::terminate())?,
        interrupt: signal(SignalKind::interrupt())?,
        hang_up: signal(SignalKind::hangup())?,
    };
    let sockets = passed.sockets(&config)?;
    exposure::warn(&config);
    let server = if command.takeover {
        Server::take_over(command, config, keyring, sockets).await?
    } else {
        Server::start(command, config, keyring, sockets).await?
    };
    if let Some(endpoint) = server.config.telemetry.clone() {
        // The ports that are bound, for a configuration can leave their choice to the system.
        endpoint.check_resolved(&own_ports(&server.system.gateway.addresses())).await.map_err(Failed::usage)?;
        telemetry::start(endpoint);
    }
    announce(&server, format);
    notify::ready("serving");
    server.run(signals).await
}

/// What a server is told from outside.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

/// A server that serves.
struct Server {
    file: PathBuf,
    config: Config,
    system: System,
    api: Answering,
    named: watch::Sender<Named>,
    identified: watch::Sender<Identified>,
    door: Door,
    /// The process that has the ledger, if this one has not.
    lent: Option<Applicant>,
}

/// How a server ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Told,
    /// Another process serves in its place.
    Followed,
}

impl Server {
    async fn start(command: &Serve, config: Config, keyring: Keyring, sockets: Vec<Socket>) -> Result<Server, Failed> {
        let (listen, taps) = (config.listen.clone(), config.taps.clone());
        let ports = Ports::bind(listen, config.fixed.clone(), taps, sockets).await?;
        ports.let_in(senders(&config).await?);
        let mut web = match config.web.clone() {
            Some(web) => Some(WebPort::bind(web).await?),
            None => None,
        };
        // Opening the ledger locks it, so nobody else's socket is in the folder from here on.
        let system = System::start(ports, ground(&config, keyring), Inherited::nothing()).await?;
        let listening = Listening::on(&config.socket).await?;
        let door = Door::open(&config.data)?;
        if let Some(web) = &mut web {
            web.read(&config.data)?;
        }
        Ok(Server::new(command, config, system, (listening, web), door))
    }

    /// In the place of a server that runs. If this fails at any point, that one goes on.
    async fn take_over(
        command: &Serve,
        config: Config,
        keyring: Keyring,
        mut sockets: Vec<Socket>,
    ) -> Result<Server, Failed> {
        let mut taking = Taking::begin(&config.data).await?;
        let given: Vec<PortRole> = sockets.iter().map(|socket| socket.role.clone()).collect();
        sockets.extend(taking.ports.drain(..).filter(|port| !given.contains(&port.role)));
        let (listen, taps) = (config.listen.clone(), config.taps.clone());
        let ports = Ports::bind(listen, config.fixed.clone(), taps, sockets).await?;
        ports.let_in(senders(&config).await?);
        let passed = taking.api(&config.socket);
        let keeps_api = passed.is_some();
        let listening = match passed {
            Some(socket) => Listening::passed(socket, &config.socket),
            None => Listening::on(&config.socket).await?,
        };
        let door = Door::prepare(&config.data)?;
        let pins = taking.release(keeps_api).await?;
        // The process before has stopped its API by now, and with it this port.
        let mut web = match config.web.clone() {
            Some(web) => Some(WebPort::bind_after(web).await?),
            None => None,
        };
        if let Some(web) = &mut web {
            web.read(&config.data)?;
        }
        let (gone, watched) = watch::channel(false);
        let system = System::start(ports, ground(&config, keyring), Inherited { pins, gone: watched }).await?;
        let predecessor = match taking.serve().await {
            Ok(predecessor) => predecessor,
            Err(error) => {
                system.stop().await?;
                return Err(error.into());
            }
        };
        tokio::spawn(async move {
            predecessor.gone().await;
            gone.send_replace(true);
        });
        Ok(Server::new(command, config, system, (listening, web), door.show()))
    }

    fn new(
        command: &Serve,
        config: Config,
        system: System,
        (listening, mut web): (Listening, Option<WebPort>),
        door: Door,
    ) -> Server {
        let (named, watched) = watch::channel(config.principals.clone());
        let (identified, identities) = watch::channel(config.identities.clone());
        if let Some(web) = &mut web {
            web.open(watched.clone(), identities);
        }
        let api = asked::api(&system, watched);
        let mut api = Answering { listening: Arc::new(listening), api, task: None, web };
        api.start();
        Server { file: command.config.clone(), config, system, api, named, identified, door, lent: None }
    }

    async fn run(mut self, signals: Signals) -> Result<Exit, Failed> {
        let Signals { mut terminate, mut interrupt, mut hang_up } = signals;
        let end = loop {
            tokio::select! {
                _ = terminate.recv() => break End::Told,
                _ = interrupt.recv() => break End::Told,
                _ = hang_up.recv() => self.reload().await,
                wire = self.door.knock() => {
                    let followed = tokio::select! {
                        followed = self.hand_over(wire) => followed,
                        _ = terminate.recv() => break End::Told,
                        _ = interrupt.recv() => break End::Told,
                    };
                    if followed {
                        break End::Followed;
                    }
                }
            }
        };
        self.finish(end).await
    }

    async fn reload(&mut self) {
        notify::reloading();
        let (gateway, controller) = (&self.system.gateway, &self.system.handle);
        match reload::reload(&self.file, &self.config, gateway, controller).await {
            Ok((config, addresses)) => {
                self.named.send_replace(config.principals.clone());
                self.identified.send_replace(config.identities.clone());
                self.system.name(config.principals.clone(), config.persons.clone()).await;
                self.system.allow(config.commands.clone()).await;
                self.system.notify(config.notifications.clone()).await;
                self.config = config;
                tracing::info!("{} applies; listening: {}", self.file.display(), address_json(&addresses));
                notify::ready("serving");
            }
            Err(error) => {
                tracing::error!("nothing was changed, the configuration before goes on to apply: {error:#}");
                notify::ready("serving; the last reload was refused, the log says why");
            }
        }
    }

    /// Whether another process serves now. If not, this one goes on as if nothing had been.
    async fn hand_over(&mut self, wire: Wire) -> bool {
        let met = match self.system.gateway.sockets() {
            Ok(sockets) => Applicant::meet(wire, sockets, &self.api.listening).await,
            Err(error) => Err(error.into()),
        };
        let applicant = match met {
            Ok(applicant) => applicant,
            Err(error) => {
                tracing::warn!("a process wanted to take over and did not come to it; nothing was changed: {error:#}");
                return false;
            }
        };
        tracing::info!("verdigris {} takes over", applicant.program);
        self.api.stop().await;
        let applicant = self.lent.insert(applicant);
        let followed = async {
            let pins = self.system.release().await?;
            applicant.follow(pins).await
        };
        let Err(error) = followed.await else { return true };
        tracing::error!("the takeover failed, and this process goes on: {error:#}");
        if let Some(applicant) = self.lent.take() {
            applicant.refuse(&error.to_string()).await;
        }
        self.system.take_back().await;
        self.api.start();
        false
    }

    async fn finish(mut self, end: End) -> Result<Exit, Failed> {
        tracing::info!("stopping: requests in flight are finished first");
        match (end, self.lent.as_ref().and_then(Applicant::process)) {
            (End::Followed, Some(process)) => notify::main_process(process),
            (End::Followed, None) | (End::Told, _) => notify::stopping(),
        }
        self.api.stop().await;
        if !self.lent.as_ref().is_some_and(|applicant| applicant.keeps_api) {
            self.api.listening.remove();
        }
        if self.lent.is_none() {
            self.door.remove();
        }
        self.system.stop().await?;
        if let Some(applicant) = self.lent {
            applicant.gone().await;
        }
        Ok(Exit::Done)
    }
}

/// The API, which stops answering for a moment when another process takes over.
struct Answering {
    listening: Arc<Listening>,
    api: Api,
    task: Option<(watch::Sender<bool>, JoinHandle<()>)>,
    /// The port beside the socket: it stops and starts with it.
    web: Option<WebPort>,
}

impl Answering {
    fn start(&mut self) {
        let (stop, mut stopped) = watch::channel(false);
        let (listening, api) = (Arc::clone(&self.listening), self.api.clone());
        let task = tokio::spawn(async move {
            let stop = async move {
                let _ = stopped.wait_for(|stop| *stop).await;
            };
            if let Err(error) = listening.serve(api, stop).await {
                tracing::error!("the API stopped: {error}");
            }
        });
        self.task = Some((stop, task));
        if let Some(web) = &mut self.web {
            web.start(self.api.clone());
        }
    }

    async fn stop(&mut self) {
        if let Some((stop, task)) = self.task.take() {
            stop.send_replace(true);
            let web = async {
                if let Some(web) = &mut self.web {
                    web.stop().await;
                }
            };
            let (_, ()) = tokio::join!(task, web);
        }
    }
}

/// Who may send, with the tokens that are in their files.
async fn senders(config: &Config) -> Result<Senders, Failed> {
    let sending = config.sending.clone();
    Ok(tokio::task::spawn_blocking(move || sending.senders()).await??)
}

fn ground(config: &Config, keyring: Keyring) -> Ground {
    Ground {
        data: config.data.clone(),
        keyring,
        serving: config.serving.clone(),
        spool_bytes: config.spool_bytes,
        retention: config.retention,
        commands: config.commands.clone(),
        notifications: config.notifications.clone(),
        keep_entries_ms: config.keep_entries_ms,
        witnesses: config.witnesses.clone(),
        principals: config.principals.clone(),
        persons: config.persons.clone(),
    }
}

fn announce(server: &Server, format: Format) {
    let Server { system, api: Answering { listening, web, .. }, config, .. } = server;
    let (addresses, socket) = (system.gateway.addresses(), listening.path());
    let token = web.as_ref().and_then(|web| web.token_path(&config.data));
    match format {
        Format::Json => say(format_args!(
            "{}",
            json!({
                "listening": address_json(&addresses),
                "socket": socket,
                "web": web.as_ref().map(|web| json!({ "url": web.url(), "operatorToken": token })),
                "ledger": { "dir": system.ledger_dir, "verifierKey": system.verifier_key.to_string() },
                "recovered": system.recovered,
            })
        )),
        Format::Text => {
            say(format_args!("verdigris {}", env!("CARGO_PKG_VERSION")));
            say(format_args!(
                "  gateway    OTLP/gRPC {}   OTLP/HTTP {}",
                addresses.gateway.grpc, addresses.gateway.http
            ));
            for (name, address) in &addresses.fixed {
                say(format_args!("             {name} {address}"));
            }
            for (name, tap) in &addresses.taps {
                say(format_args!("  tap {name:<6} OTLP/gRPC {}   OTLP/HTTP {}", tap.grpc, tap.http));
            }
            say(format_args!("  api        {}", socket.display()));
            if let Some(web) = web {
                say(format_args!("  web        {}", web.url()));
            }
            if let Some(token) = &token {
                say(format_args!("  sign in    with the token in {}", token.display()));
            }
            say(format_args!("  ledger     {}", system.ledger_dir.display()));
            say(format_args!("  verify it  {}", system.verifier_key));
            if let Some(recovered) = &system.recovered {
                say(format_args!("  recovered  {recovered}"));
            }
        }
    }
}

fn own_ports(addresses: &Addresses) -> Vec<SocketAddr> {
    let pairs = std::iter::once(&addresses.gateway).chain(addresses.taps.values());
    pairs.flat_map(|listen| [listen.grpc, listen.http]).chain(addresses.fixed.values().copied()).collect()
}

/// Who can read what comes to a pair of ports, and who can send.
fn protection(listen: &Listen) -> Option<&'static str> {
    listen.tls.as_ref().map(|tls| if tls.client_ca.is_some() { "mTLS" } else { "TLS" })
}

fn address_json(addresses: &Addresses) -> Value {
    let pair = |listen: &Listen| json!({ "grpc": listen.grpc, "http": listen.http, "tls": protection(listen) });
    let taps: BTreeMap<&String, Value> = addresses.taps.iter().map(|(name, tap)| (name, pair(tap))).collect();
    let mut gateway = pair(&addresses.gateway);
    for (name, address) in &addresses.fixed {
        gateway[name] = json!(address);
    }
    json!({ "gateway": gateway, "taps": taps })
}

/// The gateway's counters as the API shows them.
pub fn stats_json(stats: &Stats) -> Value {
    let environment = |environment: Environment| {
        let stats = &stats.environments[environment];
        json!({
            "requests": stats.requests,
            "spansAcknowledged": stats.spans_acknowledged,
            "spansRefused": stats.spans_refused,
            "spansUnknown": stats.spans_unknown,
            "mirroredSpans": stats.mirrored_spans,
            "mirrorDroppedSpans": stats.mirror_dropped_spans,
            "redactedValues": stats.redacted_values,
            "spooledSpans": stats.spooled_spans,
            "drainedSpans": stats.drained_spans,
            "spoolRefusedSpans": stats.spool_refused_spans,
            "tapSpans": stats.tap_spans,
        })
    };
    json!({
        "generation": stats.generation,
        "blue": environment(Environment::Blue),
        "green": environment(Environment::Green),
        "requestsRefused": stats.requests_refused,
        "connectionsRefused": stats.connections_refused,
        "handshakesFailed": stats.handshakes_failed,
        "clientsRefused": stats.clients_refused,
        "tornTraces": stats.torn_traces,
        "pinsFull": stats.pins_full,
        "testerTraces": stats.tester_traces,
        "testerTracesOver": stats.tester_traces_over,
        "livePins": stats.live_pins,
        "bytesInFlight": stats.bytes_in_flight,
        "viewsMissed": stats.views_missed,
        "tapUnassigned": stats.tap_unassigned,
        "legacyRequests": stats.legacy_requests,
        "legacySpansRejected": stats.legacy_spans_rejected,
    })
}
