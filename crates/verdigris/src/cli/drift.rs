//! `verdigris drift`.

use clap::Args;
use std::path::PathBuf;

/// `verdigris drift`.
#[derive(Debug, Args)]
pub struct Drift {
    /// Blue's configuration: a file or a folder.
    pub blue: PathBuf,
    /// Green's.
    pub green: PathBuf,
    /// What may differ, and what is below it: `exporters.otlp.endpoint`; give it again for more.
    #[arg(long, value_name = "PATH")]
    pub expected: Vec<String>,
}
