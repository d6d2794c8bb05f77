//! `verdigris verify …`.

use clap::{Args, Subcommand};
use rollout::plan::parse_share;
use std::path::PathBuf;

/// `verdigris verify`.
#[derive(Debug, Subcommand)]
pub enum Verify {
    /// Learns from spans before and behind a pipeline what it changes, and prints a plan's `transformations` for review.
    Learn(Learn),
}

/// `verdigris verify learn`.
#[derive(Debug, Args)]
pub struct Learn {
    /// What was sent to the pipeline: what the Collector's file exporter writes, JSON lines or protobuf, uncompressed.
    #[arg(long, required = true, value_name = "FILE")]
    pub sent: Vec<PathBuf>,
    /// What came out of it in the same time, in the same form.
    #[arg(long, required = true, value_name = "FILE")]
    pub out: Vec<PathBuf>,
    /// What shows in less than this share of the spans in which it could have is left out, and stays a finding.
    #[arg(long, default_value = "5%", value_name = "SHARE", value_parser = |text: &str| parse_share(text, 50, "5%"))]
    pub least_share: f64,
    /// So is what shows in fewer spans.
    #[arg(long, default_value_t = 10, value_name = "SPANS", value_parser = clap::value_parser!(u64).range(1..))]
    pub least_spans: u64,
}
