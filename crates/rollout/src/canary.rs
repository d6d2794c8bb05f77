//! What became of the canaries of a rollout, and when that is a redaction leak.
//!
//! The comparison is of each secret by itself, by where it was planted: a value that both environments leave in a URL
//! says nothing against green, and hides nothing of one that green alone leaves in an attribute. Redaction is no matter of
//! chance, so there is no evidence to gather: [`ENOUGH`] canaries of each environment, against a single one that came by
//! an instance that was just starting.

use crate::event::Cause;
use model::{Canary, CanaryFate, CanaryPlace, Environment, Leak, PerEnvironment, Secret, TraceId, UnixMillis};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// So many canaries of green with a secret in clear, and so many of blue without it, are a leak.
pub const ENOUGH: u64 = 2;

/// The canaries of a rollout so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Canaries {
    /// Those that the environment took.
    pub planted: PerEnvironment<u64>,
    /// Of these, those of which spans came out.
    pub out: PerEnvironment<u64>,
    /// The secrets that came out in clear of an environment; each of [`Secret::ALL`] at most once, in their order.
    pub in_clear: Vec<InClear>,
}

/// A secret that came out in clear.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct InClear {
    /// Which.
    pub secret: Secret,
    /// In how many canaries.
    pub canaries: PerEnvironment<u64>,
    /// Where it was found last.
    pub came_out_in: PerEnvironment<Option<CanaryPlace>>,
    /// A canary that shows it, green's where there is one.
    pub example: TraceId,
    /// When the first canary that shows it of green, or of blue if green never did, was planted.
    pub first_seen: UnixMillis,
}

impl Canaries {
    /// Adds one. Sums saturate.
    pub(crate) fn add(&mut self, canary: &Canary) {
        for environment in Environment::BOTH {
            let (taken, leaks): (bool, Option<&[Leak]>) = match &canary.fates[environment] {
                CanaryFate::NotTaken => (false, None),
                CanaryFate::NotOut => (true, None),
                CanaryFate::Out { leaks } => (true, Some(leaks)),
            };
            let add = |sum: &mut u64, one: bool| *sum = sum.saturating_add(u64::from(one));
            add(&mut self.planted[environment], taken);
            add(&mut self.out[environment], leaks.is_some());
            for leak in leaks.unwrap_or_default() {
                self.leaked(environment, leak, canary);
            }
        }
    }

    fn leaked(&mut self, environment: Environment, leak: &Leak, canary: &Canary) {
        let place = match self.in_clear.iter().position(|known| known.secret >= leak.secret) {
            Some(place) if self.in_clear[place].secret == leak.secret => place,
            found => {
                let place = found.unwrap_or(self.in_clear.len());
                let new = InClear {
                    secret: leak.secret,
                    canaries: PerEnvironment::default(),
                    came_out_in: PerEnvironment::default(),
                    example: canary.trace,
                    first_seen: canary.planted_at,
                };
                self.in_clear.insert(place, new);
                place
            }
        };
        let known = &mut self.in_clear[place];
        if environment == Environment::Green && known.canaries.green == 0 {
            (known.example, known.first_seen) = (canary.trace, canary.planted_at);
        }
        known.canaries[environment] = known.canaries[environment].saturating_add(1);
        known.came_out_in[environment] = Some(leak.came_out_in.clone());
    }

    /// Whether green puts a secret out in clear that blue masks.
    pub fn is_leak(&self, secret: &InClear) -> bool {
        secret.canaries.green >= ENOUGH && secret.canaries.blue == 0 && self.out.blue >= ENOUGH
    }

    /// Why to roll back, if green leaks anything.
    pub(crate) fn cause(&self) -> Option<Cause> {
        let leaks: Vec<&InClear> = self.in_clear.iter().filter(|secret| self.is_leak(secret)).collect();
        let first = leaks.first()?;
        let kinds: BTreeSet<_> = leaks.iter().map(|leak| leak.secret.kind).collect();
        let kinds: Vec<&str> = kinds.into_iter().map(|kind| kind.words()).collect();
        let more = match leaks.len() - 1 {
            0 => String::new(),
            1 => ", and 1 other place".to_owned(),
            more => format!(", and {more} other places"),
        };
        let place = first.came_out_in.green.as_ref().map_or_else(String::new, CanaryPlace::words);
        Some(Cause {
            guard: "canary".to_owned(),
            finding: format!(
                "green puts out {} in clear that blue masks: {place}{more}, in {} of {} synthetic traces of green, 0 of {} \
                 of blue",
                all_of(&kinds),
                first.canaries.green,
                self.out.green,
                self.out.blue
            ),
            example_trace: Some(first.example),
            first_seen: Some(first.first_seen),
            reasons: leaks.into_iter().map(|leak| self.words(leak)).collect(),
        })
    }

    /// A secret in clear, in words.
    pub fn words(&self, leak: &InClear) -> String {
        let of = |environment: Environment| {
            let place = leak.came_out_in[environment].as_ref().map(|place| format!(" ({})", place.words()));
            let (canaries, out) = (leak.canaries[environment], self.out[environment]);
            format!("{canaries} of {out} of {environment}{}", place.unwrap_or_default())
        };
        let (kind, planted_in) = (leak.secret.kind.words(), leak.secret.planted_in.words());
        format!("{kind} planted in {planted_in}: in clear in {}, {}", of(Environment::Green), of(Environment::Blue))
    }

    /// How many there were, in words.
    pub fn counts(&self) -> String {
        let of = |counts: &PerEnvironment<u64>| format!("{} of blue, {} of green", counts.blue, counts.green);
        match self.planted == PerEnvironment::default() {
            true => "none planted yet".to_owned(),
            false => format!("{} planted; {} came out", of(&self.planted), of(&self.out)),
        }
    }
}

/// `a`, `a and b`, `a, b and c`.
fn all_of(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}
