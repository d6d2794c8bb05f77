//! The answer's JSON.

use crate::question::part_of_line;
use crate::{LABEL, Part};
use model::{Counters, MAX_COUNTER, PerEnvironment, Reading, UnixMillis, quoted};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Milliseconds since 1970 that an answer may name: the year 9999, and exact as a float.
const MAX_UNIX_MS: f64 = 253_402_300_799_999.0;

/// An answer that is not four counters. Its words name no secret, hold no control character and are at most some 400
/// bytes long.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// It is not the API's JSON.
    #[error("answered HTTP status {status} with something else than the API's JSON ({reason}); expected {}", expected(*status))]
    NotTheApi {
        /// HTTP's.
        status: u16,
        /// Where the JSON ends to be the API's.
        reason: String,
    },
    /// Prometheus refused the question.
    #[error("refused the query{of}: {error} (HTTP status {status}, {kind}); expected PromQL for one counter")]
    Refused {
        /// HTTP's.
        status: u16,
        /// Whose mistake it is, where Prometheus names the line: ` for the ‘events’ of blue`.
        of: String,
        /// Prometheus' `errorType`.
        kind: String,
        /// Prometheus' own words.
        error: String,
    },
    /// The answer may be incomplete.
    #[error("warned: {warning}; an answer that may be incomplete is not used: mend what it warns of")]
    Warned {
        /// The first warning.
        warning: String,
    },
    /// The answer is no vector.
    #[error("answered with a {kind}; expected a vector")]
    NoVector {
        /// What it is.
        kind: String,
    },
    /// There is no series, and so no number.
    #[error(
        "has no series for {of}; expected one: check the query's labels and whether its targets are up, and where no \
         event has made a series yet, add `or vector(0)` to `events`"
    )]
    Missing {
        /// Which of the four.
        of: &'static str,
    },
    /// There are more than one.
    #[error("has several series for {of}; expected one: put sum(…) around the query")]
    Several {
        /// Which of the four.
        of: &'static str,
    },
    /// What is there is no counter.
    #[error("answered {value} for {of}; expected a counter, from 0 to 2^53")]
    NoCounter {
        /// Which of the four.
        of: &'static str,
        /// What is there instead.
        value: String,
    },
    /// The elements are not of one moment, or of none.
    #[error("answered with times that cannot be; expected one time in seconds since 1970")]
    Times,
}

fn expected(status: u16) -> &'static str {
    match status {
        401 | 403 => {
            "its answer to a query: it wants a token or a certificate that the plan gives it (`bearerTokenFile`, `tls`)"
        }
        300..=399 => "its answer to a query, not another address: name that address in `url`",
        404 => "the query API below `url`: is the path missing, such as /prometheus?",
        _ => "a Prometheus that answers at /api/v1/query",
    }
}

/// What the API answers; keys that are not needed are left unread, for later versions add some.
#[derive(Deserialize)]
struct Envelope {
    status: String,
    #[serde(rename = "errorType", default)]
    error_type: String,
    #[serde(default)]
    error: String,
    #[serde(default)]
    warnings: Vec<String>,
    data: Option<Data>,
}

#[derive(Deserialize)]
struct Data {
    #[serde(rename = "resultType")]
    result_type: String,
    result: serde_json::Value,
}

#[derive(Deserialize)]
struct Element {
    #[serde(default)]
    metric: BTreeMap<String, String>,
    /// Absent for a histogram, which is no number.
    value: Option<(f64, String)>,
}

/// Reads an answer, whatever bytes it is.
pub fn read(status: u16, body: &[u8]) -> Result<Reading, AnswerError> {
    let not_the_api = |reason: &str| AnswerError::NotTheApi { status, reason: quoted(reason) };
    // serde_json bounds the depth (128), and whoever calls bounds the bytes.
    let envelope: Envelope = serde_json::from_slice(body).map_err(|error| not_the_api(&error.to_string()))?;
    if envelope.status != "success" || status != 200 {
        let of = line_of(&envelope.error).and_then(part_of_line).map(|part| format!(" for {}", part.words()));
        return Err(AnswerError::Refused {
            status,
            of: of.unwrap_or_default(),
            kind: quoted(&envelope.error_type),
            error: quoted(&envelope.error),
        });
    }
    if let Some(warning) = envelope.warnings.first() {
        return Err(AnswerError::Warned { warning: quoted(warning) });
    }
    let data = envelope.data.ok_or_else(|| not_the_api("no `data`"))?;
    if data.result_type != "vector" {
        return Err(AnswerError::NoVector { kind: quoted(&data.result_type) });
    }
    let elements: Vec<Element> =
        serde_json::from_value(data.result).map_err(|error| not_the_api(&error.to_string()))?;
    reading(&elements)
}

fn reading(elements: &[Element]) -> Result<Reading, AnswerError> {
    let mut at = None;
    let mut counter = |part: Part| {
        let of = part.words();
        let mut own = elements.iter().filter(|it| it.metric.get(LABEL).is_some_and(|label| label == part.name()));
        let element = own.next().ok_or(AnswerError::Missing { of })?;
        if own.next().is_some() {
            return Err(AnswerError::Several { of });
        }
        let Some((time_s, value)) = &element.value else {
            return Err(AnswerError::NoCounter { of, value: "a histogram".to_owned() });
        };
        if *at.get_or_insert(*time_s) != *time_s {
            return Err(AnswerError::Times);
        }
        let number = value.parse::<f64>().ok().filter(|number| (0.0..=MAX_COUNTER).contains(number));
        number.ok_or_else(|| AnswerError::NoCounter { of, value: quoted(value) })
    };
    let mut counters = |events, total| Ok(Counters { events: counter(events)?, total: counter(total)? });
    let counters = PerEnvironment {
        blue: counters(Part::BlueEvents, Part::BlueTotal)?,
        green: counters(Part::GreenEvents, Part::GreenTotal)?,
    };
    let at_ms = at.map(|time_s| (time_s * 1_000.0).round()).filter(|ms| (0.0..=MAX_UNIX_MS).contains(ms));
    Ok(Reading { at: UnixMillis(at_ms.ok_or(AnswerError::Times)? as u64), counters })
}

/// The line that a parse error names: `invalid parameter "query": 2:14: parse error: …`.
fn line_of(error: &str) -> Option<usize> {
    let place = error.strip_prefix("invalid parameter \"query\": ")?;
    place.split_once(':')?.0.parse().ok()
}

#[cfg(test)]
mod tests;
