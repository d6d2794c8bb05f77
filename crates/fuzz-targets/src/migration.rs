//! What the migration gate reads of databases.

use migration::{Answer, Checks, Comparison, Next, Query, Relation, SchemaCheck, Table, sql};
use model::PerEnvironment;

/// Answers of one side in a row: more than any of these checks has questions for.
const MAX_STEPS: usize = 400;

/// The target `migration`: whatever two databases answer, the comparison ends, and its reasons are bounded and printable. Answers
/// are parted by a form feed, rows by a line's end, texts by a tab; a text of one `~` is NULL. Both sides take them in turn.
pub(crate) fn run(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let query = Query { name: "q".into(), sql: "SELECT 1".into(), relation: Relation::Within { basis_points: 5 } };
    let checks = Checks { tables: vec![Table::new("t")], queries: vec![query], schema: Some(SchemaCheck::default()) };
    let mut comparison = Comparison::new(&checks, [7; 32]).expect("these checks can be");
    let mut answers = text.split('\u{c}').map(answer);
    for _ in 0..MAX_STEPS {
        let Next::Ask(ask) = comparison.next() else { break };
        for question in ask.blue.iter().chain(&ask.green) {
            assert!(!sql::render(question).is_empty());
        }
        let mut take = |is_asked: bool| if is_asked { answers.next() } else { None };
        let (blue, green) = (take(ask.blue.is_some()), take(ask.green.is_some()));
        comparison.take(PerEnvironment { blue, green });
    }
    let Next::Done(assessment) = comparison.next() else { panic!("the comparison does not end") };
    assert!(assessment.reasons.len() <= 32);
    for reason in &assessment.reasons {
        assert!(!reason.is_empty() && reason.len() <= 4_000 && !reason.contains(char::is_control), "{reason:?}");
    }
}

fn answer(text: &str) -> Answer {
    let cell = |text: &str| (text != "~").then(|| text.to_owned());
    Answer { rows: text.lines().map(|row| row.split('\t').map(cell).collect()).collect() }
}
