//! Requests for the tests: random ones, built by `opentelemetry-proto`, and what real and odd encoders make of them.

use crate::wire::{Fields, Value, put_bytes_field, put_key, put_varint};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as AnyKind;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use prost::Message;

/// A request of few traces, so that runs and repetitions are common, with empty envelopes and invalid ids.
pub fn request() -> impl Strategy<Value = ExportTraceServiceRequest> {
    let scope_spans = (option::of(scope()), vec(span(), 0..6), "[a-z]{0,3}")
        .prop_map(|(scope, spans, schema_url)| ScopeSpans { scope, spans, schema_url });
    let resource_spans = (option::of(resource()), vec(scope_spans, 0..4), "[a-z]{0,3}")
        .prop_map(|(resource, scope_spans, schema_url)| ResourceSpans { resource, scope_spans, schema_url });
    vec(resource_spans, 0..4).prop_map(|resource_spans| ExportTraceServiceRequest { resource_spans })
}

fn scope() -> impl Strategy<Value = InstrumentationScope> {
    ("[a-z]{0,3}", attributes(), 0..3u32).prop_map(|(name, attributes, dropped_attributes_count)| {
        InstrumentationScope { name, version: "1".to_owned(), attributes, dropped_attributes_count }
    })
}

fn resource() -> impl Strategy<Value = Resource> {
    attributes().prop_map(|attributes| Resource { attributes, ..Resource::default() })
}

/// Identity attributes, and others.
static KEYS: [&str; 8] =
    ["service.name", "service.version", "host.id", "k8s.pod", "deployment.env", "servicex", "http.url", ""];

fn attributes() -> impl Strategy<Value = Vec<KeyValue>> {
    let attribute = (prop::sample::select(&KEYS[..]), option::of(any_value())).prop_map(|(key, value)| KeyValue {
        key: key.to_owned(),
        value,
        ..KeyValue::default()
    });
    vec(attribute, 0..5)
}

fn any_value() -> impl Strategy<Value = AnyValue> {
    let leaf = prop_oneof![
        3 => "[a-zä]{0,4}".prop_map(AnyKind::StringValue),
        1 => any::<bool>().prop_map(AnyKind::BoolValue),
        1 => any::<i64>().prop_map(AnyKind::IntValue),
        1 => (-1e9..1e9f64).prop_map(AnyKind::DoubleValue),
        1 => vec(any::<u8>(), 0..5).prop_map(AnyKind::BytesValue),
    ];
    let kind = leaf.prop_recursive(3, 12, 3, |inner| {
        let value = option::of(inner).prop_map(|value| AnyValue { value });
        let entry = ("[a-z]{0,2}", value.clone()).prop_map(|(key, value)| KeyValue {
            key,
            value: Some(value),
            ..KeyValue::default()
        });
        prop_oneof![
            vec(value, 0..3).prop_map(|values| AnyKind::ArrayValue(ArrayValue { values })),
            vec(entry, 0..3).prop_map(|values| AnyKind::KvlistValue(KeyValueList { values })),
        ]
    });
    option::of(kind).prop_map(|value| AnyValue { value })
}

/// Mostly one of six traces; sometimes an id that OTLP calls invalid.
fn trace_id() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![8 => (1..7u8).prop_map(|byte| vec![byte; 16]), 1 => (0..20usize).prop_map(|length| vec![0; length])]
}

fn span_id() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![8 => any::<[u8; 8]>().prop_map(Vec::from), 1 => vec(any::<u8>(), 0..10)]
}

fn span() -> impl Strategy<Value = Span> {
    let event = (any::<u64>(), attributes()).prop_map(|(time_unix_nano, attributes)| Event {
        time_unix_nano,
        name: "e".to_owned(),
        attributes,
        dropped_attributes_count: 1,
    });
    let link = (trace_id(), span_id(), attributes()).prop_map(|(trace_id, span_id, attributes)| Link {
        trace_id,
        span_id,
        attributes,
        trace_state: "a=b".to_owned(),
        dropped_attributes_count: 2,
        flags: 257,
    });
    let status = (0..3i32, "[a-z]{0,3}").prop_map(|(code, message)| Status { message, code });
    let ids = (trace_id(), span_id(), span_id(), "[a-zä]{0,5}", 0..6i32);
    let rest = (any::<[u64; 2]>(), attributes(), vec(event, 0..2), vec(link, 0..2), option::of(status));
    (ids, rest).prop_map(
        |((trace_id, span_id, parent_span_id, name, kind), ([start, end], attributes, events, links, status))| Span {
            trace_id,
            span_id,
            trace_state: "k=v".to_owned(),
            parent_span_id,
            flags: 1,
            name,
            kind,
            start_time_unix_nano: start,
            end_time_unix_nano: end,
            attributes,
            dropped_attributes_count: 3,
            events,
            dropped_events_count: 4,
            links,
            dropped_links_count: 5,
            status,
        },
    )
}

/// Which fields of a message are messages, and may be rewritten.
struct Shape(&'static [(u32, Shape)]);

const LEAF: Shape = Shape(&[]);
const SPAN: Shape = Shape(&[(9, LEAF), (15, LEAF)]);
const SCOPE_SPANS: Shape = Shape(&[(1, LEAF), (2, SPAN)]);
const RESOURCE_SPANS: Shape = Shape(&[(1, LEAF), (2, SCOPE_SPANS)]);
const REQUEST: Shape = Shape(&[(1, RESOURCE_SPANS)]);

/// A random request as an odd but valid encoder writes it: the fields of every message in random order, with unknown
/// fields of all wire types, and some fields (also singular ones) twice.
pub fn odd_message() -> impl Strategy<Value = Vec<u8>> {
    (request(), any::<u64>()).prop_map(|(request, seed)| rewrite(&request.encode_to_vec(), &REQUEST, &mut Dice(seed)))
}

fn rewrite(message: &[u8], shape: &Shape, dice: &mut Dice) -> Vec<u8> {
    let mut parts: Vec<Vec<u8>> = Vec::new();
    let mut fields = Fields::of(message);
    while let Some(field) = fields.read().expect("prost wrote it") {
        let inner = shape.0.iter().find(|(number, _)| *number == field.number);
        let part = match (inner, field.value) {
            (Some((number, shape)), Value::Bytes(bytes)) => {
                let mut part = Vec::new();
                put_bytes_field(&mut part, *number, &rewrite(bytes, shape, dice));
                part
            }
            _ => message[field.start..field.end].to_vec(),
        };
        parts.extend(dice.one_in(8).then(|| part.clone()));
        parts.push(part);
    }
    while dice.one_in(3) {
        parts.push(unknown_field(dice));
    }
    for last in (1..parts.len()).rev() {
        parts.swap(last, dice.below(last as u64 + 1) as usize);
    }
    parts.concat()
}

fn unknown_field(dice: &mut Dice) -> Vec<u8> {
    let mut part = Vec::new();
    match dice.below(5) {
        0 => {
            put_key(&mut part, 100, 0);
            put_varint(&mut part, dice.next());
        }
        1 => {
            put_key(&mut part, 101, 1);
            part.extend(dice.next().to_le_bytes());
        }
        2 => put_bytes_field(&mut part, 536_870_911, &dice.next().to_le_bytes()),
        3 => {
            put_key(&mut part, 103, 3);
            part.extend(unknown_field(dice));
            put_key(&mut part, 103, 4);
        }
        _ => {
            put_key(&mut part, 104, 5);
            part.extend([1, 2, 3, 4]);
        }
    }
    part
}

/// SplitMix64: the same seed gives the same message, so that proptest can repeat and shrink.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn one_in(&mut self, chances: u64) -> bool {
        self.below(chances) == 0
    }
}

/// Bytes from nowhere, and requests that were cut, or had bytes changed, on the way.
pub fn hostile_message() -> impl Strategy<Value = Vec<u8>> {
    let broken = (odd_message(), any::<prop::sample::Index>(), vec((any::<prop::sample::Index>(), any::<u8>()), 0..4))
        .prop_map(|(mut message, cut, changes)| {
            if !message.is_empty() {
                for (at, byte) in changes {
                    let at = at.index(message.len());
                    message[at] = byte;
                }
                message.truncate(cut.index(message.len() + message.len() / 2));
            }
            message
        });
    // Small bytes are keys and lengths that OTLP has.
    let noise = vec(prop_oneof![3 => 0..0x20u8, 1 => any::<u8>()], 0..64);
    prop_oneof![3 => broken, 1 => noise]
}
