//! Operations and edges of which nothing comes out: R for each, weighted by when it first went unseen.
//!
//! Observations name a subject only in batches in which a trace of it went unseen. That is enough: without an unseen
//! trace k is 0 and e is 1.

use crate::odds::{Counts, Split, log_e};
use crate::process::{Process, log_add};
use crate::rate::{PSI, log_e_alone};
use crate::words::subject_words;
use model::{BlindSpotCount, Environment, PerEnvironment, Subject};
use serde::{Deserialize, Serialize};

/// Subjects that are kept. The hundredth has a weight of 1/10,100 already, and needs as much more evidence; 128 of at
/// most 1,000 bytes keep the state below 128 KiB. Later ones are counted, and not judged.
const MAX_SUBJECTS: usize = 128;

/// Traces a subject must have been sent in before it can be called blind.
const TRACES_TO_BE_BLIND: u64 = 3;

/// Without active traffic a subject may go unseen in this share of its traces before that speaks against the candidate.
const TOLERATED_UNSEEN_ALONE: f64 = 0.1;

/// Traces of a subject that were to be expected since it last went unseen, after which it must have been seen again:
/// none at all would have a chance of e^-7, one in a thousand.
const EXPECTED_TO_BE_SEEN: f64 = 7.0;

/// Every subject that ever went unseen, in order of first appearance.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct BlindSpotBook {
    pub(crate) tracked: Vec<Tracked>,
    /// Appearances of subjects that there was no room for.
    pub(crate) overflow: u64,
}

/// One subject.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Tracked {
    pub(crate) subject: Subject,
    against: Process,
    /// The candidate's counts, and the active environment's, since the rollout's first observation.
    pub(crate) candidate: Counts,
    pub(crate) active: Counts,
    /// All traces of the candidate when the subject last went unseen.
    candidate_traces_then: u64,
}

impl BlindSpotBook {
    /// Takes one batch's subjects. `candidate_traces` are all of the candidate's traces so far, this batch included;
    /// `alone` says that the active environment had no traffic in this batch.
    pub(crate) fn observe(
        &mut self,
        spots: &[BlindSpotCount],
        candidate: Environment,
        candidate_traces: u64,
        alone: bool,
        hazard: f64,
    ) {
        for spot in spots {
            match self.tracked.iter().position(|tracked| tracked.subject == spot.subject) {
                Some(position) => self.tracked[position].observe(spot, candidate, candidate_traces, alone, hazard),
                None if self.tracked.len() < MAX_SUBJECTS => {
                    let mut tracked = Tracked::new(spot.subject.clone());
                    tracked.observe(spot, candidate, candidate_traces, alone, hazard);
                    self.tracked.push(tracked);
                }
                None => self.overflow = self.overflow.saturating_add(1),
            }
        }
    }

    /// ln of sum_j w_j E_j + what is left of the weights, w_j = 1/(j(j+1)): subjects not yet seen have an evidence of
    /// 1.
    pub(crate) fn log_against(&self) -> f64 {
        let left = -libm::log((self.tracked.len() + 1) as f64);
        let weighted = self.tracked.iter().enumerate();
        let weighted = weighted.map(|(position, tracked)| tracked.log_against() + libm::log(weight(position)));
        weighted.fold(left, log_add)
    }

    /// The weight of a subject that is kept.
    pub(crate) fn weight(&self, subject: &Subject) -> f64 {
        let position = self.tracked.iter().position(|tracked| tracked.subject == *subject);
        weight(position.unwrap_or(self.tracked.len()))
    }

    /// Subjects of which nothing comes out of the candidate, although the active environment puts them out.
    pub(crate) fn blind(&self, candidate_traces: u64) -> impl Iterator<Item = &Tracked> {
        self.never_seen(candidate_traces).filter(|tracked| tracked.candidate.traces >= TRACES_TO_BE_BLIND)
    }

    /// The same, and those that were sent too seldom to be called blind.
    pub(crate) fn never_seen(&self, candidate_traces: u64) -> impl Iterator<Item = &Tracked> {
        self.tracked.iter().filter(move |tracked| tracked.is_never_seen(candidate_traces))
    }
}

/// w_j of the subject at this position, from 0.
fn weight(position: usize) -> f64 {
    let j = (position + 1) as f64;
    1.0 / (j * (j + 1.0))
}

impl Tracked {
    fn new(subject: Subject) -> Tracked {
        Tracked {
            subject,
            against: Process::new(PSI.len()),
            candidate: Counts::default(),
            active: Counts::default(),
            candidate_traces_then: 0,
        }
    }

    fn observe(
        &mut self,
        spot: &BlindSpotCount,
        candidate: Environment,
        candidate_traces: u64,
        alone: bool,
        hazard: f64,
    ) {
        let counts = |traces: &PerEnvironment<u64>, unseen: &PerEnvironment<u64>, environment| Counts {
            traces: traces[environment],
            events: unseen[environment],
        };
        let now = counts(&spot.traces, &spot.unseen, candidate);
        let ever = counts(&spot.traces_ever, &spot.unseen_ever, candidate);
        let active_ever = counts(&spot.traces_ever, &spot.unseen_ever, candidate.other());
        if alone {
            // The batches since the last appearance had no unseen trace; leaving their traces out would flatter the
            // alternative, so they are counted here, at once.
            let since = Counts {
                traces: ever.traces.saturating_sub(self.candidate.traces).max(now.traces),
                events: now.events,
            };
            let tolerated = active_ever.share().max(TOLERATED_UNSEEN_ALONE);
            self.against.update(&log_e_alone(since, tolerated, &PSI), hazard);
        } else {
            let active = counts(&spot.traces, &spot.unseen, candidate.other());
            self.against.update(&log_e(&Split { candidate: now, active }, &PSI), hazard);
        }
        self.candidate = ever;
        self.active = active_ever;
        self.candidate_traces_then = candidate_traces;
    }

    /// ln of the evidence that the candidate loses sight of it more often.
    pub(crate) fn log_against(&self) -> f64 {
        self.against.log_evidence()
    }

    /// The subject in words.
    pub(crate) fn words(&self) -> String {
        subject_words(&self.subject)
    }

    fn is_never_seen(&self, candidate_traces: u64) -> bool {
        let nothing = |counts: Counts| counts.traces > 0 && counts.events == counts.traces;
        let since = candidate_traces.saturating_sub(self.candidate_traces_then) as f64;
        let expected = since * self.candidate.traces as f64 / self.candidate_traces_then.max(1) as f64;
        nothing(self.candidate) && !nothing(self.active) && expected < EXPECTED_TO_BE_SEEN
    }
}
