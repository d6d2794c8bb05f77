//! Endpoints in `verdigris.yaml`, with their TLS and compression: the same keys as in a plan.

use gateway::ServerFiles;
use model::{ClientTls, Compression, Protocol, TlsIdentity, Transport, Upstream};
use rollout::plan::TextOr;
use serde::Deserialize;
use serde_saphyr::Spanned;
use std::path::{Path, PathBuf};

/// `tls` of `listen` and of a tap.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct RawServerTls {
    cert: PathBuf,
    key: PathBuf,
    #[serde(default)]
    client_ca: Option<PathBuf>,
}

/// `serving`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawServing {
    otlp: RawEndpoint,
    #[serde(default)]
    tap: Option<String>,
    #[serde(default)]
    backend: Option<TextOr<RawEndpoint>>,
}

/// `serving.otlp` and `serving.backend`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawEndpoint {
    #[serde(default)]
    grpc: Option<String>,
    #[serde(default)]
    http: Option<String>,
    #[serde(default)]
    others: Vec<String>,
    #[serde(default)]
    tls: Option<Spanned<RawClientTls>>,
    #[serde(default)]
    compression: Compression,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct RawClientTls {
    #[serde(default)]
    ca: Option<String>,
    #[serde(default)]
    cert: Option<String>,
    #[serde(default)]
    key: Option<String>,
    #[serde(default)]
    server_name: Option<String>,
}

impl RawServerTls {
    /// Whether clients must show a certificate.
    pub(super) fn verifies(&self) -> bool {
        self.client_ca.is_some()
    }

    /// Relative paths start from the folder.
    pub(super) fn files(self, folder: &Path) -> ServerFiles {
        let RawServerTls { cert, key, client_ca } = self;
        let client_ca = client_ca.map(|path| folder.join(path));
        ServerFiles { cert: folder.join(cert), key: folder.join(key), client_ca }
    }
}

impl RawClientTls {
    /// With its paths as they stand.
    fn settings(self) -> Result<ClientTls, &'static str> {
        let RawClientTls { ca, cert, key, server_name } = self;
        let identity = match (cert, key) {
            (Some(cert), Some(key)) => Some(TlsIdentity { cert, key }),
            (None, None) => None,
            (Some(_), None) => return Err("found cert without key, expected both or neither"),
            (None, Some(_)) => return Err("found key without cert, expected both or neither"),
        };
        Ok(ClientTls { ca, identity, server_name })
    }

    /// Relative paths start from the folder.
    pub(super) fn files(self, folder: &Path) -> Result<ClientTls, &'static str> {
        let ClientTls { ca, identity, server_name } = self.settings()?;
        let under = |path: String| folder.join(path).display().to_string();
        let identity = identity.map(|TlsIdentity { cert, key }| TlsIdentity { cert: under(cert), key: under(key) });
        Ok(ClientTls { ca: ca.map(under), identity, server_name })
    }
}

impl RawServing {
    /// With its paths as they stand.
    pub(super) fn upstream(self) -> Result<Upstream, String> {
        let others = self.otlp.others.clone();
        let (protocol, endpoint, transport) = self.otlp.read("serving.otlp")?;
        let (backend, backend_transport) = match self.backend {
            None => (None, Transport::default()),
            Some(TextOr::Text(backend)) => (Some(backend), Transport::default()),
            Some(TextOr::Keys(keys)) if !keys.others.is_empty() => {
                return Err("serving.backend.others: found endpoints, expected none: a back end has one".to_owned());
            }
            Some(TextOr::Keys(keys)) => match keys.read("serving.backend")? {
                (Protocol::Grpc, backend, transport) => (Some(backend), transport),
                (Protocol::Http, _, _) => {
                    return Err("serving.backend: found http, expected grpc: a back end takes OTLP/gRPC".to_owned());
                }
            },
        };
        let tap = self.tap.unwrap_or_else(|| "blue".to_owned());
        Ok(Upstream { endpoint, others, protocol, transport, tap, backend, backend_transport })
    }
}

impl RawEndpoint {
    fn read(self, name: &str) -> Result<(Protocol, String, Transport), String> {
        let (endpoint, protocol) = match (self.grpc, self.http) {
            (Some(endpoint), None) => (endpoint, Protocol::Grpc),
            (None, Some(endpoint)) => (endpoint, Protocol::Http),
            (Some(_), Some(_)) | (None, None) => {
                return Err(format!(
                    "{name}: expected exactly one of grpc and http, such as {{ grpc: \"http://127.0.0.1:14317\" }}"
                ));
            }
        };
        let mut tls = ClientTls::default();
        if let Some(raw) = self.tls {
            let refused = |what: &str| {
                let at = raw.referenced;
                Err(format!("{name}.tls: {what} at line {}, column {}", at.line(), at.column()))
            };
            if !endpoint.starts_with("https://") {
                return refused("found tls for an endpoint without https://, expected none");
            }
            tls = match raw.value.settings() {
                Ok(settings) => settings,
                Err(what) => return refused(what),
            };
        }
        Ok((protocol, endpoint, Transport { tls, compression: self.compression }))
    }
}
