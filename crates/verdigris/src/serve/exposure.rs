//! What a configuration lets others do: said when the server starts, for nobody reads it later.

use crate::config::Config;
use gateway::Listen;
use model::ClientTls;
use tls::{Alpn, Client};

/// Warns of ports that others reach without TLS or without having to say who they are, and of files that cannot be used.
pub(super) fn warn(config: &Config) {
    let taps = config.taps.iter().map(|(name, tap)| (format!("taps.{name}"), tap));
    for (name, listen) in std::iter::once(("listen".to_owned(), &config.listen)).chain(taps) {
        if let Some(warning) = exposed(&name, listen) {
            tracing::warn!("{warning}");
        }
    }
    let serving = &config.serving;
    let backend = serving.backend.as_ref().map(|backend| (backend, &serving.backend_transport));
    for (endpoint, transport) in std::iter::once((&serving.endpoint, &serving.transport)).chain(backend) {
        if endpoint.starts_with("https://") {
            check_files(endpoint, &transport.tls);
        }
    }
}

/// What is to be said of a pair of ports, if something is.
fn exposed(name: &str, listen: &Listen) -> Option<String> {
    let open = [listen.grpc, listen.http].into_iter().find(|address| !address.ip().is_loopback())?;
    let tap = name != "listen";
    match &listen.tls {
        None => Some(format!(
            "{name} listens on {open} without TLS: whoever is in the network can read what comes there, and send; set \
             {name}.tls, or an address of loopback"
        )),
        // A tap is evidence: who can send to it can make an environment look whole.
        Some(tls) if tap && tls.client_ca.is_none() => Some(format!(
            "{name} listens on {open} and lets everybody in: only the environment's collector should reach a tap; set \
             {name}.tls.clientCa"
        )),
        Some(_) => None,
    }
}

/// The client itself warns of files that cannot be used, and tries again at each connection: a server whose traffic has
/// long gone elsewhere must start without them.
fn check_files(endpoint: &str, settings: &ClientTls) {
    let host = endpoint.trim_start_matches("https://").rsplit_once(':').map_or("", |(host, _)| host);
    if let Ok(client) = Client::new(settings, host.trim_matches(['[', ']']), Alpn::Http2) {
        // What is wrong is in the log, with its path.
        let _ = client.look();
    }
}

#[cfg(test)]
mod tests;
