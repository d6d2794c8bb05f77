//! Requests as a busy service sends them: ten attributes a span, 20 spans a trace, the traces interleaved.
//!
//! Made from a seed, so that every run measures the same bytes.

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::Event;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use otlp::grpc;
use prost::Message;

/// The sizes of a request that are measured, in spans.
pub const SPANS_A_REQUEST: [usize; 2] = [100, 1_000];

/// Spans of one trace.
const SPANS_A_TRACE: usize = 20;

/// Among so many requests the load generator spreads the spans of a trace: its services export each for itself. A proxy
/// that chooses for each request tears such traces, and what joins spans to traces has something to join.
pub const REQUESTS_A_TRACE: usize = 4;

/// A batch of a collector holds several services: 1,000 spans of five, 100 of one.
const SPANS_A_RESOURCE: usize = 200;

/// Key and length of a span's trace id, the first field that prost writes.
const TRACE_ID_PREFIX: [u8; 2] = [0x0a, 16];

/// A request with so many spans, at least one, that holds its traces whole.
pub fn request(spans: usize, dice: &mut Dice) -> ExportTraceServiceRequest {
    requests(spans, 1, dice).pop().expect("one request was asked for")
}

/// So many requests with so many spans each, at least one, among which the spans of every trace are spread.
fn requests(spans: usize, count: usize, dice: &mut Dice) -> Vec<ExportTraceServiceRequest> {
    let all = spans * count;
    let traces: Vec<[u8; 16]> = (0..all.div_ceil(SPANS_A_TRACE)).map(|_| dice.bytes()).collect();
    let mut order: Vec<usize> = (0..all).map(|number| number / SPANS_A_TRACE).collect();
    for last in (1..order.len()).rev() {
        order.swap(last, dice.below(last as u64 + 1) as usize);
    }
    order.chunks(spans).map(|order| one_request(order.iter().map(|trace| traces[*trace]), dice)).collect()
}

fn one_request(traces: impl Iterator<Item = [u8; 16]>, dice: &mut Dice) -> ExportTraceServiceRequest {
    let spans: Vec<Span> = traces.enumerate().map(|(number, trace)| span(number, trace, dice)).collect();
    let resources = spans.chunks(SPANS_A_RESOURCE).enumerate();
    ExportTraceServiceRequest { resource_spans: resources.map(|(number, spans)| resource(number, spans)).collect() }
}

fn span(number: usize, trace_id: [u8; 16], dice: &mut Dice) -> Span {
    let begin = 1_750_000_000_000_000_000 + dice.below(1_000_000_000);
    let failed = Event {
        time_unix_nano: begin,
        name: "exception".to_owned(),
        attributes: vec![text("exception.type", "java.io.IOException")],
        ..Event::default()
    };
    Span {
        trace_id: trace_id.to_vec(),
        span_id: dice.next().to_be_bytes().to_vec(),
        parent_span_id: dice.next().to_be_bytes().to_vec(),
        flags: 0x101,
        name: "GET /api/v1/orders/{orderId}".to_owned(),
        kind: 2,
        start_time_unix_nano: begin,
        end_time_unix_nano: begin + dice.below(50_000_000),
        attributes: vec![
            text("http.request.method", "GET"),
            text("url.full", &format!("https://shop.example.com/api/v1/orders/{}", dice.next())),
            text("http.route", "/api/v1/orders/{orderId}"),
            whole("http.response.status_code", 200),
            text("server.address", "shop.example.com"),
            whole("server.port", 443),
            text("user_agent.original", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101"),
            text("network.protocol.version", "1.1"),
            text("enduser.id", &format!("user-{}", dice.below(100_000))),
            whole("thread.id", number as i64 % 64),
        ],
        events: if number.is_multiple_of(20) { vec![failed] } else { Vec::new() },
        status: Some(Status::default()),
        ..Span::default()
    }
}

fn resource(number: usize, spans: &[Span]) -> ResourceSpans {
    let schema_url = "https://opentelemetry.io/schemas/1.27.0".to_owned();
    let (server, client) = spans.split_at(spans.len() / 2);
    let scopes = [("io.opentelemetry.tomcat-10.0", server), ("io.opentelemetry.jdbc", client)];
    let scope_spans = scopes.map(|(name, spans)| ScopeSpans {
        scope: Some(InstrumentationScope {
            name: name.to_owned(),
            version: "2.8.0".to_owned(),
            ..InstrumentationScope::default()
        }),
        spans: spans.to_vec(),
        schema_url: schema_url.clone(),
    });
    let attributes = vec![
        text("service.name", &format!("orders-{number}")),
        text("service.version", "1.14.2"),
        text("k8s.pod.name", &format!("orders-{number}-6d5f7c9b8-x2x9z")),
        text("k8s.namespace.name", "production"),
        text("host.name", "ip-10-2-33-114.eu-west-1.compute.internal"),
        text("telemetry.sdk.language", "java"),
    ];
    ResourceSpans {
        resource: Some(Resource { attributes, ..Resource::default() }),
        scope_spans: scope_spans.into(),
        schema_url,
    }
}

fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, Value::StringValue(value.to_owned()))
}

fn whole(key: &str, value: i64) -> KeyValue {
    attribute(key, Value::IntValue(value))
}

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

/// A request that is encoded once and sent often, each time with trace ids that were never sent before: a proxy that
/// remembers traces must not find them again.
pub struct Template {
    body: Vec<u8>,
    /// Where the trace ids begin in the body.
    trace_ids: Vec<usize>,
}

impl Template {
    /// Requests with so many spans, at least one, that share their traces while they are given the same number.
    pub fn group(spans: usize, dice: &mut Dice) -> Vec<Template> {
        requests(spans, REQUESTS_A_TRACE, dice).iter().map(Template::new).collect()
    }

    fn new(request: &ExportTraceServiceRequest) -> Template {
        let message = request.encode_to_vec();
        let length = u32::try_from(message.len()).expect("some hundred bytes for each span stay below 4 GiB");
        let body = [&grpc::prefix(false, length)[..], &message].concat();
        let mut trace_ids = Vec::new();
        let mut from = 0;
        for span in spans_of(request) {
            let needle = [&TRACE_ID_PREFIX[..], &span.trace_id].concat();
            let at = body[from..].windows(needle.len()).position(|bytes| bytes == needle);
            let begin = from + at.expect("prost writes the spans in order, the trace id first") + TRACE_ID_PREFIX.len();
            trace_ids.push(begin);
            from = begin;
        }
        Template { body, trace_ids }
    }

    /// How many spans it has.
    pub fn spans(&self) -> u64 {
        self.trace_ids.len() as u64
    }

    /// The gRPC body whose trace ids are those of this number: other ones for every other number, and no two traces of
    /// the group become one, because all their ids are changed in the same way. Without its first bytes
    /// ([`grpc::PREFIX_LEN`]) it is the body of OTLP/HTTP.
    pub fn numbered(&self, number: u64) -> Bytes {
        let mask = mix(number).to_be_bytes();
        let mut body = self.body.clone();
        for begin in &self.trace_ids {
            for (byte, mask) in body[*begin..].iter_mut().zip(mask) {
                *byte ^= mask;
            }
        }
        body.into()
    }
}

/// All spans of a request, in their order on the wire.
pub fn spans_of(request: &ExportTraceServiceRequest) -> impl Iterator<Item = &Span> {
    let scopes = request.resource_spans.iter().flat_map(|resource| &resource.scope_spans);
    scopes.flat_map(|scope| &scope.spans)
}

/// SplitMix64 (Steele, Lea and Flood, *Fast splittable pseudorandom number generators*, 2014).
pub struct Dice(pub u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// A number below the bound, nearly uniform: the bounds here are far below 2^64.
    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn bytes(&mut self) -> [u8; 16] {
        (u128::from(self.next()) << 64 | u128::from(self.next())).to_be_bytes()
    }
}

/// SplitMix64's last step: different numbers stay different.
fn mix(number: u64) -> u64 {
    let mixed = (number ^ number >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}

#[cfg(test)]
mod tests;
