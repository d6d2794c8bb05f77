//! What looks sensitive in what comes out of the pipelines, and when that is a leak of green's.
//!
//! The comparison is of each class at each place by itself. Where blue shows it too, once in the whole rollout, there is no
//! leak: what blue stores is accepted. Where green alone shows it, the question is whether that is chance. If both
//! environments treated the place alike, each of the traces that show it would be one of green's with the share `n_g / n`
//! of the traces that were searched in the same interval; so the product of `n / n_g` over them, which is 0 once blue
//! shows it, is a test martingale (for `k` traces of one interval the hypergeometric chance is at most `(n_g / n)^k`). By
//! Ville's inequality it ever reaches `1 / a` with a chance of `a` at most, however often one looks (Ramdas et al., "Game-theoretic
//! statistics and safe anytime-valid inference", 2023, section 3).

use crate::event::Cause;
use crate::plan::LeakGuard;
use model::{CanaryPlace, Exposure, LeakSearch, MAX_EXPOSURES, PerEnvironment, TraceId, UnixMillis};
use redact::Class;
use serde::{Deserialize, Serialize};

/// The plan's chance of a false alarm is the judge's. This guard has a hundredth of it, on top, over all places together.
const SHARE_OF_FALSE_ALARM: f64 = 0.01;

/// What was found so far.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Leaks {
    /// Traces that were searched.
    pub searched: PerEnvironment<u64>,
    /// Where something was found, in the order in which it was; at most [`MAX_EXPOSURES`].
    pub found: Vec<Found>,
    /// How often a place was left out, because there are more.
    pub beyond: u64,
}

/// A class at a place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Found {
    /// What it looks like.
    pub class: Class,
    /// Where it comes out.
    pub place: CanaryPlace,
    /// In how many traces.
    pub traces: PerEnvironment<u64>,
    /// The natural logarithm of the evidence that green alone does it. It says nothing once blue does.
    pub evidence: f64,
    /// A trace that shows it, green's where there is one.
    pub example: TraceId,
    /// When it was first told of green, or of blue if green never showed it.
    pub first_seen: UnixMillis,
}

impl Leaks {
    /// Adds what a search found. Sums saturate.
    pub(crate) fn add(&mut self, search: &LeakSearch, now: UnixMillis) {
        for (sum, more) in [
            (&mut self.searched.blue, search.searched.blue),
            (&mut self.searched.green, search.searched.green),
            (&mut self.beyond, search.beyond),
        ] {
            *sum = sum.saturating_add(more);
        }
        for exposure in &search.exposures {
            self.exposed(exposure, &search.searched, now);
        }
    }

    fn exposed(&mut self, exposure: &Exposure, searched: &PerEnvironment<u64>, now: UnixMillis) {
        let same = |found: &Found| found.class == exposure.class && found.place == exposure.place;
        let at = match self.found.iter().position(same) {
            Some(at) => at,
            None if self.found.len() >= MAX_EXPOSURES => {
                self.beyond = self.beyond.saturating_add(1);
                return;
            }
            None => {
                self.found.push(Found {
                    class: exposure.class,
                    place: exposure.place.clone(),
                    traces: PerEnvironment::default(),
                    evidence: 0.0,
                    example: exposure.example,
                    first_seen: now,
                });
                self.found.len() - 1
            }
        };
        let found = &mut self.found[at];
        if exposure.traces.green > 0 && found.traces.green == 0 {
            (found.example, found.first_seen) = (exposure.example, now);
        }
        found.traces.blue = found.traces.blue.saturating_add(exposure.traces.blue);
        found.traces.green = found.traces.green.saturating_add(exposure.traces.green);
        found.evidence += evidence(exposure.traces.green, searched);
    }

    /// Whether green puts out what blue does not, beyond chance.
    pub fn is_leak(&self, found: &Found, guard: &LeakGuard, false_alarm: f64, now: UnixMillis) -> bool {
        found.traces.blue == 0 && found.evidence >= needed(false_alarm) && guard.tolerates(&found.place, now).is_none()
    }

    /// Why to roll back, if green leaks anything.
    pub(crate) fn cause(&self, guard: &LeakGuard, false_alarm: f64, now: UnixMillis) -> Option<Cause> {
        let leaks: Vec<&Found> =
            self.found.iter().filter(|found| self.is_leak(found, guard, false_alarm, now)).collect();
        let first = leaks.first()?;
        let more = match leaks.len() - 1 {
            0 => String::new(),
            1 => ", and 1 other place".to_owned(),
            more => format!(", and {more} other places"),
        };
        Some(Cause {
            guard: "leaks".to_owned(),
            finding: format!(
                "green puts out {} in clear that blue does not: {}{more}, in {} traces of the {} searched of green, 0 of {} \
                 of blue",
                first.class.words(),
                first.place.words(),
                first.traces.green,
                self.searched.green,
                self.searched.blue
            ),
            example_trace: Some(first.example),
            first_seen: Some(first.first_seen),
            reasons: leaks.into_iter().map(Found::words).collect(),
        })
    }

    /// How much was searched, in words.
    pub fn counts(&self) -> String {
        let of = format!("{} traces of blue, {} of green searched", self.searched.blue, self.searched.green);
        let green_alone = self.found.iter().filter(|found| found.traces.blue == 0).count();
        match green_alone {
            0 => format!("{of}; nothing in clear that green alone puts out"),
            1 => format!("{of}; 1 place where green alone puts out something in clear"),
            more => format!("{of}; {more} places where green alone puts out something in clear"),
        }
    }
}

impl Found {
    /// In words.
    pub fn words(&self) -> String {
        format!(
            "{} in {}: in {} traces of green, {} of blue",
            self.class.words(),
            self.place.words(),
            self.traces.green,
            self.traces.blue
        )
    }
}

/// What so many traces of green add: nothing where blue was not searched.
fn evidence(traces: u64, searched: &PerEnvironment<u64>) -> f64 {
    let (green, all) = (searched.green, searched.green.saturating_add(searched.blue));
    if green == 0 || searched.blue == 0 {
        return 0.0;
    }
    traces.min(green) as f64 * libm::log(all as f64 / green as f64)
}

/// The evidence at which a place is a leak.
fn needed(false_alarm: f64) -> f64 {
    libm::log(MAX_EXPOSURES as f64 / (SHARE_OF_FALSE_ALARM * false_alarm))
}
