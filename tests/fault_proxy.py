"""A proxy before a working S3, which injects faults: it delays, cuts, refuses and does not answer, as a seed decides.

A fault depends on the request and on how often it came before, never on the order in which concurrent requests arrive:
a seed that fails, fails again.
"""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum, auto
from urllib.parse import parse_qs, unquote, urlsplit
from weakref import WeakValueDictionary

import pytest
from aiohttp.base_protocol import BaseProtocol
from aiohttp.client_proto import ResponseHandler

from tests.fake_s3 import error, operation

END = b"\r\n\r\n"
CLIENTS: WeakValueDictionary[tuple[str, int], ResponseHandler] = WeakValueDictionary()  # of this process, by address


class Fault(Enum):
    """What happens to a request."""

    PASS = auto()
    DELAY = auto()  # the response is late
    CUT_BEFORE = auto()  # the store does not get it
    CUT_AFTER = auto()  # the store did it; the response is lost
    CUT_WITHIN = auto()  # the store did it; the response breaks off after its headers, which are right
    SLOW_DOWN = auto()
    SERVER_ERROR = auto()  # 500, without the store
    LOST_RESPONSE = auto()  # the store did it; nothing comes until the client has waited long enough
    LOST_REQUEST = auto()  # the store does not get it; nothing comes until the client has waited long enough


CUTS = (Fault.CUT_BEFORE, Fault.CUT_AFTER, Fault.CUT_WITHIN)
FAULTS = (*CUTS, Fault.DELAY, Fault.SLOW_DOWN, Fault.SERVER_ERROR, Fault.LOST_RESPONSE)
ANSWERS = {Fault.SLOW_DOWN: error(503, "SlowDown"), Fault.SERVER_ERROR: error(500, "InternalError")}


@dataclass(frozen=True, slots=True)
class Request:
    """A request. `number` counts equal ones, from 1."""

    operation: str
    key: str
    number: int


Schedule = Callable[[Request], Fault]


def no_faults(_: Request) -> Fault:
    return Fault.PASS


def always(fault: Fault) -> Schedule:
    return lambda _: fault


def random_faults(seed: int, *, share: float = 0.15, faults: tuple[Fault, ...] = FAULTS) -> Schedule:
    """This share of the requests meets one of these faults."""

    def decide(request: Request) -> Fault:
        chance = random.Random(f"{seed} {request.operation} {request.key} {request.number}")
        return chance.choice(faults) if chance.random() < share else Fault.PASS

    return decide


@dataclass(slots=True)
class FaultProxy:
    """`schedule` may be replaced at any time. `forwarded` counts what the store was asked to do.

    A client that waits for a response which does not come times out as soon as `timed_out` is set, as it is at first:
    a timeout that took time would also end what is slow because the machine is busy.
    """

    host: str
    port: int
    schedule: Schedule = no_faults
    delay: float = 0.3  # seconds
    endpoint: str = ""
    fault_counts: Counter[Fault] = field(default_factory=Counter)
    forwarded: Counter[str] = field(default_factory=Counter)
    timed_out: asyncio.Event = field(default_factory=asyncio.Event)
    _counts: Counter[tuple[str, str]] = field(default_factory=Counter)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(END)
        headers = _headers(head)
        if "expect" in headers:
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        request = self._parse(head)
        fault = self.schedule(request)
        self.fault_counts[fault] += 1
        match fault:
            case Fault.CUT_BEFORE:
                return
            case Fault.SLOW_DOWN | Fault.SERVER_ERROR:
                answer = ANSWERS[fault]
            case Fault.LOST_REQUEST:
                answer = b""
            case _:
                self.forwarded[request.operation] += 1
                answer = await self._forward(head, body)
        await self._respond(fault, answer, reader, writer)

    async def _respond(
        self, fault: Fault, answer: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        match fault:
            case Fault.LOST_RESPONSE | Fault.LOST_REQUEST:
                await self.timed_out.wait()
                if _time_out(writer.get_extra_info("peername")):
                    await reader.read()  # until the client has gone
            case Fault.CUT_AFTER:
                pass
            case Fault.CUT_WITHIN:
                head, body = answer.split(END, 1)
                writer.write(head + END + body[: len(body) // 2] if body else head[: len(head) // 2])
                await writer.drain()
            case _:
                await asyncio.sleep(self.delay if fault is Fault.DELAY else 0)
                writer.write(answer)
                await writer.drain()

    async def _forward(self, head: bytes, body: bytes) -> bytes:
        """The store's whole response. The host stays as it was, since signatures cover it."""
        reader, writer = await asyncio.open_connection(self.host, self.port)
        try:
            lines = [line for line in head.split(b"\r\n") if not line.lower().startswith((b"connection:", b"expect:"))]
            writer.write(b"\r\n".join([lines[0], b"Connection: close", *lines[1:]]) + body)
            await writer.drain()
            return _close_after(await reader.read())
        finally:
            writer.close()

    def _parse(self, head: bytes) -> Request:
        method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
        url = urlsplit(target)
        _, _, key = unquote(url.path).lstrip("/").partition("/")
        query = {each: values[0] for each, values in parse_qs(url.query, keep_blank_values=True).items()}
        name = operation(method, key, query)
        self._counts[name, key] += 1
        return Request(name, key, self._counts[name, key])


def _time_out(client: tuple[str, int]) -> bool:
    """End the wait of an S3 client of this process, as its read timeout does. Another kind of client is cut off."""
    protocol = CLIENTS.get(client)
    if protocol is not None:
        protocol._on_read_timeout()
    return protocol is not None


def _remember(self: ResponseHandler, transport: asyncio.BaseTransport) -> None:
    BaseProtocol.connection_made(self, transport)
    CLIENTS[transport.get_extra_info("sockname")] = self


def _headers(head: bytes) -> dict[str, str]:
    lines = head.decode("latin-1").split("\r\n")[1:]
    return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}


def _close_after(answer: bytes) -> bytes:
    """Every connection carries one request: its fault affects no other."""
    head, _, body = answer.partition(END)
    lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"connection:")]
    return b"\r\n".join([*lines, b"Connection: close"]) + END + body


@asynccontextmanager
async def fault_proxy(endpoint: str) -> AsyncIterator[FaultProxy]:
    """A proxy to the S3 at this endpoint, at first without faults. When the block ends, nothing waits for it."""
    url = urlsplit(endpoint)
    proxy = FaultProxy(str(url.hostname), int(url.port or 80))
    proxy.timed_out.set()
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await _quietly(proxy.serve(reader, writer))
        finally:
            tasks.discard(task)
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    proxy.endpoint = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(ResponseHandler, "connection_made", _remember)
            yield proxy
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _quietly(work: Awaitable[None]) -> None:
    """Either side may leave at any time."""
    try:
        await work
    except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
        return
