"""An app of the time before OTLP.

With an exporter of OpenTelemetry's (zipkin, jaeger-grpc, jaeger-thrift) it makes one trace, exports it over OTLP, and then
the same spans over that exporter, so that what arrives can be compared. With py-zipkin it makes one trace of Zipkin's own.
Prints one line of JSON: the hexadecimal trace id. Exit code 1 if an export was not acknowledged.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import urllib.parse
from collections.abc import Sequence

SPAN_LIMIT_ATTRIBUTES = 8


def make_spans() -> Sequence[object]:
    """One of everything that a span can have."""
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import SpanLimits, TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
    from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags

    resource = Resource.create({"service.name": "checkout", "service.version": "7", "team": "tea", "replicas": 3})
    kept = InMemorySpanExporter()
    limits = SpanLimits(max_span_attributes=SPAN_LIMIT_ATTRIBUTES)
    provider = TracerProvider(resource=resource, span_limits=limits)
    provider.add_span_processor(SimpleSpanProcessor(kept))
    tracer = provider.get_tracer("verdigris.e2e", "1")
    elsewhere = SpanContext(0xAB << 120 | 1, 0xCD, is_remote=True, trace_flags=TraceFlags(1))
    with tracer.start_as_current_span("POST /checkout", kind=SpanKind.SERVER, links=[Link(elsewhere)]) as root:
        root.set_attributes({"http.request.method": "POST", "order.number": -5, "order.total": 12.5, "gift": True})
        root.set_attribute("items", ["tea", "cup"])
        root.set_attribute("text", 'ä "quoted" | {text}')
        with tracer.start_as_current_span("price") as price:
            price.set_status(Status(StatusCode.OK))
            price.add_event("cache: miss", {"key": "tea", "tries": 2, "cold": True, "share": 0.5})
            price.add_event("plain")
        with tracer.start_as_current_span("charge", kind=SpanKind.CLIENT) as charge:
            charge.set_attribute("peer.service", "bank")
            charge.set_status(Status(StatusCode.ERROR, "card refused"))
        with (
            tracer.start_as_current_span("orders publish", kind=SpanKind.PRODUCER),
            tracer.start_as_current_span("orders process", kind=SpanKind.CONSUMER) as process,
        ):
            process.set_status(Status(StatusCode.ERROR))
            for number in range(SPAN_LIMIT_ATTRIBUTES + 2):
                process.set_attribute(f"a{number}", number)
    # Another scope.
    with provider.get_tracer("verdigris.other").start_as_current_span("alone"):
        pass
    return kept.get_finished_spans()


class Complaints(logging.Handler):
    """What the exporters only log: Jaeger's Thrift exporter returns SUCCESS whatever it was answered."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.count = 0

    def emit(self, _record: logging.LogRecord) -> None:
        self.count += 1


def export_twice(exporter_name: str, grpc: str, http: str) -> tuple[str, bool]:
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

    spans = make_spans()
    if exporter_name == "zipkin":
        from opentelemetry.exporter.zipkin.json import ZipkinExporter

        old = ZipkinExporter(endpoint=f"{http}/api/v2/spans")
    elif exporter_name == "jaeger-grpc":
        from opentelemetry.exporter.jaeger.proto.grpc import JaegerExporter

        old = JaegerExporter(collector_endpoint=urllib.parse.urlsplit(grpc).netloc, insecure=True)
    else:
        from opentelemetry.exporter.jaeger.thrift import JaegerExporter as JaegerThriftExporter

        old = JaegerThriftExporter(collector_endpoint=f"{http}/api/traces?format=jaeger.thrift")
    complaints = Complaints()
    logging.getLogger().addHandler(complaints)
    results = [OTLPSpanExporter(endpoint=grpc, insecure=True).export(spans), old.export(spans)]
    taken = all(result.name == "SUCCESS" for result in results) and complaints.count == 0
    return f"{spans[0].get_span_context().trace_id:032x}", taken


def send_zipkins_own(http: str) -> tuple[str, bool]:
    from py_zipkin import Encoding, Kind
    from py_zipkin.transport import SimpleHTTPTransport
    from py_zipkin.zipkin import create_attrs_for_span, zipkin_client_span, zipkin_server_span

    address = urllib.parse.urlsplit(http)
    attributes = create_attrs_for_span(sample_rate=100.0, use_128bit_trace_id=False)
    assert address.hostname and address.port
    with zipkin_server_span(
        service_name="shop",
        span_name="get /order",
        zipkin_attrs=attributes,
        transport_handler=SimpleHTTPTransport(address.hostname, address.port),
        encoding=Encoding.V2_JSON,
        binary_annotations={"http.path": "/order"},
        port=8080,
    ) as server:
        assert server.kind == Kind.SERVER
        with zipkin_client_span(service_name="shop", span_name="query") as client:
            client.add_annotation("sent")
            client.add_sa_binary_annotation(5432, "db", "10.0.0.1")
            client.update_binary_annotations({"error": "timeout"})
    # The transport raises what is no success.
    return attributes.trace_id, True


def main() -> int:
    parser = argparse.ArgumentParser(description="A sender of the time before OTLP.")
    parser.add_argument("exporter", choices=["zipkin", "jaeger-grpc", "jaeger-thrift", "py-zipkin"])
    parser.add_argument("--grpc", required=True, help="http://host:port of OTLP/gRPC and of Jaeger's gRPC")
    parser.add_argument("--http", required=True, help="http://host:port of Zipkin, and of Jaeger over HTTP")
    arguments = parser.parse_args()
    if arguments.exporter == "py-zipkin":
        trace_id, taken = send_zipkins_own(arguments.http)
    else:
        trace_id, taken = export_twice(arguments.exporter, arguments.grpc, arguments.http)
    print(json.dumps({"traceId": trace_id}), flush=True)
    return 0 if taken else 1


if __name__ == "__main__":
    sys.exit(main())
