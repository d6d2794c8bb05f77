use model::{SpanId, TraceId};

/// What is read of one span, when it is handed to an environment and again when it comes out.
#[derive(Clone, Copy, Debug)]
pub struct SpanFact<'a> {
    /// The trace's id.
    pub trace: TraceId,
    /// The span's id. With the trace's id and the kind it names the span: Zipkin's shared spans repeat an id for CLIENT
    /// and SERVER.
    pub span: SpanId,
    /// The parent's id; [`SpanId::NONE`] for a root.
    pub parent: SpanId,
    /// OTLP's SpanKind, 0 to 5.
    pub kind: u8,
    /// `service.name`.
    pub service: &'a str,
    /// The span's name.
    pub operation: &'a str,
    /// Nanoseconds since the Unix epoch.
    pub start_ns: u64,
    /// Nanoseconds since the Unix epoch.
    pub end_ns: u64,
    /// The status.
    pub status: Status<'a>,
    /// W3C Trace Context's `tracestate`.
    pub trace_state: &'a str,
    /// W3C Trace Context's flags, and OTLP's own above the lowest eight bits.
    pub flags: u32,
    /// The span's attributes, sorted by key, distinct; the value is an `AnyValue`'s wire bytes.
    pub attributes: &'a [(&'a str, &'a [u8])],
    /// Each event's bytes, in their order.
    pub events: &'a [&'a [u8]],
    /// Each link's bytes, in their order.
    pub links: &'a [&'a [u8]],
    /// How many attributes, events and links the SDK dropped.
    pub dropped: [u32; 3],
    /// Name, version and schema URL of the instrumentation scope.
    pub scope: [&'a str; 3],
    /// The resource's identity attributes (`service.*`, `k8s.*`, `host.*`, `deployment.*`), sorted by key, distinct.
    pub resource: &'a [(&'a str, &'a [u8])],
}

/// A span's status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status<'a> {
    /// OTLP's StatusCode: 0 unset, 1 ok, 2 error.
    pub code: i32,
    /// For people.
    pub message: &'a str,
}

impl Status<'_> {
    /// Whether the code is ERROR.
    pub fn is_error(&self) -> bool {
        self.code == 2
    }
}

impl Default for SpanFact<'_> {
    /// A root without anything.
    fn default() -> Self {
        SpanFact {
            trace: TraceId::default(),
            span: SpanId::default(),
            parent: SpanId::NONE,
            kind: 0,
            service: "",
            operation: "",
            start_ns: 0,
            end_ns: 0,
            status: Status::default(),
            trace_state: "",
            flags: 0,
            attributes: &[],
            events: &[],
            links: &[],
            dropped: [0; 3],
            scope: [""; 3],
            resource: &[],
        }
    }
}

/// What became of handing a span to an environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Delivery {
    /// It took the span, so the span must come out.
    Acknowledged,
    /// It did not take the span. It may still have taken a part of the request.
    Refused,
    /// There was no answer: it may or may not have taken the span.
    Unknown,
    /// There is no answer yet. It is told once for a hand-over that takes long, so that an environment which never
    /// answers is judged in time; what became of it is told later, with the same time of hand-over.
    Unanswered,
}
