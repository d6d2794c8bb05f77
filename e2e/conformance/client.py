"""Sends what files of OTLP/JSON say, through the real OpenTelemetry SDK and its exporters for Python.

A file has `traces`, and may have `metrics` and `logs`, each an export request. The SDK's own API makes the same items of
it, with the file's ids and times; where the SDK has none (a metric's times) the file has none. Each `--send` is
`plain:FILE` or `gzip:FILE`; they are sent one after the other, each by exporters of its own, and before the items of a
signal goes one empty batch. Prints one line of JSON: for each `--send` what its exporters said, in exports by signal, for
example [{"traces": {"acknowledged": 3, "refused": 0}}]. Exit code 0, whatever they said.
"""

import argparse
import base64
import dataclasses
import json
import sys
from collections.abc import Callable, Sequence
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, LogRecordExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricExporter, MetricsData, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

Json = dict[str, Any]


@dataclasses.dataclass
class Target:
    """Where to, and how."""

    protocol: str
    endpoint: str
    gzip: bool
    timeout_s: float
    ca: str | None
    cert: str | None
    key: str | None

    def exporter(self, signal: str) -> Any:
        """A new exporter of one signal."""
        return self._grpc(signal) if self.protocol == "grpc" else self._http(signal)

    def _grpc(self, signal: str) -> Any:
        from grpc import Compression, ssl_channel_credentials
        from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
        from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

        exporters = {"traces": OTLPSpanExporter, "metrics": OTLPMetricExporter, "logs": OTLPLogExporter}
        credentials = None
        if self.endpoint.startswith("https:"):
            credentials = ssl_channel_credentials(read(self.ca), read(self.key), read(self.cert))
        return exporters[signal](
            endpoint=self.endpoint,
            credentials=credentials,
            timeout=self.timeout_s,
            compression=Compression.Gzip if self.gzip else Compression.NoCompression,
        )

    def _http(self, signal: str) -> Any:
        from opentelemetry.exporter.otlp.proto.http import Compression
        from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        exporters = {"traces": OTLPSpanExporter, "metrics": OTLPMetricExporter, "logs": OTLPLogExporter}
        return exporters[signal](
            endpoint=f"{self.endpoint}/v1/{signal}",
            certificate_file=self.ca,
            client_certificate_file=self.cert,
            client_key_file=self.key,
            timeout=self.timeout_s,
            compression=Compression.Gzip if self.gzip else Compression.NoCompression,
        )


def read(path: str | None) -> bytes | None:
    if path is None:
        return None
    with open(path, "rb") as file:
        return file.read()


@dataclasses.dataclass
class Outcome:
    """What the exporters of one signal said, in exports."""

    acknowledged: int = 0
    refused: int = 0

    def watch(self, exporter: Any) -> Any:
        export = exporter.export

        def counted(data: Any, *arguments: Any, **options: Any) -> Any:
            result = export(data, *arguments, **options)
            if result.name == "SUCCESS":
                self.acknowledged += 1
            else:
                self.refused += 1
            return result

        exporter.export = counted
        return exporter


class Script(IdGenerator, Sampler):
    """Gives the next span the ids and the trace state that the file has for it."""

    def __init__(self) -> None:
        self.span: Json = {}

    def generate_span_id(self) -> int:
        return int(self.span["spanId"], 16)

    def generate_trace_id(self) -> int:
        return int(self.span["traceId"], 16)

    def should_sample(
        self,
        parent_context: Any,
        trace_id: int,
        name: str,
        kind: Any = None,
        attributes: Any = None,
        links: Any = None,
        trace_state: Any = None,
    ) -> SamplingResult:
        state = TraceState.from_header([self.span["traceState"]])
        return SamplingResult(Decision.RECORD_AND_SAMPLE, attributes, state)

    def get_description(self) -> str:
        return "Script"


def value(any_value: Json) -> Any:
    """What an AnyValue is in Python."""
    [(kind, content)] = any_value.items()
    if kind == "intValue":
        return int(content)
    if kind == "bytesValue":
        return base64.b64decode(content)
    if kind == "arrayValue":
        return [value(element) for element in content["values"]]
    if kind == "kvlistValue":
        return attributes(content["values"])
    return content


def attributes(key_values: Sequence[Json]) -> dict[str, Any]:
    return {key_value["key"]: value(key_value["value"]) for key_value in key_values}


def resource(resource_items: Json) -> Resource:
    return Resource(attributes(resource_items["resource"]["attributes"]), resource_items["schemaUrl"])


def scope(scope_items: Json) -> list[str]:
    return [scope_items["scope"]["name"], scope_items["scope"]["version"]]


def context_of(trace_id: str, span_id: str, state: str = "") -> SpanContext:
    trace_state = TraceState.from_header([state]) if state else TraceState()
    return SpanContext(int(trace_id, 16), int(span_id, 16), False, TraceFlags(TraceFlags.SAMPLED), trace_state)


def within(trace_id: str, span_id: str) -> otel_context.Context:
    """A context whose span is this one; an empty one if there is none."""
    if not span_id:
        return otel_context.Context()
    return trace.set_span_in_context(NonRecordingSpan(context_of(trace_id, span_id)), otel_context.Context())


def send_traces(request: Json, exporter: Callable[[], SpanExporter]) -> None:
    for resource_spans in request["resourceSpans"]:
        script = Script()
        provider = TracerProvider(sampler=script, resource=resource(resource_spans), id_generator=script)
        provider.add_span_processor(BatchSpanProcessor(exporter()))
        for scope_spans in resource_spans["scopeSpans"]:
            tracer = provider.get_tracer(*scope(scope_spans), schema_url=scope_spans["schemaUrl"])
            for span in scope_spans["spans"]:
                script.span = span
                send_span(tracer, span)
        provider.shutdown()


def send_span(tracer: trace.Tracer, span: Json) -> None:
    links = [
        Link(context_of(link["traceId"], link["spanId"], link["traceState"]), attributes(link["attributes"]))
        for link in span["links"]
    ]
    started = tracer.start_span(
        span["name"],
        context=within(span["traceId"], span["parentSpanId"]),
        kind=SpanKind(span["kind"] - 1),
        attributes=attributes(span["attributes"]),
        links=links,
        start_time=int(span["startTimeUnixNano"]),
    )
    for event in span["events"]:
        started.add_event(event["name"], attributes(event["attributes"]), int(event["timeUnixNano"]))
    status = span["status"] or {}
    if status.get("code"):
        started.set_status(Status(StatusCode(status["code"]), status.get("message") or None))
    started.end(int(span["endTimeUnixNano"]))


def send_logs(request: Json, exporter: Callable[[], LogRecordExporter]) -> None:
    for resource_logs in request["resourceLogs"]:
        provider = LoggerProvider(resource=resource(resource_logs))
        provider.add_log_record_processor(BatchLogRecordProcessor(exporter()))
        for scope_logs in resource_logs["scopeLogs"]:
            logger = provider.get_logger(*scope(scope_logs), schema_url=scope_logs["schemaUrl"])
            for record in scope_logs["logRecords"]:
                logger.emit(
                    LogRecord(
                        timestamp=int(record["timeUnixNano"]),
                        observed_timestamp=int(record["observedTimeUnixNano"]),
                        context=within(record["traceId"], record["spanId"]),
                        severity_text=record["severityText"],
                        severity_number=SeverityNumber(record["severityNumber"]),
                        body=value(record["body"]),
                        attributes=attributes(record["attributes"]),
                        event_name=record["eventName"] or None,
                    )
                )
        provider.shutdown()


def send_metrics(request: Json, exporter: Callable[[], MetricExporter]) -> None:
    for resource_metrics in request["resourceMetrics"]:
        # The one export is that of the shutdown.
        reader = PeriodicExportingMetricReader(exporter(), export_interval_millis=3_600_000)
        provider = MeterProvider(resource=resource(resource_metrics), metric_readers=[reader])
        for scope_metrics in resource_metrics["scopeMetrics"]:
            meter = provider.get_meter(*scope(scope_metrics), schema_url=scope_metrics["schemaUrl"])
            for metric in scope_metrics["metrics"]:
                send_metric(meter, metric)
        provider.shutdown()


def send_metric(meter: Any, metric: Json) -> None:
    named = {"name": metric["name"], "unit": metric["unit"], "description": metric["description"]}
    measure: Callable[..., None]
    if "gauge" in metric:
        kind, measure = "gauge", meter.create_gauge(**named).set
    elif "histogram" in metric:
        kind, measure = "histogram", meter.create_histogram(**named).record
    elif metric["sum"]["isMonotonic"]:
        kind, measure = "sum", meter.create_counter(**named).add
    else:
        kind, measure = "sum", meter.create_up_down_counter(**named).add
    for point in metric[kind]["dataPoints"]:
        # A histogram's point is of one measurement, so that its sum is that.
        measured = int(point["asInt"]) if "asInt" in point else point.get("asDouble", point.get("sum"))
        measure(measured, attributes(point["attributes"]))


EMPTY: dict[str, Any] = {"traces": [], "metrics": MetricsData(resource_metrics=[]), "logs": []}
SENDERS: dict[str, Callable[[Json, Callable[[], Any]], None]] = {
    "traces": send_traces,
    "metrics": send_metrics,
    "logs": send_logs,
}


def send(target: Target, path: str) -> Json:
    with open(path, encoding="utf-8") as file:
        requests: Json = json.load(file)
    outcomes = {}
    for signal, request in requests.items():
        outcome = Outcome()
        empty = outcome.watch(target.exporter(signal))
        empty.export(EMPTY[signal])
        empty.shutdown()
        SENDERS[signal](request, lambda signal=signal, outcome=outcome: outcome.watch(target.exporter(signal)))
        outcomes[signal] = dataclasses.asdict(outcome)
    return outcomes


def main() -> int:
    parser = argparse.ArgumentParser(description="Sends what files say, through the OpenTelemetry SDK.")
    parser.add_argument("--endpoint", required=True, help="http://host:port or https://host:port")
    parser.add_argument("--protocol", choices=["grpc", "http/protobuf"], required=True)
    parser.add_argument("--ca", help="PEM file of who signed the server's certificate")
    parser.add_argument("--cert", help="PEM file of the client's certificate")
    parser.add_argument("--key", help="PEM file of its key")
    parser.add_argument("--export-timeout", type=float, default=10.0, help="seconds of one export, with its retries")
    parser.add_argument("--send", action="append", required=True, help="plain:FILE or gzip:FILE")
    arguments = parser.parse_args()
    outcomes = []
    for sending in arguments.send:
        compression, _, path = sending.partition(":")
        if compression not in ("plain", "gzip"):
            parser.error(f"--send {sending!r}: expected plain:FILE or gzip:FILE")
        target = Target(
            protocol=arguments.protocol,
            endpoint=arguments.endpoint,
            gzip=compression == "gzip",
            timeout_s=arguments.export_timeout,
            ca=arguments.ca,
            cert=arguments.cert,
            key=arguments.key,
        )
        outcomes.append(send(target, path))
    print(json.dumps(outcomes), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
