//! Prometheus' instant query API as bytes (`POST /api/v1/query`, HTTP API of Prometheus 2 and 3): one question for the
//! four counters of a metric, and what its answer says.
//!
//! Pure: asking is the business of `gates`. A crate of its own, so that what reads bytes from anybody can be fuzzed
//! without a network stack. An answer that is not exactly four counters is an error with words for a person; nothing is
//! guessed, and no value is taken for another.

mod answer;
mod question;

pub use answer::{AnswerError, read};
pub use question::{PATH, Queries, form};

/// The four counters that a question asks for, in the order of its lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    BlueEvents,
    BlueTotal,
    GreenEvents,
    GreenTotal,
}

impl Part {
    const ALL: [Part; 4] = [Part::BlueEvents, Part::BlueTotal, Part::GreenEvents, Part::GreenTotal];

    /// The value of the label [`LABEL`] that tells the four apart in the answer.
    fn name(self) -> &'static str {
        match self {
            Part::BlueEvents => "blueEvents",
            Part::BlueTotal => "blueTotal",
            Part::GreenEvents => "greenEvents",
            Part::GreenTotal => "greenTotal",
        }
    }

    /// For people.
    fn words(self) -> &'static str {
        match self {
            Part::BlueEvents => "the `events` of blue",
            Part::BlueTotal => "the `total` of blue",
            Part::GreenEvents => "the `events` of green",
            Part::GreenTotal => "the `total` of green",
        }
    }
}

/// The label that each of the four parts is given.
const LABEL: &str = "verdigris";
