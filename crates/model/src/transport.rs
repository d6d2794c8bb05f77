use serde::{Deserialize, Serialize};
use std::path::Path;

/// How requests travel to an endpoint, beyond its address and protocol.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Transport {
    /// What TLS needs beyond the defaults; of `https://` endpoints alone.
    #[serde(skip_serializing_if = "ClientTls::is_default", default)]
    pub tls: ClientTls,
    /// How bodies are compressed on the way.
    #[serde(skip_serializing_if = "Compression::is_none", default)]
    pub compression: Compression,
}

/// How an `https://` endpoint is verified, and how we show who we are. Paths only: what is in the files goes into no
/// plan, ledger or log. Nothing here switches verification off.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClientTls {
    /// The authorities that may have signed the endpoint's certificate, as PEM; without it the system's.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub ca: Option<String>,
    /// What we show the endpoint.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub identity: Option<TlsIdentity>,
    /// The name that the endpoint's certificate must be for, instead of the endpoint's host.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub server_name: Option<String>,
}

/// A certificate and its private key, each the path of a PEM file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TlsIdentity {
    /// The certificate, with those that lead to the authority behind it.
    pub cert: String,
    /// Its private key.
    pub key: String,
}

/// How a body is compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// gzip (RFC 1952).
    Gzip,
    /// Zstandard (RFC 8878).
    Zstd,
}

impl Compression {
    /// All of them, in the order in which messages name them.
    pub const ALL: [Compression; 3] = [Compression::None, Compression::Gzip, Compression::Zstd];

    /// As plans write it.
    pub fn name(self) -> &'static str {
        match self {
            Compression::None => "none",
            Compression::Gzip => "gzip",
            Compression::Zstd => "zstd",
        }
    }

    /// As `content-encoding` and `grpc-encoding` write it.
    pub fn encoding(self) -> &'static str {
        match self {
            Compression::None => "identity",
            Compression::Gzip => "gzip",
            Compression::Zstd => "zstd",
        }
    }

    /// Whether bodies go as they are.
    pub fn is_none(&self) -> bool {
        *self == Compression::None
    }
}

impl Transport {
    /// Whether there is nothing to say.
    pub fn is_default(&self) -> bool {
        *self == Transport::default()
    }

    /// The same with its relative paths starting from `folder`.
    pub fn under(&self, folder: &Path) -> Transport {
        Transport { tls: self.tls.under(folder), compression: self.compression }
    }
}

impl ClientTls {
    /// Whether nothing is set: the system's roots, the endpoint's own name, no certificate of ours.
    pub fn is_default(&self) -> bool {
        *self == ClientTls::default()
    }

    /// The same with its relative paths starting from `folder`.
    pub fn under(&self, folder: &Path) -> ClientTls {
        let join = |path: &String| folder.join(path).to_string_lossy().into_owned();
        let ClientTls { ca, identity, server_name } = self;
        let identity =
            identity.as_ref().map(|TlsIdentity { cert, key }| TlsIdentity { cert: join(cert), key: join(key) });
        ClientTls { ca: ca.as_ref().map(join), identity, server_name: server_name.clone() }
    }
}
