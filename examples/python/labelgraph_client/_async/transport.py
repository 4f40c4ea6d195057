"""Sends operations, and again what fails for a while. Everything else is built on it."""

import asyncio
import json
import re
from collections.abc import AsyncGenerator, AsyncIterator
from types import TracebackType
from typing import Any, Final, Self
from uuid import uuid4

import httpx

from labelgraph_client import config
from labelgraph_client.base import to_json
from labelgraph_client.concurrency import in_a_task
from labelgraph_client.errors import UNREACHABLE, Attempts, LabelgraphError, check, data_in, data_of
from labelgraph_client.events import EventParser

PATIENCE: Final = 120.0  # seconds
TIMEOUT: Final = httpx.Timeout(30, read=90, pool=None)  # seconds; the server gives a mutation 60
STREAM_TIMEOUT: Final = httpx.Timeout(30, read=40, pool=None)  # the server sends something every 12 seconds
POSITION: Final = "labelgraph-position"


class AsyncTransport:
    """Without a URL or a token, those of LABELGRAPH_URL and LABELGRAPH_TOKEN, or of `lg login`.

    Requests that fail for a while (lost connections, RATE_LIMITED, UNAVAILABLE, REQUEST_IN_PROGRESS) are sent again,
    for `patience` seconds; mutations have an idempotency key, so that each takes effect once.
    """

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        *,
        patience: float = PATIENCE,
        http: httpx.AsyncClient | None = None,
    ) -> None:
        self.server, self._token = config.load(url, token)
        self.patience = patience
        self._http = http or httpx.AsyncClient(timeout=TIMEOUT, follow_redirects=True)
        self._position = ""  # of the newest state that was seen: a standby must have it, too

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        await self._http.aclose()

    async def execute(
        self,
        query: str,
        operation_name: str | None = None,
        variables: dict[str, Any] | None = None,
        *,
        idempotency_key: str | None = None,
    ) -> dict[str, Any]:
        """The data of the answer to a query or mutation."""
        request = self._request(query, operation_name, variables)
        if re.search(r"\bmutation\b", query):
            request["headers"]["Idempotency-Key"] = idempotency_key or str(uuid4())
        attempts = Attempts(self.patience)
        while True:
            try:
                response = await self._http.post(f"{self.server}/graphql", **request)
                self._position = max(self._position, response.headers.get(POSITION, ""))
                data: dict[str, Any] = data_of(response)
                return data
            except (httpx.RequestError, LabelgraphError) as error:
                await asyncio.sleep(attempts.pause(error))

    def subscribe(
        self, query: str, operation_name: str | None = None, variables: dict[str, Any] | None = None
    ) -> AsyncIterator[dict[str, Any]]:
        """The data of each event, until the subscription is complete. A lost connection is an error here."""
        return in_a_task(self._events(query, operation_name, variables))

    async def _events(
        self, query: str, operation_name: str | None, variables: dict[str, Any] | None
    ) -> AsyncGenerator[dict[str, Any], None]:
        request = self._request(query, operation_name, variables)
        request["headers"]["Accept"] = "text/event-stream"
        request["timeout"] = STREAM_TIMEOUT
        async with self._http.stream("POST", f"{self.server}/graphql", **request) as response:
            if not response.headers.get("content-type", "").startswith("text/event-stream"):
                await response.aread()
                data_of(response)
            parser = EventParser()
            async for line in response.aiter_lines():
                match parser.feed(line):
                    case ("complete", _):
                        return
                    case (_, data):
                        yield data_in(json.loads(data))
        raise LabelgraphError("The event stream was interrupted.", UNREACHABLE)

    async def read(self, url: str) -> bytes:
        """The bytes behind a URL of an answer, such as `sample.image_url`."""
        attempts = Attempts(self.patience)
        while True:
            try:
                response = await self._http.get(self.absolute(url))
                check(response)
                return response.content
            except (httpx.RequestError, LabelgraphError) as error:
                await asyncio.sleep(attempts.pause(error))

    async def put(self, url: str, method: str, headers: dict[str, str], content: bytes) -> None:
        """Uploads to a URL that was requested: it is signed, and gets no token."""
        attempts = Attempts(self.patience)
        while True:
            try:
                check(await self._http.request(method, self.absolute(url), headers=headers, content=content))
                return
            except (httpx.RequestError, LabelgraphError) as error:
                await asyncio.sleep(attempts.pause(error))

    def absolute(self, url: str) -> httpx.URL:
        return httpx.URL(f"{self.server}/").join(url)

    def _request(self, query: str, operation_name: str | None, variables: dict[str, Any] | None) -> dict[str, Any]:
        files: dict[str, Any] = {}
        values = to_json(variables or {}, "variables", files)
        body = {"query": query, "operationName": operation_name, "variables": values}
        headers = {"GraphQL-Require-Preflight": "true"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        if self._position:
            headers[POSITION] = self._position
        if not files:
            return {"json": body, "headers": headers}
        places = {str(number): [path] for number, path in enumerate(files)}
        sent = {
            str(number): (file.filename, file.content, file.content_type) for number, file in enumerate(files.values())
        }
        return {
            "data": {"operations": json.dumps(body), "map": json.dumps(places)},
            "files": sent,
            "headers": headers,
        }
