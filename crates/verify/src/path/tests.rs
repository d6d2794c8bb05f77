use super::*;
use crate::keyed::Keyed;
use crate::trace::{Content, Standing, Times};
use crate::vocabulary::{Bounds, Vocabulary};
use model::{SpanId, UnixMillis};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// Parent (the root's is `None`), service, start and duration in microseconds.
type Row = (Option<usize>, &'static str, i32, u32);

struct Shown {
    words: Vocabulary,
    trace: Trace,
}

/// The spans by position; each is an operation of its own, called by its position.
fn trace(rows: &[Row]) -> Shown {
    let keyed = Keyed([3; 16]);
    let mut words = Vocabulary::new(keyed, Bounds::FULL);
    let mut trace = Trace::new(Standing::Assigned, 1, UnixMillis(0), 0);
    let id = |at: usize| SpanId([at as u8 + 1; 8]);
    for (at, (parent, service, start_us, duration_us)) in rows.iter().enumerate() {
        let mut span = Span::new(id(at), 2);
        span.hand_overs = 1;
        span.service = words.name(service);
        span.operation = words.name(&at.to_string());
        span.first = Content { parent: parent.map_or(SpanId::NONE, id), ..Content::default() };
        span.times = Times { start_us: *start_us, duration_us: *duration_us };
        trace.add(span, keyed);
    }
    Shown { words, trace }
}

impl Shown {
    /// By words: the microseconds of an operation on the path; the microseconds and number of a call.
    fn spent(&self) -> BTreeMap<String, (u64, u64)> {
        let mut scratch = Vec::new();
        let tree = ById::new(&self.trace, &mut scratch);
        let mut paths = Paths::default();
        let name = |id| self.words.name_of(id).to_owned();
        let named = |spent: &Spent| {
            let words = match spent.subject {
                SubjectId::Operation { operation, .. } => name(operation),
                SubjectId::Edge { from, to } => format!("{} to {}", name(from), name(to)),
            };
            (words, (spent.time_us, spent.calls))
        };
        paths.spent(&self.trace, &tree, 0).iter().map(named).collect()
    }
}

fn check(rows: &[Row], expected: &[(&str, u64, u64)]) {
    let expected: BTreeMap<_, _> =
        expected.iter().map(|(words, us, calls)| ((*words).to_owned(), (*us, *calls))).collect();
    assert_eq!(trace(rows).spent(), expected);
}

#[test]
fn a_call_is_charged_with_what_the_called_service_does_not_take() {
    check(
        &[(None, "web", 0, 100), (Some(0), "web", 10, 80), (Some(1), "pay", 40, 30)],
        &[("0", 20, 0), ("1", 50, 0), ("2", 30, 0), ("web to pay", 50, 1)],
    );
    // Two calls are one time and two calls.
    check(
        &[
            (None, "web", 0, 100),
            (Some(0), "web", 0, 30),
            (Some(1), "pay", 10, 10),
            (Some(0), "web", 50, 30),
            (Some(3), "pay", 50, 25),
        ],
        &[("0", 40, 0), ("1", 20, 0), ("2", 10, 0), ("3", 5, 0), ("4", 25, 0), ("web to pay", 25, 2)],
    );
}

#[test]
fn nobody_can_say_whom_to_charge_where_a_span_calls_two_services() {
    let spent = trace(&[(None, "web", 0, 100), (Some(0), "pay", 10, 10), (Some(0), "ship", 20, 10)]).spent();
    assert!(spent.keys().all(|words| !words.contains(" to ")), "{spent:?}");
    let spent = trace(&[(None, "web", 0, 100), (Some(0), "pay", 10, 10), (Some(0), "web", 20, 10)]).spent();
    assert!(spent.keys().all(|words| !words.contains(" to ")), "{spent:?}");
}

#[test]
fn the_path_goes_through_the_child_that_was_waited_for() {
    // 1 and 2 run side by side and 2 ends last: 1 was not waited for.
    check(&[(None, "web", 0, 100), (Some(0), "web", 10, 40), (Some(0), "web", 10, 70)], &[("0", 30, 0), ("2", 70, 0)]);
    // One after the other: both were.
    check(
        &[(None, "web", 0, 100), (Some(0), "web", 10, 40), (Some(0), "web", 60, 30)],
        &[("0", 30, 0), ("1", 40, 0), ("2", 30, 0)],
    );
    // What goes on after its parent was waited for no longer than its parent took.
    check(&[(None, "web", 0, 100), (Some(0), "web", 90, 500)], &[("0", 90, 0), ("1", 10, 0)]);
    // What was over before its parent began was not waited for.
    check(&[(None, "web", 50, 100), (Some(0), "web", 0, 20)], &[("0", 100, 0)]);
}

#[test]
fn a_span_without_its_parent_and_one_that_is_its_own_are_on_no_path() {
    let mut shown = trace(&[(None, "web", 0, 100), (Some(9), "web", 10, 40), (Some(2), "web", 0, 50)]);
    assert_eq!(shown.spent(), [("0".to_owned(), (100, 0))].into());
    // What came out and was never sent is nothing that the service took.
    shown.trace.spans[1].first.parent = SpanId([1; 8]);
    shown.trace.spans[1].hand_overs = 0;
    assert_eq!(shown.spent(), [("0".to_owned(), (100, 0))].into());
}

proptest! {
    /// Every microsecond of the root is spent by one operation on the path; a call takes the microseconds of the client's
    /// span in which no child runs.
    #[test]
    fn no_time_is_counted_twice_or_lost(
        rows in prop::collection::vec((0usize..8, 0usize..3, 0i32..200, 0u32..200), 1..12),
    ) {
        let services = ["web", "pay", "ship"];
        let rows: Vec<Row> = rows.iter().enumerate().map(|(at, (parent, service, start, duration))| {
            ((at > 0).then(|| parent % at.max(1)), services[*service], *start, *duration)
        }).collect();
        let spent = trace(&rows).spent();
        let on_path: u64 = spent.iter().filter(|(words, _)| !words.contains(" to ")).map(|(_, (us, _))| us).sum();
        prop_assert_eq!(on_path, u64::from(rows[0].3));

        let mut calls = BTreeMap::<String, (u64, u64)>::new();
        for (at, (_, service, start, duration)) in rows.iter().enumerate() {
            let children: Vec<&Row> = rows.iter().filter(|row| row.0 == Some(at)).collect();
            let Some((_, to, ..)) = children.first() else { continue };
            if to == service || children.iter().any(|child| child.1 != *to) {
                continue;
            }
            let runs = |us: i32, row: &Row| row.2 <= us && us < row.2 + row.3 as i32;
            let alone = (*start..*start + *duration as i32).filter(|us| !children.iter().any(|child| runs(*us, child)));
            let call = calls.entry(format!("{service} to {to}")).or_default();
            call.0 += alone.count() as u64;
            call.1 += 1;
        }
        let found: BTreeMap<_, _> = spent.into_iter().filter(|(words, _)| words.contains(" to ")).collect();
        prop_assert_eq!(found, calls);
    }
}
