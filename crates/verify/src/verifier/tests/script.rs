//! Calls of the verifier as lines: `10000 green ack a1 parent=2 op=pay keys=x,y resource=host.name:h error`.

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
    pub span: u8,
    pub parent: u8,
    pub kind: u8,
    pub error: bool,
    pub service: String,
    pub operation: String,
    pub keys: Vec<String>,
    pub resource: Vec<(String, String)>,
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

impl Line {
    pub fn new(at_ms: u64, environment: Environment, event: Event) -> Line {
        Line {
            at_ms,
            environment,
            event,
            trace: 'a',
            span: 0,
            parent: 0,
            kind: 2,
            error: false,
            service: "shop".to_owned(),
            operation: "pay".to_owned(),
            keys: Vec::new(),
            resource: Vec::new(),
        }
    }

    pub fn trace(&self) -> TraceId {
        trace(self.trace)
    }

    pub fn with_fact(&self, call: impl FnOnce(&SpanFact<'_>)) {
        let keys: Vec<&str> = self.keys.iter().map(String::as_str).collect();
        let resource: Vec<(&str, &[u8])> =
            self.resource.iter().map(|(key, value)| (key.as_str(), value.as_bytes())).collect();
        call(&SpanFact {
            trace: self.trace(),
            span: span(self.span),
            parent: span(self.parent),
            kind: self.kind,
            error: self.error,
            service: &self.service,
            operation: &self.operation,
            keys: &keys,
            resource: &resource,
        });
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
            "resource" => {
                let pair = |item: String| item.split_once(':').map(|(key, value)| (key.to_owned(), value.to_owned()));
                line.resource = list().map(|item| pair(item).unwrap()).collect();
            }
            other => panic!("{other} in {text}"),
        }
    }
    line
}
