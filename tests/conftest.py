"""Real Postgres for every test: one server for the whole run, a template made by the migrations, a fresh copy per test.

`LABELGRAPH_TEST_DATABASE_URL` names another server (its user may create databases). Tests marked `portable` run on
PostgreSQL 15 as well, where its programs are found.
"""

import asyncio
import fcntl
import gc
import hashlib
import itertools
import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
import hypothesis
import pytest
from sqlalchemy.engine import make_url

from api import embedded_postgres
from db.postgres import engine, migrations
from tests import s3
from tests.pgbouncer import PROGRAM, pgbouncer
from tests.settings_table import describe
from tests.waiting import LIMITS

# A run in CI is the same run every time; `pytest --hypothesis-profile explore` looks for what nobody thought of.
# How long it takes to draw says how busy the machine is.
UNHURRIED = hypothesis.settings(deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.register_profile("same", UNHURRIED, derandomize=True)
hypothesis.settings.register_profile("explore", UNHURRIED, max_examples=2_000)
hypothesis.settings.load_profile("same")

for description in describe():  # tests run with the default settings, whatever those of this machine are
    os.environ.pop(description.env, None)

ROOT = Path(__file__).parent.parent
OLDEST_PROGRAMS = Path("/usr/lib/postgresql/15/bin")
FAST = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "max_connections": "300",
    "max_wal_size": "256MB",
    "shared_buffers": "64MB",  # searched whenever a database is made or dropped
}
MEMORY, ROOM = Path("/dev/shm"), 4 << 30  # noqa: S108
NUMBERS = itertools.count()

Prepare = Callable[[str], Awaitable[object]]  # is given the URL of a database, to which it leaves no connection


@dataclass(slots=True)
class Databases:
    """Makes and drops databases, over a connection to each server that is kept: to open one takes longer than to drop a
    database. Every test has an event loop of its own, and this one as well."""

    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)
    _connections: dict[str, asyncpg.Connection] = field(default_factory=dict)
    _prepared: dict[tuple[str, str, Prepare], str] = field(default_factory=dict)

    @contextmanager
    def fresh(self, server_url: str, template: str) -> Iterator[str]:
        """The URL of a copy of the template, which is dropped after the block."""
        name = self._copy(server_url, template)
        try:
            yield _database(server_url, name)
        finally:
            self._do(server_url, f"DROP DATABASE {name} WITH (FORCE)")

    def prepared(self, server_url: str, template: str, prepare: Prepare) -> str:
        """A template for tests that begin with the same rows: made of another once in this process."""
        key = server_url, template, prepare
        if key not in self._prepared:
            name = self._copy(server_url, template)
            self._loop.run_until_complete(prepare(_database(server_url, name)))
            self._prepared[key] = name
        return self._prepared[key]

    def close(self) -> None:
        for (server_url, _, _), name in self._prepared.items():
            self._do(server_url, f"DROP DATABASE {name} WITH (FORCE)")
        for connection in self._connections.values():
            self._loop.run_until_complete(connection.close())
        self._loop.close()

    def _copy(self, server_url: str, template: str) -> str:
        name = f"test_{os.getpid()}_{next(NUMBERS)}"
        self._do(server_url, f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
        return name

    def _do(self, url: str, statement: str) -> None:
        self._loop.run_until_complete(self._execute(url, statement))

    async def _execute(self, url: str, statement: str) -> None:
        if url not in self._connections:
            self._connections[url] = await asyncpg.connect(engine.driver_url(url))
        await self._connections[url].execute(statement)


@dataclass(slots=True)
class Servers:
    """The servers of this run, started when a test first needs them; the processes of a parallel run share them."""

    _joined: dict[str, embedded_postgres.Server] = field(default_factory=dict)
    _templates: dict[str, str] = field(default_factory=dict)

    def url(self, kind: str) -> str:
        given = os.environ.get("LABELGRAPH_TEST_DATABASE_URL")
        if kind == "default" and given:
            return given
        if kind not in self._joined:
            programs = OLDEST_PROGRAMS if kind == "oldest" else None
            self._joined[kind] = asyncio.run(embedded_postgres.join(_home() / kind, programs=programs, options=FAST))
        return self._joined[kind].url

    def template(self, kind: str) -> str:
        if kind not in self._templates:
            self._templates[kind] = asyncio.run(_make_template(self.url(kind)))
        return self._templates[kind]

    def leave(self) -> None:
        for server in self._joined.values():
            asyncio.run(server.leave())


def _home() -> Path:
    """Where the servers lie: in memory where there is room, for a test makes its database, and soon drops it. On a disk
    that is all that it waits for."""
    if not os.access(MEMORY, os.W_OK) or shutil.disk_usage(MEMORY).free < ROOM:
        return ROOT / ".data" / "tests"
    checkout = hashlib.sha256(os.fsencode(ROOT)).hexdigest()[:16]
    return MEMORY / f"labelgraph-tests-{os.geteuid()}-{checkout}"


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """All code and tests stay for good: to search them for garbage again and again takes longer than many a test."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow tests first: what is left in the end is short, and no process of a parallel run waits long for another."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Give the memory back, unless another run of this checkout uses it."""
    if hasattr(session.config, "workerinput") or not _home().is_relative_to(MEMORY):
        return
    for users in _home().glob("*/postgres/users"):
        with users.open() as file, suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(users.parents[1])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What tests that passed have noted with `record_property`, also in the processes of a parallel run."""
    for report in terminalreporter.getreports("passed"):
        for name, value in report.user_properties:
            terminalreporter.write_line(f"{name}: {value}")


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    servers = Servers()
    yield servers
    servers.leave()


@pytest.fixture(scope="session")
def databases(servers: Servers) -> Iterator[Databases]:
    """Closed before the servers are left."""
    databases = Databases()
    yield databases
    databases.close()


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """An S3 server, started when a test first needs it."""
    with s3.moto() as endpoint:
        yield endpoint


@pytest.fixture
def server_kind(request: pytest.FixtureRequest) -> str:
    return getattr(request, "param", "default")


@pytest.fixture
def server_url(servers: Servers, server_kind: str) -> str:
    """The maintenance database of a server, for tests that make databases of their own."""
    return servers.url(server_kind)


@pytest.fixture
def template(servers: Servers, server_kind: str) -> str:
    return servers.template(server_kind)


@pytest.fixture
def empty_database_url(databases: Databases, server_url: str) -> Iterator[str]:
    """A database without a single table."""
    with databases.fresh(server_url, "template0") as url:
        yield url


@pytest.fixture
def database_url(databases: Databases, server_url: str, template: str) -> Iterator[str]:
    """A database of this test's own, migrated."""
    with databases.fresh(server_url, template) as url:
        yield url


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[engine.Database]:
    async with engine.connect(database_url, LIMITS) as database:
        yield database


def pytest_xdist_auto_num_workers() -> int:
    """Half as many again as there are cores: half of a test is waiting, for servers, deadlines and deaths."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return cores + cores // 2


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if metafunc.definition.get_closest_marker("portable") and "server_kind" in metafunc.fixturenames:
        kinds = ["default", "oldest"] if OLDEST_PROGRAMS.exists() else ["default"]
        metafunc.parametrize("server_kind", kinds, indirect=True)


async def _make_template(server_url: str) -> str:
    """Migrate a template once per content of the migrations; whoever comes second waits and finds it there."""
    name = f"template_{_digest(ROOT / 'db' / 'postgres' / 'migrations')}"
    connection = await asyncpg.connect(server_url)
    try:
        await connection.execute("SELECT pg_advisory_lock(1)")
        existing = {row["datname"] for row in await connection.fetch("SELECT datname FROM pg_database")}
        for leftover in filter(_is_abandoned, existing):
            await connection.execute(f"DROP DATABASE IF EXISTS {leftover} WITH (FORCE)")
        if name not in existing:
            await connection.execute(f"CREATE DATABASE {name}_new TEMPLATE template0")
            await migrations.upgrade(_database(server_url, f"{name}_new"))
            await connection.execute(f"ALTER DATABASE {name}_new RENAME TO {name}")
    finally:
        await connection.close()
    return name


def _digest(folder: Path) -> str:
    files = sorted(path for path in folder.rglob("*") if path.suffix in {".py", ".sql"})
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in files)).hexdigest()[:16]


def _is_abandoned(name: str) -> bool:
    """Half-made templates, and databases of test runs that were killed."""
    match name.split("_"):
        case ["template", _, "new"]:
            return True
        case ["test", pid, _]:
            return not Path("/proc", pid).exists()
    return False


def _database(server_url: str, name: str) -> str:
    return make_url(server_url).set(database=name).render_as_string(hide_password=False)


async def execute(url: str, statement: str, *values: object) -> None:
    connection = await asyncpg.connect(engine.driver_url(url))
    try:
        await connection.execute(statement, *values)
    finally:
        await connection.close()


@pytest.fixture(params=["direct", "pgbouncer"] if PROGRAM else ["direct"])
async def pooled_url(request: pytest.FixtureRequest, database_url: str) -> AsyncIterator[str]:
    """The database as a pooled engine reaches it: through PgBouncer, if that is installed."""
    if request.param == "direct":
        yield database_url
        return
    async with pgbouncer(database_url) as url:
        yield url
