//! The configuration read again while the server runs: all of it applies, or nothing of it does.

use crate::config::Config;
use crate::witness::{Witness, Witnesses};
use anyhow::{Context, anyhow, bail};
use gateway::{Addresses, NotMoved};
use model::ShortDuration;
use std::path::Path;
use store::Retention;

/// Reads the file and lets the ports follow it. What else changes is for the caller, and cannot fail.
pub async fn reload(
    path: &Path,
    before: &Config,
    gateway: &gateway::Gateway,
    controller: &control::Handle,
) -> anyhow::Result<(Config, Addresses)> {
    let after = Config::read(path).map_err(|failed| failed.error)?;
    check(before, &after).with_context(|| path.display().to_string())?;
    let (listen, taps) = (after.listen.clone(), after.taps.clone());
    // Read before anything moves: a token that cannot be read refuses the whole.
    let sending = after.sending.clone();
    let senders = tokio::task::spawn_blocking(move || sending.senders()).await?;
    let senders = senders.with_context(|| path.display().to_string())?;
    let consent = controller.taps(taps.keys().cloned().collect());
    let addresses = gateway.listen(listen, after.fixed.clone(), taps, consent).await.map_err(|error| match error {
        NotMoved::Bind(error) => anyhow!(error),
        NotMoved::Refused(error) => anyhow!("{}: taps: {error}", path.display()),
    })?;
    gateway.let_in(senders);
    Ok((after, addresses))
}

/// What the ledger, its lock and whoever talks to this server hang on stays what it is.
fn check(before: &Config, after: &Config) -> anyhow::Result<()> {
    let path = |path: &Path| path.display().to_string();
    let serving = |config: &Config| serde_json::to_string(&config.serving).unwrap_or_default();
    let spool =
        |config: &Config| config.spool_bytes.map_or_else(|| "none".to_owned(), |bytes| format!("{bytes} bytes"));
    let evidence = |config: &Config| {
        let Retention { keep_ms, max_bytes } = config.retention;
        format!("{} and {max_bytes} bytes", ShortDuration(keep_ms))
    };
    let ledger = |config: &Config| {
        let Witnesses { asked, quorum } = &config.witnesses;
        let quorum = quorum.map_or_else(String::new, |quorum| format!(", quorum {quorum}"));
        let words = |it: &Witness| format!("{} at {} {:?}", it.key, it.url, it.tls);
        let asked = asked.iter().map(words).collect::<Vec<_>>().join(", ");
        let next = config.next_key.as_ref().map_or_else(String::new, |next| format!(", then {next}"));
        let kept =
            config.keep_entries_ms.map_or_else(String::new, |ms| format!(", entries kept {}", ShortDuration(ms)));
        format!("[{asked}]{quorum}, signed with {}{next}{kept}", config.key)
    };
    let web = |config: &Config| config.web.as_ref().map_or_else(|| "none".to_owned(), |web| format!("{web:?}"));
    for (key, before, after) in [
        ("data", path(&before.data), path(&after.data)),
        ("socket", path(&before.socket), path(&after.socket)),
        ("name", before.name.clone(), after.name.clone()),
        ("serving", serving(before), serving(after)),
        ("spool", spool(before), spool(after)),
        ("evidence", evidence(before), evidence(after)),
        ("ledger", ledger(before), ledger(after)),
        ("web", web(before), web(after)),
    ] {
        if before != after {
            bail!(
                "{key}: found {after}, expected {before}: it cannot change while the server runs; restart the server"
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
