//! The web port: its certificate and whom it is for, the operator token, the issuer's keys. No token is made and none shown.

use super::files::client;
use super::skew::skew;
use super::{Finding, certificates};
use crate::clock;
use crate::config::{Config, Web};
use crate::serve::door::{TOKEN_FILE, look_at_token};
use model::with_causes;
use posture::Certificate;
use tls::{ClientCertificates, Server, ServerFiles};
use web::{KeysAt, KeysError, KeysSeen, Pinned};

/// A file of certificates has some KB.
const MAX_BYTES: u64 = 1 << 20;
/// Names that are listed.
const MAX_LISTED: usize = 4;

/// What the section names that is on this machine. Blocking.
pub fn files(config: &Config) -> Vec<Finding> {
    let Some(web) = &config.web else { return Vec::new() };
    let mut found = Vec::new();
    if let Some(tls) = &web.tls {
        match Server::open_with(tls.clone(), ClientCertificates::Asked) {
            Ok(_) => {
                found.extend(certificates("web.tls", &tls.cert));
                found.extend(names(web, tls));
            }
            Err(error) => found.push(Finding::trouble("web.tls", with_causes(&error), "mend the file that it names")),
        }
        if let Some(authorities) = &tls.client_ca {
            found.extend(certificates("web.tls.clientCa", authorities));
        }
    }
    if web.operator_token {
        let path = config.data.join(TOKEN_FILE);
        let what = format!("operator token {}", path.display());
        found.push(match look_at_token(&path) {
            Ok(true) => Finding::ok(what, "can be used, and is nobody else's"),
            Ok(false) => Finding::ok(what, "is not there: it is made at the first start"),
            Err(error) => {
                Finding::trouble(what, format!("{error:#}"), "chmod 600, or delete it: the next start makes another")
            }
        });
    }
    if let Some((pinned, at)) = &web.oidc {
        found.push(match at {
            KeysAt::File(path) => keys(&path.display().to_string(), pinned, KeysSeen::in_file(pinned, path)),
            KeysAt::Url { url, tls } => {
                let what = format!("web.oidc.keys {url}");
                let none = || Finding::trouble(&what, "is no URL with a host", "mend web.oidc.keys");
                client(&what, url, tls).unwrap_or_else(none)
            }
        });
    }
    found
}

/// The issuer's keys from its server, and what that one's clock says; a file is looked at by [`files`].
pub async fn issuer((pinned, at): (Pinned, KeysAt)) -> Vec<Finding> {
    let KeysAt::Url { url, tls } = &at else { return Vec::new() };
    let asked_at = clock::now();
    let seen = KeysSeen::at_url(&pinned, url, tls).await;
    let said = seen.as_ref().ok().and_then(|seen| seen.said_at.clone());
    let mut found = vec![keys(url, &pinned, seen)];
    found.extend(said.and_then(|said| skew(url, &said, (asked_at, clock::now()))));
    found
}

fn keys(at: &str, pinned: &Pinned, seen: Result<KeysSeen, KeysError>) -> Finding {
    let what = format!("web.oidc.keys {at}");
    match seen {
        Ok(KeysSeen { usable: 0, keys, .. }) => {
            let algorithms: Vec<String> = pinned.algorithms.iter().map(|alg| format!("{alg:?}")).collect();
            let says = format!("has {keys} keys, and none for signatures by {}", algorithms.join(", "));
            Finding::trouble(what, says, "name the issuer's `jwks_uri`, or its algorithm in web.oidc.algorithms")
        }
        Ok(KeysSeen { usable, keys, .. }) => {
            Finding::ok(what, format!("has {keys} keys, of which {usable} can be used"))
        }
        Err(error) => {
            let does = "mend it: until then no access token counts, and nobody signs in with one";
            Finding::trouble(what, with_causes(&error), does)
        }
    }
}

/// Whether the certificate is for the names by which browsers come.
fn names(web: &Web, tls: &ServerFiles) -> Option<Finding> {
    let text = crate::describe::read_text(&tls.cert, MAX_BYTES).ok()?;
    let chain = tls::certificates(&tls.cert, text.as_bytes()).ok()?;
    let leaf = Certificate::read(chain.first()?).ok()?;
    // The address is among the names where it is one: nobody need come by it where there are others.
    let address = web.listen.ip().to_string();
    let is_asked_for = |name: &&String| web.names.len() == 1 || bare(name) != address;
    let missing: Vec<&str> = web.names.iter().filter(is_asked_for).map(|name| bare(name)).collect();
    let missing: Vec<&str> = missing.into_iter().filter(|name| !is_for(&leaf, name)).take(MAX_LISTED).collect();
    (!missing.is_empty()).then(|| {
        let says = format!("is not for {}", missing.join(", "));
        let does = "have one made with web.names as its alternative names, or take the name out of web.names";
        Finding::warning(format!("web.tls ({})", tls.cert.display()), says, does)
    })
}

/// Without the brackets that an IPv6 address has in a URL.
fn bare(name: &str) -> &str {
    name.trim_matches(['[', ']'])
}

/// An asterisk stands for one part, the first (RFC 6125, section 6.4.3).
fn is_for(certificate: &Certificate, name: &str) -> bool {
    certificate.names.iter().any(|known| match known.strip_prefix("*.") {
        Some(parent) => name.split_once('.').is_some_and(|(_, rest)| rest.eq_ignore_ascii_case(parent)),
        None => known.eq_ignore_ascii_case(name),
    })
}
