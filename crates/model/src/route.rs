use crate::{BasisPoints, Environment, PerEnvironment, Testers, TraceId, Transport};
use redact::Policy;
use serde::{Deserialize, Serialize};
use siphasher::sip::SipHasher13;
use std::hash::Hasher;
use std::path::Path;
use std::sync::Arc;

/// How many buckets there are: one for each basis point.
pub const BUCKETS: u16 = 10_000;

/// Where a trace belongs, 0 to 9,999: fixed for a trace id and a [`RouteKey`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bucket(pub u16);

/// The key of the hash from trace id to bucket. It is made once a rollout, so that nobody can choose trace ids for an
/// environment, and recorded, so that an auditor can route every trace again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteKey(pub [u8; 16]);

impl RouteKey {
    /// SipHash-1-3 of the trace id, mapped onto the buckets by multiplication (Lemire, *Fast random integer generation
    /// in an interval*, 2019; bias below 10,000 / 2^64).
    pub fn bucket(&self, trace: TraceId) -> Bucket {
        let mut hasher = SipHasher13::new_with_key(&self.0);
        hasher.write(&trace.0);
        Bucket(((u128::from(hasher.finish()) * u128::from(BUCKETS)) >> 64) as u16)
    }

    /// Another hash of the trace id, which says nothing of its bucket: by it traces are remembered, and chosen where only
    /// a share of them is looked at. So a share holds as many traces of each environment as their weights say.
    pub fn mark(&self, trace: TraceId) -> u64 {
        let mut hasher = SipHasher13::new_with_key(&self.0);
        hasher.write(b"mark");
        hasher.write(&trace.0);
        hasher.finish()
    }
}

/// What becomes of traces in flight when their bucket moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pins {
    /// A trace stays where it began (a shift, a promotion).
    Keep,
    /// Every trace moves at once (a rollback: the candidate is not to be trusted). Torn traces are counted.
    Tear,
}

/// The protocol that an environment's collector takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// OTLP/gRPC.
    Grpc,
    /// OTLP/HTTP with binary protobuf.
    Http,
}

/// Endpoints of one environment at most. A gateway has as many places again for those that leave.
pub const MAX_ENDPOINTS: usize = 8;

/// Where an environment is reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Upstream {
    /// The collector's OTLP endpoint: `http://host:port` or `https://host:port`, without a path.
    pub endpoint: String,
    /// The other endpoints, where the environment has several collectors: each trace goes to one of them all.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub others: Vec<String>,
    /// What the collector takes.
    pub protocol: Protocol,
    /// TLS and compression towards the collector.
    #[serde(skip_serializing_if = "Transport::is_default", default)]
    pub transport: Transport,
    /// The name of the gateway's tap to which the collector exports.
    pub tap: String,
    /// Where the tap forwards what it took, if it stands in line before the back end (OTLP/gRPC, `http://host:port` or
    /// `https://host:port`).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub backend: Option<String>,
    /// TLS and compression towards the back end.
    #[serde(rename = "backendTransport", skip_serializing_if = "Transport::is_default", default)]
    pub backend_transport: Transport,
}

impl Upstream {
    /// Reached in clear text and without compression, with no back end behind its tap.
    pub fn plain(endpoint: impl Into<String>, protocol: Protocol, tap: impl Into<String>) -> Upstream {
        Upstream {
            endpoint: endpoint.into(),
            others: Vec::new(),
            protocol,
            transport: Transport::default(),
            tap: tap.into(),
            backend: None,
            backend_transport: Transport::default(),
        }
    }

    /// The same with the relative paths of its files starting from `folder`: a plan's start from the plan, and a route
    /// table outlives its plan.
    pub fn under(&self, folder: &Path) -> Upstream {
        let (transport, backend_transport) = (self.transport.under(folder), self.backend_transport.under(folder));
        Upstream { transport, backend_transport, ..self.clone() }
    }

    /// All endpoints, at most [`MAX_ENDPOINTS`].
    pub fn endpoints(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.endpoint).chain(&self.others).map(String::as_str)
    }
}

/// Which environment serves which trace. Gateways apply only newer generations (invariant 2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteTable {
    /// Grows by one with each table, over the life of a ledger.
    pub generation: u64,
    /// The environment that serves every bucket the candidate does not.
    pub active: Environment,
    /// The share of buckets that the other environment, the candidate, serves.
    pub weight: BasisPoints,
    /// Whether the candidate gets a copy of what the active environment serves.
    pub mirror: bool,
    /// What becomes of traces in flight.
    pub pins: Pins,
    /// How long after its last span a trace stays where it began, in milliseconds.
    pub pin_ms: u64,
    /// The key from trace id to bucket.
    pub key: RouteKey,
    /// Where the environments are reached. The candidate's is absent while no rollout runs.
    pub upstreams: PerEnvironment<Option<Upstream>>,
    /// How many witnesses must have cosigned the proof with which the candidate's weight is raised; none if the rollout
    /// asks for no proofs.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub proofs: Option<u32>,
    /// What is replaced in the copies for the candidate; none if they go as they are.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub redaction: Option<Policy>,
    /// Whose traces the candidate serves whatever its weight; none if nobody's.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub testers: Option<Testers>,
    /// The proof, as text, where there is one. It goes from hand to hand with the table, and is no part of any state.
    #[serde(skip)]
    pub proof: Option<Arc<str>>,
}

/// How a gateway divides traffic: what it says of the table that it applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Routed {
    /// The environment that serves what the candidate does not.
    pub active: Environment,
    /// The candidate's share.
    pub weight: BasisPoints,
    /// Whether the candidate gets copies.
    pub mirror: bool,
    /// Whether the candidate serves testers' traces.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub testers: bool,
}

impl RouteTable {
    /// How many cosignatures a proof must have with which this table may follow another one; none if it needs no proof.
    ///
    /// Where either asks for proofs, one is needed to raise the candidate's weight, let testers to it or let it become active, and to begin
    /// another rollout or ask for less, for then the next raise would go by other rules. The way back never needs one.
    pub fn needs_proof(&self, before: Option<&RouteTable>) -> Option<u32> {
        let Some(before) = before else {
            // A gateway that starts has no weight: what the candidate serves is raised from nothing.
            return self.proofs.filter(|_| self.weight > BasisPoints::ZERO || self.testers.is_some());
        };
        let same = self.key == before.key;
        let lets_in = self.testers.is_some() && self.testers != before.testers;
        let back = same && self.active == Environment::Blue && self.weight <= before.weight && !lets_in;
        let raises = self.active != before.active || self.weight > before.weight || lets_in;
        let needed = self.proofs.max(before.proofs);
        needed.filter(|_| !same || self.proofs < before.proofs || raises && !back)
    }

    /// Whether what the active environment serves goes where it went before, or back to blue.
    pub fn stays(&self, before: &RouteTable) -> bool {
        let endpoints = |table: &RouteTable, environment: Environment| -> Option<Vec<String>> {
            let upstream = table.upstreams[environment].as_ref()?;
            let mut endpoints: Vec<String> = upstream.endpoints().map(str::to_owned).collect();
            endpoints.sort();
            Some(endpoints)
        };
        let to = endpoints(self, self.active);
        to == endpoints(before, before.active) || to == endpoints(before, Environment::Blue)
    }

    /// How it divides traffic.
    pub fn routed(&self) -> Routed {
        Routed { active: self.active, weight: self.weight, mirror: self.mirror, testers: self.testers.is_some() }
    }

    /// The environment that a new trace in this bucket goes to: the candidate has the buckets below the weight, so a
    /// raise of the weight only ever moves buckets from the active environment to the candidate.
    pub fn environment(&self, bucket: Bucket) -> Environment {
        if bucket.0 < self.weight.get() { self.active.other() } else { self.active }
    }
}
