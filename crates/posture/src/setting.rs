//! What is compared of two environments, by the names that plans, policies and evidence use.

use crate::value::{Validity, Value};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;

/// One thing about an endpoint that can be safer or less safe. In the order in which reasons name them: what explains
/// the others comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Setting {
    /// Whether TLS is spoken at all. [`Value::Holds`].
    #[serde(rename = "tls.offered")]
    TlsOffered,
    /// Whether clear text is refused. [`Value::Holds`].
    #[serde(rename = "tls.required")]
    TlsRequired,
    /// Whether a client without a certificate is refused. [`Value::Holds`].
    #[serde(rename = "client.certificateRequired")]
    ClientCertificateRequired,
    /// Whether a request without a token is refused. [`Value::Holds`].
    #[serde(rename = "auth.required")]
    AuthRequired,
    /// The oldest version of TLS that is accepted. [`Value::Version`].
    #[serde(rename = "tls.minVersion")]
    TlsMinVersion,
    /// The newest version of TLS that is accepted. [`Value::Version`].
    #[serde(rename = "tls.maxVersion")]
    TlsMaxVersion,
    /// The weak families of ciphers that are accepted. [`Value::Accepts`].
    #[serde(rename = "tls.ciphers")]
    TlsCiphers,
    /// Whether a trusted authority signed the certificate. [`Value::Holds`].
    #[serde(rename = "tls.certificate.trusted")]
    CertificateTrusted,
    /// Whether the certificate holds today. [`Value::Validity`].
    #[serde(rename = "tls.certificate.validity")]
    CertificateValidity,
    /// Whether the certificate is for the name that is asked for. [`Value::Holds`].
    #[serde(rename = "tls.certificate.names")]
    CertificateNames,
    /// Bits of strength of the signature on the certificate. [`Value::Strength`].
    #[serde(rename = "tls.certificate.signature")]
    CertificateSignature,
    /// Bits of strength of the certificate's key. [`Value::Strength`].
    #[serde(rename = "tls.keyBits")]
    TlsKeyBits,
    /// Ports for debugging and profiling that are open. [`Value::Accepts`].
    #[serde(rename = "ports.debug")]
    PortsDebug,
    /// Whether what is redacted is hashed with a key: without one it can be guessed. [`Value::Holds`].
    #[serde(rename = "redaction.keyedHash")]
    RedactionKeyedHash,
    /// Whether answers keep the server's version to themselves. [`Value::Holds`].
    #[serde(rename = "banner.version")]
    BannerVersion,
}

impl Setting {
    /// All of them, in order.
    pub const ALL: [Setting; 15] = [
        Setting::TlsOffered,
        Setting::TlsRequired,
        Setting::ClientCertificateRequired,
        Setting::AuthRequired,
        Setting::TlsMinVersion,
        Setting::TlsMaxVersion,
        Setting::TlsCiphers,
        Setting::CertificateTrusted,
        Setting::CertificateValidity,
        Setting::CertificateNames,
        Setting::CertificateSignature,
        Setting::TlsKeyBits,
        Setting::PortsDebug,
        Setting::RedactionKeyedHash,
        Setting::BannerVersion,
    ];

    /// As plans, policies and evidence have it.
    pub fn name(self) -> &'static str {
        match self {
            Setting::TlsOffered => "tls.offered",
            Setting::TlsRequired => "tls.required",
            Setting::ClientCertificateRequired => "client.certificateRequired",
            Setting::AuthRequired => "auth.required",
            Setting::TlsMinVersion => "tls.minVersion",
            Setting::TlsMaxVersion => "tls.maxVersion",
            Setting::TlsCiphers => "tls.ciphers",
            Setting::CertificateTrusted => "tls.certificate.trusted",
            Setting::CertificateValidity => "tls.certificate.validity",
            Setting::CertificateNames => "tls.certificate.names",
            Setting::CertificateSignature => "tls.certificate.signature",
            Setting::TlsKeyBits => "tls.keyBits",
            Setting::PortsDebug => "ports.debug",
            Setting::RedactionKeyedHash => "redaction.keyedHash",
            Setting::BannerVersion => "banner.version",
        }
    }

    /// The setting of this name.
    pub fn named(name: &str) -> Option<Setting> {
        Setting::ALL.into_iter().find(|setting| setting.name() == name)
    }

    /// Whether only an endpoint that speaks TLS has it.
    pub fn is_of_tls(self) -> bool {
        match self {
            Setting::TlsMinVersion
            | Setting::TlsMaxVersion
            | Setting::TlsCiphers
            | Setting::CertificateTrusted
            | Setting::CertificateValidity
            | Setting::CertificateNames
            | Setting::CertificateSignature
            | Setting::TlsKeyBits => true,
            Setting::TlsOffered
            | Setting::TlsRequired
            | Setting::ClientCertificateRequired
            | Setting::AuthRequired
            | Setting::PortsDebug
            | Setting::RedactionKeyedHash
            | Setting::BannerVersion => false,
        }
    }

    /// What a server does that has this value: `takes requests in clear text`.
    pub fn phrase(self, value: &Value) -> String {
        match (self, value) {
            (_, Value::Holds(holds)) => self.whether(*holds).to_owned(),
            (Setting::TlsMaxVersion, Value::Version(version)) => format!("accepts no TLS newer than {version}"),
            (_, Value::Version(version)) => format!("accepts {version} and nothing older"),
            (Setting::PortsDebug, Value::Accepts(open)) => listed("has debugging ports open", open),
            (_, Value::Accepts(weak)) => listed("accepts weak ciphers", weak),
            (Setting::CertificateSignature, Value::Strength(bits)) => {
                format!("shows a certificate whose signature has {bits} bits of strength")
            }
            (_, Value::Strength(bits)) => format!("shows a certificate whose key has {bits} bits of strength"),
            (_, Value::Validity(Validity::Invalid)) => "shows a certificate that is not valid now".to_owned(),
            (_, Value::Validity(Validity::EndsSoon)) => "shows a certificate that expires soon".to_owned(),
            (_, Value::Validity(Validity::Valid)) => "shows a certificate that is valid".to_owned(),
        }
    }

    fn whether(self, holds: bool) -> &'static str {
        let (held, lacking) = match self {
            Setting::TlsOffered => ("speaks it", "speaks no TLS"),
            Setting::TlsRequired => ("refuses clear text", "takes requests in clear text"),
            Setting::ClientCertificateRequired => ("refuses them", "takes requests without a client certificate"),
            Setting::AuthRequired => ("refuses them", "takes requests without a token"),
            Setting::CertificateTrusted => {
                ("shows one that is trusted", "shows a certificate that no trusted authority signed")
            }
            Setting::CertificateNames => ("shows one for its own", "shows a certificate for another name"),
            Setting::RedactionKeyedHash => ("hashes with one", "hashes what it redacts without a key"),
            Setting::BannerVersion => ("keeps its own to itself", "tells its version to everybody"),
            Setting::TlsMinVersion
            | Setting::TlsMaxVersion
            | Setting::TlsCiphers
            | Setting::CertificateValidity
            | Setting::CertificateSignature
            | Setting::TlsKeyBits
            | Setting::PortsDebug => ("has it", "does without it"),
        };
        if holds { held } else { lacking }
    }
}

fn listed(what: &str, names: &BTreeSet<String>) -> String {
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    if names.is_empty() { format!("{}: none", what) } else { format!("{what}: {}", names.join(", ")) }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
