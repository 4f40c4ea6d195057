"""What is measured: server processes of this run, and their databases."""

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import asyncpg
from sqlalchemy.engine import make_url

from benchmarks import dataset
from benchmarks.load import Server
from benchmarks.runner import ROOT
from db.identity import tokens
from db.identity.tokens import Scope
from db.postgres import engine, migrations


@asynccontextmanager
async def labelgraph(url: str, data: Path, *arguments: str, **environment: str) -> AsyncGenerator[Server, None]:
    """A server of ours, with a token for everything, which may send any number of operations."""
    [token] = await create_tokens(url, 1)
    command = ["-m", "api", "serve", "--data", str(data), *arguments]
    environment = {"LABELGRAPH_LIMIT_TOKEN_OPERATIONS": "0", **environment}
    async with _process(command, url, data / "serve.log", environment, token) as server:
        yield server


@asynccontextmanager
async def worker(url: str, data: Path, *arguments: str) -> AsyncGenerator[int, None]:
    """A process that runs the jobs of a database, and its number."""
    environment = os.environ | {"DATABASE_URL": url}
    with _started(
        ["-m", "api", "worker", "--data", str(data), *arguments], data / "worker.log", environment
    ) as process:
        yield process.pid


@asynccontextmanager
async def by_hand(url: str, data: Path) -> AsyncGenerator[Server, None]:
    """A server that answers with statements written by hand."""
    async with _process(["-m", "benchmarks.hand"], url, data / "hand.log", {}) as server:
        yield server


@asynccontextmanager
async def _process(
    arguments: list[str], url: str, log: Path, environment: dict[str, str], token: str = ""
) -> AsyncGenerator[Server, None]:
    """A Python process with this database, on a port of its own, ended after the block."""
    port = _free_port()
    environment = os.environ | {"DATABASE_URL": url, "LABELGRAPH_PORT": str(port)} | environment
    with _started(arguments, log, environment) as process:
        await _listening(port, process)
        yield Server(port, process.pid, token)


@contextmanager
def _started(
    arguments: list[str], log: Path, environment: Mapping[str, str]
) -> Generator["subprocess.Popen[bytes]", None, None]:
    with log.open("wb") as file:
        process = subprocess.Popen([sys.executable, *arguments], cwd=ROOT, env=environment, stdout=file, stderr=file)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:  # it waits for what it has begun
            process.kill()
            process.wait()


async def _listening(port: int, process: "subprocess.Popen[bytes]") -> None:
    for _ in range(1_200):
        if process.poll() is not None:
            raise SystemExit(f"{process.args!r} ended with {process.returncode}; its log is next to its data")
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.1)
        else:
            writer.close()
            return
    raise SystemExit(f"{process.args!r} does not listen on {port}")


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


async def create_tokens(url: str, count: int, scope: Scope = Scope.MANAGE) -> list[str]:
    names = [f"bench-{time.time_ns()}-{number}" for number in range(count)]
    async with engine.connect(url) as database, database.writing() as session:
        return [await tokens.create(session, name=name, scope=scope) for name in names]


# -- databases --------------------------------------------------------------------------------------------------------


async def migrated(url: str, name: str, fill: Callable[[str], Awaitable[object]] | None = None) -> str:
    """The URL of the database of this name on another's server, made and filled if need be: whole, or not at all."""
    connection = await asyncpg.connect(engine.driver_url(url))
    try:
        if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", name):
            await connection.execute(f'DROP DATABASE IF EXISTS "{name}_new" WITH (FORCE)')
            await connection.execute(f'CREATE DATABASE "{name}_new"')
            await migrations.upgrade(_of_name(url, f"{name}_new"))
            if fill is not None:
                await fill(_of_name(url, f"{name}_new"))
            await connection.execute(f'ALTER DATABASE "{name}_new" RENAME TO "{name}"')
    finally:
        await connection.close()
    await migrations.upgrade(_of_name(url, name))
    return _of_name(url, name)


async def bench_database(url: str, rows: int) -> str:
    """A database with one dataset, `bench`, of this many samples with ids from 1 on; found again at the next run."""

    async def fill(target: str) -> None:
        started = time.perf_counter()
        await dataset.make(target, samples=rows)
        print(f"made {rows:,} samples in {time.perf_counter() - started:.0f} s", flush=True)

    return await migrated(url, f"bench_{rows}", fill)


async def suggested_database(url: str, rows: int) -> str:
    """The same, with suggestions of models."""

    async def fill(target: str) -> None:
        started = time.perf_counter()
        await dataset.suggest(target, await dataset.make(target, samples=rows))
        print(f"made {rows:,} samples with suggestions in {time.perf_counter() - started:.0f} s", flush=True)

    return await migrated(url, f"suggested_{rows}", fill)


@asynccontextmanager
async def copied(url: str) -> AsyncGenerator[str, None]:
    """A copy of a database that nobody uses now, dropped after the block."""
    name = f"{make_url(url).database}_copy"
    connection = await asyncpg.connect(engine.driver_url(_of_name(url, "postgres")))
    try:
        await connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        await connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{make_url(url).database}" STRATEGY file_copy')
        try:
            yield _of_name(url, name)
        finally:
            await connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
    finally:
        await connection.close()


def _of_name(url: str, name: str) -> str:
    return make_url(url).set(database=name).render_as_string(hide_password=False)
