//! `ledger.key` and `ledger.nextKey` in `verdigris.yaml`: where the keys are that sign the ledger's checkpoints.

use super::witnesses::RawLedger;
use crate::system::KEY_FILE;
use keys::{KeySource, SecretFrom, TokenAt};
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// `ledger.key`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct RawKey {
    #[serde(default)]
    file: Option<PathBuf>,
    #[serde(default)]
    passphrase: Option<RawSecret>,
    #[serde(default)]
    pkcs11: Option<RawToken>,
}

/// Where a passphrase or PIN is: `{ file: … }`, `{ env: NAME }` or `prompt`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
enum RawSecret {
    File(PathBuf),
    Env(String),
    Prompt,
}

/// `ledger.key.pkcs11`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawToken {
    module: PathBuf,
    token: String,
    key: String,
    pin: RawSecret,
}

impl RawLedger {
    /// The key, in the data folder if nothing else is said, and the one that is to follow it. Relative paths start from the
    /// folder.
    pub(super) fn keys(&self, folder: &Path, data: &Path) -> Result<(KeySource, Option<KeySource>), String> {
        let default = || data.join(KEY_FILE);
        let key = match &self.key {
            None => KeySource::File { path: default(), passphrase: None },
            Some(raw) => raw.source(folder, Some(default())).map_err(|error| format!("ledger.key{error}"))?,
        };
        let next = self.next_key.as_ref().map(|raw| raw.source(folder, None));
        let next = next.transpose().map_err(|error| format!("ledger.nextKey{error}"))?;
        if next.as_ref() == Some(&key) {
            return Err("ledger.nextKey: it is ledger.key too, expected another one".to_owned());
        }
        Ok((key, next))
    }
}

impl RawKey {
    fn source(&self, folder: &Path, default: Option<PathBuf>) -> Result<KeySource, String> {
        let secret = |raw: &RawSecret| match raw {
            RawSecret::File(path) => SecretFrom::File(folder.join(path)),
            RawSecret::Env(name) => SecretFrom::Variable(name.clone()),
            RawSecret::Prompt => SecretFrom::Terminal,
        };
        match (self, default) {
            (RawKey { file: None, passphrase: None, pkcs11: Some(raw) }, _) => {
                if raw.token.trim().is_empty() || raw.key.is_empty() {
                    return Err(".pkcs11: expected the labels of the token and of the key in it".to_owned());
                }
                let (token, key) = (raw.token.trim_end().to_owned(), raw.key.clone());
                let at = TokenAt { module: folder.join(&raw.module), token, key };
                Ok(KeySource::Token { at, pin: secret(&raw.pin) })
            }
            (RawKey { pkcs11: Some(_), .. }, _) => {
                Err(": found pkcs11 beside file or passphrase, expected one place for the key".to_owned())
            }
            (RawKey { file: Some(file), passphrase, pkcs11: None }, _) => {
                Ok(KeySource::File { path: folder.join(file), passphrase: passphrase.as_ref().map(secret) })
            }
            (RawKey { file: None, passphrase, pkcs11: None }, Some(path)) => {
                Ok(KeySource::File { path, passphrase: passphrase.as_ref().map(secret) })
            }
            (RawKey { file: None, pkcs11: None, .. }, None) => Err(": expected file or pkcs11".to_owned()),
        }
    }
}
