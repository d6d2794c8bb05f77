//! Who is measured. Each peer has a module that knows how it is configured and started; this one says what each
//! contender does with what it is given, which is all that measuring and judging the counts needs.
//!
//! To add one: a variant, its line in every `match` here, and how it starts.

mod envoy;
mod ours;
mod rotel;

pub use ours::views_missed;

use super::running::{Launcher, Running, pause};
use anyhow::{Context, Result};
use clap::ValueEnum;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Who stands between the generator and the sinks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Contender {
    /// Nobody: what the generator and the sink can do. Measured always, for latencies are compared with it
    NoProxy,
    /// Rotel: acknowledges when it has queued, collects batches of up to 8,192 spans, and exports them
    Rotel,
    /// Rotel with its exporter `blackhole`: takes, decodes and batches, and throws away
    RotelDiscarding,
    /// Envoy: every request to one cluster
    Envoy,
    /// Envoy with two clusters of weight 50: it chooses for each request, and so tears traces
    EnvoySplit,
    /// Envoy with a request mirror policy of 100%
    EnvoyMirror,
    /// `verdigris serve` without a rollout: everything to one sink, acknowledged when that has acknowledged it
    Ours,
    /// `verdigris serve` whose environment is down: every request is synced to the disk before it is acknowledged
    OursDurable,
    /// `verdigris serve` in a rollout at 50%: every request is split by trace; nothing comes to the taps
    OursSplit,
    /// `verdigris serve` in a rollout that mirrors; nothing comes to the taps, so verification sees what was sent alone
    OursMirror,
    /// The same, and each sink exports all that it took once more, to its tap: verification joins everything
    OursMirrorVerified,
}

/// What becomes of a span that a contender acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ComesOut {
    /// It comes to the first sink.
    Once,
    /// It comes to one of the sinks, and half of all to each.
    Split,
    /// It comes to the first sink, and a copy of it to the second, as far as the proxy has room for that.
    Mirrored,
    /// Nothing comes out: it is thrown away, or kept until somebody is there to take it.
    Nowhere,
}

/// What is spoken on every hop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// OTLP/gRPC over HTTP/2 without TLS.
    Grpc,
    /// OTLP/HTTP with protobuf over HTTP/1.1 with keep-alive.
    Http,
}

impl Protocol {
    pub const ALL: [Protocol; 2] = [Protocol::Grpc, Protocol::Http];

    /// As plans, configurations and orders write it.
    pub fn key(self) -> &'static str {
        match self {
            Protocol::Grpc => "grpc",
            Protocol::Http => "http",
        }
    }
}

/// A contender that is ready.
pub struct Proxy {
    pub running: Running,
    /// Where it takes the protocol that was asked for.
    pub address: SocketAddr,
    /// Where the sinks must export to once more.
    pub taps: Option<[SocketAddr; 2]>,
    /// The socket of our API, while a rollout is verified.
    pub api: Option<PathBuf>,
}

/// What contenders are started from.
pub struct Ground {
    pub launcher: Launcher,
    pub verdigris: PathBuf,
    /// The peers' programs, where they are measured.
    pub rotel: Option<PathBuf>,
    pub envoy: Option<PathBuf>,
    /// Where the sinks listen: the only one, or blue's; and green's.
    pub sinks: [SocketAddr; 2],
    /// A folder for configurations, data and logs.
    pub folder: PathBuf,
}

/// Until a proxy is ready. Verdigris writes its first records, Rotel loads Python.
const START_LIMIT: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(20);

impl Contender {
    /// In the order of the table.
    pub const ALL: &[Contender] = &[
        Contender::NoProxy,
        Contender::Rotel,
        Contender::RotelDiscarding,
        Contender::Envoy,
        Contender::EnvoySplit,
        Contender::EnvoyMirror,
        Contender::Ours,
        Contender::OursDurable,
        Contender::OursSplit,
        Contender::OursMirror,
        Contender::OursMirrorVerified,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Contender::NoProxy => "no proxy",
            Contender::Rotel => "Rotel",
            Contender::RotelDiscarding => "Rotel, sends nothing",
            Contender::Envoy => "Envoy",
            Contender::EnvoySplit => "Envoy, split 50%",
            Contender::EnvoyMirror => "Envoy, mirror",
            Contender::Ours => "ours",
            Contender::OursDurable => "ours, all to the disk",
            Contender::OursSplit => "ours, split 50%",
            Contender::OursMirror => "ours, mirror",
            Contender::OursMirrorVerified => "ours, mirror + verify",
        }
    }

    pub fn comes_out(self) -> ComesOut {
        match self {
            Contender::NoProxy | Contender::Rotel | Contender::Envoy | Contender::Ours => ComesOut::Once,
            Contender::EnvoySplit | Contender::OursSplit => ComesOut::Split,
            Contender::EnvoyMirror | Contender::OursMirror | Contender::OursMirrorVerified => ComesOut::Mirrored,
            Contender::RotelDiscarding | Contender::OursDurable => ComesOut::Nowhere,
        }
    }

    pub fn is_ours(self) -> bool {
        match self {
            Contender::Ours | Contender::OursDurable | Contender::OursSplit => true,
            Contender::OursMirror | Contender::OursMirrorVerified => true,
            Contender::NoProxy | Contender::Rotel | Contender::RotelDiscarding => false,
            Contender::Envoy | Contender::EnvoySplit | Contender::EnvoyMirror => false,
        }
    }

    /// Whether it is measured with this protocol. What a split or a mirror does with a request does not depend on how it
    /// came, so HTTP has only what shows what HTTP/1.1 costs.
    pub fn speaks(self, protocol: Protocol) -> bool {
        match self {
            Contender::NoProxy | Contender::Rotel | Contender::Envoy | Contender::Ours | Contender::OursSplit => true,
            Contender::RotelDiscarding | Contender::EnvoySplit | Contender::EnvoyMirror => protocol == Protocol::Grpc,
            Contender::OursDurable | Contender::OursMirror | Contender::OursMirrorVerified => {
                protocol == Protocol::Grpc
            }
        }
    }

    pub fn needs_rotel(self) -> bool {
        matches!(self, Contender::Rotel | Contender::RotelDiscarding)
    }

    pub fn needs_envoy(self) -> bool {
        matches!(self, Contender::Envoy | Contender::EnvoySplit | Contender::EnvoyMirror)
    }

    /// Starts it in an empty folder of its own, and waits until it takes requests.
    pub fn start(self, ground: &Ground, protocol: Protocol) -> Result<Option<Proxy>> {
        let folder = ground.folder.join("contender");
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let stage = Stage { ground, folder: &folder, protocol };
        let started = match self {
            Contender::NoProxy => return Ok(None),
            Contender::Rotel => rotel::start(&stage, rotel::Exporter::Otlp),
            Contender::RotelDiscarding => rotel::start(&stage, rotel::Exporter::Blackhole),
            Contender::Envoy => envoy::start(&stage, envoy::Route::Whole),
            Contender::EnvoySplit => envoy::start(&stage, envoy::Route::Weighted),
            Contender::EnvoyMirror => envoy::start(&stage, envoy::Route::Mirrored),
            Contender::Ours => ours::start(&stage, ours::Traffic::PassThrough),
            Contender::OursDurable => ours::start(&stage, ours::Traffic::Durable),
            Contender::OursSplit => ours::start(&stage, ours::Traffic::Split),
            Contender::OursMirror => ours::start(&stage, ours::Traffic::Mirror { taps: false }),
            Contender::OursMirrorVerified => ours::start(&stage, ours::Traffic::Mirror { taps: true }),
        };
        started.map(Some).with_context(|| format!("cannot start {}", self.name()))
    }
}

/// Where and for what one contender is started.
struct Stage<'a> {
    ground: &'a Ground,
    folder: &'a Path,
    protocol: Protocol,
}

/// A port that nobody has now. Somebody else could take it before the proxy does; then the proxy says so, and it is run
/// again.
fn free_port() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

/// Waits until somebody takes connections there.
fn listening(running: &mut Running, address: SocketAddr) -> Result<()> {
    for _ in 0..START_LIMIT.as_millis() / POLL.as_millis() {
        running.alive()?;
        if TcpStream::connect(address).is_ok() {
            return Ok(());
        }
        pause(POLL);
    }
    Err(running.failed(&format!("does not listen on {address} after {} s", START_LIMIT.as_secs())))
}
