//! `verdigris redact`.

use clap::{Args, Subcommand};
use std::path::PathBuf;

/// `verdigris redact`.
#[derive(Debug, Subcommand)]
pub enum Redact {
    /// Finds sensitive values in recorded spans or in a text, and says of which kind they are and where, never which.
    Scan(Scan),
}

/// `verdigris redact scan`.
#[derive(Debug, Args)]
pub struct Scan {
    /// What the Collector's file exporter wrote, JSON or protobuf, uncompressed; or with --text anything.
    pub file: PathBuf,
    /// The file is text: each line is looked at.
    #[arg(long)]
    pub text: bool,
    /// Look for IP addresses too.
    #[arg(long)]
    pub addresses: bool,
}
