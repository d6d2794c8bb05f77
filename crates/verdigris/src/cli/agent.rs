//! `verdigris agent`.

use clap::Args;
use integrations::Address;
use std::net::SocketAddr;
use std::path::PathBuf;

/// `verdigris agent`.
#[derive(Debug, Args)]
pub struct Agent {
    /// Where it listens. Beyond loopback it needs --cert and --key, for the token would be read on the way.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7070")]
    pub listen: SocketAddr,
    /// The file of the token that who asks must show, of mode 0600.
    #[arg(long, value_name = "FILE")]
    pub token_file: PathBuf,
    /// A destination that it may call; give it again for more. Any other is refused.
    #[arg(long, value_name = "HOST:PORT", required = true)]
    pub allow: Vec<Address>,
    /// The certificate that it shows, PEM.
    #[arg(long, value_name = "FILE", requires = "key")]
    pub cert: Option<PathBuf>,
    /// The certificate's key, PEM.
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub key: Option<PathBuf>,
    /// The authority that the servers it calls are verified by, PEM; the system's without.
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
}
