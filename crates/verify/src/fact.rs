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
    /// Whether the span's status is ERROR.
    pub error: bool,
    /// `service.name`.
    pub service: &'a str,
    /// The span's name.
    pub operation: &'a str,
    /// The keys of the span's attributes, sorted and distinct.
    pub keys: &'a [&'a str],
    /// The resource's identity attributes (`service.*`, `k8s.*`, `host.*`, `deployment.*`), sorted by key, distinct.
    pub resource: &'a [(&'a str, &'a [u8])],
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
