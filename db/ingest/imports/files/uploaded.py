"""Files that were uploaded for an import: with the request, or in parts."""

import io
from dataclasses import dataclass, field
from typing import BinaryIO, Protocol

from db.ingest.imports.files.bridge import Bridge, ObjectFile, buffered
from db.ingest.imports.files.source import Entry, IndexedFiles
from db.ingest.uploads import PartedUpload, parts
from db.ingest.uploads.files import STAGING
from db.storage import Store


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
    store: Store
    upload: PartedUpload

    @property
    def size(self) -> int:
        return self.upload.size

    def open(self, bridge: Bridge) -> BinaryIO:
        return buffered(PartsFile(bridge, self.store, self.upload))


class PartsFile(ObjectFile):
    """The parts as one file."""

    def __init__(self, bridge: Bridge, store: Store, upload: PartedUpload) -> None:
        super().__init__(bridge, store, "", upload.size)
        self.upload = upload

    def place(self) -> tuple[str, int, int]:
        number, start = divmod(self.position, parts.PART)
        return STAGING + self.upload.name_of(number), start, self.upload.size_of(number) - start


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
