//! Whether green has called, really, whatever blue calls.

use crate::dependency::Dependency;
use crate::order::{Duration, FALSE_ALARM, Slower, off_by};
use crate::reasons::{Assessment, Reasons};
use crate::table::{Called, Dependencies};
use model::{BasisPoints, PerEnvironment, UnixMillis};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeMap;

/// What is demanded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Coverage {
    /// What blue called less often is not demanded of green, and told.
    pub at_least: u64,
    /// How much larger green's share of failed calls may be.
    pub more_errors: BasisPoints,
    /// How much slower green's calls may be.
    pub slower: Slower,
    /// Green's names by blue's, where the two call the same by different names (each environment's own database).
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub same: BTreeMap<Dependency, Dependency>,
    /// What green need not call.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub exceptions: Vec<Exception>,
}

/// A dependency that is not looked at, for a while.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Exception {
    /// Which.
    pub dependency: Dependency,
    /// Why it is tolerated, for people.
    pub reason: String,
    /// From then on it counts again.
    pub expires: UnixMillis,
}

/// Decides. The same arguments have the same answer.
pub fn cover(demand: &Coverage, of: PerEnvironment<&Dependencies>, now: UnixMillis) -> Assessment {
    let mut reasons = Reasons::default();
    let demanded: Vec<_> = of.blue.called.iter().filter(|(_, blue)| blue.calls >= demand.at_least).collect();
    // What was never called is the first thing to know, then how the calls went.
    for (dependency, blue) in &demanded {
        let alpha = FALSE_ALARM / (4.0 * demanded.len() as f64);
        let mut found = Reasons::default();
        let name = demand.same.get(*dependency).unwrap_or(*dependency);
        found.add_dependency(dependency, blue, of.green.called.get(name), demand, alpha);
        reasons.take_unless_excepted(found, dependency, demand, now);
    }
    if of.blue.called.is_empty() {
        let words = "no trace shows blue calling anything external, so nobody knows what green must call";
        reasons.unsure.push(format!("{words}; are its spans of the kind CLIENT traced?"));
    }
    for (dependency, blue) in of.blue.called.iter().filter(|(_, blue)| blue.calls < demand.at_least) {
        let calls = blue.calls;
        reasons.notes.push(format!("blue called {dependency} {calls} times only, so that green need not have"));
    }
    reasons.add_bounds(&of);
    let meant: Vec<&Dependency> = demand.same.values().collect();
    for (dependency, green) in &of.green.called {
        if !of.blue.called.contains_key(dependency) && !meant.contains(&dependency) {
            let calls = green.calls;
            reasons.notes.push(format!("green called {dependency} {calls} times, which blue never did"));
        }
    }
    let evidence = json!({ "demand": demand, "blue": of.blue, "green": of.green, "now": now });
    let pass = format!("green called all {} external dependencies that blue calls", demanded.len());
    reasons.assessment(pass, evidence)
}

impl Reasons {
    fn add_dependency(
        &mut self,
        dependency: &Dependency,
        blue: &Called,
        green: Option<&Called>,
        demand: &Coverage,
        alpha: f64,
    ) {
        let of_blue = blue.calls;
        let Some(green) = green.filter(|green| green.calls > 0) else {
            self.unsure.push(format!("green never called {dependency}; blue called it {of_blue} times"));
            return;
        };
        let (example, of_green) = (green.example, green.calls);
        if green.errors == of_green && blue.errors < of_blue {
            let words = format!("all {of_green} calls of {dependency} failed from green, {} of {of_blue}", blue.errors);
            let words = format!("{words} from blue (trace {example})");
            // Once may be once.
            if of_green >= demand.at_least.max(1) { &mut self.fails } else { &mut self.unsure }.push(words);
            return;
        }
        let share = |called: &Called| called.errors as f64 / called.calls as f64;
        let least = share(green) - off_by(of_green, alpha);
        let most = share(blue) + off_by(of_blue, alpha) + demand.more_errors.share();
        if least > most {
            let words = format!("{} of {of_green} calls of {dependency} failed from green", green.errors);
            self.fails.push(format!("{words}, {} of {of_blue} from blue (trace {example})", blue.errors));
        }
        let (Some(blue), Some(green)) = (blue.latency_us.median(alpha), green.latency_us.median(alpha)) else { return };
        let allowed_us = demand.slower.allowed_us(blue.at_most_us);
        if green.at_least_us > allowed_us {
            let words = format!("calls of {dependency} are slow from green alone: their median is {green}");
            let allowed = Duration(allowed_us);
            self.fails.push(format!("{words}, from blue {blue}; {allowed} are allowed at most (trace {example})"));
        }
    }

    /// What is wrong with a dependency becomes a note if that is tolerated.
    fn take_unless_excepted(&mut self, found: Reasons, dependency: &Dependency, demand: &Coverage, now: UnixMillis) {
        let mut all = demand.exceptions.iter().filter(|exception| exception.dependency == *dependency);
        let holds = all.clone().find(|exception| now < exception.expires);
        let Reasons { mut fails, mut unsure, .. } = found;
        if let Some(Exception { reason, .. }) = holds {
            let tolerated = |words: String| format!("{words}; tolerated: {reason}");
            self.notes.extend(fails.into_iter().chain(unsure).map(tolerated));
            return;
        }
        if let Some(Exception { reason, .. }) = all.next() {
            let expired = |words: &mut String| *words += &format!("; the exception for it has expired ({reason})");
            fails.iter_mut().chain(&mut unsure).for_each(expired);
        }
        self.fails.append(&mut fails);
        self.unsure.append(&mut unsure);
    }

    /// What was left out.
    fn add_bounds(&mut self, of: &PerEnvironment<&Dependencies>) {
        let not_kept = of.blue.not_kept;
        if not_kept > 0 {
            let words = format!("{not_kept} calls of blue went to more dependencies than are counted");
            self.unsure.push(words + ", so nobody knows whether green called them");
        }
        for (name, table) in [("blue", of.blue), ("green", of.green)] {
            if table.one_trace_of > 1 {
                self.notes.push(format!("of {name} one trace of {} was looked at", table.one_trace_of));
            }
            if table.unnamed > 0 {
                self.notes.push(format!("{} calls of {name} do not say whom they called", table.unnamed));
            }
        }
    }
}

#[cfg(test)]
mod tests;
