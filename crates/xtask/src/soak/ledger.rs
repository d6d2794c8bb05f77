//! What the ledger says of the run's rollouts: when the weight went which way. Pure.

use anyhow::{Context, Result};
use serde_json::Value;

/// From when to when, in Unix milliseconds.
pub type Window = (u64, u64);

/// What the rollouts of a ledger did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Moves {
    /// From when a rollback was ordered until the gateway applied it.
    pub rollbacks: Vec<Window>,
    /// The same of promotions.
    pub promotions: Vec<Window>,
    /// Changes of the weight that were neither.
    pub shifts: u64,
    /// Rollbacks that nobody ordered, with the guard that did.
    pub by_guards: Vec<String>,
    /// How often a rollout was held.
    pub holds: u64,
}

/// If the ledger does not say when a table was applied: later than any gateway takes.
const UNAPPLIED_MS: u64 = 10_000;

/// Reads what `verdigris ledger show --decisions --format json` prints, a JSON value a line.
pub fn moves(lines: &str) -> Result<Moves> {
    let records: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).with_context(|| format!("no record: {line}")))
        .collect::<Result<_>>()?;
    let at = |record: &Value| record["record"]["at"].as_u64().context("a record without a time");
    let decided = |record: &Value, what: &str| {
        Some(record["record"]["body"]["decided"][what].clone()).filter(|value| !value.is_null())
    };
    let mut moves = Moves::default();
    let mut active = Value::Null;
    for (index, record) in records.iter().enumerate() {
        if !record["record"]["body"]["started"].is_null() {
            // Blue is active when a rollout starts.
            active = "blue".into();
        }
        moves.holds += u64::from(decided(record, "held").is_some());
        if let Some(cause) = decided(record, "rollbackOrdered") {
            let guard = cause["guard"].as_str().context("a rollback without a cause")?;
            if guard != "operator" {
                moves.by_guards.push(guard.to_owned());
            }
        }
        let Some(shift) = decided(record, "shiftOrdered") else { continue };
        let from = at(record)?;
        let applied = records[index..].iter().find(|later| {
            decided(later, "shiftObserved").is_some_and(|observed| observed["generation"] == shift["generation"])
        });
        let window = (from, applied.map_or(Ok(from + UNAPPLIED_MS), at)?);
        if shift["pins"] == "tear" {
            moves.rollbacks.push(window);
        } else if shift["active"] != active {
            moves.promotions.push(window);
        } else {
            moves.shifts += 1;
        }
        active = shift["active"].clone();
    }
    Ok(moves)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn line(at: u64, body: Value) -> String {
        json!({ "index": 0, "record": { "at": at, "body": body, "by": "verdigris" } }).to_string() + "\n"
    }

    fn shift(generation: u64, active: &str, weight: u64, pins: &str) -> Value {
        json!({ "generation": generation, "active": active, "weight": weight, "pins": pins })
    }

    #[test]
    fn rollbacks_promotions_and_shifts_are_told_apart() {
        let ordered = |at, shift: Value| line(at, json!({ "decided": { "shiftOrdered": shift } }));
        let observed = |at, shift: Value| line(at, json!({ "decided": { "shiftObserved": shift } }));
        let up = shift(2, "blue", 500, "keep");
        let back = shift(3, "blue", 0, "tear");
        let over = shift(4, "green", 0, "keep");
        let lines = [
            line(1, json!({ "serverStarted": { "version": "0" } })),
            line(2, json!({ "started": { "plan": {} } })),
            ordered(10, up.clone()),
            observed(14, up.clone()),
            line(15, json!({ "happened": "tick" })),
            line(19, json!({ "decided": { "rollbackOrdered": { "guard": "spanLoss", "finding": "" } } })),
            ordered(20, back.clone()),
            observed(25, back),
            line(26, json!({ "decided": { "held": { "notApplied": { "generation": 3 } } } })),
            line(30, json!({ "started": { "plan": {} } })),
            ordered(31, over.clone()),
        ];
        let found = moves(&lines.concat()).unwrap();
        let expected = Moves {
            rollbacks: vec![(20, 25)],
            promotions: vec![(31, 31 + UNAPPLIED_MS)],
            shifts: 1,
            by_guards: vec!["spanLoss".to_owned()],
            holds: 1,
        };
        assert_eq!(found, expected);
        assert_eq!(moves("").unwrap(), Moves::default());
        assert!(moves("no JSON").is_err());
    }
}
