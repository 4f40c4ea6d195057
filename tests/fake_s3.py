"""An S3 server that misbehaves as proxies and servers have been observed to.

It stores objects, and lists them in pages of two; a test replaces the response to any request.
"""

import asyncio
import hashlib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qs, unquote, urlsplit

STALL = b"stall"  # instead of a response: nothing comes, the connection stays open
BUCKET = "bucket"
WHEN, WHEN_LISTED = "Sun, 01 Nov 2026 10:00:00 GMT", "2026-11-01T10:00:00.000Z"


@dataclass(frozen=True, slots=True)
class Request:
    """A request. `number` counts those of its operation, from 1."""

    operation: str
    key: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    number: int


Answerer = Callable[[Request], bytes | None]  # None: as a correct server answers


@dataclass(slots=True)
class FakeS3:
    objects: dict[str, bytes] = field(default_factory=dict)
    answer: Answerer = lambda request: None
    requests: Counter[str] = field(default_factory=Counter)
    endpoint: str = ""

    def default_answer(self, request: Request) -> bytes:
        match request.operation:
            case "list":
                return self.listing(request)
            case "delete_many":
                keys = [part.split("</Key>")[0] for part in request.body.decode().split("<Key>")[1:]]
                return deleted(keys)
            case "head_bucket":
                return http(200)
            case _ if request.key not in self.objects:
                return http(404) if request.operation == "head" else error(404, "NoSuchKey")
            case _:
                return self.object(request)

    def object(self, request: Request) -> bytes:
        data = self.objects[request.key]
        headers = {"ETag": etag(data), "Last-Modified": WHEN, "Content-Type": "image/png"}
        given = request.headers.get("if-match", etag(data))
        if given != etag(data):
            return error(412, "PreconditionFailed")
        if "range" not in request.headers or request.operation == "head":
            return http(200, data, headers, length=len(data), bodyless=request.operation == "head")
        first, _, last = request.headers["range"].removeprefix("bytes=").partition("-")
        if int(first) >= len(data):
            return error(416, "InvalidRange")
        part = data[int(first) : int(last) + 1 if last else None]
        headers["Content-Range"] = f"bytes {first}-{int(first) + len(part) - 1}/{len(data)}"
        return http(206, part, headers)

    def listing(self, request: Request) -> bytes:
        keys = sorted(self.objects)
        start = int(request.query.get("continuation-token", "0"))
        return page(keys[start : start + 2], str(start + 2) if start + 2 < len(keys) else None)


def http(
    status: int,
    body: bytes = b"",
    headers: dict[str, str] | None = None,
    *,
    length: int | None = None,
    bodyless: bool = False,
) -> bytes:
    """The bytes of a response. `length`: what Content-Length says, if it is wrong."""
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body) if length is None else length}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return "\r\n".join([*lines, "", ""]).encode() + (b"" if bodyless else body)


def error(status: int, code: str) -> bytes:
    text = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>secret-host.internal</Message></Error>"
    return http(status, text.encode(), {"Content-Type": "application/xml"})


def page(
    keys: Sequence[str], token: str | None, *, more: bool | None = None, count: int | None = None, name: str = BUCKET
) -> bytes:
    """A page of a listing with these values, true or not."""
    entries = "".join(
        f"<Contents><Key>{key}</Key><LastModified>{WHEN_LISTED}</LastModified><ETag>&quot;e&quot;</ETag><Size>1</Size></Contents>"
        for key in keys
    )
    truncated = "true" if (token is not None if more is None else more) else "false"
    following = f"<NextContinuationToken>{token}</NextContinuationToken>" if token is not None else ""
    return xml(
        f"<ListBucketResult><Name>{name}</Name><KeyCount>{len(keys) if count is None else count}</KeyCount>"
        f"<IsTruncated>{truncated}</IsTruncated>{following}{entries}</ListBucketResult>"
    )


def deleted(keys: Sequence[str], failed: Sequence[tuple[str, str]] = ()) -> bytes:
    done = "".join(f"<Deleted><Key>{key}</Key></Deleted>" for key in keys)
    errors = "".join(f"<Error><Key>{key}</Key><Code>{code}</Code></Error>" for key, code in failed)
    return xml(f"<DeleteResult>{done}{errors}</DeleteResult>")


def xml(text: str) -> bytes:
    return http(200, f"<?xml version='1.0' encoding='UTF-8'?>{text}".encode(), {"Content-Type": "application/xml"})


def etag(data: bytes) -> str:
    return f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}"'


@asynccontextmanager
async def fake_s3(objects: dict[str, bytes] | None = None, answer: Answerer | None = None) -> AsyncIterator[FakeS3]:
    fake = FakeS3(dict(objects or {}))
    if answer is not None:
        fake.answer = answer

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = await _read(reader, writer, fake.requests)
            response = fake.answer(request)
            if response == STALL:
                await reader.read()  # until the client leaves
            writer.write(fake.default_answer(request) if response is None else response)
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    fake.endpoint = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield fake
    finally:
        server.close()


async def _read(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, counts: Counter[str]) -> Request:
    lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    method, target, _ = lines[0].split(" ")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:] if line)}
    if "expect" in headers:
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    url = urlsplit(target)
    query = {name: values[0] for name, values in parse_qs(url.query, keep_blank_values=True).items()}
    _, _, key = unquote(url.path).lstrip("/").partition("/")
    what = operation(method, key, query)
    counts[what] += 1
    return Request(what, key, query, headers, body, counts[what])


def operation(method: str, key: str, query: dict[str, str]) -> str:
    if key:
        return method.lower()
    if "delete" in query:
        return "delete_many"
    return "head_bucket" if method == "HEAD" else "list"
