//! YAML events to values: every document of a stream, anchors and aliases, merge keys, duplicate keys refused.
//!
//! An alias is a copy, paid for from the budget before it is made; so expansion ends however often aliases double.

mod scalar;

use super::Budget;
use crate::error::{FileError, Format, Position};
use crate::limits::MAX_DEPTH;
use crate::value::{Raw, Value};
use granit_parser::{Event, Marker, Parser, ScanError, Tag};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// A value that is finished, and what a copy of it costs.
#[derive(Clone)]
struct Finished {
    raw: Raw,
    values: usize,
    bytes: usize,
    /// How many levels it is high: 1 for a scalar.
    height: usize,
}

/// A collection that is not finished.
struct Open {
    kind: Kind,
    anchor: usize,
    tag: Option<String>,
    values: usize,
    bytes: usize,
    height: usize,
}

enum Kind {
    List(Vec<Raw>),
    Map { entries: BTreeMap<String, Raw>, merged: Vec<Raw>, merges: bool, key: Option<Key> },
}

/// A key that waits for its value.
enum Key {
    Name(String),
    Merge,
}

struct Reader<'a> {
    open: Vec<Open>,
    anchors: BTreeMap<usize, Finished>,
    documents: Vec<Raw>,
    budget: &'a mut Budget,
}

pub(super) fn read(text: &str, budget: &mut Budget) -> Result<Vec<Raw>, FileError> {
    // Above our own bound, which then says where.
    let options = granit_parser::options! {
        emit_comments: false,
        flow_nesting_limit: MAX_DEPTH + 1,
        block_nesting_limit: MAX_DEPTH + 1,
    };
    let mut reader = Reader { open: Vec::new(), anchors: BTreeMap::new(), documents: Vec::new(), budget };
    let mut parser = Parser::new_from_str_with_options(text, options);
    while let Some(next) = parser.next_event() {
        let (event, span) = next.map_err(|error| refused(&error))?;
        reader.event(event, position(&span.start))?;
    }
    Ok(reader.documents)
}

fn position(marker: &Marker) -> Position {
    Position { line: marker.line(), column: marker.col() + 1 }
}

/// The parser's own words may hold what it was given by name, so only its kind is used.
fn refused(error: &ScanError) -> FileError {
    use granit_parser::ErrorKind;
    let at = position(error.marker());
    let expected = match error.kind() {
        ErrorKind::RecursionLimitExceeded => return FileError::TooDeep { at },
        ErrorKind::UnknownAnchor => "an alias of an anchor that stands before it",
        ErrorKind::UndeclaredTagHandle => "a tag whose handle is declared",
        ErrorKind::TabNotAllowed | ErrorKind::TabInBlockIndentation | ErrorKind::TabInIndentation => {
            "spaces: a tab cannot indent"
        }
        ErrorKind::UnclosedQuotedScalar => "the end of a quoted text",
        ErrorKind::UnclosedFlowCollection { .. } => "the end of a collection in brackets",
        ErrorKind::InvalidIndentation => "the indentation of what is around it",
        ErrorKind::ExpectedBlockMappingKey => "a key of the mapping",
        // The parser's kinds are many, and open to more.
        _ => "a value, a key or an end that fits what stands before",
    };
    malformed(at, expected)
}

fn malformed(at: Position, expected: &'static str) -> FileError {
    FileError::Malformed { format: Format::Yaml, at, expected }
}

impl Reader<'_> {
    fn event(&mut self, event: Event<'_>, at: Position) -> Result<(), FileError> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.budget.value(at)?;
                self.budget.depth(self.open.len() + 1, at)?;
                let bytes = text.len();
                let tag = tag.as_deref();
                let merge = scalar::is_merge(&text, style, tag);
                let raw = scalar::read(text, style, tag);
                let done = Finished { raw, values: 1, bytes, height: 1 };
                self.finished(done, anchor, merge, at)
            }
            Event::SequenceStart(_, anchor, tag) => self.start(Kind::List(Vec::new()), anchor, tag, at),
            Event::MappingStart(_, anchor, tag) => {
                let (entries, merged) = (BTreeMap::new(), Vec::new());
                self.start(Kind::Map { entries, merged, merges: false, key: None }, anchor, tag, at)
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(at),
            Event::Alias(anchor) => {
                let Some(found) = self.anchors.get(&anchor) else {
                    return Err(malformed(at, "an alias of a value that is complete"));
                };
                self.budget.repeat(found.values, found.bytes, at)?;
                self.budget.depth(self.open.len() + found.height, at)?;
                let copy = found.clone();
                self.finished(copy, 0, false, at)
            }
            Event::DocumentEnd => {
                self.anchors.clear();
                Ok(())
            }
            // Everything else is presentation.
            _ => Ok(()),
        }
    }

    fn start(&mut self, kind: Kind, anchor: usize, tag: Option<Cow<'_, Tag>>, at: Position) -> Result<(), FileError> {
        self.budget.value(at)?;
        self.budget.depth(self.open.len() + 1, at)?;
        if matches!(self.open.last(), Some(Open { kind: Kind::Map { key: None, .. }, .. })) {
            return Err(malformed(at, "a scalar as a key"));
        }
        let tag = tag.as_deref().and_then(scalar::custom);
        self.open.push(Open { kind, anchor, tag, values: 1, bytes: 0, height: 1 });
        Ok(())
    }

    fn end(&mut self, at: Position) -> Result<(), FileError> {
        let Some(open) = self.open.pop() else { return Err(malformed(at, "the start of a collection")) };
        let Open { kind, anchor, tag, values, bytes, height } = open;
        let raw = match kind {
            Kind::List(items) => Value::List(items),
            Kind::Map { entries, merged, .. } => Value::Map(merge(entries, merged)),
        };
        let raw = match tag {
            Some(tag) => Value::Map(BTreeMap::from([(tag, raw)])),
            None => raw,
        };
        self.finished(Finished { raw, values, bytes, height }, anchor, false, at)
    }

    /// Puts a finished value where it belongs: to its anchor, its collection or the documents.
    fn finished(&mut self, done: Finished, anchor: usize, merge: bool, at: Position) -> Result<(), FileError> {
        if anchor != 0 {
            self.budget.repeat(done.values, done.bytes, at)?;
            self.anchors.insert(anchor, done.clone());
        }
        let Some(parent) = self.open.last_mut() else {
            if !done.raw.is_null() {
                self.documents.push(done.raw);
            }
            return Ok(());
        };
        parent.values += done.values;
        parent.bytes += done.bytes;
        parent.height = parent.height.max(done.height + 1);
        match &mut parent.kind {
            Kind::List(items) => items.push(done.raw),
            Kind::Map { entries, merged, merges, key } => match key.take() {
                None if merge => {
                    if std::mem::replace(merges, true) {
                        return Err(FileError::DuplicateKey { format: Format::Yaml, at });
                    }
                    *key = Some(Key::Merge);
                }
                None => {
                    let name = if done.raw.is_null() { Some("null".to_owned()) } else { done.raw.spelled() };
                    let Some(name) = name else { return Err(malformed(at, "a scalar as a key")) };
                    if entries.contains_key(&name) {
                        return Err(FileError::DuplicateKey { format: Format::Yaml, at });
                    }
                    *key = Some(Key::Name(name));
                }
                Some(Key::Name(name)) => {
                    entries.insert(name, done.raw);
                }
                Some(Key::Merge) => match done.raw {
                    Value::Map(_) => merged.push(done.raw),
                    Value::List(items) if items.iter().all(|item| item.map().is_some()) => *merged = items,
                    Value::List(_) | Value::Leaf(_) | Value::Bag(_) | Value::Named(_) => {
                        return Err(malformed(at, "a mapping, or a list of mappings, to merge"));
                    }
                },
            },
        }
        Ok(())
    }
}

/// A mapping's own keys come first, then those of what is merged, in order (yaml.org/type/merge.html).
fn merge(mut entries: BTreeMap<String, Raw>, merged: Vec<Raw>) -> BTreeMap<String, Raw> {
    for other in merged {
        let Value::Map(other) = other else { continue };
        for (key, value) in other {
            if let Entry::Vacant(entry) = entries.entry(key) {
                entry.insert(value);
            }
        }
    }
    entries
}
