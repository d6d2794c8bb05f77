//! What can be asked of a server: everything that the API and the pages need of a system, and who is who at the socket.

use super::{address_json, stats_json};
use crate::condition;
use crate::system::System;
use access::Role;
use gateway::{EndpointState, Gateway, Spools};
use model::Environment;
use rollout::{KnownPrincipal, Principal};
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::sync::watch;
use web::{Answers, Api, Caller};

type Named = Vec<KnownPrincipal>;

/// Of this system, while it runs, for whom the configuration names.
pub(crate) fn api(system: &System, named: watch::Receiver<Named>) -> Api {
    let learning = system.learning.clone();
    let learn: web::Learn = Arc::new(move |request, by| learning.begin(request, &by));
    let calls = system.calls.clone();
    Api {
        handle: system.handle.clone(),
        status: status(system),
        principals: principals(named.clone()),
        signers: signers(named.clone()),
        known: known(named),
        learn,
        record: system.recorder.api(),
        condition: condition::of(system),
        answers: Answers::default(),
        ledger: crate::commands::ledger_files(&system.ledger_dir, &system.verifier_key),
        calls: Arc::new(move |rollout| calls.get(rollout)),
    }
}

fn status(system: &System) -> web::Status {
    let (gateway, spools, learning) = (system.gateway.clone(), system.spools.clone(), system.learning.clone());
    let recorder = system.recorder.clone();
    let (dir, key, witnessed) =
        (system.ledger_dir.clone(), system.verifier_key.to_string(), system.witnessing.status());
    Arc::new(move || {
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "listening": address_json(&gateway.addresses()),
            "ledger": { "dir": dir, "verifierKey": key, "witnessed": witnessed() },
            "gateway": stats_json(&gateway.stats()),
            "endpoints": endpoints_json(&gateway),
            "spool": spools_json(&spools),
            "learning": learning.status(),
            "recording": recorder.status(),
        })
    })
}

fn endpoints_json(gateway: &Gateway) -> Value {
    let endpoints = gateway.endpoints();
    let states = |environment: Environment| -> Vec<Value> {
        let state =
            |(endpoint, state): &(String, EndpointState)| json!({ "endpoint": endpoint, "state": state.name() });
        endpoints[environment].iter().map(state).collect()
    };
    json!({ "blue": states(Environment::Blue), "green": states(Environment::Green) })
}

/// What waits on the disk; null where nothing can.
fn spools_json(spools: &Spools) -> Value {
    let stats = spools.stats();
    let one = |environment: Environment| {
        stats[environment].map(|stats| {
            json!({
                "requests": stats.entries,
                "bytes": stats.bytes,
                "oldestUnixMs": stats.oldest_ms,
                "diskBytes": stats.disk_bytes,
                "refusedFull": stats.full,
                "refusedFailed": stats.failed,
                "lostRequests": stats.lost_entries,
                "lostBytes": stats.lost_bytes,
            })
        })
    };
    json!({ "blue": one(Environment::Blue), "green": one(Environment::Green) })
}

/// One person is one principal: a user id that the configuration names is that name, every other is its number. Whoever
/// runs the server and root may what every person may, for they can read its files and stop it; others what their roles say.
fn principals(named: watch::Receiver<Named>) -> web::Principals {
    let own = rustix::process::geteuid().as_raw();
    Arc::new(move |uid| {
        let from = Some(format!("unix socket, uid {uid}"));
        let principal = match named.borrow().iter().find(|known| known.uids.contains(&uid)) {
            Some(known) => Principal { name: known.name.clone(), roles: known.roles.clone(), from },
            None => Principal { name: format!("uid:{uid}"), roles: Vec::new(), from },
        };
        let caller = Caller::named(principal);
        if uid == own || uid == 0 { caller.also(Role::PEOPLE) } else { caller }
    })
}

/// Everybody, as the configuration has them now.
fn known(named: watch::Receiver<Named>) -> web::Known {
    Arc::new(move || named.borrow().clone())
}

/// And so is whoever signs with one of its keys.
fn signers(named: watch::Receiver<Named>) -> web::Signers {
    Arc::new(move |key| {
        let named = named.borrow();
        let known = named.iter().find(|known| known.keys.contains(key))?;
        let from = Some(format!("key {}", key.fingerprint()));
        Some(Principal { name: known.name.clone(), roles: known.roles.clone(), from })
    })
}
