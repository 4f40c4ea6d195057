"""Text files line by line, however long they are, and however long a line is."""

import codecs
from collections.abc import Iterator
from typing import BinaryIO, Final

from db.errors import Invalid
from db.formats.sidecars.content import BYTE_ORDER_MARKS

HEAD: Final = 64 * 1024  # bytes by which the encoding is known
MAX_LINE: Final = 16 * 1024 * 1024  # bytes
ESCAPING: Final = ("utf-8", "utf-8-sig")
TOO_LONG: Final = f"A line has at most {MAX_LINE // 1024 // 1024} MiB; this one was not read."


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
    """Each line with its end, as text: in the encoding of the byte order mark, or UTF-8, or else GB18030. Bytes that
    are no text in it become lone surrogates, which no value may contain. Raises Invalid for a line that is too long."""
    encoding = encoding_of(file.read(HEAD))
    file.seek(0)
    decoder = codecs.getincrementaldecoder(encoding)("surrogateescape" if encoding in ESCAPING else "replace")
    text = ""
    while data := file.read(HEAD):
        *lines, text = (text + decoder.decode(data)).split("\n")
        for line in lines:
            yield f"{line}\n"
        if len(text) > MAX_LINE:
            raise Invalid(TOO_LONG)
    text += decoder.decode(b"", final=True)
    if text:
        yield text


def encoding_of(head: bytes) -> str:
    """Of a file that begins like this. Raises Invalid for one that is no text."""
    for mark, encoding in BYTE_ORDER_MARKS:
        if head.startswith(mark):
            return "utf-8-sig" if encoding == "utf-8" else "utf-16"
    if b"\0" in head:
        raise Invalid("The file is not text in UTF-8.")
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return "gb18030"
    return "utf-8"
