//! Who may send: the files of tokens, and whether two taps can be told apart. Only digests of tokens are compared.

use super::Finding;
use crate::config::{Admitted, Config, sender_token};
use gateway::Listen;
use std::collections::BTreeMap;

/// Every file of a token, and what is shared that must not be. Blocking.
pub fn senders(config: &Config) -> Vec<Finding> {
    let mut found = Vec::new();
    let gateway = ("listen".to_owned(), &config.listen, &config.sending.gateway);
    let taps = config.taps.iter().filter_map(|(name, listen)| {
        config.sending.taps.get(name).map(|admitted| (format!("taps.{name}"), listen, admitted))
    });
    // Who may send to which taps, by what they show.
    let mut shown: BTreeMap<Shown, Vec<String>> = BTreeMap::new();
    for (place, listen, admitted) in std::iter::once(gateway).chain(taps) {
        let is_tap = place != "listen";
        for path in &admitted.tokens {
            let what = format!("{place}.tokens {}", path.display());
            found.push(match sender_token(path) {
                Ok(digest) => {
                    if is_tap {
                        shown.entry(Shown::Token(digest)).or_default().push(place.clone());
                    }
                    Finding::ok(what, "can be used, and is nobody else's")
                }
                Err(error) => {
                    let does = "write one token on one line into it, for this user alone (0600)";
                    Finding::trouble(what, format!("{error:#}"), does)
                }
            });
        }
        found.extend(in_clear(&place, listen, admitted));
        if is_tap {
            for name in admitted.clients.iter().filter_map(|name| name.as_str()) {
                shown.entry(Shown::Client(name.to_owned())).or_default().push(place.clone());
            }
        }
    }
    found.extend(shown.into_iter().filter(|(_, taps)| taps.len() > 1).map(|(shown, taps)| {
        let says = match shown {
            Shown::Token(_) => "take the same token".to_owned(),
            Shown::Client(name) => format!("let the same client in, {name}"),
        };
        let does =
            "give each pipeline its own: else one environment's can write to the other's tap, which is what proves it";
        Finding::warning(taps.join(" and "), says, does)
    }));
    found
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Shown {
    Token([u8; 32]),
    Client(String),
}

fn in_clear(place: &str, listen: &Listen, admitted: &Admitted) -> Option<Finding> {
    let open = [listen.grpc, listen.http].into_iter().find(|address| !address.ip().is_loopback())?;
    (listen.tls.is_none() && !admitted.tokens.is_empty()).then(|| {
        let does = format!("set {place}.tls, or an address of loopback");
        Finding::warning(format!("{place}.tokens"), format!("pass in clear text on {open}"), does)
    })
}
