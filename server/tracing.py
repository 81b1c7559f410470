"""Traces of the calls and of what they ask of the databases, sent by OTLP over HTTP.

Import it when traces are wanted: OpenTelemetry takes memory that a server without them can save.
"""

import asyncio
import re
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.asyncpg import AsyncPGInstrumentor
from opentelemetry.instrumentation.redis import RedisInstrumentor
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from opentelemetry.trace import (
    Link,
    SpanKind,
    Status,
    Tracer,
    TraceState,
    get_current_span,
)
from opentelemetry.util.types import Attributes

_FLUSH: Final = 2.0
"""How many seconds the end waits for what is not sent yet."""

_STATEMENT: Final = "db.statement"
_KEPT: Final = frozenset(
    {
        "db.name",
        "db.redis.args_length",
        "db.redis.database_index",
        "db.redis.pipeline_length",
        "db.system",
        "error.type",
        "net.peer.name",
        "net.peer.port",
        "net.transport",
        "patron.error_id",
        "patron.reason",
        "rpc.grpc.status_code",
        "rpc.method",
        "rpc.service",
        "rpc.system",
        _STATEMENT,
    }
)
"""The attributes that leave the server, whatever else an instrumentation may think of."""

_VALUES: Final = re.compile(r"'(?:[^']|'')*'|(?<![\w$])\d+(?:\.\d+)?")
"""The literals of a statement; a parameter such as $1 is none."""


@asynccontextmanager
async def tracing(endpoint: str, *, release: str, instance: str) -> AsyncIterator[Tracer]:
    """Send the spans of the tracer, and of asyncpg and Redis within them, while the body runs.

    They are sent from a thread of their own, in batches, and dropped when too many wait. How many
    are sampled and how they are sent is up to OpenTelemetry's own variables. One at a time may be
    open in a process.

    Args:
        endpoint: The base of the collector's URL, such as `http://localhost:4318`.
        release: The version of the service.
        instance: What tells the process from the others of the service.
    """
    provider = _provider(endpoint, release=release, instance=instance)
    postgres, redis = AsyncPGInstrumentor(), RedisInstrumentor()
    postgres.instrument(tracer_provider=provider)
    redis.instrument(tracer_provider=provider)
    try:
        yield provider.get_tracer("patron", release)
    finally:
        redis.uninstrument()
        postgres.uninstrument()
        await asyncio.to_thread(_shut_down, provider)


def _provider(endpoint: str, *, release: str, instance: str) -> TracerProvider:
    resource = Resource.create(
        {
            "service.name": "patron",
            "service.version": release,
            "service.instance.id": instance,
        }
    ).merge(OTELResourceDetector().detect())  # What operators say goes before.
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.sampler = _WithinCalls(provider.sampler)
    exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces")
    provider.add_span_processor(BatchSpanProcessor(_Scrubbed(exporter)))
    return provider


def _shut_down(provider: TracerProvider) -> None:
    # The provider takes no time-out, and waits for half a minute; nobody has to wait for a daemon.
    thread = threading.Thread(target=provider.shutdown, name="traces", daemon=True)
    thread.start()
    thread.join(_FLUSH)


class _WithinCalls(Sampler):
    """Samples calls as another sampler says, and nothing that the server does for itself."""

    def __init__(self, sampler: Sampler) -> None:
        self._sampler = sampler

    def should_sample(  # noqa: PLR0917 - the SDK's signature
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        """Drop a span that is neither a call nor within one."""
        if (
            kind is not SpanKind.SERVER
            and not get_current_span(parent_context).get_span_context().is_valid
        ):
            return SamplingResult(Decision.DROP)
        return self._sampler.should_sample(
            parent_context, trace_id, name, kind, attributes, links, trace_state
        )

    def get_description(self) -> str:
        """Return what it does, in OpenTelemetry's manner."""
        return f"WithinCalls{{{self._sampler.get_description()}}}"


class _Scrubbed(SpanExporter):
    """Exports spans without anything that somebody could have put a name into."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Export what may be known of the spans."""
        return self._exporter.export([_scrub(span) for span in spans])

    def shutdown(self) -> None:
        """Stop exporting."""
        self._exporter.shutdown()


def _scrub(span: ReadableSpan) -> ReadableSpan:
    """Return the span without values in its statement and without the texts of exceptions.

    The driver's exceptions quote what they refuse, and the instrumentations record them whole.
    """
    attributes = {key: value for key, value in (span.attributes or {}).items() if key in _KEPT}
    for event in span.events:
        if event.attributes and "exception.type" in event.attributes:
            attributes["error.type"] = event.attributes["exception.type"]
    if isinstance(statement := attributes.get(_STATEMENT), str):
        attributes[_STATEMENT] = _VALUES.sub("?", statement)
    return ReadableSpan(
        name=span.name,
        context=span.context,
        parent=span.parent,
        resource=span.resource,
        attributes=attributes,
        kind=span.kind,
        status=Status(span.status.status_code),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )
