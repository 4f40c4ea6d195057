"""Decoding untrusted images, in processes that may be killed (`decoder.py`).

An image that hangs its decoder, crashes it or fills its memory is unreadable, with no other effect: the decoder is
replaced, and other images are decoded by other processes.
"""

import asyncio
import json
import logging
import os
import socket
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final, cast

from db.formats.cached_files import CachedFile
from db.formats.decoder import (
    CHECK,
    COMPLETE,
    DIFFERENCE_HASH,
    DONE,
    LETTERBOXED,
    NOT_CACHED,
    RENDITION,
    REQUEST,
    RESIZED,
    RESPONSE,
    THUMBNAIL,
    TOO_COSTLY,
)
from db.formats.images import MAX_PIXELS, MAX_SIDE, ImageFacts, UnreadableImage

log = logging.getLogger(__name__)

ROOT: Final = Path(__file__).parents[2]
MAX_IMAGES: Final = 1_000  # that one process decodes before it is replaced, as decoders may leak memory
CLOCK_FACTOR: Final = 4  # time by the clock that an image may take, in times of its processor time
MAX_KEPT: Final = 16 * 1024 * 1024  # bytes of memory that a decoder's file keeps for the next image
PROCESS_ERRORS: Final = (TimeoutError, OSError, asyncio.IncompleteReadError)


class NotCached(Exception):
    """A file is not in memory any more, or shorter by now: to be read without its decoder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """For one image. `memory` is in bytes, of the decoding process as a whole; `seconds` of processor time."""

    pixels: int = MAX_PIXELS
    side: int = MAX_SIDE
    memory: int = 1280 * 1024 * 1024
    seconds: float = 10.0
    processes: int = 4


@dataclass(slots=True)
class Decoder:
    """A process that decodes one image after the other. `image` is a file in memory that it shares: a pipe takes 64 KiB
    at a time. A request is much smaller than what `requests` takes without waiting."""

    process: asyncio.subprocess.Process
    requests: socket.socket
    image: BinaryIO
    images: int = 0

    async def send(self, request: bytes, data: bytes | CachedFile) -> tuple[bytes, bytes]:
        assert self.process.stdout is not None
        self.images += 1
        if isinstance(data, CachedFile):
            socket.send_fds(self.requests, [request], [data.descriptor])
        else:
            os.pwrite(self.image.fileno(), data, 0)
            self.requests.send(request)
        status, length = RESPONSE.unpack(await self.process.stdout.readexactly(RESPONSE.size))
        result = await self.process.stdout.readexactly(length)
        if len(data) > MAX_KEPT:
            self.image.truncate(0)
        return status, result

    async def end(self) -> int:
        """Its exit status: its own, if it died before it was killed. What it has written is read, or its pipe, whose
        reading may be paused, would stay open."""
        with suppress(ProcessLookupError):
            self.process.kill()
        self.requests.close()
        self.image.close()
        await self.process.communicate()
        assert self.process.returncode is not None
        return self.process.returncode

    @property
    def is_usable(self) -> bool:
        return self.process.returncode is None and self.images < MAX_IMAGES


@dataclass(slots=True)
class Decoders:
    """The decoders of a process, started when they are first needed. Each decodes one image at a time."""

    limits: Limits
    slots: asyncio.Semaphore
    idle: list[Decoder] = field(default_factory=list)
    busy: int = 0
    images: int = 0  # that were decoded
    lost: int = 0  # decoders that were lost to an image

    async def check(self, data: bytes) -> ImageFacts:
        """The facts of a whole image, decoded to its end. Raises UnreadableImage."""
        return ImageFacts(**json.loads(await self._request(CHECK, 0, data)))

    async def thumbnail(self, data: bytes | CachedFile, size: int) -> bytes:
        """A small upright image, its longest side at most `size`: PNG or JPEG. Raises UnreadableImage and, of a file,
        NotCached."""
        return await self._request(THUMBNAIL, size, data)

    async def rendition(self, data: bytes | CachedFile) -> bytes:
        """A JPEG of the whole image, upright, as browsers show it. Raises UnreadableImage and, of a file, NotCached."""
        return await self._request(RENDITION, 0, data)

    async def is_complete(self, data: bytes) -> bool:
        """Whether all of an image is in its file. Raises UnreadableImage if finding out takes too much."""
        return bool(json.loads(await self._request(COMPLETE, 0, data)))

    async def square(self, data: bytes, size: int) -> bytes:
        """The upright image at `size` × `size`: RGB, three bytes a pixel, row by row. Raises UnreadableImage."""
        return await self.resized(data, size, size)

    async def resized(self, data: bytes, width: int, height: int, *, letterbox: bool = False) -> bytes:
        """Likewise at any size, at most 65,535 a side. With `letterbox` the image keeps its proportions, in the middle
        of gray."""
        return await self._request(LETTERBOXED if letterbox else RESIZED, width << 16 | height, data)

    async def difference_hash(self, data: bytes) -> int:
        """64 bits, signed, of how the upright image looks: few differ between copies of other sizes and qualities.
        Raises UnreadableImage."""
        return int(json.loads(await self._request(DIFFERENCE_HASH, 0, data)))

    async def _request(self, kind: bytes, argument: int, data: bytes | CachedFile) -> bytes:
        request = REQUEST.pack(kind, argument, self.limits.pixels, self.limits.side, len(data))
        async with self.slots, self._decoder() as decoder, asyncio.timeout(self.limits.seconds * CLOCK_FACTOR):
            status, result = await decoder.send(request, data)
        if status == NOT_CACHED:
            raise NotCached
        if status != DONE:
            raise UnreadableImage(result.decode())
        return result

    @asynccontextmanager
    async def _decoder(self) -> AsyncIterator[Decoder]:
        """An idle one. After an incomplete response it is ended, as its next response would be that of this request."""
        decoder = None
        while self.idle and decoder is None:
            candidate = self.idle.pop()
            if candidate.is_usable:
                decoder = candidate
            else:
                await candidate.end()
        decoder = decoder or await self._start()
        self.busy += 1
        try:
            yield decoder
        except PROCESS_ERRORS as error:
            self.lost += 1
            status = await decoder.end()
            log.warning("a decoder was lost to an image (status %s) and is replaced", status)
            raise UnreadableImage(TOO_COSTLY) from error
        except BaseException:
            await decoder.end()
            raise
        finally:
            self.busy -= 1
            self.images += 1
        self.idle.append(decoder)

    async def _start(self) -> Decoder:
        """Without the environment of this process, which contains keys."""
        image, (ours, its) = _memory_file(), socket.socketpair()
        arguments = (str(image.fileno()), str(self.limits.memory), str(self.limits.seconds))
        ours.setblocking(False)
        try:
            with its:
                process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-B", "-P", "-m", "db.formats.decoder", *arguments),
                    env={"PYTHONPATH": str(ROOT)},
                    stdin=its.fileno(),
                    stdout=asyncio.subprocess.PIPE,
                    stderr=asyncio.subprocess.DEVNULL,
                    pass_fds=[image.fileno()],
                )
        except BaseException:
            ours.close()
            image.close()
            raise
        return Decoder(process, ours, image)


def _memory_file() -> BinaryIO:
    """Without a name and without a buffer; on the disk where the system has none in memory."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("image"), "r+b", buffering=0)
    return cast(BinaryIO, tempfile.TemporaryFile(buffering=0))


@asynccontextmanager
async def decoders(limits: Limits) -> AsyncIterator[Decoders]:
    """Decoders for as long as the block takes; none outlives it."""
    started = Decoders(limits, asyncio.Semaphore(limits.processes))
    try:
        yield started
    finally:
        await asyncio.gather(*(decoder.end() for decoder in started.idle))
