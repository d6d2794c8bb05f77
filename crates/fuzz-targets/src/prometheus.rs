//! Prometheus' answers: what is read is what a reader of any JSON finds at the same places, within the bounds that are
//! promised; what is refused is refused in words that a log and a ledger can hold.

use model::{Counters, MAX_COUNTER, PerEnvironment, Reading};
use serde_json::Value;

/// The statuses of the API, of what stands before it, and of neither.
const STATUSES: [u16; 8] = [200, 400, 422, 503, 302, 401, 404, 999];
/// Three quotations of 160 characters of at most four bytes, and the words around them.
const MAX_WORDS: usize = 2_400;

/// The target: the first byte says which HTTP status, the rest is the body.
pub(crate) fn run(bytes: &[u8]) {
    let Some((choice, body)) = bytes.split_first() else { return };
    let status = STATUSES[usize::from(*choice) % STATUSES.len()];
    match ::prometheus::read(status, body) {
        Ok(reading) => {
            assert_eq!(status, 200, "only a good answer is read");
            let value: Value = serde_json::from_slice(body).expect("what was read is JSON");
            assert_eq!(found(&value), Some(reading), "the numbers that stand there");
            let PerEnvironment { blue, green } = reading.counters;
            for counter in [blue.events, blue.total, green.events, green.total] {
                assert!((0.0..=MAX_COUNTER).contains(&counter), "{counter}");
            }
        }
        Err(error) => {
            let words = error.to_string();
            assert!(!words.is_empty() && words.len() < MAX_WORDS, "{} bytes", words.len());
            assert!(!words.contains(char::is_control), "{words:?}");
        }
    }
}

/// The same by hand: exactly one element for each label.
fn found(value: &Value) -> Option<Reading> {
    let elements = value.pointer("/data/result")?.as_array()?;
    let mut times = Vec::new();
    let mut counter = |label: &str| {
        let labelled = |element: &&Value| element.pointer("/metric/verdigris").and_then(Value::as_str) == Some(label);
        let mut own = elements.iter().filter(labelled);
        let (element, None) = (own.next()?, own.next()) else { return None };
        times.push(element.pointer("/value/0")?.as_f64()?);
        element.pointer("/value/1")?.as_str()?.parse().ok()
    };
    let blue = Counters { events: counter("blueEvents")?, total: counter("blueTotal")? };
    let green = Counters { events: counter("greenEvents")?, total: counter("greenTotal")? };
    let at = times.first().filter(|first| times.iter().all(|time| time == *first))?;
    let at = model::UnixMillis((at * 1_000.0).round() as u64);
    Some(Reading { at, counters: PerEnvironment { blue, green } })
}
