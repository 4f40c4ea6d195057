"""A stream of bytes as lines, however long some of them are: one line within the limit, and a piece, are in memory."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from io import BytesIO
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
    buffer, too_long = bytearray(), False
    number, end = 1, 0

    def line() -> Line:
        text = None if too_long else bytes(buffer)
        return Line(number, end, text.removeprefix(BYTE_ORDER_MARK) if text and number == 1 else text)

    async for piece in pieces:
        complete = []
        for part in BytesIO(piece):  # each up to a newline, or to the end of the piece
            text = part.removesuffix(b"\n")
            end += len(part)
            too_long = too_long or len(buffer) + len(text) > MAX_BYTES
            buffer += b"" if too_long else text
            if part.endswith(b"\n"):
                complete.append(line())
                buffer, too_long, number = bytearray(), False, number + 1
            elif too_long:
                buffer.clear()
        yield complete
    if buffer or too_long:
        yield [line()]
