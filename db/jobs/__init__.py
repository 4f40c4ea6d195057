"""Long work. The job's row is the truth: status, attempts, epoch, checkpoint, counters; the queue carries only its id.

    QUEUED ── claim ──▶ RUNNING ── finish ──▶ SUCCEEDED | FAILED | CANCELED
       ▲                   │
       └──── release ──────┘   the worker stops, or is found dead by `sweep`

A claim raises the row's epoch, and every batch commits only where the epoch is still its own: a worker that was
taken for dead and comes back can write nothing.
"""

from db.jobs.batches import LONG_TIMEOUT, Batch, Fenced, clear_label_warnings, in_batch
from db.jobs.claims import MAX_ATTEMPTS, MAX_CLAIMS, Claim, Kind, claim, finish, release
from db.jobs.requests import TYPE_NAMES, PublicJob, active_ingest, cancel, cancel_all, dataset_busy, enqueue
from db.jobs.runner import run
from db.jobs.sweeper import sweep
from db.jobs.workers import ENTRYPOINT, register_worker

__all__ = [
    "ENTRYPOINT",
    "LONG_TIMEOUT",
    "MAX_ATTEMPTS",
    "MAX_CLAIMS",
    "TYPE_NAMES",
    "Batch",
    "Claim",
    "Fenced",
    "Kind",
    "PublicJob",
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
