"""A bad road to a good S3: a proxy that delays, cuts, refuses and falls silent, by a schedule that a seed decides.

What a schedule decides hangs on what is asked and how often it was asked before, never on the order in which requests
that run side by side arrive: a seed that fails, fails again.
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

from tests.lying_s3 import error, operation

END = b"\r\n\r\n"
CLIENTS: WeakValueDictionary[tuple[str, int], ResponseHandler] = WeakValueDictionary()  # of this process, by address


class Fate(Enum):
    """What becomes of a request."""

    PASS = auto()
    DELAY = auto()  # the answer comes, late
    CUT_BEFORE = auto()  # the store never hears of it
    CUT_AFTER = auto()  # the store did it, and nobody is told
    CUT_WITHIN = auto()  # the store did it; the answer breaks off after its headers, which are right
    SLOW_DOWN = auto()
    BROKEN = auto()  # 500, without asking the store
    MUTE = auto()  # the store did it; nothing comes until the client has waited long enough
    DEAF = auto()  # the store never hears of it; nothing comes until the client has waited long enough


CUTS = (Fate.CUT_BEFORE, Fate.CUT_AFTER, Fate.CUT_WITHIN)
WEATHER = (*CUTS, Fate.DELAY, Fate.SLOW_DOWN, Fate.BROKEN, Fate.MUTE)
ANSWERS = {Fate.SLOW_DOWN: error(503, "SlowDown"), Fate.BROKEN: error(500, "InternalError")}


@dataclass(frozen=True, slots=True)
class Passing:
    """A request on its way. `number` counts those that ask the same, from 1."""

    operation: str
    key: str
    number: int


Schedule = Callable[[Passing], Fate]


def calm(_: Passing) -> Fate:
    return Fate.PASS


def always(fate: Fate) -> Schedule:
    return lambda _: fate


def storm(seed: int, *, share: float = 0.15, fates: tuple[Fate, ...] = WEATHER) -> Schedule:
    """So large a share of the requests meets one of these fates."""

    def decide(passing: Passing) -> Fate:
        chance = random.Random(f"{seed} {passing.operation} {passing.key} {passing.number}")
        return chance.choice(fates) if chance.random() < share else Fate.PASS

    return decide


@dataclass(slots=True)
class Road:
    """The proxy. `schedule` may be replaced at any time; `met` counts fates, `heard` what the store was asked to do.

    Whoever waits for an answer that does not come has waited long enough as soon as `impatient` is set, as it is at
    first: a timeout that took time would also end what is slow because the machine is busy.
    """

    host: str
    port: int
    schedule: Schedule = calm
    delay: float = 0.3  # seconds
    endpoint: str = ""
    met: Counter[Fate] = field(default_factory=Counter)
    heard: Counter[str] = field(default_factory=Counter)
    impatient: asyncio.Event = field(default_factory=asyncio.Event)
    _asked: Counter[tuple[str, str]] = field(default_factory=Counter)

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(END)
        headers = _headers(head)
        if "expect" in headers:
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        passing = self._passing(head)
        fate = self.schedule(passing)
        self.met[fate] += 1
        match fate:
            case Fate.CUT_BEFORE:
                return
            case Fate.SLOW_DOWN | Fate.BROKEN:
                answer = ANSWERS[fate]
            case Fate.DEAF:
                answer = b""
            case _:
                self.heard[passing.operation] += 1
                answer = await self._ask(head, body)
        await self._tell(fate, answer, reader, writer)

    async def _tell(
        self, fate: Fate, answer: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        match fate:
            case Fate.MUTE | Fate.DEAF:
                await self.impatient.wait()
                if _time_out(writer.get_extra_info("peername")):
                    await reader.read()  # until the client has gone
            case Fate.CUT_AFTER:
                pass
            case Fate.CUT_WITHIN:
                head, body = answer.split(END, 1)
                writer.write(head + END + body[: len(body) // 2] if body else head[: len(head) // 2])
                await writer.drain()
            case _:
                await asyncio.sleep(self.delay if fate is Fate.DELAY else 0)
                writer.write(answer)
                await writer.drain()

    async def _ask(self, head: bytes, body: bytes) -> bytes:
        """The store's whole answer. The host stays as it was, since signatures cover it."""
        reader, writer = await asyncio.open_connection(self.host, self.port)
        try:
            lines = [line for line in head.split(b"\r\n") if not line.lower().startswith((b"connection:", b"expect:"))]
            writer.write(b"\r\n".join([lines[0], b"Connection: close", *lines[1:]]) + body)
            await writer.drain()
            return _closing(await reader.read())
        finally:
            writer.close()

    def _passing(self, head: bytes) -> Passing:
        method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
        url = urlsplit(target)
        _, _, key = unquote(url.path).lstrip("/").partition("/")
        query = {name: values[0] for name, values in parse_qs(url.query, keep_blank_values=True).items()}
        asked = operation(method, key, query)
        self._asked[asked, key] += 1
        return Passing(asked, key, self._asked[asked, key])


def _time_out(client: tuple[str, int]) -> bool:
    """End the wait of an S3 client of this process, as its read timeout does. Another kind of client is cut off."""
    protocol = CLIENTS.get(client)
    if protocol is not None:
        protocol._on_read_timeout()
    return protocol is not None


def _noted(self: ResponseHandler, transport: asyncio.BaseTransport) -> None:
    BaseProtocol.connection_made(self, transport)
    CLIENTS[transport.get_extra_info("sockname")] = self


def _headers(head: bytes) -> dict[str, str]:
    lines = head.decode("latin-1").split("\r\n")[1:]
    return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}


def _closing(answer: bytes) -> bytes:
    """Every connection carries one request: what a fate does to it touches no other."""
    head, _, body = answer.partition(END)
    lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"connection:")]
    return b"\r\n".join([*lines, b"Connection: close"]) + END + body


@asynccontextmanager
async def road(endpoint: str) -> AsyncIterator[Road]:
    """A road to the S3 at this endpoint, calm at first. On leaving nothing waits for it any more."""
    url = urlsplit(endpoint)
    made = Road(str(url.hostname), int(url.port or 80))
    made.impatient.set()
    carried: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        carried.add(task)
        try:
            await _quietly(made.carry(reader, writer))
        finally:
            carried.discard(task)
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    made.endpoint = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(ResponseHandler, "connection_made", _noted)
            yield made
    finally:
        server.close()
        for task in carried:
            task.cancel()
        await asyncio.gather(*carried, return_exceptions=True)


async def _quietly(work: Awaitable[None]) -> None:
    """Either side may leave at any time."""
    try:
        await work
    except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
        return
