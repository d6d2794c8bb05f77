//! What many runs of one effect come to. Shares and quantiles are over all runs: a quantile that fewer runs reached is
//! none.

use crate::cli::{Axis, Effect};
use model::BasisPoints;
use rollout::rehearsal::{Ending, Moment, Rehearsed};
use serde::Serialize;
use std::collections::BTreeMap;

/// What all effects have in common.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Whole {
    pub(super) plan: String,
    pub(super) seed: u64,
    pub(super) runs: u64,
    pub(super) traces_per_s: f64,
    /// Shares of traces where nothing is wrong.
    pub(super) errors: f64,
    pub(super) loss: f64,
    /// The constant share of green; `None` for the plan's own steps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) weight: Option<BasisPoints>,
    pub(super) false_alarm: f64,
    pub(super) false_promotion: f64,
}

/// One effect.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Summary {
    pub(super) effect: String,
    pub(super) runs: u64,
    /// The judge failed green.
    pub(super) alarmed: Reached,
    /// The judge said Pass, for the first time.
    pub(super) proved: Reached,
    /// Green became active.
    pub(super) promoted: Reached,
    /// Runs that ended inconclusive: held for a person, or given up as the plan says.
    pub(super) inconclusive: u64,
    /// Runs that were not over when their time was.
    pub(super) cut_off: u64,
    /// Alarms by the guard that was named.
    pub(super) guards: BTreeMap<String, u64>,
    /// When the last run ended.
    #[serde(skip)]
    pub(super) latest: Moment,
}

/// When runs came to a point, each in order.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Reached {
    /// Milliseconds since the beginning.
    pub(super) at_ms: Vec<u64>,
    /// Traces that the judge had seen, both environments together.
    pub(super) traces: Vec<u64>,
    /// Of these, green's.
    pub(super) candidate_traces: Vec<u64>,
}

impl Summary {
    pub(super) fn of(effect: Effect, runs: Vec<Rehearsed>) -> Summary {
        let mut summary = Summary {
            effect: effect.to_string(),
            runs: runs.len() as u64,
            alarmed: Reached::default(),
            proved: Reached::default(),
            promoted: Reached::default(),
            inconclusive: 0,
            cut_off: 0,
            guards: BTreeMap::new(),
            latest: Moment::default(),
        };
        for run in runs {
            summary.latest.at_ms = summary.latest.at_ms.max(run.end.at_ms);
            summary.latest.traces = summary.latest.traces.max(run.end.traces);
            if let Some(proved) = run.proved {
                summary.proved.add(proved);
            }
            match run.ending {
                Ending::Promoted => summary.promoted.add(run.end),
                Ending::Alarmed { guard } => {
                    summary.alarmed.add(run.end);
                    *summary.guards.entry(guard).or_default() += 1;
                }
                Ending::GivenUp | Ending::Held { .. } => summary.inconclusive += 1,
                Ending::CutOff => summary.cut_off += 1,
            }
        }
        for reached in [&mut summary.alarmed, &mut summary.proved, &mut summary.promoted] {
            reached.sort();
        }
        summary
    }

    pub(super) fn share(&self, count: u64) -> f64 {
        count as f64 / self.runs as f64
    }
}

impl Reached {
    fn add(&mut self, moment: Moment) {
        self.at_ms.push(moment.at_ms);
        self.traces.push(moment.traces);
        self.candidate_traces.push(moment.candidate_traces);
    }

    fn sort(&mut self) {
        self.at_ms.sort_unstable();
        self.traces.sort_unstable();
        self.candidate_traces.sort_unstable();
    }

    pub(super) fn count(&self) -> u64 {
        self.at_ms.len() as u64
    }

    pub(super) fn along(&self, axis: Axis) -> &[u64] {
        match axis {
            Axis::Time => &self.at_ms,
            Axis::Traces => &self.traces,
        }
    }
}

/// The value by which this share of all runs had come to the point; `None` if fewer ever did.
pub(super) fn quantile(reached: &[u64], runs: u64, share: f64) -> Option<u64> {
    let needed = (runs as f64 * share).ceil().max(1.0) as usize;
    reached.get(needed - 1).copied()
}
