//! One run: the processes, the schedule carried out, and what is found at the end.

use super::clock::{self, Deadline, Stopwatch};
use super::disk::Disk;
use super::ledger::{self, Moves, Window};
use super::proxy::{Contender, Proxy};
use super::rollouts::Rollouts;
use super::schedule::{Sink, pin_ms};
use super::timeline::{Action, Step};
use super::watch::Held;
use crate::bench::running::{Launcher, Running, Side};
use crate::process;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// What is run.
pub struct Tools {
    pub verdigris: PathBuf,
    pub bench: PathBuf,
    pub rotel: PathBuf,
}

/// How long, and how much.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    pub run_ms: u64,
    pub spans_per_s: f64,
}

/// What is found at the end.
pub struct Found {
    pub contender: Contender,
    /// What `bench soak-load` found in the books.
    pub audit: Value,
    /// Who says that everything was sent: false if the clients still had something to send again.
    pub delivered: bool,
    pub moves: Moves,
    pub peak_resident_mib: f64,
    pub before: Held,
    pub after: Held,
    /// SIGKILLs of the proxy.
    pub kills: usize,
    /// Starts that failed; they were tried again.
    pub failed_starts: Vec<String>,
    /// Ends that nobody ordered.
    pub own_ends: Vec<String>,
    pub panics: Vec<String>,
    pub refused_commands: u64,
    pub events: usize,
    /// Whether the disk could be filled.
    pub disk: bool,
    /// What is wrong with the ledger.
    pub ledger: Option<String>,
}

/// A sink or the load says where it is, or answers an order. An audit reads the journals.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);

/// What the clients still have is sent again: after the longest delay of a client (4.8 s) and timeout of ours (30 s).
const DELIVERY_LIMIT: Duration = Duration::from_secs(60);

/// Nothing more has arrived for so long: what is missing is lost. Rotel tries again after 30 s at most.
const SILENCE: Duration = Duration::from_secs(35);
const ARRIVAL_LIMIT: Duration = Duration::from_secs(180);

/// Idle HTTP/1.1 connections to a collector are kept for 20 s.
const REST_LIMIT: Duration = Duration::from_secs(30);

struct Field<'a> {
    tools: &'a Tools,
    launcher: Launcher,
    folder: &'a Path,
    disk: Option<Disk>,
    data: PathBuf,
    sinks: [Option<Running>; 2],
    addresses: [SocketAddr; 2],
    journals: [Vec<PathBuf>; 2],
    contender: Contender,
    proxy: Proxy,
    rollouts: Rollouts,
    load: Running,
    watch: Stopwatch,
    /// The proxy should run.
    wanted: bool,
    down_since_ms: Option<u64>,
    kills: Vec<Window>,
    ordered_kills: usize,
    failed_starts: Vec<String>,
    own_ends: Vec<String>,
    pin_ms: u64,
}

/// Runs a schedule in an empty folder.
pub fn run(tools: &Tools, contender: Contender, folder: &Path, steps: &[Step], size: Size) -> Result<Found> {
    let (mut field, before) = Field::begin(tools, contender, folder, size)?;
    for step in steps {
        field.wait_until(step.at_ms)?;
        if let Some(words) = &step.words {
            eprintln!("{:>7.1} s  {words}", field.watch.ms() as f64 / 1_000.0);
        }
        field.act(&step.action).with_context(|| format!("{:?}", step.action))?;
    }
    field.wait_until(size.run_ms)?;
    field.end(before, steps.iter().filter(|step| step.words.is_some()).count())
}

impl<'a> Field<'a> {
    fn begin(tools: &'a Tools, contender: Contender, folder: &'a Path, size: Size) -> Result<(Field<'a>, Held)> {
        let launcher = Launcher::unpinned()?;
        let disk = match contender {
            Contender::Ours => {
                Disk::mount(&folder.join("disk")).inspect_err(|error| eprintln!("no disk to fill: {error:#}")).ok()
            }
            Contender::Rotel => None,
        };
        let data = disk.as_ref().map_or(folder, Disk::path).join("data");
        let mut journals = [Vec::new(), Vec::new()];
        let addresses = [clock::free_port()?, clock::free_port()?];
        let mut sinks = [None, None];
        for sink in [Sink::One, Sink::Two] {
            sinks[sink as usize] = Some(start_sink(tools, &launcher, folder, sink, addresses, &mut journals)?);
        }
        let mut proxy = match contender {
            Contender::Ours => Proxy::ours(&tools.verdigris, folder, &data, addresses[0])?,
            Contender::Rotel => Proxy::rotel(&tools.rotel, folder, addresses[0])?,
        };
        proxy.start(&launcher)?;
        let before = at_rest(&proxy)?;
        let pin_ms = pin_ms(size.run_ms);
        let rollouts = Rollouts::new(&tools.verdigris, data.join("verdigris.sock"), folder, addresses, pin_ms);
        let (rate, secs) = (size.spans_per_s.to_string(), (size.run_ms as f64 / 1_000.0).to_string());
        let (grpc, http) = (proxy.grpc.to_string(), proxy.http.to_string());
        let arguments = ["soak-load", "--rate", &rate, "--secs", &secs, "--grpc", &grpc, "--http", &http];
        let load = launcher.start(Side::Load, &tools.bench, &arguments, &folder.join("load.log"))?;
        let field = Field {
            tools,
            launcher,
            folder,
            disk,
            data,
            sinks,
            addresses,
            journals,
            contender,
            proxy,
            rollouts,
            load,
            watch: Stopwatch::start(),
            wanted: true,
            down_since_ms: None,
            kills: Vec::new(),
            ordered_kills: 0,
            failed_starts: Vec::new(),
            own_ends: Vec::new(),
            pin_ms,
        };
        Ok((field, before))
    }

    /// Until so long after the beginning, with an eye on the proxy.
    fn wait_until(&mut self, at_ms: u64) -> Result<()> {
        while self.watch.ms() < at_ms {
            clock::pause();
            self.tend()?;
        }
        Ok(())
    }

    /// Starts the proxy again if it should run and does not, as a service manager does.
    fn tend(&mut self) -> Result<()> {
        if !self.wanted {
            return Ok(());
        }
        match self.proxy.check() {
            Ok(true) => return Ok(()),
            Ok(false) => {}
            Err(error) => {
                eprintln!("{:>7.1} s  the proxy ended by itself", self.watch.ms() as f64 / 1_000.0);
                self.own_ends.push(format!("{error:#}"));
                // It may have ended since it was looked at last.
                self.down_since_ms = Some(clock::unix_ms().saturating_sub(1_000));
            }
        }
        match self.proxy.start(&self.launcher) {
            Ok(()) => {
                let now_ms = clock::unix_ms();
                self.kills.push((self.down_since_ms.take().unwrap_or(now_ms), now_ms));
            }
            Err(error) => {
                if self.failed_starts.is_empty() {
                    eprintln!("{:>7.1} s  it does not start, and is tried again", self.watch.ms() as f64 / 1_000.0);
                }
                self.failed_starts.push(format!("{error:#}"));
                ensure!(self.failed_starts.len() <= MAX_FAILED_STARTS, "it does not start again: {error:#}");
            }
        }
        Ok(())
    }

    fn act(&mut self, action: &Action) -> Result<()> {
        match action {
            Action::KillSink(sink) => self.sinks[*sink as usize] = None,
            Action::StartSink(sink) => {
                let (launcher, addresses) = (&self.launcher, self.addresses);
                let started = start_sink(self.tools, launcher, self.folder, *sink, addresses, &mut self.journals)?;
                self.sinks[*sink as usize] = Some(started);
            }
            Action::TellSink(sink, order) => {
                self.sinks[*sink as usize].as_mut().context("the sink is down")?.tell(&order.to_string())?;
            }
            Action::StallClients(stalled) => {
                self.ask(&json!({ "do": "stall", "stalled": stalled }))?;
            }
            Action::FillDisk => self.disk.as_ref().map_or(Ok(()), Disk::fill)?,
            Action::FreeDisk => self.disk.as_ref().map_or(Ok(()), Disk::free)?,
            Action::KillGateway => {
                self.wanted = false;
                self.ordered_kills += 1;
                self.down_since_ms = self.down_since_ms.or(Some(clock::unix_ms()));
                self.proxy.kill();
            }
            Action::StartGateway => {
                self.wanted = true;
                self.tend()?;
            }
            Action::StartRollout(rollout) => {
                if let Some(why) = self.rollouts.start(rollout)? {
                    self.say_refused("start", &why);
                }
            }
            Action::Command(command) => {
                // A promotion is ordered more often than it needs to be, and then cancelled.
                let refused = self.rollouts.order(&[command]);
                if let Some(why) = refused.filter(|_| *command != "promote") {
                    self.say_refused(command, &why);
                }
            }
        }
        Ok(())
    }

    fn say_refused(&self, command: &str, why: &str) {
        let line = why.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
        eprintln!("{:>7.1} s    rollout {command}: {line}", self.watch.ms() as f64 / 1_000.0);
    }

    fn ask(&mut self, order: &Value) -> Result<Value> {
        self.load.tell(&order.to_string())?;
        let line = self.load.line(ANSWER_LIMIT)?;
        serde_json::from_str(&line).with_context(|| format!("not JSON: {line}"))
    }

    /// Everything is well again: waits until all that can arrive has arrived and all connections are closed.
    fn end(mut self, before: Held, events: usize) -> Result<Found> {
        eprintln!("{:>7.1} s  everything is well again", self.watch.ms() as f64 / 1_000.0);
        if self.contender == Contender::Ours {
            self.rollouts.order(&["rollback"]);
        }
        let deadline = Deadline::after(DELIVERY_LIMIT);
        let mut delivered = false;
        while !delivered && !deadline.is_over() {
            clock::pause();
            self.tend()?;
            delivered = self.ask(&json!({ "do": "progress" }))?["done"] == true;
        }
        self.wait_for_arrivals()?;
        let (moves, ledger) = match self.contender {
            Contender::Ours => self.ledger()?,
            Contender::Rotel => (Moves::default(), None),
        };
        let audit = self.audit(&moves)?;
        self.ask(&json!({ "do": "close" }))?;
        let after = self.rest(before)?;
        self.tend()?;
        Ok(Found {
            contender: self.contender,
            audit,
            delivered,
            moves,
            peak_resident_mib: self.proxy.peak_resident_mib,
            before,
            after,
            kills: self.ordered_kills,
            panics: self.proxy.panics()?,
            failed_starts: self.failed_starts,
            own_ends: self.own_ends,
            refused_commands: self.rollouts.refused,
            events,
            disk: self.disk.is_some(),
            ledger,
        })
    }

    fn wait_for_arrivals(&mut self) -> Result<()> {
        let (deadline, mut silence) = (Deadline::after(ARRIVAL_LIMIT), Deadline::after(SILENCE));
        let mut arrived = Value::Null;
        while !deadline.is_over() && !silence.is_over() {
            self.tend()?;
            let audit = self.audit(&Moves::default())?;
            if audit["lost"] == 0 {
                return Ok(());
            }
            if audit["arrived"] != arrived {
                arrived = audit["arrived"].clone();
                silence = Deadline::after(SILENCE);
            }
            clock::pause();
        }
        Ok(())
    }

    fn audit(&mut self, moves: &Moves) -> Result<Value> {
        let disturbances = json!({
            "kills": self.kills,
            "rollbacks": moves.rollbacks,
            "promotions": moves.promotions,
            "pinMs": self.pin_ms,
        });
        let journals = self.journals.clone();
        self.ask(&json!({ "do": "audit", "journals": journals, "disturbances": disturbances }))
    }

    /// What the rollouts did, and what is wrong with the ledger. `verify` makes every decision again.
    fn ledger(&self) -> Result<(Moves, Option<String>)> {
        let dir = self.data.join("ledger");
        let read = |words: &[&str]| {
            process::read(Command::new(&self.tools.verdigris).arg("ledger").args(words).arg("--dir").arg(&dir))
        };
        let wrong = read(&["verify"]).err().map(|error| format!("{error:#}"));
        Ok((ledger::moves(&read(&["show", "--decisions", "--format", "json"])?)?, wrong))
    }

    /// Waits until the proxy holds no more than before the load.
    fn rest(&mut self, before: Held) -> Result<Held> {
        let deadline = Deadline::after(REST_LIMIT);
        loop {
            let held = self.proxy.held()?;
            let rests = held.descriptors <= before.descriptors && held.connections <= before.connections;
            if rests || deadline.is_over() {
                return Ok(held);
            }
            clock::pause();
        }
    }
}

/// With a pause of 50 ms and some 100 ms for each: longer than the disk is full.
const MAX_FAILED_STARTS: usize = 300;

/// What a proxy holds that has nothing to do: two looks, the same.
fn at_rest(proxy: &Proxy) -> Result<Held> {
    let deadline = Deadline::after(ANSWER_LIMIT);
    let mut before = proxy.held()?;
    loop {
        for _ in 0..10 {
            clock::pause();
        }
        let held = proxy.held()?;
        if held == before || deadline.is_over() {
            return Ok(held);
        }
        before = held;
    }
}

/// A new life of a sink, on its port, with a journal of its own.
fn start_sink(
    tools: &Tools,
    launcher: &Launcher,
    folder: &Path,
    sink: Sink,
    addresses: [SocketAddr; 2],
    journals: &mut [Vec<PathBuf>; 2],
) -> Result<Running> {
    let (index, lives) = (sink as usize, &mut journals[sink as usize]);
    let name = format!("sink-{}.{}", index + 1, lives.len() + 1);
    let journal = folder.join(format!("{name}.journal"));
    let listen = addresses[index].to_string();
    let arguments =
        ["soak-sink", "--listen", &listen, "--journal", journal.to_str().context("the folder's name is no UTF-8")?];
    let mut running = launcher.start(Side::Load, &tools.bench, &arguments, &folder.join(format!("{name}.log")))?;
    running.line(ANSWER_LIMIT)?;
    lives.push(journal.clone());
    ensure!(fs::exists(&journal)?, "{} is not there", journal.display());
    Ok(running)
}
