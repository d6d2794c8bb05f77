//! Is green tested? Reports of tests are read from files, or a program that the server may run prints one; `testing` decides.
//!
//! A report that is not there is no report, which is Inconclusive; one that cannot be read is an Error. What a program prints
//! beside its report, and what tests say, is never shown.

use crate::Run;
use crate::configuration::{ConfigurationError, files, program};
use ::testing::{
    AttestationKey, Demand, MAX_REPORT_BYTES, ParseAttestationKeyError, ReadError, Reading, Suite, decide, read,
};
use model::{GateResult, GateVerdict, PerEnvironment, UnixMillis};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::timeout;

/// Files and programs of one environment.
const MAX_SOURCES: usize = 16;
/// How long a program may run its tests; a gate as a whole has 120 s.
const PROGRAM_LIMIT: Duration = Duration::from_secs(100);
/// How long reading files may take: they may lie on a network's file system.
const FILES_LIMIT: Duration = Duration::from_secs(30);
/// A public key has some hundred bytes.
const MAX_KEY_BYTES: u64 = 4_096;
/// What is read of a folder: everything else that tools put there is passed over.
const REPORTS: [&str; 2] = ["xml", "json"];

/// Where reports come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A report, or a folder with reports in it (`*.xml`, `*.json`), at any depth. The path is absolute.
    Files(PathBuf),
    /// A program that prints a report, by its whole path, and its arguments. It may end with a failure, as programs that run
    /// tests do; the report must say which test it was.
    Command(Vec<String>),
}

/// What is demanded, and how reports are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tests {
    /// What green's tests must be.
    pub demand: Demand,
    /// Names of the properties that hold the artifact's digest.
    pub properties: Vec<String>,
    /// Minutes east of UTC, for reports that write no time zone.
    pub zone_minutes: i16,
    /// The file of the public key that must have signed green's attestations. The path is absolute.
    pub key_file: Option<PathBuf>,
    /// Tests that passed for blue must not be skipped or gone: then blue's reports are read too.
    pub like_blue: bool,
}

/// Why reports are not used.
#[derive(Debug, thiserror::Error)]
enum TestingError {
    #[error(transparent)]
    Source(#[from] ConfigurationError),
    #[error("{place}: {source}")]
    Report { place: String, source: ReadError },
    #[error(
        "{place} ended with a failure ({status}), and its report tells of none; run it by hand to see what it says"
    )]
    Failed { place: String, status: std::process::ExitStatus },
    #[error("{place} did not end within {} s", limit.as_secs())]
    Timeout { place: String, limit: Duration },
    #[error("{found} places of reports, expected {MAX_SOURCES} at most")]
    TooMany { found: usize },
    #[error("{}: cannot be read: {source}; expected a public key", path.display())]
    KeyFile { path: PathBuf, source: io::Error },
    #[error("{}: {source}", path.display())]
    Key { path: PathBuf, source: ParseAttestationKeyError },
}

/// Reports, and places without any.
#[derive(Default)]
struct Found {
    suites: Vec<Suite>,
    missing: Vec<String>,
}

/// Reads what there is, and decides. Programs other than those that are allowed are not run. Dropped, it ends what it began.
pub async fn run(sources: &PerEnvironment<Vec<Source>>, tests: &Tests, allowed: &[PathBuf], now: UnixMillis) -> Run {
    let of_blue = async {
        match tests.like_blue {
            // Blue's were signed, if at all, when it was rolled out.
            true => Some(find(&sources.blue, tests, None, allowed).await),
            false => None,
        }
    };
    let of_green = async {
        let key = tests.key_file.as_deref().map(key).transpose()?;
        find(&sources.green, tests, key.as_ref(), allowed).await
    };
    let (blue, green) = tokio::join!(of_blue, of_green);
    let mut errors = Vec::new();
    let mut or_told = |who: &str, found: Result<Found, TestingError>| {
        found.unwrap_or_else(|error| {
            errors.push(format!("{who}'s tests: {error}"));
            Found::default()
        })
    };
    let green = or_told("green", green);
    let blue = blue.map(|found| or_told("blue", found));
    let (demand, suites) = (tests.demand.clone(), (green.suites, blue.as_ref().map(|found| found.suites.clone())));
    // A hundred thousand tests take some 100 ms of a processor.
    let decided = tokio::task::spawn_blocking(move || decide(&demand, &suites.0, suites.1.as_deref(), now)).await;
    let decided = decided.expect("a decision neither panics nor is cancelled");
    let (mut verdict, mut reasons) = (decided.verdict, decided.reasons);
    if !errors.is_empty() {
        match verdict {
            // What fails, fails whatever the other reports would have said.
            GateVerdict::Fail => reasons.extend(errors),
            GateVerdict::Pass | GateVerdict::Inconclusive | GateVerdict::Error => {
                verdict = GateVerdict::Error;
                reasons.splice(0..0, errors);
            }
        }
    }
    reasons.extend(green.missing.iter().chain(blue.iter().flat_map(|found| &found.missing)).cloned());
    let result = GateResult { verdict, reasons, evidence: None };
    Run::with_evidence(result, &decided.evidence)
}

async fn find(
    sources: &[Source],
    tests: &Tests,
    key: Option<&AttestationKey>,
    allowed: &[PathBuf],
) -> Result<Found, TestingError> {
    if sources.len() > MAX_SOURCES {
        return Err(TestingError::TooMany { found: sources.len() });
    }
    let mut found = Found::default();
    for source in sources {
        match source {
            Source::Files(path) => find_files(path, tests, key, &mut found).await?,
            Source::Command(run) => found.suites.push(ask_program(run, tests, key, allowed).await?),
        }
    }
    Ok(found)
}

async fn find_files(
    path: &Path,
    tests: &Tests,
    key: Option<&AttestationKey>,
    found: &mut Found,
) -> Result<(), TestingError> {
    let place = path.display().to_string();
    let timed_out = |_| TestingError::Timeout { place: place.clone(), limit: FILES_LIMIT };
    let root = path.to_owned();
    let reading = tokio::task::spawn_blocking(move || files::read(&root, MAX_REPORT_BYTES));
    let files = match timeout(FILES_LIMIT, reading).await.map_err(timed_out)?.expect("reading files does not panic") {
        Ok(files) => files,
        Err(ConfigurationError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            found.missing.push(format!("{place} is not there; expected reports of tests"));
            return Ok(());
        }
        Err(error) => return Err(error.into()),
    };
    let before = found.suites.len();
    let is_one = path.is_file();
    let is_report = |name: &str| Path::new(name).extension().is_some_and(|it| REPORTS.iter().any(|known| it == *known));
    for (name, bytes) in files.iter().filter(|(name, _)| is_one || is_report(name)) {
        found.suites.push(read_one(name, bytes, tests, key)?);
    }
    if found.suites.len() == before {
        found.missing.push(format!("{place} holds no report of tests (*.xml, *.json)"));
    }
    Ok(())
}

async fn ask_program(
    run: &[String],
    tests: &Tests,
    key: Option<&AttestationKey>,
    allowed: &[PathBuf],
) -> Result<Suite, TestingError> {
    program::check(run, allowed)?;
    let place = format!("`{}`", program::shown(run));
    let ended = timeout(PROGRAM_LIMIT, program::ended(run, MAX_REPORT_BYTES)).await;
    let timed_out = |_| TestingError::Timeout { place: place.clone(), limit: PROGRAM_LIMIT };
    let (printed, status) = ended.map_err(timed_out)??;
    let suite = read_one(&place, &printed, tests, key);
    let is_told = |suite: &Suite| {
        suite.unlisted_failures > 0
            || suite
                .cases
                .iter()
                .any(|case| !matches!(case.outcome, ::testing::Outcome::Passed | ::testing::Outcome::Skipped))
    };
    match suite {
        Ok(suite) if status.success() || is_told(&suite) => Ok(suite),
        Ok(_) => Err(TestingError::Failed { place, status }),
        Err(error) => Err(error),
    }
}

fn read_one(name: &str, bytes: &[u8], tests: &Tests, key: Option<&AttestationKey>) -> Result<Suite, TestingError> {
    let reading = Reading { source: name, properties: &tests.properties, zone_minutes: tests.zone_minutes, key };
    read(bytes, &reading).map_err(|source| TestingError::Report { place: name.to_owned(), source })
}

/// A few bytes: blocking for no time that counts.
fn key(path: &Path) -> Result<AttestationKey, TestingError> {
    let refused = |source| TestingError::KeyFile { path: path.to_owned(), source };
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(refused)?;
    file.take(MAX_KEY_BYTES).read_to_string(&mut text).map_err(refused)?;
    text.parse().map_err(|source| TestingError::Key { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests;
