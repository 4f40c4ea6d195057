"""PUT /uploads/{name}: the bytes of an upload that was requested, where its storage takes none from clients itself.

The URL is signed (`db/identity/urls.py`) and needs no token. It takes one file, of the size that was announced, and
ends with its expiry, with the token for which it was made, and with the upload's completion.
"""

import time
from typing import Final

from starlette.requests import Request
from starlette.types import Receive, Send
from starlette.types import Scope as Connection

from api.configuration import BodyTooLarge, BodyTooSlow, ClientGone, begun, pieces
from api.runtime import Runtime, runtime
from db.errors import DomainError
from db.identity.tokens import Scope
from db.ingest import uploads
from db.ingest.uploads import Awaited
from schema.errors import log_defect

NAME_LENGTH: Final = 32
HEADERS: Final = (
    (b"content-type", b"text/plain; charset=utf-8"),
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
)


class UploadRefused(Exception):
    """Told as a status and a sentence. `closing`: the body was not read to its end."""

    def __init__(self, status: int, message: str, *, closing: bool = False) -> None:
        super().__init__(message)
        self.status = status
        self.closing = closing


class Door:
    """The ASGI endpoint. A refusal is sent before the rest of its body has come."""

    async def __call__(self, scope: Connection, receive: Receive, send: Send) -> None:
        try:
            problem = await _refusal(Request(scope, receive))
        except ClientGone:
            return
        await _send(send, problem)


async def _refusal(request: Request) -> UploadRefused | None:
    """None: the file was taken."""
    try:
        await _put(request)
    except UploadRefused as problem:
        return problem
    except DomainError:
        return UploadRefused(503, "Storage or the database cannot be reached just now; PUT the file again later.")
    except ClientGone:
        raise
    except Exception as error:
        log_defect(error)
        return UploadRefused(500, "Internal error; PUT the file again later.")
    return None


async def _send(send: Send, problem: UploadRefused | None) -> None:
    body = b"" if problem is None else str(problem).encode()
    headers = [*HEADERS, (b"content-length", str(len(body)).encode())]
    if problem is not None and problem.closing:
        headers.append((b"connection", b"close"))
    if problem is not None and problem.status == 503:
        headers.append((b"retry-after", b"2"))
    if problem is not None and problem.status == 405:
        headers.append((b"allow", b"PUT"))
    status = 200 if problem is None else problem.status
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _put(request: Request) -> None:
    if request.method != "PUT":
        raise UploadRefused(405, "Files come by PUT.", closing=True)
    process = runtime(request.scope)
    wanted = await _awaited(process, request)
    length = request.headers.get("content-length", str(wanted.size))
    if length != str(wanted.size):
        raise UploadRefused(_status(length, wanted), f"Exactly {wanted.size} bytes were announced.", closing=True)
    receive = await _begun(process, request)
    async with process.uploads.slot(int(request.query_params["i"])):
        data = await _body(process, receive, wanted)
        await process.stores.open(wanted.input_path).replace(wanted.path, data)


async def _awaited(process: Runtime, request: Request) -> Awaited:
    name, query = request.path_params["name"], request.query_params
    token, expiry, given = query.get("i", ""), query.get("e", ""), query.get("s", "")
    if not (_is_number(token) and _is_number(expiry) and len(name) == NAME_LENGTH):
        raise _not_signed()
    if not process.signer.holds(f"/uploads/{name}", int(token), int(expiry), given, time.time()):
        raise _not_signed()
    identity = await process.authenticator.identify_id(int(token))
    if identity is None or not identity.may(Scope.MANAGE):
        raise _not_signed()
    wanted = await uploads.awaited(process.database, name)
    if wanted is None or not identity.sees(wanted.dataset_id):
        raise UploadRefused(404, "Nothing is awaited here (any more): it was completed, or forgotten.", closing=True)
    return wanted


async def _begun(process: Runtime, request: Request) -> Receive:
    try:
        return await begun(request.receive, seconds=process.settings.timeouts.body)
    except BodyTooSlow:
        raise _too_slow() from None


async def _body(process: Runtime, receive: Receive, wanted: Awaited) -> bytes:
    """All of it; it is refused as soon as it passes what was announced."""
    body, timeouts = bytearray(), process.settings.timeouts
    try:
        async for piece in pieces(receive, most=wanted.size, seconds=timeouts.upload, grace=timeouts.body):
            body += piece
    except BodyTooLarge:
        raise UploadRefused(413, f"Exactly {wanted.size} bytes were announced.", closing=True) from None
    except BodyTooSlow:
        raise _too_slow() from None
    if len(body) != wanted.size:
        raise UploadRefused(400, f"Exactly {wanted.size} bytes were announced.")
    return bytes(body)


def _status(length: str, wanted: Awaited) -> int:
    return 413 if length.isdecimal() and int(length[:18]) > wanted.size else 400


def _too_slow() -> UploadRefused:
    return UploadRefused(408, "The file did not arrive in time.", closing=True)


def _not_signed() -> UploadRefused:
    return UploadRefused(
        403, "This URL does not hold (any more); request the upload again under its key.", closing=True
    )


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 18
