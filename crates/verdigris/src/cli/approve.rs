//! `verdigris approve`.

use super::Named;
use clap::Args;
use std::path::PathBuf;

/// `verdigris approve`. Without `--key`, `--out`, `--sign` or `--statement` it shows what there is to sign, and signs nothing.
#[derive(Debug, Args)]
pub struct Approve {
    #[command(flatten)]
    /// Which.
    pub named: Named,
    /// Signs with this private key, Ed25519 as `ssh-keygen -t ed25519` makes it and without a passphrase, and hands the
    /// approval in. A key with a passphrase, in an agent or on a token signs with `ssh-keygen -Y sign`: see --out.
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
    /// Writes the statement into a new file, to be signed on another machine: `verdigris approve --sign FILE --key KEY`, or
    /// `ssh-keygen -Y sign -f KEY -n approval@verdigris.dev FILE`. Both write FILE.sig.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["key", "sign", "statement"])]
    pub out: Option<PathBuf>,
    /// Shows and signs a statement that --out wrote. Reaches no server. Refuses one that has expired.
    #[arg(long, value_name = "FILE", requires = "key", conflicts_with = "statement")]
    pub sign: Option<PathBuf>,
    /// With --sign: the plan, to see that it is the one whose digest is signed.
    #[arg(long, value_name = "FILE", requires = "sign")]
    pub plan: Option<PathBuf>,
    /// Hands in a statement that was signed elsewhere.
    #[arg(long, value_name = "FILE", conflicts_with = "key")]
    pub statement: Option<PathBuf>,
    /// The statement's signature; FILE.sig if it is not named.
    #[arg(long, value_name = "FILE", requires = "statement")]
    pub signature: Option<PathBuf>,
    /// In an emergency: this approval passes the gate alone. It is shown everywhere until somebody else has reviewed it.
    #[arg(long, value_name = "REASON", conflicts_with_all = ["sign", "statement"])]
    pub break_glass: Option<String>,
    /// Reviews what was done when somebody else broke the glass.
    #[arg(long, conflicts_with_all = ["sign", "statement", "break_glass"])]
    pub review: bool,
    /// Signs without asking.
    #[arg(long)]
    pub yes: bool,
}
