//! `verdigris ledger rotate-key` and `verdigris ledger key …`.

use clap::{Args, Subcommand};
use std::path::PathBuf;

/// `verdigris ledger rotate-key`.
#[derive(Debug, Args)]
pub struct RotateKey {
    /// The server's configuration: it says where the key is, in `ledger.key`, and in `ledger.nextKey` where the new one is.
    /// Without that a new one is made, in a file that takes the place of the old one.
    #[arg(long, default_value = "verdigris.yaml", value_name = "FILE")]
    pub config: PathBuf,
}

/// `verdigris ledger key`.
#[derive(Debug, Subcommand)]
pub enum Key {
    /// Encrypts the key's file with a passphrase, as `age --passphrase --armor` does. Name the passphrase's place in
    /// verdigris.yaml afterwards, in `ledger.key.passphrase`.
    Encrypt(KeyFile),
    /// Writes the key's file without a passphrase again.
    Decrypt(KeyFile),
    /// Opens the key that verdigris.yaml names, and shows where it is and which key verifies what it signs.
    Show {
        /// The server's configuration.
        #[arg(long, default_value = "verdigris.yaml", value_name = "FILE")]
        config: PathBuf,
    },
}

/// A file with a private key.
#[derive(Debug, Args)]
pub struct KeyFile {
    /// The file.
    #[arg(long, default_value = "verdigris-data/ledger.key", value_name = "FILE")]
    pub file: PathBuf,
    /// A file with the passphrase in its first line, which nobody else may read. Without it the terminal is asked.
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
}
