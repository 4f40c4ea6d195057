"""A model behind HTTP, for tests: a real server, whose answers a test gives."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from aiohttp import web

GONE: Final = web.AppKey("gone", asyncio.Event)  # set when the server ends
Answer = Callable[[web.Request, Any], Awaitable[web.StreamResponse] | Any]


@dataclass(slots=True)
class Backend:
    """`answer` gets a request and its JSON, and returns a response, or what is sent as JSON. `asked`: the paths and
    bodies of all requests."""

    answer: Answer
    url: str = ""
    asked: list[tuple[str, Any]] = field(default_factory=list)
    headers: list[Any] = field(default_factory=list)

    @property
    def host(self) -> str:
        return self.url.removeprefix("http://")

    @property
    def samples(self) -> list[int]:
        """The ids of samples that were asked about, in that order."""
        tasks = [task for _, body in self.asked if body for task in body.get("tasks", body.get("samples", ()))]
        return [int(task["id"]) for task in tasks]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.json() if request.can_read_body else None
        self.asked.append((request.path, body))
        self.headers.append(request.headers)
        found = self.answer(request, body)
        found = await found if asyncio.iscoroutine(found) else found
        return found if isinstance(found, web.StreamResponse) else web.json_response(found)


@asynccontextmanager
async def backend(answer: Answer) -> AsyncIterator[Backend]:
    served = Backend(answer)
    app = web.Application()
    app[GONE] = asyncio.Event()
    app.router.add_route("*", "/{path:.*}", served.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    served.url = f"http://{host}:{port}"
    try:
        yield served
    finally:
        app[GONE].set()
        await runner.cleanup()


async def hang(request: web.Request) -> dict[str, Any]:
    """For as long as there is a server."""
    await request.app[GONE].wait()
    return {}


def label_studio(predict: Callable[[Any], Any]) -> Answer:
    """A backend of Label Studio: `predict` gets a task and returns its prediction, or raises KeyError to fail."""

    def answer(request: web.Request, body: Any) -> Any:
        match request.path:
            case "/health":
                return {"status": "UP", "model_class": "Tested"}
            case "/setup":
                return {"model_version": "v7"}
        try:
            return {"results": [predict(task) for task in body["tasks"]]}
        except KeyError:
            return web.json_response({"detail": "KeyError"}, status=500)

    return answer


def choices(label: str, score: float = 0.95, **others: float) -> dict[str, Any]:
    """A prediction of labels of the whole image, with their scores."""
    return {"result": [_choice(*each) for each in ((label, score), *others.items())], "score": score}


def _choice(label: str, score: float) -> dict[str, Any]:
    return {"from_name": "choice", "to_name": "image", "type": "choices", "value": {"choices": [label]}, "score": score}


def rectangle(label: str, x: float, y: float, width: float, height: float, score: float) -> dict[str, Any]:
    """A result, in percents of the image."""
    value = {"x": x, "y": y, "width": width, "height": height, "rotation": 0, "rectanglelabels": [label]}
    return {"from_name": "box", "to_name": "image", "type": "rectanglelabels", "value": value, "score": score}
