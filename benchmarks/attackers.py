"""One attacker: a process of its own that does one thing to a server on loopback until its time is over.

`python -m benchmarks.attackers NAME`, with a JSON object of what it needs in the environment variable ATTACK.
"""

import asyncio
import itertools
import json
import os
import socket
import struct
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException
from websockets.typing import Subprotocol

ADDRESS: Final = "127.0.0.2"  # where attackers come from; nobody else does
CHUNK: Final = 64 * 1024
PROTOCOL: Final = "graphql-transport-ws"
TEXT, CONTINUATION, PING = 0x81, 0x00, 0x89


@dataclass(frozen=True, slots=True)
class Target:
    """The server, and what the attacker knows of it."""

    port: int
    until: float  # of time.time()
    facts: Mapping[str, Any]

    @property
    def is_running(self) -> bool:
        return time.time() < self.until

    @property
    def remaining(self) -> float:
        return max(self.until - time.time(), 0.0)

    def connect(self) -> socket.socket:
        connection = socket.socket()
        connection.settimeout(5)
        connection.bind((ADDRESS, 0))
        connection.connect(("127.0.0.1", self.port))
        return connection

    def head(self, *lines: str, method: str = "POST", path: str = "/graphql", by: str = "token") -> bytes:
        head = [f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{self.port}"]
        head += [f"Authorization: Bearer {self.facts[by]}", *lines]
        return "\r\n".join(head).encode()


Attack = Callable[[Target], None]


def endless(first: bytes, rest: bytes, *, pause: float = 0.0) -> Attack:
    """Send `first` and then `rest` for ever; again on a new connection when the server closes."""

    def attack(target: Target) -> None:
        begin = first.replace(b"PORT", str(target.port).encode()).replace(b"TOKEN", target.facts["token"].encode())
        while target.is_running:
            with suppress(OSError), target.connect() as connection:
                connection.sendall(begin)
                while target.is_running:
                    connection.sendall(rest)
                    time.sleep(pause)

    return attack


def pipelined(target: Target) -> None:
    """Requests without waiting for answers, which are read and dropped."""
    request = target.head("", "", method="GET", path="/healthz") * 400
    while target.is_running:
        with suppress(OSError), target.connect() as connection:
            connection.setblocking(False)
            asyncio.run(_send_and_drop(target, connection, request))


async def _send_and_drop(target: Target, connection: socket.socket, data: bytes) -> None:
    loop = asyncio.get_running_loop()

    async def send() -> None:
        while True:
            await loop.sock_sendall(connection, data)

    async def drop() -> None:
        while await loop.sock_recv(connection, CHUNK):
            pass

    with suppress(TimeoutError, OSError):
        async with asyncio.timeout(target.remaining):
            await asyncio.gather(send(), drop())


def frame(kind: int, payload: bytes, *, last: bool = True) -> bytes:
    """Masked, by a mask that changes nothing."""
    first = kind if last else kind & 0x7F
    if len(payload) < 126:
        return struct.pack("!BB4x", first, 0x80 | len(payload)) + payload
    return struct.pack("!BBH4x", first, 0xFE, len(payload)) + payload


def flood(frames: Callable[[int], bytes], *, greet: bool) -> Attack:
    """Frames for ever over a WebSocket, with or without `connection_init`."""

    def attack(target: Target) -> None:
        while target.is_running:
            with suppress(OSError), target.connect() as connection:
                connection.sendall(_handshake(target))
                connection.recv(CHUNK)
                if greet:
                    connection.sendall(frame(TEXT, _init(target).encode()))
                    connection.recv(CHUNK)
                connection.setblocking(False)
                asyncio.run(_send_and_drop(target, connection, b"".join(frames(number) for number in range(2_000))))

    return attack


def _handshake(target: Target) -> bytes:
    return target.head(
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
        f"Sec-WebSocket-Protocol: {PROTOCOL}",
        "",
        "",
        method="GET",
    )


def _init(target: Target) -> str:
    payload = {"authorization": f"Bearer {target.facts['token']}"}
    return json.dumps({"type": "connection_init", "payload": payload})


def _subscribe(number: int) -> bytes:
    message = {"id": str(number), "type": "subscribe", "payload": {"query": "{ viewer { name } }"}}
    return frame(TEXT, json.dumps(message).encode()) + frame(
        TEXT, json.dumps({"id": str(number), "type": "complete"}).encode()
    )


def silent_connections(requests: Callable[[Target], bytes], count: int) -> Attack:
    """Many connections that send something and then neither read nor send anything more."""

    def attack(target: Target) -> None:
        opened: list[socket.socket] = []
        while target.is_running:
            opened = [connection for connection in opened if _is_open(connection)]
            for _ in range(min(count - len(opened), 50)):
                with suppress(OSError):
                    connection = target.connect()
                    connection.sendall(requests(target))
                    opened.append(connection)
            time.sleep(0.05)
        for connection in opened:
            connection.close()

    return attack


def _is_open(connection: socket.socket) -> bool:
    """Checks without reading."""
    try:
        return bool(connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
    except BlockingIOError:
        return True
    except OSError:
        return False


def unread(target: Target) -> bytes:
    return target.head("", "", method="GET", path=target.facts["largest"]) * 3


def upload_heads(target: Target) -> bytes:
    lines = ("Content-Type: multipart/form-data; boundary=x", "GraphQL-Require-Preflight: 1", "Content-Length: 5000000")
    return target.head(*lines, "", "", by="reader")


def body_heads(target: Target) -> bytes:
    return target.head("Content-Type: application/json", "Content-Length: 5000", "", "")


def requests_in_series(bodies: Callable[[Target], Iterator[bytes]], connections: int) -> Attack:
    """Requests, one after the other on each of some connections."""

    def attack(target: Target) -> None:
        asyncio.run(_send_in_series(target, bodies(target), connections))

    return attack


async def _send_in_series(target: Target, bodies: Iterator[bytes], connections: int) -> None:
    async def one() -> None:
        while target.is_running:
            with suppress(OSError, asyncio.IncompleteReadError):
                reader, writer = await asyncio.open_connection("127.0.0.1", target.port, local_addr=(ADDRESS, 0))
                try:
                    await _exchange(target, reader, writer, bodies)
                finally:
                    writer.close()

    with suppress(TimeoutError):
        async with asyncio.timeout(target.remaining):
            await asyncio.gather(*(one() for _ in range(connections)))


async def _exchange(
    target: Target, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, bodies: Iterator[bytes]
) -> None:
    while target.is_running:
        writer.write(next(bodies))
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        if b"content-length:" not in head:
            return
        await reader.readexactly(int(head.split(b"content-length:")[1].split(b"\r\n")[0]))


def operations(*queries: tuple[str, Callable[[Target], dict[str, Any]]]) -> Callable[[Target], Iterator[bytes]]:
    def bodies(target: Target) -> Iterator[bytes]:
        requests = []
        for query, variables in queries:
            body = json.dumps({"query": query, "variables": variables(target)}, ensure_ascii=False).encode()
            requests.append(
                target.head("Content-Type: application/json", f"Content-Length: {len(body)}", "", "") + body
            )
        return itertools.cycle(requests)

    return bodies


def images(target: Target) -> Iterator[bytes]:
    return itertools.repeat(target.head("", "", method="GET", path=target.facts["hung"]))


def subscribers(target: Target) -> None:
    """256 sockets with 20 subscriptions each, and a change every two seconds."""
    asyncio.run(_subscribe_many(target))


async def _subscribe_many(target: Target) -> None:
    query = "subscription ($id: ID!) { datasetChanges(datasetId: $id) { id revision kind summary } }"
    payload = {"query": query, "variables": {"id": target.facts["dataset"]}}

    async def socket_() -> None:
        with suppress(OSError, WebSocketException):
            async with connect(
                f"ws://127.0.0.1:{target.port}/graphql",
                subprotocols=[Subprotocol(PROTOCOL)],
                local_addr=(ADDRESS, 0),
                open_timeout=60,
            ) as raw:
                await raw.send(_init(target))
                for number in range(20):
                    await raw.send(json.dumps({"id": str(number), "type": "subscribe", "payload": payload}))
                async for _ in raw:
                    pass

    async def changes() -> None:
        name = "mutation ($input: CreateLabelsInput!) { createLabels(input: $input) { labels { id } } }"
        for number in itertools.count():
            await asyncio.sleep(2)
            values = {"datasetId": target.facts["dataset"], "labels": [{"name": f"l{time.time_ns()}"[-30:]}]}
            short = Target(target.port, time.time() + 5, target.facts)
            body = next(operations((name, lambda _, values=values: {"input": values}))(short))  # type: ignore[misc]
            reader, writer = await asyncio.open_connection("127.0.0.1", target.port, local_addr=(ADDRESS, 0))
            writer.write(body)
            await reader.readuntil(b"\r\n\r\n")
            writer.close()
            if number >= 14:
                return

    tasks: list[Awaitable[None]] = [socket_() for _ in range(255)]
    with suppress(TimeoutError):
        async with asyncio.timeout(target.remaining):
            await asyncio.gather(*tasks, changes())


NESTED = """query ($id: ID!) { dataset(by: {id: $id}) { samples(first: 100) { nodes { dataset { samples(first: 100) {
    nodes { dataset { labels { id name } } } } } } } } }"""
FILTERED = (
    "query ($id: ID!, $f: SampleFilter) { dataset(by: {id: $id}) { samples(first: 1, filter: $f) { totalCount } } }"
)
ANNOTATE = "mutation ($input: AnnotateSamplesInput!) { annotateSamples(input: $input) { dataset { id } } }"
NODES = "query ($ids: [ID!]!) { nodes(ids: $ids) { id } }"


def _dataset(target: Target) -> dict[str, Any]:
    return {"id": target.facts["labels"]}


def _filter(condition: dict[str, Any]) -> Callable[[Target], dict[str, Any]]:
    return lambda target: {"id": target.facts["dataset"], "f": condition}


def _many_items(target: Target) -> dict[str, Any]:
    return {"input": {"datasetId": target.facts["dataset"], "samples": [{"id": "Sample:1"}] * 45_000}}


def _many_fields(number: int) -> str:
    return (
        "{ "
        + " ".join(f"f{n}: datasets(first: {n % 9 + 1}) {{ totalCount }}" for n in range(number, number + 19))
        + " }"
    )


def _documents(target: Target) -> Iterator[bytes]:
    for number in itertools.count():
        body = json.dumps({"query": _many_fields(number)}).encode()
        yield target.head("Content-Type: application/json", f"Content-Length: {len(body)}", "", "") + body


PING_MESSAGE: Final = frame(TEXT, b'{"type":"ping"}')
START: Final = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:PORT\r\n"
CHUNKED: Final = (
    b"POST /graphql HTTP/1.1\r\nHost: 127.0.0.1:PORT\r\nAuthorization: Bearer TOKEN\r\n"
    b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nX: "
)
ATTACKS: Final[Mapping[str, tuple[Attack, int]]] = {  # with the number of processes
    "endless header": (endless(START + b"X: ", b"a" * CHUNK), 4),
    "endless URL": (endless(b"GET /", b"a" * CHUNK), 4),
    "endless headers": (endless(START, b"".join(b"X-%d: a\r\n" % n for n in range(5_000))), 4),
    "endless trailers": (endless(CHUNKED, b"a" * CHUNK), 4),
    "ping messages before init": (flood(lambda _: PING_MESSAGE, greet=False), 2),
    "ping frames before init": (flood(lambda _: frame(PING, b""), greet=False), 2),
    "ping messages after init": (flood(lambda _: PING_MESSAGE, greet=True), 2),
    "ping frames after init": (flood(lambda _: frame(PING, b""), greet=True), 2),
    "subscribe and complete": (flood(_subscribe, greet=True), 2),
    "empty fragments": (flood(lambda number: frame(CONTINUATION if number else 1, b"", last=False), greet=True), 2),
    "pipelined requests": (pipelined, 2),
    "readers that never read": (silent_connections(unread, 2_000), 1),
    "sockets of one token": (silent_connections(_handshake, 1_500), 1),
    "bodies of one token": (silent_connections(body_heads, 1_500), 1),
    "heads of uploads": (silent_connections(upload_heads, 32), 1),
    "a disk that hangs": (requests_in_series(images, 32), 1),
    "nested unpaged lists": (requests_in_series(operations((NESTED, _dataset)), 4), 1),
    "long needle": (requests_in_series(operations((FILTERED, _filter({"path": {"contains": "é" * 160_000}}))), 12), 1),
    "many items": (
        requests_in_series(
            operations(
                (ANNOTATE, _many_items),
                (NODES, lambda _: {"ids": ["Sample:1"] * 60_000}),
                (FILTERED, _filter({"or": [{"isHard": True}] * 50_000})),
            ),
            4,
        ),
        1,
    ),
    "90 needles": (
        requests_in_series(
            operations((FILTERED, _filter({"or": [{"path": {"contains": f"x{n}"}} for n in range(90)]}))), 12
        ),
        1,
    ),
    "ever new documents": (requests_in_series(_documents, 6), 1),
    "5,100 subscriptions": (subscribers, 1),
}


def main() -> None:
    os.nice(19)  # the attacked machine is another one; here both share the processors
    facts = json.loads(os.environ["ATTACK"])
    attack, _ = ATTACKS[sys.argv[1]]
    attack(Target(facts["port"], facts["until"], facts))


if __name__ == "__main__":
    main()
