"""GraphQL over HTTP: POST with a JSON body, GET for queries, one answer or an event stream."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from graphql import GraphQLError
from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from api import playground
from api.auth import token_of
from api.graphql import multipart, parameters, sse
from api.graphql.negotiation import EVENTS, JSON, RESPONSE, Accepted, accepted
from api.graphql.operations import build_request, execute, failure, read_request
from api.graphql.parameters import Parameters
from api.limits.bodies import BodyTooLarge, BodyTooSlow, ClientDisconnected, read_body, wait_for_body
from api.runtime import Runtime, runtime
from api.settings import Limits
from db.identity.tokens import Identity
from db.identity.tokens import Scope as TokenScope
from schema.context import Context
from schema.errors import (
    BAD_REQUEST,
    FORBIDDEN,
    INTERNAL,
    RATE_LIMITED,
    UNAUTHENTICATED,
    UNAVAILABLE,
    refusal,
    with_code,
)
from schema.execution.messages import Answer, Request, encode

UTF_8: Final = frozenset({"utf-8", "utf8", "utf_8"})
CLOSE: Final = (b"connection", b"close")
NOSNIFF: Final = (b"x-content-type-options", b"nosniff")
CHALLENGE: Final = ((b"www-authenticate", b'Bearer realm="labelgraph"'),)
STATUS_OF_CODE: Final[Mapping[str | None, int]] = {
    BAD_REQUEST: 400,
    UNAUTHENTICATED: 401,
    RATE_LIMITED: 429,
    INTERNAL: 500,
    UNAVAILABLE: 503,
}
LARGE_BODY: Final = 32 * 1024  # bytes of JSON; a larger one is decoded in the background
RETRY_AFTER: Final = ((b"retry-after", b"2"),)  # seconds
HEADERS_OF_STATUS: Final = {401: CHALLENGE, 503: RETRY_AFTER}
ExtraHeaders = Sequence[tuple[bytes, bytes]]


class HttpError(Exception):
    """A request that HTTP itself refuses, with a status of its own and a GraphQL error as its body."""

    def __init__(
        self, status: int, message: str, *, headers: ExtraHeaders = (), code: str = BAD_REQUEST, **details: Any
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers
        self.answer = Answer(errors=[with_code(GraphQLError(message), code, **details)])


class GraphQLOverHTTP:
    """The ASGI endpoint of /graphql for everything but WebSockets."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        accept = accepted(headers.get("accept", ""))
        if scope["method"] in ("GET", "HEAD") and accept.page and b"query=" not in scope["query_string"]:
            await playground.page()(scope, receive, send)
            return
        media = accept.json or JSON
        process = runtime(scope)
        try:
            await _answer(process, scope, receive, send, headers, accept)
        except ClientDisconnected:
            return
        except HttpError as error:
            await _send(send, error.status, error.answer.encode(), media, error.headers)
        except BodyTooSlow:
            late = HttpError(408, "The body did not arrive in time.")
            await _send(send, late.status, late.answer.encode(), media, [CLOSE])
        except Exception as error:
            await _send_answer(send, failure(error), media)


async def _answer(
    process: Runtime, scope: Scope, receive: Receive, send: Send, headers: Headers, accept: Accepted
) -> None:
    if scope["method"] not in ("GET", "POST"):
        raise HttpError(405, "Use POST (or GET, for queries).", headers=[(b"allow", b"GET, POST")])
    if accept.json is None and not accept.events:
        raise HttpError(406, f"We can answer with {RESPONSE}, {JSON} or {EVENTS}: name one in Accept.")
    if scope["method"] == "POST":
        _check_content(headers)
    identity = await process.authenticator.identify(token_of(headers))
    with process.requests.acquire(identity.token_id):
        if _is_form(headers):
            _check_upload(headers, identity)
            receive = await wait_for_body(receive, seconds=process.settings.timeouts.body)
            async with process.uploads.slot(identity.token_id):
                stream = await _respond(process, scope, receive, send, headers, accept, identity)
        else:
            stream = await _respond(process, scope, receive, send, headers, accept, identity)
    if stream is not None:
        await sse.respond(process, *stream, token_of(headers), receive, send)


def _check_content(headers: Headers) -> None:
    """A form, or JSON in UTF-8, under any of its names; other parameters of the media type are ignored."""
    kind, *parameters = headers.get("content-type", "").split(";")
    pairs = [parameter.strip().lower().partition("=") for parameter in parameters]
    charsets = {value.strip().strip('"') for name, _, value in pairs if name.strip() == "charset"}
    if not (kind.strip().lower() == JSON and charsets <= UTF_8) and not _is_form(headers):
        raise HttpError(415, f"The body is {JSON} in UTF-8, or {multipart.MULTIPART}: say so in Content-Type.")
    if headers.get("content-encoding", "identity") != "identity":
        raise HttpError(415, "The body is taken uncompressed: leave Content-Encoding out.")


def _check_upload(headers: Headers, identity: Identity) -> None:
    """Raises Refused, before anything of the body is read. Files are for `uploadSamples` alone."""
    multipart.check_preflight(headers)
    if not identity.may(TokenScope.MANAGE):
        needed, actual = TokenScope.MANAGE.word, identity.scope.word
        message = f"Files are sent with a token of the scope {needed}; this one has {actual}."
        raise refusal(message, FORBIDDEN, needed=needed, held=actual)


async def _respond(
    process: Runtime,
    scope: Scope,
    receive: Receive,
    send: Send,
    headers: Headers,
    accept: Accepted,
    identity: Identity,
) -> tuple[Request, Context] | None:
    """Sends a single answer; or returns what is to be answered with a stream."""
    params, request = await _read(process, scope, receive, headers, identity)
    if scope["method"] == "GET" and request.document.is_mutation:
        raise HttpError(405, "A mutation is sent by POST.", headers=[(b"allow", b"POST")])
    key = parameters.idempotency_key(params, headers.get("idempotency-key"))
    context = process.context(scope, headers, identity, key)
    if accept.json is not None and not request.document.is_subscription:
        await _send_answer(send, await execute(process, request, context), accept.json)
        return None
    if not accept.events:
        raise HttpError(406, f"A subscription is answered with {EVENTS}: name it in Accept, or use a WebSocket.")
    return request, context


async def _read(
    process: Runtime, scope: Scope, receive: Receive, headers: Headers, identity: Identity
) -> tuple[Parameters, Request]:
    limits, timeouts = process.settings.limits, process.settings.timeouts
    if scope["method"] == "GET":
        params = parameters.from_query_string(scope["query_string"].decode("latin-1"), limits.json_depth)
        return params, await read_request(process, params, identity)
    form = _is_form(headers)
    max_bytes, seconds = (multipart.max_bytes(limits), timeouts.upload) if form else (limits.body, timeouts.body)
    length = headers.get("content-length", "0")
    if not length.isdecimal() or len(length) > 12 or int(length) > max_bytes:
        raise _too_large(limits, form)
    body = read_body(receive, max_bytes=max_bytes, seconds=seconds, grace=timeouts.body if form else seconds)
    try:
        if form:
            params = await multipart.read(headers, body, limits)
            return params, await read_request(process, params, identity)
        whole = b"".join([chunk async for chunk in body])
    except (BodyTooLarge, multipart.FilesTooLarge):
        raise _too_large(limits, form) from None
    if len(whole) < LARGE_BODY:
        params = parameters.from_body(whole, limits.json_depth)
        return params, await read_request(process, params, identity)
    async with process.read_rate.limit(identity.token_id):
        params = await process.bodies.run(lambda: parameters.from_body(whole, limits.json_depth))
        return params, build_request(process, params, identity)


def _too_large(limits: Limits, form: bool) -> HttpError:
    if not form:
        return HttpError(413, f"The body is larger than {limits.body} bytes.", headers=[CLOSE])
    limit = limits.upload_request
    message = f"The files of one request have at most {limit} bytes together. Send them in several requests."
    return HttpError(413, message, headers=[CLOSE], code="UPLOAD_TOO_LARGE", limit=limit)


def _is_form(headers: Headers) -> bool:
    return headers.get("content-type", "").partition(";")[0].strip().lower() == multipart.MULTIPART


async def _send_answer(send: Send, answer: Answer | bytes, media: str) -> None:
    """Documents that are refused are 200 for application/json and 400 for the newer type, as graphql-http audits."""
    if not isinstance(answer, Answer):
        await _send(send, 200, answer, media)
        return
    body = answer.as_dict()
    codes = [error["extensions"].get("code") for error in body.get("errors", ())]
    if answer.refused:
        status = STATUS_OF_CODE.get(codes[0], 400 if media == RESPONSE else 200)
    else:
        status = 503 if answer.data is None and set(codes) == {UNAVAILABLE} else 200
    await _send(send, status, encode(body), media, HEADERS_OF_STATUS.get(status, ()))


async def _send(send: Send, status: int, body: bytes, media: str, extra: ExtraHeaders = ()) -> None:
    headers = [
        (b"content-type", f"{media}; charset=utf-8".encode()),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        NOSNIFF,
        *extra,
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
