//! `verdigris judge …`.

use clap::{Args, Subcommand, ValueEnum};
use model::BasisPoints;
use rollout::plan::{parse_chance, parse_duration_within, parse_rate_per_s, parse_share};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// From a minute to a week.
const FOR_MS: (u64, u64) = (60_000, 7 * 24 * 3_600_000);

/// `verdigris judge`.
#[derive(Debug, Subcommand)]
pub enum Judge {
    /// Runs a plan many times on simulated traffic, with the real judge, and shows how often and how soon it rolls back
    /// and promotes.
    Simulate(Simulate),
    /// The verdict again from recorded evidence, under the plan's or other thresholds; exit code 5 if it is another than
    /// the recorded one.
    Replay(Replay),
}

/// `verdigris judge simulate`.
#[derive(Debug, Args)]
pub struct Simulate {
    /// The plan.
    pub plan: PathBuf,
    /// New traces a second, both environments together; by default the plan's spec.traffic.expected.
    #[arg(long, value_name = "RATE", value_parser = parse_rate_per_s)]
    pub traffic: Option<f64>,
    /// The share of traces with an error where nothing is wrong; by default the plan's spec.traffic.errors.
    #[arg(long, value_name = "SHARE", value_parser = |text: &str| parse_share(text, 100, "0.1%"))]
    pub errors: Option<f64>,
    /// The share of traces that lose a span where nothing is wrong; by default none.
    #[arg(long, value_name = "SHARE", value_parser = |text: &str| parse_share(text, 100, "0.01%"))]
    pub loss: Option<f64>,
    /// The chance of a false alarm; by default the plan's spec.analysis.falseAlarm.
    #[arg(long, value_name = "CHANCE", value_parser = parse_chance)]
    pub false_alarm: Option<f64>,
    /// What is wrong with green: errors:x10, loss:1%, latency:+20%. Can be given several times; `none` comes always. By
    /// default errors:x10, ten times the tolerated loss, and twice the tolerated latency, as far as the plan guards them.
    #[arg(long, value_name = "EFFECT")]
    pub effect: Vec<Effect>,
    /// How often each effect is run.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub runs: u64,
    /// The same seed gives the same traffic and the same figures.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Judges at this share of green from the beginning to the end, instead of going through the plan's own steps.
    #[arg(long, value_name = "SHARE")]
    pub weight: Option<BasisPoints>,
    /// For how long, with --weight; by default an hour.
    #[arg(long = "for", value_name = "DURATION", requires = "weight", value_parser = |text: &str| parse_duration_within(text, FOR_MS))]
    pub for_ms: Option<u64>,
    /// With --weight: shows beside it how often a z-test of the error rates at the plan's falseAlarm, looked at each
    /// minute, would have rolled back a green with which nothing is wrong.
    #[arg(long, requires = "weight")]
    pub beside_polling: bool,
    /// What the curves are drawn against.
    #[arg(long, value_enum, default_value_t = Axis::Time)]
    pub by: Axis,
    /// Draws the curves into this file, as SVG.
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
}

/// What curves are drawn against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Axis {
    /// Time since the rollout began.
    Time,
    /// Traces that the judge has seen, both environments together.
    Traces,
}

/// What is wrong with green.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Effect {
    /// Nothing.
    None,
    /// Errors are so many times as frequent.
    Errors(f64),
    /// So many traces more lose a span, as a share.
    Loss(f64),
    /// Every trace takes longer by this, relative.
    Latency(f64),
}

impl FromStr for Effect {
    type Err = String;

    fn from_str(text: &str) -> Result<Effect, String> {
        let expected = || "none, errors:x10 (x1 to x1000), loss:1%, or latency:+20% (up to +1000%)".to_owned();
        match text.split_once(':') {
            None if text == "none" => Ok(Effect::None),
            Some(("errors", times)) => {
                let times = times.strip_prefix('x').and_then(|times| times.parse().ok());
                times.filter(|times| (1.0..=1_000.0).contains(times)).map(Effect::Errors).ok_or_else(expected)
            }
            Some(("loss", share)) => parse_share(share, 100, "1%").map(Effect::Loss),
            Some(("latency", more)) => {
                let more = more.strip_prefix('+').ok_or_else(expected)?;
                parse_share(more, 1_000, "+20%").map(Effect::Latency)
            }
            None | Some(_) => Err(expected()),
        }
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A share comes from at most 15 digits, so that six decimals of its percentage are all it has.
        let percent = |share: f64| format!("{:.6}", share * 100.0);
        let trimmed = |text: String| text.trim_end_matches('0').trim_end_matches('.').to_owned();
        match self {
            Effect::None => f.write_str("none"),
            Effect::Errors(times) => write!(f, "errors:x{times}"),
            Effect::Loss(share) => write!(f, "loss:{}%", trimmed(percent(*share))),
            Effect::Latency(more) => write!(f, "latency:+{}%", trimmed(percent(*more))),
        }
    }
}

/// `verdigris judge replay`.
#[derive(Debug, Args)]
pub struct Replay {
    /// A ledger's folder, a file of its records (`verdigris ledger show --format json`), or a blob of evidence that a
    /// record names.
    pub evidence: PathBuf,
    /// Which rollout of the ledger; the last one if it is not named.
    #[arg(long)]
    pub rollout: Option<String>,
    /// The ledger's verifier key, or a file that holds it, as for `verdigris ledger`.
    #[arg(long, value_name = "KEY")]
    pub key: Option<String>,
    /// Judges by this plan's guards and probabilities instead of the recorded ones.
    #[arg(long, value_name = "PLAN")]
    pub plan: Option<PathBuf>,
    /// Judges by this chance of a false alarm instead of the recorded one.
    #[arg(long, value_name = "CHANCE", value_parser = parse_chance)]
    pub false_alarm: Option<f64>,
    /// Judges by this chance of a false promotion instead of the recorded one.
    #[arg(long, value_name = "CHANCE", value_parser = parse_chance)]
    pub false_promotion: Option<f64>,
}
