"""The port at which a process shows its metrics. Who can reach it learns how much is done, and the names of operations,
but no data; so it is on loopback, or asks for a token."""

import asyncio
import hmac
import logging
import socket
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from api.allowed_hosts import LOOPBACK, AllowedHosts
from api.command_errors import CommandError, reason
from api.observation.metrics import Metrics
from api.server_configuration import server_options
from api.settings import Settings
from schema.errors import Refused

log = logging.getLogger(__name__)


@asynccontextmanager
async def exposed(metrics: Metrics, settings: Settings) -> AsyncGenerator[str, None]:
    """Shows the metrics while the block lasts, at the URL. Raises CommandError where the address is taken."""
    listener = _listen(settings)
    host, port = listener.getsockname()[:2]
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}/metrics"
    config = uvicorn.Config(
        _application(metrics, settings), log_config=None, access_log=False, lifespan="off", **server_options(settings)
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve([listener]))
    log.info("metrics are at %s", url)
    try:
        yield url
    finally:
        server.should_exit = server.force_exit = True
        await serving


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield  # they are the process's own


def _application(metrics: Metrics, settings: Settings) -> Starlette:
    token = settings.metrics_token
    # A page whose name was made to lead to this machine (DNS rebinding) sends that name, and no token.
    hosts = AllowedHosts(LOOPBACK if token is None else None)

    async def read(request: Request) -> Response:
        try:
            hosts.check(request.scope)
        except Refused as refused:
            return PlainTextResponse(str(refused), 400)
        if token is not None:
            given = request.headers.get("authorization", "").encode()
            if not hmac.compare_digest(given, f"Bearer {token}".encode()):
                return PlainTextResponse("LABELGRAPH_METRICS_TOKEN is needed.", 401, {"www-authenticate": "Bearer"})
        text, media_type = await metrics.exposition(request.headers.get("accept", ""))
        return Response(text, headers={"cache-control": "no-store"}, media_type=media_type)

    return Starlette(routes=[Route("/metrics", read)])


def _listen(settings: Settings) -> socket.socket:
    host, port = settings.metrics_host, settings.metrics_port
    assert port is not None
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        why = reason(error).partition(" (while ")[0]
        message = f"Metrics cannot be shown on {host}:{port}: {why}. Choose another LABELGRAPH_METRICS_PORT."
        raise CommandError(message) from error
