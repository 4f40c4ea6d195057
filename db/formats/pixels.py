"""A hash of an image file without its metadata: the same before and after a tool rewrote tags, captions or colour
profiles, and another if a byte differs that the pixels depend on. Nothing is decoded; every file has a hash."""

from hashlib import blake2b
from typing import Final

JPEG, PNG = b"\xff\xd8", b"\x89PNG\r\n\x1a\n"
METADATA: Final = frozenset({0xFE, *range(0xE0, 0xF0)} - {0xEE})  # COM and APPn; Adobe's APP14 says how to read colours
START_OF_SCAN: Final = 0xDA
PIXELS: Final = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT"})
TO_THE_END: Final = 2**62


class PixelHash:
    """Of a file's bytes, in pieces of any size. It keeps only a few of them."""

    def __init__(self) -> None:
        self._hash = blake2b(digest_size=16)
        self._read = self._start
        self._header = b""  # the part of the next header that has come
        self._need = len(PNG)
        self._left = 0  # bytes of the present part that are still to come
        self._counts = False  # whether they belong to the pixels

    def update(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            if self._left:
                part, view = view[: self._left], view[self._left :]
                self._left -= len(part)
                if self._counts:
                    self._hash.update(part)
                continue
            missing = self._need - len(self._header)
            self._header += bytes(view[:missing])
            view = view[missing:]
            if len(self._header) == self._need:
                header, self._header = self._header, b""
                self._read(header)

    def hexdigest(self) -> str:
        """Includes the bytes of an incomplete header at the end."""
        whole = self._hash.copy()
        whole.update(self._header)
        return whole.hexdigest()

    def _start(self, header: bytes) -> None:
        if header == PNG:
            self._read, self._need = self._png, 8
        elif header.startswith(JPEG):
            self._read, self._need = self._jpeg, 4
            self.update(header[len(JPEG) :])
        else:
            self._hash.update(header)
            self._part(TO_THE_END, counts=True)

    def _jpeg(self, header: bytes) -> None:
        """A marker and the length of its segment, which counts itself."""
        length = int.from_bytes(header[2:], "big") - 2
        if header[:2] == b"\xff\xff":  # a byte of filling before a marker
            self._header = header[1:]
        elif header[0] != 0xFF or header[1] == START_OF_SCAN or length < 0:
            self._hash.update(header)
            self._part(TO_THE_END, counts=True)
        else:
            counts = header[1] not in METADATA
            if counts:
                self._hash.update(header)
            self._part(length, counts=counts)

    def _png(self, header: bytes) -> None:
        """The checksum of the chunk before, unless this is the first; a length and a type."""
        self._need = 12
        kind, length = header[-4:], int.from_bytes(header[-8:-4], "big")
        if kind == b"IEND":
            self._part(TO_THE_END, counts=False)
            return
        if kind in PIXELS and kind != b"IDAT":  # one stream of pixels may be cut into chunks in many ways
            self._hash.update(kind)
        self._part(length, counts=kind in PIXELS)

    def _part(self, length: int, *, counts: bool) -> None:
        self._left, self._counts = length, counts
