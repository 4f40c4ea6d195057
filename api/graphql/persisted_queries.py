"""Documents that requests name by an id: trusted ones, and automatic persisted queries, Apollo's protocol, in which a
client sends a document once, and afterwards only its hash.

https://www.apollographql.com/docs/apollo-server/performance/apq
"""

import hashlib
from collections import OrderedDict, defaultdict
from dataclasses import dataclass, field
from typing import Final

from api.graphql.parameters import Parameters
from api.graphql.trusted_documents import TrustedDocuments
from schema.errors import (
    BAD_REQUEST,
    DOCUMENT_NOT_TRUSTED,
    PERSISTED_QUERY_NOT_FOUND,
    PERSISTED_QUERY_NOT_SUPPORTED,
    Refused,
    refusal,
)

SHARE: Final = 8  # one token keeps at most this part of what all may keep
OVERHEAD: Final = 512  # bytes that a document takes besides its text


@dataclass(frozen=True, slots=True)
class Kept:
    source: str
    token_id: int
    size: int


@dataclass(slots=True)
class PersistedQueries:
    """Documents by their hash, in the memory of one process: at most `max_bytes`, of one token an eighth of that. The
    least recently used are dropped first, and by a token with too many its own.

    Every token can use them: a document of which a client knows the hash is known to it, and each request is checked as
    if it carried the text.
    """

    max_bytes: int
    trusted: TrustedDocuments = field(default_factory=TrustedDocuments)
    _kept: OrderedDict[str, Kept] = field(default_factory=OrderedDict)  # by hash, the least recently used first
    _by_token: defaultdict[int, OrderedDict[str, None]] = field(default_factory=lambda: defaultdict(OrderedDict))
    _sizes: defaultdict[int, int] = field(default_factory=lambda: defaultdict(int))  # by token
    _size: int = 0

    def source(self, params: Parameters) -> str:
        """The text of the request's document. Raises Refused; where a hash is unknown, with what Apollo's and urql's
        clients expect: they then send the text, too."""
        if params.query is not None:
            if not self.trusted.allow(params.query):
                raise _not_trusted()
            return params.query
        document_id = params.document_id or ""
        if document_id in self.trusted.by_id:
            return self.trusted.by_id[document_id]
        kept = self._kept.get(document_id)
        if kept is None:
            raise self._unknown()
        self._kept.move_to_end(document_id)
        self._by_token[kept.token_id].move_to_end(document_id)
        return kept.source

    def add(self, params: Parameters, token_id: int) -> None:
        """Keeps the document of a request that was found valid, if it came with its hash. Raises Refused where the hash
        is that of another text."""
        query, document_id = params.query, params.document_id
        if query is None or document_id is None or self.trusted.by_id.get(document_id) == query:
            return
        text = query.encode()
        if hashlib.sha256(text).hexdigest() != document_id:
            raise refusal("The id of the document is not the SHA-256 of `query`.", BAD_REQUEST)
        size, limit = len(text) + OVERHEAD, self.max_bytes // SHARE
        if document_id in self._kept or self.trusted.only or size > limit:
            return
        self._kept[document_id] = Kept(query, token_id, size)
        self._by_token[token_id][document_id] = None
        self._sizes[token_id] += size
        self._size += size
        while self._sizes[token_id] > limit:
            self._drop(next(iter(self._by_token[token_id])))
        while self._size > self.max_bytes:
            self._drop(next(iter(self._kept)))

    def _drop(self, document_id: str) -> None:
        dropped = self._kept.pop(document_id)
        of_token = self._by_token[dropped.token_id]
        del of_token[document_id]
        self._sizes[dropped.token_id] -= dropped.size
        self._size -= dropped.size
        if not of_token:
            del self._by_token[dropped.token_id], self._sizes[dropped.token_id]

    def _unknown(self) -> Refused:
        if self.trusted.only:
            return _not_trusted()
        if self.max_bytes:
            return refusal("PersistedQueryNotFound", PERSISTED_QUERY_NOT_FOUND)
        return refusal("PersistedQueryNotSupported", PERSISTED_QUERY_NOT_SUPPORTED)


def _not_trusted() -> Refused:
    message = "This server executes only the documents that its owner has listed, and this is not one of them."
    return refusal(message, DOCUMENT_NOT_TRUSTED)
