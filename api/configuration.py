"""The settings that other layers need: limits of documents, images, the database, stores and connections."""

from contextlib import AbstractAsyncContextManager
from typing import Any

from uvicorn.middleware.proxy_headers import _TrustedHosts

from api.connections.http import HttpProtocol
from api.connections.open_connections import OpenConnections
from api.connections.websocket import WebSocketProtocol
from api.settings import Limits, Settings
from db import defaults
from db.auto_labelling.allowed import AllowedModels, ModelHost
from db.formats import decoding
from db.postgres import engine
from db.queries import CallLimits
from db.storage import S3Config, Stores
from db.storage.observed import Observe
from db.storage.stores import open_stores
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


def database_limits(settings: Settings) -> engine.Limits:
    timeouts = settings.timeouts
    return engine.Limits(
        connect=timeouts.connect,
        read=timeouts.query,
        write=timeouts.mutation,
        large_write=timeouts.large_change,
        large=settings.large_change,
        lock=timeouts.lock,
        readers=settings.pool_size,
        writers=settings.pool_size,
        searches=max(1, settings.searches),
        pooled=settings.pooled,
        lag=settings.read_lag,
    )


def decoding_limits(settings: Settings) -> decoding.Limits:
    limits = settings.limits
    return decoding.Limits(
        pixels=limits.image_pixels,
        side=limits.image_side,
        memory=limits.image_memory,
        seconds=settings.timeouts.image,
        processes=limits.images,
    )


def allowed_models(settings: Settings) -> AllowedModels:
    base = settings.model_base_url
    return AllowedModels(
        hosts=tuple(map(ModelHost.parse, settings.model_hosts)),
        folders=settings.model_folders,
        base=None if base is None else base.rstrip("/"),
    )


def stores(settings: Settings, observe: Observe | None = None) -> AbstractAsyncContextManager[Stores]:
    """Opens the stores that the settings allow."""
    s3 = settings.s3
    config = S3Config(**s3.model_dump(exclude={"buckets"}), connect=settings.timeouts.connect)
    return open_stores(
        settings.allowed_roots,
        config if s3.is_configured else None,
        s3.buckets,
        disk_seconds=settings.timeouts.disk,
        observe=observe,
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
