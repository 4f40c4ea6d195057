"""The settings that only servers need: limits of documents, calls and connections. They import the whole language."""

from typing import Any

from uvicorn.middleware.proxy_headers import _TrustedHosts

from api.connections.http import HttpProtocol
from api.connections.open_connections import OpenConnections
from api.connections.websocket import WebSocketProtocol
from api.settings import Limits, Settings
from db import defaults
from db.queries import CallLimits
from schema.execution.document_limits import DocumentLimits


def document_limits(limits: Limits) -> DocumentLimits:
    return DocumentLimits(
        source_characters=limits.source,
        tokens=limits.tokens,
        depth=limits.depth,
        aliases=limits.aliases,
        root_fields=limits.root_fields,
        directives=limits.directives,
        cost=limits.cost,
        items=max(limits.ids, defaults.IDS),
        inputs=limits.inputs,
        page=limits.page,
    )


def call_limits(limits: Limits) -> CallLimits:
    return CallLimits(
        max_ids=limits.ids,
        max_answer_bytes=limits.answer,
        max_file_bytes=limits.upload_file,
        max_request_bytes=limits.upload_request,
        max_staged_bytes=limits.staged,
    )


def server_options(settings: Settings) -> dict[str, Any]:
    """Arguments of uvicorn's Config, so that these limits apply at the socket too."""
    limits, timeouts = settings.limits, settings.timeouts
    proxies = _TrustedHosts(settings.proxies)
    shared = {
        "open_connections": OpenConnections(limits.connections, limits.address_connections, proxies),
        "write_seconds": timeouts.write,
    }
    # classes, of which uvicorn makes one object for each connection, without arguments of ours
    return {
        "http": type("HttpProtocol", (HttpProtocol,), {**shared, "header_seconds": timeouts.header}),
        "ws": type("WebSocketProtocol", (WebSocketProtocol,), {**shared, "frames_per_second": limits.socket_messages}),
        "ws_max_size": limits.socket_message + 1,  # the endpoint closes with a reason, the protocol without one
        "timeout_keep_alive": timeouts.keep_alive,
        "forwarded_allow_ips": settings.proxies,
        "server_header": False,
        "date_header": False,
        "timeout_graceful_shutdown": int(timeouts.shutdown),
    }
