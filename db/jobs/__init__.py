"""Long work. The job's row is the truth: status, attempts, epoch, checkpoint, counters; the queue carries only its id.

    QUEUED ── claim ──▶ RUNNING ── finish ──▶ SUCCEEDED | FAILED | CANCELED
       ▲                   │
       └──── release ──────┘   the worker stops, or is found dead by `sweep`

A claim raises the row's epoch, and every batch commits only where the epoch is still its own: a worker that was
taken for dead and comes back can write nothing.
"""

from db.jobs.batches import LONG, Batch, Fenced, forget_names, in_batch
from db.jobs.claims import MAX_ATTEMPTS, MAX_CLAIMS, Claim, Kind, claim, finish, release
from db.jobs.requests import PUBLIC, Public, busy, cancel, cancel_all, enqueue, filling
from db.jobs.runner import run
from db.jobs.sweeper import sweep
from db.jobs.workers import ENTRYPOINT, alive

__all__ = [
    "ENTRYPOINT",
    "LONG",
    "MAX_ATTEMPTS",
    "MAX_CLAIMS",
    "PUBLIC",
    "Batch",
    "Claim",
    "Fenced",
    "Kind",
    "Public",
    "alive",
    "busy",
    "cancel",
    "cancel_all",
    "claim",
    "enqueue",
    "filling",
    "finish",
    "forget_names",
    "in_batch",
    "release",
    "run",
    "sweep",
]
