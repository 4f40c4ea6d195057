"""Uploads: images that clients send become samples. Bytes before rows: an object is written first, and its sample is
committed after, so that no row is ever without its object. What a crash leaves behind is found by the next sync, or
by the client's own repetition, which takes an object of the same content that nobody knows, or that its key has
noted, for its own.

    uploadSamples    the bytes come with the request                  direct.py
    requestUploads   a location and a URL for each file               upload_requests.py
    PUT              the bytes, to storage itself or to us            staging.py
    completeUploads  what was put there is checked, and added         completion.py
                     what nobody completed is cleared away            staging.py
    cancelUploads    what is not needed any more ends                 cancel.py

    requestImportUpload  a URL for each missing part of a large file for an import    parts.py
"""

from db.ingest.uploads.cancel import CanceledUploads, cancel, clear_canceled
from db.ingest.uploads.completion import NOTHING, complete, discard, inspect
from db.ingest.uploads.direct import DirectUploads, Incoming, Stored, commit, store
from db.ingest.uploads.files import Checks, OnConflict, Result, Uploaded
from db.ingest.uploads.parts import PartedUpload, RequestedParts
from db.ingest.uploads.staging import Awaited, awaited, clear, sweep
from db.ingest.uploads.upload_requests import IssuedTickets, RequestedFile, RequestedUploads, Ticket, link, request
