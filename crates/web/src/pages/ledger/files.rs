//! What is no page: the ledger's files (C2SP tlog-tiles), the bundle, and the script that verifies.

use crate::api::problem::Problem;
use crate::files::unreadable;
use crate::{Api, Caller};
use access::Action;
use axum::extract::rejection::FormRejection;
use axum::extract::{Form, Path, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::http::{HeaderName, StatusCode};
use control::rollout::RolloutId;
use ledger::{Bundle, TILE_WIDTH, Tile};
use serde::Deserialize;
use tokio::sync::Semaphore;

/// Characters of a rollout's name that a form may send.
const MAX_NAME_CHARACTERS: usize = 200;
/// What never changes may be kept, by the browser of whoever may see it and nobody else.
const FOR_EVER: &str = "private, max-age=31536000, immutable";
/// What grows is asked for again.
const NEVER: &str = "no-store";

/// Bundles that are made at a time: each is in memory as a whole, up to `audit::MAX_BUNDLE_BYTES`.
static EXPORTS: Semaphore = Semaphore::const_new(1);

type Headed<const N: usize, T> = ([(HeaderName, &'static str); N], T);

/// The signed note.
pub(super) async fn checkpoint(State(api): State<Api>, caller: Caller) -> Result<Headed<2, String>, Problem> {
    caller.to(Action::SeeLedger)?;
    let note = api.ledger.read(|_, opened| Ok(opened.note.to_string())).await?;
    Ok(([(CONTENT_TYPE, "text/plain; charset=utf-8"), (CACHE_CONTROL, NEVER)], note))
}

/// `tile/…`: hashes, or entries. Only paths that the specification has are looked for on the disk.
pub(super) async fn tile(
    State(api): State<Api>,
    caller: Caller,
    Path(path): Path<String>,
) -> Result<Headed<2, Vec<u8>>, Problem> {
    caller.to(Action::SeeLedger)?;
    let path = format!("tile/{path}");
    let (tile, bundle) = (path.parse::<Tile>().ok(), path.parse::<Bundle>().ok());
    let missing = || Problem::new("unknown", StatusCode::NOT_FOUND, "the ledger has no such tile");
    let width = tile.map(|it| it.width).or(bundle.map(|it| it.width)).ok_or_else(missing)?;
    let bytes = api.ledger.read(move |_, opened| {
        let read = match (tile, bundle) {
            (Some(tile), _) => opened.reader.tile(tile),
            (None, Some(bundle)) => opened.reader.bundle(bundle),
            (None, None) => Ok(None),
        };
        read.map_err(|error| unreadable(&error))
    });
    let keep = if width == TILE_WIDTH { FOR_EVER } else { NEVER };
    let bytes = bytes.await?.ok_or_else(missing)?;
    Ok(([(CONTENT_TYPE, "application/octet-stream"), (CACHE_CONTROL, keep)], bytes))
}

/// The form. Its `csrf` is for the door, which has looked at it.
#[derive(Debug, Deserialize)]
pub(super) struct Wanted {
    rollout: String,
}

/// A rollout's bundle, as a file.
pub(super) async fn export(
    State(api): State<Api>,
    caller: Caller,
    form: Result<Form<Wanted>, FormRejection>,
) -> Result<Headed<3, Vec<u8>>, Problem> {
    caller.to(Action::ExportLedger)?;
    let Form(Wanted { rollout }) =
        form.map_err(|rejection| Problem::new("bad-request", rejection.status(), rejection.body_text()))?;
    let refused = |detail: String| Problem::new("refused", StatusCode::UNPROCESSABLE_ENTITY, detail);
    if rollout.is_empty() || rollout.chars().count() > MAX_NAME_CHARACTERS {
        return Err(refused(format!("expected the name of a rollout, of at most {MAX_NAME_CHARACTERS} characters")));
    }
    let Ok(_one) = EXPORTS.try_acquire() else {
        let detail = "another bundle is being made: try again in a moment";
        return Err(Problem::new("unavailable", StatusCode::SERVICE_UNAVAILABLE, detail));
    };
    let export = api.ledger.export.clone();
    let made = tokio::task::spawn_blocking(move || export(&RolloutId(rollout))).await;
    let bytes = made.unwrap_or_else(|_| Err("making the bundle was broken off".to_owned())).map_err(refused)?;
    let headers = [
        (CONTENT_TYPE, "application/x-tar"),
        (CONTENT_DISPOSITION, "attachment; filename=\"rollout.bundle.tar\""),
        (CACHE_CONTROL, NEVER),
    ];
    Ok((headers, bytes))
}
