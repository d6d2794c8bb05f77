//! What was found over a whole rollout, grouped, the most telling first.

use crate::record::FindingName;
use crate::state::State;
use judge::{Counts, Effect, naming_rank, share_interval};
use model::{Check, Environment, Finding, PerEnvironment, TraceId, UnixMillis};
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;

/// Traces that a group keeps as examples.
pub const MAX_EXAMPLES: usize = 5;

/// One group of findings: all differences of one kind at one place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Group {
    /// What is wrong.
    pub check: Check,
    /// `service.name` of the spans concerned.
    pub service: String,
    /// The name of the spans concerned.
    pub operation: String,
    /// The attribute's key, or what else the check names.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub key: Option<String>,
    /// Traces that show it.
    pub traces: PerEnvironment<u64>,
    /// Spans that show it.
    pub spans: PerEnvironment<u64>,
    /// When the first of these traces was assigned.
    pub first_seen: UnixMillis,
    /// When the last of these traces was assigned.
    pub last_seen: UnixMillis,
    /// Traces that show it, at most [`MAX_EXAMPLES`], of different batches; green's before blue's.
    pub examples: Vec<TraceId>,
}

/// A group, and how frequent it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GroupReport {
    /// The group.
    pub group: Group,
    /// The share of the environment's traces that show it, with its interval.
    pub share: PerEnvironment<Effect>,
}

impl Group {
    /// What makes it this one, whatever its rank is.
    pub fn name(&self) -> FindingName {
        let Group { check, service, operation, key, .. } = self;
        FindingName { check: *check, service: service.clone(), operation: operation.clone(), key: key.clone() }
    }

    fn of(finding: &Finding) -> Group {
        Group {
            check: finding.check,
            service: finding.service.clone(),
            operation: finding.operation.clone(),
            key: finding.key.clone(),
            traces: finding.traces,
            spans: finding.spans,
            first_seen: finding.first_seen,
            last_seen: finding.last_seen,
            examples: finding.example.into_iter().collect(),
        }
    }

    fn is_of(&self, finding: &Finding) -> bool {
        self.check == finding.check
            && self.service == finding.service
            && self.operation == finding.operation
            && self.key == finding.key
    }

    fn add(&mut self, finding: &Finding) {
        let is_green = finding.traces[Environment::Green] > 0;
        if let Some(example) = finding.example.filter(|example| !self.examples.contains(example)) {
            // An observation's example is of green where green shows it.
            match is_green && self.traces[Environment::Green] == 0 {
                true => self.examples.insert(0, example),
                false => self.examples.push(example),
            }
            self.examples.truncate(MAX_EXAMPLES);
        }
        for environment in Environment::BOTH {
            self.traces[environment] = self.traces[environment].saturating_add(finding.traces[environment]);
            self.spans[environment] = self.spans[environment].saturating_add(finding.spans[environment]);
        }
        self.first_seen = self.first_seen.min(finding.first_seen);
        self.last_seen = self.last_seen.max(finding.last_seen);
    }

    /// By how many traces green shows it more than blue.
    pub fn beyond_blue(&self) -> u64 {
        self.traces[Environment::Green].saturating_sub(self.traces[Environment::Blue])
    }
}

/// The groups of findings of a rollout's observations, ranked as its report ranks them.
pub fn ranked_groups<'f>(findings: impl IntoIterator<Item = &'f [Finding]>) -> Vec<Group> {
    let mut groups = Vec::new();
    findings.into_iter().for_each(|findings| merge(&mut groups, findings));
    ranked(&groups).into_iter().cloned().collect()
}

/// Adds an observation's findings.
pub(crate) fn merge(known: &mut Vec<Group>, new: &[Finding]) {
    for finding in new {
        match known.iter().position(|group| group.is_of(finding)) {
            Some(place) => known[place].add(finding),
            None if known.len() < State::MAX_FINDINGS => known.push(Group::of(finding)),
            None => {}
        }
    }
}

/// The groups, those first that green shows most beyond blue; of about as many traces the check first that explains the
/// others.
pub(crate) fn ranked(groups: &[Group]) -> Vec<&Group> {
    let mut ranked: Vec<&Group> = groups.iter().collect();
    ranked.sort_by_key(|group| {
        let beyond = group.beyond_blue();
        // Consequences of one fault show in about as many traces: within a factor of two their rank decides.
        (Reverse(beyond.checked_ilog2()), naming_rank(group.check), Reverse(beyond), Reverse(group.traces.green))
    });
    ranked
}

/// The groups with their shares, ranked.
pub(crate) fn report(state: &State) -> Vec<GroupReport> {
    let of_traces = state.judge.traces();
    let share = |group: &Group| {
        PerEnvironment::from_fn(|environment| {
            let traces = of_traces[environment].max(group.traces[environment]);
            share_interval(Counts { traces, events: group.traces[environment] })
        })
    };
    ranked(&state.findings).into_iter().map(|group| GroupReport { group: group.clone(), share: share(group) }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(check: Check, green: u64, blue: u64, example: u8) -> Finding {
        let traces = PerEnvironment { blue, green };
        Finding {
            check,
            service: "shop".to_owned(),
            operation: "pay".to_owned(),
            key: None,
            traces,
            spans: traces,
            first_seen: UnixMillis(u64::from(example)),
            last_seen: UnixMillis(u64::from(example)),
            example: Some(TraceId([example; 16])),
        }
    }

    #[test]
    fn a_group_keeps_five_examples_and_greens_come_first() {
        let mut known = Vec::new();
        merge(&mut known, &[finding(Check::LostSpan, 0, 1, 1)]);
        for example in [2, 3, 3, 4, 5, 6, 7] {
            merge(&mut known, &[finding(Check::LostSpan, 1, 0, example)]);
        }
        let [group] = &known[..] else { panic!("{known:?}") };
        assert_eq!(group.examples.iter().map(|trace| trace.0[0]).collect::<Vec<_>>(), [2, 1, 3, 4, 5]);
        assert_eq!((group.traces, group.beyond_blue()), (PerEnvironment { blue: 1, green: 7 }, 6));
        assert_eq!((group.first_seen, group.last_seen), (UnixMillis(1), UnixMillis(7)));
    }

    #[test]
    fn what_explains_comes_before_what_it_explains_and_the_frequent_before_the_rare() {
        let mut known = Vec::new();
        for (check, green) in
            [(Check::Orphan, 90), (Check::LostSpan, 100), (Check::SplitTrace, 99), (Check::ChangedTime, 300)]
        {
            merge(&mut known, &[finding(check, green, 0, 1)]);
        }
        merge(&mut known, &[finding(Check::ErrorSpan, 500, 500, 1)]);
        let order: Vec<Check> = ranked(&known).into_iter().map(|group| group.check).collect();
        let findings = |check, green| [finding(check, green, 0, 1)];
        let (few, many) = (findings(Check::LostSpan, 1), findings(Check::LostSpan, 70));
        let groups = ranked_groups([&findings(Check::Orphan, 69)[..], &few, &many]);
        assert_eq!(
            groups.iter().map(|group| (group.check, group.traces.green)).collect::<Vec<_>>(),
            [(Check::LostSpan, 71), (Check::Orphan, 69)]
        );
        let expected = [Check::ChangedTime, Check::SplitTrace, Check::LostSpan, Check::Orphan, Check::ErrorSpan];
        assert_eq!(order, expected);
    }
}
