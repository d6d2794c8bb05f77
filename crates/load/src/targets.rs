//! Where load may go: only what a plan names.

use crate::send::Endpoint;
use http::{HeaderMap, HeaderName, HeaderValue};
use model::{Environment, PerEnvironment, Protocol, Transport};
use tls::NameError;

/// Headers of a target at most; a token and a tenant are two.
const MAX_HEADERS: usize = 32;

/// One collector or back end.
#[derive(Clone, PartialEq)]
pub struct Target {
    /// `http://host:port` or `https://host:port`.
    pub endpoint: String,
    /// How it is spoken to.
    pub protocol: Protocol,
    /// TLS and compression towards it. The paths of files are absolute.
    pub transport: Transport,
    /// Headers of every request, such as a tenant or a token. Their values are shown nowhere.
    pub headers: Vec<(String, String)>,
}

/// Targets that may be sent to.
#[derive(Clone, Debug)]
pub struct Targets {
    pub(crate) each: PerEnvironment<Option<Checked>>,
}

#[derive(Clone, Debug)]
pub(crate) struct Checked {
    pub(crate) target: Target,
    pub(crate) endpoint: Endpoint,
    pub(crate) headers: HeaderMap,
}

/// Targets that are not sent to. No packet has left when this is told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetsError {
    /// There is none.
    #[error("there is nowhere to send to; expected a target of blue, of green or of both")]
    None,
    /// The plan does not name it.
    #[error("{endpoint} is not named by the plan, so no load is sent there; expected one of: {allowed}")]
    NotNamed {
        /// What was asked for.
        endpoint: String,
        /// What would be allowed.
        allowed: String,
    },
    /// Both are one.
    #[error("blue and green are both {endpoint}; expected two endpoints, for one cannot be compared with itself")]
    Same {
        /// What was asked for.
        endpoint: String,
    },
    /// It is no endpoint.
    #[error("{endpoint:?} is no endpoint; expected http://host:port or https://host:port without a path or a user")]
    NotAnEndpoint {
        /// What was given.
        endpoint: String,
    },
    /// The files would not be used, and the traffic would go in clear text.
    #[error("{endpoint} has TLS settings, but is not an https:// URL; expected https://host:port, or no `tls`")]
    NotHttps {
        /// What was given.
        endpoint: String,
    },
    /// No certificate can be verified.
    #[error("{endpoint}: {source}")]
    Name {
        /// What was given.
        endpoint: String,
        /// Which name.
        #[source]
        source: NameError,
    },
    /// It is no header, or there are too many.
    #[error(
        "header {number} of {endpoint} cannot be sent; expected {MAX_HEADERS} at most, with names of HTTP and values on one line"
    )]
    Header {
        /// Whose.
        endpoint: String,
        /// Which one, from 1; its name may be what is wrong with it, and its value may be a secret.
        number: usize,
    },
}

impl Targets {
    /// Checks that each target is among the endpoints that are allowed, by scheme, host and port as they are written: no
    /// name is resolved for it.
    pub fn new(allowed: &[&str], asked: PerEnvironment<Option<Target>>) -> Result<Targets, TargetsError> {
        let known: Vec<String> = allowed.iter().filter_map(|one| Endpoint::identity(one)).collect();
        let check = |target: Option<Target>| target.map(|target| Checked::new(target, &known)).transpose();
        let each = PerEnvironment { blue: check(asked.blue)?, green: check(asked.green)? };
        match (&each.blue, &each.green) {
            (None, None) => Err(TargetsError::None),
            (Some(blue), Some(green)) if blue.endpoint.is_same(&green.endpoint) => {
                Err(TargetsError::Same { endpoint: green.target.endpoint.clone() })
            }
            (Some(_), _) | (_, Some(_)) => Ok(Targets { each }),
        }
    }

    /// The target of an environment, if it is sent to.
    pub fn target(&self, environment: Environment) -> Option<&Target> {
        self.each[environment].as_ref().map(|checked| &checked.target)
    }
}

impl Checked {
    fn new(target: Target, known: &[String]) -> Result<Checked, TargetsError> {
        let endpoint = Endpoint::parse(&target.endpoint, target.protocol, &target.transport)?;
        if !Endpoint::identity(&target.endpoint).is_some_and(|identity| known.contains(&identity)) {
            let allowed = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            return Err(TargetsError::NotNamed { endpoint: target.endpoint, allowed });
        }
        let mut headers = HeaderMap::new();
        for (index, (name, value)) in target.headers.iter().enumerate() {
            let refused = || TargetsError::Header { endpoint: target.endpoint.clone(), number: index + 1 };
            let name = HeaderName::try_from(name).map_err(|_| refused())?;
            let mut value = HeaderValue::try_from(value).map_err(|_| refused())?;
            value.set_sensitive(true);
            if index >= MAX_HEADERS {
                return Err(refused());
            }
            headers.append(name, value);
        }
        Ok(Checked { target, endpoint, headers })
    }
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&String> = self.headers.iter().map(|(name, _)| name).collect();
        let Target { endpoint, protocol, transport, .. } = self;
        f.debug_struct("Target")
            .field("endpoint", endpoint)
            .field("protocol", protocol)
            .field("transport", transport)
            .field("headers", &names)
            .finish()
    }
}

#[cfg(test)]
mod tests;
