//! The page on which somebody signs in with a token, and how they sign out.

use super::{Arrival, COOKIE_NAME, Door, Kind, cookie, site};
use crate::caller::Caller;
use crate::form as fields;
use crate::pages::layout::csrf;
use axum::body::Bytes;
use axum::extract::{Extension, State};
use axum::http::header::{LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Router, http::Uri};
use maud::{DOCTYPE, Markup, html};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use std::sync::Arc;

/// Where one signs in.
pub(super) const PATH: &str = "/sign-in";

/// Both have nobody's question to answer: the door has looked at them already.
pub(super) fn router() -> Router<Arc<Door>> {
    Router::new().route("/sign-in", get(form).post(sign_in)).route("/sign-out", post(sign_out))
}

/// A path as the value of a query.
pub(super) fn escaped(path: &str) -> String {
    utf8_percent_encode(path, NON_ALPHANUMERIC).to_string()
}

fn to(uri: &Uri) -> Option<String> {
    fields::pair(uri.query()?, "to").filter(|to| site::is_local(to))
}

async fn form(uri: Uri, caller: Option<Extension<Caller>>) -> Markup {
    page(caller.as_deref(), to(&uri).as_deref(), None)
}

async fn sign_in(
    State(door): State<Arc<Door>>,
    Extension(arrival): Extension<Arrival>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let field = |name| fields::field(&headers, &body, name);
    let to = field("to").filter(|to| site::is_local(to));
    let token = field("token").unwrap_or_default();
    let again = |status: StatusCode, words: &str| (status, page(None, to.as_deref(), Some(words))).into_response();
    let identity = match door.token(token.trim(), &arrival, true).await {
        Ok(shown) => shown.identity,
        Err(refused) => {
            let words = match refused.status() {
                StatusCode::TOO_MANY_REQUESTS => "Too many attempts. Wait a minute, then try again.",
                StatusCode::SERVICE_UNAVAILABLE => "The issuer's keys cannot be had. The server's log says why.",
                _ => "This token does not hold, or it was used to sign in before.",
            };
            let mut response = again(refused.status(), words);
            response.headers_mut().extend(
                refused.headers().get("retry-after").map(|after| (axum::http::header::RETRY_AFTER, after.clone())),
            );
            return response;
        }
    };
    if door.principal(&identity).is_none() {
        door.note(Kind::Unnamed, Some(arrival.from));
        return again(
            StatusCode::FORBIDDEN,
            "The token holds, and no principal has its name: ask whoever keeps verdigris.yaml.",
        );
    }
    if let Some(before) = cookie(&headers) {
        door.sessions.end(before);
    }
    let random = [(door.way.secrets)(), (door.way.secrets)()];
    let id = door.sessions.begin(identity, random, (door.way.clock)());
    let set = format!("{COOKIE_NAME}={id}; Path=/; Secure; HttpOnly; SameSite=Strict");
    let to = to.unwrap_or_else(|| "/".to_owned());
    (StatusCode::SEE_OTHER, [(LOCATION, to), (SET_COOKIE, set)]).into_response()
}

async fn sign_out(State(door): State<Arc<Door>>, headers: HeaderMap) -> Response {
    if let Some(id) = cookie(&headers) {
        door.sessions.end(id);
    }
    let unset = format!("{COOKIE_NAME}=; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=0");
    (StatusCode::SEE_OTHER, [(LOCATION, "/sign-in".to_owned()), (SET_COOKIE, unset)]).into_response()
}

fn page(caller: Option<&Caller>, to: Option<&str>, wrong: Option<&str>) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "Sign in · Verdigris" }
                link rel="stylesheet" href=(crate::assets::address("style.css"));
            }
            body {
                main {
                    h1 { "Sign in" }
                    @if let Some(caller) = caller {
                        p { "You are signed in as " strong { (caller.principal.name) } "." }
                        form method="post" action="/sign-out" {
                            (csrf(caller))
                            button type="submit" { "Sign out" }
                        }
                    }
                    @if let Some(wrong) = wrong { p role="alert" { (wrong) } }
                    form method="post" action="/sign-in" {
                        @if let Some(to) = to { input type="hidden" name="to" value=(to); }
                        label for="token" { "Token" }
                        " "
                        input type="password" id="token" name="token" required autocomplete="current-password";
                        " "
                        button type="submit" { "Sign in" }
                    }
                    p {
                        "The operator token is in the file " code { "operator.token" } " in the server's data folder. "
                        "Where an OpenID provider is configured, an access token of it will do."
                    }
                }
            }
        }
    }
}
