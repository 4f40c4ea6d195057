"""Spans of what a process does, sent by OpenTelemetry: an operation, the statements in it, its calls of storage.

The library's own variables (`OTEL_EXPORTER_OTLP_ENDPOINT`, `OTEL_SERVICE_NAME`, …) say where to, and how. Most requests
are not traced, and must cost nothing: whether one is, is decided here, before the library is called.
"""

import asyncio
import random
import re
import threading
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final, Self

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import (
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    Tracer,
    set_span_in_context,
)

from api.request_ids import TRACEPARENT
from schema.execution.documents import Document

Attributes = Mapping[str, str | int]

MAX_CHILDREN: Final = 500  # spans below one; a job may run thousands of statements
MAX_STATEMENT: Final = 2_000  # characters of a statement's text, which contains no values
VERB: Final = re.compile(r"(?:\s|--[^\n]*\n)*(\w+)")  # of a statement, behind comments
MAX_NAME: Final = 100  # characters of the name of an operation
FLUSH_SECONDS: Final = 5.0  # for the last spans when the process ends
SAMPLED: Final = 0x01  # in the flags of `traceparent`


@dataclass(slots=True)
class Trace:
    """What is traced now, as the parent of what happens in it."""

    tracer: Tracer
    span: Span
    context: Context
    children: int = 0

    def add(self, name: str, attributes: Attributes, seconds: float, error: BaseException | None) -> None:
        """Something in it that has just ended."""
        self.children += 1
        if self.children > MAX_CHILDREN:
            return
        end = time.time_ns()
        start = end - int(seconds * 1e9)
        child = self.tracer.start_span(name, self.context, SpanKind.CLIENT, attributes, start_time=start)
        if error is not None:
            child.set_attribute("error.type", type(error).__name__)  # its message may contain a client's values
            child.set_status(StatusCode.ERROR)
        child.end(end)

    def end(self, code: str, *, is_error: bool) -> None:
        self.span.set_attribute("labelgraph.code", code)
        if self.children > MAX_CHILDREN:
            self.span.set_attribute("labelgraph.spans_omitted", self.children - MAX_CHILDREN)
        if is_error:
            self.span.set_status(StatusCode.ERROR)
        self.span.end()
        CURRENT.set(None)


CURRENT: Final[ContextVar[Trace | None]] = ContextVar("trace", default=None)


class Tracing:
    """The spans of a process. `share`: of the requests that come without a `traceparent`, those that are traced."""

    def __init__(self, exporter: SpanExporter, share: float) -> None:
        resource = Resource({"service.name": "labelgraph"}).merge(OTELResourceDetector().detect())
        self._provider = TracerProvider(ALWAYS_ON, resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("labelgraph")
        self._share = share

    @classmethod
    @asynccontextmanager
    async def opened(cls, share: float) -> AsyncGenerator[Self, None]:
        """On leaving, what was not sent yet is sent, if the receiver answers within some seconds."""
        tracing = cls(OTLPSpanExporter(), share)
        try:
            yield tracing
        finally:
            flushing = threading.Thread(target=tracing._provider.shutdown, daemon=True)
            flushing.start()
            await asyncio.to_thread(flushing.join, FLUSH_SECONDS)

    def begin_operation(self, document: Document) -> Trace | None:
        """As `begin`, of an operation."""
        context = self._context()
        if context is None:
            return None
        kind, name = document.operation.operation.value, document.name
        named = {"graphql.operation.name": name[:MAX_NAME]} if name else {}
        return self._begin(context, f"{kind} {name or ''}".rstrip(), {"graphql.operation.type": kind, **named})

    def begin(self, name: str, attributes: Attributes) -> Trace | None:
        """A trace of what happens from now until its end; None: of this there is none."""
        context = self._context()
        return None if context is None else self._begin(context, name, attributes)

    def _context(self) -> Context | None:
        """In which a trace begins now; None: it is not traced."""
        header = TRACEPARENT.get()
        if not header:
            return Context() if random.random() < self._share else None  # noqa: S311 (no secret)
        parent = _remote(header)
        if not parent.trace_flags & SAMPLED:
            return None
        return set_span_in_context(NonRecordingSpan(parent), Context())

    def _begin(self, context: Context, name: str, attributes: Attributes) -> Trace:
        span = self._tracer.start_span(name[:MAX_NAME], context, SpanKind.SERVER, attributes)
        trace = Trace(self._tracer, span, set_span_in_context(span, context))
        CURRENT.set(trace)
        return trace

    @property
    def is_tracing(self) -> bool:
        """Whether what happens now is traced."""
        return CURRENT.get() is not None

    def add_statement(self, text: str, seconds: float, error: BaseException | None) -> None:
        trace = CURRENT.get()
        if trace is not None:
            verb = VERB.match(text)
            name = verb[1].upper() if verb else "SQL"
            attributes = {"db.system.name": "postgresql", "db.query.text": text[:MAX_STATEMENT]}
            trace.add(name, attributes, seconds, error)

    def add_store_call(
        self, store: str, operation: str, objects: int, seconds: float, error: BaseException | None
    ) -> None:
        trace = CURRENT.get()
        if trace is not None:
            attributes: Attributes = {"labelgraph.store": store, "labelgraph.objects": objects}
            trace.add(f"{store} {operation}", attributes, seconds, error)


def _remote(traceparent: str) -> SpanContext:
    """Of a header that is valid."""
    _, trace, span, flags = traceparent.split("-")[:4]
    return SpanContext(int(trace, 16), int(span, 16), is_remote=True, trace_flags=TraceFlags(int(flags, 16)))
