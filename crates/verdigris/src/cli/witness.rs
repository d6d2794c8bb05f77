//! `verdigris witness …`.

use clap::Args;
use std::net::SocketAddr;
use std::path::PathBuf;

/// `verdigris witness`.
#[derive(Debug, Args)]
pub struct Witness {
    /// Where it takes checkpoints: POST /add-checkpoint, HTTP/1.1 without TLS.
    #[arg(long, default_value = "127.0.0.1:4319", value_name = "ADDRESS")]
    pub listen: SocketAddr,
    /// The file of its private key; it is made at the first start, and the key that verifies is written beside it.
    #[arg(long, default_value = "witness.key", value_name = "FILE")]
    pub key: PathBuf,
    /// The witness' name, which its key has: a URL without a scheme.
    #[arg(long, default_value = "verdigris.local/witness", value_name = "NAME")]
    pub name: String,
    /// The folder with what it cosigned.
    #[arg(long, default_value = "witness-state", value_name = "DIR")]
    pub state: PathBuf,
    /// A log that it witnesses: the log's verifier key, or a file that holds it. The key's name is the log's origin. Can be
    /// given several times; several keys of one name are one log's.
    #[arg(long, required = true, value_name = "KEY")]
    pub log: Vec<String>,
}
