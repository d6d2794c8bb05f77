//! Blue against blue: whether the measurement itself can be trusted.
//!
//! While the candidate has only copies, the active environment's traces are compared with each other, in two halves
//! chosen by a hash. Nothing but chance can make the halves differ, so an alarm says that the measurement is broken: then
//! nothing may be concluded from it about the candidate either.
//!
//! Each direction has a [`Judge`] of its own, one half in the candidate's place and the other half in the active
//! environment's, and half of the plan's `falseAlarm`. By Ville's inequality and the union bound a sound measurement
//! ever alarms with a chance of at most `falseAlarm`. Unlike a candidate, which may be worse within what the plan
//! tolerates, the halves may not differ at all: the evidence alone alarms. Blind spots are not compared: the counts of a
//! subject are not told by halves. Nor is the latency of single operations, for it is in that of all traces; nor are metrics
//! from outside, which know no halves.

use crate::assess::Metric;
use crate::config::{Config, Guards};
use crate::judge::Judge;
use crate::odds::Counts;
use crate::rate::LOG_SURE;
use crate::words;
use model::{ArmCounts, Environment, Observation, PerEnvironment};
use serde::{Deserialize, Serialize};

/// The evidence that the halves of the active environment's traces differ.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NoiseFloor {
    /// The half that is told in the candidate's place, and then the other one; none where the plan guards nothing that
    /// halves can be compared by.
    directions: Option<[Judge; 2]>,
    /// Why the last batch was not used.
    refused: Option<String>,
}

/// What blue against blue says now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NoiseAssessment {
    /// Traces of each half so far.
    pub halves: [u64; 2],
    /// ln of the evidence that one half is worse than the other, in the direction that has more of it.
    pub log_evidence: f64,
    /// What `log_evidence` must reach for an alarm: ln 2/falseAlarm.
    pub log_threshold: f64,
    /// Whether the halves differ beyond chance: the measurement is broken.
    pub alarmed: bool,
    /// How they differ, one line for each check, the strongest first; empty without an alarm.
    pub differences: Vec<String>,
    /// One line for a person.
    pub words: String,
}

impl NoiseFloor {
    /// Nothing compared yet, by the guards that a candidate is judged by.
    pub fn new(config: &Config) -> NoiseFloor {
        let guards = Guards { blind_spots: None, metrics: vec![], ..config.guards.clone() };
        let config = Config { false_alarm: config.false_alarm / 2.0, guards, ..config.clone() };
        let directions = config.problem().is_none().then(|| [Judge::new(config.clone()), Judge::new(config)]);
        NoiseFloor { directions, refused: None }
    }

    /// Takes one batch; one without halves says nothing. A half that is no part of the whole is left out, and said.
    pub fn observe(&mut self, observation: &Observation) {
        let (Some(directions), Some(half)) = (&mut self.directions, &observation.blue_half) else { return };
        let Some(rest) = observation.arms[Environment::Blue].without(half) else {
            self.refused = Some(format!("the half of batch {} is no part of it", observation.batch));
            return;
        };
        self.refused = None;
        for (judge, (candidate, active)) in directions.iter_mut().zip([(half, &rest), (&rest, half)]) {
            let arm = |environment| if environment == judge.config.candidate { candidate } else { active };
            let arms = PerEnvironment::from_fn(|environment| arm(environment).clone());
            // How the halves are divided is no weight's doing.
            judge.observe(&halves(observation, arms), None);
        }
    }

    /// What is known, as often as one likes.
    pub fn assess(&self) -> NoiseAssessment {
        let Some(directions) = &self.directions else {
            let words = "blue against blue: nothing that the plan guards can be compared".to_owned();
            let (log_evidence, log_threshold) = (0.0, 0.0);
            return NoiseAssessment {
                halves: [0; 2],
                log_evidence,
                log_threshold,
                alarmed: false,
                differences: vec![],
                words,
            };
        };
        let assessed = directions.each_ref().map(Judge::assess);
        let strongest = if assessed[1].log_evidence > assessed[0].log_evidence { 1 } else { 0 };
        let (log_evidence, log_threshold) = (assessed[strongest].log_evidence, assessed[strongest].log_threshold);
        let candidate = directions[0].config.candidate;
        let halves = [candidate, candidate.other()].map(|environment| assessed[0].traces[environment]);
        let alarmed = log_evidence >= log_threshold;
        let differences = if alarmed { differences(&directions[strongest]) } else { vec![] };
        let words = self.words(halves, log_evidence, differences.first());
        NoiseAssessment { halves, log_evidence, log_threshold, alarmed, differences, words }
    }

    fn words(&self, halves: [u64; 2], log_evidence: f64, difference: Option<&String>) -> String {
        let [one, other] = halves.map(words::grouped);
        let refused = self.refused.as_ref().map_or(String::new(), |reason| format!(" ({reason})"));
        match (halves, difference) {
            ([0, 0], _) => format!("blue against blue: no traces yet{refused}"),
            (_, Some(difference)) => format!("blue against blue: {one} and {other} traces differ: {difference}"),
            (_, None) => {
                let suspected = log_evidence >= LOG_SURE;
                let said = if suspected { "a difference that may be chance" } else { "no difference beyond chance" };
                format!("blue against blue: {one} and {other} traces, {said}{refused}")
            }
        }
    }
}

/// The batch with one half in the place of each environment, and nothing that is told of whole environments.
fn halves(observation: &Observation, arms: PerEnvironment<ArmCounts>) -> Observation {
    Observation {
        batch: observation.batch,
        assigned_from: observation.assigned_from,
        assigned_until: observation.assigned_until,
        arms,
        blue_half: None,
        left_out: PerEnvironment::default(),
        findings: vec![],
        blind_spots: vec![],
        operations: vec![],
        omitted: 0,
        verified: model::BasisPoints::ALL,
    }
}

/// How the halves differ: the metrics that point that way, those with the most evidence first. By the weighted sum one of
/// them has at least the threshold of all together, so there is always one.
fn differences(judge: &Judge) -> Vec<String> {
    let mut metrics = judge.metrics();
    metrics.retain(|metric| metric.log_against >= std::f64::consts::LN_2);
    metrics.sort_by(|a, b| b.log_against.total_cmp(&a.log_against));
    metrics.iter().map(difference).collect()
}

fn difference(metric: &Metric) -> String {
    let share = |counts: Counts| format!("{} of {}", words::percent(counts.share()), words::traces(counts.traces));
    let (one, other) = (share(metric.candidate), share(metric.active));
    let likelier = words::likelier(metric.log_against);
    format!("{}: {one} in one half, {other} in the other; {likelier}", metric.words())
}
