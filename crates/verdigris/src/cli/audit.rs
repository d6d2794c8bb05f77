//! `verdigris audit …`, and `verdigris ledger export`.

use super::LedgerAt;
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// `verdigris ledger export`.
#[derive(Debug, Args)]
pub struct Export {
    /// The rollout, such as `demo.1`.
    pub rollout: String,
    /// The file to write; it must not be there yet.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Show the decisions and what people did, and of what was measured that it is there. What is hidden cannot be replayed.
    #[arg(long)]
    pub decisions: bool,
    /// Leave out the evidence: example traces, and the judge's state at each verdict.
    #[arg(long)]
    pub without_evidence: bool,
    #[command(flatten)]
    /// Which ledger; the evidence is beside it.
    pub at: LedgerAt,
}

/// `verdigris audit`.
#[derive(Debug, Subcommand)]
pub enum Audit {
    /// Checks signature, proofs, sequence, digests, and that no byte was changed.
    Verify(BundleAt),
    /// The same, and then makes every decision again from the records, and asks the judge again.
    Replay(BundleAt),
    /// Writes the report: one page of HTML that opens from disk, loads nothing, and prints.
    Report {
        #[command(flatten)]
        /// Of which bundle.
        at: BundleAt,
        /// The file to write; it must not be there yet.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
}

/// A bundle, and whose it must be.
#[derive(Debug, Args)]
pub struct BundleAt {
    /// The bundle that `verdigris ledger export` wrote.
    pub bundle: PathBuf,
    /// The ledger's verifier key (`name+id+base64`), or a file that holds it, had by another way than the bundle.
    #[arg(long, value_name = "KEY")]
    pub key: String,
    /// The verifier key of a witness, or a file that holds it; can be given several times.
    #[arg(long, value_name = "KEY")]
    pub witness: Vec<String>,
    /// So many of these witnesses must have cosigned the bundle's checkpoint.
    #[arg(long, value_name = "N", requires = "witness", value_parser = clap::value_parser!(u8).range(1..=15))]
    pub quorum: Option<u8>,
}
