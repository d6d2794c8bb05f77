//! Which records support evidence for which control: the one source of the tables of docs/controls.md, of the report and of the
//! OSCAL file. The words are "supports evidence for": a control is a duty of an organisation, and nothing here says that it was
//! met.

mod frameworks;

use crate::kind::Kind;
pub use frameworks::{CONTROLS, Framework};

/// One control, or some that the same records are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Control {
    /// Whose it is.
    pub framework: Framework,
    /// Its number, as the framework has it.
    pub number: &'static str,
    /// The same for OSCAL, one token for each control: lower case, without spaces or brackets. Those of NIST are the ids of its
    /// own catalog; the other frameworks have none, so theirs have the framework before them.
    pub tokens: &'static [&'static str],
    /// What it wants, in a few words.
    pub wants: &'static str,
    /// Which records support evidence for it.
    pub records: &'static [Kind],
    /// What of them, or what besides them; empty where the records say it.
    pub by: &'static str,
    /// What of it is recorded nowhere; empty where nothing was found to be missing.
    pub missing: &'static str,
}

impl Control {
    /// What supports evidence for it, in words.
    pub fn support(&self) -> String {
        let records = match self.records.len() {
            0 => String::new(),
            count if count == Kind::ALL.len() => "all records".to_owned(),
            _ => self.records.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(", "),
        };
        match (records.as_str(), self.by) {
            ("", "") => "nothing".to_owned(),
            (_, "") => records,
            ("", by) => by.to_owned(),
            (_, by) => format!("{records}: {by}"),
        }
    }
}

/// The table of records in docs/controls.md.
pub fn records_markdown() -> String {
    let mut text = "| name | record | says |\n| --- | --- | --- |\n".to_owned();
    for kind in Kind::ALL {
        let bodies: Vec<String> = kind.bodies().iter().map(|body| code(body)).collect();
        text += &format!("| {} | {} | {} |\n", kind.name(), bodies.join(", "), kind.says());
    }
    text
}

/// The tables of controls there, one for each framework.
pub fn controls_markdown() -> String {
    let tables = Framework::ALL.map(|framework| {
        let mut text = format!("## {}\n| control | what it wants | supported by | not recorded |\n", framework.name());
        text += "| --- | --- | --- | --- |\n";
        for control in CONTROLS.iter().filter(|control| control.framework == framework) {
            let Control { number, wants, missing, .. } = control;
            text += &format!("| {number} | {wants} | {} | {missing} |\n", control.support()).replace("|  |", "| |");
        }
        text
    });
    tables.join("\n")
}

/// A body's JSON name as code, and what is said behind it as words.
fn code(body: &str) -> String {
    match body.split_once(" with ") {
        Some((body, with)) => format!("`{body}` with `{with}`"),
        None => format!("`{body}`"),
    }
}

#[cfg(test)]
mod tests;
