//! Making a passkey: the browser makes it, and whoever keeps `verdigris.yaml` says whose it is. Nothing is stored here:
//! nobody makes an approver of themselves.

use super::layout;
use crate::api::body::Body;
use crate::api::problem::Problem;
use crate::site::Served;
use crate::{Api, Caller};
use access::Action;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use control::rollout::KnownPrincipal;
use control::rollout::approval::{Passkey, PublicKey};
use maud::{Markup, html};
use serde::{Deserialize, Serialize};

/// A credential's id of 256 bytes, a key of 91, and names: less than half of it.
const MAX_BODY_BYTES: usize = 4 * 1024;

pub(super) fn router() -> Router<Served> {
    Router::new()
        .route("/passkeys", get(page))
        .route("/passkeys/line", post(line))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
}

async fn page(State(api): State<Api>, caller: Caller) -> Result<Markup, Problem> {
    caller.clone().to(Action::SeeRollouts)?;
    Ok(layout::page(&caller, "Passkeys", drawn(&caller, &(api.known)())))
}

/// What a browser made: all of it is public.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Made {
    /// In base64url.
    credential_id: String,
    /// A SubjectPublicKeyInfo as `getPublicKey()` gives it, in base64url.
    key: String,
    rp_id: String,
    origin: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    /// For `principals[].keys`.
    line: String,
    fingerprint: String,
}

async fn line(caller: Caller, made: Result<Body<Made>, Problem>) -> Result<Json<Line>, Problem> {
    caller.to(Action::SeeRollouts)?;
    let Body(made) = made?;
    let bad = |detail: String| Problem::new("bad-request", StatusCode::UNPROCESSABLE_ENTITY, detail);
    let bytes = |what: &str, text: &str| {
        URL_SAFE_NO_PAD.decode(text).map_err(|_| bad(format!("{what} is not base64url without padding")))
    };
    let (credential, key) = (bytes("credentialId", &made.credential_id)?, bytes("key", &made.key)?);
    let passkey = Passkey::new(&credential, &key, &made.rp_id, &made.origin).map_err(|error| bad(error.to_string()))?;
    let line = passkey.to_string();
    Ok(Json(Line { fingerprint: PublicKey::from(passkey).fingerprint(), line }))
}

fn drawn(caller: &Caller, known: &[KnownPrincipal]) -> Markup {
    let name = &caller.principal.name;
    let own = known.iter().filter(|person| person.name == *name).flat_map(|person| &person.keys);
    let own: Vec<&PublicKey> = own.filter(|key| key.passkey().is_some()).collect();
    let lines: Vec<String> = own.iter().map(ToString::to_string).collect();
    html! {
        section aria-labelledby="own" {
            h2 id="own" { "Yours, as verdigris.yaml has them" }
            @if own.is_empty() { p { "None." } }
            ul { @for key in &own {
                @if let Some(passkey) = key.passkey() {
                    li { code { (key.fingerprint()) } ", at " (passkey.origin()) }
                }
            } }
        }
        section aria-labelledby="make" {
            h2 id="make" { "Make one" }
            p {
                "Your device makes a key, and asks for a PIN, a fingerprint or a face each time it signs. This server keeps "
                "nothing of it: whoever keeps verdigris.yaml adds the line below to your entry, and may ask you by another "
                "way whether its fingerprint is the one that you see."
            }
            div data-passkey="create" data-keys=(serde_json::Value::from(lines)) data-name=(name)
                data-csrf=(caller.csrf.as_deref().unwrap_or_default()) {
                button type="button" disabled { "Make a passkey" }
                p role="status" { "This needs JavaScript." }
                div hidden {
                    p { "Fingerprint: " code data-made="fingerprint" {} }
                    pre tabindex="0" { code data-made="line" {} }
                }
            }
            p {
                "A passkey works at this address alone, over https, or at http://localhost. An IP address, 127.0.0.1 too, "
                "cannot have one: open this page by a name. A rollout's approval with a key of OpenSSH needs neither."
            }
            script type="module" src=(crate::assets::address("passkey.js")) {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pages::approvals::tests::{PASSKEY, api, caller};
    use control::Handle;

    fn made() -> Made {
        let mut words = PASSKEY.split(' ').skip(1).map(str::to_owned);
        let mut word = || words.next().unwrap();
        Made { credential_id: word(), key: word(), rp_id: word(), origin: word() }
    }

    async fn check(change: impl FnOnce(&mut Made), expected: Result<&str, &str>) {
        let mut made = made();
        change(&mut made);
        let found = line(caller("bob", "viewer"), Ok(Body(made))).await;
        match (found, expected) {
            (Ok(Json(found)), Ok(expected)) => assert_eq!(found.line, expected),
            (Err(problem), Err(words)) => assert!(problem.detail.contains(words), "{problem:?}"),
            (found, expected) => panic!("{:?}, expected {expected:?}", found.map(|Json(found)| found.line)),
        }
    }

    #[tokio::test]
    async fn what_a_browser_made_becomes_a_line() {
        check(|_| {}, Ok(PASSKEY)).await;
        check(|made| made.key = "AAAA".into(), Err("SubjectPublicKeyInfo")).await;
        check(|made| made.key.push('='), Err("key is not base64url")).await;
        check(|made| made.rp_id = "127.0.0.1".into(), Err("no IP address")).await;
        check(|made| made.origin = "http://verdigris.example".into(), Err("the origin")).await;
        check(|made| made.credential_id.clear(), Err("0 bytes")).await;
    }

    #[tokio::test]
    async fn the_page_shows_ones_own_and_nobody_elses() {
        let api = api(Handle::new().0);
        let of = async |name| page(State(api.clone()), caller(name, "viewer")).await.unwrap().into_string();
        assert!(of("bob").await.contains("at http://localhost:4321"));
        assert!(of("carol").await.contains("None."));
        let nobody = line(caller("gateway", "gateway"), Ok(Body(made()))).await;
        assert_eq!(nobody.map(|_| ()).unwrap_err().status, 403);
    }
}
