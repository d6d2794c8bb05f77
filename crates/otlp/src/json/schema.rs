//! OTLP's messages as tables: the JSON name, number and type of each field.
//!
//! Source: opentelemetry-proto 1.x, `opentelemetry/proto/{collector,common,resource,trace,metrics,logs}`. A field that
//! is missing here is passed over in JSON, so a newer message loses its new fields, and nothing else.

use Kind::{Bool, Bytes, Double, Fixed32, Fixed64, Id, Int64, Sfixed64, Sint32, Text, Uint32, Uint64};

/// A message type.
pub(super) struct Message {
    /// In words, for errors.
    pub name: &'static str,
    pub fields: &'static [Field],
}

pub(super) struct Field {
    pub name: &'static str,
    pub number: u32,
    pub kind: Kind,
    pub repeated: bool,
}

/// Names and numbers of an enum's values.
pub(super) type Enum = &'static [(&'static str, u32)];

/// A field's type, by how JSON and the wire write it.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Text,
    /// Bytes that OTLP/JSON writes in hexadecimal: trace and span ids.
    Id,
    Bytes,
    Bool,
    Int64,
    Uint64,
    Uint32,
    Sint32,
    Fixed64,
    Sfixed64,
    Fixed32,
    Double,
    Enum(Enum),
    Message(&'static Message),
}

impl Kind {
    /// Whether a repeated field of this type has one key and length for all its elements: proto3 packs all numbers.
    pub fn is_packed(self) -> bool {
        match self {
            Text | Id | Bytes | Kind::Message(_) => false,
            Bool | Int64 | Uint64 | Uint32 | Sint32 | Fixed64 | Sfixed64 | Fixed32 | Double | Kind::Enum(_) => true,
        }
    }
}

const fn one(name: &'static str, number: u32, kind: Kind) -> Field {
    Field { name, number, kind, repeated: false }
}

const fn many(name: &'static str, number: u32, kind: Kind) -> Field {
    Field { name, number, kind, repeated: true }
}

const fn message(message: &'static Message) -> Kind {
    Kind::Message(message)
}

pub(super) static TRACES: Message =
    Message { name: "an ExportTraceServiceRequest", fields: &[many("resourceSpans", 1, message(&RESOURCE_SPANS))] };

/// What trace stores answer: see `stored.rs`. The numbers above 1 are our own, but for Tempo's `status`.
pub(super) static STORED: Message = Message {
    name: "a stored trace",
    fields: &[
        many("resourceSpans", 1, message(&RESOURCE_SPANS)),
        many("batches", 1, message(&RESOURCE_SPANS)),
        one("result", 2, message(&STORED_SPANS)),
        one("trace", 2, message(&STORED_SPANS)),
        one("status", 3, Kind::Enum(&[("COMPLETE", 0), ("PARTIAL", 1)])),
        one("error", 4, message(&STORED_FAILURE)),
    ],
};

static STORED_SPANS: Message = Message {
    name: "a stored trace",
    fields: &[many("resourceSpans", 1, message(&RESOURCE_SPANS)), many("batches", 1, message(&RESOURCE_SPANS))],
};

static STORED_FAILURE: Message = Message { name: "an error object", fields: &[one("message", 1, Text)] };

pub(super) static METRICS: Message = Message {
    name: "an ExportMetricsServiceRequest",
    fields: &[many("resourceMetrics", 1, message(&RESOURCE_METRICS))],
};

pub(super) static LOGS: Message =
    Message { name: "an ExportLogsServiceRequest", fields: &[many("resourceLogs", 1, message(&RESOURCE_LOGS))] };

/// `AnyValue` is the one message that holds itself.
pub(super) static ANY_VALUE: Message = Message {
    name: "an AnyValue object",
    fields: &[
        one("stringValue", 1, Text),
        one("boolValue", 2, Bool),
        one("intValue", 3, Int64),
        one("doubleValue", 4, Double),
        one("arrayValue", 5, message(&ARRAY_VALUE)),
        one("kvlistValue", 6, message(&KEY_VALUE_LIST)),
        one("bytesValue", 7, Bytes),
    ],
};

static ARRAY_VALUE: Message =
    Message { name: "an ArrayValue object", fields: &[many("values", 1, message(&ANY_VALUE))] };

static KEY_VALUE_LIST: Message =
    Message { name: "a KeyValueList object", fields: &[many("values", 1, message(&KEY_VALUE))] };

static KEY_VALUE: Message =
    Message { name: "a KeyValue object", fields: &[one("key", 1, Text), one("value", 2, message(&ANY_VALUE))] };

static RESOURCE: Message = Message {
    name: "a Resource object",
    fields: &[
        many("attributes", 1, message(&KEY_VALUE)),
        one("droppedAttributesCount", 2, Uint32),
        many("entityRefs", 3, message(&ENTITY_REF)),
    ],
};

static ENTITY_REF: Message = Message {
    name: "an EntityRef object",
    fields: &[
        one("schemaUrl", 1, Text),
        one("type", 2, Text),
        many("idKeys", 3, Text),
        many("descriptionKeys", 4, Text),
    ],
};

static SCOPE: Message = Message {
    name: "an InstrumentationScope object",
    fields: &[
        one("name", 1, Text),
        one("version", 2, Text),
        many("attributes", 3, message(&KEY_VALUE)),
        one("droppedAttributesCount", 4, Uint32),
    ],
};

static RESOURCE_SPANS: Message = Message {
    name: "a ResourceSpans object",
    fields: &[
        one("resource", 1, message(&RESOURCE)),
        many("scopeSpans", 2, message(&SCOPE_SPANS)),
        one("schemaUrl", 3, Text),
    ],
};

static SCOPE_SPANS: Message = Message {
    name: "a ScopeSpans object",
    fields: &[one("scope", 1, message(&SCOPE)), many("spans", 2, message(&SPAN)), one("schemaUrl", 3, Text)],
};

static SPAN: Message = Message {
    name: "a Span object",
    fields: &[
        one("traceId", 1, Id),
        one("spanId", 2, Id),
        one("traceState", 3, Text),
        one("parentSpanId", 4, Id),
        one("name", 5, Text),
        one("kind", 6, Kind::Enum(SPAN_KIND)),
        one("startTimeUnixNano", 7, Fixed64),
        one("endTimeUnixNano", 8, Fixed64),
        many("attributes", 9, message(&KEY_VALUE)),
        one("droppedAttributesCount", 10, Uint32),
        many("events", 11, message(&EVENT)),
        one("droppedEventsCount", 12, Uint32),
        many("links", 13, message(&LINK)),
        one("droppedLinksCount", 14, Uint32),
        one("status", 15, message(&STATUS)),
        one("flags", 16, Fixed32),
    ],
};

static EVENT: Message = Message {
    name: "an Event object",
    fields: &[
        one("timeUnixNano", 1, Fixed64),
        one("name", 2, Text),
        many("attributes", 3, message(&KEY_VALUE)),
        one("droppedAttributesCount", 4, Uint32),
    ],
};

static LINK: Message = Message {
    name: "a Link object",
    fields: &[
        one("traceId", 1, Id),
        one("spanId", 2, Id),
        one("traceState", 3, Text),
        many("attributes", 4, message(&KEY_VALUE)),
        one("droppedAttributesCount", 5, Uint32),
        one("flags", 6, Fixed32),
    ],
};

static STATUS: Message =
    Message { name: "a Status object", fields: &[one("message", 2, Text), one("code", 3, Kind::Enum(STATUS_CODE))] };

static RESOURCE_LOGS: Message = Message {
    name: "a ResourceLogs object",
    fields: &[
        one("resource", 1, message(&RESOURCE)),
        many("scopeLogs", 2, message(&SCOPE_LOGS)),
        one("schemaUrl", 3, Text),
    ],
};

static SCOPE_LOGS: Message = Message {
    name: "a ScopeLogs object",
    fields: &[one("scope", 1, message(&SCOPE)), many("logRecords", 2, message(&LOG_RECORD)), one("schemaUrl", 3, Text)],
};

static LOG_RECORD: Message = Message {
    name: "a LogRecord object",
    fields: &[
        one("timeUnixNano", 1, Fixed64),
        one("severityNumber", 2, Kind::Enum(SEVERITY_NUMBER)),
        one("severityText", 3, Text),
        one("body", 5, message(&ANY_VALUE)),
        many("attributes", 6, message(&KEY_VALUE)),
        one("droppedAttributesCount", 7, Uint32),
        one("flags", 8, Fixed32),
        one("traceId", 9, Id),
        one("spanId", 10, Id),
        one("observedTimeUnixNano", 11, Fixed64),
        one("eventName", 12, Text),
    ],
};

static RESOURCE_METRICS: Message = Message {
    name: "a ResourceMetrics object",
    fields: &[
        one("resource", 1, message(&RESOURCE)),
        many("scopeMetrics", 2, message(&SCOPE_METRICS)),
        one("schemaUrl", 3, Text),
    ],
};

static SCOPE_METRICS: Message = Message {
    name: "a ScopeMetrics object",
    fields: &[one("scope", 1, message(&SCOPE)), many("metrics", 2, message(&METRIC)), one("schemaUrl", 3, Text)],
};

static METRIC: Message = Message {
    name: "a Metric object",
    fields: &[
        one("name", 1, Text),
        one("description", 2, Text),
        one("unit", 3, Text),
        one("gauge", 5, message(&GAUGE)),
        one("sum", 7, message(&SUM)),
        one("histogram", 9, message(&HISTOGRAM)),
        one("exponentialHistogram", 10, message(&EXPONENTIAL_HISTOGRAM)),
        one("summary", 11, message(&SUMMARY)),
        many("metadata", 12, message(&KEY_VALUE)),
    ],
};

static GAUGE: Message = Message { name: "a Gauge object", fields: &[many("dataPoints", 1, message(&NUMBER_POINT))] };

static SUM: Message = Message {
    name: "a Sum object",
    fields: &[
        many("dataPoints", 1, message(&NUMBER_POINT)),
        one("aggregationTemporality", 2, Kind::Enum(TEMPORALITY)),
        one("isMonotonic", 3, Bool),
    ],
};

static HISTOGRAM: Message = Message {
    name: "a Histogram object",
    fields: &[
        many("dataPoints", 1, message(&HISTOGRAM_POINT)),
        one("aggregationTemporality", 2, Kind::Enum(TEMPORALITY)),
    ],
};

static EXPONENTIAL_HISTOGRAM: Message = Message {
    name: "an ExponentialHistogram object",
    fields: &[
        many("dataPoints", 1, message(&EXPONENTIAL_HISTOGRAM_POINT)),
        one("aggregationTemporality", 2, Kind::Enum(TEMPORALITY)),
    ],
};

static SUMMARY: Message =
    Message { name: "a Summary object", fields: &[many("dataPoints", 1, message(&SUMMARY_POINT))] };

static NUMBER_POINT: Message = Message {
    name: "a NumberDataPoint object",
    fields: &[
        one("startTimeUnixNano", 2, Fixed64),
        one("timeUnixNano", 3, Fixed64),
        one("asDouble", 4, Double),
        many("exemplars", 5, message(&EXEMPLAR)),
        one("asInt", 6, Sfixed64),
        many("attributes", 7, message(&KEY_VALUE)),
        one("flags", 8, Uint32),
    ],
};

static HISTOGRAM_POINT: Message = Message {
    name: "a HistogramDataPoint object",
    fields: &[
        one("startTimeUnixNano", 2, Fixed64),
        one("timeUnixNano", 3, Fixed64),
        one("count", 4, Fixed64),
        one("sum", 5, Double),
        many("bucketCounts", 6, Fixed64),
        many("explicitBounds", 7, Double),
        many("exemplars", 8, message(&EXEMPLAR)),
        many("attributes", 9, message(&KEY_VALUE)),
        one("flags", 10, Uint32),
        one("min", 11, Double),
        one("max", 12, Double),
    ],
};

static EXPONENTIAL_HISTOGRAM_POINT: Message = Message {
    name: "an ExponentialHistogramDataPoint object",
    fields: &[
        many("attributes", 1, message(&KEY_VALUE)),
        one("startTimeUnixNano", 2, Fixed64),
        one("timeUnixNano", 3, Fixed64),
        one("count", 4, Fixed64),
        one("sum", 5, Double),
        one("scale", 6, Sint32),
        one("zeroCount", 7, Fixed64),
        one("positive", 8, message(&BUCKETS)),
        one("negative", 9, message(&BUCKETS)),
        one("flags", 10, Uint32),
        many("exemplars", 11, message(&EXEMPLAR)),
        one("min", 12, Double),
        one("max", 13, Double),
        one("zeroThreshold", 14, Double),
    ],
};

static BUCKETS: Message =
    Message { name: "a Buckets object", fields: &[one("offset", 1, Sint32), many("bucketCounts", 2, Uint64)] };

static SUMMARY_POINT: Message = Message {
    name: "a SummaryDataPoint object",
    fields: &[
        one("startTimeUnixNano", 2, Fixed64),
        one("timeUnixNano", 3, Fixed64),
        one("count", 4, Fixed64),
        one("sum", 5, Double),
        many("quantileValues", 6, message(&VALUE_AT_QUANTILE)),
        many("attributes", 7, message(&KEY_VALUE)),
        one("flags", 8, Uint32),
    ],
};

static VALUE_AT_QUANTILE: Message =
    Message { name: "a ValueAtQuantile object", fields: &[one("quantile", 1, Double), one("value", 2, Double)] };

static EXEMPLAR: Message = Message {
    name: "an Exemplar object",
    fields: &[
        one("timeUnixNano", 2, Fixed64),
        one("asDouble", 3, Double),
        one("spanId", 4, Id),
        one("traceId", 5, Id),
        one("asInt", 6, Sfixed64),
        many("filteredAttributes", 7, message(&KEY_VALUE)),
    ],
};

const SPAN_KIND: Enum = &[
    ("SPAN_KIND_UNSPECIFIED", 0),
    ("SPAN_KIND_INTERNAL", 1),
    ("SPAN_KIND_SERVER", 2),
    ("SPAN_KIND_CLIENT", 3),
    ("SPAN_KIND_PRODUCER", 4),
    ("SPAN_KIND_CONSUMER", 5),
];

const STATUS_CODE: Enum = &[("STATUS_CODE_UNSET", 0), ("STATUS_CODE_OK", 1), ("STATUS_CODE_ERROR", 2)];

const TEMPORALITY: Enum = &[
    ("AGGREGATION_TEMPORALITY_UNSPECIFIED", 0),
    ("AGGREGATION_TEMPORALITY_DELTA", 1),
    ("AGGREGATION_TEMPORALITY_CUMULATIVE", 2),
];

const SEVERITY_NUMBER: Enum = &[
    ("SEVERITY_NUMBER_UNSPECIFIED", 0),
    ("SEVERITY_NUMBER_TRACE", 1),
    ("SEVERITY_NUMBER_TRACE2", 2),
    ("SEVERITY_NUMBER_TRACE3", 3),
    ("SEVERITY_NUMBER_TRACE4", 4),
    ("SEVERITY_NUMBER_DEBUG", 5),
    ("SEVERITY_NUMBER_DEBUG2", 6),
    ("SEVERITY_NUMBER_DEBUG3", 7),
    ("SEVERITY_NUMBER_DEBUG4", 8),
    ("SEVERITY_NUMBER_INFO", 9),
    ("SEVERITY_NUMBER_INFO2", 10),
    ("SEVERITY_NUMBER_INFO3", 11),
    ("SEVERITY_NUMBER_INFO4", 12),
    ("SEVERITY_NUMBER_WARN", 13),
    ("SEVERITY_NUMBER_WARN2", 14),
    ("SEVERITY_NUMBER_WARN3", 15),
    ("SEVERITY_NUMBER_WARN4", 16),
    ("SEVERITY_NUMBER_ERROR", 17),
    ("SEVERITY_NUMBER_ERROR2", 18),
    ("SEVERITY_NUMBER_ERROR3", 19),
    ("SEVERITY_NUMBER_ERROR4", 20),
    ("SEVERITY_NUMBER_FATAL", 21),
    ("SEVERITY_NUMBER_FATAL2", 22),
    ("SEVERITY_NUMBER_FATAL3", 23),
    ("SEVERITY_NUMBER_FATAL4", 24),
];
