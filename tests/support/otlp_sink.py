"""A collector of traces of our own: it takes spans by OTLP over HTTP."""

from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.support.http_sink import HttpSink


class OtlpSink(HttpSink):
    """Serves the endpoint while the `with` block runs."""

    def __init__(self) -> None:
        super().__init__()
        self.spans: list[Span] = []
        self.resource: dict[str, Any] = {}
        """The attributes of the service that sent last."""

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def take(self, path: str, body: bytes) -> None:
        """Keep the spans of one export."""
        assert path == "/v1/traces"
        super().take(path, body)
        for sent in ExportTraceServiceRequest.FromString(body).resource_spans:
            self.resource = values(sent.resource.attributes)
            self.spans += [span for scope in sent.scope_spans for span in scope.spans]

    def of_trace(self, trace_id: str) -> list[Span]:
        """Return the spans of a trace, in the order of their beginnings."""
        spans = [span for span in self.spans if span.trace_id.hex() == trace_id]
        return sorted(spans, key=lambda span: span.start_time_unix_nano)


def values(attributes: Any) -> dict[str, Any]:
    """Return attributes as a dictionary."""

    def value(attribute: KeyValue) -> Any:
        return getattr(attribute.value, attribute.value.WhichOneof("value") or "string_value")

    return {attribute.key: value(attribute) for attribute in attributes}
