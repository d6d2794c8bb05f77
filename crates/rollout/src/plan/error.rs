//! What is wrong with a plan, and where. Texts of the plan are shortened and made printable before they are quoted: a
//! message goes to terminals and logs.

use super::{MAX_PLAN_BYTES, MAX_PLAN_JSON_BYTES, locate};
use serde::Serialize;
use serde_saphyr::budget::BudgetBreach;
use serde_saphyr::{Error, MessageFormatter, UserMessageFormatter};
use std::fmt;

/// Characters of a plan's text that a message quotes; a SHA-256 digest with its prefix has 71.
const MAX_QUOTED_CHARACTERS: usize = 80;

/// One mistake. Its text is `12:9: spec.strategy.steps[3].setWeight: found 5%, expected more than 10%: …`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(rename_all = "camelCase")]
pub struct PlanError {
    /// Counts from 1.
    pub line: u64,
    /// In characters, counts from 1.
    pub column: u64,
    /// The keys that lead there, `spec.strategy.steps[3].setWeight`; lists count from 0. Empty for the whole file.
    pub path: String,
    /// What stands there.
    pub found: String,
    /// What should.
    pub expected: String,
    /// Why, or what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PlanError { line, column, path, found, expected, help } = self;
        write!(f, "{line}:{column}: ")?;
        if !path.is_empty() {
            write!(f, "{path}: ")?;
        }
        write!(f, "found {found}, expected {expected}")?;
        help.iter().try_for_each(|help| write!(f, ": {help}"))
    }
}

/// Every mistake that was found: at least one, in the order of the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct PlanErrors(Vec<PlanError>);

impl std::error::Error for PlanErrors {}

impl fmt::Display for PlanErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        lines(f, &self.0, "")
    }
}

impl From<PlanError> for PlanErrors {
    fn from(error: PlanError) -> PlanErrors {
        PlanErrors(vec![error])
    }
}

impl PlanErrors {
    /// `None` if there are none.
    pub(super) fn new(mut errors: Vec<PlanError>) -> Option<PlanErrors> {
        errors.sort_by_key(|error| (error.line, error.column));
        (!errors.is_empty()).then_some(PlanErrors(errors))
    }

    /// The mistakes, in the order of the file.
    pub fn errors(&self) -> &[PlanError] {
        &self.0
    }

    /// A line for each mistake, behind the name of the file: `plan.yaml:12:9: …`.
    pub fn display<'a>(&'a self, file: &'a str) -> impl fmt::Display + 'a {
        struct InFile<'a>(&'a [PlanError], &'a str);
        impl fmt::Display for InFile<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                lines(f, self.0, &format!("{}:", self.1))
            }
        }
        InFile(&self.0, file)
    }
}

fn lines(f: &mut fmt::Formatter<'_>, errors: &[PlanError], prefix: &str) -> fmt::Result {
    let mut separator = "";
    errors.iter().try_for_each(|error| {
        write!(f, "{separator}{prefix}{error}")?;
        separator = "\n";
        Ok(())
    })
}

/// A text of the plan as a message may hold it: without control characters, and not too long.
pub(super) fn quoted(text: &str) -> String {
    if text.trim().is_empty() {
        return "an empty text".to_owned();
    }
    let mut quoted: String = text.chars().take(MAX_QUOTED_CHARACTERS).flat_map(printable).collect();
    if text.chars().count() > MAX_QUOTED_CHARACTERS {
        quoted.push('…');
    }
    quoted
}

/// Unprintable characters as their escapes.
fn printable(character: char) -> impl Iterator<Item = char> {
    let escaped = unprintable(character).then(|| character.escape_default());
    let plain = escaped.is_none().then_some(character);
    escaped.into_iter().flatten().chain(plain)
}

/// Control characters, and those that turn the direction of writing and so make a text look like another one.
pub(super) fn unprintable(character: char) -> bool {
    let turns = matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    turns || character.is_control()
}

/// The whole file is too long.
pub(super) fn too_long(bytes: usize) -> PlanError {
    whole_file(format!("{bytes} bytes"), format!("at most {MAX_PLAN_BYTES} bytes (1 MiB)"))
}

/// What the plan says does not fit into a record of the ledger.
pub(super) fn too_long_for_a_record(bytes: usize) -> PlanError {
    let expected = format!("at most {MAX_PLAN_JSON_BYTES}, so that it fits into a record of the ledger");
    whole_file(format!("a plan of {bytes} bytes, comments left out"), expected)
}

fn whole_file(found: String, expected: String) -> PlanError {
    PlanError { line: 1, column: 1, path: String::new(), found, expected, help: None }
}

/// YAML that cannot be read, or that has not the shape of a plan.
pub(super) fn shape(error: &Error, yaml: &str) -> PlanErrors {
    let (line, column) = error.location().map_or((1, 1), |at| (at.line().max(1), at.column().max(1)));
    let Words { found, expected, help } = words(error.without_snippet());
    PlanErrors::from(PlanError { line, column, path: locate::path(yaml, line, column), found, expected, help })
}

struct Words {
    found: String,
    expected: String,
    help: Option<String>,
}

fn words(error: &Error) -> Words {
    let plain = |found: String, expected: String| Words { found, expected, help: None };
    match error {
        Error::AliasError { error, .. } => words(error.without_snippet()),
        Error::SerdeUnknownField { field, expected, .. } => Words {
            found: format!("the unknown key `{}`", quoted(field)),
            expected: if expected.is_empty() { "no keys here".to_owned() } else { one_of(expected) },
            help: unknown_key_help(field, expected),
        },
        Error::DuplicateMappingKey { key, .. } => plain(
            format!("the key `{}` a second time", quoted(key.as_deref().unwrap_or("(not a text)"))),
            "each key once".to_owned(),
        ),
        Error::MultipleDocuments { .. } => {
            plain("a second document".to_owned(), "one: a file describes one rollout".to_owned())
        }
        Error::Eof { .. } => plain("the end of the file".to_owned(), "a plan".to_owned()),
        Error::Budget { breach, .. } => budget(breach),
        Error::Unexpected { expected, .. } => plain("another shape".to_owned(), shape_words(expected)),
        Error::SerdeInvalidType { unexpected, expected, .. }
        | Error::SerdeInvalidValue { unexpected, expected, .. } => plain(quoted(unexpected), shape_words(expected)),
        // The crate's list of errors is open; its own sentence says the rest.
        other => {
            let message = UserMessageFormatter.format_message(other).into_owned();
            plain(format!("YAML that cannot be read ({})", quoted(&message)), "a plan in YAML".to_owned())
        }
    }
}

fn unknown_key_help(field: &str, expected: &[&str]) -> Option<String> {
    nearest(field, expected.iter().copied()).map(|near| format!("did you mean `{near}`?"))
}

fn budget(breach: &BudgetBreach) -> Words {
    let found = match breach {
        BudgetBreach::Documents { .. } => "many documents",
        BudgetBreach::Depth { .. } => "deeper nesting than a plan has",
        _ => "more anchors, aliases, keys or values than a plan has",
    };
    let expected = "at most 20,000 values, 32 levels, and 100 aliases".to_owned();
    Words { found: found.to_owned(), expected, help: Some("write out what an alias repeats".to_owned()) }
}

/// The parser's and serde's names of shapes, in words.
fn shape_words(expected: &str) -> String {
    match expected {
        expected if expected.contains("string") || expected.contains("scalar") => "one value".to_owned(),
        expected if expected.contains("sequence") => "a list (`- …`)".to_owned(),
        expected if expected.contains("mapping") || expected.starts_with("struct") => "keys (`key: value`)".to_owned(),
        expected => expected.to_owned(),
    }
}

/// `a`, `b` or `c`, in backquotes.
pub(super) fn one_of(words: &[&str]) -> String {
    let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    match words.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
        None => String::new(),
    }
}

/// The word that was meant: the nearest one with at most a third of its letters wrong, rounded.
pub(super) fn nearest<'a>(text: &str, words: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    /// The longest key of a plan has 18 letters; a text of 40 is none of them, and the table stays small.
    const MAX_COMPARED_CHARACTERS: usize = 40;
    if text.chars().count() > MAX_COMPARED_CHARACTERS {
        return None;
    }
    let distances = words.map(|word| (edits(&text.to_lowercase(), &word.to_lowercase()), word));
    distances.filter(|(edits, word)| *edits <= (word.len() + 1) / 3).min().map(|(_, word)| word)
}

/// Letters to insert, remove or replace (Levenshtein, one row at a time).
fn edits(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (above, letter) in from.chars().enumerate() {
        let mut diagonal = above;
        row[0] = above + 1;
        for (column, other) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != *other);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[to.len()]
}
