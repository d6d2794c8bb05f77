//! Services and calls, bounded, what one environment has and the other does not, and where each service stands in a drawing.
//! Pure.

use model::{Environment, Observation, PerEnvironment, Subject};
use std::collections::{BTreeMap, BTreeSet};
use verify::CallCounts;

/// Calls that are kept: an observation names at most `MAX_TIMED_CALLS` of them, always the same, and blind spots beside.
const MAX_CALLS: usize = 512;
/// Traces of an environment in which a call would have come out by now, if it were as frequent as in the other one, before
/// it is called missing. With 15 of them a call that is not missing is absent by chance with a probability of at most
/// e^-15 = 3.1e-7, so that on a map of 512 calls, each held against both environments, any is marked wrongly with 3e-4. That
/// holds where traces have a call independently of each other; a nightly job's calls are not so.
pub(super) const MIN_EXPECTED: f64 = 15.0;
/// Services that are drawn; those with the least traces are in the table alone.
pub(super) const MAX_DRAWN: usize = 60;

/// What is known of one call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Call {
    /// Traces that have it, as they were sent.
    pub(super) sent: PerEnvironment<u64>,
    /// Traces in which it was sent and of which nothing came out.
    pub(super) unseen: PerEnvironment<u64>,
    /// Traces in which it was timed, as observations add up.
    timed: PerEnvironment<u64>,
}

/// How a call of one environment stands to the other's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// It came out of both.
    Both,
    /// It came out of blue, and green had traces enough to have it.
    Missing,
    /// It came out of green, and blue had traces enough to have it.
    New,
    /// It came out of the other environment alone, and this one had too few traces to say anything.
    TooFew(Environment),
    /// It was sent, and came out of neither.
    NeverOut,
}

impl Mark {
    /// Whether it says that the environments differ, or that a call is lost.
    pub(super) fn differs(self) -> bool {
        match self {
            Mark::Missing | Mark::New | Mark::NeverOut => true,
            Mark::Both | Mark::TooFew(_) => false,
        }
    }
}

impl Call {
    /// Traces in which it came out.
    pub(super) fn out(&self, environment: Environment) -> u64 {
        self.sent[environment].saturating_sub(self.unseen[environment])
    }

    /// `checked` is how many traces of each environment were looked at.
    pub(super) fn mark(&self, checked: &PerEnvironment<u64>) -> Mark {
        let [blue, green] = Environment::BOTH.map(|it| self.out(it));
        // Traces of one environment that would have it, by the share of the other's that do.
        let expected = |of: Environment, out_of_other: u64, other: Environment| {
            checked[of] as f64 * out_of_other as f64 / checked[other].max(out_of_other) as f64
        };
        match (blue > 0, green > 0) {
            (true, true) => Mark::Both,
            (false, false) => Mark::NeverOut,
            (true, false) if expected(Environment::Green, blue, Environment::Blue) >= MIN_EXPECTED => Mark::Missing,
            (false, true) if expected(Environment::Blue, green, Environment::Green) >= MIN_EXPECTED => Mark::New,
            (true, false) => Mark::TooFew(Environment::Green),
            (false, true) => Mark::TooFew(Environment::Blue),
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
    /// Of what verification counted since the rollout began.
    pub(super) fn of(counts: &CallCounts) -> Graph {
        let mut graph = Graph { checked: counts.traces, left_out: counts.left_out as u64, ..Graph::default() };
        for call in &counts.calls {
            graph.count(&Subject::Edge { from: call.from.clone(), to: call.to.clone() }, |known| {
                // Names that did not fit are one name, so that several calls can be one here.
                for it in Environment::BOTH {
                    known.sent[it] = known.sent[it].saturating_add(call.sent[it]);
                    known.unseen[it] = known.unseen[it].saturating_add(call.sent[it].saturating_sub(call.out[it]));
                }
            });
        }
        graph
    }

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
                call.timed.blue = call.timed.blue.saturating_add(blue);
                call.timed.green = call.timed.green.saturating_add(green);
                call.sent = PerEnvironment::from_fn(|it| call.sent[it].max(call.timed[it]));
            });
        }
        for spot in &observation.blind_spots {
            self.count(&spot.subject, |call| {
                // Those since the start only grow, until verification begins anew.
                call.sent = PerEnvironment::from_fn(|it| call.sent[it].max(spot.traces_ever[it]));
                call.unseen = PerEnvironment::from_fn(|it| call.unseen[it].max(spot.unseen_ever[it]));
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
            let traces = call.sent.blue.saturating_add(call.sent.green);
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
            graph.count(&Subject::Edge { from: from.into(), to: to.into() }, |call| call.sent.blue += 1);
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
            graph.count(&Subject::Edge { from: "a".into(), to: number.to_string() }, |call| call.sent.green += 1);
        }
        assert_eq!((graph.calls.len(), graph.left_out), (MAX_CALLS, 3));
        assert_eq!(graph.layers().iter().map(Vec::len).sum::<usize>(), MAX_DRAWN);
    }

    fn check_mark(sent: [u64; 2], unseen: [u64; 2], checked: [u64; 2], expect: Mark) {
        let both = |[blue, green]: [u64; 2]| PerEnvironment { blue, green };
        let call = Call { sent: both(sent), unseen: both(unseen), ..Call::default() };
        assert_eq!(call.mark(&both(checked)), expect, "{call:?} of {checked:?}");
    }

    #[test]
    fn what_one_environment_alone_has_is_missing_once_the_other_had_traces_enough() {
        check_mark([1, 1], [0, 0], [9, 9], Mark::Both);
        // 15 traces of green would have it, and then 14.
        check_mark([100, 0], [0, 0], [1_000, 150], Mark::Missing);
        check_mark([100, 0], [0, 0], [1_000, 149], Mark::TooFew(Environment::Green));
        check_mark([0, 100], [0, 0], [150, 1_000], Mark::New);
        check_mark([0, 100], [0, 0], [149, 1_000], Mark::TooFew(Environment::Blue));
        // What was sent to green and never came out of it is missing like what was never sent there.
        check_mark([100, 100], [0, 100], [1_000, 1_000], Mark::Missing);
        check_mark([100, 3], [0, 3], [1_000, 30], Mark::TooFew(Environment::Green));
        check_mark([10, 10], [10, 10], [50, 50], Mark::NeverOut);
        // Counts that do not fit each other, as those of observations may.
        check_mark([5, 0], [9, 0], [0, 0], Mark::NeverOut);
        check_mark([5, 0], [0, 0], [0, 0], Mark::TooFew(Environment::Green));
    }

    /// A batch told a call's time, and that of it or another one nothing came out.
    #[test]
    fn of_observations_a_call_has_the_counts_since_the_start_where_there_are_any() {
        let both = |blue, green| PerEnvironment { blue, green };
        let edge = |to: &str| Subject::Edge { from: "a".to_owned(), to: to.to_owned() };
        let observation = |ever: u64| {
            let spot = model::BlindSpotCount {
                subject: edge("c"),
                traces: both(1, 1),
                unseen: both(0, 1),
                traces_ever: both(ever, ever),
                unseen_ever: both(0, ever),
                example: None,
            };
            let mut timed = model::ServiceTimes {
                subject: edge("b"),
                time_us: PerEnvironment::default(),
                calls: None,
                slowest: None,
            };
            timed.time_us.blue.0.0.insert(3, 4);
            Observation {
                batch: ever,
                assigned_from: model::UnixMillis(0),
                assigned_until: model::UnixMillis(1),
                arms: PerEnvironment::default(),
                blue_half: None,
                left_out: PerEnvironment::default(),
                findings: Vec::new(),
                blind_spots: vec![spot],
                operations: Vec::new(),
                services: vec![timed],
                omitted: 0,
                verified: model::BasisPoints::ALL,
            }
        };
        let mut graph = Graph::default();
        for ever in [5, 9, 7] {
            graph.add(&observation(ever));
        }
        let of = |to: &str| graph.calls[&("a".to_owned(), to.to_owned())].clone();
        assert_eq!((of("b").sent, of("b").unseen), (both(12, 0), both(0, 0)));
        assert_eq!((of("c").sent, of("c").unseen), (both(9, 9), both(0, 9)));
    }

    #[test]
    fn what_verification_counted_is_drawn_with_what_it_had_no_room_for() {
        let call = |from: &str, to: &str, sent, out| verify::CallCount { from: from.into(), to: to.into(), sent, out };
        let both = |blue, green| PerEnvironment { blue, green };
        let calls = vec![
            call("a", "b", both(9, 8), both(9, 7)),
            call("a", "(other)", both(1, 1), both(1, 1)),
            call("a", "(other)", both(1, 1), both(0, 1)),
        ];
        let graph = Graph::of(&CallCounts { traces: both(20, 30), calls, left_out: 4 });
        let of = |to: &str| graph.calls[&("a".to_owned(), to.to_owned())].clone();
        assert_eq!((graph.checked, graph.left_out), (both(20, 30), 4));
        assert_eq!(of("b"), Call { sent: both(9, 8), unseen: both(0, 1), ..Call::default() });
        assert_eq!(of("(other)"), Call { sent: both(2, 2), unseen: both(1, 0), ..Call::default() });
    }
}
