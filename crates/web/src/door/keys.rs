//! An OpenID provider's keys: from a file, or from one pinned https URL. Kept, and asked for again when a token names a key
//! that is not among them, but seldom: a stranger's token must not make this server ask.

use super::oidc::{self, Fault, Holds, Pinned};
use crate::session::digest;
use axum::http::header::{ACCEPT, AGE, DATE};
use axum::http::{Method, StatusCode};
use bytes::Bytes;
use http_body_util::Full;
use http_client::{Server, UrlError};
use jsonwebtoken::jwk::JwkSet;
use model::{ClientTls, UnixMillis};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Ten keys with their certificates have some 40 KB.
const MAX_KEYS_BYTES: usize = 1 << 20;
/// Keys of an issuer; each is a few numbers.
const MAX_KEYS: usize = 64;
/// Connecting, asking and answering together.
const FETCH_LIMIT: Duration = Duration::from_secs(10);
/// Between two questions: an issuer that changes its keys shows the new one long before.
const ASK_EVERY_MS: u64 = 30_000;
/// Keys that are older are asked for again when they are next used: so long a withdrawn key still counts.
const FRESH_MS: u64 = 15 * 60 * 1_000;
/// Keys that are older do not count, whatever the issuer's server does.
const STALE_MS: u64 = 24 * 3_600 * 1_000;
/// Tokens that are remembered, at 40 bytes, until they expire: 160 KB. If there are more, nobody signs in by a token until
/// some have expired; whoever shows it with each request needs none of this.
const MAX_REMEMBERED: usize = 4_096;

/// Where an issuer's keys are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeysAt {
    /// In a file.
    File(PathBuf),
    /// At this URL, `https://host[:port]/path`.
    Url {
        /// It.
        url: String,
        /// How its server is verified.
        tls: ClientTls,
    },
}

/// Why keys cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The URL is none.
    #[error("found {found:?}, expected a file or https://host/path without a query")]
    Url {
        /// What was found.
        found: String,
    },
    /// No certificate could be for it.
    #[error(transparent)]
    Name(#[from] tls::NameError),
    /// The file cannot be read.
    #[error("{path}: cannot be read: {source}", path = path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is no set of keys.
    #[error("{at}: {what}; expected a JSON Web Key Set of 1 to {MAX_KEYS} keys (RFC 7517)")]
    NotKeys {
        /// Which file or URL.
        at: String,
        /// What is wrong.
        what: String,
    },
    /// The server did not answer as it should.
    #[error("{at}: {what}")]
    Fetch {
        /// Which URL.
        at: String,
        /// What it did instead.
        what: String,
    },
}

/// A `Date` as it stands in an answer, and the seconds of its `Age`.
pub type SaidAt = (String, u64);

/// An issuer's keys as they are now, for whoever looks at a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeysSeen {
    /// How many there are.
    pub keys: usize,
    /// How many of them could check a token of the algorithms that are pinned.
    pub usable: usize,
    /// When the issuer's server says that it answered (`Date`, and `Age` where a cache did), in its form; none of a file.
    pub said_at: Option<SaidAt>,
}

impl KeysSeen {
    /// Of a file. Blocking.
    pub fn in_file(pinned: &Pinned, path: &Path) -> Result<KeysSeen, KeysError> {
        Ok(KeysSeen::of(pinned, &read(path)?, None))
    }

    /// From a URL, once, within [`FETCH_LIMIT`].
    pub async fn at_url(pinned: &Pinned, url: &str, tls: &ClientTls) -> Result<KeysSeen, KeysError> {
        let (keys, said_at) = at_url(url, tls)?.fetched().await?;
        Ok(KeysSeen::of(pinned, &keys, said_at))
    }

    fn of(pinned: &Pinned, keys: &JwkSet, said_at: Option<SaidAt>) -> KeysSeen {
        let usable = keys.keys.iter().filter(|key| oidc::is_usable(pinned, key)).count();
        KeysSeen { keys: keys.keys.len(), usable, said_at }
    }
}

enum Source {
    File(PathBuf),
    Url { url: String, server: Server },
}

/// One issuer.
pub struct Oidc {
    pinned: Pinned,
    source: Source,
    kept: tokio::sync::Mutex<Kept>,
    used: Mutex<BTreeMap<[u8; 32], UnixMillis>>,
}

#[derive(Default)]
struct Kept {
    keys: Option<(Arc<JwkSet>, UnixMillis)>,
    asked_at: Option<UnixMillis>,
}

impl std::fmt::Debug for Oidc {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Oidc").field(&self.pinned.issuer).finish()
    }
}

impl Oidc {
    /// Reads a file at once, so that a wrong one is found at the start; a URL is asked when the first token comes. Blocking.
    pub fn new(pinned: Pinned, at: &KeysAt, now: UnixMillis) -> Result<Oidc, KeysError> {
        let (source, keys) = match at {
            KeysAt::File(path) => (Source::File(path.clone()), Some((Arc::new(read(path)?), now))),
            KeysAt::Url { url, tls } => (at_url(url, tls)?, None),
        };
        let kept = tokio::sync::Mutex::new(Kept { keys, asked_at: None });
        Ok(Oidc { pinned, source, kept, used: Mutex::default() })
    }

    /// Who issues.
    pub(super) fn issuer(&self) -> &str {
        &self.pinned.issuer
    }

    /// Whether a token holds.
    pub(crate) async fn check(&self, token: &str, now: UnixMillis) -> Result<Holds, Fault> {
        let mut kept = self.kept.lock().await;
        let is_older = |than: u64| kept.keys.as_ref().is_none_or(|(_, at)| now >= at.plus_ms(than));
        if is_older(FRESH_MS) {
            self.ask(&mut kept, now).await;
        }
        let held = |kept: &Kept| match &kept.keys {
            Some((keys, at)) if now < at.plus_ms(STALE_MS) => Ok(Arc::clone(keys)),
            Some(_) | None => Err(Fault::NoKeys),
        };
        let keys = held(&kept)?;
        match oidc::check(&self.pinned, &keys, token, now) {
            Err(Fault::UnknownKey) => {
                self.ask(&mut kept, now).await;
                let keys = held(&kept)?;
                oidc::check(&self.pinned, &keys, token, now)
            }
            checked => checked,
        }
    }

    /// Whether a token holds that begins a session: the same does not begin a second one.
    pub(crate) async fn check_once(&self, token: &str, now: UnixMillis) -> Result<Holds, Fault> {
        let holds = self.check(token, now).await?;
        // Without an id the whole token is its own; what is signed of it cannot be written in two ways but for the signature.
        let signed = token.rsplit_once('.').map_or(token, |(signed, _)| signed);
        let id = holds.id.as_ref().map_or_else(|| digest(signed), |id| digest(&format!("jti {id}")));
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.retain(|_, until| now < *until);
        if used.len() >= MAX_REMEMBERED || used.contains_key(&id) {
            return Err(Fault::Replayed);
        }
        used.insert(id, holds.until);
        Ok(holds)
    }

    /// What cannot be had leaves what was there.
    async fn ask(&self, kept: &mut Kept, now: UnixMillis) {
        if kept.asked_at.is_some_and(|asked| now < asked.plus_ms(ASK_EVERY_MS)) {
            return;
        }
        kept.asked_at = Some(now);
        let asked = self.source.fetched().await.map(|(keys, _)| keys);
        match asked {
            Ok(keys) => kept.keys = Some((Arc::new(keys), now)),
            Err(error) => tracing::warn!("the keys of {} stay what they were: {error}", self.pinned.issuer),
        }
    }
}

impl Source {
    /// The keys that are there now, and when the server says that it answered.
    async fn fetched(&self) -> Result<(JwkSet, Option<SaidAt>), KeysError> {
        match self {
            Source::File(path) => {
                let path = path.clone();
                let read = tokio::task::spawn_blocking(move || read(&path)).await;
                let interrupted = || KeysError::Fetch { at: "a file".to_owned(), what: "interrupted".to_owned() };
                Ok((read.unwrap_or_else(|_| Err(interrupted()))?, None))
            }
            Source::Url { url, server } => {
                let failed = |what| KeysError::Fetch { at: url.clone(), what };
                let late = |_| failed(format!("did not answer within {} s", FETCH_LIMIT.as_secs()));
                let (bytes, said_at) =
                    tokio::time::timeout(FETCH_LIMIT, fetch(server)).await.map_err(late)?.map_err(failed)?;
                Ok((parse(url, &bytes)?, said_at))
            }
        }
    }
}

fn at_url(url: &str, tls: &ClientTls) -> Result<Source, KeysError> {
    let refused = || KeysError::Url { found: url.chars().take(160).collect() };
    match Server::new(url, tls) {
        Ok(server) if server.is_secure() && !url.contains('?') => Ok(Source::Url { url: url.to_owned(), server }),
        Ok(_) | Err(UrlError::Form) => Err(refused()),
        Err(UrlError::Name(source)) => Err(source.into()),
    }
}

fn read(path: &Path) -> Result<JwkSet, KeysError> {
    let refused = |source| KeysError::Read { path: path.to_owned(), source };
    let file = std::fs::File::open(path).map_err(refused)?;
    let mut bytes = Vec::new();
    file.take(MAX_KEYS_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(refused)?;
    parse(&path.display().to_string(), &bytes)
}

fn parse(at: &str, bytes: &[u8]) -> Result<JwkSet, KeysError> {
    let refused = |what: String| KeysError::NotKeys { at: at.to_owned(), what };
    if bytes.len() > MAX_KEYS_BYTES {
        return Err(refused(format!("larger than {MAX_KEYS_BYTES} bytes")));
    }
    let keys: JwkSet = serde_json::from_slice(bytes).map_err(|error| refused(error.to_string()))?;
    match keys.keys.len() {
        1..=MAX_KEYS => Ok(keys),
        found => Err(refused(format!("found {found} keys"))),
    }
}

/// No redirect is followed: the URL is pinned.
async fn fetch(server: &Server) -> Result<(Bytes, Option<SaidAt>), String> {
    let request = server.request(Method::GET, "").header(ACCEPT, "application/json").body(Full::default());
    let request = request.map_err(|error| error.to_string())?;
    let answer = server.ask(request, MAX_KEYS_BYTES).await.map_err(|error| error.to_string())?;
    if answer.status() != StatusCode::OK {
        return Err(format!("answered {}, expected 200", answer.status()));
    }
    let text = |name| answer.headers().get(name).and_then(|it| it.to_str().ok());
    let age_secs = text(AGE).and_then(|age| age.trim().parse().ok()).unwrap_or(0);
    let said_at = text(DATE).map(|date| (date.to_owned(), age_secs));
    Ok((answer.into_body(), said_at))
}
