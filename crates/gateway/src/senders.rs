//! Who may send to a port: a pipeline that could write to the other environment's tap could make that one look whole.
//!
//! A port without a list takes whoever its TLS lets in. With one, a sender shows a certificate of a listed name, or a listed
//! token (`authorization: Bearer …`, as the Collector's `bearertokenauth` sends it). Lists change while the gateway runs;
//! open connections are asked anew at each request. What was shown is never written anywhere.

use crate::listen::Port;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use subtle::{Choice, ConstantTimeEq as _};
use tls::Names;

/// Who may send to one pair of ports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Admission {
    /// The names of certificates.
    pub clients: BTreeSet<Names>,
    /// SHA-256 of tokens, so that no token stays in memory.
    pub tokens: Vec<[u8; 32]>,
}

/// Who may send where. Ports that are not named take everybody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Senders {
    /// To the gateway's own ports.
    pub gateway: Admission,
    /// To taps, by their names.
    pub taps: BTreeMap<String, Admission>,
}

/// Who sends, as far as the connection says it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sender {
    pub(crate) from: Option<IpAddr>,
    /// Of the certificate that was verified, if there is one.
    pub(crate) certificate: Option<Names>,
}

/// Why a sender may not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotAdmitted {
    /// It shows nothing.
    Unknown,
    /// It shows something, and is not on the list.
    NotListed,
}

impl Admission {
    /// The hash of a token, for [`Admission::tokens`].
    pub fn digest(token: &str) -> [u8; 32] {
        Sha256::digest(token.as_bytes()).into()
    }

    fn is_open(&self) -> bool {
        self.clients.is_empty() && self.tokens.is_empty()
    }

    fn check(&self, sender: &Sender, headers: &HeaderMap) -> Result<(), NotAdmitted> {
        if self.is_open() || sender.certificate.as_ref().is_some_and(|names| self.clients.contains(names)) {
            return Ok(());
        }
        let Some(token) = headers.get(AUTHORIZATION).map(|header| header.to_str().ok().and_then(bearer)) else {
            // A certificate that no list of this port has counts as something only if certificates could count.
            let shows = sender.certificate.is_some() && !self.clients.is_empty();
            return Err(if shows { NotAdmitted::NotListed } else { NotAdmitted::Unknown });
        };
        let shown = Admission::digest(token.unwrap_or_default());
        let is_listed = self.tokens.iter().fold(Choice::from(0), |found, listed| found | listed.ct_eq(&shown));
        if token.is_some() && bool::from(is_listed) { Ok(()) } else { Err(NotAdmitted::NotListed) }
    }
}

fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("Bearer").then(|| token.trim()).filter(|token| !token.is_empty())
}

impl Senders {
    /// Whether this sender may send to that port.
    pub(crate) fn check(&self, port: &Port, sender: &Sender, headers: &HeaderMap) -> Result<(), NotAdmitted> {
        match port {
            Port::Gateway => self.gateway.check(sender, headers),
            Port::Tap(tap) => self.taps.get(&**tap).map_or(Ok(()), |admission| admission.check(sender, headers)),
        }
    }
}

impl NotAdmitted {
    /// For the sender: what it can do.
    pub(crate) fn words(self) -> &'static str {
        match self {
            NotAdmitted::Unknown => "this port takes known senders alone: show a certificate or a bearer token",
            NotAdmitted::NotListed => "this sender is not on the list of this port",
        }
    }

    /// For the record: what happened where.
    pub(crate) fn reason(self, port: &Port) -> String {
        let what = match self {
            NotAdmitted::Unknown => "a sender that shows neither a certificate nor a token",
            NotAdmitted::NotListed => "a sender that is not on the list",
        };
        match port {
            Port::Gateway => format!("{what}, at the gateway"),
            Port::Tap(tap) => format!("{what}, at tap {tap}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(port: &Port, certificate: Option<&str>, authorization: Option<&str>, expected: Result<(), NotAdmitted>) {
        let names = |names: &[&str]| names.iter().map(|name| Names::read(name).unwrap()).collect();
        let blue = Admission { clients: names(&["spiffe://corp.example/blue", "CN=blue"]), tokens: Vec::new() };
        let tokens = vec![Admission::digest("first"), Admission::digest("second")];
        let green = Admission { clients: names(&["spiffe://corp.example/green"]), tokens };
        let taps = BTreeMap::from([("blue".to_owned(), blue), ("green".to_owned(), green)]);
        let senders = Senders { gateway: Admission::default(), taps };
        let certificate = certificate.map(|name| Names::read(name).unwrap());
        let headers = authorization.map(|value| (AUTHORIZATION, value.parse().unwrap())).into_iter().collect();
        let found = senders.check(port, &Sender { from: None, certificate }, &headers);
        assert_eq!(found, expected, "{port:?} {headers:?}");
    }

    #[test]
    fn each_port_takes_whom_its_list_names() {
        let (blue, green, red) = (Port::Tap("blue".into()), Port::Tap("green".into()), Port::Tap("red".into()));
        let (unknown, not_listed) = (Err(NotAdmitted::Unknown), Err(NotAdmitted::NotListed));
        check(&Port::Gateway, None, None, Ok(()));
        check(&red, None, None, Ok(()));
        check(&blue, Some("spiffe://corp.example/blue"), None, Ok(()));
        check(&blue, Some("CN=blue"), None, Ok(()));
        check(&green, Some("spiffe://corp.example/blue"), None, not_listed);
        check(&blue, Some("spiffe://corp.example/green"), None, not_listed);
        check(&blue, Some("spiffe://corp.example/blue/x"), None, not_listed);
        check(&blue, None, None, unknown);
        check(&green, None, Some("Bearer first"), Ok(()));
        check(&green, None, Some("bearer second"), Ok(()));
        check(&green, Some("CN=blue"), Some("Bearer second"), Ok(()));
        for wrong in ["Bearer third", "Bearer ", "Bearer", "first", "Basic first", "Bearer first second"] {
            check(&green, None, Some(wrong), not_listed);
        }
        check(&blue, None, Some("Bearer first"), not_listed);
    }
}
