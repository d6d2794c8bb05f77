//! `verdigris.yaml`: what a server listens on and where its data is.

mod endpoint;
mod keys;
mod notifications;
mod principals;
mod senders;
mod web;
mod witnesses;

use crate::describe::Failed;
use crate::spools;
use crate::telemetry::Endpoint;
use crate::witness::Witnesses;
use ::keys::KeySource;
pub(crate) use notifications::check_url;

use crate::notifying::Target;
use endpoint::{RawServerTls, RawServing};
use gateway::{Listen, PortRole};
use model::Upstream;
use rollout::KnownPrincipal;
use rollout::plan::parse_duration_within;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use store::Retention;

pub use principals::Identified;
pub use senders::{Admitted, Sending, token as sender_token};
pub use web::Web;

/// A configuration is a page; more than this is another file.
const MAX_CONFIG_BYTES: u64 = 256 * 1024;

/// The file as it stands.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawConfig {
    #[serde(default = "gateway_listen")]
    listen: RawGateway,
    #[serde(default = "tap_listens")]
    taps: BTreeMap<String, RawListen>,
    serving: RawServing,
    #[serde(default = "data")]
    data: PathBuf,
    #[serde(default)]
    socket: Option<PathBuf>,
    #[serde(default = "name")]
    name: String,
    #[serde(default)]
    spool: RawSpool,
    #[serde(default)]
    evidence: RawEvidence,
    #[serde(default)]
    ledger: witnesses::RawLedger,
    #[serde(default)]
    principals: Vec<principals::RawPrincipal>,
    #[serde(default)]
    gates: RawGates,
    #[serde(default)]
    notifications: Vec<notifications::RawNotification>,
    #[serde(default)]
    telemetry: RawTelemetry,
    #[serde(default)]
    web: web::RawWeb,
}

/// Our own traces and logs.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawTelemetry {
    #[serde(default)]
    otlp: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawGates {
    #[serde(default)]
    commands: Vec<PathBuf>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawSpool {
    #[serde(default = "default_true")]
    enabled: bool,
    #[serde(default)]
    max_size: Option<String>,
}

impl Default for RawSpool {
    fn default() -> RawSpool {
        RawSpool { enabled: true, max_size: None }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawEvidence {
    #[serde(default)]
    keep: Option<String>,
    #[serde(default)]
    max_size: Option<String>,
}

/// How long evidence may be kept: an hour to ten years.
const KEEP_MS: (u64, u64) = (3_600_000, 3_650 * 24 * 3_600_000);
/// How much of it: four of the largest blobs, to as many of them as there can be.
const EVIDENCE_BYTES: (u64, u64) =
    (4 * store::MAX_EVIDENCE_BYTES as u64, (store::MAX_BLOBS * store::MAX_EVIDENCE_BYTES) as u64);
/// What is kept of evidence if nothing else is said: 1 GiB are 50,000 example traces of 20 KiB.
pub const DEFAULT_RETENTION: Retention = Retention { keep_ms: 30 * 24 * 3_600_000, max_bytes: 1 << 30 };

impl RawEvidence {
    fn retention(&self) -> Result<Retention, String> {
        let keep_ms = match &self.keep {
            None => DEFAULT_RETENTION.keep_ms,
            Some(text) => parse_duration_within(text, KEEP_MS)
                .map_err(|expected| format!("evidence.keep: found {text:?}, expected {expected}"))?,
        };
        let max_bytes = match &self.max_size {
            None => DEFAULT_RETENTION.max_bytes,
            Some(text) => size_within(text, EVIDENCE_BYTES, "1GiB").map_err(|it| format!("evidence.maxSize: {it}"))?,
        };
        Ok(Retention { keep_ms, max_bytes })
    }
}

fn default_true() -> bool {
    true
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawListen {
    grpc: SocketAddr,
    http: SocketAddr,
    #[serde(default)]
    tls: Option<RawServerTls>,
    #[serde(default)]
    clients: Vec<String>,
    #[serde(default)]
    tokens: Vec<PathBuf>,
}

/// The gateway's two ports, and those that old senders cannot change.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawGateway {
    grpc: SocketAddr,
    http: SocketAddr,
    #[serde(default)]
    zipkin: Option<SocketAddr>,
    #[serde(default)]
    jaeger_grpc: Option<SocketAddr>,
    #[serde(default)]
    jaeger_http: Option<SocketAddr>,
    #[serde(default)]
    tls: Option<RawServerTls>,
    #[serde(default)]
    clients: Vec<String>,
    #[serde(default)]
    tokens: Vec<PathBuf>,
}

fn loopback(grpc: u16, http: u16) -> RawListen {
    let address = |port| ([127, 0, 0, 1], port).into();
    RawListen { grpc: address(grpc), http: address(http), tls: None, clients: Vec::new(), tokens: Vec::new() }
}

fn gateway_listen() -> RawGateway {
    let RawListen { grpc, http, tls, clients, tokens } = loopback(4317, 4318);
    RawGateway { grpc, http, zipkin: None, jaeger_grpc: None, jaeger_http: None, tls, clients, tokens }
}

fn tap_listens() -> BTreeMap<String, RawListen> {
    BTreeMap::from([("blue".to_owned(), loopback(4327, 4328)), ("green".to_owned(), loopback(4337, 4338))])
}

fn data() -> PathBuf {
    PathBuf::from("verdigris-data")
}

fn name() -> String {
    "verdigris.local/ledger".to_owned()
}

/// What a server needs to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// The gateway's addresses.
    pub listen: Listen,
    /// More of the gateway's addresses, for old senders, by name: `zipkin`, `jaegerGrpc`, `jaegerHttp`.
    pub fixed: BTreeMap<String, SocketAddr>,
    /// The taps, by name.
    pub taps: BTreeMap<String, Listen>,
    /// Where traffic goes before the first rollout.
    pub serving: Upstream,
    /// The folder for ledger, keys, evidence and socket.
    pub data: PathBuf,
    /// The API's socket.
    pub socket: PathBuf,
    /// The ledger's origin (C2SP tlog-checkpoint).
    pub name: String,
    /// Bytes that may wait on the disk for environments that take nothing; none if nothing may.
    pub spool_bytes: Option<u64>,
    /// How long and how much evidence is kept.
    pub retention: Retention,
    /// How long entries of parts of the ledger that ended are kept; none for ever.
    pub keep_entries_ms: Option<u64>,
    /// Who is asked to cosign the ledger's checkpoints.
    pub witnesses: Witnesses,
    /// Who is who, in the order of their names.
    pub principals: Vec<KnownPrincipal>,
    /// Who is told of what, in the order of their names.
    pub notifications: Vec<Target>,
    /// The programs that may be run for a configuration.
    pub commands: Vec<PathBuf>,
    /// Who they are, by their names.
    pub persons: control::Persons,
    /// Who may send to the gateway and to taps.
    pub sending: Sending,
    /// What else they come by, at the web port.
    pub identities: Identified,
    /// Where the pages and the API are; none if they are at the socket alone.
    pub web: Option<Web>,
    /// Where the key is that signs them.
    pub key: KeySource,
    /// Where the one is that is to follow it, if the file says so.
    pub next_key: Option<KeySource>,
    /// Where our own traces and logs go, if anywhere; as it was at the start.
    pub telemetry: Option<Endpoint>,
}

impl Config {
    /// Reads and checks the file; relative paths start from its folder.
    pub fn read(path: &Path) -> Result<Config, Failed> {
        let refused = |what: String| Failed::usage(format!("{}: {what}", path.display()));
        let text = crate::describe::read_text(path, MAX_CONFIG_BYTES)?;
        let raw: RawConfig = read_yaml(&text).map_err(|error| refused(error.to_string()))?;
        let folder = path.parent().map(Path::to_owned).unwrap_or_default();
        let mut config = parse(raw, &folder).map_err(refused)?;
        config.data = std::path::absolute(&config.data).map_err(|error| refused(error.to_string()))?;
        Ok(config)
    }

    /// Every port, with its address.
    pub fn ports(&self) -> Vec<(PortRole, SocketAddr)> {
        PortRole::all(&self.listen, &self.fixed, &self.taps)
    }
}

fn read_yaml(text: &str) -> Result<RawConfig, serde_saphyr::Error> {
    // Line and column say where; the lines themselves are not repeated, for they go to logs.
    serde_saphyr::from_str_with_options(text, serde_saphyr::options! { with_snippet: false })
}

fn parse(raw: RawConfig, folder: &Path) -> Result<Config, String> {
    // Route tables hold absolute paths, whatever folder the server is started from. Joined with a name, for the folder of
    // a bare file name is empty, and an empty path cannot be made absolute.
    let absolute = std::path::absolute(folder.join(".")).map_err(|error| format!("{}: {error}", folder.display()))?;
    let serving = raw.serving.upstream()?.under(&absolute);
    if !raw.taps.contains_key(&serving.tap) {
        let known = raw.taps.keys().cloned().collect::<Vec<_>>().join(", ");
        return Err(format!("serving.tap: found {:?}, expected one of the taps {known}", serving.tap));
    }
    gateway::check_upstream(&serving).map_err(|error| format!("serving: {error}"))?;
    if raw.name.is_empty() || raw.name.len() > 128 || raw.name.contains(|c: char| c.is_whitespace() || c == '+') {
        return Err(format!("name: found {:?}, expected up to 128 characters without spaces and plus signs", raw.name));
    }
    let listen = |raw: RawListen| Listen { grpc: raw.grpc, http: raw.http, tls: raw.tls.map(|tls| tls.files(folder)) };
    let data = folder.join(raw.data);
    let spool_bytes = match raw.spool.max_size {
        _ if !raw.spool.enabled => None,
        None => Some(spools::DEFAULT_BYTES),
        Some(size) => {
            let bytes = size_within(&size, (spools::MIN_BYTES, spools::MAX_BYTES), "8GiB");
            Some(bytes.map_err(|error| format!("spool.maxSize: {error}"))?)
        }
    };
    let (key, next_key) = raw.ledger.keys(folder, &data)?;
    let telemetry = raw.telemetry.otlp.as_deref().map(Endpoint::parse).transpose();
    let telemetry = telemetry.map_err(|error| format!("telemetry.otlp: {error}"))?;
    let identities = principals::identities(&raw.principals)?;
    let sending = sending((&raw.listen, &raw.taps), (folder, &identities))?;
    let RawGateway { grpc, http, zipkin, jaeger_grpc, jaeger_http, tls, .. } = raw.listen;
    let fixed = [("zipkin", zipkin), ("jaegerGrpc", jaeger_grpc), ("jaegerHttp", jaeger_http)];
    let config = Config {
        telemetry,
        spool_bytes,
        retention: raw.evidence.retention()?,
        keep_entries_ms: raw.ledger.keep_entries_ms()?,
        witnesses: raw.ledger.witnesses(folder)?,
        key,
        next_key,
        listen: Listen { grpc, http, tls: tls.map(|tls| tls.files(folder)) },
        fixed: fixed.into_iter().filter_map(|(name, address)| Some((name.to_owned(), address?))).collect(),
        taps: raw.taps.into_iter().map(|(name, raw)| (name, listen(raw))).collect(),
        serving,
        socket: raw.socket.map_or_else(|| data.join("verdigris.sock"), |socket| folder.join(socket)),
        data,
        name: raw.name,
        notifications: notifications::targets(raw.notifications, folder)?,
        commands: programs(raw.gates.commands).map_err(|error| format!("gates.commands: {error}"))?,
        persons: principals::persons(&raw.principals)?,
        identities,
        sending,
        web: raw.web.read(folder)?,
        principals: principals::principals(raw.principals)?,
    };
    if let Some(endpoint) = &config.telemetry {
        let ours: Vec<SocketAddr> = config.ports().into_iter().map(|(_, address)| address).collect();
        endpoint.check(&ours)?;
    }
    Ok(config)
}

fn sending(
    (listen, taps): (&RawGateway, &BTreeMap<String, RawListen>),
    around: (&Path, &Identified),
) -> Result<Sending, String> {
    let verified = |tls: &Option<RawServerTls>| tls.as_ref().is_some_and(RawServerTls::verifies);
    let RawGateway { tls, clients, tokens, .. } = listen;
    let gateway = Admitted::read(clients, tokens, verified(tls), around).map_err(|error| format!("listen.{error}"))?;
    let tap = |(name, listen): (&String, &RawListen)| {
        let admitted = Admitted::read(&listen.clients, &listen.tokens, verified(&listen.tls), around);
        Ok((name.clone(), admitted.map_err(|error| format!("taps.{name}.{error}"))?))
    };
    Ok(Sending { gateway, taps: taps.iter().map(tap).collect::<Result<_, String>>()? })
}

/// Programs by their whole paths, so that no search path says which one runs.
pub fn programs(paths: Vec<PathBuf>) -> Result<Vec<PathBuf>, String> {
    match paths.iter().find(|path| !path.is_absolute()) {
        Some(path) => {
            Err(format!("found {}, expected the whole path of a program, such as /usr/bin/kubectl", path.display()))
        }
        None => Ok(paths),
    }
}

/// `512MiB` or `8GiB`.
pub(crate) fn size_within(text: &str, (least, most): (u64, u64), such_as: &str) -> Result<u64, String> {
    let units = [("MiB", 1u64 << 20), ("GiB", 1 << 30)];
    let bytes = units.into_iter().find_map(|(unit, bytes)| {
        let number: u64 = text.strip_suffix(unit)?.trim_end().parse().ok()?;
        number.checked_mul(bytes)
    });
    bytes
        .filter(|bytes| (least..=most).contains(bytes))
        .ok_or_else(|| format!("found {text:?}, expected {}MiB to {}GiB, such as {such_as}", least >> 20, most >> 30))
}

#[cfg(test)]
mod tests;
