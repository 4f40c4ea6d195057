"""PUT /uploads/{name}: the bytes of an upload that was requested, where its storage takes none from clients itself.

The URL is signed (`db/identity/urls.py`) and needs no token. It takes one file, of the size that was announced, and
ends with its expiry, with the token for which it was made, and with the upload's completion.
"""

import re
import time
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Send
from starlette.types import Scope as Connection

from api.limits.bodies import CLOSE, read_body, wait_for_body
from api.runtime import Runtime, runtime
from db.errors import DomainError
from db.identity.tokens import Scope
from db.ingest import uploads
from db.ingest.uploads import Awaited, parts
from db.postgres.outages import explain_to_client
from schema.errors import log_defect

NAME: Final = re.compile(r"[0-9a-f]{32}(-[0-9]{1,5})?")  # with the number of a part
HEADERS: Final = {"x-content-type-options": "nosniff", "cache-control": "no-store"}


class StagedUploads:
    """The ASGI endpoint. A refusal is sent before the rest of its body has come."""

    async def __call__(self, scope: Connection, receive: Receive, send: Send) -> None:
        try:
            await _store(Request(scope, receive))
            response = PlainTextResponse(headers=HEADERS)
        except ClientDisconnect:
            return
        except Exception as error:
            refused = _refusal(error)
            headers = {**HEADERS, **(refused.headers or {})}
            response = PlainTextResponse(refused.detail, refused.status_code, headers)
        await response(scope, receive, send)


def _refusal(error: Exception) -> HTTPException:
    match explain_to_client(error) or error:
        case HTTPException() as refused:
            return refused
        case DomainError():
            message = "Storage or the database cannot be reached just now; PUT the file again later."
            return HTTPException(503, message, {"retry-after": "2"})
    log_defect(error)
    return HTTPException(500, "Internal error; PUT the file again later.")


async def _store(request: Request) -> None:
    if request.method != "PUT":
        raise HTTPException(405, "Upload files with PUT.", {**CLOSE, "allow": "PUT"})
    process = runtime(request.scope)
    upload = await _find(process, request)
    wrong_size = f"The upload was requested with exactly {upload.size} bytes."
    length = request.headers.get("content-length", str(upload.size))
    if length != str(upload.size):
        is_larger = length.isdecimal() and int(length[:18]) > upload.size
        raise HTTPException(413 if is_larger else 400, wrong_size, CLOSE)
    timeouts, data = process.settings.timeouts, bytearray()
    receive = await wait_for_body(request.receive, seconds=timeouts.body)
    async with process.uploads.slot(int(request.query_params["i"])):
        async for chunk in read_body(
            receive,
            max_bytes=upload.size,
            too_large=lambda: HTTPException(413, wrong_size, CLOSE),
            seconds=timeouts.upload,
            grace=timeouts.body,
        ):
            data += chunk
        if len(data) != upload.size:
            raise HTTPException(400, wrong_size)
        _expect_unsealed(await _awaited(process, request))
        await process.stores.open(upload.input_path).replace(upload.path, bytes(data))
    await _awaited(process, request)  # if it has ended by now, nobody reads the file, and the next sweep deletes it


async def _find(process: Runtime, request: Request) -> Awaited:
    """The upload of a URL. Raises HTTPException where the URL is not valid, or the upload is not open any more."""
    name, query = request.path_params["name"], request.query_params
    token, expiry = query.get("i", ""), query.get("e", "")
    is_valid = (
        NAME.fullmatch(name) is not None
        and all(number.isascii() and number.isdecimal() and len(number) < 18 for number in (token, expiry))
        and process.signer.is_valid(f"/uploads/{name}", int(token), int(expiry), query.get("s", ""), time.time())
    )
    identity = await process.authenticator.identify_id(int(token)) if is_valid else None
    if identity is None or not identity.may(Scope.MANAGE):
        raise HTTPException(403, "This URL is not valid (any more); request the upload again with its key.", CLOSE)
    upload = await _awaited(process, request)
    if not identity.sees(upload.dataset_id):
        raise _unexpected()
    _expect_unsealed(upload)
    return upload


async def _awaited(process: Runtime, request: Request) -> Awaited:
    """The upload of a URL that we signed. Raises HTTPException where it is not open any more."""
    staged, _, number = request.path_params["name"].partition("-")
    if number:
        upload = await parts.awaited_part(process.database, staged, int(number))
    else:
        upload = await uploads.awaited(process.database, staged)
    if upload is None:
        raise _unexpected()
    return upload


def _expect_unsealed(upload: Awaited) -> None:
    if upload.is_sealed:
        raise HTTPException(409, "An import of this file is queued or running; wait until it has ended.", CLOSE)


def _unexpected() -> HTTPException:
    message = "No upload is expected at this URL (any more): it was completed, canceled, or has expired."
    return HTTPException(404, message, CLOSE)
