//! `verdigris config`, `doctor`, `completions` and `man`.

use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Which configuration.
#[derive(Clone, Debug, Args)]
pub struct ConfigAt {
    /// The server's configuration.
    #[arg(long, default_value = "verdigris.yaml", value_name = "FILE")]
    pub config: PathBuf,
}

/// `verdigris config`.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Reads it and every file that it names as `serve` would before it opens a port, and says what would happen.
    Check(ConfigAt),
}

/// `verdigris man`.
#[derive(Debug, Args)]
pub struct Man {
    /// The folder, which must be there: `verdigris.1` and a page for each command.
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
}

/// A shell that completions can be had for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    /// GNU Bash 4.4 and newer, with bash-completion.
    Bash,
    /// Z shell.
    Zsh,
    /// fish.
    Fish,
}
