//! A comparison from its first question to its verdict.

use crate::database::Database;
use crate::session::{AskError, Session};
use crate::traffic::{Bytes, Traffic};
use migration::{Checks, Comparison, Next, Question};
use model::{Environment, GateResult, GateVerdict, PerEnvironment};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;

/// The answer, and what it follows from.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The verdict and the reasons. `evidence` is empty: who keeps the blob knows its digest.
    pub result: GateResult,
    /// Counts, checksums and paths, without values of rows.
    pub evidence: Value,
    /// On the wire, with the protocol's own, and TLS' where there is TLS.
    pub bytes: PerEnvironment<Bytes>,
    /// Statements sent to both sides together, without those that begin and end the sessions.
    pub questions: u64,
}

/// Asks both databases at once, and decides. `limit` bounds all of it, and is what a server ends each statement after;
/// `secret` is random and of this run alone (see [`Comparison::new`]).
///
/// Dropping the future ends the statements that are running.
pub async fn run(databases: &PerEnvironment<Database>, checks: &Checks, limit: Duration, secret: [u8; 32]) -> Answer {
    let traffic = PerEnvironment::from_fn(|_| Arc::new(Traffic::default()));
    let mut comparison = match Comparison::new(checks, secret) {
        Ok(comparison) => comparison,
        Err(error) => return refused(&error.to_string()),
    };
    let mut questions = 0;
    let asked = tokio::select! {
        asked = compare(databases, &traffic, &mut comparison, limit, &mut questions) => asked,
        () = sleep(limit) => Err(format!("the databases were not done within {} s; give the gate more time, or fewer rows", limit.as_secs_f64())),
    };
    if let Err(words) = asked {
        comparison.fail(words);
    }
    let Next::Done(assessment) = comparison.next() else {
        // It is over by what `compare` does, or by `fail`.
        return refused("the comparison did not come to its end");
    };
    let bytes = traffic.map(|traffic| traffic.bytes());
    let mut evidence = assessment.evidence;
    if let Value::Object(evidence) = &mut evidence {
        evidence.insert("bytes".into(), json!({"blue": bytes.blue.to_json(), "green": bytes.green.to_json()}));
        evidence.insert("questions".into(), json!(questions));
    }
    let result = GateResult { verdict: assessment.verdict, reasons: assessment.reasons, evidence: None };
    Answer { result, evidence, bytes, questions }
}

fn refused(words: &str) -> Answer {
    Answer {
        result: GateResult { verdict: GateVerdict::Error, reasons: vec![words.to_owned()], evidence: None },
        evidence: json!({"verdict": GateVerdict::Error, "reasons": [words]}),
        bytes: PerEnvironment::default(),
        questions: 0,
    }
}

async fn compare(
    databases: &PerEnvironment<Database>,
    traffic: &PerEnvironment<Arc<Traffic>>,
    comparison: &mut Comparison,
    limit: Duration,
    questions: &mut u64,
) -> Result<(), String> {
    let begin = async |side: Environment| {
        let begun = Session::begin(&databases[side], Arc::clone(&traffic[side]), limit).await;
        begun.map_err(|error| format!("{side}: {error}"))
    };
    let (mut blue, mut green) = tokio::try_join!(begin(Environment::Blue), begin(Environment::Green))?;
    // Bounded by what the comparison follows.
    while let Next::Ask(ask) = comparison.next() {
        *questions += ask.blue.iter().chain(&ask.green).count() as u64;
        let (blue, green) = tokio::try_join!(
            one(Environment::Blue, &mut blue, ask.blue.as_ref()),
            one(Environment::Green, &mut green, ask.green.as_ref())
        )?;
        comparison.take(PerEnvironment { blue, green });
    }
    tokio::join!(blue.end(), green.end());
    Ok(())
}

async fn one(
    side: Environment,
    session: &mut Session,
    question: Option<&Question>,
) -> Result<Option<migration::Answer>, String> {
    let Some(question) = question else { return Ok(None) };
    let answer: Result<_, AskError> = session.ask(question).await;
    answer.map(Some).map_err(|error| format!("{side}: {error}"))
}
