//! Which versions of TLS and which weak ciphers an endpoint accepts, and what its certificate says.

use super::CONNECTION_LIMIT;
use super::endpoint::Endpoint;
use model::{Protocol, UnixMillis};
use posture::hello::{Answer, ClientHello, Family, MAX_ANSWER_BYTES, WEAK, client_hello, read, usual_suites};
use posture::{Certificate, Fact, Setting, TlsVersion, Value};
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use tls::TrustError;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

/// Not secret: no handshake is finished.
const RANDOM: [u8; 32] = *b"Verdigris asks what is accepted.";

/// What the handshakes told.
pub(super) struct Shaken {
    accepted: BTreeSet<TlsVersion>,
    weak: BTreeSet<String>,
    /// Why some of it is not known.
    unknown: Option<String>,
}

/// What the certificate told.
pub(super) struct Shown {
    pub facts: Vec<(Setting, Fact)>,
    pub certificate: Option<Certificate>,
    /// One of our authorities signed it, it holds today, and is for the name: then an export can be sent.
    pub is_trusted: bool,
}

/// What one hello came to.
enum Said {
    Hello {
        version: Option<TlsVersion>,
        suite: u16,
    },
    Refused,
    /// Nothing within the time: neither is known.
    Nothing,
}

/// Offers every version, then every weak family: 13 connections, one after the other.
pub(super) async fn ask(endpoint: &Endpoint) -> Shaken {
    let mut shaken = Shaken { accepted: BTreeSet::new(), weak: BTreeSet::new(), unknown: None };
    for version in TlsVersion::ALL {
        match offer(endpoint, version, usual_suites(version)).await {
            Said::Hello { version, .. } => shaken.accepted.extend(version),
            Said::Refused => {}
            Said::Nothing => shaken.did_not_answer(version.name()),
        }
    }
    let legacy = shaken.accepted.iter().rev().copied().find(|version| *version <= TlsVersion::Tls12);
    // A server that speaks none of the older versions has none of their ciphers.
    let Some(legacy) = legacy else { return shaken };
    for Family { name, suites } in WEAK {
        match offer(endpoint, legacy, suites).await {
            Said::Hello { suite, .. } if suites.contains(&suite) => drop(shaken.weak.insert(name.to_owned())),
            Said::Hello { .. } | Said::Refused => {}
            Said::Nothing => shaken.did_not_answer(name),
        }
    }
    shaken
}

/// A server that closes or resets the connection refuses, as old ones do.
async fn offer(endpoint: &Endpoint, version: TlsVersion, suites: &[u16]) -> Said {
    let host = endpoint.name.parse::<IpAddr>().is_err().then_some(endpoint.name.as_str());
    let alpn: &[u8] = match endpoint.protocol {
        Protocol::Grpc => b"h2",
        Protocol::Http => b"http/1.1",
    };
    let hello = client_hello(&ClientHello { version, suites, host, alpn, random: RANDOM });
    let exchange = async {
        let Ok(mut stream) = endpoint.connect().await else { return Said::Nothing };
        if stream.write_all(&hello).await.is_err() {
            return Said::Refused;
        }
        let mut answer = Vec::new();
        loop {
            let mut part = [0; 2_048];
            let Ok(length @ 1..) = stream.read(&mut part).await else { return Said::Refused };
            answer.extend_from_slice(&part[..length]);
            match read(&answer) {
                Ok(None) if answer.len() < MAX_ANSWER_BYTES => {}
                Ok(Some(Answer::Hello { version, suite })) => return Said::Hello { version, suite },
                Ok(Some(Answer::Alert { .. }) | None) | Err(_) => return Said::Refused,
            }
        }
    };
    timeout(CONNECTION_LIMIT, exchange).await.unwrap_or(Said::Nothing)
}

impl Shaken {
    fn did_not_answer(&mut self, offered: &str) {
        self.unknown.get_or_insert_with(|| format!("offered {offered}, it did not answer in time"));
    }

    pub(super) fn is_offered(&self) -> bool {
        !self.accepted.is_empty()
    }

    pub(super) fn facts(&self) -> Vec<(Setting, Fact)> {
        let (Some(oldest), Some(newest)) = (self.accepted.first(), self.accepted.last()) else {
            let offered = match &self.unknown {
                Some(why) => Fact::Unknown { why: why.clone() },
                None => Fact::known(Value::Holds(false), "it refused every version"),
            };
            let absent = [Setting::TlsMinVersion, Setting::TlsMaxVersion, Setting::TlsCiphers];
            let absent = absent.into_iter().map(|setting| (setting, Fact::Absent));
            return absent.chain([(Setting::TlsOffered, offered)]).collect();
        };
        let versions: Vec<&str> = self.accepted.iter().map(|version| version.name()).collect();
        let versions = format!("accepted {}", versions.join(", "));
        let sure = |value: Value, seen: String| match &self.unknown {
            Some(why) => Fact::Unknown { why: why.clone() },
            None => Fact::known(value, seen),
        };
        let weak = format!("{} of {} weak families accepted", self.weak.len(), WEAK.len());
        vec![
            (Setting::TlsOffered, Fact::known(Value::Holds(true), versions.clone())),
            (Setting::TlsMinVersion, sure(Value::Version(*oldest), versions.clone())),
            (Setting::TlsMaxVersion, sure(Value::Version(*newest), versions)),
            (Setting::TlsCiphers, sure(Value::Accepts(self.weak.clone()), weak)),
        ]
    }
}

const OF_CERTIFICATES: [Setting; 5] = [
    Setting::CertificateTrusted,
    Setting::CertificateValidity,
    Setting::CertificateNames,
    Setting::CertificateSignature,
    Setting::TlsKeyBits,
];

/// Looks at the certificate, where there is TLS.
pub(super) async fn certificate(endpoint: &Endpoint, shaken: &Shaken, now: UnixMillis) -> Shown {
    let nothing = |fact: Fact| {
        let facts = OF_CERTIFICATES.into_iter().map(|setting| (setting, fact.clone())).collect();
        Shown { facts, certificate: None, is_trusted: false }
    };
    if !shaken.is_offered() {
        return nothing(Fact::Absent);
    }
    let client = &endpoint.anonymous;
    let look = async {
        let stream = endpoint.connect().await.map_err(|error| error.to_string())?;
        client.shown(stream).await.map_err(|error| error.to_string())
    };
    let chain = match timeout(CONNECTION_LIMIT, look).await {
        Ok(Ok(chain)) => chain,
        // A server that speaks TLS 1.1 and nothing newer, or that wants what rustls does not offer.
        Ok(Err(why)) => return nothing(Fact::Unknown { why }),
        Err(_) => return nothing(Fact::Unknown { why: "it did not show it in time".to_owned() }),
    };
    let Some(own) = chain.first() else {
        return nothing(Fact::Unknown { why: "it shows none".to_owned() });
    };
    let certificate = match Certificate::read(own) {
        Ok(certificate) => certificate,
        Err(error) => return nothing(Fact::Unknown { why: error.to_string() }),
    };
    let mut facts = certificate.facts(&endpoint.name, now).to_vec();
    // At a moment when it holds: that it does not hold now is told by `tls.certificate.validity`.
    let holds_at = now.0.clamp(certificate.not_before.0.min(certificate.not_after.0), certificate.not_after.0) / 1_000;
    let client = Arc::clone(client);
    let trusted = tokio::task::spawn_blocking(move || client.trusts(&chain, holds_at)).await;
    let trusted = match trusted.expect("looking at authorities neither panics nor is cancelled") {
        Ok(()) => Fact::known(Value::Holds(true), "an authority of the plan, or of the system, signed it"),
        Err(TrustError::Untrusted(why)) => Fact::known(Value::Holds(false), why),
        Err(error @ TrustError::Files(_)) => Fact::Failed { why: error.to_string() },
    };
    let is_trusted = matches!(&trusted, Fact::Known { value: Value::Holds(true), .. })
        && certificate.is_for(&endpoint.name)
        && certificate.not_before <= now
        && now <= certificate.not_after;
    facts.push((Setting::CertificateTrusted, trusted));
    Shown { facts, certificate: Some(certificate), is_trusted }
}
