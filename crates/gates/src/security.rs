//! Is green set up less safely than blue? Each endpoint is asked what it accepts, scanners' reports are read, and
//! `posture` decides. What is sent is what anybody could send: hellos, empty exports without a token, connections to
//! debugging ports. No token is ever sent, and no handshake is finished with a server whose certificate is not trusted.
//!
//! Every connection is bounded in time and bytes, an environment in time; whoever drops the future ends them all.

mod endpoint;
mod exchange;
mod handshakes;
mod ports;

use endpoint::Endpoint;
use model::{GateResult, GateVerdict, PerEnvironment, Protocol, Transport, UnixMillis};
use posture::import::{ImportError, MAX_REPORT_BYTES, Report, import};
use posture::rules::Policy;
use posture::{Exception, Fact, Facts, Question, Setting, Severity, assess};
use serde_json::{Map, Value};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::timeout;

pub use ports::{DEBUG_PORTS, DebugPort};

/// One environment: 27 connections to an endpoint that answers each within [`CONNECTION_LIMIT`] would take 81 s; one that
/// does not answer at all is given up after the first.
const ENVIRONMENT_LIMIT: Duration = Duration::from_secs(120);
/// One connection: connecting, asking and answering together.
const CONNECTION_LIMIT: Duration = Duration::from_secs(3);
/// Reports of one environment: one of each kind, and some more images.
const MAX_REPORTS: usize = 16;

/// An endpoint, or several that should be alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Surface {
    /// What it is called in reasons, the same in both environments: `OTLP/gRPC`.
    pub name: String,
    /// `http://host:port` or `https://host:port`; together they are as safe as the least safe.
    pub endpoints: Vec<String>,
    /// What it takes.
    pub protocol: Protocol,
    /// TLS and compression towards it. The paths of files are absolute.
    pub transport: Transport,
}

/// One environment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Target {
    /// What is asked.
    pub surfaces: Vec<Surface>,
    /// What the plan says and nobody can ask for (`redaction.keyedHash`).
    pub told: Vec<(String, Setting, posture::Value)>,
    /// Scanners' reports. The paths are absolute.
    pub reports: Vec<PathBuf>,
}

/// What is demanded.
#[derive(Clone, Debug, PartialEq)]
pub struct Security {
    /// The least severity of a new vulnerability that counts.
    pub at_least: Severity,
    /// What is tolerated.
    pub exceptions: Vec<Exception>,
    /// Rules in Rego.
    pub policies: Vec<Policy>,
    /// What the plan tells its policies.
    pub context: Map<String, Value>,
    /// Ports that are tried at the hosts of the endpoints: [`DEBUG_PORTS`], and those of the plan.
    pub debug_ports: Vec<DebugPort>,
}

/// The answer, and what it follows from.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The verdict and the reasons. `evidence` is empty: who keeps the blob knows its digest.
    pub result: GateResult,
    /// Everything that was found, without secrets.
    pub evidence: Value,
}

/// Why a scanner's report is not used.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The file system refused.
    #[error("{path}: cannot be read: {source}; expected a scanner's report", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is no report.
    #[error("{path}: {source}", path = path.display())]
    Import {
        /// The file.
        path: PathBuf,
        /// Why.
        source: ImportError,
    },
    /// More files than are read.
    #[error("{found} reports of one environment, expected {MAX_REPORTS} at most")]
    TooMany {
        /// How many.
        found: usize,
    },
}

/// Asks both environments at once, and decides.
pub async fn run(targets: &PerEnvironment<Target>, security: &Security, now: UnixMillis) -> Answer {
    let (blue, green) = tokio::join!(facts(&targets.blue, security, now), facts(&targets.green, security, now));
    let paths = targets.clone().map(|target| target.reports);
    let read = tokio::task::spawn_blocking(move || {
        Ok(PerEnvironment { blue: read_reports(&paths.blue)?, green: read_reports(&paths.green)? })
    });
    let reports: Result<PerEnvironment<Vec<Report>>, ReportError> =
        read.await.expect("reading reports neither panics nor is cancelled");
    let failed = reports.as_ref().err().map(ToString::to_string);
    let reports = reports.unwrap_or_default();
    let (security, facts) = (security.clone(), PerEnvironment { blue, green });
    // A policy may take a second of a processor.
    let assessed = tokio::task::spawn_blocking(move || {
        assess(&Question {
            facts: PerEnvironment { blue: &facts.blue, green: &facts.green },
            reports: PerEnvironment { blue: &reports.blue, green: &reports.green },
            at_least: security.at_least,
            exceptions: &security.exceptions,
            policies: &security.policies,
            context: &security.context,
            now,
        })
    });
    let assessment = assessed.await.expect("an assessment neither panics nor is cancelled");
    let (mut verdict, mut reasons) = (assessment.verdict, assessment.reasons);
    if let Some(words) = failed {
        match verdict {
            // What fails, fails whatever else the reports would have said.
            GateVerdict::Fail => reasons.push(words),
            GateVerdict::Pass | GateVerdict::Inconclusive | GateVerdict::Error => {
                verdict = GateVerdict::Error;
                reasons.insert(0, words);
            }
        }
    }
    Answer { result: GateResult { verdict, reasons, evidence: None }, evidence: assessment.evidence }
}

/// What one environment shows. Whatever happens, every setting that was to be asked for is in it.
async fn facts(target: &Target, security: &Security, now: UnixMillis) -> Facts {
    let asked = timeout(ENVIRONMENT_LIMIT, ask(target, security, now)).await;
    let mut facts = asked.unwrap_or_else(|_| {
        let mut facts = Facts::default();
        for surface in &target.surfaces {
            let why = format!("the environment was not done within {} s", ENVIRONMENT_LIMIT.as_secs());
            fail(&mut facts, &surface.name, &why);
        }
        facts
    });
    for (surface, setting, value) in &target.told {
        facts.add(surface, *setting, Fact::known(value.clone(), "the plan says it"));
    }
    facts
}

async fn ask(target: &Target, security: &Security, now: UnixMillis) -> Facts {
    let mut facts = Facts::default();
    for surface in &target.surfaces {
        for url in &surface.endpoints {
            match Endpoint::new(url, surface) {
                Ok(endpoint) => ask_endpoint(&mut facts, &surface.name, &endpoint, security, now).await,
                Err(error) => fail(&mut facts, &surface.name, &error.to_string()),
            }
        }
    }
    facts
}

async fn ask_endpoint(facts: &mut Facts, surface: &str, endpoint: &Endpoint, security: &Security, now: UnixMillis) {
    // One that is not there at all is not waited for 27 times.
    if let Err(error) = endpoint.connect().await {
        return fail(facts, surface, &error.to_string());
    }
    let shaken = handshakes::ask(endpoint).await;
    let shown = handshakes::certificate(endpoint, &shaken, now).await;
    if let Some(certificate) = shown.certificate {
        facts.add_certificate(surface, certificate);
    }
    let exchanged = exchange::ask(endpoint, shaken.is_offered(), shown.is_trusted).await;
    let open = ports::ask(endpoint, &security.debug_ports).await;
    let found = shaken.facts().into_iter().chain(shown.facts).chain(exchanged);
    for (setting, fact) in found.chain([(Setting::PortsDebug, open)]) {
        facts.add(surface, setting, fact);
    }
}

/// Everything that an endpoint is asked for: what only a plan can say is none of it.
fn fail(facts: &mut Facts, surface: &str, why: &str) {
    for setting in Setting::ALL.into_iter().filter(|setting| *setting != Setting::RedactionKeyedHash) {
        facts.add(surface, setting, Fact::Failed { why: why.to_owned() });
    }
}

/// Blocking.
fn read_reports(paths: &[PathBuf]) -> Result<Vec<Report>, ReportError> {
    if paths.len() > MAX_REPORTS {
        return Err(ReportError::TooMany { found: paths.len() });
    }
    let read = |path: &PathBuf| {
        let bytes = read_bounded(path).map_err(|source| ReportError::Read { path: path.clone(), source })?;
        import(&bytes).map_err(|source| ReportError::Import { path: path.clone(), source })
    };
    paths.iter().map(read).collect()
}

/// One byte more than a report may have, so that a longer one is known as such.
fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(MAX_REPORT_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests;
