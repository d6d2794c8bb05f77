//! The route table that applies: installed whole, read without a lock.

use crate::client::{OtlpClient, UpstreamError, check_upstream};
use crate::config::Limits;
use crate::pins::MAX_PIN_S;
use crate::pool::Pool;
use crate::redacting::Redacting;
use crate::testers::Testers;
use model::{Environment, PerEnvironment, Protocol, RouteTable, Transport, Upstream};
use redact::Redactor;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// A route table with the clients that it needs.
pub(crate) struct Snapshot {
    pub(crate) table: Arc<RouteTable>,
    pub(crate) upstreams: PerEnvironment<Option<Arc<Pool>>>,
    pub(crate) backends: PerEnvironment<Option<Arc<OtlpClient>>>,
    /// What takes sensitive values out of the copies for the candidate, if the table wants that.
    pub(crate) redactor: Option<Arc<Redactor>>,
    /// Whose traces the candidate serves, if the table lets testers in.
    pub(crate) testers: Option<Testers>,
}

/// Why a route table does not apply. The one before it goes on to apply.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum TableError {
    /// Only newer generations apply (invariant 2).
    #[error("route table {found} is not newer than {applied}, which applies; publish one of a later generation")]
    NotNewer {
        /// What applies.
        applied: u64,
        /// What came.
        found: u64,
    },
    /// Whoever started the gateway does not let it follow the table before.
    #[error("route table {generation} is not warranted: {reason}")]
    NotWarranted {
        /// The table.
        generation: u64,
        /// Why.
        reason: String,
    },
    /// An endpoint cannot be reached by any means that the gateway has.
    #[error("route table {generation}: the {environment} environment's endpoint cannot be used")]
    Endpoint {
        /// The table.
        generation: u64,
        /// Whose endpoint.
        environment: Environment,
        /// What is wrong with it.
        #[source]
        source: UpstreamError,
    },
    /// Traces would be routed to nowhere.
    #[error(
        "route table {generation} gives {environment} a weight or a mirror, but no endpoint; name one, or set weight 0"
    )]
    NoCandidate {
        /// The table.
        generation: u64,
        /// The candidate.
        environment: Environment,
    },
    /// A trace would be forgotten before its pin expires.
    #[error("route table {generation} pins traces for {pin_ms} ms; the gateway can for {} ms at most", MAX_PIN_S * 1000)]
    PinTooLong {
        /// The table.
        generation: u64,
        /// What it wants.
        pin_ms: u64,
    },
    /// A pipeline would put out to where nobody listens.
    #[error(
        "route table {generation}: {environment} names the tap {tap:?}, which this gateway does not have; it has {taps}"
    )]
    UnknownTap {
        /// The table.
        generation: u64,
        /// Whose tap.
        environment: Environment,
        /// The name.
        tap: String,
        /// The taps that there are, for people.
        taps: String,
    },
    /// Requests cannot be asked for testers.
    #[error(
        "route table {generation} lets testers in by a header that none can be; name another in gates.acceptance.route"
    )]
    TesterHeader {
        /// The table.
        generation: u64,
    },
    /// What came out of the two pipelines could not be told apart.
    #[error("route table {generation}: both environments name the tap {tap:?}; give each its own")]
    SharedTap {
        /// The table.
        generation: u64,
        /// The name.
        tap: String,
    },
}

impl Snapshot {
    /// The candidate, while a rollout runs.
    pub(crate) fn candidate(&self) -> Option<Environment> {
        let candidate = self.table.active.other();
        self.upstreams[candidate].is_some().then_some(candidate)
    }

    /// The environment to which a tap belongs.
    pub(crate) fn environment_of_tap(&self, tap: &str) -> Option<Environment> {
        Environment::BOTH
            .into_iter()
            .find(|environment| self.table.upstreams[*environment].as_ref().is_some_and(|upstream| upstream.tap == tap))
    }
}

/// Makes the snapshot of a table: clients whose endpoint did not change are kept, with their connections and pins.
pub(crate) fn snapshot(
    before: Option<&Snapshot>,
    table: Arc<RouteTable>,
    taps: &BTreeSet<String>,
    (limits, redacting): (&Limits, &Redacting),
) -> Result<Snapshot, TableError> {
    if let Some(before) = before.filter(|before| table.generation <= before.table.generation) {
        return Err(TableError::NotNewer { applied: before.table.generation, found: table.generation });
    }
    check(&table, taps)?;
    let client =
        |environment, endpoint: &str, protocol, transport: &Transport| {
            OtlpClient::new(endpoint, protocol, transport, limits.upstream.clone())
                .map_err(|source| TableError::Endpoint { generation: table.generation, environment, source })
        };
    let mut upstreams = PerEnvironment::default();
    let mut backends = PerEnvironment::default();
    for environment in Environment::BOTH {
        let Some(upstream) = &table.upstreams[environment] else { continue };
        let way = |table: &RouteTable| {
            table.upstreams[environment].as_ref().map(|upstream| (upstream.protocol, upstream.transport.clone()))
        };
        let like_before = before.filter(|before| way(&before.table) == way(&table));
        let known = like_before.and_then(|before| before.upstreams[environment].as_ref());
        upstreams[environment] = Some(match known {
            Some(known) if known.is_of(upstream.endpoints()) => Arc::clone(known),
            Some(_) | None => {
                let make = |endpoint: &str| client(environment, endpoint, upstream.protocol, &upstream.transport);
                let pins = (limits.pin_slots, Duration::from_millis(table.pin_ms));
                Arc::new(Pool::new(known.map(Arc::as_ref), upstream.endpoints(), make, pins)?)
            }
        });
        if let Some(backend) = &upstream.backend {
            let transport = &upstream.backend_transport;
            let known = before.and_then(|before| before.backends[environment].as_ref());
            backends[environment] = Some(match known {
                Some(known) if known.reaches(backend, Protocol::Grpc, transport) => Arc::clone(known),
                Some(_) | None => Arc::new(client(environment, backend, Protocol::Grpc, transport)?),
            });
        }
    }
    let redactor = table.redaction.as_ref().map(|policy| redacting.redactor(policy));
    let testers = match &table.testers {
        Some(testers) => {
            let generation = table.generation;
            Some(Testers::of(testers).ok_or(TableError::TesterHeader { generation })?)
        }
        None => None,
    };
    Ok(Snapshot { table, upstreams, backends, redactor, testers })
}

fn check(table: &RouteTable, taps: &BTreeSet<String>) -> Result<(), TableError> {
    let generation = table.generation;
    if table.pin_ms > MAX_PIN_S * 1000 {
        return Err(TableError::PinTooLong { generation, pin_ms: table.pin_ms });
    }
    for environment in Environment::BOTH {
        if let Some(upstream) = &table.upstreams[environment] {
            check_upstream(upstream).map_err(|source| TableError::Endpoint { generation, environment, source })?;
        }
    }
    let candidate = table.active.other();
    let Some(Upstream { tap, .. }) = &table.upstreams[candidate] else {
        return if table.weight.get() > 0 || table.mirror || table.testers.is_some() {
            Err(TableError::NoCandidate { generation, environment: candidate })
        } else {
            Ok(())
        };
    };
    for environment in Environment::BOTH {
        let Some(upstream) = &table.upstreams[environment] else { continue };
        if !taps.contains(&upstream.tap) {
            let names: Vec<&str> = taps.iter().map(String::as_str).collect();
            let taps = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            return Err(TableError::UnknownTap { generation, environment, tap: upstream.tap.clone(), taps });
        }
    }
    match &table.upstreams[table.active] {
        Some(active) if active.tap == *tap => Err(TableError::SharedTap { generation, tap: tap.clone() }),
        Some(_) | None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
