//! Can both environments make the calls that they need? Whoever is inside of an environment makes them ([`agent`]), and
//! `integrations` decides. Where an environment has no agent they are made from here, which is said, and is no evidence
//! unless the plan means it.
//!
//! What is called is only asked, never changed: safe methods, no bodies, no tokens, no redirects followed. Answers are
//! bounded and dropped. Everything is bounded in time; whoever drops the future ends all connections.

pub mod agent;
mod attempt;
mod make;

use crate::Run;
use crate::server::{Question, Server, ServerError};
use http::Method;
use integrations::{Calls, MAX_OUTCOME_BYTES, OutcomeError, Outcomes, Slower, compare};
use model::{ClientTls, GateResult, PerEnvironment, UnixMillis};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

pub use make::{Allowed, MAKING_LIMIT, Maker};

/// How long an agent is waited for: its own limit, and what asking and answering take beside.
const AGENT_LIMIT: Duration = Duration::from_secs(75);
/// Where an agent is asked.
pub const CALLS_PATH: &str = "/v1/calls";

/// Microseconds since some moment, never fewer than before.
pub type Stopwatch = Arc<dyn Fn() -> u64 + Send + Sync>;
/// What time it is: certificates end.
pub type Clock = Arc<dyn Fn() -> UnixMillis + Send + Sync>;

/// Who makes calls inside of an environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentAddress {
    /// `http://host:port` or `https://host:port`.
    pub url: String,
    /// The file of the token that it is shown. The path is absolute.
    pub token_file: PathBuf,
    /// What TLS towards it needs beyond the defaults.
    pub tls: ClientTls,
}

/// What is demanded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Demanded {
    /// What is called.
    pub calls: Calls,
    /// How much slower green's calls may be.
    pub slower: Slower,
    /// Calls that the controller makes itself are meant.
    pub controller_is_meant: bool,
    /// What TLS needs beyond the defaults where the controller calls itself. It shows no certificate of ours.
    pub tls: ClientTls,
}

/// Why an agent tells nothing. Never holds the token.
#[derive(Debug, thiserror::Error)]
enum AskError {
    #[error(transparent)]
    Server(#[from] ServerError),
    #[error("{url} answered with the status {status}; expected the outcomes of the calls{hint}")]
    Status { url: String, status: u16, hint: &'static str },
    #[error("{url}: {source}")]
    Outcomes { url: String, source: OutcomeError },
}

/// The stopwatch of a shell that runs: the machine's monotonic clock.
pub fn stopwatch() -> Stopwatch {
    let begin = tokio::time::Instant::now();
    Arc::new(move || u64::try_from(begin.elapsed().as_micros()).unwrap_or(u64::MAX))
}

/// Has both environments make the calls at the same time, and decides.
pub async fn run(
    agents: &PerEnvironment<Option<AgentAddress>>,
    demanded: &Demanded,
    stopwatch: &Stopwatch,
    clock: &Clock,
) -> Run {
    let outcomes_of = async |agent: &Option<AgentAddress>| match agent {
        Some(agent) => ask(agent, &demanded.calls).await.map_err(|error| error.to_string()),
        None => {
            let maker = Maker {
                allowed: Allowed::AnythingButMetadata,
                tls: demanded.tls.clone(),
                stopwatch: stopwatch.clone(),
                clock: clock.clone(),
            };
            let attempts = maker.make(&demanded.calls).await;
            Ok(Outcomes { from: integrations::Origin::Controller, attempts })
        }
    };
    let (blue, green) = tokio::join!(outcomes_of(&agents.blue), outcomes_of(&agents.green));
    let Demanded { calls, slower, controller_is_meant, .. } = demanded;
    let (slower, controller_is_meant) = (*slower, *controller_is_meant);
    let outcomes = PerEnvironment { blue: &blue, green: &green };
    let answer = compare(&integrations::Question { calls, outcomes, slower, controller_is_meant });
    let result = GateResult { verdict: answer.verdict, reasons: answer.reasons, evidence: None };
    Run::with_evidence(result, &answer.evidence)
}

async fn ask(agent: &AgentAddress, calls: &Calls) -> Result<Outcomes, AskError> {
    let AgentAddress { url, token_file, tls } = agent;
    let server = Server::new("an agent (`verdigris agent`)", url, tls, Some(token_file.clone()))?;
    let question = Question {
        method: Method::POST,
        path: CALLS_PATH.to_owned(),
        body: Some(("application/json", calls.to_json())),
        max_answer_bytes: MAX_OUTCOME_BYTES,
        expected: "the outcomes of the calls",
    };
    let url = || server.url().to_owned();
    let timed_out = |_| ServerError::Timeout { url: url(), attempt: AGENT_LIMIT };
    let (status, body) = timeout(AGENT_LIMIT, server.ask(&question)).await.map_err(timed_out)??;
    let hint = match status {
        200 => {
            return Outcomes::read(&body, calls).map_err(|source| AskError::Outcomes { url: url(), source });
        }
        401 => ": it does not take the token",
        404 => ": is it an agent?",
        503 => ": it makes somebody else's calls at the moment",
        _ => "",
    };
    Err(AskError::Status { url: url(), status, hint })
}

#[cfg(test)]
mod tests;
