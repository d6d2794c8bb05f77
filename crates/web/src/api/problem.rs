//! Errors as RFC 9457 problem details.

use crate::Refusal;
use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use control::{CommandError, EraseError, LookError, StartError};
use serde::{Deserialize, Serialize};

/// What went wrong, for people and programs (RFC 9457, section 3).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Problem {
    /// Which kind of problem: `refused-plan`, `refused`, `conflict`, `unknown`, `unavailable`, `bad-request`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The HTTP status.
    pub status: u16,
    /// What, where, and what to do.
    pub detail: String,
    /// One line for each thing that is wrong with a plan, `LINE:COLUMN: …`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<PlanProblem>,
    /// Who was refused what, for the record.
    #[serde(skip)]
    pub refusal: Option<Box<Refusal>>,
}

/// One thing that is wrong with a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanProblem {
    /// From 1.
    pub line: u64,
    /// From 1.
    pub column: u64,
    /// What was found, what was expected.
    pub message: String,
}

impl Problem {
    pub(crate) fn new(kind: &str, status: StatusCode, detail: impl Into<String>) -> Problem {
        Problem {
            kind: kind.to_owned(),
            status: status.as_u16(),
            detail: detail.into(),
            errors: Vec::new(),
            refusal: None,
        }
    }

    /// Somebody is known, and may not.
    pub(crate) fn not_allowed(refusal: Refusal) -> Problem {
        let Refusal { by, action } = &refusal;
        let has = if by.roles.is_empty() { "no role".to_owned() } else { by.roles.join(", ") };
        let detail = format!("{} may not {action}: it has {has}", by.name);
        Problem { refusal: Some(Box::new(refusal)), ..Problem::new("refused", StatusCode::FORBIDDEN, detail) }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let refusal = self.refusal.clone();
        let mut response = (status, [(header::CONTENT_TYPE, "application/problem+json")], Json(self)).into_response();
        if let Some(refusal) = refusal {
            response.extensions_mut().insert(*refusal);
        }
        response
    }
}

impl From<StartError> for Problem {
    fn from(error: StartError) -> Problem {
        let detail = error.to_string();
        match error {
            StartError::Plan(errors) => {
                let problem = |error: &control::rollout::plan::PlanError| PlanProblem {
                    line: error.line,
                    column: error.column,
                    message: error.to_string(),
                };
                let errors = errors.errors().iter().map(problem).collect();
                Problem { errors, ..Problem::new("refused-plan", StatusCode::UNPROCESSABLE_ENTITY, detail) }
            }
            StartError::NotActive { .. }
            | StartError::UnknownTap { .. }
            | StartError::TooFewWitnesses { .. }
            | StartError::Policy(_) => Problem::new("refused-plan", StatusCode::UNPROCESSABLE_ENTITY, detail),
            StartError::Running { .. } => Problem::new("conflict", StatusCode::CONFLICT, detail),
            StartError::Ledger(_) | StartError::Stopped => {
                Problem::new("unavailable", StatusCode::SERVICE_UNAVAILABLE, detail)
            }
        }
    }
}

impl From<EraseError> for Problem {
    fn from(error: EraseError) -> Problem {
        let detail = error.to_string();
        match error {
            EraseError::Nothing { .. } => Problem::new("unknown", StatusCode::NOT_FOUND, detail),
            EraseError::StillNamed { .. } => Problem::new("refused", StatusCode::CONFLICT, detail),
            EraseError::NotATrace { .. } => Problem::new("bad-request", StatusCode::BAD_REQUEST, detail),
            EraseError::Ledger(_) | EraseError::Disk(_) | EraseError::Stopped => {
                Problem::new("unavailable", StatusCode::SERVICE_UNAVAILABLE, detail)
            }
        }
    }
}

impl From<LookError> for Problem {
    fn from(error: LookError) -> Problem {
        let detail = error.to_string();
        match error {
            LookError::Refused { .. } => Problem::new("refused", StatusCode::FORBIDDEN, detail),
            LookError::NotThere { .. } => Problem::new("unknown", StatusCode::NOT_FOUND, detail),
            LookError::Ledger(_) | LookError::Disk(_) | LookError::Stopped => {
                Problem::new("unavailable", StatusCode::SERVICE_UNAVAILABLE, detail)
            }
        }
    }
}

impl From<CommandError> for Problem {
    fn from(error: CommandError) -> Problem {
        let detail = error.to_string();
        match error {
            CommandError::Unknown { .. } => Problem::new("unknown", StatusCode::NOT_FOUND, detail),
            CommandError::Refused { .. } => Problem::new("refused", StatusCode::CONFLICT, detail),
            CommandError::Ledger(_) | CommandError::Stopped => {
                Problem::new("unavailable", StatusCode::SERVICE_UNAVAILABLE, detail)
            }
        }
    }
}
