"""GraphQL over HTTP: POST with a JSON body, GET for queries, one answer or an event stream."""

import re
from collections.abc import Awaitable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any, Final, Self

from graphql import GraphQLError
from starlette.datastructures import QueryParams
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from api import playground
from api.auth import token_of
from api.compression import TextResponse
from api.connections.http import RECEIVED, WhileConnected
from api.graphql import event_streams, multipart, parameters, sse
from api.graphql.negotiation import EVENTS, JSON, RESPONSE, Accepted, accepted
from api.graphql.operations import answers, build_large_request, execute, failure, read_request
from api.kept_results import kept
from api.limits.bodies import CLOSE, read_body, read_received, wait_for_body
from api.runtime import Runtime, runtime
from db.identity.tokens import Identity
from db.identity.tokens import Scope as TokenScope
from schema.context import Context
from schema.errors import (
    BAD_REQUEST,
    FORBIDDEN,
    IN_PROGRESS,
    INTERNAL,
    PERSISTED_QUERY_NOT_FOUND,
    PERSISTED_QUERY_NOT_SUPPORTED,
    RATE_LIMITED,
    UNAUTHENTICATED,
    UNAVAILABLE,
    refusal,
    with_code,
)
from schema.execution.messages import Answer, Request, encode

METHODS: Final = ("GET", "POST", "PUT", "DELETE")
UTF_8: Final = frozenset({"utf-8", "utf8", "utf_8"})
HEADERS: Final = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
STATUS_OF_CODE: Final[Mapping[str | None, int]] = {
    PERSISTED_QUERY_NOT_FOUND: 200,  # clients send the text then, which they may not after another status
    PERSISTED_QUERY_NOT_SUPPORTED: 200,
    BAD_REQUEST: 400,
    UNAUTHENTICATED: 401,
    multipart.UPLOAD_TOO_LARGE: 413,
    RATE_LIMITED: 429,
    INTERNAL: 500,
    UNAVAILABLE: 503,
}
HEADERS_OF_STATUS: Final[Mapping[int, Mapping[str, str]]] = {
    401: {"www-authenticate": 'Bearer realm="labelgraph"'},
    413: CLOSE,
    429: {"retry-after": "1"},  # seconds, where the refusal does not say how many
    503: {"retry-after": "2"},
}
LATER: Final = frozenset({UNAVAILABLE, IN_PROGRESS})  # codes of requests that are to be sent again
OPERATION: Final = re.compile(rb"(^|&)(query|extensions|documentId)=")  # in a query string
POSITION: Final = "Labelgraph-Position"  # of the database: what the response is of, what a query must see at least
HEX: Final = re.compile(r"[0-9a-f]{16}")
LARGE_BODY: Final = 32 * 1024  # bytes of JSON; a larger one is decoded in the background


@dataclass(frozen=True, slots=True)
class HTTPRequest:
    """`headers`: the first of each name. Starlette's Headers search and decode whenever one of them is needed."""

    scope: Scope
    receive: Receive
    headers: Mapping[str, str]

    @classmethod
    def of(cls, scope: Scope, receive: Receive) -> Self:
        pairs = reversed(scope["headers"])
        return cls(scope, receive, {name.decode("latin-1"): value.decode("latin-1") for name, value in pairs})


class GraphQLOverHTTP:
    """The ASGI endpoint of /graphql for everything but WebSockets."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        http = HTTPRequest.of(scope, receive)
        accept = accepted(http.headers.get("accept", ""))
        if scope["method"] in ("GET", "HEAD") and accept.page and not OPERATION.search(scope["query_string"]):
            await playground.page(scope, receive, send)
            return
        try:
            await _answer(http, send, accept)
            return
        except ClientDisconnect:
            return
        except HTTPException as error:
            answer = Answer(errors=[with_code(GraphQLError(error.detail), BAD_REQUEST)])
            runtime(scope).observer.refused(answer)
            response = _response(answer.encode(), accept.json or JSON, error.status_code, error.headers)
        except Exception as error:
            answer = failure(error)
            runtime(scope).observer.refused(answer)
            response = _response_of(answer, accept.json or EVENTS)
        await response(scope, receive, send)


class BeforeRoutes:
    """Around the routes: an endpoint that answers all of its errors itself needs neither the search for its route nor
    the middleware for errors."""

    def __init__(self, app: ASGIApp, path: str, endpoint: ASGIApp) -> None:
        self.app, self.path, self.endpoint = app, path, endpoint

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        is_there = scope["type"] == "http" and scope["path"] == self.path and not scope.get("root_path")
        return (self.endpoint if is_there else self.app)(scope, receive, send)


async def _answer(http: HTTPRequest, send: Send, accept: Accepted) -> None:
    method = http.scope["method"]
    if method not in METHODS:
        raise HTTPException(405, "Use POST (or GET, for queries).", {"allow": ", ".join(METHODS)})
    process = runtime(http.scope)
    stream_token = http.headers.get(event_streams.HEADER)
    if stream_token is None and http.scope["query_string"]:
        stream_token = QueryParams(http.scope["query_string"]).get("token")
    if method in ("PUT", "DELETE"):
        response = await _reserve_or_stop(process, http, stream_token)
        await response(http.scope, http.receive, send)
        return
    if accept.json is None and not accept.events:
        raise HTTPException(406, f"The server can respond with {RESPONSE}, {JSON} or {EVENTS}: name one in Accept.")
    if method == "GET" and accept.json is None and stream_token:
        process.hosts.check(http.scope)
        await process.event_streams.open(process, process.event_streams.find(stream_token), http.receive, send)
        return
    if method == "POST":
        _check_content(http.headers)
    identity = await process.authenticator.identify(token_of(http.headers))
    process.operation_rate.spend(identity.token_id)
    stream = None
    with process.requests.acquire(identity.token_id):
        if _is_form(http.headers):
            _check_upload(http.headers, identity)
            receive = await wait_for_body(http.receive, seconds=process.settings.timeouts.body)
            async with process.uploads.slot(identity.token_id):
                stream = await _respond(replace(http, receive=receive), send, accept, identity)
        elif stream_token:
            await _start(process, http, send, identity, stream_token)
        else:
            stream = await _respond(http, send, accept, identity)
    if stream is not None:
        await sse.respond(process, *stream, token_of(http.headers), http.receive, send)


async def _start(process: Runtime, http: HTTPRequest, send: Send, identity: Identity, stream_token: str) -> None:
    """Starts an operation whose answers go to an event stream."""
    stream = process.event_streams.find(stream_token, identity)
    request, context = await _prepare(http, identity)
    stream.start(request.extensions.get("operationId"), answers(process, request, context))
    response = Response(status_code=202, headers=HEADERS)
    await response(http.scope, http.receive, send)


def _check_content(headers: Mapping[str, str]) -> None:
    if _kind(headers) is None:
        raise HTTPException(
            415, f"The body must be {JSON} in UTF-8, or {multipart.MULTIPART}, and Content-Type must say so."
        )
    if headers.get("content-encoding", "identity") != "identity":
        raise HTTPException(415, "The body must not be compressed: omit Content-Encoding.")


def _check_upload(headers: Mapping[str, str], identity: Identity) -> None:
    """Raises Refused, before anything of the body is read. Files are for `uploadSamples` alone."""
    multipart.check_preflight(headers)
    if not identity.may(TokenScope.MANAGE):
        needed, held = TokenScope.MANAGE, identity.scope
        message = f"Files are sent with a token of the scope {needed.word}; this one has {held.word}."
        raise refusal(message, FORBIDDEN, needed=needed.name, held=held.name)


async def _respond(
    http: HTTPRequest, send: Send, accept: Accepted, identity: Identity
) -> tuple[Request, Context] | None:
    """Sends a single answer; or returns what is to be answered with a stream."""
    process = runtime(http.scope)
    request, context = await _prepare(http, identity)
    if accept.json is not None and not request.document.is_subscription:
        with WhileConnected(http.scope) if request.document.is_query else nullcontext():
            answer = await execute(process, request, context)
        response = _response_of(answer, accept.json)
        if (client := context.database.client) is not None:
            response.headers[POSITION] = f"{client.shown:016x}"
        await response(http.scope, http.receive, send)
        return None
    if not accept.events:
        raise HTTPException(406, f"A subscription is answered with {EVENTS}: name it in Accept, or use a WebSocket.")
    return request, context


async def _prepare(http: HTTPRequest, identity: Identity) -> tuple[Request, Context]:
    process = runtime(http.scope)
    request = await _read(process, http, identity)
    if http.scope["method"] == "GET" and request.document.is_mutation:
        raise HTTPException(405, "A mutation must be sent by POST.", {"allow": "POST"})
    key = parameters.idempotency_key(request, http.headers.get("idempotency-key"))
    position = _position(http.headers.get(POSITION.lower())) if process.database.standbys else 0
    return request, process.context(http.scope, http.headers, identity, request, key, position=position)


def _position(text: str | None) -> int:
    """That of an earlier response. Raises HTTPException (400)."""
    if text is None:
        return 0
    if not HEX.fullmatch(text):
        raise HTTPException(
            400, f"{POSITION} must be what an earlier response had in this header: 16 hexadecimal digits."
        )
    return int(text, 16)


async def _reserve_or_stop(process: Runtime, http: HTTPRequest, stream_token: str | None) -> Response:
    """PUT reserves an event stream and answers with its token; DELETE stops an operation on one."""
    credentials = token_of(http.headers)
    identity = await process.authenticator.identify(credentials)
    process.operation_rate.spend(identity.token_id)
    process.hosts.check(http.scope)
    if process.settings.processes > 1:
        raise HTTPException(501, "This server has several processes: use a stream for each operation, or a WebSocket.")
    if http.scope["method"] == "DELETE":
        stream = process.event_streams.find(stream_token or "", identity)
        stream.stop(QueryParams(http.scope["query_string"]).get("operationId"))
        return Response(headers=HEADERS)
    client = (http.scope.get("client") or ("",))[0]
    stream = process.event_streams.reserve(process, identity, credentials, client)
    return Response(stream.token, 201, HEADERS, "text/plain")


async def _read(process: Runtime, http: HTTPRequest, identity: Identity) -> Request:
    limits, timeouts = process.settings.limits, process.settings.timeouts
    if http.scope["method"] == "GET":
        params = parameters.from_query_string(http.scope["query_string"].decode("latin-1"), limits.json_depth)
        return await read_request(process, params, identity)
    form = _is_form(http.headers)
    max_bytes, seconds = (multipart.max_bytes(limits), timeouts.upload) if form else (limits.body, timeouts.body)

    def too_large() -> Exception:
        message = f"The body is larger than {limits.body} bytes."
        return multipart.too_large(limits) if form else HTTPException(413, message, CLOSE)

    length = http.headers.get("content-length", "0")
    if not length.isdecimal() or len(length) > 12 or int(length) > max_bytes:
        raise too_large()
    size: dict[str, Any] = {"max_bytes": max_bytes, "too_large": too_large}
    if not form and RECEIVED in http.scope["state"]:
        whole = await read_received(http.receive, **size)
    else:
        body = read_body(http.receive, **size, seconds=seconds, grace=timeouts.body)
        if form:
            params = await multipart.read(http.headers, body, limits)
            return await read_request(process, params, identity)
        whole = b"".join([chunk async for chunk in body])
    if len(whole) < LARGE_BODY:
        recent = process.recent_queries.find(whole)
        if recent is not None and process.read_rate.wait_seconds(identity.token_id) <= 0:
            return recent
        params = parameters.from_body(whole, limits.json_depth)
        request = await read_request(process, params, identity)
        process.recent_queries.add(whole, params, request)
        return request
    async with process.read_rate.limit(identity.token_id):
        params = await process.bodies.run(lambda: parameters.from_body(whole, limits.json_depth))
        return await build_large_request(process, params, identity)


def _is_form(headers: Mapping[str, str]) -> bool:
    return _kind(headers) == multipart.MULTIPART


def _kind(headers: Mapping[str, str]) -> str | None:
    return _kind_of(headers.get("content-type", ""))


@kept(256)
def _kind_of(content_type: str) -> str | None:
    """A form, or JSON in UTF-8, under any of its names; other parameters of the media type are ignored. None: it is
    neither."""
    name, *parameters = content_type.split(";")
    kind = name.strip().lower()
    pairs = [parameter.strip().lower().partition("=") for parameter in parameters]
    charsets = {value.strip().strip('"') for name, _, value in pairs if name.strip() == "charset"}
    return kind if kind == multipart.MULTIPART or (kind == JSON and charsets <= UTF_8) else None


def _response_of(answer: Answer | bytes, media: str) -> Response:
    """Documents that are refused are 200 for application/json and 400 for the newer type, as graphql-http audits; who
    takes event streams alone gets them as one. What has a status of its own, such as 401, has it for all."""
    if not isinstance(answer, Answer):
        return _response(answer, media)
    body = answer.as_dict()
    extensions = [error["extensions"] for error in body.get("errors", ())]
    codes = [each.get("code") for each in extensions]
    if answer.refused and media == EVENTS:
        if STATUS_OF_CODE.get(codes[0], 200) == 200:
            return _response(sse.frame(encode(body)) + sse.COMPLETE, EVENTS)
        media = JSON
    if answer.refused:
        status = STATUS_OF_CODE.get(codes[0], 400 if media == RESPONSE else 200)
    else:
        status = 503 if codes and not answer.has_values and LATER.issuperset(codes) else 200
    headers = HEADERS_OF_STATUS.get(status, {})
    if status in (429, 503) and (seconds := extensions[0].get("details", {}).get("retryAfter")):
        headers = {"retry-after": str(seconds)}
    return _response(encode(body), media, status, headers)


def _response(body: bytes, media: str, status: int = 200, more: Mapping[str, str] | None = None) -> Response:
    return TextResponse(body, status, {**HEADERS, **(more or {})}, f"{media}; charset=utf-8")
