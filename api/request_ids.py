"""Request ids: the name of a request in answers and logs. A client or a proxy gives it, or the trace to which the
request belongs (https://www.w3.org/TR/trace-context/); otherwise it is made."""

import random
import re
from collections.abc import Iterable
from contextvars import ContextVar
from typing import Final

from db.errors import REQUEST_ID

HEADER: Final = b"x-request-id"
TRACEPARENT: Final = ContextVar("traceparent", default="")  # of the request that is answered, if it has a valid one
ID: Final = re.compile(rb"[A-Za-z0-9._~:+/=@-]{1,64}")
TRACE: Final = re.compile(rb"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?")


def identify(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The id of a request with these headers, whose names are in small letters. Tasks that begin now have it in their
    contexts. What is no id, or no trace, in a header is ignored."""
    values = dict(headers)
    given, trace = ID.fullmatch(values.get(HEADER, b"")), TRACE.fullmatch(values.get(b"traceparent", b""))
    id = given[0] if given else trace[1] if trace else b"%016x" % random.getrandbits(64)
    REQUEST_ID.set(id.decode())
    TRACEPARENT.set(trace[0].decode() if trace else "")
    return id
