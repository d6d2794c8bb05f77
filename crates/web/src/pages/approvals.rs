//! What there is to approve, and handing in what was signed: by a passkey in the browser, or with a key anywhere else.
//!
//! Nothing is signed here and nothing is kept: the page shows the statement's bytes, and whoever signs them is found by the
//! key. Without JavaScript the statement is saved, signed with `ssh-keygen`, and its signature pasted.

mod drawn;

use super::layout::{Page, Tab, rollout_path};
use crate::api::problem::Problem;
use crate::site::Served;
use crate::{Api, Caller, form};
use access::Action;
use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use control::rollout::RolloutId;
use control::rollout::approval::{
    Act, MAX_REASON_CHARACTERS, MAX_SIGNATURE_BYTES, MAX_STATEMENT_BYTES, SignedStatement,
};
use control::{CommandError, HandedIn};
use serde::Deserialize;

/// A statement, a signature and a token, each byte of which takes three in a form at most, and the fields' names; as much
/// again for a form's parts, of which each has a head.
const MAX_FORM_BYTES: usize = 3 * (MAX_STATEMENT_BYTES + MAX_SIGNATURE_BYTES + 512) + 4_096;

pub(super) fn router() -> Router<Served> {
    Router::new()
        .route("/rollouts/{rollout}/approvals", get(offer).post(hand_in))
        .layer(DefaultBodyLimit::max(MAX_FORM_BYTES))
}

/// What is to be said, as a form asks for it.
#[derive(Clone, Debug, Default, Deserialize)]
struct Asked {
    #[serde(default)]
    act: Which,
    #[serde(default)]
    reason: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Which {
    #[default]
    Approve,
    BreakGlass,
    Review,
}

impl Asked {
    fn act(self) -> Act {
        match self.act {
            Which::Approve => Act::Approve,
            Which::BreakGlass => Act::BreakGlass { reason: self.reason },
            Which::Review => Act::Review,
        }
    }

    /// What is missing before anything can be signed.
    fn lacks(&self) -> Option<String> {
        let found = self.reason.chars().count();
        let is_reason = (1..=MAX_REASON_CHARACTERS).contains(&found) && !self.reason.trim().is_empty();
        (self.act == Which::BreakGlass && !is_reason)
            .then(|| format!("Say in 1 to {MAX_REASON_CHARACTERS} characters why nobody else can approve."))
    }
}

async fn offer(
    State(api): State<Api>,
    caller: Caller,
    Path(rollout): Path<String>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Response, Problem> {
    caller.clone().to(Action::SeeStatement)?;
    let Query(asked) = asked.map_err(|rejection| bad(rejection.status(), rejection.body_text()))?;
    Ok(draw(&api, &caller, rollout, asked, None).await?.into_response())
}

/// What the form sends.
struct Signed {
    statement: String,
    signature: String,
}

impl Signed {
    /// A file counts before what was pasted; one that was not chosen is empty.
    fn read(headers: &HeaderMap, body: &[u8]) -> Option<Signed> {
        let file = form::field(headers, body, "signatureFile").filter(|file| !file.is_empty());
        let signature = file.or_else(|| form::field(headers, body, "signature"))?;
        Some(Signed { statement: form::field(headers, body, "statement")?, signature })
    }
}

async fn hand_in(
    State(api): State<Api>,
    caller: Caller,
    Path(rollout): Path<String>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let by = caller.clone().to(Action::Approve)?;
    let body = body.map_err(|rejection| bad(rejection.status(), rejection.body_text()))?;
    let expected =
        "expected a form with the fields `statement` and `signature`, or a file in `signatureFile`, as text in UTF-8";
    let Signed { statement, signature } =
        Signed::read(&headers, &body).ok_or_else(|| bad(StatusCode::UNPROCESSABLE_ENTITY, expected))?;
    // A form writes line ends as CR LF, and whoever pastes adds one: a statement has none, a signature LF alone.
    let statement = statement.trim_end_matches(['\r', '\n']).to_owned();
    let signature = signature.replace("\r\n", "\n").trim().to_owned() + "\n";
    let signature = if signature.starts_with('{') { signature.trim_end().to_owned() } else { signature };
    if statement.len() > MAX_STATEMENT_BYTES || signature.len() > MAX_SIGNATURE_BYTES {
        return Err(bad(StatusCode::PAYLOAD_TOO_LARGE, "the statement or its signature is longer than any is"));
    }
    let signed = SignedStatement { statement, signature };
    // What cannot be read is no approval of anything, and what is of another rollout is handed in on that one's page.
    let refused = match signed.open() {
        Ok((statement, _)) if statement.rollout.0 != rollout => Some("It is of another rollout.".to_owned()),
        Ok((_, key)) => {
            let signer = (api.signers)(&key);
            match api.handle.hand_in(HandedIn { signed, signer, by }).await {
                Ok(_) => None,
                Err(CommandError::Refused { reason, .. }) => Some(format!("It was refused: {reason}.")),
                Err(error) => return Err(error.into()),
            }
        }
        Err(error) => Some(format!("Nothing was handed in: {error}.")),
    };
    match refused {
        None => Ok(Redirect::to(&format!("{}/approvals#given", rollout_path(&rollout))).into_response()),
        Some(words) => {
            let page = draw(&api, &caller, rollout, Asked::default(), Some(&words)).await?;
            Ok((StatusCode::CONFLICT, page).into_response())
        }
    }
}

/// The page, whatever there is to sign.
async fn draw(
    api: &Api,
    caller: &Caller,
    rollout: String,
    asked: Asked,
    refused: Option<&str>,
) -> Result<maud::Markup, Problem> {
    let lacks = asked.lacks();
    let which = asked.act;
    let act = if lacks.is_some() { Act::Approve } else { asked.act() };
    let rollout = RolloutId(rollout);
    let offer = match api.handle.offer(Some(rollout.clone()), act).await {
        Ok(offer) => Ok(offer),
        Err(CommandError::Refused { reason, .. }) => Err(reason),
        Err(error) => return Err(error.into()),
    };
    let known = (api.known)();
    let shown = drawn::Shown { caller, known: &known, rollout: &rollout, which, lacks, refused };
    let page = shown.page(offer.as_deref());
    Ok(Page::of("Approvals").in_rollout(&rollout.0, Tab::Approvals).render(caller, &page))
}

fn bad(status: StatusCode, detail: impl Into<String>) -> Problem {
    Problem::new("bad-request", status, detail)
}

#[cfg(test)]
pub(crate) mod tests;
