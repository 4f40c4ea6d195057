"""Uploads: images that clients send become samples. Bytes before rows: an object is written first, and its sample is
committed after, so that no row is ever without its object. What a crash leaves behind is found by the next sync, or
by the client's own repetition, which takes an object of the same content that nobody knows, or that its key has
noted, for its own.

    uploadSamples    the bytes come with the request          sending.py
    requestUploads   a place and a URL for each file          tickets.py
    PUT              the bytes, to storage itself or to us    receiving.py
    completeUploads  what was put there is checked, and kept  inspecting.py, completing.py
                     what nobody completed is cleared away    clearing.py
"""

from db.ingest.uploads.clearing import clear, sweep
from db.ingest.uploads.completing import complete, discard
from db.ingest.uploads.files import Checks, OnConflict
from db.ingest.uploads.inspecting import inspect
from db.ingest.uploads.outcomes import NOTHING, Completed, Completion
from db.ingest.uploads.receiving import Awaited, awaited
from db.ingest.uploads.sending import Incoming, Result, Stored, Uploaded, Wanted, commit, store
from db.ingest.uploads.tickets import Asked, Requested, Ticket, WantedFile, link, request

__all__ = [
    "NOTHING",
    "Asked",
    "Awaited",
    "Checks",
    "Completed",
    "Completion",
    "Incoming",
    "OnConflict",
    "Requested",
    "Result",
    "Stored",
    "Ticket",
    "Uploaded",
    "Wanted",
    "WantedFile",
    "awaited",
    "clear",
    "commit",
    "complete",
    "discard",
    "inspect",
    "link",
    "request",
    "store",
    "sweep",
]
