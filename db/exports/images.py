"""The bytes of images, read some at a time; and which images are missing, from the first look on."""

import base64
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeVar

from db.errors import StorageError
from db.storage import Head, ObjectMissing, RootMissing, Store

READ_BYTES, READ_FILES = 16 * 1024**2, 64  # of images in memory at once, at most; of one image, if that is larger
MAX_REPORTED: Final = 9_900  # missing images that have a warning: a job has 10,000


class ImageFile(Protocol):
    """A sample's file, as it was last read. `source_path`: where its bytes are; `number`: of the sample in its job."""

    @property
    def number(self) -> int: ...
    @property
    def path(self) -> str: ...
    @property
    def source_path(self) -> str: ...
    @property
    def etag(self) -> str: ...
    @property
    def size(self) -> int: ...


SomeFile = TypeVar("SomeFile", bound=ImageFile)


@dataclass(slots=True)
class Missing:
    """Which images are missing, by number: a bit for each."""

    bits: bytearray = field(default_factory=bytearray)
    count: int = 0

    def __contains__(self, number: int) -> bool:
        index, bit = divmod(number, 8)
        return index < len(self.bits) and bool(self.bits[index] >> bit & 1)

    def add(self, number: int) -> None:
        index, bit = divmod(number, 8)
        self.bits.extend(bytes(max(0, index + 1 - len(self.bits))))
        self.count += not self.bits[index] >> bit & 1
        self.bits[index] |= 1 << bit

    def dump(self) -> str:
        return base64.b64encode(zlib.compress(self.bits)).decode()

    @classmethod
    def load(cls, text: str | None) -> "Missing":
        bits = bytearray(zlib.decompress(base64.b64decode(text))) if text else bytearray()
        return cls(bits, sum(map(int.bit_count, bits)))


@dataclass(slots=True)
class Images:
    """Those of an export. `warnings` are paths and sentences that the job has not written yet."""

    store: Store
    missing: Missing
    warnings: list[tuple[str, str]] = field(default_factory=list)

    def divided(self, page: Sequence[SomeFile]) -> list[list[SomeFile]]:
        """Parts of a page whose images fit into memory."""
        parts: list[list[SomeFile]] = []
        size = 0
        for sample in page:
            size += sample.size
            if not parts or size > READ_BYTES or len(parts[-1]) >= READ_FILES:
                parts.append([])
                size = sample.size
            parts[-1].append(sample)
        return parts

    async def read(self, batch: Sequence[ImageFile], is_new: Sequence[bool]) -> list[bytes | None]:
        """The bytes of new images. One that is gone, or is another by now, is missing from here on."""
        samples = zip(batch, is_new, strict=True)
        unread = [sample for sample, new in samples if new and sample.number not in self.missing]
        if not unread:
            return [None] * len(batch)
        length = max(sample.size for sample in unread) + 1
        try:
            heads = await self.store.heads([sample.source_path for sample in unread], length=length)
        except RootMissing as error:
            raise StorageError(error.message) from error
        found: dict[int, bytes] = {}
        for sample, head in zip(unread, heads, strict=True):
            if isinstance(head, Head) and head.etag == sample.etag and head.whole:
                found[sample.number] = head.data
            elif isinstance(head, Head):
                self.miss(sample, "The file was replaced since it was last synced; the image is left out.")
            elif isinstance(head, ObjectMissing):
                self.miss(sample, "The file no longer exists; the image is left out.")
            else:
                raise StorageError(f"`{sample.path}` cannot be read. {head.message}") from head
        return [found.get(sample.number) for sample in batch]

    def miss(self, sample: ImageFile, why: str) -> None:
        self.missing.add(sample.number)
        if self.missing.count <= MAX_REPORTED:
            self.warnings.append((sample.path, why))
