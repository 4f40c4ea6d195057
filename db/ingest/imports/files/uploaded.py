"""Files that were uploaded for an import: with the request, or in parts."""

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import BinaryIO, Protocol

from db.ingest.imports.files.bridge import Bridge, ObjectFile, buffered
from db.ingest.imports.files.source import Entry, IndexedFiles
from db.ingest.uploads import PartedUpload, parts
from db.storage import ObjectChanged, Store, StoredObject


class Uploaded(Protocol):
    """Can be opened any number of times."""

    @property
    def size(self) -> int: ...

    def open(self, bridge: Bridge) -> BinaryIO: ...


@dataclass(frozen=True, slots=True)
class UploadedBytes:
    data: bytes

    @property
    def size(self) -> int:
        return len(self.data)

    def open(self, bridge: Bridge) -> BinaryIO:
        return io.BytesIO(self.data)


@dataclass(frozen=True, slots=True)
class UploadedParts:
    """`found`: the parts as they were when the import began."""

    store: Store
    upload: PartedUpload
    found: Sequence[StoredObject]

    @property
    def size(self) -> int:
        return self.upload.size

    def open(self, bridge: Bridge) -> BinaryIO:
        return buffered(PartsFile(bridge, self.store, self.upload, self.found))


class PartsFile(ObjectFile):
    """The parts as one file. Raises PartsChanged, if one of them is another by now."""

    def __init__(self, bridge: Bridge, store: Store, upload: PartedUpload, found: Sequence[StoredObject]) -> None:
        super().__init__(bridge, store, "", upload.size)
        self.upload = upload
        self.found = found

    def place(self) -> tuple[str, int, int]:
        number, start = divmod(self.position, parts.PART)
        return self.found[number].path, start, self.upload.size_of(number) - start

    async def fetch(self, path: str, start: int, length: int) -> bytes:
        try:
            return await self.store.read_same(self.found[self.position // parts.PART], start=start, length=length)
        except ObjectChanged:
            raise parts.PartsChanged from None


@dataclass(slots=True)
class UploadedFile(IndexedFiles):
    """One file."""

    uploaded: Uploaded = field(kw_only=True)
    bridge: Bridge = field(kw_only=True)

    def __post_init__(self) -> None:
        self.total = self.uploaded.size
        self.index.add(self.label, Entry(self.uploaded.size))

    def open(self, name: str) -> BinaryIO:
        self.index.entry(name)
        return self.uploaded.open(self.bridge)
