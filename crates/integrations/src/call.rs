//! Calls that an environment must be able to make, and what became of them.

use crate::address::{Address, AddressError};
use model::quoted;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Calls of one gate.
pub const MAX_CALLS: usize = 32;
/// How often one call is made. 32 calls of 100 times within the agent's minute are 18 ms each.
pub const MAX_REPETITIONS: u16 = 100;
/// How long one attempt may take.
pub const MAX_TIMEOUT_MS: u32 = 10_000;
/// Characters of a call's name.
pub const MAX_CALL_NAME_CHARACTERS: usize = 128;
/// Bytes of the calls as JSON: 2 KiB each, most of it the URL.
pub const MAX_CALLS_BYTES: usize = 64 * 1024;
/// Bytes of the outcomes as JSON: 3,200 attempts, of 800 bytes each where all failed in the longest words.
pub const MAX_OUTCOME_BYTES: usize = 4 * 1024 * 1024;
/// Bytes of a URL, and of a header's or a service's name.
const MAX_TEXT_BYTES: usize = 1_024;
/// Headers that one answer must have.
const MAX_HEADERS: usize = 16;

/// One call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Call {
    /// What reasons call it.
    pub name: String,
    /// What is called.
    pub to: Target,
    /// How often: 1 to [`MAX_REPETITIONS`].
    pub repetitions: u16,
    /// How long one attempt may take, in milliseconds: 1 to [`MAX_TIMEOUT_MS`].
    pub timeout_ms: u32,
}

/// What is called. Nothing that changes something on the other side can be asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Target {
    /// A request by HTTP/1.1 without a body. Redirects are answers, and are not followed.
    Http {
        /// How.
        method: Method,
        /// `http://` or `https://`.
        url: String,
        /// What the answer's status must be.
        status: u16,
        /// Names of headers that the answer must have; their values are nobody's business.
        #[serde(skip_serializing_if = "Vec::is_empty", default)]
        headers: Vec<String>,
    },
    /// A connection.
    Tcp {
        /// Where to.
        host: String,
        /// Which port.
        port: u16,
    },
    /// A handshake, with a certificate that is trusted and for the name.
    Tls {
        /// Where to.
        host: String,
        /// Which port.
        port: u16,
        /// The name that the certificate must be for, instead of the host.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        server_name: Option<String>,
        /// How long the certificate must still hold, in milliseconds.
        #[serde(default)]
        min_validity_ms: u64,
    },
    /// Addresses of a name, by the system's resolver: what stands in its hosts file counts too, and other types of records
    /// cannot be asked for.
    Dns {
        /// The name.
        name: String,
        /// Which addresses there must be at least one of.
        records: Records,
    },
    /// `grpc.health.v1.Health/Check` (gRPC, *Health Checking Protocol*), which must answer SERVING.
    GrpcHealth {
        /// `http://host:port` or `https://host:port`.
        url: String,
        /// The service; empty for the server as a whole.
        #[serde(default)]
        service: String,
    },
}

/// A safe method (RFC 9110, section 9.2.1): whoever checks must not order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// GET.
    Get,
    /// HEAD.
    Head,
    /// OPTIONS.
    Options,
}

/// Types of DNS records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Records {
    /// IPv4.
    A,
    /// IPv6.
    #[serde(rename = "AAAA")]
    Aaaa,
    /// Either.
    #[serde(rename = "any")]
    Any,
}

/// Calls that are within their bounds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Calls(Vec<Call>);

/// What an agent is asked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    calls: Vec<Call>,
}

/// Calls that cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// Too many, or none.
    #[error("{found} calls, expected 1 to {MAX_CALLS}")]
    Count {
        /// How many.
        found: usize,
    },
    /// No JSON of calls.
    #[error("the calls cannot be read: {reason}; expected {{\"calls\": [{{\"name\": …, \"to\": {{\"tcp\": …}}, …}}]}}")]
    Json {
        /// Where and why.
        reason: String,
    },
    /// A value out of its bounds.
    #[error("the call {call:?}: {field} {what}")]
    Field {
        /// Which call.
        call: String,
        /// Which of its fields.
        field: &'static str,
        /// What was found and expected.
        what: String,
    },
    /// It goes nowhere.
    #[error("the call {call:?}: {source}")]
    Address {
        /// Which call.
        call: String,
        /// Why.
        source: AddressError,
    },
}

impl Calls {
    /// Checks every bound.
    pub fn new(calls: Vec<Call>) -> Result<Calls, CallError> {
        if calls.is_empty() || calls.len() > MAX_CALLS {
            return Err(CallError::Count { found: calls.len() });
        }
        let mut names = BTreeSet::new();
        for call in &calls {
            call.check()?;
            if !names.insert(&call.name) {
                return Err(call.refused("name", "is another call's too; expected each name once"));
            }
        }
        Ok(Calls(calls))
    }

    /// Reads `{"calls": […]}`, what an agent is asked.
    pub fn read(json: &[u8]) -> Result<Calls, CallError> {
        if json.len() > MAX_CALLS_BYTES {
            let reason = format!("more than {} KiB", MAX_CALLS_BYTES / 1024);
            return Err(CallError::Json { reason });
        }
        let asked: Result<Asked, _> = serde_json::from_slice(json);
        Calls::new(asked.map_err(|error| CallError::Json { reason: quoted(&error.to_string()) })?.calls)
    }

    /// What [`Calls::read`] reads.
    pub fn to_json(&self) -> String {
        serde_json::json!({ "calls": self }).to_string()
    }

    /// The calls, in the plan's order.
    pub fn iter(&self) -> std::slice::Iter<'_, Call> {
        self.0.iter()
    }
}

impl Call {
    fn refused(&self, field: &'static str, what: impl Into<String>) -> CallError {
        CallError::Field { call: quoted(&self.name), field, what: what.into() }
    }

    fn check(&self) -> Result<(), CallError> {
        let Call { name, to, repetitions, timeout_ms } = self;
        let characters = name.chars().count();
        if characters == 0 || characters > MAX_CALL_NAME_CHARACTERS || name.contains(char::is_control) {
            let what = format!("has {characters} characters; expected 1 to {MAX_CALL_NAME_CHARACTERS} printable ones");
            return Err(self.refused("name", what));
        }
        if *repetitions == 0 || *repetitions > MAX_REPETITIONS {
            return Err(self.refused("repetitions", format!("is {repetitions}; expected 1 to {MAX_REPETITIONS}")));
        }
        if *timeout_ms == 0 || *timeout_ms > MAX_TIMEOUT_MS {
            return Err(self.refused("timeoutMs", format!("is {timeout_ms}; expected 1 to {MAX_TIMEOUT_MS}")));
        }
        self.address().map_err(|source| CallError::Address { call: quoted(name), source })?;
        let is_short = |text: &String| text.len() <= MAX_TEXT_BYTES && !text.contains(char::is_control);
        let (field, is_good) = match to {
            Target::Http { url, status, headers, .. } => {
                if !(100..=599).contains(status) {
                    return Err(self.refused("status", format!("is {status}; expected 100 to 599")));
                }
                let are_names = headers.iter().all(|name| http::HeaderName::try_from(name.as_str()).is_ok());
                if headers.len() > MAX_HEADERS || !are_names {
                    let what = format!("has {} names; expected names of headers, {MAX_HEADERS} at most", headers.len());
                    return Err(self.refused("headers", what));
                }
                ("url", is_short(url))
            }
            Target::GrpcHealth { url, service } => ("url or service", is_short(url) && is_short(service)),
            Target::Tls { server_name, .. } => ("serverName", server_name.as_ref().is_none_or(is_short)),
            Target::Tcp { .. } | Target::Dns { .. } => return Ok(()),
        };
        let what = format!("is longer than {MAX_TEXT_BYTES} bytes, or has control characters");
        if is_good { Ok(()) } else { Err(self.refused(field, what)) }
    }

    /// Where it goes. A question for a name goes to the name, at the port of DNS.
    pub fn address(&self) -> Result<Address, AddressError> {
        match &self.to {
            Target::Http { url, .. } | Target::GrpcHealth { url, .. } => {
                Address::of_url(url).map(|(address, _)| address)
            }
            Target::Tcp { host, port } | Target::Tls { host, port, .. } => Address::new(host, *port),
            Target::Dns { name, .. } => Address::new(name, 53),
        }
    }
}

/// One attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Attempt {
    /// From its begin to its end, in microseconds: resolving, connecting, asking and answering together.
    pub took_us: u64,
    /// `None` if it was answered as expected.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub failed: Option<Failure>,
}

/// Why an attempt failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Failure {
    /// Of which kind it is.
    pub why: Why,
    /// For people. Nothing of an answer but its status.
    pub words: String,
}

/// Kinds of failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Why {
    /// Whoever should have made the call may not call there, or lacks a file for it. Says nothing of the environment.
    NotMade,
    /// The name has no such address.
    Name,
    /// No connection.
    Connect,
    /// It took too long.
    Timeout,
    /// No TLS, or no certificate that is trusted, for the name, and valid for long enough.
    Tls,
    /// It is not the protocol that was expected.
    Protocol,
    /// Another answer than the expected one.
    Answer,
}

/// From where calls were made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Origin {
    /// From inside of the environment.
    Agent,
    /// From the controller: what it can reach says nothing of what the environment can.
    Controller,
}

/// What became of calls from one environment, by their names. A call that is not in it was not made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Outcomes {
    /// From where.
    pub from: Origin,
    /// The attempts of each call, in their order.
    pub attempts: BTreeMap<String, Vec<Attempt>>,
}

/// An answer that holds no outcomes of these calls.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OutcomeError {
    /// No JSON of outcomes.
    #[error("the outcomes cannot be read: {reason}")]
    Json {
        /// Where and why.
        reason: String,
    },
    /// It tells of something that was not asked.
    #[error("the outcomes tell of {found}, which was not asked for")]
    Foreign {
        /// Of what.
        found: String,
    },
}

impl Outcomes {
    /// Reads what an agent answers. Whatever it says of itself, it is an agent's.
    pub fn read(json: &[u8], calls: &Calls) -> Result<Outcomes, OutcomeError> {
        if json.len() > MAX_OUTCOME_BYTES {
            return Err(OutcomeError::Json { reason: format!("more than {} MiB", MAX_OUTCOME_BYTES >> 20) });
        }
        let read: Result<Outcomes, _> = serde_json::from_slice(json);
        let mut outcomes = read.map_err(|error| OutcomeError::Json { reason: quoted(&error.to_string()) })?;
        outcomes.from = Origin::Agent;
        for (name, attempts) in &mut outcomes.attempts {
            let call = calls.iter().find(|call| call.name == *name);
            let call = call.ok_or_else(|| OutcomeError::Foreign { found: format!("the call {:?}", quoted(name)) })?;
            if attempts.len() > usize::from(call.repetitions) {
                let found = format!("{} attempts of the call {name:?}", attempts.len());
                return Err(OutcomeError::Foreign { found });
            }
            for failure in attempts.iter_mut().filter_map(|attempt| attempt.failed.as_mut()) {
                failure.words = quoted(&failure.words);
            }
        }
        Ok(outcomes)
    }
}

impl Method {
    /// As it stands in a request.
    pub fn name(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Head => "HEAD",
            Method::Options => "OPTIONS",
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Origin::Agent => "an agent inside of the environment",
            Origin::Controller => "the controller, not from the environment",
        })
    }
}

#[cfg(test)]
mod tests;
