use super::*;

const LEAST: Least = Least { share: 0.05, count: 1 };
const HORIZON_MS: u64 = 10_000;
const KEY: RouteKey = RouteKey([5; 16]);
/// When a trace that was sent at 0 is settled.
const SETTLED: UnixMillis = UnixMillis(HORIZON_MS + GRACE_MS);

fn learner(change: impl FnOnce(LiveConfig) -> LiveConfig) -> LiveLearner {
    let config = LiveConfig {
        least: LEAST,
        horizon_ms: HORIZON_MS,
        max_spans: 1_600,
        max_bytes: 16 << 20,
        max_rate: u64::MAX,
        key: [9; 16],
    };
    LiveLearner::new(change(config), KEY, UnixMillis(0))
}

fn id(trace: u64) -> TraceId {
    TraceId(u128::from(trace).to_be_bytes())
}

/// Shows a span with one attribute.
fn span<T>(trace: u64, span: u64, key: &str, value: &str, then: impl FnOnce(&SpanFact<'_>) -> T) -> T {
    then(&SpanFact {
        trace: id(trace),
        span: SpanId(span.to_be_bytes()),
        service: "shop",
        attributes: &[(key, value.as_bytes())],
        ..SpanFact::default()
    })
}

impl LiveLearner {
    fn hand_over(&mut self, trace: u64, number: u64, delivery: Delivery, at_ms: u64) {
        span(trace, number, "old", "secret", |fact| self.sent(delivery, UnixMillis(at_ms), fact));
    }

    fn put_out(&mut self, trace: u64, number: u64, at_ms: u64) {
        span(trace, number, "new", "secret", |fact| self.out(UnixMillis(at_ms), fact));
    }

    fn holds_nothing(&self) -> bool {
        self.traces.is_empty() && self.due.is_empty() && (self.spans, self.bytes) == (0, 0)
    }

    /// What is learned, without the introduction.
    fn text(&self) -> String {
        let text = self.learned().to_string();
        text.lines().skip(2).map(str::trim).collect::<Vec<_>>().join("\n")
    }
}

/// What is said of one trace of two spans, in the order that `script` has: `s` and `S` the first and second span are sent,
/// `o` and `O` they come out, `x` the second is refused, `-` views are missed, `!` a copy was dropped, `.` it is due.
fn check(script: &str, expected: Watched) {
    let mut learner = learner(|config| config);
    for step in script.chars() {
        match step {
            's' => learner.hand_over(1, 1, Delivery::Acknowledged, 0),
            'S' => learner.hand_over(1, 2, Delivery::Acknowledged, 0),
            'x' => learner.hand_over(1, 2, Delivery::Refused, 0),
            'o' => learner.put_out(1, 1, 0),
            'O' => learner.put_out(1, 2, 0),
            '-' => learner.missed(UnixMillis(0)),
            '!' => learner.leave_out(id(1), UnixMillis(0)),
            '.' => learner.advance(SETTLED),
            other => panic!("{other}"),
        }
    }
    assert_eq!(learner.watched(), Watched { share: BasisPoints::ALL, ..expected }, "{script}");
    learner.advance(SETTLED);
    assert!(learner.holds_nothing(), "{script}");
}

fn watched(sent: u64, out: u64, compared: u64) -> Watched {
    Watched { sent, out, compared, ..Watched::default() }
}

#[test]
fn sides_meet_in_any_order_and_what_has_not_come_out_yet_is_no_loss() {
    for script in ["sSoO.", "ooOsS.", "sosSOsO.", "xsoSO."] {
        check(script, Watched { traces: 1, ..watched(2, 2, 2) });
    }
    check("sSo", Watched { awaited: 1, ..watched(2, 1, 1) });
    check("sSo.", Watched { traces: 1, lost: 1, ..watched(2, 1, 1) });
    // Nobody knows what becomes of a span that was refused.
    check("sxo.", Watched { traces: 1, ..watched(2, 1, 1) });
    check("x.", watched(1, 0, 0));
    // What was in flight at the beginning came out, and nobody knows that it was sent.
    check("oO.", watched(0, 2, 0));
    check("soO.", Watched { traces: 1, ..watched(1, 2, 1) });
}

#[test]
fn what_was_in_flight_when_views_were_missed_or_a_copy_dropped_is_left_out() {
    check("sSo-.", Watched { left_out: 1, gaps: 1, ..watched(2, 1, 1) });
    // What comes afterwards of it is neither lost nor unsent.
    check("s-SO.", Watched { left_out: 1, gaps: 1, traces: 1, ..watched(2, 1, 1) });
    check("s-SoO.", Watched { left_out: 1, gaps: 1, traces: 1, ..watched(2, 2, 1) });
    check("s!S.", Watched { left_out: 1, ..watched(1, 0, 0) });
    check("!s!o.", Watched { left_out: 1, ..watched(0, 0, 0) });
}

#[test]
fn a_trace_waits_for_the_horizon_after_its_last_span_and_a_moment() {
    let mut learner = learner(|config| config);
    learner.hand_over(1, 1, Delivery::Acknowledged, 0);
    learner.hand_over(1, 2, Delivery::Acknowledged, 5_000);
    learner.advance(UnixMillis(5_000 + SETTLED.0 - 1));
    assert_eq!((learner.watched().traces, learner.watched().awaited), (0, 1));
    learner.put_out(1, 2, 5_000);
    learner.advance(UnixMillis(5_000 + SETTLED.0));
    assert_eq!((learner.watched().traces, learner.watched().lost), (1, 1));
    // One that began after all in flight had settled is whole: what was not sent is known.
    learner.hand_over(2, 1, Delivery::Acknowledged, HORIZON_MS);
    learner.put_out(2, 1, HORIZON_MS);
    learner.put_out(2, 7, HORIZON_MS);
    learner.advance(UnixMillis(HORIZON_MS + SETTLED.0));
    assert_eq!((learner.watched().traces, learner.watched().unsent), (2, 1));
}

#[test]
fn it_learns_what_a_recording_would_say_and_keeps_no_value() {
    let mut learner = learner(|config| config);
    for trace in 1..=20 {
        learner.hand_over(trace, 1, Delivery::Acknowledged, 0);
    }
    let held = format!("{learner:?}");
    let secret = format!("{:?}", b"secret");
    assert!(!held.contains(secret.trim_matches(['[', ']'])), "values are hashed");
    assert!(held.contains("old"), "keys are kept");
    for trace in 1..=15 {
        learner.put_out(trace, 1, 0);
    }
    let renamed = "transformations:
reason: \"learned from 15 spans\"
attributes:
renamed:
\"old\": \"new\"  # 100.0% of the spans that had it: 15 of 15";
    assert_eq!(learner.text(), renamed, "nothing is said yet of what may still come out");
    learner.advance(SETTLED);
    assert_eq!(learner.text(), format!("{renamed}\nsamples: true  # 25.0% of the traces: 5 of 20"));
}

#[test]
fn what_is_empty_stays_so_and_what_differs_differs() {
    let fact = SpanFact { trace_state: "", status: Status { code: 1, message: "why" }, ..SpanFact::default() };
    with_digests(Keyed([1; 16]), &fact, |shown| {
        assert_eq!((shown.trace_state, shown.status.code), ("", 1));
        assert!(shown.status.message.len() == 16 && shown.status.message != "why");
    });
    let events = SpanFact { events: &[b"a", b"b", b"a"], links: &[b"a"], ..SpanFact::default() };
    with_digests(Keyed([1; 16]), &events, |shown| {
        assert!(shown.events[0] == shown.events[2] && shown.events[0] != shown.events[1]);
        assert_eq!(shown.events[0], shown.links[0]);
    });
}

#[test]
fn above_its_bounds_it_looks_at_a_share_of_the_traces_by_hash() {
    for bound in ["spans", "bytes", "traces", "rate"] {
        let mut learner = learner(|config| match bound {
            "bytes" => LiveConfig { max_spans: usize::MAX / 2, max_bytes: 200_000, ..config },
            "rate" => LiveConfig { max_spans: usize::MAX / 2, max_rate: 1_000, ..config },
            _ => config,
        });
        for trace in 1..=5_000 {
            if bound == "traces" {
                learner.leave_out(id(trace), UnixMillis(0));
            } else {
                learner.hand_over(trace, 1, Delivery::Acknowledged, 0);
            }
            learner.advance(UnixMillis(trace / 10));
            let LiveConfig { max_spans, max_bytes, .. } = learner.config;
            assert!(learner.spans + learner.traces.len() <= max_spans && learner.bytes <= max_bytes, "{bound}");
        }
        let ceiling = learner.ceiling();
        assert!(ceiling < u64::MAX && ceiling > 0, "{bound}");
        assert!(learner.traces.keys().all(|trace| KEY.mark(*trace) <= ceiling), "{bound}: whole traces go");
        assert!(learner.traces.len() > 100, "{bound}: the others stay");
        assert!(learner.watched().share < BasisPoints::ALL, "{bound}: and it is said");
        learner.advance(UnixMillis(1_000_000));
        assert!(learner.holds_nothing(), "{bound}");
    }
}

#[test]
fn one_large_trace_is_left_out_and_the_share_stays() {
    let mut learner = learner(|config| config);
    learner.hand_over(2, 1, Delivery::Acknowledged, 0);
    for number in 1..=5_000 {
        learner.hand_over(1, number, Delivery::Acknowledged, 0);
    }
    assert_eq!((learner.ceiling(), learner.spans, learner.traces.len()), (u64::MAX, 1, 2));
    assert_eq!((learner.watched().left_out, learner.watched().awaited), (1, 1));
}

#[test]
fn what_others_stop_showing_is_forgotten_and_another_key_begins_anew() {
    let mut learner = learner(|config| config);
    let all = |learner: &mut LiveLearner| {
        (1..=100).for_each(|trace| learner.hand_over(trace, 1, Delivery::Acknowledged, 0));
        learner.watched().awaited
    };
    assert_eq!(all(&mut learner), 100);
    learner.shown(KEY, u64::MAX / 2, UnixMillis(0));
    let half = learner.watched().awaited;
    assert!((30..70).contains(&half), "{half}");
    assert_eq!(all(&mut learner), half, "nor is it taken when it is told late");
    assert_eq!(learner.watched().share.get(), 5_000);
    let other = RouteKey([6; 16]);
    learner.shown(other, u64::MAX / 2, UnixMillis(0));
    assert_eq!((learner.watched().awaited, learner.watched().left_out), (0, half));
    all(&mut learner);
    assert!(learner.traces.keys().all(|trace| other.mark(*trace) <= u64::MAX / 2));
    // The learner's own share is no less for it.
    assert_eq!(learner.ceiling(), u64::MAX);
    learner.shown(other, u64::MAX, UnixMillis(0));
    assert_eq!(all(&mut learner), 100);
}
