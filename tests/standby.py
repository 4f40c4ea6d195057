"""A primary and a standby that follows it by streaming replication: embedded servers of their own, which tests kill."""

import asyncio
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import asyncpg

from api import embedded_postgres
from api.embedded_postgres import supervisor
from db.postgres.engine import driver_url
from tests.conftest import FAST
from tests.waiting import TIMEOUT, wait_until

OPTIONS = FAST | {
    "synchronous_commit": "on",  # what is committed is sent at once
    "max_standby_streaming_delay": "0",  # a read that is in the way of replay is canceled at once
    "wal_retrieve_retry_interval": "100ms",  # a standby soon finds a primary that was killed
}


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """An embedded server. Its supervisor starts it again when it is killed."""

    url: str
    folder: Path

    @property
    def postmaster(self) -> int:
        return supervisor.server(self.folder / "postgres" / "cluster") or 0

    def processes(self) -> list[int]:
        """Postgres with all its children."""
        cluster, found = self.folder / "postgres" / "cluster", []
        for entry in Path("/proc").iterdir():
            try:
                if entry.name.isdecimal() and (entry / "cwd").samefile(cluster):
                    found.append(int(entry.name))
            except OSError:
                continue
        return found

    async def kill(self) -> None:
        """`kill -9`: until another one takes connections."""
        killed = self.postmaster
        assert killed
        for pid in self.processes():
            os.kill(pid, signal.SIGKILL)
        await wait_until(lambda: self.postmaster not in (0, killed))

    @contextmanager
    def down(self) -> Iterator[None]:
        """`kill -9`, and no other until the end of the block."""
        killed = self.postmaster
        assert killed
        keeper = int(Path("/proc", str(killed), "stat").read_text().rpartition(")")[2].split()[1])
        os.kill(keeper, signal.SIGSTOP)
        try:
            for pid in self.processes():
                os.kill(pid, signal.SIGKILL)
            yield
        finally:
            os.kill(keeper, signal.SIGCONT)

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """It is there, and does nothing."""
        processes = self.processes()
        for pid in processes:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in processes:
                with suppress(ProcessLookupError):  # it was killed
                    os.kill(pid, signal.SIGCONT)

    async def value(self, statement: str, *values: object) -> Any:
        connection = await asyncpg.connect(driver_url(self.url))
        try:
            return await connection.fetchval(statement, *values)
        finally:
            await connection.close()

    @asynccontextmanager
    async def paused(self) -> AsyncIterator[None]:
        """A standby that receives what is committed, and does not replay it."""
        await self.value("SELECT pg_wal_replay_pause()")
        await wait_until(self._is_paused)
        try:
            yield
        finally:
            await self.value("SELECT pg_wal_replay_resume()")

    async def _is_paused(self) -> bool:
        return bool(await self.value("SELECT pg_get_wal_replay_pause_state()") == "paused")


@dataclass(frozen=True, slots=True)
class Pair:
    primary: PostgresServer
    standby: PostgresServer


@contextmanager
def pair(folder: Path) -> Iterator[Pair]:
    primary = asyncio.run(embedded_postgres.join(folder / "primary", options=OPTIONS))
    try:
        cluster = folder / "standby" / "postgres" / "cluster"
        cluster.parent.mkdir(parents=True)
        [host] = parse_qs(urlsplit(primary.url).query)["host"]
        subprocess.run(
            [
                *(embedded_postgres.find_programs() / "pg_basebackup", "--pgdata", cluster, "--host", host),
                *("--username", "labelgraph", "--write-recovery-conf", "--checkpoint", "fast"),
            ],
            check=True,
            timeout=TIMEOUT,
        )
        standby = asyncio.run(embedded_postgres.join(folder / "standby", options=OPTIONS))
        try:
            yield Pair(PostgresServer(primary.url, folder / "primary"), PostgresServer(standby.url, folder / "standby"))
        finally:
            asyncio.run(standby.leave())
    finally:
        asyncio.run(primary.leave())
