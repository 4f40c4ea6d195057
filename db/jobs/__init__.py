"""Jobs: work that takes longer than a request. The job's row is also its entry in the queue (`queue`)."""

from db.jobs.batches import Batch, Fenced, clear_label_warnings, in_batch
from db.jobs.notifications import QUEUE_CHANNEL
from db.jobs.queue import (
    LONG_TIMEOUT,
    MAX_ATTEMPTS,
    MAX_CLAIMS,
    TYPE_NAMES,
    Claim,
    Kind,
    active_ingest,
    cancel,
    cancel_all,
    claim,
    dataset_busy,
    enqueue,
    finish,
    release,
    sweep,
)
from db.jobs.runner import run
from db.jobs.workers import register_worker

__all__ = [
    "LONG_TIMEOUT",
    "MAX_ATTEMPTS",
    "MAX_CLAIMS",
    "QUEUE_CHANNEL",
    "TYPE_NAMES",
    "Batch",
    "Claim",
    "Fenced",
    "Kind",
    "active_ingest",
    "cancel",
    "cancel_all",
    "claim",
    "clear_label_warnings",
    "dataset_busy",
    "enqueue",
    "finish",
    "in_batch",
    "register_worker",
    "release",
    "run",
    "sweep",
]
