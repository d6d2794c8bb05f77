//! What the clients are told to send. It is made by opentelemetry-proto's code alone, and what arrives is read by it alone:
//! nothing of the gateway's reading or writing is believed.

use crate::process::root;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::ScopeLogs;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{Metric, NumberDataPoint, ScopeMetrics};
use opentelemetry_proto::tonic::trace::v1::{ScopeSpans, Span};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Traces of a run: that a half of them is empty has a chance of 2^-23.
pub(super) const TRACES: u8 = 24;
/// Exports of a run's traces: one of each resource.
pub(super) const EXPORTS: u64 = 2;
/// Where a trace id has the run's number, and the trace's number in its run.
const RUN: usize = 12;
const TRACE: usize = 15;

/// Requests of all three signals.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(super) struct Known {
    pub(super) traces: ExportTraceServiceRequest,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) logs: Option<ExportLogsServiceRequest>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) metrics: Option<ExportMetricsServiceRequest>,
}

/// Whose SDK sends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Language {
    Python,
    JavaScript,
}

/// The number of the run that a span belongs to.
pub(super) fn run_of(span: &Span) -> u8 {
    span.trace_id[RUN]
}

impl Known {
    /// The known set as this language's SDK can send it, its traces as many as [`TRACES`], with the ids of this run.
    pub(super) fn of_run(run: u8, language: Language) -> Known {
        let path = root().join("e2e/conformance/known.json");
        let text = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let mut known: Known = serde_json::from_slice(&text).expect("the known set is OTLP/JSON");
        match language {
            Language::Python => known.for_python(),
            Language::JavaScript => known.for_javascript(),
        }
        for scope in known.scopes_of_spans() {
            let one = std::mem::take(&mut scope.spans);
            let numbered = |number: u8| one.iter().cloned().map(move |span| with_ids(span, run, number));
            scope.spans = (0..TRACES).flat_map(numbered).collect();
        }
        for record in known.scopes_of_records().flat_map(|scope| &mut scope.log_records) {
            if !record.trace_id.is_empty() {
                record.trace_id[RUN] = run;
            }
        }
        known
    }

    /// Without metrics and logs.
    pub(super) fn only_traces(self) -> Known {
        Known { traces: self.traces, ..Known::default() }
    }

    /// Writes it where a client can read it.
    pub(super) fn write(&self, folder: &Path, run: u8) -> PathBuf {
        let path = folder.join(format!("run-{run}.json"));
        std::fs::write(&path, serde_json::to_vec(self).expect("requests are JSON")).expect("the folder is ours");
        path
    }

    /// The exporters of Python leave out the trace flags of spans and links (0 to 255), and the trace state of links.
    fn for_python(&mut self) {
        for span in self.scopes_of_spans().flat_map(|scope| &mut scope.spans) {
            span.flags &= !0xff;
            for link in &mut span.links {
                link.flags &= !0xff;
                link.trace_state.clear();
            }
        }
    }

    /// JavaScript has no numbers but doubles, and its spans take no bytes, no lists of several types and no maps.
    fn for_javascript(&mut self) {
        for span in self.scopes_of_spans().flat_map(|scope| &mut scope.spans) {
            span.attributes.retain(|attribute| attribute.value.as_ref().is_some_and(is_javascript_attribute));
            attributes_to_doubles(&mut span.attributes);
        }
        for record in self.scopes_of_records().flat_map(|scope| &mut scope.log_records) {
            record.body.iter_mut().for_each(to_doubles);
            attributes_to_doubles(&mut record.attributes);
        }
        for point in self.scopes_of_metrics().flat_map(|scope| &mut scope.metrics).flat_map(number_points) {
            if let Some(opentelemetry_proto::tonic::metrics::v1::number_data_point::Value::AsInt(value)) =
                &mut point.value
            {
                *value = *value as f64 as i64;
            }
        }
    }

    fn scopes_of_spans(&mut self) -> impl Iterator<Item = &mut ScopeSpans> {
        self.traces.resource_spans.iter_mut().flat_map(|resource| &mut resource.scope_spans)
    }

    fn scopes_of_records(&mut self) -> impl Iterator<Item = &mut ScopeLogs> {
        self.logs.iter_mut().flat_map(|logs| &mut logs.resource_logs).flat_map(|resource| &mut resource.scope_logs)
    }

    fn scopes_of_metrics(&mut self) -> impl Iterator<Item = &mut ScopeMetrics> {
        let resources = self.metrics.iter_mut().flat_map(|metrics| &mut metrics.resource_metrics);
        resources.flat_map(|resource| &mut resource.scope_metrics)
    }
}

fn with_ids(mut span: Span, run: u8, number: u8) -> Span {
    span.trace_id[RUN] = run;
    span.trace_id[TRACE] = number;
    span
}

fn number_points(metric: &mut Metric) -> &mut [NumberDataPoint] {
    match &mut metric.data {
        Some(Data::Gauge(data)) => &mut data.data_points,
        Some(Data::Sum(data)) => &mut data.data_points,
        _ => &mut [],
    }
}

/// A text, a number or a flag, or a list of one of them.
fn is_javascript_attribute(value: &AnyValue) -> bool {
    let simple = |value: &AnyValue| match &value.value {
        Some(Value::StringValue(_)) => 1,
        Some(Value::BoolValue(_)) => 2,
        Some(Value::IntValue(_) | Value::DoubleValue(_)) => 3,
        _ => 0,
    };
    match &value.value {
        Some(Value::ArrayValue(list)) => {
            list.values.iter().all(|element| simple(element) != 0 && simple(element) == simple(&list.values[0]))
        }
        _ => simple(value) != 0,
    }
}

fn attributes_to_doubles(attributes: &mut [KeyValue]) {
    attributes.iter_mut().filter_map(|attribute| attribute.value.as_mut()).for_each(to_doubles);
}

fn to_doubles(value: &mut AnyValue) {
    match &mut value.value {
        Some(Value::IntValue(int)) => *int = *int as f64 as i64,
        Some(Value::ArrayValue(list)) => list.values.iter_mut().for_each(to_doubles),
        Some(Value::KvlistValue(list)) => attributes_to_doubles(&mut list.values),
        _ => {}
    }
}
