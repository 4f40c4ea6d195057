"""A small HTTP/1.1 client that asks the same server again and again over kept connections, and counts."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

CLOCK_TICKS = 100  # of /proc/<pid>/stat, a second


@dataclass(frozen=True, slots=True)
class Measure:
    """What a stretch of load came to."""

    requests: int
    seconds: float
    cpu_seconds: float  # of the server's process

    @property
    def rate(self) -> float:
        return self.requests / self.seconds

    @property
    def cpu_ms(self) -> float:
        return self.cpu_seconds / self.requests * 1000


async def measure(port: int, pid: int, bodies: Sequence[bytes], *, connections: int, seconds: float) -> Measure:
    """Ask `port` for `seconds` over `connections` kept connections; `bodies` are whole requests, taken in turn."""
    before, started = cpu_seconds(pid), time.perf_counter()
    until = started + seconds
    counts = await asyncio.gather(*(_ask(port, bodies, number, until) for number in range(connections)))
    spent = time.perf_counter() - started
    return Measure(requests=sum(counts), seconds=spent, cpu_seconds=cpu_seconds(pid) - before)


async def ask(port: int, body: bytes) -> bytes:
    """One request, its answer's body."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(body)
        return await _answer(reader)
    finally:
        writer.close()


def request(path: str, body: bytes, *, token: str = "") -> bytes:
    """The bytes of a POST of JSON."""
    lines = [
        f"POST {path} HTTP/1.1",
        "Host: 127.0.0.1",
        "Content-Type: application/json",
        "Accept: application/json",
        *([f"Authorization: Bearer {token}"] if token else []),
        f"Content-Length: {len(body)}",
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


def cpu_seconds(pid: int) -> float:
    """Processor time that a process has used, of all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS


async def _ask(port: int, bodies: Sequence[bytes], number: int, until: float) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    asked = 0
    try:
        while time.perf_counter() < until:
            writer.write(bodies[(number * 7 + asked) % len(bodies)])
            await _answer(reader)
            asked += 1
    finally:
        writer.close()
    return asked


async def _answer(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(head.decode())
    length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
    return await reader.readexactly(length)
