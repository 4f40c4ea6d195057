"""GraphQL over HTTP: POST with a JSON body, GET for queries, one answer or an event stream."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from graphql import GraphQLError
from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from api import playground
from api.auth import share_of, token_of
from api.configuration import BodyTooLarge, BodyTooSlow, ClientGone, begun, pieces
from api.graphql import multipart, parameters, sse
from api.graphql.negotiation import EVENTS, JSON, RESPONSE, Accepted, accepted
from api.graphql.operations import execute, failure, prepare, prepared
from api.graphql.parameters import Parameters
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
from schema.execution.documents import Document
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


class Problem(Exception):
    """A request that HTTP itself refuses, with a status of its own and a GraphQL error as its body."""

    def __init__(
        self, status: int, message: str, *, headers: ExtraHeaders = (), code: str = BAD_REQUEST, **details: Any
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers
        self.answer = Answer(errors=[with_code(GraphQLError(message), code, **details)])


async def graphql(scope: Scope, receive: Receive, send: Send) -> None:
    """The ASGI endpoint of /graphql for everything but WebSockets."""
    headers = Headers(scope=scope)
    accept = accepted(headers.get("accept", ""))
    if scope["method"] in ("GET", "HEAD") and accept.page and b"query=" not in scope["query_string"]:
        await playground.page()(scope, receive, send)
        return
    media = accept.json or JSON
    process = runtime(scope)
    try:
        await _answer(process, scope, receive, send, headers, accept)
    except Problem as problem:
        await _send(send, problem.status, problem.answer.encode(), media, problem.headers)
    except ClientGone:
        return
    except Exception as error:
        await _send_answer(send, failure(error), media)


async def _answer(
    process: Runtime, scope: Scope, receive: Receive, send: Send, headers: Headers, accept: Accepted
) -> None:
    if scope["method"] not in ("GET", "POST"):
        raise Problem(405, "Use POST (or GET, for queries).", headers=[(b"allow", b"GET, POST")])
    if accept.json is None and not accept.events:
        raise Problem(406, f"We can answer with {RESPONSE}, {JSON} or {EVENTS}: name one in Accept.")
    if scope["method"] == "POST":
        _check_content_type(headers)
    identity = await process.authenticator.identify(token_of(headers))
    with share_of(process.requests, identity.token_id, "requests in hand"):
        if _is_form(headers):
            _check_upload(headers, identity)
            receive = await _begun(receive, process.settings.timeouts.body)
            async with process.uploads.slot(identity.token_id):
                stream = await _respond(process, scope, receive, send, headers, accept, identity)
        else:
            stream = await _respond(process, scope, receive, send, headers, accept, identity)
    if stream is not None:
        await sse.respond(process, *stream, token_of(headers), receive, send)


async def _respond(
    process: Runtime,
    scope: Scope,
    receive: Receive,
    send: Send,
    headers: Headers,
    accept: Accepted,
    identity: Identity,
) -> tuple[Request, Context] | None:
    """Sends a single answer; or gives back what is to be answered with a stream."""
    given, request = await _read(process, scope, receive, headers, identity)
    _check_method(scope["method"], request.document)
    repeatable = parameters.repeatable(given, headers.get("idempotency-key"))
    context = process.context(scope, headers, identity, repeatable)
    if accept.json is not None and not request.document.is_subscription:
        await _send_answer(send, await execute(process, request, context), accept.json)
        return None
    if not accept.events:
        raise Problem(406, f"A subscription is answered with {EVENTS}: name it in Accept, or use a WebSocket.")
    return request, context


def _check_upload(headers: Headers, identity: Identity) -> None:
    """Raises Refused, before anything of the body is read. Files are for `uploadSamples` alone."""
    multipart.demand_preflight(headers)
    if not identity.may(TokenScope.MANAGE):
        needed, held = TokenScope.MANAGE.word, identity.scope.word
        message = f"Files are sent with a token of the scope {needed}; this one has {held}."
        raise refusal(message, FORBIDDEN, needed=needed, held=held)


async def _begun(receive: Receive, seconds: float) -> Receive:
    try:
        return await begun(receive, seconds=seconds)
    except BodyTooSlow:
        raise Problem(408, "The body did not arrive in time.", headers=[CLOSE]) from None


async def _read(
    process: Runtime, scope: Scope, receive: Receive, headers: Headers, identity: Identity
) -> tuple[Parameters, Request]:
    limits = process.settings.limits
    if scope["method"] == "GET":
        given = parameters.from_query_string(scope["query_string"].decode("latin-1"), limits.json_depth)
        return given, await prepared(process, given, identity)
    form, timeouts = _is_form(headers), process.settings.timeouts
    most, seconds = (multipart.most_bytes(limits), timeouts.upload) if form else (limits.body, timeouts.body)
    too_large = _too_large(limits, form)
    length = headers.get("content-length", "0")
    if not length.isdecimal() or len(length) > 12 or int(length) > most:
        raise too_large
    body = pieces(receive, most=most, seconds=seconds, grace=timeouts.body if form else seconds)
    try:
        if form:
            given = await multipart.read(headers, body, limits)
            return given, await prepared(process, given, identity)
        whole = b"".join([piece async for piece in body])
    except (BodyTooLarge, multipart.TooMuch):
        raise too_large from None
    except BodyTooSlow:
        raise Problem(408, "The body did not arrive in time.", headers=[CLOSE]) from None
    if len(whole) < LARGE_BODY:
        given = parameters.from_body(whole, limits.json_depth)
        return given, await prepared(process, given, identity)
    async with process.pace.turn(identity.token_id):
        given = await process.bodies.run(lambda: parameters.from_body(whole, limits.json_depth))
        return given, prepare(process, given, identity)


def _too_large(limits: Limits, form: bool) -> Problem:
    if not form:
        return Problem(413, f"The body is larger than {limits.body} bytes.", headers=[CLOSE])
    most = limits.upload_request
    message = f"The files of one request have at most {most} bytes together. Send them in several requests."
    return Problem(413, message, headers=[CLOSE], code="UPLOAD_TOO_LARGE", limit=most)


def _is_form(headers: Headers) -> bool:
    return headers.get("content-type", "").partition(";")[0].strip().lower() == multipart.MULTIPART


def _check_content_type(headers: Headers) -> None:
    if not _is_json(headers) and not _is_form(headers):
        raise Problem(415, f"The body is {JSON} in UTF-8, or {multipart.MULTIPART}: say so in Content-Type.")
    if headers.get("content-encoding", "identity") != "identity":
        raise Problem(415, "The body is taken uncompressed: leave Content-Encoding out.")


def _is_json(headers: Headers) -> bool:
    """In UTF-8, under any of its names; other parameters of the media type say nothing to us."""
    kind, *parameters = headers.get("content-type", "").split(";")
    pairs = [parameter.strip().lower().partition("=") for parameter in parameters]
    charsets = {value.strip().strip('"') for name, _, value in pairs if name.strip() == "charset"}
    return kind.strip().lower() == JSON and charsets <= UTF_8


def _check_method(method: str, document: Document) -> None:
    if method == "GET" and document.is_mutation:
        raise Problem(405, "A mutation is sent by POST.", headers=[(b"allow", b"POST")])


async def _send_answer(send: Send, answer: Answer | bytes, media: str) -> None:
    """Documents that are refused are 200 for application/json and 400 for the newer type, as graphql-http audits."""
    if isinstance(answer, Answer):
        status, body = _told(answer, media)
        await _send(send, status, body, media, HEADERS_OF_STATUS.get(status, ()))
    else:
        await _send(send, 200, answer, media)


def _told(answer: Answer, media: str) -> tuple[int, bytes]:
    body = answer.as_dict()
    codes = [error["extensions"].get("code") for error in body.get("errors", ())]
    if answer.refused:
        status = STATUS_OF_CODE.get(codes[0], 400 if media == RESPONSE else 200)
    else:
        status = 503 if answer.data is None and set(codes) == {UNAVAILABLE} else 200
    return status, encode(body)


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
