//! `verdigris record`.

use super::Server;
use crate::config::size_within;
use clap::Args;
use rollout::plan::parse_duration_within;
use std::path::PathBuf;
use web::{RECORD_BYTES, RECORD_FOR_MS};

/// `verdigris record`.
#[derive(Debug, Args)]
pub struct Record {
    /// Where the sealed recording is written to; it must not be there yet.
    pub file: PathBuf,
    /// Who can open it: an age public key, `age1…`, as `age-keygen` prints it. This machine cannot.
    #[arg(long, value_name = "KEY")]
    pub recipient: String,
    /// How long, 1s to 24h. Interrupted (Ctrl-C) it keeps what was recorded so far.
    #[arg(
        long = "for", default_value = "10m", value_name = "DURATION",
        value_parser = |text: &str| parse_duration_within(text, RECORD_FOR_MS)
    )]
    pub for_ms: u64,
    /// How large the recording may become, compressed: 1MiB to 64GiB. Then it ends.
    #[arg(
        long, default_value = "1GiB", value_name = "SIZE",
        value_parser = |text: &str| size_within(text, RECORD_BYTES, "1GiB")
    )]
    pub max_bytes: u64,
    /// Leave what is sensitive in it: card numbers, addresses, tokens. Otherwise it is replaced before anything is written.
    #[arg(long)]
    pub keep_sensitive: bool,
    #[command(flatten)]
    /// Where the server is.
    pub server: Server,
}
