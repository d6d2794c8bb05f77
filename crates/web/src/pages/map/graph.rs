//! Services and calls, bounded, and where each service stands in a drawing. Pure.

use model::{Observation, PerEnvironment, Subject};
use std::collections::{BTreeMap, BTreeSet};

/// Calls that are kept: an observation names at most `MAX_TIMED_CALLS` of them, always the same, and blind spots beside.
const MAX_CALLS: usize = 512;
/// Services that are drawn; those with the least traces are in the table alone.
pub(super) const MAX_DRAWN: usize = 60;

/// What is known of one call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Call {
    /// Traces that have it, as they were sent.
    pub(super) traces: PerEnvironment<u64>,
    /// Traces in which it was sent and of which nothing came out.
    pub(super) unseen: PerEnvironment<u64>,
}

/// Whether both environments have a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Has {
    Both,
    BlueAlone,
    GreenAlone,
    /// Neither is known to: only that it never came out.
    Unseen,
}

impl Call {
    pub(super) fn has(&self) -> Has {
        match (self.traces.blue > 0, self.traces.green > 0) {
            (true, true) => Has::Both,
            (true, false) => Has::BlueAlone,
            (false, true) => Has::GreenAlone,
            (false, false) => Has::Unseen,
        }
    }
}

/// From a caller and a called service.
type Edge = (String, String);

/// All calls.
#[derive(Debug, Default)]
pub(super) struct Graph {
    pub(super) calls: BTreeMap<Edge, Call>,
    /// Calls for which there was no room.
    pub(super) left_out: u64,
    /// Traces that were checked.
    pub(super) checked: PerEnvironment<u64>,
    observations: u64,
}

impl Graph {
    pub(super) fn observations(&self) -> u64 {
        self.observations
    }

    pub(super) fn add(&mut self, observation: &Observation) {
        self.observations += 1;
        self.checked.blue = self.checked.blue.saturating_add(observation.arms.blue.traces);
        self.checked.green = self.checked.green.saturating_add(observation.arms.green.traces);
        for times in &observation.services {
            let (blue, green) = (times.time_us.blue.count(), times.time_us.green.count());
            self.count(&times.subject, |call| {
                call.traces.blue = call.traces.blue.saturating_add(blue);
                call.traces.green = call.traces.green.saturating_add(green);
            });
        }
        for spot in &observation.blind_spots {
            self.count(&spot.subject, |call| {
                call.unseen.blue = call.unseen.blue.saturating_add(spot.unseen.blue);
                call.unseen.green = call.unseen.green.saturating_add(spot.unseen.green);
            });
        }
    }

    fn count(&mut self, subject: &Subject, count: impl FnOnce(&mut Call)) {
        let Subject::Edge { from, to } = subject else { return };
        let edge = (from.clone(), to.clone());
        if !self.calls.contains_key(&edge) && self.calls.len() >= MAX_CALLS {
            self.left_out += 1;
            return;
        }
        count(self.calls.entry(edge).or_default());
    }

    /// Services in columns: each stands right of all that call it, but for calls that lead back. At most [`MAX_DRAWN`].
    pub(super) fn layers(&self) -> Vec<Vec<&str>> {
        let mut weight: BTreeMap<&str, u64> = BTreeMap::new();
        for ((from, to), call) in &self.calls {
            let Call { traces, unseen } = call;
            let traces =
                [traces.blue, traces.green, unseen.blue, unseen.green].into_iter().fold(0, u64::saturating_add);
            for service in [from, to] {
                let sum = weight.entry(service).or_default();
                *sum = sum.saturating_add(traces);
            }
        }
        let mut drawn: Vec<(&str, u64)> = weight.into_iter().collect();
        drawn.sort_by_key(|(name, traces)| (std::cmp::Reverse(*traces), *name));
        drawn.truncate(MAX_DRAWN);
        let drawn: BTreeSet<&str> = drawn.into_iter().map(|(name, _)| name).collect();
        let edges: Vec<(&str, &str)> = self
            .calls
            .keys()
            .map(|(from, to)| (from.as_str(), to.as_str()))
            .filter(|(from, to)| from != to && drawn.contains(from) && drawn.contains(to))
            .collect();
        let mut layers: Vec<Vec<&str>> = Vec::new();
        let mut rest = drawn;
        // Each round places one service at least.
        while !rest.is_empty() {
            let is_called = |name: &str| edges.iter().any(|(from, to)| *to == name && rest.contains(from));
            let mut free: Vec<&str> = rest.iter().copied().filter(|name| !is_called(name)).collect();
            if free.is_empty() {
                // A loop: it begins where it is called least by what is left.
                let calls = |name: &str| edges.iter().filter(|(from, to)| *to == name && rest.contains(from)).count();
                free.extend(rest.iter().copied().min_by_key(|name| (calls(name), *name)));
            }
            rest.retain(|name| !free.contains(name));
            layers.push(free);
        }
        layers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(edges: &str, expect: &str) {
        let mut graph = Graph::default();
        for edge in edges.split_whitespace() {
            let (from, to) = edge.split_once('>').unwrap();
            graph.count(&Subject::Edge { from: from.into(), to: to.into() }, |call| call.traces.blue += 1);
        }
        let layers: Vec<String> = graph.layers().iter().map(|layer| layer.join(" ")).collect();
        assert_eq!(layers.join(" | "), expect, "{edges}");
    }

    #[test]
    fn a_service_stands_right_of_whoever_calls_it() {
        check("a>b b>c a>c", "a | b | c");
        check("a>b x>c b>c", "a x | b | c");
        check("a>b b>a", "a | b");
        check("a>a", "a");
        check("z>a a>b b>a", "z | a | b");
        check("", "");
    }

    #[test]
    fn calls_are_bounded_and_what_is_left_out_is_counted() {
        let mut graph = Graph::default();
        for number in 0..MAX_CALLS + 3 {
            graph.count(&Subject::Edge { from: "a".into(), to: number.to_string() }, |call| call.traces.green += 1);
        }
        assert_eq!((graph.calls.len(), graph.left_out), (MAX_CALLS, 3));
        assert_eq!(graph.layers().iter().map(Vec::len).sum::<usize>(), MAX_DRAWN);
    }

    #[test]
    fn what_one_environment_alone_has_is_told() {
        let call = |blue, green| Call { traces: PerEnvironment { blue, green }, ..Call::default() }.has();
        assert_eq!(
            [call(1, 1), call(1, 0), call(0, 1), call(0, 0)],
            [Has::Both, Has::BlueAlone, Has::GreenAlone, Has::Unseen]
        );
    }
}
