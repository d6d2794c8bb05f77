//! What a program prints. No shell is between, nothing is asked of it, and it ends with whoever waits for it.

use super::ConfigurationError;
use std::process::Stdio;
use tokio::io::AsyncReadExt;
use tokio::process::Command;

/// The output of a program that ends with success, if it is not longer than that.
pub(super) async fn output(run: &[String], max_bytes: usize) -> Result<Vec<u8>, ConfigurationError> {
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
    if status.success() { Ok(printed) } else { Err(failed(format!("failed ({status})"))) }
}

/// The program and what it was told first: later arguments may be long, or nobody's business.
pub(super) fn shown(run: &[String]) -> String {
    const SHOWN_WORDS: usize = 4;
    let rest = if run.len() > SHOWN_WORDS { " …" } else { "" };
    run.iter().take(SHOWN_WORDS).cloned().collect::<Vec<_>>().join(" ") + rest
}
