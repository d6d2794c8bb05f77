//! The report: one page of HTML that opens from disk, loads nothing and runs nothing, and prints.
//!
//! What a reader asks first comes first: how it ended, what of it was checked, what happened when, who approved; then gates,
//! drift, verdicts and findings with their numbers, what was not as planned, and which controls the records are for. The last
//! part is every record that is not a measurement.

mod chart;
mod findings;
mod outcome;
mod page;
mod people;
mod supported;
mod timeline;
mod verdicts;

use crate::bundle::Bundle;
use crate::exceptions::exceptions;
use crate::replay::Replayed;
use crate::verify::Verified;
use model::UnixMillis;
use page::Page;
use rollout::Body;

/// How a reader of records says things: the crate that has the clock and the words is not this one.
pub struct Words<'w> {
    /// A record in a line.
    pub record: &'w dyn Fn(&Body) -> String,
    /// A moment.
    pub time: &'w dyn Fn(UnixMillis) -> String,
}

impl Bundle {
    /// The report of a bundle that was verified, and replayed where nothing of it is hidden.
    pub fn report(&self, verified: &Verified, replayed: Option<&Replayed>, words: &Words<'_>) -> String {
        let records = &verified.records;
        let mut page = Page::titled(&format!("Rollout {}", self.rollout));
        outcome::outcome(&mut page, records, words);
        outcome::checked(&mut page, self, verified, replayed, words);
        chart::served(&mut page, records, words);
        timeline::milestones(&mut page, records, words);
        people::approvals(&mut page, records, words);
        people::commands(&mut page, records, words);
        verdicts::gates(&mut page, records, words);
        verdicts::drift(&mut page, self, records, words);
        verdicts::verdicts(&mut page, self, records, words);
        findings::findings(&mut page, replayed, words);
        findings::examples(&mut page, self, records, words);
        self.exceptions(&mut page, verified, words);
        supported::controls(&mut page, records);
        timeline::all(&mut page, records, words);
        page.finished()
    }

    fn exceptions(&self, page: &mut Page, verified: &Verified, words: &Words<'_>) {
        page.heading("Exceptions");
        page.remark("Where it was not as planned, or something was refused, not seen or left out. Each is there to be explained.");
        let exceptions = exceptions(self, &verified.records);
        if exceptions.is_empty() {
            return page.none();
        }
        page.head(&["what", "entry", "when", "in words"]);
        for exception in exceptions {
            let entry = exception.entry.map_or_else(String::new, |entry| entry.to_string());
            let at = exception.at.map_or_else(String::new, |at| (words.time)(at));
            page.row(3, &[exception.kind.name(), &entry, &at, &exception.words]);
        }
        page.end();
    }
}
