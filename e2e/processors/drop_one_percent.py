"""For Rotel's --otlp-with-trace-processor: drops the spans whose id is divisible by 100, so that the test knows which.

The ids of the data are random: 218 of 18,522 spans were (1.18 %).
"""


def process_spans(resource_spans):
    for scope_spans in resource_spans.scope_spans:
        kept = [span for span in scope_spans.spans if int.from_bytes(bytes(span.span_id), "big") % 100 != 0]
        if len(kept) != len(scope_spans.spans):
            scope_spans.spans = kept
