//! The keys that sign the ledger, as `verdigris.yaml` names them.

use crate::config::Config;
use crate::system::PUBLIC_KEY_FILE;
use anyhow::Context;
use keys::Keyring;
use ledger::KeyName;

/// Has the keys that are there, and what opens them: reads files, opens tokens, asks at the terminal. Blocks.
pub fn open(config: &Config) -> anyhow::Result<Keyring> {
    let origin = KeyName::new(&config.name)?;
    let public = config.data.join(PUBLIC_KEY_FILE);
    let opened = Keyring::open(&config.key, config.next_key.as_ref(), &public, origin);
    opened.context("the ledger's signing key")
}
