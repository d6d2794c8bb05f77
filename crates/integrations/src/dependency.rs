//! Whom a span calls, by the attributes of OpenTelemetry's semantic conventions: those in force, and those before them that
//! are still sent (*HTTP*, *Database*, *RPC* and *Messaging* "spans", and *General attributes*, "Server, client and shared
//! network attributes" and "General remote service attributes").
//!
//! | kind | is known by | its name |
//! | --- | --- | --- |
//! | database | `db.system.name`, `db.system` | system, server, and `db.namespace` or `db.name` |
//! | messaging | `messaging.system` | system, and `messaging.destination.template`, `.name` or `messaging.destination` |
//! | rpc | `rpc.system.name`, `rpc.system` | system, and `rpc.service`, or the service in `rpc.method` |
//! | http | `http.request.method`, `http.method`, `url.full`, `http.url` | the server |
//! | peer | none of these | the server |
//!
//! The server is `server.address` and `server.port`, else the host in `url.full` or `http.url`, else `http.host`, else
//! `net.peer.name` and `net.peer.port`, else `net.sock.peer.name`, else `peer.service`. Private addresses differ from one
//! environment to the other (pods), and are folded into one, unless `peer.service` names what is there.

use model::quoted;
use otlp::{SpanView, int_value, string_value};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// What is kept of a name.
pub const MAX_NAME_BYTES: usize = 256;
/// What is kept of one part of it: three of them, and what stands between them, are a name.
const MAX_PART_BYTES: usize = 80;
/// OTLP's `SPAN_KIND_CLIENT` and `SPAN_KIND_PRODUCER`.
pub(crate) const CLIENT: u8 = 3;
pub(crate) const PRODUCER: u8 = 4;
/// From here on, operating systems choose ports by themselves (Linux; IANA's dynamic ports begin at 49152).
const FIRST_EPHEMERAL_PORT: u16 = 32_768;
/// What stands for any private address.
const PRIVATE: &str = "(private address)";

/// Somebody who is called.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Dependency {
    /// How.
    pub kind: Kind,
    /// Who: printable, in lower case where it is a host, [`MAX_NAME_BYTES`] at most.
    pub name: String,
}

/// How somebody is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A database.
    Database,
    /// HTTP.
    Http,
    /// A broker or queue.
    Messaging,
    /// Nothing more is known than where.
    Peer,
    /// A remote procedure call.
    Rpc,
}

impl Kind {
    const ALL: [Kind; 5] = [Kind::Database, Kind::Http, Kind::Messaging, Kind::Peer, Kind::Rpc];

    /// As reasons write it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Database => "database",
            Kind::Http => "http",
            Kind::Messaging => "messaging",
            Kind::Peer => "peer",
            Kind::Rpc => "rpc",
        }
    }
}

/// `http scheduling.hospital.example`.
impl fmt::Display for Dependency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.name(), self.name)
    }
}

/// Text that names no dependency.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} names no dependency; expected a kind (database, http, messaging, peer, rpc), a space, and a name")]
pub struct ParseDependencyError {
    found: String,
}

impl FromStr for Dependency {
    type Err = ParseDependencyError;

    fn from_str(text: &str) -> Result<Dependency, ParseDependencyError> {
        let refused = || ParseDependencyError { found: quoted(text) };
        let (kind, name) = text.split_once(' ').ok_or_else(refused)?;
        let kind = Kind::ALL.into_iter().find(|known| known.name() == kind).ok_or_else(refused)?;
        let is_name = !name.is_empty() && name.len() <= MAX_NAME_BYTES && !name.contains(char::is_control);
        if is_name { Ok(Dependency { kind, name: name.to_owned() }) } else { Err(refused()) }
    }
}

impl Serialize for Dependency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Dependency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// Whom the span calls; `None` if it calls nobody (its kind is neither CLIENT nor PRODUCER), or does not say whom.
pub fn of_span(span: &SpanView<'_>) -> Option<Dependency> {
    if span.kind != CLIENT && span.kind != PRODUCER {
        return None;
    }
    let attributes = Attributes(span.attributes);
    let server = attributes.server();
    let (kind, parts) = if let Some(system) = attributes.first(&["db.system.name", "db.system"]) {
        let namespace = attributes.first(&["db.namespace", "db.name"]).and_then(part);
        let place = match (server, namespace) {
            (Some(server), Some(namespace)) => Some(format!("{server}/{namespace}")),
            (server, namespace) => server.or(namespace),
        };
        (Kind::Database, [part(system), place])
    } else if let Some(system) = attributes.first(&["messaging.system"]) {
        (Kind::Messaging, [part(system), attributes.destination().or(server)])
    } else if let Some(system) = attributes.first(&["rpc.system.name", "rpc.system"]) {
        (Kind::Rpc, [part(system), attributes.rpc_service().or(server)])
    } else if ["http.request.method", "http.method", "url.full", "http.url"].iter().any(|key| attributes.has(key)) {
        (Kind::Http, [None, Some(server?)])
    } else {
        (Kind::Peer, [None, Some(server?)])
    };
    let name = parts.into_iter().flatten().collect::<Vec<_>>().join(" ");
    (!name.is_empty()).then(|| Dependency { kind, name: cut(&name, MAX_NAME_BYTES) })
}

/// Sorted by key, each key once.
struct Attributes<'s>(&'s [(&'s str, &'s [u8])]);

impl<'s> Attributes<'s> {
    fn value(&self, key: &str) -> Option<&'s [u8]> {
        let found = self.0.binary_search_by(|(known, _)| (*known).cmp(key)).ok()?;
        Some(self.0[found].1)
    }

    fn has(&self, key: &str) -> bool {
        self.value(key).is_some()
    }

    /// The first of these that is a text and not empty.
    fn first(&self, keys: &[&str]) -> Option<&'s str> {
        keys.iter().filter_map(|key| self.value(key)).map(string_value).find(|text| !text.trim().is_empty())
    }

    /// Some SDKs write ports as texts.
    fn port(&self, key: &str) -> Option<u16> {
        let value = self.value(key)?;
        int_value(value).and_then(|port| u16::try_from(port).ok()).or_else(|| string_value(value).parse().ok())
    }

    fn destination(&self) -> Option<String> {
        let is_passing = |key: &&str| self.value(key).and_then(int_value) == Some(1);
        // Their names are made up, one for each connection.
        let passing =
            ["messaging.destination.temporary", "messaging.destination.anonymous", "messaging.temp_destination"];
        if passing.iter().any(is_passing) {
            return Some("(temporary)".to_owned());
        }
        let keys = ["messaging.destination.template", "messaging.destination.name", "messaging.destination"];
        self.first(&keys).and_then(part)
    }

    /// Since 1.38 the method has the service before its slash.
    fn rpc_service(&self) -> Option<String> {
        let whole = self.first(&["rpc.method"]).and_then(|method| method.trim_start_matches('/').split_once('/'));
        self.first(&["rpc.service"]).or(whole.map(|(service, _)| service)).and_then(part)
    }

    fn server(&self) -> Option<String> {
        let named = |host: &str, port: &str| self.first(&[host]).map(|host| (host.to_owned(), self.port(port)));
        let found = named("server.address", "server.port")
            .or_else(|| self.first(&["url.full", "http.url"]).and_then(of_url))
            .or_else(|| self.first(&["http.host"]).map(host_and_port))
            .or_else(|| named("net.peer.name", "net.peer.port"))
            .or_else(|| named("net.sock.peer.name", "net.sock.peer.port"));
        let peer = self.first(&["service.peer.name", "peer.service"]).and_then(part);
        let Some((host, port)) = found else { return peer };
        // A name that stands where an address should may be a URL, with anything in it.
        let (host, port) = if host.contains("://") { of_url(&host)? } else { (host, port) };
        let host = host.trim().trim_start_matches('[').trim_end_matches(']').trim_end_matches('.').to_ascii_lowercase();
        let is_private = host.parse::<IpAddr>().is_ok_and(is_private);
        let host = match (is_private, peer) {
            (true, Some(peer)) => return Some(peer),
            (true, None) => PRIVATE.to_owned(),
            (false, _) if host.contains(':') => format!("[{}]", part(&host)?),
            (false, _) => part(&host)?,
        };
        match port {
            // Those of the schemes say nothing, and those that a system chose nothing that lasts.
            Some(0 | 80 | 443) | None => Some(host),
            Some(port) if is_private && port >= FIRST_EPHEMERAL_PORT => Some(host),
            Some(port) => Some(format!("{host}:{port}")),
        }
    }
}

/// The host of a URL, without the user before it.
fn of_url(url: &str) -> Option<(String, Option<u16>)> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#', '\\']).next()?;
    let found = host_and_port(authority.rsplit_once('@').map_or(authority, |(_, host)| host));
    (!found.0.is_empty()).then_some(found)
}

fn host_and_port(authority: &str) -> (String, Option<u16>) {
    match authority.rsplit_once(':') {
        // The colons of an IPv6 address without a port are its own.
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host.to_owned(), port.parse().ok()),
        Some(_) | None => (authority.to_owned(), None),
    }
}

/// Addresses that mean something only where they are: RFC 1918, 6598, 3927, 4193 and 4291's link-local and loopback.
fn is_private(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let [first, second, ..] = v4.octets();
            v4.is_private() || v4.is_loopback() || v4.is_link_local() || (first == 100 && second & 0xc0 == 64)
        }
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}

/// One part of a name: without spaces at its ends, printable, and without what follows a `?` or stands before an `@`; `None`
/// if nothing is left.
fn part(text: &str) -> Option<String> {
    let text = text.split(['?', '#']).next().unwrap_or_default();
    let text = text.rsplit_once('@').map_or(text, |(_, after)| after).trim();
    (!text.is_empty()).then(|| cut(text, MAX_PART_BYTES))
}

fn cut(text: &str, bytes: usize) -> String {
    let mut kept = String::new();
    for character in text.chars() {
        let character = if character.is_control() { '\u{fffd}' } else { character };
        if kept.len() + character.len_utf8() > bytes {
            break;
        }
        kept.push(character);
    }
    kept
}

#[cfg(test)]
mod tests;
