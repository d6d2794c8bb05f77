//! Both books side by side: what was acknowledged and did not arrive, what arrived more than once, and which traces were
//! torn, by what.

use super::bitmap::Bitmap;
use super::book::{Attempt, Book, End};
use super::journal::{CHANGED, Record};
use super::numbering::{Part, SPANS_A_TRACE};
use serde::{Deserialize, Serialize};

/// What came to the sinks.
#[derive(Default)]
pub struct Arrivals {
    /// Spans that came at least once.
    pub spans: Bitmap,
    /// How often one came that was there already.
    pub duplicates: u64,
    /// How often one came otherwise than it was sent.
    pub changed: u64,
    /// Requests that were none.
    pub malformed: u64,
    /// A bit for each sink that has spans of the trace, by the trace's number.
    sinks: Vec<u8>,
}

impl Arrivals {
    /// A request came to a sink.
    pub fn take(&mut self, sink: usize, record: &Record) {
        self.malformed += u64::from(record.spans.is_empty());
        for number in &record.spans {
            let span = number & !CHANGED;
            self.changed += u64::from(number & CHANGED != 0);
            self.duplicates += u64::from(!self.spans.insert(span));
            let trace = (span / SPANS_A_TRACE) as usize;
            if trace >= self.sinks.len() {
                self.sinks.resize(trace + 1, 0);
            }
            self.sinks[trace] |= 1 << sink;
        }
    }

    /// Traces that have spans in more than one sink.
    pub fn torn(&self) -> impl Iterator<Item = u64> {
        let torn = self.sinks.iter().enumerate().filter(|(_, sinks)| sinks.count_ones() > 1);
        torn.map(|(trace, _)| trace as u64)
    }
}

/// From when to when, in Unix milliseconds.
pub type Window = (u64, u64);

/// What tears traces, or may.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Disturbances {
    /// From the SIGKILL of the gateway until it took requests again.
    pub kills: Vec<Window>,
    /// From when a rollback was ordered until it was applied.
    pub rollbacks: Vec<Window>,
    /// The same of promotions, which should tear nothing.
    pub promotions: Vec<Window>,
    /// How long a trace stays where it began after its last span.
    pub pin_ms: u64,
}

/// What a trace was torn by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The gateway was killed while the trace was in flight: pins are in memory.
    Kill,
    /// A rollback came while it was in flight.
    Rollback,
    /// No span of it is known to have come for longer than `pin`.
    Expired,
    /// The candidate became active while it was in flight, and none of these: what must not be.
    Promotion,
    /// None of these either: what must not be.
    Shift,
}

/// Why a trace is torn, from the attempts to send its parts.
///
/// An attempt that was answered came to the gateway between its sending and its end; one that was not answered, perhaps.
/// So the gateway may have forgotten the trace if for longer than `pin` no attempt is known to have come.
pub fn cause(attempts: impl Iterator<Item = Attempt>, disturbances: &Disturbances) -> Cause {
    let mut attempts: Vec<Attempt> = attempts.filter(|attempt| attempt.end != End::NotSent).collect();
    attempts.sort_by_key(|attempt| attempt.sent_ms);
    let first = attempts.first().map_or(0, |attempt| attempt.sent_ms);
    let last = attempts.iter().map(|attempt| attempt.ended_ms).max().unwrap_or(0);
    let meets = |windows: &[Window]| windows.iter().any(|(from, to)| *from <= last && first <= *to);
    if meets(&disturbances.kills) {
        return Cause::Kill;
    }
    if meets(&disturbances.rollbacks) {
        return Cause::Rollback;
    }
    let mut touched = first;
    for attempt in attempts.iter().filter(|attempt| attempt.end != End::Lost) {
        if attempt.ended_ms.saturating_sub(touched) > disturbances.pin_ms {
            return Cause::Expired;
        }
        touched = attempt.sent_ms;
    }
    if last.saturating_sub(touched) > disturbances.pin_ms {
        return Cause::Expired;
    }
    if meets(&disturbances.promotions) { Cause::Promotion } else { Cause::Shift }
}

/// What came of it all.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Findings {
    /// Spans that were acknowledged.
    pub acknowledged: u64,
    /// Spans that arrived, acknowledged or not.
    pub arrived: u64,
    /// Spans that were acknowledged and did not arrive.
    pub lost: u64,
    pub duplicates: u64,
    pub changed: u64,
    pub malformed: u64,
    /// Traces.
    pub torn: Torn,
    /// The first few lost spans and traces that a shift or a promotion tore, with their requests' attempts, for people.
    pub examples: Vec<String>,
}

/// Torn traces, by cause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Torn {
    pub by_shifts: u64,
    pub by_promotions: u64,
    pub by_rollbacks: u64,
    pub by_kills: u64,
    pub after_pin: u64,
}

/// Examples of each kind.
const MAX_EXAMPLES: usize = 3;

/// Holds one book against the other.
pub fn audit(book: &Book, arrivals: &Arrivals, disturbances: &Disturbances) -> Findings {
    let mut torn = Torn::default();
    let mut examples = Vec::new();
    let mut lost = 0;
    for span in book.acknowledged.without(&arrivals.spans) {
        if lost < MAX_EXAMPLES as u64 {
            examples.push(format!("lost: span {span} {}", history(book, Part::of_span(span).trace)));
        }
        lost += 1;
    }
    let mut tell = |before: u64, by: &str, trace| {
        if before < MAX_EXAMPLES as u64 {
            examples.push(format!("torn by {by}: {}", history(book, trace)));
        }
    };
    for trace in arrivals.torn() {
        let attempts = book.requests_of(trace).flat_map(|request| request.attempts.iter().copied());
        match cause(attempts, disturbances) {
            Cause::Kill => torn.by_kills += 1,
            Cause::Rollback => torn.by_rollbacks += 1,
            Cause::Expired => torn.after_pin += 1,
            Cause::Promotion => {
                tell(torn.by_promotions, "a promotion", trace);
                torn.by_promotions += 1;
            }
            Cause::Shift => {
                tell(torn.by_shifts, "a shift", trace);
                torn.by_shifts += 1;
            }
        }
    }
    Findings {
        acknowledged: book.acknowledged.len(),
        arrived: arrivals.spans.len(),
        lost,
        duplicates: arrivals.duplicates,
        changed: arrivals.changed,
        malformed: arrivals.malformed,
        torn,
        examples,
    }
}

/// When the parts of a trace were sent, and what became of each attempt.
fn history(book: &Book, trace: u64) -> String {
    let requests = book.requests_of(trace).map(|request| {
        let parts: Vec<u64> = request.parts.iter().filter(|part| part.trace == trace).map(|part| part.part).collect();
        let attempts: Vec<String> = request
            .attempts
            .iter()
            .map(|attempt| format!("{}..{} {:?}", attempt.sent_ms, attempt.ended_ms, attempt.end))
            .collect();
        format!("parts {parts:?} of exporter {}: {}", request.exporter, attempts.join(", "))
    });
    format!("trace {trace}: {}", requests.collect::<Vec<_>>().join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACKNOWLEDGED: End = End::Acknowledged;

    fn check(attempts: &[(u64, u64, End)], expected: Cause) {
        let disturbances = Disturbances {
            kills: vec![(100_000, 102_000)],
            rollbacks: vec![(200_000, 200_100)],
            promotions: vec![(300_000, 300_100)],
            pin_ms: 10_000,
        };
        // The order in which they are found says nothing.
        for backwards in [false, true] {
            let mut attempts: Vec<Attempt> = attempts
                .iter()
                .map(|(sent_ms, ended_ms, end)| Attempt { sent_ms: *sent_ms, ended_ms: *ended_ms, end: *end })
                .collect();
            if backwards {
                attempts.reverse();
            }
            assert_eq!(cause(attempts.into_iter(), &disturbances), expected);
        }
    }

    #[test]
    fn a_trace_that_was_kept_alive_and_undisturbed_was_torn_by_a_shift() {
        check(&[(1_000, 1_010, ACKNOWLEDGED), (2_000, 2_010, ACKNOWLEDGED)], Cause::Shift);
        check(
            &[(1_000, 1_010, ACKNOWLEDGED), (6_000, 6_010, End::Refused), (14_000, 14_010, ACKNOWLEDGED)],
            Cause::Shift,
        );
    }

    #[test]
    fn what_was_in_flight_when_it_happened_was_torn_by_it() {
        check(&[(99_000, 99_010, ACKNOWLEDGED), (103_000, 103_010, ACKNOWLEDGED)], Cause::Kill);
        check(&[(99_000, 99_010, ACKNOWLEDGED), (99_500, 101_000, End::Lost)], Cause::Kill);
        check(&[(199_000, 199_010, ACKNOWLEDGED), (201_000, 201_010, ACKNOWLEDGED)], Cause::Rollback);
        check(&[(299_000, 299_010, ACKNOWLEDGED), (301_000, 301_010, ACKNOWLEDGED)], Cause::Promotion);
        check(&[(201_000, 201_010, ACKNOWLEDGED), (202_000, 202_010, ACKNOWLEDGED)], Cause::Shift);
    }

    #[test]
    fn a_pin_may_run_out_where_nothing_is_known_to_have_come() {
        check(&[(1_000, 1_010, ACKNOWLEDGED), (11_500, 11_510, ACKNOWLEDGED)], Cause::Expired);
        // Perhaps the attempt in between did not come.
        let lost = (6_000, 6_010, End::Lost);
        check(&[(1_000, 1_010, ACKNOWLEDGED), lost, (14_000, 14_010, ACKNOWLEDGED)], Cause::Expired);
        check(&[lost, (17_000, 17_010, ACKNOWLEDGED)], Cause::Expired);
        check(&[(1_000, 1_010, ACKNOWLEDGED), (9_000, 19_000, End::Lost)], Cause::Expired);
        // One that surely did not come is none.
        check(
            &[(1_000, 1_010, End::NotSent), (20_000, 20_010, ACKNOWLEDGED), (21_000, 21_010, ACKNOWLEDGED)],
            Cause::Shift,
        );
    }

    #[test]
    fn lost_doubled_changed_and_torn_are_found() {
        let mut book = Book::default();
        let attempt = Attempt { sent_ms: 10, ended_ms: 20, end: ACKNOWLEDGED };
        let mut sent = |trace, part| {
            let id = book.open(0, vec![Part { trace, part }], 0);
            book.note(id, attempt);
        };
        sent(0, 0);
        sent(1, 0);
        sent(1, 1);
        let mut arrivals = Arrivals::default();
        arrivals.take(0, &Record { at_ms: 1, spans: vec![0, 1, 2, 2, 20, 21, 22 | CHANGED, 23] });
        arrivals.take(1, &Record { at_ms: 2, spans: vec![24, 25, 26, 27, 4] });
        arrivals.take(1, &Record { at_ms: 3, spans: Vec::new() });
        let found = audit(&book, &arrivals, &Disturbances { pin_ms: 10_000, ..Disturbances::default() });
        assert_eq!((found.acknowledged, found.arrived, found.lost), (12, 12, 1));
        assert_eq!((found.duplicates, found.changed, found.malformed), (1, 1, 1));
        // The span 4 of trace 0 was not acknowledged, and tears all the same.
        assert_eq!(found.torn, Torn { by_shifts: 2, ..Torn::default() });
        assert!(found.examples[0].starts_with("lost: span 3 trace 0"), "{:?}", found.examples);
    }
}
