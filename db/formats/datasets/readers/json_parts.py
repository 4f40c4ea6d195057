"""JSON of any length in pieces: the elements of its arrays, one after the other, each as the bytes that it is written
in. What is between the elements is not kept, so that memory is that of one element.

A parser that builds values as it goes (ijson) has no limit to their size or depth, and ends at the first mistake; here
an element that is no JSON is a problem of that element.
"""

import codecs
import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any, BinaryIO, Final

import orjson

from db.errors import Invalid
from db.formats import json_values
from db.formats.datasets.readers.lines import NOT_UTF_8, refuse_what_is_not_utf8, refuse_wide_text

PIECE: Final = 1024 * 1024  # bytes that are read at once
MAX_ELEMENT: Final = 16 * 1024 * 1024  # bytes
MAX_DEPTH: Final = 64
MARK: Final = b"\xef\xbb\xbf"
LONGEST_MARK: Final = 4  # bytes of that of UTF-32
# A bracket, or a string; without the last quotation mark the string goes on in the next piece.
TOKEN: Final = re.compile(rb'[\[\]{}]|"[^"\\]*(?:\\.[^"\\]*)*("?)', re.DOTALL)
CLOSING: Final = {ord("{"): ord("}"), ord("["): ord("]")}
BETWEEN: Final = b" \t\r\n,"
NOT_JSON: Final = "The file is not JSON in UTF-8."


@dataclass(frozen=True, slots=True)
class Part:
    """An element of an array: `key` is that of the array in the outermost object, empty if that is the array."""

    key: str
    index: int
    data: bytes

    @property
    def pointer(self) -> str:
        return f"/{self.key}/{self.index}" if self.key else f"/{self.index}"

    def object(self, note: Callable[[str], object] = str) -> dict[str, Any]:
        """`note` takes what was passed over in it. Raises Invalid."""
        try:
            found = json_values.loads(self.data, note)
        except orjson.JSONDecodeError:
            refuse_what_is_not_utf8(self.data, 1)
            found = None
        if not isinstance(found, dict):
            raise Invalid("This is not a JSON object.")
        return found


def parts(file: BinaryIO, keys: Collection[str] = ("",), seen: set[str] | None = None) -> Iterator[Part]:
    """The elements of the arrays that these keys have in the outermost object; with the key "" those of the outermost
    array. `seen` gets the keys of the arrays that there are, empty ones too. Raises Invalid."""
    splitter = _Splitter(keys, set() if seen is None else seen)
    head = b""
    while len(head) < LONGEST_MARK and (data := file.read(LONGEST_MARK - len(head))):
        head += data
    refuse_wide_text(head)
    decoder, line = codecs.getincrementaldecoder("utf-8")(), 1
    for data in chain([head.removeprefix(MARK)], iter(lambda: file.read(PIECE), b"")):
        try:
            decoder.decode(data)
        except UnicodeDecodeError as wrong:
            raise Invalid(NOT_UTF_8.format(line + wrong.object.count(b"\n", 0, wrong.start))) from None
        line += data.count(b"\n")
        yield from splitter.feed(data)
    splitter.end()


class _Splitter:
    def __init__(self, keys: Collection[str], seen: set[str]) -> None:
        self.keys, self.seen = keys, seen
        self.buffer = b""
        self.position = 0  # in the buffer, of what was not looked at
        self.open: list[int] = []  # the brackets that wait to be closed
        self.string = b""  # the last one in the outermost object
        self.key: str | None = None  # of the array whose elements are kept
        self.index = 0
        self.start = 0  # in the buffer, of the present element with what is before it
        self.is_begun = False

    def feed(self, data: bytes) -> Iterator[Part]:
        if not self.is_begun:
            self.is_begun = bool(data.strip())
            if self.is_begun and data.lstrip()[0] not in CLOSING:
                raise Invalid(NOT_JSON)
        kept = self.start if self.key is not None else self.position
        self.buffer = self.buffer[kept:] + data
        self.position -= kept
        self.start = 0
        for token in TOKEN.finditer(self.buffer, self.position):
            character = self.buffer[token.start()]
            if character == ord('"'):
                if not token[1]:
                    self.position = token.start()
                    break
                if len(self.open) == 1 and self.key is None:
                    self.string = token[0]
            elif character in CLOSING:
                yield from self._before(token.start())
                self._opened(character, token.end())
            else:
                part = self._closed(character, token.end())
                if part is not None:
                    yield part
            self.position = token.end()
        else:
            self.position = len(self.buffer)
        if len(self.buffer) - min(self.position, self.start if self.key is not None else self.position) > MAX_ELEMENT:
            raise Invalid(f"An element of the file has more than {MAX_ELEMENT // 1024 // 1024} MiB.")

    def end(self) -> None:
        if self.open or not self.is_begun:
            raise Invalid("The file ends in the middle: it is not whole." if self.is_begun else NOT_JSON)

    def _before(self, position: int) -> Iterator[Part]:
        """What is in the array in front of this element, and is neither an object nor an array."""
        if self.key is None or len(self.open) != self._depth:
            return
        between = self.buffer[self.start : position].strip(BETWEEN)
        if between:
            try:
                count = len(orjson.loads(b"[%b]" % between))
            except orjson.JSONDecodeError:
                count = 1
            for _ in range(count):
                yield Part(self.key, self.index, between)
                self.index += 1
        self.start = position

    @property
    def _depth(self) -> int:
        """How deep the elements of the present array are."""
        return 2 if self.key else 1

    def _opened(self, bracket: int, position: int) -> None:
        self.open.append(CLOSING[bracket])
        if len(self.open) > MAX_DEPTH:
            raise Invalid(f"The file is nested more than {MAX_DEPTH} deep.")
        if self.key is not None or bracket != ord("["):
            return
        if len(self.open) == 1:
            key = ""
        elif len(self.open) == 2 and self.open[0] == ord("}"):
            key = _key(self.string)
        else:
            return
        if key in self.keys and (key or len(self.open) == 1):
            self.key, self.index, self.start = key, 0, position
            self.seen.add(key)

    def _closed(self, bracket: int, position: int) -> Part | None:
        if not self.open or self.open.pop() != bracket:
            raise Invalid(NOT_JSON)
        if self.key is None:
            return None
        depth = len(self.open) - self._depth
        if depth > 0:
            return None
        data = self.buffer[self.start : position].strip(BETWEEN)
        self.start = position
        part = Part(self.key, self.index, data) if depth == 0 else None
        if depth < 0:  # the end of the array; before it there may be something that is no object
            rest = data[:-1].strip(BETWEEN)
            part = Part(self.key, self.index, rest) if rest else None
            self.key = None
        self.index += 1
        return part


def _key(string: bytes) -> str:
    try:
        return str(orjson.loads(string))
    except orjson.JSONDecodeError:
        raise Invalid(NOT_JSON) from None
