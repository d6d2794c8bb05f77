//! `verdigris load`.

use ::load::{MAX_RUN_MS, Phase, Topology};
use clap::{ArgGroup, Args, ValueEnum};
use rollout::plan::{parse_duration_within, parse_rate_per_s};
use std::path::PathBuf;

/// A run that is shorter measures nothing.
const FOR_MS: (u64, u64) = (1_000, MAX_RUN_MS);
/// Levels of `--step`: each at least a second, so an hour has more time than that.
const MAX_LEVELS: f64 = 1_000.0;

/// `verdigris load`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("schedule").args(["rate", "ramp", "step", "recording"]))]
pub struct Load {
    /// The plan, a YAML file. Load goes to the endpoints of its environments, and nowhere else.
    pub plan: PathBuf,
    /// Which environment gets it; `both` get the same bytes at the same times.
    #[arg(long, value_enum, default_value_t = To::Green)]
    pub to: To,
    /// Spans a second, such as `500/s`; `max` is as many as are taken, which finds limits, and its latencies say little.
    #[arg(long, default_value = "500/s", value_name = "RATE", value_parser = rate)]
    pub rate: Rate,
    /// A rate that rises: `100/s..1000/s over 60s`.
    #[arg(long, value_name = "RAMP", conflicts_with = "for_ms", value_parser = ramp)]
    pub ramp: Option<Phases>,
    /// Levels, each for some time: `500/s..4000/s by 500/s each 10s`.
    #[arg(long, value_name = "STEPS", conflicts_with = "for_ms", value_parser = steps)]
    pub step: Option<Phases>,
    /// How long, 1s to 1h.
    #[arg(
        long = "for", default_value = "60s", value_name = "DURATION", conflicts_with = "recording",
        value_parser = |text: &str| parse_duration_within(text, FOR_MS)
    )]
    pub for_ms: u64,
    /// What synthetic services send: `shop`, `chain:N` or `fanout:N`.
    #[arg(long, default_value = "shop", value_name = "TOPOLOGY", conflicts_with = "recording", value_parser = topology)]
    pub topology: Shaped,
    /// A recording instead, as `verdigris record` wrote it, with the times of its requests.
    #[arg(long, value_name = "FILE", requires = "identity")]
    pub recording: Option<PathBuf>,
    /// The age identity that opens the recording, in a file that nobody else can read.
    #[arg(long, value_name = "FILE", requires = "recording")]
    pub identity: Option<PathBuf>,
    /// So many copies of the recording at once, each with trace ids of its own: 1 to 100.
    #[arg(long, default_value_t = 1, value_name = "N", requires = "recording")]
    pub copies: u32,
    /// So many times as fast as it was recorded: 0.01 to 100.
    #[arg(long, default_value_t = 1.0, value_name = "FACTOR", requires = "recording")]
    pub speed: f64,
    /// Connections to each environment, each with 16 requests at once.
    #[arg(long, default_value_t = 4, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub connections: u16,
    /// What is due within this time is sent and not measured.
    #[arg(long, value_name = "DURATION", value_parser = |text: &str| parse_duration_within(text, FOR_MS))]
    pub warm_up: Option<u64>,
    /// Where the report is written to as a page: one file, without scripts.
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Of the synthetic traces and of the times: the same seed gives the same. Trace ids are always new.
    #[arg(long, default_value_t = 1, conflicts_with = "recording")]
    pub seed: u64,
}

/// Which environments get the load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum To {
    /// The one that serves: its users notice.
    Blue,
    /// The one that is rolled out.
    Green,
    /// Both.
    Both,
}

/// A rate that does not change.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rate {
    /// Spans a second.
    Of(f64),
    /// As many as are taken.
    Max,
}

/// A schedule of several rates, and how it was written.
#[derive(Clone, Debug, PartialEq)]
pub struct Phases {
    /// One after the other.
    pub phases: Vec<Phase>,
    /// As it was written.
    pub text: String,
}

/// Synthetic services, and how they were written.
#[derive(Clone, Debug, PartialEq)]
pub struct Shaped {
    /// The services.
    pub topology: Topology,
    /// As they were written.
    pub text: String,
}

fn rate(text: &str) -> Result<Rate, String> {
    if text == "max" {
        return Ok(Rate::Max);
    }
    spans(text).map(Rate::Of)
}

fn spans(text: &str) -> Result<f64, String> {
    parse_rate_per_s(text.trim()).map_err(|_| "expected spans a second, such as 500/s".to_owned())
}

fn duration(text: &str) -> Result<u64, String> {
    let text = text.trim();
    parse_duration_within(text, FOR_MS).map_err(|expected| format!("found {text:?}, expected {expected}"))
}

fn ramp(text: &str) -> Result<Phases, String> {
    let expected = || "expected FROM..TO over TIME, such as \"100/s..1000/s over 60s\"".to_owned();
    let (rates, time) = text.split_once(" over ").ok_or_else(expected)?;
    let (from, to) = rates.split_once("..").ok_or_else(expected)?;
    let phase = Phase { from_spans_per_s: spans(from)?, to_spans_per_s: spans(to)?, duration_ms: duration(time)? };
    Ok(Phases { phases: vec![phase], text: text.to_owned() })
}

fn steps(text: &str) -> Result<Phases, String> {
    let expected = || "expected FROM..TO by MORE each TIME, such as \"500/s..4000/s by 500/s each 10s\"".to_owned();
    let (rates, time) = text.split_once(" each ").ok_or_else(expected)?;
    let (rates, more) = rates.split_once(" by ").ok_or_else(expected)?;
    let (from, to) = rates.split_once("..").ok_or_else(expected)?;
    let (from, to, more, each_ms) = (spans(from)?, spans(to)?, spans(more)?, duration(time)?);
    // A level is not left out because of the last digit of a quotient.
    let more_levels = ((to - from) / more + 1e-9).floor();
    if !(0.0..MAX_LEVELS).contains(&more_levels) {
        return Err(format!("expected 1 to {MAX_LEVELS} levels, from the lowest to the highest"));
    }
    let level = |level: u32| Phase::level(from + more * f64::from(level), each_ms);
    Ok(Phases { phases: (0..=more_levels as u32).map(level).collect(), text: text.to_owned() })
}

fn topology(text: &str) -> Result<Shaped, String> {
    let number = |text: &str| text.parse().map_err(|_| format!("found {text:?}, expected a number"));
    let topology = match text.split_once(':') {
        Some(("chain", services)) => Topology::chain(number(services)?),
        Some(("fanout", leaves)) => Topology::fanout(number(leaves)?),
        Some(_) => return Err("expected shop, chain, chain:N, fanout or fanout:N".to_owned()),
        None => Topology::preset(text),
    };
    let topology = topology.map_err(|error| error.to_string())?;
    Ok(Shaped { topology, text: text.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(parse: fn(&str) -> Result<Phases, String>, text: &str, expected: Result<&[(f64, f64, u64)], &str>) {
        let phase = |it: &Phase| (it.from_spans_per_s, it.to_spans_per_s, it.duration_ms);
        let found = parse(text).map(|found| found.phases.iter().map(phase).collect::<Vec<_>>());
        match expected {
            Ok(phases) => assert_eq!(found.as_deref(), Ok(phases), "{text}"),
            Err(words) => assert!(found.as_ref().is_err_and(|error| error.contains(words)), "{text}: {found:?}"),
        }
    }

    #[test]
    fn ramps_and_steps_are_read_as_they_are_written() {
        check(ramp, "100/s..1000/s over 60s", Ok(&[(100.0, 1_000.0, 60_000)]));
        check(ramp, "1000/s .. 100/s over 1m", Ok(&[(1_000.0, 100.0, 60_000)]));
        for odd in [
            "",
            "100/s",
            "100/s..200/s",
            "100..200 over 1m",
            "100/s..x over 1m",
            "1/s..2/s over 2h",
            "0/s..1/s over 1m",
        ] {
            check(ramp, odd, Err("expected"));
        }
        let levels = [(500.0, 500.0, 10_000), (1_000.0, 1_000.0, 10_000), (1_500.0, 1_500.0, 10_000)];
        check(steps, "500/s..1500/s by 500/s each 10s", Ok(&levels));
        check(steps, "500/s..1999/s by 500/s each 10s", Ok(&levels));
        check(steps, "500/s..500/s by 500/s each 10s", Ok(&levels[..1]));
        check(steps, "1500/s..500/s by 500/s each 10s", Err("1 to 1000 levels"));
        check(steps, "1/s..5000/s by 1/s each 1s", Err("1 to 1000 levels"));
        check(steps, "500/s..1500/s each 10s", Err("by MORE each TIME"));
    }

    #[test]
    fn topologies_have_names_and_sizes() {
        for good in ["shop", "chain", "chain:3", "fanout", "fanout:20"] {
            assert_eq!(topology(good).map(|it| it.text), Ok(good.to_owned()));
        }
        for odd in ["", "mesh", "shop:3", "chain:0", "chain:x", "fanout:100000"] {
            assert!(topology(odd).is_err(), "{odd}");
        }
        assert_eq!((rate("max"), rate("10/s")), (Ok(Rate::Max), Ok(Rate::Of(10.0))));
        assert!(rate("10").is_err());
    }
}
