//! Reading field by field without stopping at the first mistake. A reader gives `None` exactly when it has noted a
//! mistake, so that a value can be put together by `let (Some(…), …) = …`.

use super::error::{PlanError, PlanErrors, quoted};
use super::raw::Text;
use serde_saphyr::Spanned;

/// Mistakes that are noted at most; whoever has mended these sees the rest.
const MAX_PROBLEMS: usize = 50;

/// What a value should have been.
pub(super) type Expected = String;

/// A place in the plan.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) path: String,
    line: u64,
    column: u64,
}

impl Place {
    /// The top of the file.
    pub(super) fn root<T>(value: &Spanned<T>) -> Place {
        Place { path: String::new(), line: value.referenced.line(), column: value.referenced.column() }
    }

    /// Where the value of a key stands.
    pub(super) fn key<T>(&self, key: &str, value: &Spanned<T>) -> Place {
        Place { path: self.path_to(key), line: value.referenced.line(), column: value.referenced.column() }
    }

    /// Below a key of which only the path is known.
    pub(super) fn child(&self, key: &str) -> Place {
        self.missing(key)
    }

    /// Where an item of this list stands.
    pub(super) fn item<T>(&self, index: usize, value: &Spanned<T>) -> Place {
        let path = format!("{}[{index}]", self.path);
        Place { path, line: value.referenced.line(), column: value.referenced.column() }
    }

    /// Where a key is missing: the beginning of what should hold it.
    pub(super) fn missing(&self, key: &str) -> Place {
        Place { path: self.path_to(key), ..self.clone() }
    }

    fn path_to(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }
}

/// The mistakes found so far.
#[derive(Debug, Default)]
pub(super) struct Problems(Vec<PlanError>);

impl Problems {
    /// Notes a mistake.
    pub(super) fn refuse(&mut self, at: &Place, found: impl Into<String>, expected: impl Into<String>) {
        self.note(at, found.into(), expected.into(), None);
    }

    /// Notes a mistake, with why or what to do.
    pub(super) fn refuse_because(
        &mut self,
        at: &Place,
        found: impl Into<String>,
        expected: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.note(at, found.into(), expected.into(), Some(help.into()));
    }

    fn note(&mut self, at: &Place, found: String, expected: String, help: Option<String>) {
        let Place { path, line, column } = at.clone();
        if self.0.len() < MAX_PROBLEMS {
            self.0.push(PlanError { line: line.max(1), column: column.max(1), path, found, expected, help });
        }
    }

    /// The section under a key that must be there.
    pub(super) fn section<'a, T>(
        &mut self,
        parent: &Place,
        key: &str,
        section: &'a Option<Spanned<T>>,
        expected: &str,
    ) -> Option<(Place, &'a T)> {
        if section.is_none() {
            self.refuse(&parent.missing(key), "nothing", expected);
        }
        section.as_ref().map(|section| (parent.key(key, section), &section.value))
    }

    /// The value of a key that must be there.
    pub(super) fn needed<T>(
        &mut self,
        parent: &Place,
        key: &str,
        text: &Text,
        expected: &str,
        read: impl FnOnce(&str) -> Result<T, Expected>,
    ) -> Option<T> {
        if text.is_none() {
            self.refuse(&parent.missing(key), "nothing", expected);
        }
        self.optional(parent, key, text, read)?
    }

    /// The value of a key, or another if it is not there.
    pub(super) fn or<T>(
        &mut self,
        parent: &Place,
        key: &str,
        text: &Text,
        default: T,
        read: impl FnOnce(&str) -> Result<T, Expected>,
    ) -> Option<T> {
        self.optional(parent, key, text, read).map(|value| value.unwrap_or(default))
    }

    /// The value of a key that may be there.
    pub(super) fn optional<T>(
        &mut self,
        parent: &Place,
        key: &str,
        text: &Text,
        read: impl FnOnce(&str) -> Result<T, Expected>,
    ) -> Option<Option<T>> {
        let Some(text) = text else { return Some(None) };
        match read(&text.value) {
            Ok(value) => Some(Some(value)),
            Err(expected) => {
                self.refuse(&parent.key(key, text), quoted(&text.value), expected);
                None
            }
        }
    }

    /// What was read, if there was no mistake.
    pub(super) fn finish<T>(self, value: Option<T>) -> Result<T, PlanErrors> {
        match PlanErrors::new(self.0) {
            Some(errors) => Err(errors),
            None => Ok(value.expect("a reader that gives None has noted why")),
        }
    }
}

/// A list of so many entries at most, each read by itself.
pub(super) fn list<Raw, T>(
    problems: &mut Problems,
    parent: &Place,
    (key, most): (&str, usize),
    raw: &super::raw::Section<Vec<Spanned<Raw>>>,
    mut read: impl FnMut(&mut Problems, &Place, &Raw) -> Option<T>,
) -> Option<Vec<T>> {
    let Some(section) = raw else { return Some(Vec::new()) };
    let at = parent.key(key, section);
    if section.value.len() > most {
        problems.refuse(&at, format!("{} entries", section.value.len()), format!("at most {most}"));
        return None;
    }
    let entries = section.value.iter().enumerate();
    let read = entries.map(|(index, raw)| read(problems, &at.item(index, raw), &raw.value));
    // Every entry is read, so that each mistake is noted.
    read.collect::<Vec<_>>().into_iter().collect()
}
