//! The load gate: how many times the present peak green must hold.

use super::problems::{Expected, Place, Problems};
use super::quantity::{MAX_PATH_CHARACTERS, duration_ms, line, quantile, rate_per_s, share, whole};
use super::raw::RawLoadGate;
use super::typed::word;
use model::{BasisPoints, ShortDuration};
use serde::{Deserialize, Serialize};

/// A gate has 120 s: what comes out late is waited for besides.
const FOR_MS: (u64, u64) = (LEAST_COMPARED_MS, 75_000);
/// `load` compares latencies of so many seconds at least, behind the warm-up.
const LEAST_COMPARED_MS: u64 = 20_000;
/// The quantiles that `load` compares.
const QUANTILES: std::ops::RangeInclusive<f64> = 0.5..=0.999;
/// The presets of `load`.
const TOPOLOGIES: [(&str, &str); 3] = [("shop", "shop"), ("chain", "chain"), ("fanout", "fanout")];
/// The same bound as `load`'s.
const MAX_COPIES: u32 = 100;

/// What both environments are sent at the same time, and what green must do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LoadGate {
    /// What is sent.
    pub source: LoadSource,
    /// How many times the present peak.
    pub multiple: u32,
    /// How long, in milliseconds.
    pub for_ms: u64,
    /// What is in no latency and no rate, at the beginning, in milliseconds.
    pub warm_up_ms: u64,
    /// The share of what is due that may be lost.
    pub loss_at_most: BasisPoints,
    /// The quantile that is compared.
    pub quantile: f64,
    /// By which share of blue's green's may be higher.
    pub slower_by: f64,
}

/// What is sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum LoadSource {
    /// Traces of services that there are not.
    Synthetic {
        /// `shop`, `chain` or `fanout`.
        topology: String,
        /// The present peak, in spans a second.
        peak_spans_per_s: f64,
    },
    /// What a gateway recorded.
    Recording {
        /// The file, relative to the plan.
        file: String,
        /// The file of the key that opens it.
        identity: String,
    },
}

/// `gates.load`.
pub(super) fn gate(problems: &mut Problems, at: &Place, raw: &RawLoadGate) -> Option<LoadGate> {
    let path = |text: &str| line(text, MAX_PATH_CHARACTERS);
    let source = match (&raw.recording, &raw.peak) {
        (Some(_), None) => {
            let wanted = "the recording's file";
            let file = problems.needed(at, "recording", &raw.recording, wanted, path);
            let wanted = "the file of the key that opens the recording (age)";
            let identity = problems.needed(at, "identity", &raw.identity, wanted, path);
            if raw.topology.is_some() {
                problems.refuse(at, "`topology` beside `recording`", "one of them");
                return None;
            }
            file.zip(identity).map(|(file, identity)| LoadSource::Recording { file, identity })
        }
        (None, Some(_)) => {
            if raw.identity.is_some() {
                problems.refuse(at, "`identity` without `recording`", "a `recording` that it opens, or none");
                return None;
            }
            let wanted = "the present peak in spans a second, such as 5000/s";
            let peak = problems.needed(at, "peak", &raw.peak, wanted, rate_per_s);
            let topology = problems.or(at, "topology", &raw.topology, "shop".to_owned(), |text| {
                word(text, &TOPOLOGIES).map(str::to_owned)
            });
            peak.zip(topology).map(|(peak_spans_per_s, topology)| LoadSource::Synthetic { topology, peak_spans_per_s })
        }
        (Some(_), Some(_)) | (None, None) => {
            let wanted = "either `peak`, such as 5000/s, or a `recording`, which has its own";
            problems.refuse(at, "both or neither of `peak` and `recording`", wanted);
            None
        }
    };
    let multiple = problems.or(at, "multiple", &raw.multiple, 2, |text| whole(text, (1, MAX_COPIES)));
    let for_ms = problems.or(at, "for", &raw.r#for, 30_000, |text| duration_ms(text, FOR_MS));
    let warm_up = problems.or(at, "warmUp", &raw.warm_up, 3_000, |text| duration_ms(text, (0, 60_000)));
    let loss = problems.or(at, "lossAtMost", &raw.loss_at_most, 0.0, allowed_loss);
    let point = problems.or(at, "quantile", &raw.quantile, 0.99, compared_quantile);
    let slower = problems.or(at, "slowerBy", &raw.slower_by, 0.2, |text| share(text, 1_000, "20%"));
    let (for_ms, warm_up_ms) = (for_ms?, warm_up?);
    if for_ms.saturating_sub(warm_up_ms) < LEAST_COMPARED_MS {
        let expected = format!("{} at least", ShortDuration(LEAST_COMPARED_MS));
        let help = "latencies of a shorter time cannot be compared, so that it would never pass";
        problems.refuse_because(
            at,
            format!("{} behind the `warmUp`", ShortDuration(for_ms.saturating_sub(warm_up_ms))),
            expected,
            help,
        );
        return None;
    }
    let loss_at_most = BasisPoints::new((loss? * 10_000.0).round() as u16)?;
    Some(LoadGate {
        source: source?,
        multiple: multiple?,
        for_ms,
        warm_up_ms,
        loss_at_most,
        quantile: point?,
        slower_by: slower?,
    })
}

/// In hundredths of a percent, which less would be rounded to nothing.
fn allowed_loss(text: &str) -> Result<f64, Expected> {
    let loss = share(text, 100, "0.1%")?;
    if loss >= 0.000_1 { Ok(loss) } else { Err("at least 0.01%; without `lossAtMost` nothing may be lost".to_owned()) }
}

fn compared_quantile(text: &str) -> Result<f64, Expected> {
    let compared = quantile(text).ok().filter(|point| QUANTILES.contains(point));
    compared.ok_or_else(|| format!("a quantile from {} to {}", QUANTILES.start(), QUANTILES.end()))
}
