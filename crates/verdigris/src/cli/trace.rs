//! `verdigris trace …`.

use super::LedgerAt;
use clap::{Args, Subcommand};
use model::TraceId;
use std::path::PathBuf;

/// `verdigris trace`.
#[derive(Debug, Subcommand)]
pub enum Trace {
    /// Two traces side by side as a tree; or, of one blob of evidence, what was sent beside what came out. As diff(1) has
    /// it, the exit code is 0 if they are equal, 1 if they differ, and 2 if they cannot be compared.
    Diff(Diff),
    /// The example traces in the evidence store, or one of them: what was sent beside what each environment put out.
    Show(Show),
}

/// `verdigris trace diff`.
#[derive(Debug, Args)]
pub struct Diff {
    /// A trace: OTLP in JSON (one request, or one after the other) or in protobuf, or as Jaeger, Tempo or Zipkin answer it;
    /// or a blob of evidence. `-` is standard input.
    pub a: PathBuf,
    /// The trace that it is compared with. Without it A is a blob of evidence.
    pub b: Option<PathBuf>,
    /// Which trace, where a file has several. Given twice, the first is A's and the second B's.
    #[arg(long, value_name = "ID", value_parser = trace_id)]
    pub trace: Vec<TraceId>,
    #[command(flatten)]
    /// How it is shown.
    pub look: Look,
}

/// `verdigris trace show`.
#[derive(Debug, Args)]
pub struct Show {
    /// A trace's id, or the digest of a blob, or how one of them begins. Without it all that was kept is listed.
    pub which: Option<String>,
    #[command(flatten)]
    /// Which ledger; the evidence is beside it.
    pub at: LedgerAt,
    #[command(flatten)]
    /// How it is shown.
    pub look: Look,
}

/// How a tree is shown.
#[derive(Clone, Copy, Debug, Args)]
pub struct Look {
    /// Every span and every difference; without it, of a trace of more than 100 spans those of which something differs, and
    /// those above them.
    #[arg(long)]
    pub all: bool,
    /// Neither colours nor lines that are not ASCII, even on a terminal.
    #[arg(long)]
    pub plain: bool,
}

/// Zipkin's may have half of the digits: zeros are put to their left, as to the trace's.
fn trace_id(text: &str) -> Result<TraceId, String> {
    let padded = if text.len() == 16 { format!("{text:0>32}") } else { text.to_owned() };
    padded.parse().map_err(|_| format!("expected 32 hexadecimal digits, or 16 of Zipkin's, found {text:?}"))
}
