//! `clients` and `tokens` of `listen` and of taps: who may send there.

use super::principals::Identified;
use crate::private_file;
use anyhow::Context;
use gateway::{Admission, Senders};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use tls::Names;
use web::Identity;

/// A pipeline's replicas share a name; this many names are a fleet's.
const MAX_CLIENTS: usize = 256;
/// The one in force, the next one, and some more.
const MAX_TOKENS: usize = 16;
/// 128 bits as hexadecimal digits are 32 letters.
const TOKEN_BYTES: (usize, usize) = (32, 1_024);
/// In the place of a certificate's name: all names of a principal.
const PRINCIPAL: &str = "principal:";

/// Who may send to one pair of ports; everybody whom TLS lets in, if nobody is named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Admitted {
    /// The names of certificates.
    pub clients: BTreeSet<Names>,
    /// Files with a token each.
    pub tokens: Vec<PathBuf>,
}

/// Who may send where.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sending {
    /// To the gateway's own ports.
    pub gateway: Admitted,
    /// To taps, by their names.
    pub taps: BTreeMap<String, Admitted>,
}

impl Admitted {
    /// Relative paths start from the folder. `verified` is whether certificates are verified at all.
    pub(super) fn read(
        clients: &[String],
        tokens: &[PathBuf],
        verified: bool,
        (folder, identities): (&Path, &Identified),
    ) -> Result<Admitted, String> {
        if !clients.is_empty() && !verified {
            return Err("clients: found names without tls.clientCa, expected the authority that signs them".to_owned());
        }
        if clients.len() > MAX_CLIENTS || tokens.len() > MAX_TOKENS {
            return Err(format!("expected {MAX_CLIENTS} clients and {MAX_TOKENS} tokens at most"));
        }
        let mut names = BTreeSet::new();
        for (at, text) in clients.iter().enumerate() {
            let Some(principal) = text.strip_prefix(PRINCIPAL) else {
                let read = Names::read(text);
                names.insert(read.map_err(|expected| format!("clients[{at}]: found {text:?}, expected {expected}"))?);
                continue;
            };
            let before = names.len();
            names.extend(identities.iter().filter_map(|(identity, name)| match identity {
                Identity::Certificate(names) if name == principal => Some(names.clone()),
                Identity::Certificate(_) | Identity::OperatorToken | Identity::Oidc { .. } => None,
            }));
            if names.len() == before {
                let expected = "expected a principal that has `spiffe` or `subjects`, and is not named here otherwise";
                return Err(format!("clients[{at}]: found {text:?}, {expected}"));
            }
        }
        Ok(Admitted { clients: names, tokens: tokens.iter().map(|path| folder.join(path)).collect() })
    }

    fn admission(&self) -> anyhow::Result<Admission> {
        let token = |path: &PathBuf| token(path).with_context(|| path.display().to_string());
        let tokens = self.tokens.iter().map(token).collect::<anyhow::Result<_>>()?;
        Ok(Admission { clients: self.clients.clone(), tokens })
    }
}

impl Sending {
    /// With the tokens that are in the files now. Blocking.
    pub fn senders(&self) -> anyhow::Result<Senders> {
        let tap = |(name, admitted): (&String, &Admitted)| {
            let admission = admitted.admission().with_context(|| format!("taps.{name}.tokens"))?;
            Ok((name.clone(), admission))
        };
        let taps = self.taps.iter().map(tap).collect::<anyhow::Result<_>>()?;
        Ok(Senders { gateway: self.gateway.admission().context("listen.tokens")?, taps })
    }
}

/// The digest of the token in a file. Blocking.
pub fn token(path: &Path) -> anyhow::Result<[u8; 32]> {
    let (least, most) = TOKEN_BYTES;
    let advice = "chmod it, and make a new token if others could read it";
    let token = private_file::token(File::open(path)?, TOKEN_BYTES, advice)?;
    let token = token.with_context(|| format!("expected one token of {least} to {most} letters on one line"))?;
    Ok(Admission::digest(&token))
}
