"""A file of a store, and a folder of one."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import BinaryIO, Final

from db.ingest.imports.files.bridge import Bridge, ObjectFile, buffered
from db.ingest.imports.files.source import Entry, IndexedFiles, is_image
from db.storage import Head, Store

AT_ONCE: Final = 64  # small files that are fetched together


@dataclass(slots=True)
class StoreFiles(IndexedFiles):
    """Files below a store's root: those that were added."""

    bridge: Bridge = field(kw_only=True)
    store: Store = field(kw_only=True)

    async def add_all(self) -> None:
        """All files of the store. Raises StorageError, Invalid."""
        async for page in self.store.pages():
            for found in page.objects:
                self.add(found.path, found.size)
            for path in page.unreadable:
                self.index.report(self.label, f"The folder `{path}` cannot be read.")

    def add(self, name: str, size: int) -> None:
        if self.index.add(name, Entry(size), of=self.label) and not is_image(name):
            self.total += size

    def open(self, name: str) -> BinaryIO:
        return buffered(ObjectFile(self.bridge, self.store, name, self.index.entry(name).size))

    def contents(self, names: Iterable[str], length: int) -> Iterator[tuple[str, bytes]]:
        waiting = iter(names)
        while some := list(islice(waiting, AT_ONCE)):
            heads = self.bridge.call(self.store.heads(some, length=length))
            for name, head in zip(some, heads, strict=True):
                if isinstance(head, Head):
                    self.bridge.position += len(head.data)
                    yield name, head.data
                else:
                    self.index.report(name, head.message)
