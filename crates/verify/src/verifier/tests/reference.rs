//! Random scripts with random faults, counted by a naive model that keeps every call and looks through all of them.

use super::script::{name, span as span_id};
use super::*;
use model::{ArmCounts, Check};
use proptest::prelude::*;
use std::collections::BTreeSet;

const AGE_MS: u64 = CONFIG.linger_ms + CONFIG.horizon_ms;
const FROM_MS: u64 = 5_000;
/// Closed traces are remembered for at least their age; a script ends before the first can be forgotten.
const UNTIL_MS: u64 = FROM_MS + 2 * AGE_MS;

/// The longest that an answer takes: some come after their batch has closed.
const MAX_ANSWER_MS: u64 = 2 * AGE_MS;
/// After this a hand-over without an answer is told.
const UNANSWERED_MS: u64 = 1_000;

const UNANSWERED: Event = Event::Sent(Delivery::Unanswered);

/// A call, and when it is told if that is not at its own time.
#[derive(Clone, Debug)]
struct Told {
    line: Line,
    /// A hand-over whose answer takes long: after how many milliseconds it comes, if it comes at all.
    slow: Option<Option<u64>>,
}

fn told() -> impl Strategy<Value = Told> {
    let answer = proptest::option::weighted(0.8, UNANSWERED_MS..MAX_ANSWER_MS);
    let slow = proptest::option::weighted(0.2, answer);
    (line(), slow).prop_map(|(line, slow)| {
        let is_sent = matches!(line.event, Event::Sent(_));
        Told { line, slow: slow.filter(|_| is_sent) }
    })
}

/// A call of the script and the span's content as it was to come out.
fn line() -> impl Strategy<Value = Line> {
    let event = prop_oneof![
        8 => Just(Event::Sent(Delivery::Acknowledged)),
        1 => Just(Event::Sent(Delivery::Refused)),
        1 => Just(Event::Sent(Delivery::Unknown)),
        9 => Just(Event::Out),
        1 => Just(Event::LeaveOut),
        3 => Just(Event::Advance),
    ];
    // Faults are rare, so that most of what comes out is as it was sent.
    let fault = prop_oneof![6 => Just(0u8), 1 => 1u8..8];
    ((FROM_MS..UNTIL_MS, any::<bool>(), event), (0u8..6, 1u8..5, any::<bool>(), fault)).prop_map(
        |((at_ms, blue, event), (trace, span, is_other, fault))| {
            let environment = if blue { Environment::Blue } else { Environment::Green };
            let mut line = Line::new(at_ms, environment, event);
            (line.trace, line.span) = ((b'a' + trace) as char, span);
            line.id_of = line.trace;
            line.kind = if is_other && span == 1 { 3 } else { 2 };
            line.parent = span / 2;
            line.error = span == 4;
            (line.service, line.operation) = (format!("service {}", span % 2), format!("op {span}"));
            line.keys = vec!["x".to_owned(), "y".to_owned()];
            line.resource = vec![("host.name".to_owned(), "h".to_owned())];
            if event == Event::Out {
                match fault {
                    1 => line.parent = 3,
                    2 => line.keys = vec!["a".to_owned(), "y".to_owned()],
                    3 => line.resource[0].1 = "i".to_owned(),
                    4 => line.keys = vec!["x:v".to_owned(), "y".to_owned()],
                    5 => line.keys = vec!["x".to_owned(), "y:#1".to_owned()],
                    6 => line.at_us.1 = 9,
                    7 => line.state = "rewritten".to_owned(),
                    _ => {}
                }
            }
            line
        },
    )
}

/// One trace in one environment from its first call to the closing of its batch: its calls in order.

#[derive(Clone, Default)]
struct Life {
    calls: Vec<Line>,
}

impl Life {
    /// The hand-overs, each with its answer if that came: what was told before the answer is no other hand-over.
    fn sent(&self) -> impl Iterator<Item = &Line> {
        let mut answered = vec![false; self.calls.len()];
        for (at, answer) in self.calls.iter().enumerate() {
            let Event::Sent(delivery) = answer.event else { continue };
            let same = |(position, waits): &(usize, &Line)| {
                let id = |line: &Line| (line.span, line.kind, line.at_ms);
                waits.event == UNANSWERED && id(waits) == id(answer) && !answered[*position]
            };
            if delivery != Delivery::Unanswered
                && let Some((position, _)) = self.calls[..at].iter().enumerate().find(same)
            {
                answered[position] = true;
            }
        }
        let hand_overs = self.calls.iter().zip(answered).filter(|(_, answered)| !answered).map(|(line, _)| line);
        hand_overs.filter(|line| matches!(line.event, Event::Sent(_)))
    }

    fn outs(&self) -> impl Iterator<Item = &Line> {
        self.calls.iter().filter(|line| line.event == Event::Out)
    }

    /// When it was first handed over; when it was first told of, if it was left out before, or never sent.
    fn first_ms(&self) -> u64 {
        let told = self.calls.iter().find(|line| line.event != Event::Out);
        told.filter(|line| line.event != Event::LeaveOut).unwrap_or(&self.calls[0]).at_ms
    }

    fn due_ms(&self) -> u64 {
        (self.first_ms() / 1_000 + 1) * 1_000 + CONFIG.linger_ms
    }

    fn ids(lines: impl Iterator<Item = impl std::borrow::Borrow<Line>>) -> BTreeSet<(u8, u8)> {
        lines.map(|line| (line.borrow().span, line.borrow().kind)).collect()
    }

    fn of(id: (u8, u8)) -> impl Fn(&&Line) -> bool + Clone {
        move |line| (line.span, line.kind) == id
    }

    /// Adds this trace to the arm of its batch. `false` if nothing of it can be judged.
    fn count(&self, arm: &mut ArmCounts) -> bool {
        let in_time = |line: &&Line| line.at_ms <= self.due_ms();
        let (sent, out) = (Life::ids(self.sent()), Life::ids(self.outs()));
        let judged = Life::ids(self.sent().filter(in_time));
        let mut shown = BTreeSet::new();
        let fabricated = |id: &&(u8, u8)| {
            let first = self.outs().find(Life::of(**id)).unwrap().at_ms;
            first >= AGE_MS && (sent.is_empty() || first <= self.due_ms())
        };
        shown.extend(out.difference(&sent).find(fabricated).map(|_| Check::FabricatedSpan));
        if sent.is_empty() && shown.is_empty() {
            return false;
        }
        let mut slowest_us = Vec::new();
        let mut lost = false;
        for id in &judged {
            let hand_overs: Vec<&Line> = self.sent().filter(Life::of(*id)).collect();
            let outs: Vec<&Line> = self.outs().filter(Life::of(*id)).collect();
            let answers: Vec<_> = hand_overs.iter().filter(|line| in_time(line)).map(|line| line.event).collect();
            let acknowledged = answers.contains(&Event::Sent(Delivery::Acknowledged));
            let failed = answers.iter().any(|answer| *answer != Event::Sent(Delivery::Acknowledged));
            shown.extend(failed.then_some(Check::ExportFailure));
            shown.extend(hand_overs[0].error.then_some(Check::ErrorSpan));
            arm.spans_acknowledged += u64::from(acknowledged);
            arm.spans_out += u64::from(acknowledged && !outs.is_empty());
            if acknowledged && outs.is_empty() {
                shown.insert(Check::LostSpan);
                lost = true;
            }
            if acknowledged && !outs.is_empty() {
                let not_taken = |line: &Line| matches!(line.event, Event::Sent(Delivery::Refused) | UNANSWERED);
                let taken = |line: &&&Line| in_time(line) && !not_taken(line);
                let handed_over_ms = hand_overs.iter().find(taken).unwrap().at_ms;
                slowest_us.push(outs[0].at_ms.saturating_sub(handed_over_ms) * 1_000);
            }
            let Some(first) = outs.first() else { continue };
            if outs.len() > hand_overs.len() && first.at_ms >= AGE_MS {
                shown.insert(Check::DuplicatedSpan);
            }
            let is = |parent: &&(u8, u8)| parent.0 == first.parent;
            if judged.iter().any(|id| is(&id)) && !out.iter().any(|id| is(&id)) {
                shown.insert(Check::Orphan);
            }
            shown.extend((first.parent != hand_overs[0].parent).then_some(Check::Reparented));
            let first_sent = hand_overs[0];
            if first.parent != first_sent.parent && first.parent == 0 && self.roots_out() > 1 {
                shown.insert(Check::ManyRoots);
            }
            if first.parent != first_sent.parent && self.is_own_ancestor(first) {
                shown.insert(Check::Cycle);
            }
            let name = |key: &String| key.split(':').next().unwrap().to_owned();
            let names = |line: &Line| line.keys.iter().map(name).collect::<BTreeSet<String>>();
            shown.extend((!names(first_sent).is_subset(&names(first))).then_some(Check::MissingAttribute));
            shown.extend((!names(first).is_subset(&names(first_sent))).then_some(Check::AddedAttribute));
            shown.extend(first.keys.contains(&"y:#1".to_owned()).then_some(Check::ChangedType));
            shown.extend(first.keys.contains(&"x:v".to_owned()).then_some(Check::ChangedValue));
            shown.extend((first.error != first_sent.error).then_some(Check::ChangedValue));
            shown.extend((first.at_us != first_sent.at_us).then_some(Check::ChangedTime));
            shown.extend((first.state != first_sent.state).then_some(Check::ChangedContext));
            shown.extend((first.resource != hand_overs[0].resource).then_some(Check::ChangedResource));
        }
        arm.traces += 1;
        arm.unfinished += u64::from(lost);
        if let (Some(slowest_us), false) = (slowest_us.iter().max(), lost) {
            crate::record(&mut arm.latency_us, *slowest_us);
        }
        shown.into_iter().for_each(|check| *arm.events.entry(check).or_insert(0) += 1);
        true
    }

    /// The first time that each span came out.
    fn first_outs(&self) -> Vec<&Line> {
        Life::ids(self.outs()).into_iter().filter_map(|id| self.outs().find(Life::of(id))).collect()
    }

    fn roots_out(&self) -> usize {
        self.first_outs().into_iter().filter(|line| line.parent == 0).count()
    }

    fn is_own_ancestor(&self, line: &Line) -> bool {
        let outs = self.first_outs();
        // Spans that share an id have one parent each; a span's parent is the one of its own service, else the first.
        let parent = |of: &Line| {
            let candidates: Vec<&&Line> = outs.iter().filter(|it| it.span == of.parent && of.parent != 0).collect();
            let own = candidates.iter().find(|it| it.service == of.service);
            own.or(candidates.first()).map(|it| **it)
        };
        let mut at = parent(line);
        for _ in 0..=outs.len() {
            match at {
                Some(ancestor) if (ancestor.span, ancestor.kind) == (line.span, line.kind) => return true,
                Some(ancestor) => at = parent(ancestor),
                None => return false,
            }
        }
        false
    }

    /// What came out too late for this batch, and was not sent so far.
    fn residue(&self) -> Vec<Line> {
        let sent = Life::ids(self.sent());
        let waits: Vec<Line> = self.outs().filter(|out| !sent.contains(&(out.span, out.kind))).cloned().collect();
        let late = |id: &(u8, u8)| waits.iter().find(|line| Life::of(*id)(line)).unwrap().at_ms > self.due_ms();
        waits.iter().filter(|line| late(&(line.span, line.kind))).cloned().collect()
    }
}

/// What is known of a trace after its batch was closed.
#[derive(Clone, Default)]
struct Closed {
    waits: Vec<Line>,
    /// When the last of the spans that wait first came out.
    last_ms: Option<u64>,
}

#[derive(Default)]
struct Naive {
    lives: BTreeMap<(Environment, char), Life>,
    closed: BTreeMap<(Environment, char), Closed>,
    counts: BTreeMap<(u64, Environment), (ArmCounts, u64)>,
    /// Of blue's counts those of traces with an odd mark.
    halves: BTreeMap<u64, ArmCounts>,
}

impl Naive {
    fn call(&mut self, line: &Line) {
        let key = (line.environment, line.trace);
        match line.event {
            Event::Advance => self.advance(line.at_ms),
            Event::Missed => {}
            Event::Sent(_) | Event::Out | Event::LeaveOut => match self.closed.get_mut(&key) {
                Some(closed) if matches!(line.event, Event::Sent(_)) => {
                    closed.waits.retain(|waits| (waits.span, waits.kind) != (line.span, line.kind));
                }
                Some(closed) if line.event == Event::LeaveOut => closed.waits.clear(),
                Some(_) => {}
                None => self.lives.entry(key).or_default().calls.push(line.clone()),
            },
        }
    }

    fn advance(&mut self, now_ms: u64) {
        let is_due = |at_ms: u64| (at_ms / 1_000 + 1) * 1_000 + AGE_MS <= now_ms;
        for (key, life) in self.lives.clone() {
            if !is_due(life.first_ms()) {
                continue;
            }
            self.lives.remove(&key);
            let (arm, left_out) = self.counts.entry((life.first_ms() / 1_000, key.0)).or_default();
            let is_left_out = life.calls.iter().any(|line| line.event == Event::LeaveOut);
            let first = life.calls.iter().find(|line| line.event != Event::Out);
            let is_assigned = first.is_some_and(|line| line.event != Event::LeaveOut);
            arm.assigned += u64::from(is_assigned && life.first_ms() / 1_000 * 1_000 >= AGE_MS);
            let is_judged = !is_left_out && life.count(arm);
            *left_out += u64::from(!is_judged);
            if is_judged && is_odd_blue(key) {
                life.count(self.halves.entry(life.first_ms() / 1_000).or_default());
            }
            let waits = if is_judged && life.sent().next().is_some() { life.residue() } else { Vec::new() };
            let first_ms = |id| waits.iter().find(Life::of(id)).unwrap().at_ms;
            let last_ms = Life::ids(waits.iter()).into_iter().map(first_ms).max();
            self.closed.insert(key, Closed { waits, last_ms });
        }
        for (key, closed) in &mut self.closed {
            let Some(last_ms) = closed.last_ms.take_if(|last_ms| is_due(*last_ms)) else { continue };
            if closed.waits.is_empty() {
                continue;
            }
            let mut fabricated = ArmCounts { traces: 1, ..ArmCounts::default() };
            fabricated.events.insert(Check::FabricatedSpan, 1);
            self.counts.entry((last_ms / 1_000, key.0)).or_default().0.add(&fabricated);
            if is_odd_blue(*key) {
                self.halves.entry(last_ms / 1_000).or_default().add(&fabricated);
            }
        }
    }
}

fn is_odd_blue((environment, letter): (Environment, char)) -> bool {
    environment == Environment::Blue && CONFIG.route_key.mark(script::trace(letter)) % 2 == 1
}

/// In the order in which they are told but for some neighbours, and closed at the end.
fn playable(calls: Vec<Told>) -> Vec<Line> {
    let mut told: Vec<(u64, Line)> = Vec::new();
    for Told { line, slow } in calls {
        let Some(answer_ms) = slow else {
            told.push((line.at_ms, line));
            continue;
        };
        told.push((line.at_ms + UNANSWERED_MS, Line { event: UNANSWERED, ..line.clone() }));
        told.extend(answer_ms.map(|answer_ms| (line.at_ms + answer_ms, line)));
    }
    told.sort_by_key(|(told_ms, _)| *told_ms);
    let mut lines: Vec<Line> = told.into_iter().map(|(_, line)| line).collect();
    // An answer is told after what came out meanwhile, but never before what is told while it is waited for.
    let waits = |line: &Line| line.event == UNANSWERED;
    for at in (1..lines.len()).step_by(3) {
        if waits(&lines[at - 1]) || waits(&lines[at]) {
            continue;
        }
        if lines[at].event != Event::Advance && lines[at - 1].event != Event::Advance {
            lines.swap(at - 1, at);
        }
    }
    lines.push(Line::new(UNTIL_MS + 5 * AGE_MS, Environment::Blue, Event::Advance));
    lines
}

fn observe(lines: &[Line]) -> (Vec<Observation>, Verifier) {
    let mut verifier = Verifier::new(CONFIG, UnixMillis(0));
    let observations = lines.iter().flat_map(|line| apply(&mut verifier, line)).collect();
    (observations, verifier)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn counts_agree_with_the_naive_model(calls in proptest::collection::vec(told(), 0..120)) {
        let lines = playable(calls);
        let mut naive = Naive::default();
        lines.iter().for_each(|line| naive.call(line));
        let (observations, verifier) = observe(&lines);
        prop_assert_eq!(verifier.stats().counted_spans, 0);
        for observation in &observations {
            let mut half = observation.blue_half.clone().unwrap();
            half.slowest = None;
            // The naive model does not know what was sent in other traces.
            half.events.remove(&Check::NewDependency);
            prop_assert_eq!(half, naive.halves.remove(&observation.batch).unwrap_or_default());
            for environment in Environment::BOTH {
                let expected = naive.counts.remove(&(observation.batch, environment)).unwrap_or_default();
                let mut arm = observation.arms[environment].clone();
                // The naive model has no order of traces, so it cannot break ties.
                let slowest = arm.slowest.take();
                arm.events.remove(&Check::NewDependency);
                prop_assert_eq!(slowest.is_some(), !arm.latency_us.0.is_empty());
                let found = (arm, observation.left_out[environment]);
                prop_assert_eq!(found, expected, "batch {} of {}", observation.batch, environment);
            }
        }
        prop_assert!(naive.counts.is_empty(), "not observed: {:?}", naive.counts);
    }

    #[test]
    fn findings_add_up_to_events(calls in proptest::collection::vec(told(), 0..120)) {
        let (observations, verifier) = observe(&playable(calls));
        for observation in &observations {
            for (check, environment) in observation.findings.iter().flat_map(|finding| {
                Environment::BOTH.map(|environment| (finding.check, environment))
            }) {
                let arm = &observation.arms[environment];
                let of_check = observation.findings.iter().filter(|finding| finding.check == check);
                let groups: Vec<u64> = of_check.map(|finding| finding.traces[environment]).collect();
                prop_assert!(groups.iter().sum::<u64>() >= arm.events(check));
                prop_assert!(groups.iter().all(|traces| *traces <= arm.events(check)));
                prop_assert!(arm.events(check) <= arm.traces);
            }
            for blind in &observation.blind_spots {
                for environment in Environment::BOTH {
                    prop_assert!(blind.unseen[environment] <= blind.traces[environment]);
                    prop_assert!(blind.traces[environment] <= observation.arms[environment].traces);
                    prop_assert!(blind.unseen[environment] <= blind.unseen_ever[environment]);
                }
            }
            for example in observation.findings.iter().filter_map(|finding| finding.example) {
                let kept = Environment::BOTH.map(|environment| verifier.example(environment, example));
                prop_assert!(kept.iter().flatten().next().is_some(), "{} is kept", name(example));
            }
        }
        let batches: Vec<u64> = observations.iter().map(|observation| observation.batch).collect();
        prop_assert!(batches.is_sorted_by(|a, b| a < b));
    }

    #[test]
    fn the_same_calls_give_the_same_bytes(calls in proptest::collection::vec(told(), 0..120)) {
        let lines = playable(calls);
        prop_assert_eq!(format!("{:?}", observe(&lines).0), format!("{:?}", observe(&lines).0));
    }
}

#[test]
fn ids_of_scripts_are_what_they_look_like() {
    assert_eq!(span_id(0), SpanId::NONE);
}
