"""Queries that clients send again and again, byte for byte, as dashboards do: such a body is read once.

What is kept follows from the body and the server's settings alone: not from who sends it, when, or what the database
holds. So mutations are not kept, whose fields depend on the token's scope, nor what is named by an id, whose document
may be another one later.
"""

from dataclasses import dataclass, field
from typing import Final

from api.graphql.parameters import Parameters
from schema.execution.documents import Documents
from schema.execution.lru_cache import LruCache
from schema.execution.messages import Request

MAX_BODY: Final = 4 * 1024  # bytes; a larger one is sent less often, and costs more elsewhere
MAX_BYTES: Final = 256 * 1024  # of all bodies; what was read from them, with their documents, takes some 20 MB at most


@dataclass(frozen=True, slots=True)
class Known:
    body: bytes
    operation_name: str | None
    request: Request


@dataclass(slots=True)
class RecentQueries:
    documents: Documents
    _known: LruCache[Known] = field(
        default_factory=lambda: LruCache(lambda known: len(known.body), max_size=MAX_BYTES, max_items=1_000)
    )

    def find(self, body: bytes) -> Request | None:
        """What the body asks for, as long as its document, too, is known."""
        known = self._known.get(body)
        if known is None:
            return None
        document = known.request.document
        is_known = self.documents.find(document.source, known.operation_name) is document
        return known.request if is_known else None

    def add(self, body: bytes, params: Parameters, request: Request) -> None:
        """`request`: what the body was found to ask for."""
        is_the_same_for_all = request.document.is_query and params.document_id is None and not request.forbidden
        if is_the_same_for_all and len(body) <= MAX_BODY:
            self._known.add(body, Known(body, params.operation_name, request))
