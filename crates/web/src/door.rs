//! The door that leads in from the network: who asks, and whether their request is their own. What they may, `access` says.
//!
//! Nothing passes that is not asked for by somebody known, but the paths in [`site::is_public`](crate::site::is_public).
//! What is refused is counted and recorded; what was shown (tokens, cookies) is never written anywhere.

mod attempts;
mod body;
mod keys;
mod lasting;
pub(crate) mod oidc;
mod refused;
mod sign_in;
mod site;

pub use keys::{KeysAt, KeysError, KeysSeen, Oidc, SaidAt};
pub use oidc::{Alg, Pinned};

use crate::api::problem::Problem;
use crate::assets::CONTENT_SECURITY_POLICY;
use crate::caller::Caller;
use crate::form;
use crate::session::{Session, Sessions, digest};
use crate::site::is_public;
use attempts::Attempts;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{ACCEPT, AUTHORIZATION, CACHE_CONTROL, COOKIE, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use control::{Clock, Handle, Input};
use lasting::{Shown, Until, lasting};
use model::UnixMillis;
use oidc::Fault;
pub(crate) use refused::Kind;
use refused::{Refused, Told};
use site::Site;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use subtle::ConstantTimeEq as _;
use tls::Names;

/// The session's cookie. The prefix has browsers refuse it from other hosts, other paths and without `Secure`; Chromium and
/// Firefox take it over plain HTTP from this machine's own names.
const COOKIE_NAME: &str = "__Host-verdigris";
/// Where a script sends what a form has in its field `csrf`.
const CSRF_HEADER: HeaderName = HeaderName::from_static("x-csrf-token");
/// A browser asks this name by TLS alone for half a year.
const STRICT_TRANSPORT: &str = "max-age=15768000";

/// By what somebody shows who they are.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Identity {
    /// The operator token.
    OperatorToken,
    /// A token of an OpenID provider.
    Oidc {
        /// Whom it names.
        subject: String,
        /// Who says so.
        issuer: String,
    },
    /// A certificate that was verified.
    Certificate(Names),
}

/// From what somebody showed to whoever that is; nobody if no principal has it.
pub type Identities = Arc<dyn Fn(&Identity) -> Option<Caller> + Send + Sync>;

/// 32 bytes that nobody can guess.
pub type Secrets = Arc<dyn Fn() -> [u8; 32] + Send + Sync>;

/// What a door is told.
#[derive(Clone)]
pub struct Doorway {
    /// By which names this server is reached, beside those of loopback: `verdigris.example`, `192.0.2.1`, `[2001:db8::1]`.
    pub names: Vec<String>,
    /// SHA-256 of the operator token; without it there is none.
    pub token: Option<[u8; 32]>,
    /// The issuer whose tokens count, if there is one.
    pub oidc: Option<Arc<Oidc>>,
    /// Who is who.
    pub identities: Identities,
    /// What time it is.
    pub clock: Clock,
    /// Where sessions come from.
    pub secrets: Secrets,
}

/// Who came by which connection.
#[derive(Clone, Debug)]
pub(crate) struct Arrival {
    pub(crate) from: SocketAddr,
    /// Whether it is TLS.
    pub(crate) is_tls: bool,
    /// Whom the certificate names, if one was shown and verified, and until when.
    pub(crate) certificate: Option<(Names, UnixMillis)>,
}

/// The door, with who came in.
pub(crate) struct Door {
    way: Doorway,
    handle: Handle,
    sessions: Sessions,
    attempts: Mutex<Attempts>,
    refused: Mutex<Refused>,
}

/// Who asks, and how that is known.
enum Known {
    /// By what a program shows with each request.
    Bearer(Shown),
    /// By a cookie, which a browser sends for whoever asks it to.
    Cookie(Session),
    /// By a certificate, which a browser shows for whoever asks it to.
    Certificate(Shown),
    Nobody,
}

/// The hash of an operator token, for [`Doorway::token`].
pub fn token_digest(token: &str) -> [u8; 32] {
    digest(token)
}

/// A new operator token: 32 bytes as base64url.
pub fn token_text(random: [u8; 32]) -> String {
    crate::session::letters(random)
}

impl Door {
    pub(crate) fn new(way: Doorway, handle: Handle) -> Arc<Door> {
        let (sessions, attempts, refused) = (Sessions::default(), Mutex::default(), Mutex::default());
        Arc::new(Door { way, handle, sessions, attempts, refused })
    }

    /// Puts the door before everything else.
    pub(crate) fn before(self: &Arc<Door>, rest: Router) -> Router {
        let pages = sign_in::router().with_state(Arc::clone(self));
        pages
            .merge(rest)
            .layer(middleware::from_fn_with_state(Arc::clone(self), admit))
            .layer(middleware::from_fn(protect))
    }

    /// Counts what was refused, and has it recorded when it is time.
    pub(crate) fn note(&self, kind: Kind, from: Option<SocketAddr>) {
        let now = (self.way.clock)();
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        self.tell(refused.note(kind, from.map(|from| from.ip()), now));
    }

    /// Has recorded what was counted since the last time.
    pub(crate) fn tick(&self) {
        let now = (self.way.clock)();
        self.tell(self.refused.lock().unwrap_or_else(PoisonError::into_inner).due(now));
    }

    /// Beside the request, once a minute at most: no caller waits for the ledger.
    fn tell(&self, told: Option<Told>) {
        if let Some(Told { what, from }) = told {
            let (handle, from) = (self.handle.clone(), from.map(|from| from.to_string()));
            tokio::spawn(async move { handle.tell(Input::CallersRefused { what, from }).await });
        }
    }

    fn refuse(&self, kind: Kind, arrival: &Arrival, status: StatusCode, detail: &str) -> Response {
        self.note(kind, Some(arrival.from));
        let name = match status {
            StatusCode::UNAUTHORIZED => "unauthenticated",
            StatusCode::FORBIDDEN => "refused",
            StatusCode::TOO_MANY_REQUESTS => "too-many",
            _ => "bad-request",
        };
        let mut response = Problem::new(name, status, detail).into_response();
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }

    /// What a token shows. A wrong one costs an attempt.
    async fn token(&self, token: &str, arrival: &Arrival, begins_session: bool) -> Result<Shown, Response> {
        let from = arrival.from.ip();
        let now = (self.way.clock)();
        let taken = self.attempts.lock().unwrap_or_else(PoisonError::into_inner).take(from, now);
        if let Err(secs) = taken {
            let detail = format!("too many attempts to sign in; try again in {secs} s");
            let mut response = self.refuse(Kind::TooMany, arrival, StatusCode::TOO_MANY_REQUESTS, &detail);
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(secs));
            return Err(response);
        }
        let found = match (&self.way.token, &self.way.oidc) {
            (_, Some(oidc)) if oidc::looks_like_one(token) => {
                let checked =
                    if begins_session { oidc.check_once(token, now).await } else { oidc.check(token, now).await };
                let shown = |holds: oidc::Holds| {
                    let identity = Identity::Oidc { subject: holds.subject, issuer: oidc.issuer().to_owned() };
                    Shown { identity, until: Until::At(holds.until) }
                };
                checked.map(shown).map_err(Kind::Oidc)
            }
            (Some(expected), _) if bool::from(expected.ct_eq(&digest(token))) => {
                Ok(Shown { identity: Identity::OperatorToken, until: Until::Stop })
            }
            (_, _) => Err(Kind::Token),
        };
        match found {
            Ok(shown) => {
                self.attempts.lock().unwrap_or_else(PoisonError::into_inner).give_back(from);
                Ok(shown)
            }
            Err(Kind::Oidc(Fault::NoKeys)) => {
                let detail = "the issuer's keys cannot be had, so that no token of it can be checked; the log says why";
                Err(self.refuse(Kind::Oidc(Fault::NoKeys), arrival, StatusCode::SERVICE_UNAVAILABLE, detail))
            }
            // Which part of it is wrong is for the record, not for whoever tries.
            Err(kind) => Err(self.refuse(kind, arrival, StatusCode::UNAUTHORIZED, "the token does not hold")),
        }
    }

    /// The token of a header counts before a cookie, and that before a certificate.
    async fn known(&self, parts: &Parts, arrival: &Arrival) -> Result<Known, Response> {
        if let Some(header) = parts.headers.get(AUTHORIZATION) {
            return match header.to_str().ok().and_then(bearer) {
                Some(token) => Ok(Known::Bearer(self.token(token, arrival, false).await?)),
                None => {
                    let detail = "expected Authorization: Bearer TOKEN";
                    Err(self.refuse(Kind::Token, arrival, StatusCode::UNAUTHORIZED, detail))
                }
            };
        }
        let now = (self.way.clock)();
        let session = cookie(&parts.headers).and_then(|id| self.sessions.find(id, now));
        Ok(match (session, &arrival.certificate) {
            (Some(session), _) => Known::Cookie(session),
            // A connection can outlive the certificate that it began with.
            (None, Some((names, end))) if now < *end => {
                let identity = Identity::Certificate(names.clone());
                Known::Certificate(Shown { identity, until: Until::At(*end) })
            }
            (None, Some(_) | None) => Known::Nobody,
        })
    }

    /// The principal who has this.
    fn principal(&self, identity: &Identity) -> Option<Caller> {
        (self.way.identities)(identity)
    }
}

fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("Bearer").then(|| token.trim())
}

/// The session's id.
fn cookie(headers: &HeaderMap) -> Option<&str> {
    let all = headers.get_all(COOKIE).iter().filter_map(|header| header.to_str().ok());
    let mut pairs = all.flat_map(|header| header.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == COOKIE_NAME).map(|(_, id)| id)
}

/// Whoever passes here is known, or asks for what is public.
async fn admit(State(door): State<Arc<Door>>, request: Request, next: Next) -> Response {
    let Some(arrival) = request.extensions().get::<Arrival>().cloned() else {
        return Problem::new("unavailable", StatusCode::INTERNAL_SERVER_ERROR, "nobody knows where this comes from")
            .into_response();
    };
    match door.check(request, &arrival).await {
        Ok((request, Some(shown))) => {
            let caller = request.extensions().get::<Caller>().cloned();
            let response = next.run(request).await;
            lasting(door, shown, caller.and_then(|caller| caller.asked()), response)
        }
        Ok((request, None)) => next.run(request).await,
        Err(response) => *response,
    }
}

impl Door {
    /// The request with its caller, and what that one showed.
    async fn check(&self, request: Request, arrival: &Arrival) -> Result<(Request, Option<Shown>), Box<Response>> {
        let (mut parts, body) = request.into_parts();
        let host = site::host(&parts.uri, &parts.headers).filter(|host| site::is_ours(host, &self.way.names));
        let Some(host) = host.map(str::to_owned) else {
            let detail = "this server is not reached by that name; set web.names in verdigris.yaml";
            return Err(Box::new(self.refuse(Kind::Host, arrival, StatusCode::MISDIRECTED_REQUEST, detail)));
        };
        if !site::is_plain(parts.uri.path()) {
            let detail = "the path has relative or empty parts";
            return Err(Box::new(self.refuse(Kind::Path, arrival, StatusCode::BAD_REQUEST, detail)));
        }
        let is_public = is_public(parts.uri.path());
        let from_site = site::site(&parts.headers, &host, arrival.is_tls);
        let changes = !site::is_safe(&parts.method);
        let known = if is_public && parts.headers.contains_key(AUTHORIZATION) {
            Known::Nobody
        } else {
            self.known(&parts, arrival).await.map_err(Box::new)?
        };
        // Signing in as somebody else is a thing that another site must not do either.
        let needs_same = match known {
            Known::Cookie(_) => true,
            Known::Nobody if is_public => true,
            Known::Certificate(_) => from_site != Site::Unsaid,
            Known::Bearer(_) | Known::Nobody => false,
        };
        if changes && needs_same && from_site != Site::Same {
            return Err(Box::new(self.cross_site(arrival)));
        }
        let (shown, session) = match known {
            Known::Bearer(shown) | Known::Certificate(shown) => (Some(shown), None),
            Known::Cookie(session) => {
                let shown = Shown { identity: session.identity.clone(), until: Until::Session(session.key) };
                (Some(shown), Some(session))
            }
            Known::Nobody => (None, None),
        };
        match shown.as_ref().map(|shown| self.principal(&shown.identity).ok_or(())) {
            Some(Ok(caller)) => {
                let caller = match &session {
                    Some(session) => caller.with_csrf(Arc::clone(&session.csrf)),
                    None => caller,
                };
                parts.extensions.insert(caller);
            }
            _ if is_public => {}
            Some(Err(())) => {
                let detail = "you are known, and named by no principal: `principals` in verdigris.yaml says who is who";
                return Err(Box::new(self.refuse(Kind::Unnamed, arrival, StatusCode::FORBIDDEN, detail)));
            }
            None => return Err(Box::new(self.nobody(&parts, arrival))),
        }
        let most =
            if parts.extensions.get::<Caller>().is_some() { body::MAX_BODY_BYTES } else { body::MAX_STRANGERS_BYTES };
        let body = match body::whole(&parts.headers, body, most).await {
            Ok(body) => body,
            Err(status) => {
                let detail = "the body is too large, or took too long";
                return Err(Box::new(self.refuse(Kind::Body, arrival, status, detail)));
            }
        };
        // Whoever signs in again has the form of nobody's session.
        if let Some(session) = session.filter(|_| changes && parts.uri.path() != sign_in::PATH) {
            let header = parts.headers.get(CSRF_HEADER).and_then(|it| it.to_str().ok()).map(str::to_owned);
            let sent = header.or_else(|| form::field(&parts.headers, &body, "csrf"));
            if !sent.is_some_and(|sent| session.sent(&sent)) {
                return Err(Box::new(self.cross_site(arrival)));
            }
        }
        Ok((Request::from_parts(parts, Body::from(body)), shown))
    }

    fn cross_site(&self, arrival: &Arrival) -> Response {
        let detail = "this request is not of a page of this server, or its session is over: load the page again";
        self.refuse(Kind::CrossSite, arrival, StatusCode::FORBIDDEN, detail)
    }

    /// A browser is sent to where one signs in; that is no refusal.
    fn nobody(&self, parts: &Parts, arrival: &Arrival) -> Response {
        let accepts = parts.headers.get(ACCEPT).and_then(|it| it.to_str().ok()).unwrap_or_default();
        if parts.method == Method::GET && accepts.contains("text/html") {
            let to = parts.uri.path_and_query().map_or("/", |it| it.as_str());
            let to = if to == "/" { String::new() } else { format!("?to={}", sign_in::escaped(to)) };
            return (StatusCode::SEE_OTHER, [(LOCATION, format!("/sign-in{to}"))]).into_response();
        }
        let detail = "nobody is known to ask: sign in, or show a token (Authorization: Bearer)";
        self.refuse(Kind::Nothing, arrival, StatusCode::UNAUTHORIZED, detail)
    }
}

/// What every answer says to a browser. A page's own policy stays.
async fn protect(request: Request, next: Next) -> Response {
    let is_tls = request.extensions().get::<Arrival>().is_some_and(|arrival| arrival.is_tls);
    let may_be_kept = request.uri().path().starts_with("/assets/");
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    let mut set = |name: HeaderName, value: &'static str| {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    };
    set(axum::http::header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY);
    set(axum::http::header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    // To other sites nothing. Not `no-referrer`: with it browsers say `Origin: null` of our own forms.
    set(axum::http::header::REFERRER_POLICY, "same-origin");
    set(HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
    set(HeaderName::from_static("cross-origin-resource-policy"), "same-origin");
    if !may_be_kept {
        set(CACHE_CONTROL, "no-store");
    }
    if is_tls {
        set(axum::http::header::STRICT_TRANSPORT_SECURITY, STRICT_TRANSPORT);
    }
    response
}

#[cfg(test)]
mod tests;
