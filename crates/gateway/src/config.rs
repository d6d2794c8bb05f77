//! What a gateway is told before it starts.

use crate::client::ClientLimits;
use crate::listen::PortRole;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use tls::ServerFiles;

/// Where a gateway listens, and within what bounds it works.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// The apps' endpoint.
    pub listen: Listen,
    /// More ports of the gateway, by name, for senders whose port is fixed. Every port takes every path.
    pub fixed: BTreeMap<String, SocketAddr>,
    /// The pipelines' endpoints, by name.
    pub taps: BTreeMap<String, Listen>,
    /// Bounds.
    pub limits: Limits,
}

/// Two ports, for OTLP/gRPC and OTLP/HTTP. Each takes both; there are two because clients expect them. Port 0 is any
/// free one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// The port of OTLP/gRPC.
    pub grpc: SocketAddr,
    /// The port of OTLP/HTTP.
    pub http: SocketAddr,
    /// With these files both ports speak TLS and nothing else; without them, clear text and nothing else.
    pub tls: Option<ServerFiles>,
}

impl Config {
    /// The TLS of a port, if it speaks it. Ports for old senders speak what the gateway's others do.
    pub(crate) fn tls(&self, role: &PortRole) -> Option<&ServerFiles> {
        match role {
            PortRole::GatewayGrpc | PortRole::GatewayHttp | PortRole::GatewayFixed(_) => self.listen.tls.as_ref(),
            PortRole::TapGrpc(tap) | PortRole::TapHttp(tap) => self.taps.get(tap)?.tls.as_ref(),
        }
    }
}

impl Default for Listen {
    /// OTLP's own ports, on this machine alone.
    fn default() -> Listen {
        let local = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Listen { grpc: local(4317), http: local(4318), tls: None }
    }
}

/// Every bound that can be set. The others are constants beside what they bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a request, before and after decompression. Below 4 GiB.
    pub max_message_bytes: usize,
    /// Bytes of all requests together: bodies, and what was made of them.
    pub max_inflight_bytes: u64,
    /// How long a sender may send nothing, in milliseconds.
    pub body_idle_timeout_ms: u64,
    /// How long a sender may take for a whole request, in milliseconds.
    pub body_timeout_ms: u64,
    /// How long a new connection may take to say what it speaks, and an idle HTTP/1.1 one to ask again, in milliseconds.
    pub header_timeout_ms: u64,
    /// Towards collectors and back ends.
    pub upstream: ClientLimits,
    /// Connections of each listening port.
    pub max_connections: usize,
    /// Bytes of mirror copies under way.
    pub mirror_queue_bytes: u64,
    /// Traces whose beginning is remembered, at eight bytes each; rounded up to a power of two.
    pub pin_slots: usize,
    /// How long a stop waits for the requests in flight, in milliseconds.
    pub drain_timeout_ms: u64,
    /// How long a connection that is to be closed, and that no request is under way on, is kept for the next one, in
    /// milliseconds: closed under a request that its client is just sending, it would be reset.
    pub idle_grace_ms: u64,
}

impl Limits {
    /// Bytes of requests that one environment has not answered, and of those that are delivered to it from the disk: a
    /// quarter of all, so that one that hangs leaves room for the other, or one message that is larger than that.
    pub(crate) fn environment_bytes(&self) -> u64 {
        (self.max_inflight_bytes / 4).max(self.max_message_bytes as u64)
    }
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            // The OpenTelemetry Collector's batches are below 4 MiB by default; 16 times that is nobody's good batch.
            max_message_bytes: 64 << 20,
            // 8 of the largest requests, or 2 s of 256 MB/s.
            max_inflight_bytes: 512 << 20,
            body_idle_timeout_ms: 10_000,
            body_timeout_ms: 30_000,
            // SDKs export metrics every 60 s over the same connection.
            header_timeout_ms: 75_000,
            upstream: ClientLimits::default(),
            // Far below the usual 65,536 file descriptors, at six ports.
            max_connections: 8_192,
            mirror_queue_bytes: 64 << 20,
            // 16 MiB: 17,000 new traces a second at half load, with pins of 60 s.
            pin_slots: 1 << 21,
            // Longer than a request can take: its body, then its upstream, would be 60 s; most take milliseconds.
            drain_timeout_ms: 35_000,
            // SDKs export spans every 5 s.
            idle_grace_ms: 6_000,
        }
    }
}
