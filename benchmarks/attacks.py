"""What somebody else notices while one client attacks the server: how long 99 of 100 one-row queries take at most.

An attack is held off when that takes at most five times as long as alone, no query is refused, and the server's memory
stays within one and a half.
"""

import asyncio
import ctypes
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import asyncpg
import orjson

from benchmarks import dataset, servers
from benchmarks.attackers import ATTACKS
from benchmarks.load import Server, percentile, request
from benchmarks.others import CALM
from benchmarks.runner import ROOT, Bench, Measure, Row
from db.identity.tokens import Scope
from db.postgres import engine

MAX_GROWTH: Final = 1.5  # times
MAX_ALONE: Final = 10.0  # seconds for which a query is observed without an attack
LARGEST_ASSET: Final = max((ROOT / "api/playground/vendor").glob("*.min.*"), key=lambda path: path.stat().st_size)
VIEWER: Final = orjson.dumps({"query": '{ dataset(by: {name: "bench"}) { name revision } }'})
REQUESTS_PER_CONNECTION: Final = 20  # requests on one connection, before a new one is opened


@dataclass(slots=True)
class Observer:
    """A client that queries one row, again and again."""

    port: int
    body: bytes
    seconds: list[float] = field(default_factory=list)
    refused: int = 0

    async def run(self, until: float) -> None:
        while time.time() < until:
            try:
                async with asyncio.timeout(30):
                    await self._use_connection(until)
            except (OSError, TimeoutError, asyncio.IncompleteReadError):
                self.refused += 1

    async def _use_connection(self, until: float) -> None:
        """On one connection, whose opening counts as part of the first request."""
        start = time.perf_counter()
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            for _ in range(REQUESTS_PER_CONNECTION):
                writer.write(self.body)
                head = await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0]))
                self.refused += not head.startswith(b"HTTP/1.1 200")
                self.seconds.append(time.perf_counter() - start)
                await asyncio.sleep(0.002)
                start = time.perf_counter()
                if time.time() >= until:
                    return
        finally:
            writer.close()

    def measure(self, memory: float) -> Measure:
        """`memory`: of the server, as a multiple of what it had before."""
        more = {"p50 ms": percentile(self.seconds, 0.5) * 1e3, "refused": self.refused, "memory": memory}
        return Measure(1, percentile(self.seconds, 0.99), more)


async def run(bench: Bench) -> int:
    """The number of attacks that were not held off."""
    url = await servers.migrated(bench.postgres, f"attacks_{bench.rows}")
    await _fill(url, bench)
    facts = await _facts(url)
    not_held_off = []
    for name in filter(bench.wants, ATTACKS):
        with _hung_disk(bench.data / "hung") if "hangs" in name else nullcontext(True) as mounted:
            if not mounted:
                print(f"| {name} | needs the right to mount FUSE |", flush=True)
                continue
            async with servers.labelgraph(url, bench.data, "--no-worker", "--allow-root", str(bench.data)) as server:
                attack = Attack(name, server, facts, bench.seconds)
                await bench.run(Row(name, "ms", attack.attacked, attack.alone, "alone", CALM, before=attack.start))
            if not attack.held_off:
                not_held_off.append(name)
    if not_held_off:
        print(f"\nNot held off: {', '.join(not_held_off)}.")
    return len(not_held_off)


@dataclass(slots=True)
class Attack:
    """On a fresh server, so that it does not suffer from what another did."""

    name: str
    server: Server
    facts: dict[str, Any]
    seconds: float
    held_off: bool = True
    _before: Measure | None = None

    async def start(self) -> None:
        """What others notice without it, which cannot be measured after it."""
        await self._observe(1.0)
        self._before = (await self._observe(min(self.seconds, MAX_ALONE))).measure(1.0)

    async def alone(self) -> Measure:
        assert self._before is not None
        return self._before

    async def attacked(self) -> Measure:
        image = await _image_url(self.server)
        memory = _memory(self.server.pid)
        attackers = _start_attackers(self.name, self.server.port, self.seconds, self.facts | {"hung": image})
        peak = asyncio.create_task(_peak_memory(self.server.pid))
        observed = await self._observe(self.seconds)
        peak.cancel()
        measure = observed.measure(max(memory, *await asyncio.gather(peak)) / memory)
        for attacker in attackers:
            attacker.terminate()
            attacker.wait()
        held = measure.speed >= CALM * (await self.alone()).speed and not observed.refused
        self.held_off = self.held_off and held and measure.more["memory"] <= MAX_GROWTH
        return measure

    async def _observe(self, seconds: float) -> Observer:
        observer = Observer(self.server.port, request("/graphql", VIEWER, token=self.facts["victim"]))
        await observer.run(time.time() + seconds)
        return observer


def _start_attackers(name: str, port: int, seconds: float, facts: dict[str, Any]) -> list["subprocess.Popen[bytes]"]:
    until = time.time() + seconds
    environment = os.environ | {"ATTACK": json.dumps({**facts, "port": port, "until": until})}
    command = [sys.executable, "-m", "benchmarks.attackers", name]
    _, processes = ATTACKS[name]
    return [
        subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(processes)
    ]


def _memory(pid: int) -> int:
    """Bytes that a process has in memory."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def _peak_memory(pid: int) -> int:
    """The largest until it is canceled."""
    peak = 0
    try:
        while True:
            peak = max(peak, _memory(pid))
            await asyncio.sleep(0.1)
    except asyncio.CancelledError:
        return peak


# -- what is attacked -------------------------------------------------------------------------------------------------


async def _fill(url: str, bench: Bench) -> None:
    """Once for each number of rows."""
    connection = await asyncpg.connect(engine.driver_url(url))
    try:
        if not await connection.fetchval("SELECT 1 FROM dataset WHERE name = 'hung'"):
            await dataset.make(url, samples=bench.rows, name="bench")
            await dataset.make(url, samples=1_000, labels=10_000, name="labels")
            await dataset.make(url, samples=100, name="hung")
        path = str(bench.data / "hung")
        await connection.execute("UPDATE dataset SET input_path = $1 WHERE name = 'hung'", path)
    finally:
        await connection.close()


async def _facts(url: str) -> dict[str, Any]:
    """What the attackers know."""
    victim, reader = await servers.create_tokens(url, 2, Scope.READ)
    [token] = await servers.create_tokens(url, 1)
    connection = await asyncpg.connect(engine.driver_url(url))
    try:
        ids = {row["name"]: f"Dataset:{row['id']}" for row in await connection.fetch("SELECT name, id FROM dataset")}
    finally:
        await connection.close()
    tokens = {"victim": victim, "reader": reader, "token": token}
    return {**tokens, "largest": f"/playground/{LARGEST_ASSET.name}", "dataset": ids["bench"], "labels": ids["labels"]}


async def _image_url(server: Server) -> str:
    query = '{ dataset(by: {name: "hung"}) { samples(first: 1) { nodes { imageUrl } } } }'
    answer = await server.ask(server.graphql(query, {}))
    return re.sub(r"^https?://[^/]+", "", answer["dataset"]["samples"]["nodes"][0]["imageUrl"])


@contextmanager
def _hung_disk(path: Path) -> Iterator[bool]:
    """A file system that never answers: FUSE, with nobody who reads its requests. False where it is not permitted."""
    path.mkdir(exist_ok=True)
    try:
        descriptor = os.open("/dev/fuse", os.O_RDWR)
    except OSError:
        yield False
        return
    libc = ctypes.CDLL(None)
    options = f"fd={descriptor},rootmode=40000,user_id={os.getuid()},group_id={os.getgid()}".encode()
    mounted = libc.mount(b"hung", os.fsencode(path), b"fuse", 0, options) == 0
    try:
        yield mounted
    finally:
        os.close(descriptor)
        if mounted:
            libc.umount2(os.fsencode(path), 2)
