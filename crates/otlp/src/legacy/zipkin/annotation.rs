//! Events and links that OpenTelemetry's exporters put into texts, for Zipkin has neither.

use crate::json::hexadecimal;
use serde_json::{Map, Value as Json};

/// A larger text is an event's name as a whole: a tree of JSON takes up to 16 times its text (`0,` becomes 32 bytes), so
/// that it is 1 MiB for a moment.
const MAX_PARSED_BYTES: usize = 64 << 10;

/// An event, or what a link has beside where it leads.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Parsed {
    pub name: String,
    pub attributes: Map<String, Json>,
    pub dropped_attributes: u32,
}

/// A link (OpenTelemetry Collector, Zipkin exporter).
#[derive(Debug, PartialEq)]
pub(super) struct ParsedLink<'t> {
    pub trace_id: [u8; 16],
    pub span_id: [u8; 8],
    pub trace_state: &'t str,
    pub parsed: Parsed,
}

/// Reads an annotation's value. The forms that carry attributes, of which none can be mistaken for another:
///
/// - `"name": {…}`: the specification, "Events"; Go and JavaScript leave the quotes out
/// - `{"name": {…}}`: Python
/// - `name|{…}|0`: the Collector, with the count of dropped attributes
///
/// Everything else is an event's name.
pub(super) fn parse(value: &str) -> Parsed {
    let parsed = if value.len() > MAX_PARSED_BYTES {
        None
    } else if value.starts_with('{') {
        python(value)
    } else if value.ends_with('}') {
        specified(value)
    } else {
        collector(value)
    };
    parsed.unwrap_or_else(|| Parsed { name: value.to_owned(), ..Parsed::default() })
}

fn python(value: &str) -> Option<Parsed> {
    let event: Map<String, Json> = serde_json::from_str(value).ok()?;
    let mut members = event.into_iter();
    match (members.next(), members.next()) {
        (Some((name, Json::Object(attributes))), None) => Some(Parsed { name, attributes, dropped_attributes: 0 }),
        _ => None,
    }
}

fn specified(value: &str) -> Option<Parsed> {
    let (name, rest) = if value.starts_with('"') {
        let mut texts = serde_json::Deserializer::from_str(value).into_iter::<String>();
        let name = texts.next()?.ok()?;
        (name, value[texts.byte_offset()..].strip_prefix(':')?)
    } else {
        let mut rests = value.match_indices(':').map(|(at, _)| (at, &value[at + 1..]));
        let (at, rest) = rests.find(|(_, rest)| rest.trim_start().starts_with('{'))?;
        (value[..at].to_owned(), rest)
    };
    let attributes = serde_json::from_str(rest).ok()?;
    Some(Parsed { name, attributes, dropped_attributes: 0 })
}

fn collector(value: &str) -> Option<Parsed> {
    let (name, rest) = value.split_once('|')?;
    let (attributes, dropped) = rest.rsplit_once('|')?;
    let attributes = serde_json::from_str(attributes).ok()?;
    Some(Parsed { name: name.to_owned(), attributes, dropped_attributes: dropped.parse().ok()? })
}

/// Reads `traceid|spanid|tracestate|{…}|0`, the value of a tag `otlp.link.N`.
pub(super) fn parse_link(value: &str) -> Option<ParsedLink<'_>> {
    if value.len() > MAX_PARSED_BYTES {
        return None;
    }
    let mut parts = value.splitn(4, '|');
    let (trace_id, span_id, trace_state) = (parts.next()?, parts.next()?, parts.next()?);
    let (attributes, dropped) = parts.next()?.rsplit_once('|')?;
    Some(ParsedLink {
        trace_id: id(trace_id)?,
        span_id: id(span_id)?,
        trace_state,
        parsed: Parsed {
            name: String::new(),
            attributes: serde_json::from_str(attributes).ok()?,
            dropped_attributes: dropped.parse().ok()?,
        },
    })
}

/// An id in hexadecimal digits, that is not zeros alone.
fn id<const N: usize>(text: &str) -> Option<[u8; N]> {
    let id: [u8; N] = hexadecimal(text.trim_matches('"'))?.try_into().ok()?;
    (id != [0; N]).then_some(id)
}
