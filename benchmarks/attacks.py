"""`./labelgraph bench attacks`: what somebody else notices while one client attacks the server.

For each attack a row: how long somebody's one-row query takes alone and during the attack (99 of 100 are quicker), how
often it was refused, and how the server's memory grew. An attack is held off when the query takes at most five times as
long, is never refused, and memory stays within one and a half.
"""

import argparse
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

from api import embedded_postgres
from benchmarks import dataset
from benchmarks.__main__ import ROOT, SERVE, Server, migrated, server
from benchmarks.attackers import ATTACKS
from benchmarks.load import ask, request
from db.identity import tokens
from db.identity.tokens import Scope
from db.postgres import engine

MAX_SLOWDOWN, MAX_GROWTH = 5.0, 1.5  # times
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

    def percentile(self, share: float) -> float:
        """Milliseconds within which this share of the requests was answered."""
        ordered = sorted(self.seconds) or [float("inf")]
        return ordered[min(int(len(ordered) * share), len(ordered) - 1)] * 1000


def main() -> None:
    parser = argparse.ArgumentParser(prog="labelgraph bench attacks", description=__doc__)
    parser.add_argument("--seconds", type=float, default=30.0, help="length of each attack (default: 30)")
    parser.add_argument("--rows", type=int, default=100_000, help="samples in the dataset (default: 100,000)")
    parser.add_argument("--only", default="", help="attacks with this in their name (default: all)")
    parser.add_argument("--data", type=Path, default=ROOT / ".data" / "attacks", help="where its own Postgres lives")
    sys.exit(asyncio.run(run(parser.parse_args())))


async def run(options: argparse.Namespace) -> int:
    """The number of attacks that were not held off."""
    options.data.mkdir(parents=True, exist_ok=True)
    failed = 0
    async with embedded_postgres.postgres(options.data) as postgres:
        url = await migrated(postgres, f"attacks_{options.rows}")
        await _fill(url, options)
        facts = await _facts(url, options.data)
        print(f"\n{options.rows:,} samples, {options.seconds:g} s each; milliseconds of a one-row query\n")
        print("| attack | p50 alone | p99 alone | p50 then | p99 then | times | refused | memory | held off |")
        print("|---|--:|--:|--:|--:|--:|--:|--:|---|", flush=True)
        for name in ATTACKS:
            if options.only in name:
                async with server(
                    [*SERVE, str(options.data), "--allow-root", str(options.data)], url, options.data
                ) as s:
                    failed += not await _run_attack(name, s, facts, options)
    return failed


async def _run_attack(name: str, attacked: Server, facts: dict[str, Any], options: argparse.Namespace) -> bool:
    """A fresh server for each, so that none suffers from what another did."""
    body = request("/graphql", VIEWER, token=facts["victim"])
    with _hung_disk(options.data / "hung") if "hangs" in name else nullcontext(True) as mounted:
        if not mounted:
            print(f"| {name} | needs the right to mount FUSE |", flush=True)
            return True
        await _observe(attacked.port, body, 1.0)
        facts |= {"hung": await _image_url(attacked.port, facts)}
        before = _memory(attacked.pid)
        alone = await _observe(attacked.port, body, min(options.seconds, 10.0))
        until = time.time() + options.seconds
        attackers = _start_attackers(name, attacked.port, until, facts)
        peak = asyncio.create_task(_peak_memory(attacked.pid))
        under_attack = await _observe(attacked.port, body, options.seconds)
        peak.cancel()
        memory = max([before, *await asyncio.gather(peak)]) / before
        for attacker in attackers:
            attacker.terminate()
            attacker.wait()
    return _print_row(name, alone, under_attack, memory)


def _print_row(name: str, alone: Observer, under_attack: Observer, memory: float) -> bool:
    times = under_attack.percentile(0.99) / alone.percentile(0.99)
    held_off = times <= MAX_SLOWDOWN and not under_attack.refused and memory <= MAX_GROWTH
    verdict = "yes" if held_off else "NO"
    print(
        f"| {name} | {alone.percentile(0.5):.1f} | {alone.percentile(0.99):.1f} | {under_attack.percentile(0.5):.1f} "
        f"| {under_attack.percentile(0.99):.1f} | {times:.1f} | {under_attack.refused} | {memory:.2f} | {verdict} |",
        flush=True,
    )
    return held_off


async def _observe(port: int, body: bytes, seconds: float) -> Observer:
    victim = Observer(port, body)
    await victim.run(time.time() + seconds)
    return victim


def _start_attackers(name: str, port: int, until: float, facts: dict[str, Any]) -> list["subprocess.Popen[bytes]"]:
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


async def _fill(url: str, options: argparse.Namespace) -> None:
    """Once for each number of rows."""
    connection = await asyncpg.connect(engine.driver_url(url))
    try:
        if await connection.fetchval("SELECT 1 FROM dataset WHERE name = 'hung'"):
            return
    finally:
        await connection.close()
    await dataset.make(url, samples=options.rows, name="bench")
    await dataset.make(url, samples=1_000, labels=10_000, name="labels")
    await dataset.make(url, samples=100, name="hung")
    connection = await asyncpg.connect(engine.driver_url(url))
    try:
        await connection.execute("UPDATE dataset SET input_path = $1 WHERE name = 'hung'", str(options.data / "hung"))
    finally:
        await connection.close()


async def _facts(url: str, data: Path) -> dict[str, Any]:
    facts: dict[str, Any] = {"largest": f"/playground/{LARGEST_ASSET.name}"}
    async with engine.connect(url) as database:
        for name, scope in (("victim", Scope.READ), ("reader", Scope.READ), ("token", Scope.MANAGE)):
            async with database.writing() as session:
                facts[name] = await tokens.create(session, name=f"{name} {time.time_ns()}", scope=scope)
        async with database.reading() as connection:
            for name in ("bench", "labels"):
                number = await connection.fetchval("SELECT id FROM dataset WHERE name = $1", name)
                facts["dataset" if name == "bench" else name] = f"Dataset:{number}"
    return facts


async def _image_url(port: int, facts: dict[str, Any]) -> str:
    query = '{ dataset(by: {name: "hung"}) { samples(first: 1) { nodes { imageUrl } } } }'
    answer = await ask(port, request("/graphql", orjson.dumps({"query": query}), token=facts["token"]))
    url = orjson.loads(answer)["data"]["dataset"]["samples"]["nodes"][0]["imageUrl"]
    return re.sub(r"^https?://[^/]+", "", url)


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


if __name__ == "__main__":
    main()
