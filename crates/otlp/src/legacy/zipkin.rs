//! Zipkin v2 spans in JSON.
//!
//! Read span by span, straight to OTLP: there is no tree in between. Unknown members are passed over, `null` is the same
//! as absent, numbers and flags may be texts and the other way round.
//!
//! What the specification's exporters and the Collector's write is read backwards: `otel.*` tags, events as annotations
//! (`annotation.rs`), links as tags `otlp.link.N`. Beyond that:
//!
//! - Ids may be shorter than they should be, as Zipkin's server has it: zeros are put to their left. A 64-bit trace id so
//!   becomes a 128-bit one.
//! - `remoteEndpoint` becomes `peer.service` (the specification, "Zipkin -> OTLP") and `network.peer.address` and
//!   `.port`, the stable names among those that the specification takes it from; the Collector still writes the
//!   deprecated `net.peer.ip`. `localEndpoint` becomes the resource's `service.name`, and `network.local.*`. A tag of the
//!   same name counts more. IPv4 counts more than IPv6.
//! - Tags in OpenTelemetry's resource namespaces go to the resource, where they were before an exporter made tags of all.
//! - `debug` makes the span sampled, and like `shared` is kept as an attribute (`zipkin.debug`, `zipkin.shared`): a shared
//!   span's id is its client's too, and nothing else in OTLP would say so.
//! - A span without a timestamp starts with its first annotation, or in 1970, and says so with the Collector's attribute
//!   `otel.zipkin.absentField.startTime`.

mod annotation;
mod lenient;

use super::LegacyError;
use super::attributes::{AnyValue, Attributes};
use super::groups::Groups;
use super::ids::{padded, quoted};
use super::span::{Failure, Kind, Link, Span};
use annotation::Parsed;
use lenient::{Flag, Micros, Text};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// The namespaces of OpenTelemetry's resource attributes that are hardly ever a span's own. `faas.*`, `device.*` and
/// `aws.*` are both, and stay with the span.
const RESOURCE_NAMESPACES: [&str; 10] =
    ["cloud.", "container.", "deployment.", "host.", "k8s.", "os.", "process.", "service.", "telemetry.", "webengine."];

pub(super) fn to_otlp(json: &[u8], limit: usize) -> Result<Vec<u8>, LegacyError> {
    let mut groups = Groups::new(limit);
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let read = SpanList { groups: &mut groups, limit }.deserialize(&mut deserializer).and_then(|()| deserializer.end());
    match read {
        Err(error) if !groups.is_full() => Err(LegacyError::Json(error)),
        Err(_) | Ok(()) => groups.into_request(),
    }
}

struct SpanList<'g> {
    groups: &'g mut Groups,
    limit: usize,
}

impl<'de> DeserializeSeed<'de> for SpanList<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for SpanList<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of spans")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let mut index = 0;
        while list.next_element_seed(ZipkinSpan { groups: self.groups, limit: self.limit, index })?.is_some() {
            index += 1;
            if self.groups.is_full() {
                return Err(A::Error::custom("too many spans"));
            }
        }
        Ok(())
    }
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "camelCase")]
enum Member {
    TraceId,
    Id,
    ParentId,
    Name,
    Kind,
    Timestamp,
    Duration,
    LocalEndpoint,
    RemoteEndpoint,
    Annotations,
    Tags,
    Debug,
    Shared,
    #[serde(other)]
    Unknown,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Endpoint {
    service_name: Option<Text>,
    ipv4: Option<Text>,
    ipv6: Option<Text>,
    port: Option<Micros>,
}

/// What a span says about itself beside tags and annotations.
#[derive(Default)]
struct Head {
    trace_id: Option<Text>,
    id: Option<Text>,
    parent_id: Option<Text>,
    kind: Option<Text>,
    timestamp: Option<Micros>,
    duration: Option<Micros>,
    local: Endpoint,
    remote: Endpoint,
    debug: bool,
    shared: bool,
    /// The earliest annotation's time.
    first_event_ns: Option<u64>,
}

/// Reads one span, and adds it to the others.
struct ZipkinSpan<'g> {
    groups: &'g mut Groups,
    limit: usize,
    index: usize,
}

impl<'de> DeserializeSeed<'de> for ZipkinSpan<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for ZipkinSpan<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object (span {})", self.index)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut head = Head::default();
        let mut span = Span::new(self.limit);
        let mut resource = Attributes::of_field(1, self.limit);
        while let Some(member) = map.next_key()? {
            match member {
                Member::TraceId => head.trace_id = map.next_value()?,
                Member::Id => head.id = map.next_value()?,
                Member::ParentId => head.parent_id = map.next_value()?,
                Member::Name => span.name = map.next_value::<Option<Text>>()?.unwrap_or_default().0,
                Member::Kind => head.kind = map.next_value()?,
                Member::Timestamp => head.timestamp = map.next_value()?,
                Member::Duration => head.duration = map.next_value()?,
                Member::LocalEndpoint => head.local = map.next_value::<Option<Endpoint>>()?.unwrap_or_default(),
                Member::RemoteEndpoint => head.remote = map.next_value::<Option<Endpoint>>()?.unwrap_or_default(),
                Member::Annotations => {
                    let place = Annotations { span: &mut span, head: &mut head, index: self.index };
                    map.next_value_seed(lenient::Nullable(place))?;
                }
                Member::Tags => {
                    map.next_value_seed(lenient::Nullable(Tags { span: &mut span, resource: &mut resource }))?;
                }
                Member::Debug => head.debug = map.next_value::<Option<Flag>>()?.unwrap_or_default().0,
                Member::Shared => head.shared = map.next_value::<Option<Flag>>()?.unwrap_or_default().0,
                Member::Unknown => {
                    map.next_value::<serde::de::IgnoredAny>()?;
                }
            }
        }
        let index = self.index;
        head.apply(&mut span).map_err(|what| A::Error::custom(format_args!("span {index}: {what}")))?;
        if let Some(service) = head.local.service_name.filter(|service| !service.0.is_empty()) {
            resource.put("service.name", &AnyValue::text(&service.0));
        }
        if resource.is_full() {
            self.groups.overflow();
        }
        let resource = self.groups.resource(resource.into_bytes());
        span.finish(resource, self.groups);
        Ok(())
    }
}

impl Head {
    /// Checks, and fills the span in. The error names the field.
    fn apply(&mut self, span: &mut Span) -> Result<(), String> {
        span.trace_id = needed_id("traceId", self.trace_id.as_ref())?;
        span.span_id = needed_id("id", self.id.as_ref())?;
        // Zipkin's server takes zeros, and the span itself, for no parent.
        let parent = self.parent_id.as_ref().filter(|parent| !parent.0.is_empty());
        let parent = parent.map(|parent| padded("parentId", &parent.0)).transpose()?;
        span.parent_span_id = parent.filter(|parent| *parent != [0; 8] && *parent != span.span_id);
        span.kind = match self.kind.as_ref().map(|kind| kind.0.as_str()) {
            None | Some("") => None,
            Some(name) => Some(Kind::from_name(name).ok_or_else(|| {
                format!("kind: found {:?}; expected CLIENT, SERVER, PRODUCER or CONSUMER", quoted(name))
            })?),
        };
        let timestamp = self.timestamp.as_ref().map_or(0, |timestamp| timestamp.0);
        span.start_ns = match timestamp {
            0 => self.first_event_ns.unwrap_or(0),
            us => nanoseconds("timestamp", us)?,
        };
        if timestamp == 0 {
            span.attributes.put("otel.zipkin.absentField.startTime", &AnyValue::Bool(true));
        }
        let duration = nanoseconds("duration", self.duration.as_ref().map_or(0, |duration| duration.0))?;
        let end = span.start_ns.checked_add(duration);
        span.end_ns = end.ok_or("duration: the span ends after the year 2554, which OTLP cannot say")?;
        span.sampled = self.debug;
        if self.debug {
            span.attributes.put("zipkin.debug", &AnyValue::Bool(true));
        }
        if self.shared {
            span.attributes.put("zipkin.shared", &AnyValue::Bool(true));
        }
        self.local.put(None, ["network.local.address", "network.local.port"], &mut span.attributes);
        let names = ["network.peer.address", "network.peer.port"];
        self.remote.put(Some("peer.service"), names, &mut span.attributes);
        Ok(())
    }
}

impl Endpoint {
    fn put(&self, service: Option<&str>, [address, port]: [&str; 2], attributes: &mut Attributes) {
        let texts = [(service, &self.service_name), (Some(address), &self.ipv4), (Some(address), &self.ipv6)];
        for (name, text) in texts {
            if let (Some(name), Some(Text(text))) = (name, text)
                && !text.is_empty()
            {
                attributes.put_new(name, &AnyValue::text(text));
            }
        }
        if let Some(number) = self.port.as_ref().filter(|number| (1..=0xffff).contains(&number.0)) {
            attributes.put_new(port, &AnyValue::Int(number.0 as i64));
        }
    }
}

fn needed_id<const N: usize>(field: &str, found: Option<&Text>) -> Result<[u8; N], String> {
    let id = padded(field, found.map_or("", |found| &found.0))?;
    if id == [0; N] { Err(format!("{field}: found zeros alone, which OTLP takes for no id")) } else { Ok(id) }
}

fn nanoseconds(field: &str, us: u64) -> Result<u64, String> {
    us.checked_mul(1000)
        .ok_or_else(|| format!("{field}: found {us}; expected microseconds, up to 18446744073709551 (the year 2554)"))
}

struct Tags<'s> {
    span: &'s mut Span,
    resource: &'s mut Attributes,
}

impl<'de> DeserializeSeed<'de> for Tags<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Tags<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of tags, each a text")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some((name, value)) = map.next_entry::<String, Option<Text>>()? {
            if let Some(value) = value {
                put_tag(self.span, self.resource, &name, value.0);
            }
        }
        Ok(())
    }
}

fn put_tag(span: &mut Span, resource: &mut Attributes, name: &str, text: String) {
    // Zipkin takes every span with this tag for failed; the specification's exporters must leave a false one out.
    if name == "error" && text != "false" {
        span.failure = Some(Failure::Text(text));
        return;
    }
    if name.starts_with("otlp.link.")
        && let Some(link) = annotation::parse_link(&text)
    {
        let mut attributes = span.link_attributes();
        put_members(&mut attributes, &link.parsed);
        let dropped_attributes = link.parsed.dropped_attributes;
        let (trace_id, span_id, trace_state) = (link.trace_id, link.span_id, link.trace_state);
        span.link(&Link { trace_id, span_id, trace_state, dropped_attributes }, attributes);
        return;
    }
    if RESOURCE_NAMESPACES.iter().any(|namespace| name.starts_with(namespace)) {
        resource.put(name, &AnyValue::text(&text));
    } else {
        span.tag(name, &AnyValue::text(&text));
    }
}

fn put_members(attributes: &mut Attributes, parsed: &Parsed) {
    for (name, value) in &parsed.attributes {
        attributes.put(name, &AnyValue::Json(value));
    }
}

struct Annotations<'s> {
    span: &'s mut Span,
    head: &'s mut Head,
    index: usize,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Annotation {
    timestamp: Option<Micros>,
    value: Option<Text>,
}

impl<'de> DeserializeSeed<'de> for Annotations<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Annotations<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of annotations")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let index = self.index;
        let refused = |what: String| A::Error::custom(format_args!("span {index}: annotations: {what}"));
        while let Some(annotation) = list.next_element::<Annotation>()? {
            let (Some(timestamp), Some(value)) = (annotation.timestamp, annotation.value) else {
                return Err(refused("one lacks its timestamp or value".to_owned()));
            };
            let time_ns = nanoseconds("timestamp", timestamp.0).map_err(refused)?;
            self.head.first_event_ns = Some(self.head.first_event_ns.map_or(time_ns, |first| first.min(time_ns)));
            let parsed = annotation::parse(&value.0);
            let mut attributes = self.span.event_attributes();
            put_members(&mut attributes, &parsed);
            self.span.event(time_ns, &parsed.name, attributes, parsed.dropped_attributes);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
