"""Decoding images that nobody vouches for, in processes that may be killed (`program.py`).

An image that hangs its decoder, crashes it or fills its memory is unreadable, and that is all that comes of it: the
decoder is replaced, and every other image is decoded by another.
"""

import asyncio
import json
import logging
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from db.formats.decoding.program import ANSWER, CHECK, DONE, QUESTION, THUMBNAIL, TOO_COSTLY, WHOLE
from db.formats.images import MAX_PIXELS, ImageFacts, UnreadableImage

log = logging.getLogger(__name__)

ROOT: Final = Path(__file__).parents[3]
IMAGES: Final = 1_000  # that one process decodes before it is replaced, whatever a decoder may leak
PATIENCE: Final = 4  # times the processor time that an image may take, by the clock: others need processors too
LOST: Final = (TimeoutError, OSError, asyncio.IncompleteReadError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one image may take. `memory` in bytes, of the decoding process as a whole; `seconds` of processor time."""

    pixels: int = MAX_PIXELS
    memory: int = 1024 * 1024 * 1024
    seconds: float = 10.0
    together: int = 4  # processes


@dataclass(slots=True)
class Decoder:
    """A process that decodes, between two images."""

    process: asyncio.subprocess.Process
    images: int = 0

    async def ask(self, question: bytes, data: bytes) -> tuple[bytes, bytes]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.images += 1
        self.process.stdin.write(question)
        self.process.stdin.write(data)
        await self.process.stdin.drain()
        how, length = ANSWER.unpack(await self.process.stdout.readexactly(ANSWER.size))
        return how, await self.process.stdout.readexactly(length)

    async def end(self) -> int:
        """Its exit status: its own, if it died before it was killed."""
        with suppress(ProcessLookupError):
            self.process.kill()
        return await self.process.wait()

    @property
    def fit(self) -> bool:
        return self.process.returncode is None and self.images < IMAGES


@dataclass(slots=True)
class Decoders:
    """The decoders of a process, started when they are first needed, each busy with one image at a time."""

    limits: Limits
    room: asyncio.Semaphore
    idle: list[Decoder] = field(default_factory=list)

    async def check(self, data: bytes) -> ImageFacts:
        """The facts of a whole image, decoded to its end. Raises UnreadableImage."""
        return ImageFacts(**json.loads(await self._ask(CHECK, 0, data)))

    async def thumbnail(self, data: bytes, size: int) -> bytes:
        """A small upright picture, its longest side at most `size`: PNG or JPEG. Raises UnreadableImage."""
        return await self._ask(THUMBNAIL, size, data)

    async def is_complete(self, data: bytes) -> bool:
        """Whether all of an image is in its file. Raises UnreadableImage where that takes too much to tell."""
        return bool(json.loads(await self._ask(WHOLE, 0, data)))

    async def _ask(self, kind: bytes, argument: int, data: bytes) -> bytes:
        question = QUESTION.pack(kind, argument, self.limits.pixels, len(data))
        async with self.room, self._borrowed() as decoder, asyncio.timeout(self.limits.seconds * PATIENCE):
            how, told = await decoder.ask(question, data)
        if how != DONE:
            raise UnreadableImage(told.decode())
        return told

    @asynccontextmanager
    async def _borrowed(self) -> AsyncIterator[Decoder]:
        """One that nobody uses. It comes back only from a whole answer: else nobody knows what it would say next."""
        decoder = await self._fit()
        try:
            yield decoder
        except LOST as error:
            status = await decoder.end()
            log.warning("a decoder was lost to an image (status %s) and is replaced", status)
            raise UnreadableImage(TOO_COSTLY) from error
        except BaseException:
            await decoder.end()
            raise
        self.idle.append(decoder)

    async def _fit(self) -> Decoder:
        while self.idle:
            decoder = self.idle.pop()
            if decoder.fit:
                return decoder
            await decoder.end()
        return await self._started()

    async def _started(self) -> Decoder:
        """Without our environment, which holds keys."""
        limits = (str(self.limits.memory), str(self.limits.seconds))
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-B", "-P", "-m", "db.formats.decoding.program", *limits),
            env={"PYTHONPATH": str(ROOT)},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        return Decoder(process)


@asynccontextmanager
async def decoders(limits: Limits) -> AsyncIterator[Decoders]:
    """Decoders for as long as the block takes; none outlives it."""
    made = Decoders(limits, asyncio.Semaphore(limits.together))
    try:
        yield made
    finally:
        await asyncio.gather(*(decoder.end() for decoder in made.idle))
