//! Which controls the records of this rollout support evidence for.

use super::page::Page;
use crate::controls::{CONTROLS, Control, Framework};
use crate::kind::Kind;
use rollout::Record;

/// Entries that are named by number.
const MAX_ENTRIES: usize = 6;

pub(super) fn controls(page: &mut Page, records: &[(u64, Record)]) {
    page.heading("Controls");
    page.remark(
        "Which records of this rollout support evidence for which control. A control is a duty of an organisation: whether it \
         is met is for an assessor to say.",
    );
    let kinds: Vec<(u64, Kind)> = records.iter().map(|(index, record)| (*index, Kind::of(record))).collect();
    for framework in Framework::ALL {
        page.subheading(framework.name());
        page.head(&["control", "what it wants", "supported by", "entries here", "not recorded"]);
        for control in CONTROLS.iter().filter(|control| control.framework == framework) {
            let Control { number, wants, missing, .. } = control;
            let [wants, support, missing] = [*wants, &control.support(), missing].map(plain);
            page.row(1, &[number, &wants, &support, &entries(control, &kinds), &missing]);
        }
        page.end();
    }
}

fn entries(control: &Control, kinds: &[(u64, Kind)]) -> String {
    let mut here = kinds.iter().filter(|(_, kind)| control.records.contains(kind)).map(|(index, _)| *index);
    let named: Vec<String> = here.by_ref().take(MAX_ENTRIES).map(|index| index.to_string()).collect();
    match (named.len(), here.count()) {
        (0, _) => "none".to_owned(),
        (_, 0) => named.join(", "),
        (_, more) => format!("{} and {more} more", named.join(", ")),
    }
}

/// Without the marks of code, which are for the document.
fn plain(text: &str) -> String {
    text.replace('`', "")
}
