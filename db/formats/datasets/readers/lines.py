"""Text files line by line, however long they are, and however long a line is."""

import codecs
from collections.abc import Iterator
from typing import BinaryIO, Final

from db.errors import Invalid
from db.formats.sidecars.content import BYTE_ORDER_MARKS

HEAD: Final = 64 * 1024  # bytes by which the encoding is known
MAX_LINE: Final = 16 * 1024 * 1024  # bytes
TOO_LONG: Final = f"A line has at most {MAX_LINE // 1024 // 1024} MiB; this one was not read."
NOT_TEXT: Final = "Line {} is not text in {}; save the file as UTF-8, or as UTF-16 with a byte order mark."


def byte_lines(file: BinaryIO) -> Iterator[tuple[int, bytes | None]]:
    """Each line with its number, without its end. None: one that is too long."""
    number = 0
    while line := file.readline(MAX_LINE):
        number += 1
        if len(line) == MAX_LINE and not line.endswith(b"\n"):
            while (rest := file.readline(MAX_LINE)) and not rest.endswith(b"\n"):
                pass
            yield number, None
        else:
            yield number, line.rstrip(b"\r\n")


def text_lines(file: BinaryIO) -> Iterator[str]:
    """Each line with its end, as text: in the encoding of the byte order mark, or else UTF-8. Raises Invalid for a line
    that is no text in it, for nobody knows what it says, and for one that is too long."""
    encoding, length = encoding_of(file.read(HEAD))
    file.seek(length)
    decoder = codecs.getincrementaldecoder(encoding)()
    text, number = "", 0
    while data := file.read(HEAD):
        *lines, text = (text + _decoded(decoder, data, number)).split("\n")
        for line in lines:
            yield f"{line}\n"
        number += len(lines)
        if len(text) > MAX_LINE:
            raise Invalid(TOO_LONG)
    text += _decoded(decoder, b"", number)
    if text:
        yield text


def encoding_of(head: bytes) -> tuple[str, int]:
    """Of a file that begins like this, and the length of its byte order mark. Raises Invalid for one that is no
    text."""
    for mark, encoding in BYTE_ORDER_MARKS:
        if head.startswith(mark):
            return encoding, len(mark)
    if b"\0" in head:
        raise Invalid("The file is not text in UTF-8.")
    return "utf-8", 0


def _decoded(decoder: codecs.IncrementalDecoder, data: bytes, lines: int) -> str:
    """More of a file of which so many lines were decoded. No data: its end."""
    try:
        return decoder.decode(data, final=not data)
    except UnicodeDecodeError as wrong:
        line = lines + 1 + wrong.object[: wrong.start].decode(wrong.encoding).count("\n")
        raise Invalid(NOT_TEXT.format(line, "UTF-16" if "16" in wrong.encoding else "UTF-8")) from None
