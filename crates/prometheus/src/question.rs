//! One query for all four counters.
//!
//! Asked one by one, a scrape could come in between: events would then be counted that are not in the total yet.
//! Prometheus evaluates one query at one time, and shows it every scrape whole or not at all, so the four are put
//! together into one.

use crate::{LABEL, Part};
use model::PerEnvironment;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, PercentEncode, utf8_percent_encode};
use std::fmt::Write;

/// Where the question is posted to, below the server's URL.
pub const PATH: &str = "/api/v1/query";

/// The plan's queries: PromQL without line ends, each for one number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queries {
    /// The units with an event, so far.
    pub events: PerEnvironment<String>,
    /// All units, so far.
    pub total: PerEnvironment<String>,
}

impl Queries {
    fn of(&self, part: Part) -> &str {
        match part {
            Part::BlueEvents => &self.events.blue,
            Part::BlueTotal => &self.total.blue,
            Part::GreenEvents => &self.events.green,
            Part::GreenTotal => &self.total.green,
        }
    }

    /// The query for all four. Each of the plan's queries has a line of its own, so that a comment in it ends with it,
    /// and so that the line which Prometheus names in a parse error says whose mistake it is ([`part_of_line`]).
    fn promql(&self) -> String {
        let mut promql = String::new();
        for part in Part::ALL {
            let or = if promql.is_empty() { "" } else { " or " };
            write!(promql, "{or}label_replace(\n{}\n, \"{LABEL}\", \"{}\", \"\", \"\")", self.of(part), part.name())
                .expect("a string takes everything");
        }
        promql
    }
}

/// The plan's query that an error on this line of the query for all four means; lines count from 1. Where a query is left
/// open, Prometheus stumbles on the line behind it.
pub(crate) fn part_of_line(line: usize) -> Option<Part> {
    Part::ALL.get((line / 2).checked_sub(1)?).copied()
}

/// The body of the POST: a form (`application/x-www-form-urlencoded`). Prometheus is to give up after `timeout_ms`, for
/// then nobody waits for the answer any more.
pub fn form(queries: &Queries, timeout_ms: u64) -> String {
    format!("timeout={timeout_ms}ms&query={}", escaped(&queries.promql()))
}

/// What stands for itself: letters, digits and `-._~` (RFC 3986, section 2.3).
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

fn escaped(text: &str) -> PercentEncode<'_> {
    utf8_percent_encode(text, UNRESERVED)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queries() -> Queries {
        let text = |what: &str| PerEnvironment::from_fn(|environment| format!("sum({what}{{env=\"{environment}\"}})"));
        Queries { events: text("errors_total"), total: text("requests_total") }
    }

    #[test]
    fn four_queries_are_one() {
        insta::assert_snapshot!(queries().promql());
    }

    #[test]
    fn each_query_is_the_line_that_its_errors_name() {
        let (queries, promql) = (queries(), queries().promql());
        let lines: Vec<&str> = promql.lines().collect();
        for number in 2..=lines.len() {
            let part = part_of_line(number).map(|part| queries.of(part));
            // The even lines are the queries, the odd ones stand behind them.
            let meant = lines[number / 2 * 2 - 1];
            assert_eq!(part, Some(meant), "line {number}");
        }
        assert_eq!([0, 1, 10, usize::MAX].map(part_of_line), [None; 4]);
    }

    #[test]
    fn a_form_keeps_every_byte() {
        assert_eq!(escaped("a{b=~\"5..\"} + é%\n").to_string(), "a%7Bb%3D~%225..%22%7D%20%2B%20%C3%A9%25%0A");
        assert!(
            form(&queries(), 2_000).starts_with("timeout=2000ms&query=label_replace%28%0Asum%28errors_total%7Benv")
        );
    }
}
