"""A small instrumented app: the real OpenTelemetry SDK with its batch processors and OTLP exporters.

Makes --traces traces of six nested spans (an event, an error and several attribute types among them) and, where
--signals asks for it, a counter, a histogram and one log record. Prints one JSON line: what was made, and for each
signal how much its exporter reported as delivered or gave up (`traces` in spans, `metrics` in requests, `logs` in
records): {"traces": 10, "spans": 60, "exported": {"traces": {"acknowledged": 60, "refused": 0}}}. Exit code 0 when all
of it was delivered, 1 when not, 2 for wrong usage.
"""

import argparse
import dataclasses
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, LogRecordExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricExporter, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import SpanKind, Status, StatusCode

SPANS_PER_TRACE = 6
# The batch processor drops what does not fit its queue of 2,048: 200 traces of six spans are 1,200.
TRACES_PER_FLUSH = 200
FLUSH_MS = 30_000


@dataclasses.dataclass
class Outcome:
    """What the exporter of one signal said of its requests: the SDK itself tells nobody."""

    acknowledged: int = 0
    refused: int = 0

    def watch(self, exporter: SpanExporter | MetricExporter | LogRecordExporter, size: Callable[[Any], int]) -> None:
        """Counts what `export` is given, by what it returns."""
        export = exporter.export

        def counted(data: Any, *arguments: Any, **options: Any) -> Any:
            result = export(data, *arguments, **options)
            if result.name == "SUCCESS":
                self.acknowledged += size(data)
            else:
                self.refused += size(data)
            return result

        exporter.export = counted  # type: ignore[method-assign]


@dataclasses.dataclass
class Tls:
    """Files in PEM: whom an `https://` endpoint must be signed by, and what it is shown."""

    ca: str | None = None
    cert: str | None = None
    key: str | None = None


def read(path: str | None) -> bytes | None:
    return Path(path).read_bytes() if path else None


def make_exporters(
    protocol: str, endpoint: str, gzip: bool, timeout_s: float, tls: Tls
) -> tuple[SpanExporter, MetricExporter, LogRecordExporter]:
    """The exporters of the three signals. `endpoint` is `http://host:port` or `https://host:port` for both protocols."""
    if protocol == "grpc":
        from grpc import Compression, ssl_channel_credentials
        from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
        from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

        secure = endpoint.startswith("https://")
        options: dict[str, Any] = {
            "endpoint": endpoint,
            "insecure": not secure,
            "credentials": ssl_channel_credentials(read(tls.ca), read(tls.key), read(tls.cert)) if secure else None,
            "timeout": timeout_s,
            "compression": Compression.Gzip if gzip else Compression.NoCompression,
        }
        return OTLPSpanExporter(**options), OTLPMetricExporter(**options), OTLPLogExporter(**options)
    from opentelemetry.exporter.otlp.proto.http import Compression as HttpCompression
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as HttpLogExporter
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter as HttpMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpSpanExporter

    base = endpoint.rstrip("/")
    http_options: dict[str, Any] = {
        "timeout": timeout_s,
        "compression": HttpCompression.Gzip if gzip else HttpCompression.NoCompression,
        "certificate_file": tls.ca,
        "client_certificate_file": tls.cert,
        "client_key_file": tls.key,
    }
    return (
        HttpSpanExporter(endpoint=f"{base}/v1/traces", **http_options),
        HttpMetricExporter(endpoint=f"{base}/v1/metrics", **http_options),
        HttpLogExporter(endpoint=f"{base}/v1/logs", **http_options),
    )


def make_traces(resource: Resource, exporter: SpanExporter, traces: int, error_every: int) -> None:
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=200))
    tracer = provider.get_tracer("verdigris.e2e", "1")
    for number in range(traces):
        with tracer.start_as_current_span("POST /checkout", kind=SpanKind.SERVER) as root:
            root.set_attributes({"http.request.method": "POST", "http.route": "/checkout", "order.number": number})
            with tracer.start_as_current_span("price") as price:
                price.set_attributes({"order.total": 12.5, "order.items": ["tea", "cup"], "order.gift": number % 2 == 0})
                with tracer.start_as_current_span("SELECT prices", kind=SpanKind.CLIENT) as query:
                    query.set_attributes({"db.system.name": "postgresql", "db.operation.name": "SELECT"})
            with tracer.start_as_current_span("charge", kind=SpanKind.CLIENT) as charge:
                charge.add_event("card.authorised", {"attempt": 1})
                if error_every and number % error_every == 0:
                    charge.set_status(Status(StatusCode.ERROR, "card refused"))
            with (
                tracer.start_as_current_span("orders publish", kind=SpanKind.PRODUCER),
                tracer.start_as_current_span("orders process", kind=SpanKind.CONSUMER),
            ):
                pass
        if (number + 1) % TRACES_PER_FLUSH == 0:
            provider.force_flush(FLUSH_MS)
    provider.shutdown()


def make_metrics(resource: Resource, exporter: MetricExporter) -> None:
    """One counter and one histogram, in the one request that the shutdown sends."""
    reader = PeriodicExportingMetricReader(exporter, export_interval_millis=3_600_000)
    provider = MeterProvider(resource=resource, metric_readers=[reader])
    meter = provider.get_meter("verdigris.e2e", "1")
    meter.create_counter("orders", unit="{order}").add(3, {"order.gift": True})
    meter.create_histogram("checkout.duration", unit="s").record(0.125)
    provider.shutdown()


def make_log(resource: Resource, exporter: LogRecordExporter) -> None:
    """One log record."""
    provider = LoggerProvider(resource=resource)
    provider.add_log_record_processor(BatchLogRecordProcessor(exporter))
    record = LogRecord(severity_number=SeverityNumber.WARN, severity_text="WARN", body="the card was refused twice")
    provider.get_logger("verdigris.e2e", "1").emit(record)
    provider.shutdown()


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="A small app with the real OpenTelemetry SDK.")
    parser.add_argument("--endpoint", required=True, help="http://host:port or https://…, for grpc and http")
    parser.add_argument("--ca", help="PEM of the authorities that may have signed the endpoint's certificate")
    parser.add_argument("--cert", help="PEM of the certificate that is shown to the endpoint")
    parser.add_argument("--key", help="PEM of its key")
    parser.add_argument("--protocol", choices=["grpc", "http"], default="grpc")
    parser.add_argument("--gzip", action="store_true", help="compress the requests")
    parser.add_argument("--service", default="checkout", help="service.name")
    parser.add_argument("--traces", type=int, default=10)
    parser.add_argument("--error-every", type=int, default=0, help="every n-th trace has a span with an error; 0: none")
    parser.add_argument("--signals", default="traces", help="a list of traces, metrics, logs, with commas")
    parser.add_argument("--export-timeout", type=float, default=10.0, help="seconds of one export call")
    arguments = parser.parse_args()
    arguments.signals = arguments.signals.split(",")
    for signal in arguments.signals:
        if signal not in ("traces", "metrics", "logs"):
            parser.error(f"--signals: {signal!r} is none of traces, metrics, logs")
    return arguments


def main() -> int:
    arguments = parse_arguments()
    resource = Resource.create({"service.name": arguments.service, "deployment.environment.name": "e2e"})
    spans, metrics, logs = make_exporters(
        arguments.protocol,
        arguments.endpoint,
        arguments.gzip,
        arguments.export_timeout,
        Tls(arguments.ca, arguments.cert, arguments.key),
    )
    outcomes = {signal: Outcome() for signal in arguments.signals}
    made = 0
    if "traces" in outcomes:
        made = arguments.traces
        outcomes["traces"].watch(spans, len)
        make_traces(resource, spans, made, arguments.error_every)
    if "metrics" in outcomes:
        outcomes["metrics"].watch(metrics, lambda _data: 1)
        make_metrics(resource, metrics)
    if "logs" in outcomes:
        outcomes["logs"].watch(logs, len)
        make_log(resource, logs)
    exported = {signal: dataclasses.asdict(outcome) for signal, outcome in outcomes.items()}
    report = {"traces": made, "spans": made * SPANS_PER_TRACE, "exported": exported}
    print(json.dumps(report), flush=True)
    expected = {"traces": made * SPANS_PER_TRACE, "metrics": 1, "logs": 1}
    return 0 if all(outcome.acknowledged == expected[signal] for signal, outcome in outcomes.items()) else 1


if __name__ == "__main__":
    sys.exit(main())
