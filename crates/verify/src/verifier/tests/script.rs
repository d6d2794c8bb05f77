//! Calls of the verifier as lines: `10000 green ack a1 parent=2 op=pay keys=x,y:5 resource=host.name:h error at=20+7`.
//! A key has a string after its colon, or a number after `:#`; `at` is start and duration in microseconds; `state` is the
//! trace's state, `event` and `scope` names, `ids` the trace whose span comes out in this one.

use super::*;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    Sent(Delivery),
    Out,
    LeaveOut,
    Missed,
    Advance,
}

/// One call. Traces are named by a letter, spans by a digit.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    pub at_ms: u64,
    pub environment: Environment,
    pub event: Event,
    pub trace: char,
    /// The trace that the span's and the parent's ids are from.
    pub id_of: char,
    pub span: u8,
    pub parent: u8,
    pub kind: u8,
    pub error: bool,
    pub service: String,
    pub operation: String,
    pub keys: Vec<String>,
    pub resource: Vec<(String, String)>,
    /// Start and duration in microseconds.
    pub at_us: (u64, u64),
    pub state: String,
    pub event_name: String,
    pub scope: String,
}

pub fn trace(letter: char) -> TraceId {
    TraceId([letter as u8; 16])
}

pub fn name(trace: TraceId) -> char {
    trace.0[0] as char
}

pub fn span(digit: u8) -> SpanId {
    SpanId([0, 0, 0, 0, 0, 0, 0, digit])
}

/// A span's id is its own in all traces, as ids are that are drawn by chance.
fn span_of(trace: char, digit: u8) -> SpanId {
    if digit == 0 { SpanId::NONE } else { SpanId([trace as u8, 0, 0, 0, 0, 0, 0, digit]) }
}

impl Line {
    pub fn new(at_ms: u64, environment: Environment, event: Event) -> Line {
        Line {
            at_ms,
            environment,
            event,
            trace: 'a',
            id_of: 'a',
            span: 0,
            parent: 0,
            kind: 2,
            error: false,
            service: "shop".to_owned(),
            operation: "pay".to_owned(),
            keys: Vec::new(),
            resource: Vec::new(),
            at_us: (0, 0),
            state: String::new(),
            event_name: String::new(),
            scope: String::new(),
        }
    }

    pub fn trace(&self) -> TraceId {
        trace(self.trace)
    }

    pub fn with_fact(&self, call: impl FnOnce(&SpanFact<'_>)) {
        let values: Vec<(&str, Vec<u8>)> = self.keys.iter().map(|key| attribute(key)).collect();
        let mut attributes: Vec<(&str, &[u8])> = values.iter().map(|(key, value)| (*key, &value[..])).collect();
        attributes.sort_unstable();
        let resource: Vec<(&str, &[u8])> =
            self.resource.iter().map(|(key, value)| (key.as_str(), value.as_bytes())).collect();
        call(&SpanFact {
            trace: self.trace(),
            span: span_of(self.id_of, self.span),
            parent: span_of(self.id_of, self.parent),
            kind: self.kind,
            status: Status { code: if self.error { 2 } else { 0 }, message: "" },
            service: &self.service,
            operation: &self.operation,
            start_ns: (self.at_us.0 + 1) * 1_000,
            end_ns: (self.at_us.0 + self.at_us.1 + 1) * 1_000,
            trace_state: &self.state,
            events: &[self.event_name.as_bytes()],
            scope: [&self.scope, "", ""],
            attributes: &attributes,
            resource: &resource,
            ..SpanFact::default()
        });
    }
}

/// `key`, `key:text` or `key:#7` as key and an `AnyValue`'s bytes.
fn attribute(text: &str) -> (&str, Vec<u8>) {
    let (key, value) = text.split_once(':').unwrap_or((text, ""));
    match value.strip_prefix('#') {
        Some(number) => (key, vec![0x18, number.parse().unwrap()]),
        None => (key, [&[0x0a, value.len() as u8], value.as_bytes()].concat()),
    }
}

pub fn parse(script: &str) -> Vec<Line> {
    script.lines().map(str::trim).filter(|line| !line.is_empty()).map(parse_line).collect()
}

fn parse_line(text: &str) -> Line {
    let mut words = text.split_whitespace();
    let mut next = || words.next();
    let at_ms = next().unwrap().parse().unwrap();
    let environment = if next().unwrap() == "blue" { Environment::Blue } else { Environment::Green };
    let event = match next().unwrap() {
        "ack" => Event::Sent(Delivery::Acknowledged),
        "refused" => Event::Sent(Delivery::Refused),
        "unknown" => Event::Sent(Delivery::Unknown),
        "unanswered" => Event::Sent(Delivery::Unanswered),
        "out" => Event::Out,
        "leave-out" => Event::LeaveOut,
        "missed" => Event::Missed,
        "advance" => Event::Advance,
        other => panic!("{other} in {text}"),
    };
    let mut line = Line::new(at_ms, environment, event);
    if let Some(span) = next() {
        line.trace = span.chars().next().unwrap();
        line.id_of = line.trace;
        line.span = span[1..].parse().unwrap();
    }
    for word in words {
        let (key, value) = word.split_once('=').unwrap_or((word, ""));
        let list = || value.split(',').map(str::to_owned);
        match key {
            "parent" => line.parent = value.parse().unwrap(),
            "kind" => line.kind = value.parse().unwrap(),
            "error" => line.error = true,
            "service" => line.service = value.to_owned(),
            "op" => line.operation = value.to_owned(),
            "keys" => line.keys = list().collect(),
            "ids" => line.id_of = value.chars().next().unwrap(),
            "state" => line.state = value.to_owned(),
            "event" => line.event_name = value.to_owned(),
            "scope" => line.scope = value.to_owned(),
            "at" => {
                let (start, duration) = value.split_once('+').unwrap();
                line.at_us = (start.parse().unwrap(), duration.parse().unwrap());
            }
            "resource" => {
                let pair = |item: String| item.split_once(':').map(|(key, value)| (key.to_owned(), value.to_owned()));
                line.resource = list().map(|item| pair(item).unwrap()).collect();
            }
            other => panic!("{other} in {text}"),
        }
    }
    line
}
