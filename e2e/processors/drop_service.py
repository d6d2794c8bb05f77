"""For Rotel's --otlp-with-trace-processor: drops every span of one service, named by VERDIGRIS_E2E_DROP_SERVICE."""

import os

SERVICE = os.environ["VERDIGRIS_E2E_DROP_SERVICE"]


def process_spans(resource_spans):
    resource = resource_spans.resource
    attributes = resource.attributes if resource is not None else []
    if any(attribute.key == "service.name" and attribute.value.value == SERVICE for attribute in attributes):
        resource_spans.scope_spans = []
