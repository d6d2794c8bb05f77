//! `verdigris ledger rotate-key` and `verdigris ledger key …`: what is done to the key that signs, while no server runs on it.

use crate::cli::{Format, Key, KeyFile, RotateKey};
use crate::clock;
use crate::config::Config;
use crate::describe::{Exit, Failed, say};
use crate::signing;
use crate::system::{LEDGER_DIR, say_of_keys};
use anyhow::Context;
use keys::{AgeFile, PlainFile, SecretFrom, Settled};
use serde_json::json;
use store::Store;

/// Has another key sign from here on. What a crash leaves of it is completed or undone by the next call, and by the server.
pub(super) fn rotate(command: &RotateKey, format: Format) -> Result<Exit, Failed> {
    let config = Config::read(&command.config)?;
    let mut keyring = signing::open(&config)?;
    if !keyring.is_there() {
        return Err(Failed::usage(format!("{} is not there: there is no key to change", keyring.place())));
    }
    let dir = config.data.join(LEDGER_DIR);
    let signers = keyring.make(clock::random())?;
    let old = signers.current.verifier().clone();
    let (mut store, _) = Store::open(&dir, signers)?;
    let (entry, new) = match *store.verifier() == old {
        true => {
            let next = keyring.make_next(clock::random())?;
            let entry = control::rotate_key(&mut store, next, clock::now(), principal(&config))?;
            (Some(entry), store.verifier().clone())
        }
        // An earlier call came as far as the ledger.
        false => (None, store.verifier().clone()),
    };
    let settled = keyring.settle(&new)?;
    drop(store);
    say_of_keys(&settled, &new);
    match format {
        Format::Json => say(format_args!(
            "{}",
            json!({ "entry": entry, "old": old.to_string(), "new": new.to_string(), "ledger": dir })
        )),
        Format::Text => {
            match entry {
                Some(entry) => {
                    say(format_args!("the key was changed at entry {entry}, under a checkpoint that both signed"))
                }
                None => say(format_args!("a change of the key that was interrupted is complete")),
            }
            say(format_args!("  before  {old}"));
            say(format_args!("  now     {new}"));
            if settled == Settled::GoneOn {
                say(format_args!("  next    name `ledger.nextKey` as `ledger.key` in {}", command.config.display()));
            }
            say(format_args!("give the new key to the witnesses (`--log`) and to whoever audits; with the old one"));
            say(format_args!("`verdigris ledger verify` finds the way to it by itself"));
        }
    }
    Ok(Exit::Done)
}

/// Who runs this, as the server would name them.
fn principal(config: &Config) -> String {
    let uid = rustix::process::getuid().as_raw();
    let known = config.principals.iter().find(|known| known.uids.contains(&uid));
    known.map_or_else(|| format!("uid:{uid}"), |known| known.name.clone())
}

/// Runs `verdigris ledger key …`.
pub(super) fn run(command: &Key, format: Format) -> Result<Exit, Failed> {
    let (key, place) = match command {
        Key::Encrypt(at) => {
            let encoding = AgeFile::new(passphrase(at, true)?);
            let key = store::rewrite_signing_key(&at.file, &PlainFile, &encoding)?;
            (key.verifier().clone(), format!("{}, encrypted", at.file.display()))
        }
        Key::Decrypt(at) => {
            let encoding = AgeFile::new(passphrase(at, false)?);
            let key = store::rewrite_signing_key(&at.file, &encoding, &PlainFile)?;
            (key.verifier().clone(), format!("{}, not encrypted", at.file.display()))
        }
        Key::Show { config } => {
            let config = Config::read(config)?;
            let mut keyring = signing::open(&config)?;
            if !keyring.is_there() {
                return Err(Failed::usage(format!("{} is not there yet: the server makes it", keyring.place())));
            }
            let key = keyring.make(clock::random()).context("the ledger's signing key")?.current.verifier().clone();
            (key, keyring.place().to_owned())
        }
    };
    match format {
        Format::Json => say(format_args!("{}", json!({ "verifierKey": key.to_string(), "place": place }))),
        Format::Text => {
            say(format_args!("the private key: {place}"));
            say(format_args!("  verify it  {key}"));
        }
    }
    Ok(Exit::Done)
}

fn passphrase(at: &KeyFile, is_new: bool) -> Result<keys::Secret, Failed> {
    let from = at.passphrase_file.clone().map_or(SecretFrom::Terminal, SecretFrom::File);
    let secret = from.read(&format!("passphrase of {}", at.file.display()), is_new);
    secret.map_err(|error| Failed::usage(model::with_causes(&error)))
}
