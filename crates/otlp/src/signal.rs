use crate::wire::{Fields, Malformed};

/// What an export request carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Signal {
    /// Spans.
    Traces,
    /// Metric data points.
    Metrics,
    /// Log records.
    Logs,
}

impl Signal {
    /// All three.
    pub const ALL: [Signal; 3] = [Signal::Traces, Signal::Metrics, Signal::Logs];

    /// `traces`, `metrics` or `logs`.
    pub fn name(self) -> &'static str {
        match self {
            Signal::Traces => "traces",
            Signal::Metrics => "metrics",
            Signal::Logs => "logs",
        }
    }

    /// The path of the gRPC method (OTLP specification, "OTLP/gRPC").
    pub fn grpc_path(self) -> &'static str {
        match self {
            Signal::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
            Signal::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
            Signal::Logs => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
        }
    }

    /// The default path of an OTLP/HTTP request (OTLP specification, "OTLP/HTTP Request").
    pub fn http_path(self) -> &'static str {
        match self {
            Signal::Traces => "/v1/traces",
            Signal::Metrics => "/v1/metrics",
            Signal::Logs => "/v1/logs",
        }
    }

    /// The signal of a gRPC method's path.
    pub fn from_grpc_path(path: &str) -> Option<Signal> {
        Signal::ALL.into_iter().find(|signal| signal.grpc_path() == path)
    }

    /// The signal of an OTLP/HTTP request's path.
    pub fn from_http_path(path: &str) -> Option<Signal> {
        Signal::ALL.into_iter().find(|signal| signal.http_path() == path)
    }
}

/// How many items a request of this signal holds: spans, data points or log records, what a partial success counts.
pub fn count_items(signal: Signal, message: &[u8]) -> Result<u64, Malformed> {
    let mut items = 0;
    let mut request = Fields::of(message);
    while let Some(resource) = contents(&mut request, 1)? {
        let mut resource = resource;
        while let Some(mut scope) = contents(&mut resource, 2)? {
            while let Some(item) = contents(&mut scope, 2)? {
                items += match signal {
                    Signal::Traces | Signal::Logs => 1,
                    Signal::Metrics => count_data_points(item)?,
                };
            }
        }
    }
    Ok(items)
}

/// The next submessage with this field number.
pub(crate) fn contents<'m>(fields: &mut Fields<'m>, number: u32) -> Result<Option<Fields<'m>>, Malformed> {
    while let Some(field) = fields.read()? {
        if let (true, Some(inside)) = (field.number == number, field.fields()) {
            return Ok(Some(inside));
        }
    }
    Ok(None)
}

/// A metric has one of gauge, sum, histogram, exponential histogram and summary, each with its points in field 1. Of
/// several, the last kind counts, and all of that kind since another one merge, as protobuf has it for a `oneof`.
fn count_data_points(mut metric: Fields<'_>) -> Result<u64, Malformed> {
    const KINDS: [u32; 5] = [5, 7, 9, 10, 11];
    let (mut kind, mut points) = (0, 0);
    while let Some(field) = metric.read()? {
        if let (true, Some(mut data)) = (KINDS.contains(&field.number), field.fields()) {
            if field.number != kind {
                (kind, points) = (field.number, 0);
            }
            while contents(&mut data, 1)?.is_some() {
                points += 1;
            }
        }
    }
    Ok(points)
}

#[cfg(test)]
mod tests;
