"""A stream of bytes as lines, however long some of them are: one line within the limit, and a piece, are in memory."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Final

MAX_BYTES: Final = 4 * 1024 * 1024  # bytes of a line, inclusive
BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"  # that some editors put before UTF-8


@dataclass(frozen=True, slots=True)
class Line:
    """`number` counts from 1; `end`: bytes up to here; `text` None: longer than `MAX_BYTES`, and never in memory."""

    number: int
    end: int
    text: bytes | None


async def lines(pieces: AsyncIterator[bytes]) -> AsyncIterator[list[Line]]:
    """The lines that each piece completes, empty ones too; the last one needs no newline."""
    splitter = _Splitter()
    async for piece in pieces:
        yield list(splitter.split(piece))
    yield list(splitter.rest())


class _Splitter:
    def __init__(self) -> None:
        self.buffer = bytearray()
        self.too_long = False
        self.number, self.end = 0, 0

    def split(self, piece: bytes) -> Iterator[Line]:
        *whole, rest = piece.split(b"\n")
        for part in whole:
            self._add(part)
            self.end += 1
            yield self._line()
        self._add(rest)

    def rest(self) -> Iterator[Line]:
        if self.buffer or self.too_long:
            yield self._line()

    def _add(self, part: bytes) -> None:
        self.end += len(part)
        self.too_long = self.too_long or len(self.buffer) + len(part) > MAX_BYTES
        if self.too_long:
            self.buffer.clear()
        else:
            self.buffer += part

    def _line(self) -> Line:
        self.number += 1
        text = None if self.too_long else bytes(self.buffer)
        self.buffer.clear()
        self.too_long = False
        return Line(self.number, self.end, text.removeprefix(BYTE_ORDER_MARK) if text and self.number == 1 else text)
