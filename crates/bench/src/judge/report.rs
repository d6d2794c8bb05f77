//! The rows as tables, and as one JSON value each.

use super::nezha::Shown;
use super::{ALPHAS, detections, false_alarms};
use serde_json::json;

/// A median that far from the table's wants an explanation, as a share.
const NOTABLE: f64 = 0.15;

/// What is being run, where a person sees it and no table is spoilt.
pub(super) fn progress(row: &str) {
    eprintln!("… {row}");
}

/// Tables are for people: beside JSON they go where JSON does not.
fn say(json: bool, line: &str) {
    if json { eprintln!("{line}") } else { println!("{line}") }
}

pub(super) fn false_alarms(rows: &[false_alarms::Row], json: bool) {
    say(json, "\nNothing wrong: runs that ever alarm, at alpha 0.05 and 0.01, with 99% upper bounds");
    say(
        json,
        "row                                              runs    0.05     bound   table       0.01     bound   table",
    );
    for row in rows {
        let (bounds, share) = (row.bounds(), |index: usize| row.alarms[index] as f64 / row.runs as f64);
        say(
            json,
            &format!(
                "{:<45} {:>8}  {:>6}  {:>7}   {:<10}  {:>6}  {:>7}   {}{}",
                row.name,
                row.runs,
                percent(share(0)),
                percent(bounds[0]),
                row.table[0],
                percent(share(1)),
                percent(bounds[1]),
                row.table[1],
                if row.is_broken() { "  MORE THAN ALPHA" } else { "" }
            ),
        );
        if json {
            println!(
                "{}",
                json!({
                    "part": "falseAlarms", "row": row.name, "runs": row.runs, "alphas": ALPHAS,
                    "alarms": row.alarms, "upperBounds99": bounds, "table": row.table,
                })
            );
        }
    }
}

pub(super) fn detections(rows: &[detections::Row], json: bool) {
    say(
        json,
        "\nTraces until evidence reaches 100 (alpha 0.01), in total: median / 95% [of them green], beside the table's; then \
         the judge's own, which looks for a late onset as well",
    );
    say(
        json,
        "row                    green     ours              [green]   table             ours/table     judge's own",
    );
    for row in rows {
        let (as_in_table, as_judged) = (&row.as_in_table, &row.as_judged);
        let [median, p95] = [0.5, 0.95].map(|share| row.quantile(&as_in_table.traces, share));
        let [own_median, own_p95] = [0.5, 0.95].map(|share| row.quantile(&as_judged.traces, share));
        let green = row.quantile(&as_in_table.green, 0.5);
        let (ratio, (table, table_p95)) = (row.ratio(), row.table);
        let shown = |figure: Option<u64>| figure.map_or("-".to_owned(), short);
        let notable = ratio.is_none_or(|ratio| (ratio - 1.0).abs() > NOTABLE);
        say(
            json,
            &format!(
                "{:<22} {:>5}   {:>7} /{:>7}  {:<8}  {:>7} /{:>7}   {:>8}{}  {:>7} /{:>7}",
                row.name,
                percent(row.weight),
                shown(median),
                shown(p95),
                format!("[{}]", shown(green)),
                short(table),
                shown(table_p95),
                ratio.map_or("-".to_owned(), |ratio| format!("{ratio:.2}")),
                if notable { " *" } else { "  " },
                shown(own_median),
                shown(own_p95),
            ),
        );
        if json {
            println!(
                "{}",
                json!({
                    "part": "detections", "row": row.name, "weight": row.weight, "runs": row.runs,
                    "ended": as_in_table.traces.len(), "median": median, "p95": p95, "greenMedian": green,
                    "table": { "median": table, "p95": table_p95 }, "ratio": ratio,
                    "asJudged": { "ended": as_judged.traces.len(), "median": own_median, "p95": own_p95 },
                })
            );
        }
    }
    say(json, "* the median is more than 15% from the table's: docs/judge.md says why");
}

pub(super) fn nezha(results: &[Shown], json: bool) {
    for result in results {
        let (bounds, share) = (result.bounds(), |index: usize| result.alarms[index] as f64 / result.splits as f64);
        say(
            json,
            &format!(
                "\n{}: {} traces; of {} random halves {} alarm at 0.05 (99% bound {}), {} at 0.01 ({}){}",
                result.name,
                result.traces,
                result.splits,
                percent(share(0)),
                percent(bounds[0]),
                percent(share(1)),
                percent(bounds[1]),
                if result.is_broken() { "  MORE THAN ALPHA" } else { "" }
            ),
        );
        say(json, "25 ms on every call of one edge, in one half                        alarmed   named it");
        for (edge, runs, alarmed, named) in &result.delays {
            let share = |count: u64| percent(count as f64 / *runs as f64);
            say(json, &format!("{edge:<66} {:>8}   {:>8}", share(*alarmed), share(*named)));
        }
        if json {
            println!(
                "{}",
                json!({
                    "part": "nezha", "row": result.name, "traces": result.traces, "splits": result.splits,
                    "alphas": ALPHAS, "alarms": result.alarms, "upperBounds99": bounds,
                    "delays": result.delays.iter().map(|(edge, runs, alarmed, named)| json!({
                        "edge": edge, "runs": runs, "alarmed": alarmed, "named": named,
                    })).collect::<Vec<_>>(),
                })
            );
        }
    }
}

/// A share as a percentage with two significant digits or so.
fn percent(share: f64) -> String {
    let percent = share * 100.0;
    let decimals = if percent >= 9.95 || percent == 0.0 || percent == percent.round() {
        0
    } else if percent >= 0.995 {
        1
    } else {
        2
    };
    format!("{percent:.decimals$}%")
}

/// A number of traces as the table has it: `2.5k`, `427k`, `1.4M`.
fn short(traces: u64) -> String {
    let (value, unit) = match traces as f64 {
        few if few < 1e3 => (few, ""),
        thousands if thousands < 1e6 => (thousands / 1e3, "k"),
        millions => (millions / 1e6, "M"),
    };
    if value < 9.95 && !unit.is_empty() { format!("{value:.1}{unit}") } else { format!("{value:.0}{unit}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_the_table_has_them() {
        let traces = [2_500, 427_000, 1_400_000, 980, 12_000_000].map(short);
        assert_eq!(traces, ["2.5k", "427k", "1.4M", "980", "12M"]);
        assert_eq!([0.5, 0.01, 0.0375, 0.0063, 0.0].map(percent), ["50%", "1%", "3.8%", "0.63%", "0%"]);
    }
}
