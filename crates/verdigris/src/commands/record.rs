//! `verdigris record`: the running server records and seals, this writes the file.

use crate::api::{ApiClient, Lines};
use crate::cli::{Format, Record};
use crate::describe::{Exit, Failed, say, thousands};
use anyhow::{Context, anyhow};
use base64::prelude::{BASE64_STANDARD, Engine};
use model::ShortDuration;
use serde_json::json;
use std::io::{IsTerminal, Write, stderr};
use std::path::Path;
use std::time::Duration;
use tempfile::NamedTempFile;
use web::{RecordRequest, RecordedLine};

/// Interrupted, it waits so long for the recording's end, which is sealed within a second or two.
const LAST_LIMIT: Duration = Duration::from_secs(10);

/// Runs it.
pub async fn run(command: &Record, format: Format) -> Result<Exit, Failed> {
    let Record { file, recipient, for_ms, max_bytes, keep_sensitive, server } = command;
    recording::seal(recipient, std::io::sink()).map_err(|error| Failed::usage(format!("--recipient: {error}")))?;
    if file.symlink_metadata().is_ok() {
        return Err(Failed::usage(format!("{}: is there already; expected the name of a new file", file.display())));
    }
    // In the same folder, so that it can be given its name; nobody else can read it.
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let temporary = NamedTempFile::new_in(folder);
    let temporary = temporary.with_context(|| format!("{}: no file can be made there", folder.display()))?;
    let api = ApiClient::new(&server.socket);
    let request = RecordRequest {
        recipient: recipient.trim().to_owned(),
        for_ms: *for_ms,
        max_bytes: *max_bytes,
        keep_sensitive: *keep_sensitive,
    };
    let mut lines = api.follow("/v1/recording", &request).await?;
    // age adds 16 bytes for each 64 KiB, and some 200.
    let mut writing = Writing { file: temporary, room: max_bytes + max_bytes / 1_024 + 4_096, last: None };
    let is_terminal = stderr().is_terminal();
    let outcome = receive(&api, &mut lines, &mut writing, is_terminal).await;
    if is_terminal {
        show("");
    }
    let Writing { file: mut temporary, last, .. } = writing;
    let Some(last) = last else {
        return Err(outcome.err().unwrap_or_else(|| anyhow!("nothing was recorded").into()));
    };
    temporary.flush()?;
    temporary.as_file().sync_all().with_context(|| format!("{}", file.display()))?;
    temporary.persist_noclobber(file).with_context(|| format!("{}: cannot get its name", file.display()))?;
    if let Err(why) = outcome {
        let what = format!("{}: the recording was cut off; it holds what came until shortly before", file.display());
        return Err(Failed { exit: why.exit, error: why.error.context(what) });
    }
    let over = last.over.clone().unwrap_or_default();
    let requests = thousands(last.requests);
    match format {
        Format::Text => {
            say(format_args!("{}: {requests} requests, {}; {over}", file.display(), mebibytes(last.bytes)));
            if last.dropped_requests > 0 {
                let (dropped, unreadable) = (thousands(last.dropped_requests), thousands(last.unreadable_requests));
                say(format_args!("  {dropped} requests are not in it, {unreadable} of them because they are no OTLP"));
            }
        }
        Format::Json => say(json!({
            "file": file,
            "requests": last.requests,
            "bytes": last.bytes,
            "droppedRequests": last.dropped_requests,
            "unreadableRequests": last.unreadable_requests,
            "redacted": !keep_sensitive,
            "over": over,
        })),
    }
    Ok(Exit::Done)
}

/// A file that grows up to a bound.
struct Writing {
    file: NamedTempFile,
    room: u64,
    last: Option<RecordedLine>,
}

impl Writing {
    fn take(&mut self, line: RecordedLine) -> Result<(), Failed> {
        let sealed = BASE64_STANDARD.decode(&line.sealed).context("the server's answer is of another version")?;
        let left = self.room.checked_sub(sealed.len() as u64);
        self.room = left.ok_or_else(|| anyhow!("the server tells more than was asked for"))?;
        self.file.write_all(&sealed).context("the recording cannot be written")?;
        self.last = Some(RecordedLine { sealed: String::new(), ..line });
        Ok(())
    }

    fn is_over(&self) -> bool {
        self.last.as_ref().is_some_and(|last| last.over.is_some())
    }
}

/// Until it is over. Interrupted, it has the server end it; interrupted once more, it is cut off.
async fn receive(api: &ApiClient, lines: &mut Lines, writing: &mut Writing, is_terminal: bool) -> Result<(), Failed> {
    let mut interrupted = std::pin::pin!(tokio::signal::ctrl_c());
    let broken = || anyhow!("the server stopped, or another one took over");
    while !writing.is_over() {
        let line = tokio::select! {
            line = lines.next::<RecordedLine>() => line?.ok_or_else(broken)?,
            _ = &mut interrupted => break,
        };
        writing.take(line)?;
        if let Some(last) = writing.last.as_ref().filter(|_| is_terminal) {
            let (requests, bytes, left) =
                (thousands(last.requests), mebibytes(last.bytes), ShortDuration(last.left_ms));
            show(&format!("{requests} requests, {bytes}; {} dropped; {left} left", thousands(last.dropped_requests)));
        }
    }
    if writing.is_over() {
        return Ok(());
    }
    api.delete("/v1/recording").await?;
    let rest = async {
        while !writing.is_over() {
            writing.take(lines.next::<RecordedLine>().await?.ok_or_else(broken)?)?;
        }
        Ok(())
    };
    tokio::select! {
        rest = tokio::time::timeout(LAST_LIMIT, rest) => rest.map_err(|_| anyhow!("the server did not end it"))?,
        _ = tokio::signal::ctrl_c() => Err(anyhow!("interrupted").into()),
    }
}

/// A line on a terminal that is written over.
fn show(text: &str) {
    let mut out = stderr().lock();
    // Without a terminal any more there is nobody to show it to.
    let _ = write!(out, "\r\x1b[K{text}").and_then(|()| out.flush());
}

fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}
