"""What is read of the parts of a process when its metrics are read: so they cost nothing until then."""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Final

import asyncpg
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from api.runtime import Runtime
from db import jobs
from db.errors import DomainError
from db.formats.decoding import Decoders
from db.postgres.engine import Database
from db.postgres.standbys import Standby

DATABASE_SECONDS: Final = 2.0  # for what is read from the database

Values = Iterable[tuple[tuple[str, ...], float]]  # of labels, and what they have


async def of_database(database: Database) -> Sequence[Metric]:
    """The connections of this process, its standbys, and the active jobs of the database, where it answers."""
    connections = [
        _gauge(
            "database_connections",
            "Connections to Postgres, for reading or writing.",
            ("pool", "state"),
            [((pool, state), n) for pool, counts in database.connections().items() for state, n in counts.items()],
        ),
        _gauge(
            "database_waiting",
            "What waits for one of these connections.",
            ("pool",),
            [((pool,), n) for pool, n in database.waiting.items()],
        ),
    ]
    try:
        async with asyncio.timeout(DATABASE_SECONDS), database.reading() as connection:
            active = await jobs.count_active(connection)
    except (DomainError, TimeoutError, asyncpg.PostgresError):
        active = None
    up = _gauge(
        "database_up", f"Whether Postgres answered within {DATABASE_SECONDS:g} s.", (), [((), active is not None)]
    )
    standbys = [] if database.standbys is None else _standbys(database.standbys.all)
    return [*connections, *standbys, up, *([] if active is None else [_jobs(active.items())])]


def _standbys(standbys: Iterable[Standby]) -> Sequence[Metric]:
    lags = [((standby.name,), standby.lag) for standby in standbys]
    used = [((standby.name,), standby.is_well) for standby in standbys]
    lag = "By how much a standby is behind the primary; infinite where it was not reached, or never caught up."
    return [
        _gauge("standby_lag_seconds", lag, ("standby",), lags),
        _gauge("standby_in_use", "Whether a standby gets queries of this process.", ("standby",), used),
    ]


def _jobs(active: Values) -> Metric:
    help_ = "Jobs that wait or run, of all processes: each reports the same, so do not add them up."
    return _gauge("jobs", help_, ("kind", "status"), active)


async def of_decoders(owner: str, decoders: Decoders) -> Sequence[Metric]:
    """`owner`: who decodes, the server or the worker of this process."""
    states = [((owner, "busy"), decoders.busy), ((owner, "idle"), len(decoders.idle))]
    return [
        _gauge("decoders", "Processes that decode images.", ("of", "state"), states),
        _counter("decoded_images", "Images that they decoded.", ("of",), [((owner,), decoders.images)]),
        _counter("decoders_lost", "Decoders that were lost to an image.", ("of",), [((owner,), decoders.lost)]),
    ]


async def of_server(process: Runtime) -> Sequence[Metric]:
    plans, documents = process.schema.plans, process.schema.documents
    limits = {"operations": process.operations, "searches": process.database.costly_reads, "uploads": process.uploads}
    slots = [((name, "running"), limit.running) for name, limit in limits.items()]
    slots += [((name, "waiting"), limit.waiting) for name, limit in limits.items()]
    caches = [(("plans", "hit"), plans.hits), (("plans", "miss"), plans.misses)]
    caches += [(("documents", "hit"), documents.hits), (("documents", "miss"), documents.misses)]
    return [
        _gauge("streams", "WebSockets and event streams that are open.", (), [((), process.streams.total)]),
        _gauge("slots", "What runs and what waits, where only so many may run at once.", ("limit", "state"), slots),
        _counter("cache_lookups", "Look-ups of compiled reads, and of documents.", ("cache", "result"), caches),
    ]


def _gauge(name: str, help_: str, labels: Sequence[str], values: Values) -> Metric:
    family = GaugeMetricFamily(f"labelgraph_{name}", help_, labels=labels)
    for key, value in values:
        family.add_metric(key, value)
    return family


def _counter(name: str, help_: str, labels: Sequence[str], values: Values) -> Metric:
    family = CounterMetricFamily(f"labelgraph_{name}", help_, labels=labels)
    for key, value in values:
        family.add_metric(key, value)
    return family
