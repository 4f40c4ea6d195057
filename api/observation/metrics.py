"""What a process counts, as Prometheus reads it."""

import asyncio
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from itertools import accumulate
from math import inf
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    Metric,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from api.kept_results import kept
from api.observation.names import OTHER, OperationNames
from api.observation.observer import CANCELED, OK
from schema.enums import ErrorCode

Labels = tuple[str | int, ...]  # the values of a metric's labels
Gauges = Callable[[], Awaitable[Iterable[Metric]]]

CODES: Final = frozenset({OK, CANCELED, *(code.name for code in ErrorCode)})
ROUTES: Final = frozenset(
    {
        "exports",
        "graphql",
        "healthz",
        "images",
        "originals",
        "playground",
        "readyz",
        "schema.graphql",
        "thumbnails",
        "ui",
        "uploads",
    }
)
SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
JOB_SECONDS: Final = (0.1, 1, 10, 60, 300, 1_800, 3_600, 14_400)
DELAY_SECONDS: Final = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)
LOOP_INTERVAL: Final = 0.25  # seconds between two looks at the event loop


class Counts(Collector):
    """A counter by labels, of what happens in the event loop. The library's has a lock and checks its arguments: ten
    times the cost, and each request is counted several times."""

    def __init__(self, name: str, help_: str, labels: Sequence[str]) -> None:
        self._name, self._help, self._labels = name, help_, labels
        self._values: defaultdict[Labels, float] = defaultdict(int)

    def add(self, labels: Labels, amount: float = 1) -> None:
        self._values[labels] += amount

    def collect(self) -> Iterable[Metric]:
        """Called in a thread."""
        family = CounterMetricFamily(self._name, self._help, labels=self._labels)
        for labels, value in list(self._values.items()):
            family.add_metric([str(label) for label in labels], value)
        return [family]


class Times(Collector):
    """A histogram by labels, likewise."""

    def __init__(self, name: str, help_: str, labels: Sequence[str], bounds: Sequence[float]) -> None:
        self._name, self._help, self._labels, self._bounds = name, help_, labels, bounds
        self._values: dict[Labels, list[float]] = {}  # how many are in each bucket, and their sum

    def add(self, labels: Labels, seconds: float) -> None:
        values = self._values.get(labels)
        if values is None:
            values = self._values[labels] = [0] * (len(self._bounds) + 2)
        values[bisect_left(self._bounds, seconds)] += 1
        values[-1] += seconds

    def collect(self) -> Iterable[Metric]:
        """Called in a thread."""
        family = HistogramMetricFamily(self._name, self._help, labels=self._labels)
        names = [floatToGoString(bound) for bound in (*self._bounds, inf)]  # type: ignore[no-untyped-call]
        for labels, values in list(self._values.items()):
            *counts, seconds = values
            buckets = list(zip(names, accumulate(counts), strict=True))
            family.add_metric([str(label) for label in labels], buckets, seconds)
        return [family]


class Metrics:
    """Made once for a process. Counters grow as things happen; `gauges` are asked when somebody reads."""

    def __init__(self, names: OperationNames) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call] # which would double the series
        self.registry = registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=registry)
        self.gauges: list[Gauges] = []
        self.names = names
        self._read = _Read()
        self._reading = asyncio.Lock()
        registry.register(self._read)

        def counter(name: str, help_: str, *labels: str) -> Counts:
            registry.register(counts := Counts(f"labelgraph_{name}", help_, labels))
            return counts

        def histogram(name: str, help_: str, *labels: str, bounds: Sequence[float] = SECONDS) -> Times:
            registry.register(times := Times(f"labelgraph_{name}", help_, labels, bounds))
            return times

        self._operations = counter(
            "operations", "GraphQL operations by name, and OK or the code of the first error.", "operation", "code"
        )
        self._seconds = histogram(
            "operation_seconds", "Queries and mutations, from when they are valid to their answer.", "operation"
        )
        self.subscriptions = Gauge("labelgraph_subscriptions", "Subscriptions that run.", registry=registry)
        self.events = Counter("labelgraph_subscription_events", "Answers that they sent.", registry=registry)
        self._responses = counter("http_responses", "HTTP responses by first part of the path.", "route", "status")
        self._response_seconds = histogram(
            "http_response_seconds", "From a request's head to the head of its response.", "route"
        )
        self._compressed = counter("compressed_answers", "Answers that were compressed.", "encoding")
        self._compression_bytes = counter(
            "compression_bytes", "Bytes of these answers, before (in) and after (out).", "encoding", "direction"
        )
        self._jobs_ended = counter("jobs_ended", "Runs of jobs by this process.", "kind", "outcome")
        self._job_seconds = histogram("job_seconds", "Runs of jobs by this process.", "kind", bounds=JOB_SECONDS)
        self._storage_seconds = histogram("storage_seconds", "Calls of a store.", "store", "operation")
        self._storage_errors = counter("storage_errors", "Calls of a store that failed.", "store", "operation")
        self._storage_objects = counter(
            "storage_objects",
            "Files that were listed (pages), of which the head or all was read, and so on.",
            "store",
            "operation",
        )
        self._storage_bytes = counter("storage_bytes", "Bytes that were read or written.", "store", "operation")
        self._delay = Histogram(
            "labelgraph_event_loop_delay_seconds",
            "How late the event loop is, four times a second.",
            buckets=DELAY_SECONDS,
            registry=registry,
        )

    def count_operation(self, operation: str, code: str) -> None:
        """`operation` is a label, as `names` returns it."""
        self._operations.add((operation, code if code in CODES else OTHER))

    def time_operation(self, operation: str, seconds: float) -> None:
        self._seconds.add((operation,), seconds)

    def count_response(self, path: str, status: int, seconds: float) -> None:
        route = _route(path)
        self._responses.add((route, status))
        self._response_seconds.add((route,), seconds)

    def count_store_call(
        self, store: str, operation: str, objects: int, size: int, seconds: float, *, failed: bool
    ) -> None:
        call = store, operation
        self._storage_seconds.add(call, seconds)
        self._storage_errors.add(call, failed)
        self._storage_objects.add(call, objects)
        self._storage_bytes.add(call, size)

    def count_compressed(self, encoding: str, before: int, after: int) -> None:
        self._compressed.add((encoding,))
        self._compression_bytes.add((encoding, "in"), before)
        self._compression_bytes.add((encoding, "out"), after)

    def count_job(self, kind: str, outcome: str, seconds: float) -> None:
        self._jobs_ended.add((kind, outcome))
        self._job_seconds.add((kind,), seconds)

    async def watch_event_loop(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            started = loop.time()
            await asyncio.sleep(LOOP_INTERVAL)
            self._delay.observe(max(loop.time() - started - LOOP_INTERVAL, 0))

    async def exposition(self, accept: str) -> tuple[bytes, str]:
        """All metrics as text, and its media type. The text of thousands of series takes some milliseconds to make: in
        a thread."""
        encode, media_type = choose_encoder(accept)
        async with self._reading:
            self._read.families = [family for gauges in self.gauges for family in await gauges()]
            return await asyncio.to_thread(encode, self.registry), media_type


@kept(1_024)
def _route(path: str) -> str:
    """The first part of a path, where it is one of ours."""
    first = path.partition("/")[2].partition("/")[0]
    return f"/{first}" if first in ROUTES or not first else OTHER


class _Read(Collector):
    """The gauges as they were last read."""

    def __init__(self) -> None:
        self.families: list[Metric] = []

    def collect(self) -> Iterable[Metric]:
        return self.families
