//! Edits the texts of a request on the wire: what redaction is applied by.
//!
//! One pass asks for every text that an application wrote, and notes what changes: the new text, and the new length of each
//! message around it. Without a change nothing is allocated and the request is the same bytes; else one copy is made of
//! what lies between the changes. Ids, times, enumerations, schema URLs, the names of metrics and scopes, and unknown fields are never
//! asked for, and come out byte for byte.

use crate::Signal;
use crate::wire::{Field, Fields, Malformed, Value, last_bytes, put_bytes_field, put_key, put_varint};
use std::borrow::Cow;

/// Values may nest this deep, as deep as prost lets messages nest.
const MAX_VALUE_DEPTH: usize = 100;

/// The digits of the largest `u64`, and a sign.
const MAX_INTEGER_LEN: usize = 21;

/// Where a text stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// The key of an attribute, or of a member of a value.
    Key,
    /// A value of an attribute: a string, bytes that are UTF-8, or an integer as digits; also inside arrays and maps.
    Attribute,
    /// `Span.name`.
    SpanName,
    /// `Span.Event.name`, `LogRecord.event_name`.
    EventName,
    /// `Status.message`.
    StatusMessage,
    /// `Span.trace_state`, `Link.trace_state`.
    TraceState,
    /// `LogRecord.body`, or what is inside it.
    LogBody,
}

/// The key that a trace state is asked for with: the name of its header.
const TRACE_STATE_KEY: &str = "tracestate";

/// What is in a field.
enum Rule {
    /// A message.
    Inside(&'static Shape),
    /// A text.
    Text(Place),
    /// A `KeyValue`.
    Attribute,
    /// An `AnyValue`.
    Body,
}

/// The fields of a message that are looked at, by number.
struct Shape(&'static [(u32, Rule)]);

// opentelemetry/proto/{common,resource,trace,logs,metrics}/v1 of OTLP 1.x.
static RESOURCE: Shape = Shape(&[(1, Rule::Attribute)]);
static SCOPE: Shape = Shape(&[(3, Rule::Attribute)]);

static TRACES: Shape = Shape(&[(1, Rule::Inside(&RESOURCE_SPANS))]);
static RESOURCE_SPANS: Shape = Shape(&[(1, Rule::Inside(&RESOURCE)), (2, Rule::Inside(&SCOPE_SPANS))]);
static SCOPE_SPANS: Shape = Shape(&[(1, Rule::Inside(&SCOPE)), (2, Rule::Inside(&SPAN))]);
static SPAN: Shape = Shape(&[
    (9, Rule::Attribute),
    (5, Rule::Text(Place::SpanName)),
    (3, Rule::Text(Place::TraceState)),
    (11, Rule::Inside(&EVENT)),
    (13, Rule::Inside(&LINK)),
    (15, Rule::Inside(&STATUS)),
]);
static EVENT: Shape = Shape(&[(2, Rule::Text(Place::EventName)), (3, Rule::Attribute)]);
static LINK: Shape = Shape(&[(3, Rule::Text(Place::TraceState)), (4, Rule::Attribute)]);
static STATUS: Shape = Shape(&[(2, Rule::Text(Place::StatusMessage))]);

static LOGS: Shape = Shape(&[(1, Rule::Inside(&RESOURCE_LOGS))]);
static RESOURCE_LOGS: Shape = Shape(&[(1, Rule::Inside(&RESOURCE)), (2, Rule::Inside(&SCOPE_LOGS))]);
static SCOPE_LOGS: Shape = Shape(&[(1, Rule::Inside(&SCOPE)), (2, Rule::Inside(&LOG_RECORD))]);
static LOG_RECORD: Shape = Shape(&[(5, Rule::Body), (6, Rule::Attribute), (12, Rule::Text(Place::EventName))]);

static METRICS: Shape = Shape(&[(1, Rule::Inside(&RESOURCE_METRICS))]);
static RESOURCE_METRICS: Shape = Shape(&[(1, Rule::Inside(&RESOURCE)), (2, Rule::Inside(&SCOPE_METRICS))]);
static SCOPE_METRICS: Shape = Shape(&[(1, Rule::Inside(&SCOPE)), (2, Rule::Inside(&METRIC))]);
static METRIC: Shape = Shape(&[
    (5, Rule::Inside(&NUMBERS)),
    (7, Rule::Inside(&NUMBERS)),
    (9, Rule::Inside(&HISTOGRAM)),
    (10, Rule::Inside(&EXPONENTIAL_HISTOGRAM)),
    (11, Rule::Inside(&SUMMARY)),
    (12, Rule::Attribute),
]);
static NUMBERS: Shape = Shape(&[(1, Rule::Inside(&NUMBER_POINT))]);
static NUMBER_POINT: Shape = Shape(&[(7, Rule::Attribute), (5, Rule::Inside(&EXEMPLAR))]);
static HISTOGRAM: Shape = Shape(&[(1, Rule::Inside(&HISTOGRAM_POINT))]);
static HISTOGRAM_POINT: Shape = Shape(&[(9, Rule::Attribute), (8, Rule::Inside(&EXEMPLAR))]);
static EXPONENTIAL_HISTOGRAM: Shape = Shape(&[(1, Rule::Inside(&EXPONENTIAL_POINT))]);
static EXPONENTIAL_POINT: Shape = Shape(&[(1, Rule::Attribute), (11, Rule::Inside(&EXEMPLAR))]);
static SUMMARY: Shape = Shape(&[(1, Rule::Inside(&SUMMARY_POINT))]);
static SUMMARY_POINT: Shape = Shape(&[(7, Rule::Attribute)]);
static EXEMPLAR: Shape = Shape(&[(7, Rule::Attribute)]);

/// The request with the texts that `edit` changes; `None` if it changes none.
///
/// `edit` is given the place of a text, its key if it has one, and the text, and gives the new one or `None`. The key is that of the
/// attribute or of the innermost member around the text, and `tracestate` for a trace state. A key that is changed was the
/// key of its value before. An integer whose digits are changed becomes a string. A string that is not UTF-8, which OTLP does
/// not allow, is given with U+FFFD in the place of what is none. Texts that protobuf will not show, because they are repeated, are
/// given too.
///
/// Fails if the framing of a message that may hold texts is broken, or values nest deeper than prost would let them.
pub fn edit_texts(
    signal: Signal,
    message: &[u8],
    edit: impl FnMut(Place, Option<&str>, &str) -> Option<String>,
) -> Result<Option<Vec<u8>>, Malformed> {
    let shape = match signal {
        Signal::Traces => &TRACES,
        Signal::Logs => &LOGS,
        Signal::Metrics => &METRICS,
    };
    let mut editor = Editor { edit, changes: Vec::new(), new: Vec::new(), growth: 0 };
    editor.message(Fields::of(message), shape)?;
    Ok((!editor.changes.is_empty()).then(|| editor.write(message)))
}

/// Bytes of the request, and what takes their place: a range of [`Editor::new`].
struct Change {
    start: usize,
    end: usize,
    new_start: usize,
    new_end: usize,
}

struct Editor<E> {
    edit: E,
    /// In the order of the request, without overlaps: prefixes of messages, and fields.
    changes: Vec<Change>,
    new: Vec<u8>,
    /// How much longer the request became by all changes so far. Lengths are below 2^63.
    growth: isize,
}

impl<E: FnMut(Place, Option<&str>, &str) -> Option<String>> Editor<E> {
    /// As deep as the shapes are, eight at most.
    fn message(&mut self, mut fields: Fields<'_>, shape: &'static Shape) -> Result<(), Malformed> {
        while let Some(field) = fields.read()? {
            let Some((_, rule)) = shape.0.iter().find(|(number, _)| *number == field.number) else { continue };
            match rule {
                Rule::Inside(shape) => self.inside(&field, |editor, fields| editor.message(fields, shape))?,
                Rule::Text(place) => {
                    let key = (*place == Place::TraceState).then_some(TRACE_STATE_KEY);
                    self.text(&field, *place, key);
                }
                Rule::Attribute => self.attribute(&field, Place::Attribute, 0)?,
                Rule::Body => self.value(&field, Place::LogBody, None, 0)?,
            }
        }
        Ok(())
    }

    /// Walks over the message in a field, and notes its new length if it got one.
    fn inside<'m>(
        &mut self,
        field: &Field<'m>,
        walk: impl FnOnce(&mut Self, Fields<'m>) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        let (Some(fields), Value::Bytes(content)) = (field.fields(), field.value) else { return Ok(()) };
        let (place, growth) = (self.changes.len(), self.growth);
        let begin = field.end - content.len();
        self.changes.push(Change { start: field.start, end: begin, new_start: 0, new_end: 0 });
        walk(self, fields)?;
        if self.changes.len() == place + 1 {
            self.changes.pop();
            return Ok(());
        }
        let length = content.len().strict_add_signed(self.growth - growth);
        let new_start = self.new.len();
        put_key(&mut self.new, field.number, 2);
        put_varint(&mut self.new, length as u64);
        let change = Change { start: field.start, end: begin, new_start, new_end: self.new.len() };
        self.growth += change.growth();
        self.changes[place] = change;
        Ok(())
    }

    /// A `KeyValue`. Its key may stand behind its value.
    fn attribute(&mut self, field: &Field<'_>, place: Place, depth: usize) -> Result<(), Malformed> {
        self.inside(field, |editor, mut fields| {
            let key = last_bytes(fields.clone(), 1)?.map(text);
            while let Some(field) = fields.read()? {
                match field.number {
                    1 => editor.text(&field, Place::Key, None),
                    2 => editor.value(&field, place, key.as_deref(), depth)?,
                    _ => {}
                }
            }
            Ok(())
        })
    }

    /// An `AnyValue`, and what is in it. Every member of the `oneof` is looked at: which one counts is the reader's.
    fn value(&mut self, field: &Field<'_>, place: Place, key: Option<&str>, depth: usize) -> Result<(), Malformed> {
        if depth > MAX_VALUE_DEPTH {
            return Err(Malformed { offset: field.start, what: "values nested too deep" });
        }
        self.inside(field, |editor, mut fields| {
            while let Some(field) = fields.read()? {
                match (field.number, field.value) {
                    (1, _) => editor.text(&field, place, key),
                    (3, Value::Varint(value)) => editor.integer(&field, place, key, value as i64),
                    (5, _) => editor.members(&field, |editor, field| editor.value(field, place, key, depth + 1))?,
                    (6, _) => editor.members(&field, |editor, field| editor.attribute(field, place, depth + 1))?,
                    (7, Value::Bytes(bytes)) => {
                        if let Ok(text) = str::from_utf8(bytes) {
                            editor.ask(&field, place, key, text);
                        }
                    }
                    _ => {}
                }
            }
            Ok(())
        })
    }

    /// The members of an array or a map, field 1 of either.
    fn members(
        &mut self,
        field: &Field<'_>,
        mut walk: impl FnMut(&mut Self, &Field<'_>) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        self.inside(field, |editor, mut fields| {
            while let Some(field) = fields.read()? {
                if field.number == 1 {
                    walk(editor, &field)?;
                }
            }
            Ok(())
        })
    }

    fn text(&mut self, field: &Field<'_>, place: Place, key: Option<&str>) {
        if let Value::Bytes(bytes) = field.value {
            self.ask(field, place, key, &text(bytes));
        }
    }

    fn ask(&mut self, field: &Field<'_>, place: Place, key: Option<&str>, text: &str) {
        if let Some(edited) = (self.edit)(place, key, text) {
            self.change(field, field.number, &edited);
        }
    }

    /// An integer is asked for as its digits, and becomes `string_value`, field 1, if these change.
    fn integer(&mut self, field: &Field<'_>, place: Place, key: Option<&str>, value: i64) {
        let mut buffer = [0; MAX_INTEGER_LEN];
        let text = digits(value, &mut buffer);
        if let Some(edited) = (self.edit)(place, key, text) {
            self.change(field, 1, &edited);
        }
    }

    /// The field has another number and text from now on.
    fn change(&mut self, field: &Field<'_>, number: u32, text: &str) {
        let new_start = self.new.len();
        put_bytes_field(&mut self.new, number, text.as_bytes());
        let change = Change { start: field.start, end: field.end, new_start, new_end: self.new.len() };
        self.growth += change.growth();
        self.changes.push(change);
    }

    fn write(&self, message: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(message.len().strict_add_signed(self.growth));
        let mut copied = 0;
        for change in &self.changes {
            out.extend_from_slice(&message[copied..change.start]);
            out.extend_from_slice(&self.new[change.new_start..change.new_end]);
            copied = change.end;
        }
        out.extend_from_slice(&message[copied..]);
        out
    }
}

impl Change {
    fn growth(&self) -> isize {
        (self.new_end - self.new_start) as isize - (self.end - self.start) as isize
    }
}

/// Nearly all texts are UTF-8, which is checked faster than it is made.
fn text(bytes: &[u8]) -> Cow<'_, str> {
    str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed)
}

/// The number in decimal.
fn digits(value: i64, buffer: &mut [u8; MAX_INTEGER_LEN]) -> &str {
    let (mut rest, mut at) = (value.unsigned_abs(), buffer.len());
    loop {
        at -= 1;
        buffer[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if value < 0 {
        at -= 1;
        buffer[at] = b'-';
    }
    str::from_utf8(&buffer[at..]).expect("digits and a sign are ASCII")
}

#[cfg(test)]
mod tests;
