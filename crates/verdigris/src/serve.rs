//! `verdigris serve`: everything in one process, until SIGTERM or SIGINT.

mod exposure;

use crate::cli::{Format, Serve};
use crate::config::{Config, NamedPrincipal};
use crate::describe::{Exit, Failed, say};
use crate::system::{Ground, Ports, System};
use gateway::{Addresses, Listen, Stats};
use model::Environment;
use rollout::Principal;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use web::{Api, Listening};

/// Runs until it is told to stop.
pub async fn run(command: &Serve, format: Format) -> Result<Exit, Failed> {
    let config = Config::read(&command.config)?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let ports = Ports::bind(config.listen.clone(), config.taps.clone()).await?;
    exposure::warn(&config);
    // Opening the ledger locks it, so nobody else's socket is in the folder from here on.
    let ground = Ground { data: config.data.clone(), name: config.name.clone(), serving: config.serving.clone() };
    let system = System::start(ports, ground).await?;
    let listening = Listening::on(&config.socket).await?;
    let api = Api {
        handle: system.handle.clone(),
        status: status(&system),
        principals: principals(config.principals.clone()),
    };
    let (stop, mut stopped) = watch::channel(false);
    let answering = tokio::spawn(listening.serve(api, async move {
        let _ = stopped.wait_for(|stop| *stop).await;
    }));
    announce(&system, &config.socket, format);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping: requests in flight are finished first");
    stop.send_replace(true);
    let _ = answering.await;
    system.stop().await?;
    Ok(Exit::Done)
}

fn announce(system: &System, socket: &Path, format: Format) {
    let addresses = address_json(&system.addresses);
    match format {
        Format::Json => say(format_args!(
            "{}",
            json!({
                "listening": addresses,
                "socket": socket,
                "ledger": { "dir": system.ledger_dir, "verifierKey": system.verifier_key.to_string() },
                "recovered": system.recovered,
            })
        )),
        Format::Text => {
            say(format_args!("verdigris {}", env!("CARGO_PKG_VERSION")));
            let pair = |listen: &Listen| {
                let secured = protection(listen).map(|kind| format!("   {kind}")).unwrap_or_default();
                format!("OTLP/gRPC {}   OTLP/HTTP {}{secured}", listen.grpc, listen.http)
            };
            say(format_args!("  gateway    {}", pair(&system.addresses.gateway)));
            for (name, tap) in &system.addresses.taps {
                say(format_args!("  tap {name:<6} {}", pair(tap)));
            }
            say(format_args!("  api        {}", socket.display()));
            say(format_args!("  ledger     {}", system.ledger_dir.display()));
            say(format_args!("  verify it  {}", system.verifier_key));
            if let Some(recovered) = &system.recovered {
                say(format_args!("  recovered  {recovered}"));
            }
        }
    }
}

/// Who can read what comes to a pair of ports, and who can send.
fn protection(listen: &Listen) -> Option<&'static str> {
    listen.tls.as_ref().map(|tls| if tls.client_ca.is_some() { "mTLS" } else { "TLS" })
}

fn address_json(addresses: &Addresses) -> Value {
    let pair = |listen: &Listen| json!({ "grpc": listen.grpc, "http": listen.http, "tls": protection(listen) });
    let taps: BTreeMap<&String, Value> = addresses.taps.iter().map(|(name, tap)| (name, pair(tap))).collect();
    json!({ "gateway": pair(&addresses.gateway), "taps": taps })
}

fn status(system: &System) -> web::Status {
    let (gateway, addresses) = (system.gateway.clone(), address_json(&system.addresses));
    let ledger = json!({ "dir": system.ledger_dir, "verifierKey": system.verifier_key.to_string() });
    Arc::new(move || {
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "listening": addresses,
            "ledger": ledger,
            "gateway": stats_json(&gateway.stats()),
        })
    })
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
        "tornTraces": stats.torn_traces,
        "pinsFull": stats.pins_full,
        "livePins": stats.live_pins,
        "bytesInFlight": stats.bytes_in_flight,
        "viewsMissed": stats.views_missed,
        "tapUnassigned": stats.tap_unassigned,
    })
}

/// One person is one principal: a user id that the configuration names is that name, every other is its number.
fn principals(named: BTreeMap<u32, NamedPrincipal>) -> web::Principals {
    Arc::new(move |uid| match named.get(&uid) {
        Some(principal) => Principal { name: principal.name.clone(), roles: principal.roles.clone() },
        None => Principal { name: format!("uid:{uid}"), roles: Vec::new() },
    })
}
