"""`./labelgraph bench`: Labelgraph and the same answers written by hand, in one run, with alternating rounds."""

import argparse
import asyncio
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import orjson
from sqlalchemy.engine import make_url

from api import embedded_postgres
from benchmarks import dataset
from benchmarks.load import Measure, ask, measure, request
from benchmarks.questions import DATASET, QUESTIONS, Question
from db.postgres import engine, migrations

ROOT = Path(__file__).parent.parent
SERVE = ["-m", "api", "serve", "--no-worker", "--data"]


def main() -> None:
    parser = argparse.ArgumentParser(prog="labelgraph bench", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="samples in the dataset (default: a million)")
    parser.add_argument("--rounds", type=int, default=5, help="alternating rounds; medians are printed (default: 5)")
    parser.add_argument("--seconds", type=float, default=2.0, help="length of one measurement (default: 2)")
    parser.add_argument("--only", default="", help="questions with this in their name (default: all)")
    parser.add_argument("--data", type=Path, default=ROOT / ".data" / "bench", help="where its own Postgres lives")
    asyncio.run(run(parser.parse_args()))


async def run(options: argparse.Namespace) -> None:
    options.data.mkdir(parents=True, exist_ok=True)
    async with embedded_postgres.postgres(options.data) as url:
        url = await own_database(url, options.rows)
        token = create_token(url, options.data)
        async with (
            server(["-m", "benchmarks.hand"], url, options.data) as hand,
            server([*SERVE, str(options.data)], url, options.data) as own,
        ):
            print_head(options)
            for number, question in enumerate(QUESTIONS):
                if options.only not in question.name:
                    continue
                sides = Sides.of(question, number, token, own, hand)
                await sides.agree()
                for connections in (1, 16):
                    print(await sides.compare(connections, options.rounds, options.seconds), flush=True)


async def own_database(url: str, rows: int) -> str:
    """A database of this many rows; made at the first run, found again at the next."""
    target = await migrated(url, f"bench_{rows}")
    connection = await asyncpg.connect(engine.driver_url(target))
    try:
        made = await connection.fetchval("SELECT total FROM dataset WHERE name = $1", DATASET)
    finally:
        await connection.close()
    if made is None:
        print(f"making {rows:,} samples …", flush=True)
        started = time.perf_counter()
        await dataset.make(target, samples=rows, name=DATASET)
        print(f"made in {time.perf_counter() - started:.0f} s", flush=True)
    return target


async def migrated(url: str, name: str) -> str:
    """The URL of the database of this name on another's server, made if need be."""
    connection = await asyncpg.connect(engine.driver_url(url))
    try:
        exists = await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", name)
        if not exists:
            await connection.execute(f'CREATE DATABASE "{name}"')
    finally:
        await connection.close()
    target = make_url(url).set(database=name).render_as_string(hide_password=False)
    await migrations.upgrade(target)
    return target


class Sides:
    """One question, as both servers are asked it."""

    def __init__(self, question: Question, own: "Side", hand: "Side") -> None:
        self.question, self.own, self.hand = question, own, hand

    @classmethod
    def of(cls, question: Question, number: int, token: str, own: "Server", hand: "Server") -> "Sides":
        graphql = [orjson.dumps({"query": question.graphql, "variables": v}) for v in question.variables]
        plain = [orjson.dumps(v) for v in question.variables]
        return cls(
            question,
            Side(own, [request("/graphql", body, token=token) for body in graphql]),
            Side(hand, [request(f"/{number}", body) for body in plain]),
        )

    async def agree(self) -> None:
        """Both must return the same answer, or there is nothing to compare."""
        for ours, theirs in zip(self.own.bodies[:5], self.hand.bodies[:5], strict=True):
            one = orjson.loads(await ask(self.own.server.port, ours))
            other = orjson.loads(await ask(self.hand.server.port, theirs))
            if one != other:
                raise SystemExit(f"{self.question.name}: the answers differ\n{one}\n{other}"[:2000])

    async def compare(self, connections: int, rounds: int, seconds: float) -> str:
        """A row of the table: medians over the rounds, whose order alternates."""
        for side in (self.own, self.hand):
            await side.run(connections, 0.5)
        pairs: list[tuple[Measure, Measure]] = []
        for number in range(rounds):
            if number % 2:
                theirs, ours = await self.hand.run(connections, seconds), await self.own.run(connections, seconds)
            else:
                ours, theirs = await self.own.run(connections, seconds), await self.hand.run(connections, seconds)
            pairs.append((ours, theirs))
        rate = statistics.median(ours.rate for ours, _ in pairs)
        limit = statistics.median(theirs.rate for _, theirs in pairs)
        ratio = statistics.median(ours.rate / theirs.rate for ours, theirs in pairs)
        cpu = statistics.median(ours.cpu_ms for ours, _ in pairs)
        cpu_limit = statistics.median(theirs.cpu_ms for _, theirs in pairs)
        return (
            f"| {self.question.name:32} | {connections:2} | {rate:7,.0f} | {limit:7,.0f} | {ratio:5.2f} "
            f"| {cpu:5.2f} | {cpu_limit:5.2f} |"
        )


class Server:
    """A server process of this run."""

    def __init__(self, port: int, pid: int) -> None:
        self.port, self.pid = port, pid


class Side:
    def __init__(self, server: Server, bodies: list[bytes]) -> None:
        self.server, self.bodies = server, bodies

    async def run(self, connections: int, seconds: float) -> Measure:
        return await measure(self.server.port, self.server.pid, self.bodies, connections=connections, seconds=seconds)


def print_head(options: argparse.Namespace) -> None:
    print(f"\n{options.rows:,} samples, {options.rounds} rounds of {options.seconds:g} s, one server process each\n")
    print("| question | connections | requests/s | by hand | ratio | CPU ms | by hand |")
    print("|---|--:|--:|--:|--:|--:|--:|", flush=True)


@asynccontextmanager
async def server(arguments: list[str], url: str, data: Path) -> AsyncGenerator[Server, None]:
    """A Python process with this module's database, on a port of its own, ended after the block."""
    port = free_port()
    command = [sys.executable, *arguments, *(["--port", str(port)] if "api" in arguments else [])]
    unlimited = {"LABELGRAPH_LIMIT_TOKEN_OPERATIONS": "0"}  # all questions are asked with one token
    environment = os.environ | {"DATABASE_URL": url, "PORT": str(port)} | unlimited
    with (data / f"{arguments[1]}.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
    try:
        await listening(port, process)
        yield Server(port, process.pid)
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:  # it waits for what it has begun
            process.kill()
            process.wait()


async def listening(port: int, process: "subprocess.Popen[bytes]") -> None:
    for _ in range(300):
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


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def create_token(url: str, data: Path) -> str:
    name = f"bench-{time.time_ns()}"
    command = [sys.executable, "-m", "api", "token", "create", "--name", name, "--scope", "read", "--data", str(data)]
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | {"DATABASE_URL": url}, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


if __name__ == "__main__":
    main()
