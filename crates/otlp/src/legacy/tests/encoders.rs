//! Zipkin's JSON by serde_json, Jaeger's protobuf by prost, Jaeger's Thrift by Apache's crate.

use super::{Format, Meant, TagValue, Tags};
use prost::Message;
use serde_json::{Value, json};
use thrift::protocol::{
    TBinaryOutputProtocol, TFieldIdentifier, TListIdentifier, TOutputProtocol, TStructIdentifier, TType,
};

pub(super) fn encode(format: Format, spans: &[Meant]) -> Vec<u8> {
    match format {
        Format::ZipkinJson => Value::from(spans.iter().map(zipkin).collect::<Vec<_>>()).to_string().into_bytes(),
        Format::JaegerProto => proto::request(spans).encode_to_vec(),
        Format::JaegerThrift => thrift_batch(spans).expect("a vector takes everything"),
    }
}

fn zipkin(meant: &Meant) -> Value {
    let value = |value: &TagValue| match value {
        TagValue::Text(text) => json!(text),
        TagValue::Bool(value) => json!(value.to_string()),
        TagValue::Int(value) => json!(value.to_string()),
        TagValue::Double(value) => json!(value.to_string()),
        TagValue::Bytes(bytes) => json!(format!("{bytes:?}")),
    };
    let mut tags: serde_json::Map<String, Value> =
        meant.tags.iter().map(|(key, tag)| (key.clone(), value(tag))).collect();
    for (key, text) in well_known(meant) {
        tags.insert(key.to_owned(), text.into());
    }
    if let Some(Err(message)) = &meant.status {
        tags.insert("error".to_owned(), json!(message));
    }
    let annotation = |(time_us, name, _): &(u64, String, Tags)| json!({ "timestamp": time_us, "value": name });
    let kinds = [Value::Null, json!("SERVER"), json!("CLIENT"), json!("PRODUCER"), json!("CONSUMER")];
    let short = u64::try_from(meant.trace_id).ok();
    json!({
        "traceId": short.map_or_else(|| format!("{:032x}", meant.trace_id), |id| format!("{id:016x}")),
        "id": format!("{:016x}", meant.span_id),
        "parentId": meant.parent.map(|parent| format!("{parent:016x}")),
        "name": meant.name,
        "kind": kinds[meant.kind as usize - 1],
        "timestamp": meant.start_us,
        "duration": meant.duration_us,
        "localEndpoint": { "serviceName": meant.service },
        "annotations": meant.events.iter().map(annotation).collect::<Vec<_>>(),
        "tags": tags,
        "debug": meant.debug,
    })
}

/// The tags of scope and status code, by the specification.
fn well_known(meant: &Meant) -> Vec<(&'static str, String)> {
    let mut tags = Vec::new();
    if let Some((name, version)) = &meant.scope {
        tags.push(("otel.scope.name", name.clone()));
        tags.push(("otel.scope.version", version.clone()));
        // The deprecated names say the same.
        tags.push(("otel.library.name", name.clone()));
        tags.push(("otel.library.version", version.clone()));
    }
    match &meant.status {
        Some(Ok(())) => tags.push(("otel.status_code", "OK".to_owned())),
        Some(Err(_)) => tags.push(("otel.status_code", "ERROR".to_owned())),
        None => {}
    }
    tags
}

/// All tags of a Jaeger span.
fn jaeger_tags(meant: &Meant) -> Vec<(String, TagValue)> {
    let mut tags: Vec<(String, TagValue)> = meant.tags.clone().into_iter().collect();
    tags.extend(well_known(meant).into_iter().map(|(key, text)| (key.to_owned(), TagValue::Text(text))));
    let kinds = [None, Some("server"), Some("client"), Some("producer"), Some("consumer")];
    tags.extend(kinds[meant.kind as usize - 1].map(|kind| ("span.kind".to_owned(), TagValue::Text(kind.to_owned()))));
    if let Some(Err(message)) = &meant.status {
        tags.push(("error".to_owned(), TagValue::Bool(true)));
        tags.push(("otel.status_description".to_owned(), TagValue::Text(message.clone())));
    }
    tags
}

fn log_fields(name: &str, tags: &Tags) -> Vec<(String, TagValue)> {
    let name = ("event".to_owned(), TagValue::Text(name.to_owned()));
    tags.clone().into_iter().chain([name]).collect()
}

/// Jaeger's messages, by their field numbers.
pub(in crate::legacy) mod proto {
    use super::{Meant, TagValue, Tags, jaeger_tags, log_fields};

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct PostSpansRequest {
        #[prost(message, optional, tag = "1")]
        pub batch: Option<Batch>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Batch {
        #[prost(message, repeated, tag = "1")]
        pub spans: Vec<Span>,
        #[prost(message, optional, tag = "2")]
        pub process: Option<Process>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Process {
        #[prost(string, tag = "1")]
        pub service_name: String,
        #[prost(message, repeated, tag = "2")]
        pub tags: Vec<KeyValue>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Span {
        #[prost(bytes = "vec", tag = "1")]
        pub trace_id: Vec<u8>,
        #[prost(bytes = "vec", tag = "2")]
        pub span_id: Vec<u8>,
        #[prost(string, tag = "3")]
        pub operation_name: String,
        #[prost(message, repeated, tag = "4")]
        pub references: Vec<SpanRef>,
        #[prost(uint32, tag = "5")]
        pub flags: u32,
        #[prost(message, optional, tag = "6")]
        pub start_time: Option<Time>,
        #[prost(message, optional, tag = "7")]
        pub duration: Option<Time>,
        #[prost(message, repeated, tag = "8")]
        pub tags: Vec<KeyValue>,
        #[prost(message, repeated, tag = "9")]
        pub logs: Vec<Log>,
        #[prost(message, optional, tag = "10")]
        pub process: Option<Process>,
        #[prost(string, tag = "11")]
        pub process_id: String,
        #[prost(string, repeated, tag = "12")]
        pub warnings: Vec<String>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct SpanRef {
        #[prost(bytes = "vec", tag = "1")]
        pub trace_id: Vec<u8>,
        #[prost(bytes = "vec", tag = "2")]
        pub span_id: Vec<u8>,
        #[prost(int32, tag = "3")]
        pub ref_type: i32,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Time {
        #[prost(int64, tag = "1")]
        pub seconds: i64,
        #[prost(int32, tag = "2")]
        pub nanos: i32,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Log {
        #[prost(message, optional, tag = "1")]
        pub timestamp: Option<Time>,
        #[prost(message, repeated, tag = "2")]
        pub fields: Vec<KeyValue>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct KeyValue {
        #[prost(string, tag = "1")]
        pub key: String,
        #[prost(int32, tag = "2")]
        pub v_type: i32,
        #[prost(string, tag = "3")]
        pub v_str: String,
        #[prost(bool, tag = "4")]
        pub v_bool: bool,
        #[prost(int64, tag = "5")]
        pub v_int64: i64,
        #[prost(double, tag = "6")]
        pub v_float64: f64,
        #[prost(bytes = "vec", tag = "7")]
        pub v_binary: Vec<u8>,
    }

    /// Microseconds.
    pub fn time(us: u64) -> Option<Time> {
        Some(Time { seconds: (us / 1_000_000) as i64, nanos: (us % 1_000_000 * 1000) as i32 })
    }

    fn key_values(tags: Vec<(String, TagValue)>) -> Vec<KeyValue> {
        let empty = KeyValue::default;
        let key_value = |(key, value)| match value {
            TagValue::Text(v_str) => KeyValue { key, v_str, ..empty() },
            TagValue::Bool(v_bool) => KeyValue { key, v_type: 1, v_bool, ..empty() },
            TagValue::Int(v_int64) => KeyValue { key, v_type: 2, v_int64, ..empty() },
            TagValue::Double(v_float64) => KeyValue { key, v_type: 3, v_float64, ..empty() },
            TagValue::Bytes(v_binary) => KeyValue { key, v_type: 4, v_binary, ..empty() },
        };
        tags.into_iter().map(key_value).collect()
    }

    /// Each span has its own process, which counts more than the batch's.
    pub(in crate::legacy::tests) fn request(spans: &[Meant]) -> PostSpansRequest {
        let process = |service: &str| Some(Process { service_name: service.to_owned(), tags: vec![] });
        let batch = Batch { spans: spans.iter().map(span).collect(), process: process("the batch's") };
        let mut request = PostSpansRequest { batch: Some(batch) };
        let spans = request.batch.iter_mut().flat_map(|batch| &mut batch.spans).zip(spans);
        spans.for_each(|(span, meant)| span.process = process(&meant.service));
        request
    }

    fn span(meant: &Meant) -> Span {
        let reference = |trace_id: u128, span_id: u64, ref_type| SpanRef {
            trace_id: trace_id.to_be_bytes().to_vec(),
            span_id: span_id.to_be_bytes().to_vec(),
            ref_type,
        };
        let parent = meant.parent.map(|parent| reference(meant.trace_id, parent, 0));
        let links = meant.links.iter().map(|(trace_id, span_id)| reference(*trace_id, *span_id, 1));
        let log = |(time_us, name, tags): &(u64, String, Tags)| Log {
            timestamp: time(*time_us),
            fields: key_values(log_fields(name, tags)),
        };
        let short = u64::try_from(meant.trace_id).ok();
        Span {
            trace_id: short.map_or(meant.trace_id.to_be_bytes().to_vec(), |id| id.to_be_bytes().to_vec()),
            span_id: meant.span_id.to_be_bytes().to_vec(),
            operation_name: meant.name.clone(),
            references: parent.into_iter().chain(links).collect(),
            flags: if meant.debug { 3 } else { 0 },
            start_time: time(meant.start_us),
            duration: time(meant.duration_us),
            tags: key_values(jaeger_tags(meant)),
            logs: meant.events.iter().map(log).collect(),
            process: None,
            process_id: "p1".to_owned(),
            warnings: vec![],
        }
    }
}

type Written = thrift::Result<()>;

/// Writes a struct's fields through a protocol.
pub(in crate::legacy) struct Out<'w>(&'w mut dyn TOutputProtocol);

impl Out<'_> {
    pub fn field(&mut self, id: i16, kind: TType, value: impl FnOnce(&mut Self) -> Written) -> Written {
        self.0.write_field_begin(&TFieldIdentifier::new("", kind, id))?;
        value(self)?;
        self.0.write_field_end()
    }

    pub fn i64(&mut self, id: i16, value: i64) -> Written {
        self.field(id, TType::I64, |out| out.0.write_i64(value))
    }

    pub fn i32(&mut self, id: i16, value: i32) -> Written {
        self.field(id, TType::I32, |out| out.0.write_i32(value))
    }

    pub fn text(&mut self, id: i16, value: &str) -> Written {
        self.field(id, TType::String, |out| out.0.write_string(value))
    }

    pub fn bytes(&mut self, bytes: &[u8]) -> Written {
        self.0.write_bytes(bytes)
    }

    pub fn structure(&mut self, fields: impl FnOnce(&mut Self) -> Written) -> Written {
        self.0.write_struct_begin(&TStructIdentifier::new(""))?;
        fields(self)?;
        self.0.write_field_stop()?;
        self.0.write_struct_end()
    }

    pub fn structures<T>(&mut self, id: i16, all: &[T], mut one: impl FnMut(&mut Self, &T) -> Written) -> Written {
        self.field(id, TType::List, |out| {
            out.0.write_list_begin(&TListIdentifier::new(TType::Struct, all.len() as i32))?;
            all.iter().try_for_each(|each| out.structure(|out| one(out, each)))?;
            out.0.write_list_end()
        })
    }

    pub(in crate::legacy::tests) fn tag(&mut self, key: &str, value: &TagValue) -> Written {
        self.text(1, key)?;
        match value {
            TagValue::Text(text) => {
                self.i32(2, 0)?;
                self.text(3, text)
            }
            TagValue::Double(value) => {
                self.i32(2, 1)?;
                self.field(4, TType::Double, |out| out.0.write_double(*value))
            }
            TagValue::Bool(value) => {
                self.i32(2, 2)?;
                self.field(5, TType::Bool, |out| out.0.write_bool(*value))
            }
            TagValue::Int(value) => {
                self.i32(2, 3)?;
                self.i64(6, *value)
            }
            TagValue::Bytes(bytes) => {
                self.i32(2, 4)?;
                self.field(7, TType::String, |out| out.bytes(bytes))
            }
        }
    }
}

/// A struct's bytes.
pub(in crate::legacy) fn thrift_struct(fields: impl FnOnce(&mut Out<'_>) -> Written) -> thrift::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut protocol = TBinaryOutputProtocol::new(&mut bytes, true);
    Out(&mut protocol).structure(fields)?;
    Ok(bytes)
}

fn thrift_batch(spans: &[Meant]) -> thrift::Result<Vec<u8>> {
    thrift_struct(|out| {
        // The other way round than in the file: a process behind its spans.
        out.structures(2, spans, |out, meant| {
            out.i64(1, meant.trace_id as u64 as i64)?;
            out.i64(2, (meant.trace_id >> 64) as u64 as i64)?;
            out.i64(3, meant.span_id as i64)?;
            out.i64(4, meant.parent.unwrap_or(0) as i64)?;
            out.text(5, &meant.name)?;
            out.structures(6, &meant.links, |out, (trace_id, span_id)| {
                out.i32(1, 1)?;
                out.i64(2, *trace_id as u64 as i64)?;
                out.i64(3, (*trace_id >> 64) as u64 as i64)?;
                out.i64(4, *span_id as i64)
            })?;
            out.i32(7, if meant.debug { 3 } else { 0 })?;
            out.i64(8, meant.start_us as i64)?;
            out.i64(9, meant.duration_us as i64)?;
            out.structures(10, &jaeger_tags(meant), |out, (key, value)| out.tag(key, value))?;
            out.structures(11, &meant.events, |out, (time_us, name, tags)| {
                out.i64(1, *time_us as i64)?;
                out.structures(2, &log_fields(name, tags), |out, (key, value)| out.tag(key, value))
            })
        })?;
        out.i64(3, 7)?;
        let service = spans.first().map_or("", |meant| &meant.service);
        out.field(1, TType::Struct, |out| out.structure(|out| out.text(1, service)))
    })
}
