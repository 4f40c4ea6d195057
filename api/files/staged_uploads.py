"""PUT /uploads/{name}: the bytes of an upload that was requested, where its storage takes none from clients itself.

The URL is signed (`db/identity/urls.py`) and needs no token. It takes one file, of the size that was announced, and
ends with its expiry, with the token for which it was made, and with the upload's completion.
"""

import time
from collections.abc import Sequence
from typing import Final

from starlette.requests import Request
from starlette.types import Receive, Send
from starlette.types import Scope as Connection

from api.limits.bodies import BodyTooLarge, BodyTooSlow, ClientDisconnected, read_body, wait_for_body
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
CLOSE: Final = ((b"connection", b"close"),)  # the body was not read to its end


class UploadRefused(Exception):
    """Answered with a status and a sentence."""

    def __init__(self, status: int, message: str, headers: Sequence[tuple[bytes, bytes]] = CLOSE) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers


class StagedUploads:
    """The ASGI endpoint. A refusal is sent before the rest of its body has come."""

    async def __call__(self, scope: Connection, receive: Receive, send: Send) -> None:
        status, body, headers = 200, b"", list(HEADERS)
        try:
            await _store(Request(scope, receive))
        except ClientDisconnected:
            return
        except Exception as error:
            refused = _refusal(error)
            status, body = refused.status, str(refused).encode()
            headers += refused.headers
        headers.append((b"content-length", str(len(body)).encode()))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def _refusal(error: Exception) -> UploadRefused:
    match error:
        case UploadRefused():
            return error
        case BodyTooSlow():
            return UploadRefused(408, "The file did not arrive in time.")
        case DomainError():
            message = "Storage or the database cannot be reached just now; PUT the file again later."
            return UploadRefused(503, message, [(b"retry-after", b"2")])
    log_defect(error)
    return UploadRefused(500, "Internal error; PUT the file again later.", ())


async def _store(request: Request) -> None:
    if request.method != "PUT":
        raise UploadRefused(405, "Files come by PUT.", [*CLOSE, (b"allow", b"PUT")])
    process = runtime(request.scope)
    upload = await _find(process, request)
    wrong_size = f"Exactly {upload.size} bytes were announced."
    length = request.headers.get("content-length", str(upload.size))
    if length != str(upload.size):
        is_larger = length.isdecimal() and int(length[:18]) > upload.size
        raise UploadRefused(413 if is_larger else 400, wrong_size)
    timeouts, data = process.settings.timeouts, bytearray()
    receive = await wait_for_body(request.receive, seconds=timeouts.body)
    async with process.uploads.slot(int(request.query_params["i"])):
        try:
            chunks = read_body(receive, max_bytes=upload.size, seconds=timeouts.upload, grace=timeouts.body)
            async for chunk in chunks:
                data += chunk
        except BodyTooLarge:
            raise UploadRefused(413, wrong_size) from None
        if len(data) != upload.size:
            raise UploadRefused(400, wrong_size, ())
        await process.stores.open(upload.input_path).replace(upload.path, bytes(data))


async def _find(process: Runtime, request: Request) -> Awaited:
    """The upload of a URL. Raises UploadRefused where the URL is not valid, or the upload is not open any more."""
    name, query = request.path_params["name"], request.query_params
    token, expiry = query.get("i", ""), query.get("e", "")
    is_valid = (
        len(name) == NAME_LENGTH
        and all(number.isascii() and number.isdecimal() and len(number) < 18 for number in (token, expiry))
        and process.signer.is_valid(f"/uploads/{name}", int(token), int(expiry), query.get("s", ""), time.time())
    )
    identity = await process.authenticator.identify_id(int(token)) if is_valid else None
    if identity is None or not identity.may(Scope.MANAGE):
        raise UploadRefused(403, "This URL is not valid (any more); request the upload again under its key.")
    upload = await uploads.awaited(process.database, name)
    if upload is None or not identity.sees(upload.dataset_id):
        raise UploadRefused(404, "Nothing is awaited here (any more): it was completed, or forgotten.")
    return upload
