//! Learning what a pipeline changes: somebody asks for it, and hears what was learned so far until it is over or he goes
//! away. Each line of the answer is a JSON value that holds all of it.

use super::body::Body;
use super::problem::Problem;
use crate::{Api, Caller};
use access::Action;
use axum::body::Body as Answer;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use control::rollout::Principal;
use futures_util::stream;
use model::Environment;
use serde::{Deserialize, Serialize};
use std::convert::Infallible;
use std::sync::Arc;
use tokio::sync::watch;

/// How long may be learned, in milliseconds: 10 s, in which ten times is told what was learned, to a day.
pub const LEARN_FOR_MS: (u64, u64) = (10_000, 24 * 3_600_000);
/// What shows in a smaller share than this can be left out, and no more: half.
pub const MAX_LEAST_SHARE: f64 = 0.5;

/// The body of `POST /v1/learning`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LearnRequest {
    /// Whose pipeline; the active environment's if it is not said.
    pub environment: Option<Environment>,
    /// How long it is watched.
    pub for_ms: u64,
    /// Within which time a span must have come out.
    pub horizon_ms: u64,
    /// What shows in less than this share of the spans in which it could have is left out, above 0 and up to one half.
    pub least_share: f64,
    /// So is what shows in fewer spans, at least 1.
    pub least_spans: u64,
}

/// Begins to learn, for somebody. What was learned so far is told again and again; it ends when nobody hears it any more.
pub type Learn =
    Arc<dyn Fn(LearnRequest, Principal) -> Result<watch::Receiver<serde_json::Value>, LearnError> + Send + Sync>;

/// Why nothing is learned.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum LearnError {
    /// Too short a time, or too long a one.
    #[error("forMs: found {found}, expected {} to {}", LEARN_FOR_MS.0, LEARN_FOR_MS.1)]
    For {
        /// What was asked for.
        found: u64,
    },
    /// Nothing could be said of a span that is missing.
    #[error("horizonMs: found {found}, expected 1 to forMs, which is {for_ms}")]
    Horizon {
        /// What was asked for.
        found: u64,
        /// How long is watched.
        for_ms: u64,
    },
    /// No share, or no number, that could be too small.
    #[error("leastShare, leastSpans: found {share} and {spans}, expected above 0 to {MAX_LEAST_SHARE}, and at least 1")]
    Least {
        /// The share that was asked for.
        share: f64,
        /// The number that was asked for.
        spans: u64,
    },
    /// Nothing is sent there.
    #[error("nothing is sent to {environment} now: no rollout is under way, and {active} serves")]
    NotThere {
        /// Which environment.
        environment: Environment,
        /// Which one serves.
        active: Environment,
    },
    /// What comes out is read from a store.
    #[error(
        "{environment} has no tap: the plan of the rollout that is under way reads what comes out from its trace store, \
         and that changes values of its own. Learn from recordings instead, with --sent and --out"
    )]
    NoTap {
        /// Which environment.
        environment: Environment,
    },
    /// One at a time.
    #[error(
        "somebody learns already, and one at a time can: wait for the end of it, `learning` in /v1/status says when"
    )]
    Busy,
    /// A part of the traffic passes elsewhere.
    #[error(
        "the server before this one still finishes what it took, and what passes there is not seen here: try again"
    )]
    NotAlone,
    /// Nobody looks at the traffic any more.
    #[error("the server stops")]
    Stopped,
}

impl LearnRequest {
    /// Whether it asks for something that can be.
    pub fn check(&self) -> Result<(), LearnError> {
        let LearnRequest { environment: _, for_ms, horizon_ms, least_share: share, least_spans: spans } = *self;
        if !(LEARN_FOR_MS.0..=LEARN_FOR_MS.1).contains(&for_ms) {
            return Err(LearnError::For { found: for_ms });
        }
        if !(1..=for_ms).contains(&horizon_ms) {
            return Err(LearnError::Horizon { found: horizon_ms, for_ms });
        }
        if !(share > 0.0 && share <= MAX_LEAST_SHARE) || spans == 0 {
            return Err(LearnError::Least { share, spans });
        }
        Ok(())
    }
}

impl From<LearnError> for Problem {
    fn from(error: LearnError) -> Problem {
        let detail = error.to_string();
        match error {
            LearnError::For { .. } | LearnError::Horizon { .. } | LearnError::Least { .. } => {
                Problem::new("bad-request", StatusCode::UNPROCESSABLE_ENTITY, detail)
            }
            LearnError::NotThere { .. } | LearnError::NoTap { .. } => {
                Problem::new("refused", StatusCode::CONFLICT, detail)
            }
            LearnError::Busy => Problem::new("conflict", StatusCode::CONFLICT, detail),
            LearnError::NotAlone | LearnError::Stopped => {
                Problem::new("unavailable", StatusCode::SERVICE_UNAVAILABLE, detail)
            }
        }
    }
}

/// `POST /v1/learning`. The answer ends when all is learned, and when the server `stops`.
pub(crate) async fn learn(
    State(api): State<Api>,
    State(Stops(stops)): State<Stops>,
    caller: Caller,
    body: Result<Body<LearnRequest>, Problem>,
) -> Result<Response, Problem> {
    let by = caller.to(Action::Learn)?;
    let Body(request) = body?;
    request.check()?;
    let told = (api.learn)(request, by)?;
    let lines = stream::unfold((told, stops), async |(mut told, mut stops)| {
        tokio::select! {
            biased;
            _ = stops.wait_for(|stops| *stops) => return None,
            changed = told.changed() => changed.ok()?,
        }
        let line = format!("{}\n", *told.borrow_and_update());
        Some((Ok::<_, Infallible>(line), (told, stops)))
    });
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], Answer::from_stream(lines)).into_response())
}

/// Says when the server stops: an answer that goes on would hold it up.
#[derive(Clone)]
pub(crate) struct Stops(pub(crate) watch::Receiver<bool>);
