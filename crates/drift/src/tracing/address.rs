//! Endpoints of the other environment: a green collector that exports to blue's back end makes blue look as if it
//! still served, and green as if it lost everything.

use super::{Report, Rule};
use crate::path::Path;
use crate::tree::Tree;
use crate::value::{Node, Value};

/// A host and port. Names in a cluster are one, with or without `.svc.cluster.local`.
#[derive(Debug, PartialEq, Eq)]
struct Address {
    host: String,
    port: Option<u16>,
    scheme: bool,
}

/// Finds `theirs`, the endpoints of `other`, in the tree of `own`; those that both have are shared.
pub(super) fn crossed(tree: &Tree, own: &str, theirs: &[String], other: &str, ours: &[String], report: &mut Report) {
    let ours: Vec<Address> = ours.iter().filter_map(|text| parse(text)).collect();
    let theirs: Vec<Address> = theirs.iter().filter_map(|text| parse(text)).collect();
    let theirs: Vec<Address> =
        theirs.into_iter().filter(|address| !ours.contains(address) && !address.is_any()).collect();
    if theirs.is_empty() {
        return;
    }
    for (id, document) in &tree.documents {
        let mut path = Path::of(id);
        let mut search = Search { own, other, theirs: &theirs, file: &document.file, report: &mut *report };
        search.walk(&document.root, &mut path);
    }
}

impl Address {
    /// This machine, without a port, is every environment's.
    fn is_any(&self) -> bool {
        self.port.is_none() && matches!(self.host.as_str(), "localhost" | "127.0.0.1" | "::1" | "0.0.0.0")
    }

    /// Whether a text that was found means this endpoint. A bare word without a port could mean anything.
    fn is_meant_by(&self, found: &Address) -> bool {
        let told = found.port.is_some() || found.scheme;
        told && self.host == found.host && (self.port.is_none() || found.port.is_none() || self.port == found.port)
    }
}

struct Search<'a> {
    own: &'a str,
    other: &'a str,
    theirs: &'a [Address],
    file: &'a str,
    report: &'a mut Report,
}

impl Search<'_> {
    fn walk(&mut self, node: &Node, path: &mut Path) {
        match node {
            Value::Leaf(_) => self.leaf(node, path),
            Value::Map(entries) => {
                for (key, value) in entries {
                    let back = path.key(key);
                    self.walk(value, path);
                    path.back(back);
                }
            }
            Value::Named(named) => {
                for (name, value) in &named.items {
                    let back = path.name(name);
                    self.walk(value, path);
                    path.back(back);
                }
            }
            Value::List(items) | Value::Bag(items) => {
                for (index, value) in items.iter().enumerate() {
                    let back = path.index(index);
                    self.walk(value, path);
                    path.back(back);
                }
            }
        }
    }

    fn leaf(&mut self, node: &Node, path: &Path) {
        let Some(text) = node.shown().filter(|text| text.contains([':', '.'])) else { return };
        let parts = text.split([',', ' ', ';', '=', '"', '\'', '\n']);
        let mut found = parts.filter_map(parse);
        if let Some(address) = found.find(|address| self.theirs.iter().any(|theirs| theirs.is_meant_by(address))) {
            let port = address.port.map(|port| format!(":{port}")).unwrap_or_default();
            let (own, other) = (self.own, self.other);
            let what = format!("{own}'s configuration points to {other}: {}{port}", address.host);
            self.report.push(Rule::CrossedEndpoint, self.file, path.shown(), &what);
        }
    }
}

fn parse(text: &str) -> Option<Address> {
    /// The longest host name (RFC 1035), a scheme and a port.
    const MAX_LENGTH: usize = 300;
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme, rest)) => (Some(scheme), rest),
        None => (None, text),
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let authority = &rest[..end];
    let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let (host, port) = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, port)) => (host, port.strip_prefix(':')),
        None => match authority.rsplit_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    let port = match port {
        Some(port) => Some(port.parse().ok()?),
        None => match scheme {
            Some("http") => Some(80),
            Some("https") => Some(443),
            Some(_) | None => None,
        },
    };
    let valid = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':');
    if host.is_empty() || host.len() > MAX_LENGTH || !host.bytes().all(valid) {
        return None;
    }
    let host = host.to_ascii_lowercase();
    let host = host.trim_end_matches('.');
    let host = host.strip_suffix(".cluster.local").unwrap_or(host);
    let host = host.strip_suffix(".svc").unwrap_or(host);
    Some(Address { host: host.to_owned(), port, scheme: scheme.is_some() })
}
