//! What a reader may do with a rollout now: a form for each, which says what it will do. What moves traffic at once asks
//! again on a page of its own. A form works without JavaScript, and its answer is a redirect.

use super::layout::{Page, Tab, csrf, rollout_path};
use super::rollout::found;
use crate::api::problem::Problem;
use crate::site::Served;
use crate::{Api, Caller};
use access::Action;
use axum::Router;
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use control::rollout::acceptance::{MAX_NOTE_BYTES, Says};
use control::rollout::{Command, Progress, Report, RolloutId};
use control::{CommandError, SaidOff};
use maud::{Markup, html};
use serde::Deserialize;

/// A reason or a note is at most 1,024 bytes, each of which can stand as `%xx`; the rest is names and a token. It is read
/// as a URI's query, which can be 65,534 bytes long.
const MAX_FORM_BYTES: usize = 8 * 1024;
/// Bytes of the reason of a rollback: as much as of a tester's note.
const MAX_REASON_BYTES: usize = MAX_NOTE_BYTES;

pub(super) fn router() -> Router<Served> {
    Router::new()
        .route("/rollouts/{rollout}/confirm/{command}", get(confirm))
        .route("/rollouts/{rollout}/commands", post(command))
        .route("/rollouts/{rollout}/sign-offs", post(sign_off))
        .layer(DefaultBodyLimit::max(MAX_FORM_BYTES))
}

/// What can be asked for, in which state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Act {
    Pause,
    Resume,
    Promote,
    Rollback,
}

impl Act {
    /// What makes sense now; the controller refuses what does not.
    fn possible(report: &Report) -> &'static [Act] {
        match report.progress {
            Progress::Progressing => &[Act::Pause, Act::Promote, Act::Rollback],
            Progress::Paused | Progress::Held => &[Act::Resume, Act::Promote, Act::Rollback],
            Progress::RollingBack | Progress::Promoting | Progress::Promoted | Progress::RolledBack => &[],
        }
    }

    fn name(self) -> &'static str {
        match self {
            Act::Pause => "pause",
            Act::Resume => "resume",
            Act::Promote => "promote",
            Act::Rollback => "rollback",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Act::Pause => "Pause",
            Act::Resume => "Resume",
            Act::Promote => "Promote",
            Act::Rollback => "Roll back",
        }
    }

    /// What it will do, to this rollout as it stands.
    fn will(self, report: &Report) -> String {
        let serves = report.weight_observed.map_or("its share".to_owned(), |weight| weight.to_string());
        match self {
            Act::Pause => format!("Stops the steps. Green keeps serving {serves}; the guards go on and can roll back."),
            Act::Resume => "Goes on: ends a pause, or tries again what the rollout is held at.".to_owned(),
            Act::Promote => {
                "Ends the wait of this step and goes on with the next. No gate is skipped, and no alarm.".to_owned()
            }
            Act::Rollback => format!("Sends all new traces to {} at once and ends the rollout.", report.active),
        }
    }

    /// Whether it is asked for twice.
    fn confirms(self) -> bool {
        matches!(self, Act::Promote | Act::Rollback)
    }
}

/// What this reader may do now.
pub(super) fn part(caller: &Caller, report: &Report) -> Markup {
    let base = rollout_path(&report.rollout.0);
    let acts = if caller.may(Action::Steer) { Act::possible(report) } else { &[] };
    let signs =
        caller.may(Action::SignOff) && report.steps.iter().any(|step| step.current && step.does.contains("acceptance"));
    html! {
        section id="acts" data-own-part aria-label="What you may do now" {
            @if !acts.is_empty() || signs { h2 { "What you may do now" } }
            @for act in acts {
                @if act.confirms() {
                    form.act method="get" action={ (base) "/confirm/" (act.name()) } {
                        button.danger[*act == Act::Rollback] id={ "act-" (act.name()) } { (act.title()) "…" }
                        p { (act.will(report)) " You are asked once more." }
                    }
                } @else {
                    form.act method="post" action={ (base) "/commands" } {
                        (csrf(caller))
                        button id={ "act-" (act.name()) } name="command" value=(act.name()) { (act.title()) }
                        p { (act.will(report)) }
                    }
                }
            }
            @if signs { (sign_off_form(caller, &base)) }
        }
    }
}

fn sign_off_form(caller: &Caller, base: &str) -> Markup {
    html! {
        form method="post" action={ (base) "/sign-offs" } {
            h3 { "Sign off as a tester" }
            p { "It counts if the plan names you as a tester and green served traces of yours. A refusal rolls back." }
            (csrf(caller))
            label for="note" { "Note (why; needed for a refusal)" }
            textarea id="note" name="note" maxlength=(MAX_NOTE_BYTES) {}
            p { button name="says" value="accept" { "Accept" } " " button.danger name="says" value="refuse" { "Refuse" } }
        }
    }
}

async fn confirm(
    State(api): State<Api>,
    caller: Caller,
    Path((rollout, act)): Path<(String, String)>,
) -> Result<Markup, Problem> {
    caller.clone().to(Action::Steer)?;
    let report = found(&api, &rollout).await?;
    let act = [Act::Promote, Act::Rollback].into_iter().find(|known| known.name() == act);
    let act =
        act.ok_or_else(|| Problem::new("unknown", StatusCode::NOT_FOUND, "only promote and rollback are confirmed"))?;
    Ok(confirmation(&caller, &report, act))
}

fn confirmation(caller: &Caller, report: &Report, act: Act) -> Markup {
    let base = rollout_path(&report.rollout.0);
    let title = format!("{} {}?", act.title(), report.rollout.0);
    let main = html! {
        p.headline { bdi { (report.headline) } }
        @for line in &report.exceptions { p.alert { bdi { (line) } } }
        p.note { (act.will(report)) }
        form method="post" action={ (base) "/commands" } {
            (csrf(caller))
            @if act == Act::Rollback {
                label for="reason" { "Why" }
                textarea id="reason" name="reason" required maxlength=(MAX_REASON_BYTES) {}
                p.faint { "The reason stands in the ledger for ever: name no person and no value of the traffic." }
                @if let Some(past) = &report.past_return {
                    label { input type="checkbox" name="past" value="yes" required; " Although a rollback is not safe since step "
                        (past.step) ": " bdi { (past.reason) } }
                }
            }
            p { button.danger[act == Act::Rollback] name="command" value=(act.name()) { (act.title()) } " " a href=(base) { "Do nothing" } }
        }
    };
    Page::of(&title).in_rollout(&report.rollout.0, Tab::Overview).render(caller, &main)
}

/// The fields of a form. The door has looked at `csrf` by then.
fn form<T: serde::de::DeserializeOwned>(body: &str) -> Result<T, Problem> {
    let refused = |detail: String| Problem::new("bad-request", StatusCode::UNPROCESSABLE_ENTITY, detail);
    // A form's body is written as a query is (WHATWG URL, application/x-www-form-urlencoded).
    let uri: Uri = format!("/?{body}").parse().map_err(|_| refused("the body is not of a form".to_owned()))?;
    let Query(fields) = Query::<T>::try_from_uri(&uri).map_err(|error| refused(error.body_text()))?;
    Ok(fields)
}

#[derive(Debug, Deserialize)]
struct Asked {
    command: Act,
    #[serde(default)]
    reason: String,
    past: Option<String>,
}

impl Asked {
    fn command(self) -> Result<Command, Problem> {
        let refused = |detail: String| Problem::new("bad-request", StatusCode::UNPROCESSABLE_ENTITY, detail);
        match self.command {
            Act::Pause => Ok(Command::Pause),
            Act::Resume => Ok(Command::Resume),
            Act::Promote => Ok(Command::Promote),
            Act::Rollback if self.reason.trim().is_empty() => Err(refused("a rollback needs a reason".to_owned())),
            Act::Rollback if self.reason.len() > MAX_REASON_BYTES => {
                Err(refused(format!("the reason has more than {MAX_REASON_BYTES} bytes")))
            }
            Act::Rollback => {
                Ok(Command::Rollback { reason: self.reason, past_point_of_no_return: self.past.is_some() })
            }
        }
    }
}

async fn command(
    State(api): State<Api>,
    caller: Caller,
    Path(rollout): Path<String>,
    body: String,
) -> Result<Response, Problem> {
    let by = caller.clone().to(Action::Steer)?;
    let command = form::<Asked>(&body)?.command()?;
    let done = api.handle.command(Some(RolloutId(rollout.clone())), command, by).await;
    Ok(answered(&caller, &rollout, done))
}

#[derive(Debug, Deserialize)]
struct SignsOff {
    says: Says,
    #[serde(default)]
    note: String,
}

async fn sign_off(
    State(api): State<Api>,
    caller: Caller,
    Path(rollout): Path<String>,
    body: String,
) -> Result<Response, Problem> {
    let by = caller.clone().to(Action::SignOff)?;
    let SignsOff { says, note } = form(&body)?;
    if note.len() > MAX_NOTE_BYTES {
        let detail = format!("the note has more than {MAX_NOTE_BYTES} bytes");
        return Err(Problem::new("bad-request", StatusCode::UNPROCESSABLE_ENTITY, detail));
    }
    let note = Some(note).filter(|note| !note.trim().is_empty());
    let done = api.handle.sign_off(Some(RolloutId(rollout.clone())), SaidOff { says, note, by }).await;
    Ok(answered(&caller, &rollout, done))
}

/// Back to the rollout, or why nothing was done.
fn answered(caller: &Caller, rollout: &str, done: Result<Box<Report>, CommandError>) -> Response {
    let error = match done {
        Ok(_) => return Redirect::to(&rollout_path(rollout)).into_response(),
        Err(error) => Problem::from(error),
    };
    let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let main = html! {
        p.alert role="alert" { bdi { (error.detail) } }
        p { "Nothing was changed. " a href=(rollout_path(rollout)) { "Back to the rollout" } }
    };
    let page = Page::of("It was not done").in_rollout(rollout, Tab::Overview).render(caller, &main);
    (status, page).into_response()
}
