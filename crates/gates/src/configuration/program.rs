//! What a program prints. No shell is between, nothing is asked of it, and it ends with whoever waits for it.

use super::ConfigurationError;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use tokio::io::AsyncReadExt;
use tokio::process::Command;

/// Refuses programs that the server may not run.
pub(crate) fn check(run: &[String], allowed: &[PathBuf]) -> Result<(), ConfigurationError> {
    let program = run.first().map(PathBuf::from).unwrap_or_default();
    if allowed.contains(&program) {
        return Ok(());
    }
    let allowed = allowed.iter().map(|path| path.display().to_string()).collect::<Vec<_>>();
    let allowed = if allowed.is_empty() { "none".to_owned() } else { allowed.join(", ") };
    Err(ConfigurationError::NotAllowed { program: program.display().to_string(), allowed })
}

/// The output of a program that ends with success, if it is not longer than that.
pub(super) async fn output(run: &[String], max_bytes: usize) -> Result<Vec<u8>, ConfigurationError> {
    let (printed, status) = ended(run, max_bytes).await?;
    let what = format!("failed ({status})");
    if status.success() { Ok(printed) } else { Err(ConfigurationError::Program { command: shown(run), what }) }
}

/// The output of a program and how it ended, if the output is not longer than that.
pub(crate) async fn ended(run: &[String], max_bytes: usize) -> Result<(Vec<u8>, ExitStatus), ConfigurationError> {
    let failed = |what: String| ConfigurationError::Program { command: shown(run), what };
    let (program, arguments) = run.split_first().ok_or_else(|| failed("names no program".to_owned()))?;
    let mut child = Command::new(program)
        .args(arguments)
        .env("GIT_TERMINAL_PROMPT", "0")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| failed(format!("cannot be run: {error}")))?;
    let mut printed = Vec::new();
    let stdout = child.stdout.take().expect("it was asked to be piped");
    let read = stdout.take(max_bytes as u64 + 1).read_to_end(&mut printed).await;
    read.map_err(|error| failed(format!("could not be listened to: {error}")))?;
    if printed.len() > max_bytes {
        return Err(failed(format!("printed more than {} KiB", max_bytes.div_ceil(1024))));
    }
    let status = child.wait().await.map_err(|error| failed(format!("could not be waited for: {error}")))?;
    Ok((printed, status))
}

/// The program and what it was told first: later arguments may be long, or nobody's business.
pub(crate) fn shown(run: &[String]) -> String {
    const SHOWN_WORDS: usize = 4;
    let rest = if run.len() > SHOWN_WORDS { " …" } else { "" };
    run.iter().take(SHOWN_WORDS).cloned().collect::<Vec<_>>().join(" ") + rest
}
