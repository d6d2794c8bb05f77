//! `verdigris verify …`.

use super::Server;
use clap::{Args, Subcommand, ValueEnum};
use rollout::plan::{parse_duration_within, parse_share};
use std::path::PathBuf;
use web::LEARN_FOR_MS;

/// A shorter horizon than a batching exporter's interval would call everything lost.
const HORIZON_MS: (u64, u64) = (1_000, LEARN_FOR_MS.1);

/// `verdigris verify`.
#[derive(Debug, Subcommand)]
pub enum Verify {
    /// Learns from spans before and behind a pipeline what it changes, and prints a plan's `transformations` for review:
    /// from a running server's traffic, or from recordings.
    Learn(Learn),
}

/// `verdigris verify learn`.
#[derive(Debug, Args)]
pub struct Learn {
    /// Recordings instead of a server: what was sent to the pipeline, as the Collector's file exporter writes it, JSON lines
    /// or protobuf, uncompressed.
    #[arg(long, requires = "out", value_name = "FILE")]
    pub sent: Vec<PathBuf>,
    /// What came out of it in the same time, in the same form.
    #[arg(long, requires = "sent", value_name = "FILE")]
    pub out: Vec<PathBuf>,
    /// What is watched of a server.
    #[command(flatten)]
    pub watch: Watch,
    /// What shows in less than this share of the spans in which it could have is left out, and stays a finding.
    #[arg(long, default_value = "5%", value_name = "SHARE", value_parser = |text: &str| parse_share(text, 50, "5%"))]
    pub least_share: f64,
    /// So is what shows in fewer spans.
    #[arg(long, default_value_t = 10, value_name = "SPANS", value_parser = clap::value_parser!(u64).range(1..))]
    pub least_spans: u64,
}

/// What is watched of a server's traffic.
#[derive(Debug, Args)]
pub struct Watch {
    /// Whose pipeline is watched; the one's that serves if it is not said. The other one is there while a rollout is under
    /// way.
    #[arg(long, value_enum, conflicts_with = "sent")]
    pub environment: Option<Which>,
    /// How long, 10s to 24h. Interrupted (Ctrl-C) it prints what it has learned so far.
    #[arg(
        long = "for", default_value = "10m", value_name = "DURATION", conflicts_with = "sent",
        value_parser = |text: &str| parse_duration_within(text, LEARN_FOR_MS)
    )]
    pub for_ms: u64,
    /// Within which time a span must have come out, so that one that has not is missing. By default half of the time, and at
    /// most a plan's default, 335s.
    #[arg(
        long, value_name = "DURATION", conflicts_with = "sent",
        value_parser = |text: &str| parse_duration_within(text, HORIZON_MS)
    )]
    pub horizon: Option<u64>,
    /// Take the horizon from this plan.
    #[arg(long = "from", value_name = "PLAN", conflicts_with_all = ["sent", "horizon"])]
    pub plan: Option<PathBuf>,
    #[command(flatten)]
    /// Where the server is.
    pub server: Server,
}

/// An environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Which {
    /// The one that serves when a rollout starts.
    Blue,
    /// The one that is rolled out.
    Green,
}
