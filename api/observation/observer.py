"""The observer of a process: its parts report to it, and it counts and traces as far as the settings ask for it.

The libraries are imported only where they are used: without metrics and traces a process does not need them. And the
whole language only where operations are: a worker has none.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from api.command_errors import CommandError
from api.observation.names import OperationNames
from api.settings import Settings
from db.formats.decoding import Decoders
from db.jobs import Outcome
from db.postgres.engine import Database
from db.postgres.readers import StatementObserver
from db.storage.observed import Observe, Traffic

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from api.observation.metrics import Metrics
    from api.observation.tracing import Trace, Tracing
    from api.runtime import Runtime
    from schema.execution.documents import Document
    from schema.execution.messages import Answer

OK: Final = "OK"
CANCELED: Final = "CANCELED"  # the client left
REFUSED: Final = "(refused)"  # instead of an operation's name: the request was answered before one began


@dataclass(frozen=True, slots=True)
class Observer:
    metrics: "Metrics | None" = None
    tracing: "Tracing | None" = None

    def operation(self, document: "Document", token_id: int) -> "Operation | NotObserved":
        """A context for running an operation, to which its answers are reported."""
        if self.metrics is None and self.tracing is None:
            return NOT_OBSERVED
        return Operation(self.metrics, self.tracing, document, token_id)

    def refused(self, answer: "Answer") -> None:
        """A request that was answered before an operation began."""
        if self.metrics is not None:
            self.metrics.count_operation(REFUSED, code_of(answer))

    def compressed(self, encoding: str, before: int, after: int) -> None:
        if self.metrics is not None:
            self.metrics.count_compressed(encoding, before, after)

    @contextmanager
    def job(self, kind: str) -> Generator[Callable[[Outcome], None], None, None]:
        """The run of a job. Its outcome is reported to what this yields."""
        start = time.perf_counter()
        outcome: Outcome = "LOST"

        def end(reported: Outcome) -> None:
            nonlocal outcome
            outcome = reported

        trace = None if self.tracing is None else self.tracing.begin(f"job {kind}", {"labelgraph.job.kind": kind})
        try:
            yield end
        finally:
            if self.metrics is not None:
                self.metrics.count_job(kind, outcome, time.perf_counter() - start)
            if trace is not None:
                trace.end(outcome, is_error=outcome == "FAILED")

    @contextmanager
    def file(self, route: str) -> Generator[Callable[[int], None], None, None]:
        """A request for a file. The status of its response is reported to what this yields."""
        status = 0

        def end(reported: int) -> None:
            nonlocal status
            status = reported

        trace = None if self.tracing is None else self.tracing.begin(f"GET {route}", {"http.route": route})
        try:
            yield end
        finally:
            if trace is not None:
                trace.end(str(status or CANCELED), is_error=status >= 500)

    @property
    def statements(self) -> StatementObserver | None:
        """What a database reports its statements to; None costs nothing."""
        return self.tracing

    @property
    def on_store_call(self) -> Observe | None:
        """What stores report their calls to; None costs nothing."""
        return None if self.metrics is None and self.tracing is None else self._store_call

    @contextmanager
    def _store_call(self, store: str, operation: str) -> Generator[Traffic, None, None]:
        start, traffic, failure = time.perf_counter(), Traffic(), None
        try:
            yield traffic
        except Exception as error:
            failure = error
            raise
        finally:
            seconds = time.perf_counter() - start
            if self.metrics is not None:
                objects, size = traffic.objects, traffic.bytes
                self.metrics.count_store_call(store, operation, objects, size, seconds, failed=failure is not None)
            if self.tracing is not None:
                self.tracing.add_store_call(store, operation, traffic.objects, seconds, failure)

    def watch_database(self, database: Database) -> None:
        if self.metrics is not None:
            from api.observation import gauges

            self.metrics.gauges.append(partial(gauges.of_database, database))

    def watch_decoders(self, owner: str, decoders: Decoders) -> None:
        """`owner`: the server, or the worker of this process."""
        if self.metrics is not None:
            from api.observation import gauges

            self.metrics.gauges.append(partial(gauges.of_decoders, owner, decoders))

    def watch_server(self, process: "Runtime") -> None:
        if self.metrics is not None:
            from api.observation import gauges

            self.metrics.gauges.append(partial(gauges.of_server, process))


@asynccontextmanager
async def observing(settings: Settings, trusted_documents: Iterable[str] = ()) -> AsyncGenerator[Observer, None]:
    """The observer that the settings ask for. Raises CommandError where it cannot do its work."""
    metrics = tracing = None
    async with AsyncExitStack() as stack:
        if settings.metrics_port is not None:
            from api.observation.metrics import Metrics
            from api.observation.server import exposed

            metrics = Metrics(OperationNames.of(trusted_documents))
            await stack.enter_async_context(exposed(metrics, settings))
            watching = asyncio.create_task(metrics.watch_event_loop())
            stack.callback(watching.cancel)
        if settings.trace_share:
            try:
                from api.observation.tracing import Tracing
            except ImportError as error:
                message = (
                    "LABELGRAPH_TRACE_SHARE needs OpenTelemetry: install requirements-tracing.txt, or set it to 0."
                )
                raise CommandError(message) from error
            tracing = await stack.enter_async_context(Tracing.opened(settings.trace_share))
        yield Observer(metrics, tracing)


class NotObserved:
    """An operation that is neither counted nor traced."""

    def __enter__(self) -> "NotObserved":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def answered(self, answer: "Answer | bytes") -> None:
        pass


NOT_OBSERVED: Final = NotObserved()


class Operation:
    """One operation, from when it is valid to its last answer. A subscription, which may last for days, is not traced,
    and its time says nothing."""

    __slots__ = ("code", "is_subscription", "label", "metrics", "start", "trace")

    def __init__(
        self, metrics: "Metrics | None", tracing: "Tracing | None", document: "Document", token_id: int
    ) -> None:
        self.metrics, self.code, self.is_subscription = metrics, CANCELED, document.is_subscription
        self.label = "" if metrics is None else metrics.names.label(document.name, token_id)
        self.trace: Trace | None = None
        if tracing is not None and not self.is_subscription:
            self.trace = tracing.begin_operation(document)

    def __enter__(self) -> "Operation":
        self.start = time.perf_counter()
        if self.metrics is not None and self.is_subscription:
            self.metrics.subscriptions.inc()
        return self

    def answered(self, answer: "Answer | bytes") -> None:
        self.code = code_of(answer)
        if self.metrics is not None and self.is_subscription:
            self.metrics.events.inc()

    def __exit__(self, *_: object) -> None:
        if self.metrics is not None:
            self.metrics.count_operation(self.label, self.code)
            if self.is_subscription:
                self.metrics.subscriptions.dec()
            else:
                self.metrics.time_operation(self.label, time.perf_counter() - self.start)
        if self.trace is not None:
            from schema.errors import INTERNAL

            self.trace.end(self.code, is_error=self.code == INTERNAL)


def code_of(answer: "Answer | bytes") -> str:
    """OK, or the code of the first error."""
    if isinstance(answer, bytes) or not answer.errors:
        return OK
    from schema.errors import error_code

    return error_code(answer.errors[0])


class ResponseCounter:
    """Around the application, where its responses are counted: without coroutines of its own, through each of which
    Python would pass whenever a request goes on."""

    def __init__(self, app: "ASGIApp") -> None:
        self.app = app

    def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> Awaitable[None]:
        if scope["type"] != "http":
            return self.app(scope, receive, send)
        start, metrics = time.perf_counter(), scope["state"]["runtime"].observer.metrics

        def send_counted(message: "Message") -> Awaitable[None]:
            if message["type"] == "http.response.start":
                metrics.count_response(scope["path"], message["status"], time.perf_counter() - start)
            return send(message)

        return self.app(scope, receive, send_counted)
