"""Text files line by line, however long they are, and however long a line is."""

import codecs
from collections.abc import Iterator
from typing import BinaryIO, Final

from db.errors import Invalid
from db.formats.sidecars.content import BYTE_ORDER_MARKS, UTF_32_MARKS, declared_encoding

HEAD: Final = 64 * 1024  # bytes by which the encoding is known
MAX_LINE: Final = 16 * 1024 * 1024  # bytes
TOO_LONG: Final = f"A line has at most {MAX_LINE // 1024 // 1024} MiB; this one was not read."
NOT_TEXT: Final = "Line {} is not text in {}; save the file as UTF-8, or as UTF-16 with a byte order mark."
NOT_UTF_8: Final = "Line {} is not text in UTF-8; save the file as UTF-8."
UTF_16: Final = "The file is text in UTF-16, in which this format is not read; save it as UTF-8."
UTF_32: Final = "The file is text in UTF-32, which is not read; save it as UTF-8."
UTF_16_MARKS: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
XML_STARTS: Final = ((b"<\0", "utf-16-le"), (b"\0<", "utf-16-be"))  # without a byte order mark


def byte_lines(file: BinaryIO) -> Iterator[tuple[int, bytes | None]]:
    """Each line with its number, without its end. None: one that is too long. Raises Invalid for UTF-16 and UTF-32."""
    number, is_begun = 0, False
    while line := file.readline(MAX_LINE):
        number += 1
        if not is_begun:
            refuse_wide_text(line)
            is_begun = not line.isspace()
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
    text, number, end = "", 0, ""
    while data := file.read(HEAD):
        text += _decoded(decoder, data, number)
        end = end or ("\r" if "\r" in text[:-1] and "\n" not in text else "\n")  # the former as old programs write
        *lines, text = text.split(end)
        for line in lines:
            yield f"{line}\n"
        number += len(lines)
        if len(text) > MAX_LINE:
            raise Invalid(TOO_LONG)
    text += _decoded(decoder, b"", number)
    if text:
        yield text


def refuse_wide_text(head: bytes) -> None:
    """UTF-16 and UTF-32, by how a file of JSON begins. Raises Invalid."""
    if head.startswith(UTF_32_MARKS):
        raise Invalid(UTF_32)
    if head.startswith(UTF_16_MARKS) or head[:2].count(b"\0") == 1 < len(head):
        raise Invalid(UTF_16)


def refuse_what_is_not_utf8(data: bytes, line: int) -> None:
    """`data` begins with this line of a file. Raises Invalid."""
    if line == 1:
        refuse_wide_text(data)
    try:
        data.decode()
    except UnicodeDecodeError as wrong:
        raise Invalid(NOT_UTF_8.format(line + data.count(b"\n", 0, wrong.start))) from None


def xml_pieces(file: BinaryIO) -> Iterator[str]:
    """A file of XML as text: in the encoding of its byte order mark, or else in the one that it names, or else UTF-8.
    Raises Invalid."""
    head = file.read(HEAD)
    encoding, length = next(((name, 0) for start, name in XML_STARTS if head.startswith(start)), ("", 0))
    if not encoding:
        encoding, length = encoding_of(head)
        encoding = (None if length else declared_encoding(head)) or encoding
    file.seek(length)
    decoder = codecs.getincrementaldecoder(encoding)()
    number = 0
    while data := file.read(HEAD):
        text = _decoded(decoder, data, number)
        number += text.count("\n")
        yield text
    if rest := _decoded(decoder, b"", number):
        yield rest


def encoding_of(head: bytes) -> tuple[str, int]:
    """Of a file that begins like this, and the length of its byte order mark. Raises Invalid for one that is no
    text."""
    if head.startswith(UTF_32_MARKS):
        raise Invalid(UTF_32)
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
        is_wide = "16" in wrong.encoding
        before = wrong.object[: wrong.start]
        text = before.decode(wrong.encoding if is_wide else "latin-1")
        line = lines + 1 + (text.count("\n") or text.count("\r"))
        name = "UTF-16" if is_wide else "UTF-8" if wrong.encoding == "utf-8" else "the encoding that the file names"
        raise Invalid(NOT_TEXT.format(line, name)) from None
