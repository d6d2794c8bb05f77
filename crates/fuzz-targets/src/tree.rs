//! A request as its envelopes and records, read by nothing of `otlp`: the reference for bytes that prost refuses, and
//! for what prost forgets (unknown fields, their order, the bytes of a record).

use model::TraceId;
use otlp::Signal;

/// How deep groups may nest; the splitter's own bound.
const MAX_GROUP_DEPTH: usize = 100;

/// One field of a request or of an envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item<'m> {
    /// A `ResourceSpans` or `ScopeSpans` (or those of logs), by its fields. Its key and length are not kept: a part may
    /// write them shorter.
    Envelope(Vec<Item<'m>>),
    /// A span, a log record or a `ResourceMetrics`, with its key and length.
    Record {
        /// The trace that it belongs to; all zero if it names none that is valid.
        trace: TraceId,
        /// From its key to its end.
        bytes: &'m [u8],
    },
    /// Any other field, with its key.
    Other(&'m [u8]),
}

/// A field as it stands.
struct Field<'m> {
    number: u32,
    /// From its key to its end.
    all: &'m [u8],
    /// If it is length-delimited: what its length covers.
    content: Option<&'m [u8]>,
}

/// Reads a request as far as a splitter must: the framing of the request, of its envelopes and of its records (of metrics,
/// these are the `ResourceMetrics`). `None` if that is broken.
pub fn read(signal: Signal, message: &[u8]) -> Option<Vec<Item<'_>>> {
    // The request holds resources in field 1, these hold scopes in field 2, these hold records in field 2.
    let levels: &[u32] = if signal == Signal::Metrics { &[1] } else { &[1, 2, 2] };
    read_level(signal, message, levels)
}

fn read_level<'m>(signal: Signal, message: &'m [u8], levels: &[u32]) -> Option<Vec<Item<'m>>> {
    let (inner, below) = levels.split_first()?;
    let item = |field: Field<'m>| {
        Some(match field.content {
            Some(content) if field.number == *inner && below.is_empty() => {
                Item::Record { trace: trace(signal, content)?, bytes: field.all }
            }
            Some(content) if field.number == *inner => Item::Envelope(read_level(signal, content, below)?),
            _ => Item::Other(field.all),
        })
    };
    fields(message)?.into_iter().map(item).collect()
}

/// The trace of a record; all zero if it has none. `None` if the record is broken.
fn trace(signal: Signal, record: &[u8]) -> Option<TraceId> {
    let number = match signal {
        Signal::Traces => 1,
        Signal::Logs => 9,
        Signal::Metrics => return fields(record).map(|_| TraceId::default()),
    };
    fields(record)?;
    let last = contents(record, number).pop();
    Some(last.and_then(|id| id.try_into().ok()).map(TraceId).unwrap_or_default())
}

/// What the length-delimited fields of this number hold; nothing if the message's framing is broken.
pub fn contents(message: &[u8], number: u32) -> Vec<&[u8]> {
    let fields = fields(message).unwrap_or_default().into_iter();
    fields.filter(|field| field.number == number).filter_map(|field| field.content).collect()
}

/// What a part must hold: the records that are kept, and what is around them. Without records it holds nothing.
pub fn keep<'m>(items: &[Item<'m>], kept: &impl Fn(TraceId) -> bool) -> Vec<Item<'m>> {
    let item = |item: &Item<'m>| match item {
        Item::Envelope(inside) => Some(Item::Envelope(keep(inside, kept))).filter(|it| records(it) > 0),
        Item::Record { trace, .. } => kept(*trace).then(|| item.clone()),
        Item::Other(_) => Some(item.clone()),
    };
    let items: Vec<Item<'m>> = items.iter().filter_map(item).collect();
    if items.iter().all(|item| records(item) == 0) { Vec::new() } else { items }
}

/// How many records an item holds.
pub fn records(item: &Item<'_>) -> u64 {
    match item {
        Item::Envelope(inside) => inside.iter().map(records).sum(),
        Item::Record { .. } => 1,
        Item::Other(_) => 0,
    }
}

fn fields(mut rest: &[u8]) -> Option<Vec<Field<'_>>> {
    let mut fields = Vec::new();
    while !rest.is_empty() {
        let (field, wire_type, length) = field(rest, 0)?;
        if wire_type == 4 {
            return None;
        }
        rest = &rest[length..];
        fields.push(field);
    }
    Some(fields)
}

/// The first field of the bytes, its wire type, and its length. The end of a group is a field here.
fn field(bytes: &[u8], depth: usize) -> Option<(Field<'_>, u8, usize)> {
    let (key, mut at) = varint(bytes)?;
    let key = u32::try_from(key).ok()?;
    let (number, wire_type) = (key / 8, (key % 8) as u8);
    if number == 0 {
        return None;
    }
    let mut content = None;
    match wire_type {
        0 => at += varint(&bytes[at..])?.1,
        1 => at += 8,
        2 => {
            let (length, prefix) = varint(&bytes[at..])?;
            let start = at + prefix;
            at = start.checked_add(usize::try_from(length).ok()?)?;
            content = Some(bytes.get(start..at)?);
        }
        3 if depth >= MAX_GROUP_DEPTH => return None,
        3 => loop {
            let (inner, inner_type, length) = field(bytes.get(at..)?, depth + 1)?;
            at += length;
            if inner_type == 4 {
                if inner.number != number {
                    return None;
                }
                break;
            }
        },
        4 => {}
        5 => at += 4,
        _ => return None,
    }
    Some((Field { number, all: bytes.get(..at)?, content }, wire_type, at))
}

/// A base-128 number of at most ten bytes and 64 bits, and its length.
fn varint(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut value = 0_u128;
    for (at, byte) in bytes.iter().take(10).enumerate() {
        value |= u128::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Some((u64::try_from(value).ok()?, at + 1));
        }
    }
    None
}
