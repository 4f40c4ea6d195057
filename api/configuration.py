"""The settings that other layers need, in every process: limits of the database, images, models and stores."""

from contextlib import AbstractAsyncContextManager

from api.settings import Settings
from db.auto_labelling.allowed import AllowedModels, ModelHost
from db.formats import decoding
from db.postgres import engine
from db.storage import Disks, S3Config, Stores
from db.storage.observed import Observe
from db.storage.stores import open_stores


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


def allowed_models(settings: Settings, disks: Disks) -> AllowedModels:
    base = settings.model_base_url
    return AllowedModels(
        hosts=tuple(map(ModelHost.parse, settings.model_hosts)),
        folders=settings.model_folders,
        base=None if base is None else base.rstrip("/"),
        disks=disks,
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
