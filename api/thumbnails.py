"""Thumbnails: made few at once and each only once, then kept in a folder under what they were made from."""

import asyncio
import hashlib
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from db import images
from db.storage import Store

PNG = b"\x89PNG"


@dataclass(frozen=True, slots=True)
class Thumbnail:
    data: bytes

    @property
    def media(self) -> str:
        return images.MEDIA_TYPES["PNG" if self.data.startswith(PNG) else "JPEG"]


@dataclass(slots=True)
class Thumbnails:
    """`room` bounds how many are made at once in this process, and with it the memory that decoding takes."""

    folder: Path
    room: asyncio.Semaphore
    _making: dict[str, asyncio.Task[bytes]] = field(default_factory=dict)

    async def get(self, store: Store, path: str, etag: str, size: int) -> Thumbnail:
        """Raises DomainError when the source cannot be read."""
        name = hashlib.sha256(f"{etag}\0{size}".encode()).hexdigest()
        kept = await asyncio.to_thread(self._load, name)
        if kept is not None:
            return Thumbnail(kept)
        if name not in self._making:
            self._making[name] = asyncio.create_task(self._make(name, store, path, size))
            self._making[name].add_done_callback(lambda _: self._making.pop(name, None))
        return Thumbnail(await asyncio.shield(self._making[name]))

    async def _make(self, name: str, store: Store, path: str, size: int) -> bytes:
        async with self.room:
            source = await store.read(path)
            made, _ = await asyncio.to_thread(images.thumbnail, source, size)
        await asyncio.to_thread(self._keep, name, made)
        return made

    def _load(self, name: str) -> bytes | None:
        try:
            return self._place(name).read_bytes()
        except OSError:
            return None

    def _keep(self, name: str, data: bytes) -> None:
        """Whole or not at all. A full disk costs the cache, not the picture."""
        place = self._place(name)
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            descriptor, temporary = tempfile.mkstemp(dir=place.parent)
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
            Path(temporary).replace(place)
        except OSError:
            return

    def _place(self, name: str) -> Path:
        return self.folder / name[:2] / name[2:]
