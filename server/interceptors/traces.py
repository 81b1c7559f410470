"""One span for every call, in the trace that its client began."""

import time

import grpc
from opentelemetry.context import Context as TraceContext
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer, format_trace_id
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from server.call import find_failure, set_trace_id
from server.interceptors.interceptor import Call, Context, Interceptor, Payload
from server.interceptors.method import Method
from server.interceptors.outcome import SERVER_FAULTS, code_after

_CODE = "rpc.grpc.status_code"

_w3c = TraceContextTextMapPropagator()


class Traces(Interceptor):
    """Traces calls by OpenTelemetry's conventions for RPC.

    Nothing of a request, an answer, a caller or the text of an exception is in a span.
    """

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    def wrap(self, method: Method, call: Call) -> Call:
        """Trace the calls of the method."""
        tracer, name = self._tracer, method.full_name[1:]
        attributes = {
            "rpc.system": "grpc",
            "rpc.service": method.service,
            "rpc.method": method.name,
        }

        async def traced(request: Payload, context: Context) -> Payload:
            with tracer.start_as_current_span(
                name,
                _parent(context),
                SpanKind.SERVER,
                attributes,
                record_exception=False,
                set_status_on_exception=False,
            ) as span:
                if span.is_recording():
                    set_trace_id(format_trace_id(span.get_span_context().trace_id))
                begun = time.perf_counter()
                try:
                    answer = await call(request, context)
                except BaseException as error:
                    _fail(span, code_after(error, context, time.perf_counter() - begun), error)
                    raise
                span.set_attribute(_CODE, 0)
                return answer

        return traced


def _parent(context: Context) -> TraceContext:
    """Return the client's span; none when the metadata don't name one."""
    carrier = {
        key: value
        for key, value in context.invocation_metadata() or ()
        if key in _w3c.fields and isinstance(value, str)
    }
    return _w3c.extract(carrier, TraceContext())


def _fail(span: Span, code: grpc.StatusCode, error: BaseException) -> None:
    span.set_attribute(_CODE, code.value[0])
    failure = find_failure()
    if failure is not None:
        span.set_attribute("patron.reason", failure.reason)
        if failure.error_id is not None:
            span.set_attribute("patron.error_id", failure.error_id)
    if code in SERVER_FAULTS:
        # An abort tells nothing; the error that it translates does.
        cause = type(error.__context__ or error)
        span.set_attribute("error.type", f"{cause.__module__}.{cause.__qualname__}")
        span.set_status(Status(StatusCode.ERROR))
