//! `web` in `verdigris.yaml`: where the pages and the API are, and how people and programs show who they are.

use super::endpoint::{RawClientTls, RawServerTls};
use gateway::ServerFiles;
use serde::Deserialize;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use web::{Alg, KeysAt, Pinned};

/// Names by which a server is reached: some of its own, and those of load balancers.
const MAX_NAMES: usize = 32;

/// The section as it stands.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct RawWeb {
    #[serde(default = "super::default_true")]
    enabled: bool,
    #[serde(default = "listen")]
    listen: SocketAddr,
    #[serde(default)]
    names: Vec<String>,
    #[serde(default)]
    tls: Option<RawServerTls>,
    #[serde(default = "super::default_true")]
    operator_token: bool,
    #[serde(default)]
    oidc: Option<RawOidc>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawOidc {
    issuer: String,
    audience: String,
    keys: String,
    #[serde(default)]
    tls: Option<RawClientTls>,
    #[serde(default)]
    algorithms: Option<Vec<Alg>>,
    #[serde(default)]
    types: Option<Vec<String>>,
    #[serde(default)]
    claim: Option<String>,
}

impl Default for RawWeb {
    fn default() -> RawWeb {
        RawWeb { enabled: true, listen: listen(), names: Vec::new(), tls: None, operator_token: true, oidc: None }
    }
}

fn listen() -> SocketAddr {
    ([127, 0, 0, 1], 4321).into()
}

/// Where the pages and the API are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Web {
    /// The port.
    pub listen: SocketAddr,
    /// By which names it is reached, beside those of loopback.
    pub names: Vec<String>,
    /// With these it speaks TLS.
    pub tls: Option<ServerFiles>,
    /// Whether there is an operator token.
    pub operator_token: bool,
    /// The issuer whose tokens count.
    pub oidc: Option<(Pinned, KeysAt)>,
}

impl RawWeb {
    /// None if it is switched off. Relative paths start from the folder.
    pub(super) fn read(self, folder: &Path) -> Result<Option<Web>, String> {
        let RawWeb { enabled, listen, mut names, tls, operator_token, oidc } = self;
        if !enabled {
            return Ok(None);
        }
        let (address, tls) = (listen.ip(), tls.map(|tls| tls.files(folder)));
        if !address.is_loopback() && tls.is_none() {
            return Err(format!(
                "web.listen: found {listen} without web.tls: tokens and cookies would pass in clear text; set web.tls, or \
                 an address of loopback"
            ));
        }
        let is_name = |name: &String| {
            let inner = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(name);
            let known = |c: char| c.is_ascii_alphanumeric() || "-.".contains(c) || (inner != name && c == ':');
            !inner.is_empty() && name.len() <= 253 && inner.chars().all(known)
        };
        if let Some(wrong) = names.iter().find(|name| !is_name(name)) {
            return Err(format!("web.names: found {wrong:?}, expected a host's name or address without a port"));
        }
        if names.len() > MAX_NAMES {
            return Err(format!("web.names: found {}, expected {MAX_NAMES} at most", names.len()));
        }
        if names.is_empty() && address.is_unspecified() {
            return Err(format!(
                "web.names: found none for {listen}, expected the names by which browsers reach this server, such as \
                 [verdigris.example]"
            ));
        }
        if !address.is_unspecified() && !address.is_loopback() {
            names.push(if address.is_ipv6() { format!("[{address}]") } else { address.to_string() });
        }
        let oidc = oidc.map(|oidc| oidc.read(folder)).transpose().map_err(|error| format!("web.oidc.{error}"))?;
        let has_client_ca = tls.as_ref().is_some_and(|tls| tls.client_ca.is_some());
        if !operator_token && oidc.is_none() && !has_client_ca {
            let expected = "expected web.oidc or web.tls.clientCa beside it, or nobody could come in";
            return Err(format!("web.operatorToken: found false, {expected}"));
        }
        Ok(Some(Web { listen, names, tls, operator_token, oidc }))
    }
}

impl RawOidc {
    fn read(self, folder: &Path) -> Result<(Pinned, KeysAt), String> {
        let RawOidc { issuer, audience, keys, tls, algorithms, types, claim } = self;
        let claim = claim.unwrap_or_else(|| "sub".to_owned());
        let words = [("issuer", &issuer, 1_024), ("audience", &audience, 1_024), ("claim", &claim, 128)];
        for (name, text, most) in words {
            if text.is_empty() || text.len() > most || text.contains(|c: char| c.is_control() || c.is_whitespace()) {
                return Err(format!("{name}: found {text:?}, expected 1 to {most} bytes without spaces"));
            }
        }
        let algorithms = algorithms.unwrap_or_else(|| Alg::ALL.to_vec());
        let types = types.unwrap_or_else(|| vec!["at+jwt".to_owned()]);
        if algorithms.is_empty() || types.is_empty() || types.len() > 8 {
            return Err("algorithms, types: expected at least one of each, and 8 types at most".to_owned());
        }
        let at = match (keys.contains("://"), tls) {
            (true, tls) => {
                if !keys.starts_with("https://") {
                    return Err(format!("keys: found {keys:?}, expected a file or an https:// URL"));
                }
                let tls = tls.map(|tls| tls.files(folder)).transpose().map_err(|what| format!("tls: {what}"))?;
                KeysAt::Url { url: keys, tls: tls.unwrap_or_default() }
            }
            (false, None) => KeysAt::File(folder.join(PathBuf::from(keys))),
            (false, Some(_)) => return Err("tls: found it beside a file of keys, expected none".to_owned()),
        };
        let types = types.into_iter().map(|typ| typ.to_ascii_lowercase()).collect();
        Ok((Pinned { issuer, audience, algorithms, types, claim }, at))
    }
}
