//! The report: one page of HTML that opens from disk, loads nothing and runs nothing, and prints.

use crate::bundle::Bundle;
use crate::replay::Replayed;
use crate::verify::{Verified, is_measurement};
use model::{Environment, UnixMillis};
use rollout::judge::GuardEvidence;
use rollout::{Body, Decision, Event, GateVerdict, GroupReport, Record, Start};
use std::fmt::Write;

/// How a reader of records says things: the crate that has the clock and the words is not this one.
pub struct Words<'w> {
    /// A record in a line.
    pub record: &'w dyn Fn(&Body) -> String,
    /// A moment.
    pub time: &'w dyn Fn(UnixMillis) -> String,
}

const STYLE: &str = "\
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem;color:#1b1f24;background:#fff}
h1{font-size:1.6rem;margin:0}h2{font-size:1.15rem;margin:2rem 0 .5rem;border-bottom:1px solid #d0d7de}
table{border-collapse:collapse;width:100%}th,td{text-align:left;vertical-align:top;padding:.25rem .6rem .25rem 0;border-bottom:1px solid #eaeef2}
th{font-weight:600}td.n{white-space:nowrap;font-variant-numeric:tabular-nums}code{font:13px ui-monospace,monospace;overflow-wrap:anywhere}
.good{color:#116329}.bad{color:#a40e26}.quiet{color:#57606a}
@media(prefers-color-scheme:dark){body{background:#0d1117;color:#e6edf3}h2,th,td{border-color:#30363d}.good{color:#56d364}.bad{color:#ff7b72}.quiet{color:#8b949e}}
@media print{body{margin:0;max-width:none;font-size:11px;color:#000;background:#fff}tr{break-inside:avoid}h2{break-after:avoid}}";

/// Text from anywhere, as it stands in HTML.
struct Escaped<'t>(&'t str);

impl std::fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for character in self.0.chars() {
            match character {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                control if control.is_control() => f.write_char('\u{fffd}')?,
                other => f.write_char(other)?,
            }
        }
        Ok(())
    }
}

/// A page under construction. Writing to a string cannot fail.
struct Page(String);

impl Page {
    fn heading(&mut self, text: &str) {
        let _ = writeln!(self.0, "<h2>{}</h2>", Escaped(text));
    }

    fn head(&mut self, columns: &[&str]) {
        let cells: String =
            columns.iter().map(|column| format!("<th scope=\"col\">{}</th>", Escaped(column))).collect();
        let _ = writeln!(self.0, "<table><thead><tr>{cells}</tr></thead><tbody>");
    }

    /// A row of text; those columns before `text_from` are numbers and moments, and are not broken.
    fn row(&mut self, text_from: usize, cells: &[&str]) {
        let cells = cells.iter().enumerate().map(|(at, cell)| {
            let class = if at < text_from { " class=\"n\"" } else { "" };
            format!("<td{class}>{}</td>", Escaped(cell))
        });
        let _ = writeln!(self.0, "<tr>{}</tr>", cells.collect::<String>());
    }

    fn none(&mut self) {
        self.0.push_str("<p class=\"quiet\">None.</p>\n");
    }

    fn end(&mut self) {
        self.0.push_str("</tbody></table>\n");
    }
}

impl Bundle {
    /// The report of a bundle that was verified, and replayed where nothing of it is hidden.
    pub fn report(&self, verified: &Verified, replayed: Option<&Replayed>, words: &Words<'_>) -> String {
        let started = verified.records.iter().find_map(|(_, record)| match &record.body {
            Body::Started(start) => Some((&**start, record.at)),
            _ => None,
        });
        let title = format!("Rollout {}", self.rollout);
        let mut page = Page(format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
             content=\"width=device-width\"><title>{0}</title><style>{STYLE}</style></head><body>\n<h1>{0}</h1>\n",
            Escaped(&title)
        ));
        self.outcome(&mut page, verified, started, words);
        self.checked(&mut page, verified, replayed);
        people(&mut page, verified, words);
        gates(&mut page, verified, words);
        verdict(&mut page, verified, words);
        if let Some(replayed) = replayed {
            findings(&mut page, replayed, words);
        }
        timeline(&mut page, verified, words);
        page.0.push_str("</body></html>\n");
        page.0
    }

    fn outcome(&self, page: &mut Page, verified: &Verified, started: Option<(&Start, UnixMillis)>, words: &Words<'_>) {
        let ended = verified.records.iter().rev().find_map(|(_, record)| match &record.body {
            Body::Decided(decision) => match &**decision {
                Decision::Ended(rollout::Outcome::Promoted) => Some(("good", "promoted".to_owned(), record.at)),
                Decision::Ended(rollout::Outcome::RolledBack(cause)) => {
                    Some(("bad", format!("rolled back: {}: {}", cause.guard, cause.finding), record.at))
                }
                _ => None,
            },
            _ => None,
        });
        let (class, outcome) = match &ended {
            Some((class, outcome, at)) => (*class, format!("{outcome}, {}", (words.time)(*at))),
            None => ("quiet", "it had not ended when the bundle was made".to_owned()),
        };
        let _ = writeln!(page.0, "<p class=\"{class}\"><strong>{}</strong></p>", Escaped(&outcome));
        page.0.push_str("<table><tbody>\n");
        if let Some((start, at)) = started {
            let [blue, green] = [Environment::Blue, Environment::Green].map(|it| &start.plan.environments[it].version);
            page.row(1, &["plan", &format!("{}: blue {blue}, green {green}", start.plan.name)]);
            page.row(1, &["its digest", &start.plan_digest]);
            page.row(1, &["started", &format!("by {}, {}", start.by.name, (words.time)(at))]);
            page.row(1, &["decided by", &format!("verdigris {}", start.program)]);
        }
        page.end();
    }

    fn checked(&self, page: &mut Page, verified: &Verified, replayed: Option<&Replayed>) {
        page.heading("What was checked");
        page.head(&["what", "result"]);
        let checkpoint = &verified.checkpoint;
        let signed = format!("of {}, {} entries, root {}", checkpoint.origin(), checkpoint.size(), checkpoint.root());
        page.row(1, &["signed checkpoint", &signed]);
        let sequence = verified.sequence;
        let entries = format!(
            "{} entries, each proved to be in the ledger: {} of the rollout shown, {} hidden, {} of the server; none missing",
            self.entries.len(),
            sequence.shown,
            sequence.hidden,
            sequence.of_server
        );
        page.row(1, &["records", &entries]);
        let evidence = match verified.missing_evidence.len() {
            0 => format!("{} blobs, each with the digest that a record states; none missing", self.evidence.len()),
            missing => format!(
                "{} blobs, each with the digest that a record states; {missing} that records name are not in the bundle",
                self.evidence.len()
            ),
        };
        page.row(1, &["evidence", &evidence]);
        let decisions = match replayed {
            Some(replayed) => format!(
                "{} made again from the records, all the same; the judge of {} verdicts asked again, the same",
                replayed.decisions, replayed.judged_again
            ),
            None => "not made again".to_owned(),
        };
        page.row(1, &["decisions", &decisions]);
        page.end();
    }
}

/// What people asked for, and what became of it: the decision that follows.
fn people(page: &mut Page, verified: &Verified, words: &Words<'_>) {
    let records = &verified.records;
    let asked = records.iter().enumerate().filter(|(_, (_, record))| match &record.body {
        Body::Happened(event) => matches!(**event, Event::Commanded { .. }),
        _ => false,
    });
    page.heading("Who asked for what");
    if asked.clone().next().is_none() {
        return page.none();
    }
    page.head(&["when", "who", "what", "what was decided"]);
    for (at, (_, record)) in asked {
        let decided = records[at + 1..].iter().take_while(|(_, next)| matches!(next.body, Body::Decided(_)));
        let decided: Vec<String> = decided.map(|(_, next)| (words.record)(&next.body).trim().to_owned()).collect();
        let (time, what) = ((words.time)(record.at), (words.record)(&record.body));
        page.row(1, &[&time, &record.by, &what, &decided.join("; ")]);
    }
    page.end();
}

fn gates(page: &mut Page, verified: &Verified, words: &Words<'_>) {
    let finished = verified.records.iter().filter_map(|(_, record)| match &record.body {
        Body::Happened(event) => match &**event {
            Event::GateFinished { gate, run, result } => Some((record, gate, run, result)),
            _ => None,
        },
        _ => None,
    });
    page.heading("Gates");
    if finished.clone().next().is_none() {
        return page.none();
    }
    page.head(&["when", "gate", "verdict", "reasons"]);
    for (record, gate, run, result) in finished {
        let verdict = match result.verdict {
            GateVerdict::Pass => "Pass",
            GateVerdict::Fail => "Fail",
            GateVerdict::Inconclusive => "Inconclusive",
            GateVerdict::Error => "Error",
        };
        let gate = format!("{gate}, run {run}");
        page.row(1, &[&(words.time)(record.at), &gate, verdict, &result.reasons.join("; ")]);
    }
    page.end();
}

/// The last verdict with its numbers.
fn verdict(page: &mut Page, verified: &Verified, words: &Words<'_>) {
    let judged = verified.records.iter().rev().find_map(|(_, record)| match &record.body {
        Body::Decided(decision) => match &**decision {
            Decision::Judged { assessment, .. } => Some((assessment, record)),
            _ => None,
        },
        _ => None,
    });
    page.heading("The last verdict");
    let Some((assessment, record)) = judged else {
        return page.none();
    };
    let line = format!("{}: {}", (words.time)(record.at), (words.record)(&record.body).trim());
    let _ = writeln!(page.0, "<p>{}</p>", Escaped(&line));
    let traces = &assessment.traces;
    let _ = writeln!(
        page.0,
        "<p>It took {} traces of green and {} of blue. Evidence is a natural logarithm; against green it alarms from {:.1} on \
         for all guards together, where it stood at {:.1}.</p>",
        traces.green, traces.blue, assessment.log_threshold, assessment.log_evidence
    );
    page.head(&["guard", "against green / alarms at", "for green / proved at", "green", "blue", "in words"]);
    for guard in &assessment.guards {
        let GuardEvidence { log_against, log_threshold_against, log_for, log_threshold_for, candidate, active, .. } =
            guard;
        let against = format!("{} / {log_threshold_against:.1}", tenths(*log_against));
        let proof = log_for.map_or("-".to_owned(), |log_for| format!("{} / {log_threshold_for:.1}", tenths(log_for)));
        let [green, blue] = [candidate, active].map(|counts| format!("{} of {}", counts.events, counts.traces));
        page.row(5, &[&guard.name(), &against, &proof, &green, &blue, &guard.words]);
    }
    page.end();
}

/// To a tenth, and nothing is never less than nothing.
fn tenths(number: f64) -> String {
    let text = format!("{number:.1}");
    if text == "-0.0" { "0.0".to_owned() } else { text }
}

fn findings(page: &mut Page, replayed: &Replayed, words: &Words<'_>) {
    page.heading("Findings");
    let state = &replayed.state;
    let found = rollout::report(state, state.heard_at).findings;
    if found.is_empty() {
        return page.none();
    }
    page.head(&["what", "where", "green's traces", "blue's traces", "first", "last", "examples"]);
    for GroupReport { group, .. } in found {
        let key = group.key.as_ref().map_or(String::new(), |key| format!(" ({key})"));
        let place = format!("{} / {}{key}", group.service, group.operation);
        let examples: Vec<String> = group.examples.iter().map(ToString::to_string).collect();
        let [green, blue] = [group.traces.green, group.traces.blue].map(|traces| traces.to_string());
        let [first, last] = [group.first_seen, group.last_seen].map(|at| (words.time)(at));
        page.row(0, &[group.check.words(), &place, &green, &blue, &first, &last, &examples.join(" ")]);
    }
    page.end();
}

fn timeline(page: &mut Page, verified: &Verified, words: &Words<'_>) {
    page.heading("Timeline");
    let measured = verified.records.iter().filter(|(_, record)| is_measurement(record)).count();
    let _ = writeln!(page.0, "<p class=\"quiet\">{measured} observations and measurements are left out here.</p>");
    page.head(&["entry", "when", "who", "what"]);
    for (index, record) in verified.records.iter().filter(|(_, record)| !is_measurement(record)) {
        let Record { at, by, body, .. } = record;
        page.row(2, &[&index.to_string(), &(words.time)(*at), by, (words.record)(body).trim()]);
    }
    page.end();
}
