"""For Rotel's --otlp-with-trace-processor: masks every attribute payment.note."""

from rotel_sdk.open_telemetry.common.v1 import AnyValue

KEY = "payment.note"


def process_spans(resource_spans):
    for scope_spans in resource_spans.scope_spans:
        for span in scope_spans.spans:
            for attribute in span.attributes:
                if attribute.key == KEY:
                    attribute.value = AnyValue("****")
