"""A small HTTP/1.1 client that asks the same server again and again over kept connections, and counts."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from benchmarks.runner import Measure

CLOCK_TICKS = 100  # of /proc/<pid>/stat, a second
BOUNDARY = b"boundary-of-the-benchmark"
PAUSE = 0.005  # seconds between a probe's requests


@dataclass(frozen=True, slots=True)
class Server:
    """A server process of this run, and a token for it, if it wants one."""

    port: int
    pid: int
    token: str = ""

    def post(self, path: str, values: Mapping[str, Any]) -> bytes:
        """A request with JSON."""
        return request(path, orjson.dumps(values), token=self.token)

    def graphql(self, query: str, variables: Mapping[str, Any], *, token: str = "") -> bytes:
        body = orjson.dumps({"query": query, "variables": variables})
        return request("/graphql", body, token=token or self.token)

    async def ask(self, request: bytes) -> Any:
        """The data of one answer."""
        return orjson.loads(await ask(self.port, request))["data"]

    async def measure(
        self, requests: Iterator[bytes], *, connections: int = 1, seconds: float = float("inf")
    ) -> Measure:
        """Send requests for `seconds`, or all, over some connections, each the next when its last was answered."""
        before, started = cpu_seconds(self.pid), time.perf_counter()
        until = started + seconds
        counts = await asyncio.gather(*(_send(self.port, requests, until) for _ in range(connections)))
        spent, count = time.perf_counter() - started, sum(counts)
        return Measure(count, spent, {"CPU ms": (cpu_seconds(self.pid) - before) / count * 1000})

    async def time(self, request: bytes) -> tuple[Measure, Any]:
        """One request, and the data of its answer."""
        started = time.perf_counter()
        answer = await ask(self.port, request)
        return Measure(1, time.perf_counter() - started), orjson.loads(answer)["data"]

    async def mutate(self, document: str, **given: Any) -> tuple[Measure, dict[str, Any]]:
        """One mutation with an `input`, and its payload."""
        measure, data = await self.time(self.graphql(document, {"input": given}))
        [payload] = data.values()
        return measure, payload

    @asynccontextmanager
    async def probe(self, requests: Iterator[bytes]) -> AsyncIterator[list[float]]:
        """How many seconds each request of one client takes, one after the other, while the block lasts."""
        seconds: list[float] = []
        done = asyncio.Event()

        async def observe() -> None:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            try:
                for request in requests:
                    started = time.perf_counter()
                    writer.write(request)
                    await _answer(reader)
                    seconds.append(time.perf_counter() - started)
                    if done.is_set():
                        return
                    await asyncio.sleep(PAUSE)
            finally:
                writer.close()

        async with asyncio.TaskGroup() as group:
            group.create_task(observe())
            try:
                yield seconds
            finally:
                done.set()  # the last request, which may be the slowest, is waited for


def percentile(seconds: Sequence[float], share: float) -> float:
    """That within which this share of all lies; infinite for none."""
    ordered = sorted(seconds) or [float("inf")]
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


async def ask(port: int, request: bytes) -> bytes:
    """One request, its answer's body."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        return await _answer(reader)
    finally:
        writer.close()


def request(path: str, body: bytes, *, token: str = "", content_type: str = "application/json") -> bytes:
    """The bytes of a POST."""
    lines = [
        f"POST {path} HTTP/1.1",
        "Host: 127.0.0.1",
        f"Content-Type: {content_type}",
        "Accept: application/json",
        "GraphQL-Require-Preflight: true",
        *([f"Authorization: Bearer {token}"] if token else []),
        f"Content-Length: {len(body)}",
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


def form(path: str, fields: Mapping[str, str], files: Mapping[str, tuple[str, bytes]], *, token: str = "") -> bytes:
    """The bytes of a POST of a form. `files`: names and contents, by field."""
    start = b"--%s\r\nContent-Disposition: form-data; name=" % BOUNDARY
    parts = [start + f'"{name}"\r\n\r\n{text}\r\n'.encode() for name, text in fields.items()]
    parts += [
        start + f'"{field}"; filename="{name}"\r\n\r\n'.encode() + data + b"\r\n"
        for field, (name, data) in files.items()
    ]
    body = b"".join([*parts, b"--%s--\r\n" % BOUNDARY])
    return request(path, body, token=token, content_type=f"multipart/form-data; boundary={BOUNDARY.decode()}")


def get(path: str) -> bytes:
    """The bytes of a GET."""
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()


def cpu_seconds(pid: int) -> float:
    """Processor time that a process has used, of all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS


async def _send(port: int, requests: Iterator[bytes], until: float) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    sent = 0
    try:
        for each in requests:
            writer.write(each)
            await _answer(reader)
            sent += 1
            if time.perf_counter() >= until:
                break
    finally:
        writer.close()
    return sent


async def _answer(reader: asyncio.StreamReader) -> bytes:
    """Raises RuntimeError for what is no success, and for errors of GraphQL."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
    body = await reader.readexactly(length)
    if not head.startswith(b"HTTP/1.1 200") or b'"errors":[' in body:
        raise RuntimeError((head + body[:1000]).decode(errors="replace"))
    return body
