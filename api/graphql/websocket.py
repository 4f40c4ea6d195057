"""GraphQL over WebSocket: the protocol graphql-transport-ws, and no other.

https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md. Every operation gets a context of its own.
"""

import asyncio
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
from starlette.exceptions import WebSocketException as Closing  # with a code, and a reason of at most 123 bytes
from starlette.responses import Response
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from api.auth import token_of_init
from api.graphql import parameters
from api.graphql.operations import answers, failure, read_request
from api.runtime import Runtime, runtime
from db.concurrency_limits import race
from db.errors import REQUEST_ID, Unavailable
from db.identity.tokens import Identity
from schema.errors import RATE_LIMITED, Refused, refusal
from schema.execution.messages import Answer, Request, encode

PROTOCOL: Final = "graphql-transport-ws"
GOING_AWAY, INTERNAL, TRY_AGAIN = 1001, 1011, 1013
BAD, UNAUTHORIZED, FORBIDDEN, UNKNOWN_PROTOCOL, SLOW, DUPLICATE, TOO_MANY = 4400, 4401, 4403, 4406, 4408, 4409, 4429
MAX_ID = 128  # characters of an operation's id
MAX_EARLY = 16  # messages that a client may send before connection_init


async def graphql_socket(socket: WebSocket) -> None:
    """The endpoint of /graphql for WebSockets. A page of a foreign origin is refused before the handshake (403)."""
    process = runtime(socket.scope)
    try:
        process.hosts.check(socket.scope)
    except Refused as refused:
        body = Answer(errors=refused.errors).encode()
        await socket.send_denial_response(Response(body, 400, media_type="application/json"))
        return
    # Programs send no Origin; pages do, and may come from here or from an origin that the settings name.
    allowed, origin = process.settings.allowed_origins, socket.headers.get("origin")
    is_own = origin is None or origin.partition("://")[2] == socket.headers.get("host")
    if not is_own and origin not in allowed and "*" not in allowed:
        await socket.close(FORBIDDEN)
    elif PROTOCOL not in socket.scope.get("subprotocols", ()):
        await socket.accept()
        await socket.close(UNKNOWN_PROTOCOL, "Subprotocol not acceptable")
    else:
        await socket.accept(PROTOCOL)
        await Session(process, socket).run()


@dataclass(slots=True)
class Session:
    """An accepted socket until its end, speaking in the protocol's messages."""

    process: Runtime
    socket: WebSocket
    identity: Identity = field(init=False)
    running: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    operations: int = 0  # so far

    async def run(self) -> None:
        try:
            token = await self._authenticate()
            with self.process.streams.acquire(self.identity.token_id):
                await self._send({"type": "connection_ack"})
                await self._serve(token)
        except Closing as closing:
            await self._close(closing.code, closing.reason)
        except Refused:
            await self._close(TOO_MANY, "This token has too many open connections")
        except WebSocketDisconnect:
            pass
        except Unavailable as away:
            await self._close(TRY_AGAIN, away.message)
        except Exception as error:
            failure(error).as_dict()
            await self._close(INTERNAL, "Internal error")

    async def _authenticate(self) -> str | None:
        """Waits for connection_init, answering pings, and returns the token from it."""
        try:
            async with asyncio.timeout(self.process.settings.timeouts.socket_init):
                for _ in range(MAX_EARLY):
                    match (message := await self._receive())["type"]:
                        case "connection_init":
                            break
                        case "ping":
                            await self._send({"type": "pong"})
                        case "pong":
                            pass
                        case "subscribe":
                            raise Closing(UNAUTHORIZED, "Unauthorized")
                        case _:
                            raise Closing(BAD, "connection_init is expected first")
                else:
                    raise Closing(TOO_MANY, "Too many messages before connection_init")
        except TimeoutError:
            raise Closing(SLOW, "Connection initialisation timeout") from None
        token = token_of_init(message.get("payload"), self.socket.headers)
        try:
            self.identity = await self.process.authenticator.identify(token)
        except Refused:
            closing = Closing(UNAUTHORIZED, "Unauthorized") if token is None else Closing(FORBIDDEN, "Forbidden")
            raise closing from None
        return token

    async def _receive(self) -> dict[str, Any]:
        """The next message. Raises Closing when it is none of the protocol's, WebSocketDisconnect at the end."""
        limits = self.process.settings.limits
        # clients that send without a pause delay neither others nor deadlines
        await self.process.events.throttle.wait()
        received = await self.socket.receive()
        if received["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(received.get("code", GOING_AWAY))
        text = received.get("text")
        if text is None:
            raise Closing(BAD, "A message must be text, not binary")
        body = text.encode("utf-8", "surrogatepass")
        if len(body) > limits.socket_message:
            raise Closing(BAD, f"A message must have at most {limits.socket_message} bytes")
        try:
            message = parameters.parse_json(body, limits.json_depth)
        except Refused as refused:
            raise Closing(BAD, str(refused)[:100]) from None
        if not isinstance(message, dict) or not isinstance(message.get("type"), str):
            raise Closing(BAD, "A message must be a JSON object with a `type`, a string")
        return message

    async def _send(self, message: dict[str, Any]) -> None:
        await self.socket.send({"type": "websocket.send", "text": encode(message).decode()})

    async def _close(self, code: int, reason: str) -> None:
        """Nothing happens where the client has gone already."""
        states = (self.socket.application_state, self.socket.client_state)
        if states == (WebSocketState.CONNECTED, WebSocketState.CONNECTED):
            with suppress(WebSocketDisconnect, RuntimeError):
                await self.socket.close(code, reason)

    async def _serve(self, token: str | None) -> None:
        """Until the client leaves, or the token is revoked."""
        try:
            messages, _ = await race(self._handle_messages(), self.process.authenticator.until_revoked(token))
        finally:
            tasks = list(self.running.values())
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        if messages.cancelled():
            raise Closing(FORBIDDEN, "Forbidden")
        messages.result()

    async def _handle_messages(self) -> None:
        while True:
            message = await self._receive()
            match message["type"]:
                case "subscribe":
                    await self._subscribe(message)
                case "complete":
                    if task := self.running.pop(_id_of(message), None):
                        task.cancel()
                case "ping":
                    await self._send({"type": "pong"})
                case "pong":
                    pass
                case "connection_init":
                    raise Closing(TOO_MANY, "Too many initialisation requests")
                case _:
                    raise Closing(BAD, "The message has no known type")

    async def _subscribe(self, message: dict[str, Any]) -> None:
        operation = _id_of(message)
        if operation in self.running:
            raise Closing(DUPLICATE, f"Subscriber for {operation} already exists"[:100])
        payload = message.get("payload")
        names = ("query", "documentId", "extensions")
        if not isinstance(payload, dict) or not isinstance(
            next(filter(None, map(payload.get, names)), None), str | dict
        ):
            raise Closing(BAD, "The payload of subscribe must have a `query`")
        try:
            limit = self.process.settings.limits.subscriptions
            if len(self.running) >= limit:
                reason = f"{limit} operations run on this socket already: complete one first."
                raise refusal(reason, RATE_LIMITED, most=limit)
            self.process.operation_rate.spend(self.identity.token_id)
            params = parameters.from_object(payload)
            request = await read_request(self.process, params, self.identity)
            key = parameters.idempotency_key(request, None)
        except Refused as refused:
            answer = Answer(errors=refused.errors)
            self.process.observer.refused(answer)
            await self._refuse(operation, answer)
        else:
            self.running[operation] = asyncio.create_task(self._run(operation, request, key))

    async def _run(self, operation: str, request: Request, key: tuple[str | None, bytes]) -> None:
        self.operations += 1
        REQUEST_ID.set(f"{REQUEST_ID.get()}-{self.operations}")  # the handshake's, and the number of the operation
        try:
            context = self.process.context(self.socket.scope, self.socket.headers, self.identity, request, key)
            async with aclosing(answers(self.process, request, context)) as source:
                async for answer in source:
                    if isinstance(answer, Answer) and answer.refused:
                        self._forget(operation)
                        await self._refuse(operation, answer)
                        return
                    payload = orjson.Fragment(answer if isinstance(answer, bytes) else answer.encode())
                    await self._send({"type": "next", "id": operation, "payload": payload})
            self._forget(operation)
            await self._send({"type": "complete", "id": operation})
        except (WebSocketDisconnect, RuntimeError):
            return  # the client has gone while we wrote
        finally:
            self._forget(operation)

    async def _refuse(self, operation: str, answer: Answer) -> None:
        await self._send({"type": "error", "id": operation, "payload": answer.as_dict()["errors"]})

    def _forget(self, operation: str) -> None:
        """The id is free again; a client may use it at once, so another task may have it already."""
        if self.running.get(operation) is asyncio.current_task():
            del self.running[operation]


def _id_of(message: dict[str, Any]) -> str:
    operation = message.get("id")
    if not isinstance(operation, str) or not 0 < len(operation) <= MAX_ID:
        raise Closing(BAD, f"A message must have an `id`, a string of 1 to {MAX_ID} characters")
    return operation
