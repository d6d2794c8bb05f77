//! The files that a configuration names: there, readable, for nobody else where they are secret, and what they should be.
//! Asks for no passphrase and opens no token.

use super::{Finding, certificates};
use crate::config::Config;
use crate::notifying::{Target, place};
use keys::{KeySource, SecretFrom};
use ledger::KeyName;
use model::{ClientTls, with_causes};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use tls::{Alpn, Client, Server};

/// All of them. Blocking.
pub fn files(config: &Config) -> Vec<Finding> {
    let mut found = Vec::new();
    let taps = config.taps.iter().map(|(name, listen)| (format!("taps.{name}.tls"), listen));
    for (what, listen) in std::iter::once(("listen.tls".to_owned(), &config.listen)).chain(taps) {
        let Some(tls) = &listen.tls else { continue };
        match Server::open(tls.clone()) {
            Ok(_) => found.extend(certificates(&what, &tls.cert)),
            Err(error) => {
                found.push(Finding::trouble(what.clone(), with_causes(&error), "mend the file that it names"))
            }
        }
        if let Some(authorities) = &tls.client_ca {
            found.extend(certificates(&format!("{what}.clientCa"), authorities));
        }
    }
    found.extend(super::web::files(config));
    found.extend(super::senders::senders(config));
    let serving = &config.serving;
    let backend = serving.backend.as_ref().map(|backend| (backend, &serving.backend_transport.tls));
    for (endpoint, tls) in
        serving.endpoints().map(|it| (it, &serving.transport.tls)).chain(backend.map(|(it, tls)| (it.as_str(), tls)))
    {
        found.extend(client(&format!("serving {endpoint}"), endpoint, tls));
    }
    for witness in &config.witnesses.asked {
        found.extend(client(&format!("witness {}", witness.url), &witness.url, &witness.tls));
    }
    found.extend(key("ledger.key", &config.key, config));
    found.extend(config.next_key.iter().flat_map(|next| key("ledger.nextKey", next, config)));
    found.extend(config.commands.iter().map(|program| executable(program)));
    found.extend(config.notifications.iter().map(target));
    found
}

/// What an `https://` endpoint is verified with.
pub(super) fn client(what: &str, endpoint: &str, settings: &ClientTls) -> Option<Finding> {
    let (host, _, secure) = place(endpoint)?;
    secure.then(|| {
        let looked = Client::new(settings, &host, Alpn::Http1);
        match looked.map_err(|error| error.to_string()).and_then(|it| it.look().map_err(|error| with_causes(&error))) {
            Ok(_) => Finding::ok(what, "its TLS files can be used"),
            Err(error) => Finding::trouble(what, error, "mend the file that it names"),
        }
    })
}

/// Without opening what a passphrase or a PIN opens.
fn key(what: &str, source: &KeySource, config: &Config) -> Vec<Finding> {
    let mut found = Vec::new();
    match source {
        KeySource::File { path, passphrase: None } => {
            let loaded = KeyName::new(&config.name)
                .map_err(|error| error.to_string())
                .and_then(|origin| store::load_plain_signing_key(path, &origin).map_err(|error| with_causes(&error)));
            found.push(match loaded {
                Ok(Some(_)) => Finding::ok(what, format!("{} can be used", path.display())),
                Ok(None) => {
                    Finding::ok(what, format!("{} is not there: it is made at the first start", path.display()))
                }
                Err(error) => {
                    Finding::trouble(what, error, "restore the file from its backup, or mend its permissions")
                }
            });
        }
        KeySource::File { path, passphrase: Some(from) } => {
            found.push(match store::read_secret(path, 64 * 1024) {
                Ok(Some(bytes)) if keys::is_encrypted(&bytes) => {
                    Finding::ok(what, format!("{} is encrypted; it was not opened", path.display()))
                }
                Ok(Some(_)) => Finding::trouble(
                    what,
                    format!("{} is not encrypted, but has a passphrase", path.display()),
                    "encrypt it with `verdigris ledger key`, or leave `passphrase` out",
                ),
                Ok(None) => {
                    Finding::ok(what, format!("{} is not there: it is made at the first start", path.display()))
                }
                Err(error) => Finding::trouble(what, with_causes(&error), "mend its permissions"),
            });
            found.extend(secret(&format!("{what}.passphrase"), from));
        }
        KeySource::Token { at, pin } => {
            found.push(match std::fs::metadata(&at.module) {
                Ok(_) => Finding::ok(what, format!("{at}; it was not opened")),
                Err(error) => Finding::trouble(
                    what,
                    format!("{}: {error}", at.module.display()),
                    "install the token's PKCS#11 module, or name where it is",
                ),
            });
            found.extend(secret(&format!("{what}.pkcs11.pin"), pin));
        }
    }
    found
}

fn secret(what: &str, from: &SecretFrom) -> Option<Finding> {
    match from {
        SecretFrom::Terminal => {
            let does = "name a file if the server is to start by itself";
            Some(Finding::warning(what, "is asked for at the terminal at each start", does))
        }
        SecretFrom::File(_) | SecretFrom::Variable(_) => {
            let read = from.read(what, false);
            Some(match read {
                Ok(_) => Finding::ok(what, format!("{from} is there")),
                Err(error) => Finding::trouble(what, with_causes(&error), "write it there, for this user alone (0600)"),
            })
        }
    }
}

fn executable(program: &Path) -> Finding {
    let what = format!("gates.commands {}", program.display());
    match std::fs::metadata(program) {
        Ok(metadata) if metadata.is_file() && metadata.permissions().mode() & 0o111 != 0 => {
            // Whoever may write there decides what the server runs.
            match metadata.permissions().mode() & 0o022 {
                0 => Finding::ok(what, "can be run"),
                _ => Finding::warning(what, "can be changed by others than its owner", "chmod go-w"),
            }
        }
        Ok(_) => Finding::trouble(what, "is no program", "name a program's whole path"),
        Err(error) => Finding::trouble(what, error.to_string(), "install it, or take it out of gates.commands"),
    }
}

fn target(target: &Target) -> Finding {
    let what = format!("notifications {}", target.name);
    match target.secrets() {
        Ok(_) => Finding::ok(what, format!("{} is told of {}", target.kind(), target.events())),
        Err(error) => Finding::trouble(what, error.to_string(), "write it there, for this user alone (0600)"),
    }
}
