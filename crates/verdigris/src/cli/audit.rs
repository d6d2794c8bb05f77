//! `verdigris audit …`, and `verdigris ledger export`.

use super::LedgerAt;
use audit::Kind;
use clap::{Args, Subcommand};
use rollout::Record;
use std::path::PathBuf;
use std::str::FromStr;

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
    /// Hide records of this kind (`verdict`, `approval`, as docs/controls.md names them), or this entry; can be given several times.
    #[arg(long, value_name = "KIND|ENTRY")]
    pub hide: Vec<Selected>,
    /// Hide all records but those of this kind, or this entry; can be given several times.
    #[arg(long, value_name = "KIND|ENTRY")]
    pub only: Vec<Selected>,
    /// Leave out the evidence: example traces, and the judge's state at each verdict.
    #[arg(long)]
    pub without_evidence: bool,
    /// The log's private key, which signs the statements (DSSE, in-toto). Without it the file `ledger.key` beside the ledger is
    /// taken if it is there, and else there are none.
    #[arg(long, value_name = "FILE")]
    pub key_file: Option<PathBuf>,
    #[command(flatten)]
    /// Which ledger; the evidence is beside it.
    pub at: LedgerAt,
}

/// Records of a rollout: all of a kind, or the one entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Selected {
    /// All of a kind.
    Kind(Kind),
    /// The entry with this index in the ledger.
    Entry(u64),
}

impl Selected {
    /// Whether a record is one of them.
    pub fn is(self, index: u64, record: &Record) -> bool {
        match self {
            Selected::Kind(kind) => Kind::of(record) == kind,
            Selected::Entry(entry) => entry == index,
        }
    }
}

impl FromStr for Selected {
    type Err = String;

    fn from_str(text: &str) -> Result<Selected, String> {
        if let Ok(entry) = text.parse() {
            return Ok(Selected::Entry(entry));
        }
        let kind = Kind::ALL.into_iter().find(|kind| kind.name() == text);
        kind.map(Selected::Kind).ok_or_else(|| {
            let names = Kind::ALL.map(Kind::name).join(", ");
            format!("expected the number of an entry, or one of {names}")
        })
    }
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
    /// The ledger's verifier key (`name+id+base64`), or a file that holds it, had by another way than the bundle. Where the
    /// ledger's key was changed, any key that it had: the bundle proves each change.
    #[arg(long, value_name = "KEY")]
    pub key: String,
    /// The verifier key of a witness, or a file that holds it; can be given several times.
    #[arg(long, value_name = "KEY")]
    pub witness: Vec<String>,
    /// So many of these witnesses must have cosigned the bundle's checkpoint.
    #[arg(long, value_name = "N", requires = "witness", value_parser = clap::value_parser!(u8).range(1..=15))]
    pub quorum: Option<u8>,
    /// Whose key is whose, as OpenSSH's allowed signers, or with a passkey's line: each approval that counted must have been
    /// signed with a key of its approver that stands there.
    #[arg(long, value_name = "FILE")]
    pub approvers: Option<PathBuf>,
}
