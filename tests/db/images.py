"""Image files for tests: with any metadata, and of every mode."""

import io
import random
import struct
import zlib
from collections.abc import Iterable

from PIL import Image

SIZE = (60, 40)
EXIF = b"Exif\0\0"
XMP = b"http://ns.adobe.com/xap/1.0/\0"
Segment = tuple[int, bytes]
Chunk = tuple[bytes, bytes]


def noise_image(mode: str = "RGB", size: tuple[int, int] = SIZE) -> Image.Image:
    """Noise, the same in every test."""
    return Image.frombytes("L", size, random.Random(1).randbytes(size[0] * size[1])).convert(mode)


def jpeg(*segments: Segment, image: Image.Image | None = None, **options: object) -> bytes:
    """With these segments before its own."""
    out = io.BytesIO()
    (image or noise_image()).save(out, "JPEG", **options)
    before = b"".join(b"\xff" + bytes([marker]) + struct.pack(">H", len(body) + 2) + body for marker, body in segments)
    return out.getvalue()[:2] + before + out.getvalue()[2:]


def png(before: Iterable[Chunk] = (), behind: Iterable[Chunk] = (), image: Image.Image | None = None) -> bytes:
    """With these chunks before its pixels, and behind them."""
    out = io.BytesIO()
    (image or noise_image()).save(out, "PNG")
    data = out.getvalue()
    pixels, end = data.index(b"IDAT") - 4, data.rindex(b"IEND") - 4
    first, second = (b"".join(chunk(*each) for each in chunks) for chunks in (before, behind))
    return data[:pixels] + first + data[pixels:end] + second + data[end:]


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def tiff(*entries: tuple[int, int, int, int], order: str = "<") -> bytes:
    """One directory of entries: tag, type, count and value, which is a SHORT."""
    packed = b"".join(struct.pack(f"{order}HHIHH", *entry, 0) for entry in entries)
    head = struct.pack(f"{order}2sHIH", b"II" if order == "<" else b"MM", 42, 8, len(entries))
    return head + packed + struct.pack(f"{order}I", 0)


def oriented(value: int, *, kind: int = 3, count: int = 1, order: str = "<") -> bytes:
    return tiff((0x0112, kind, count, value), order=order)


def xmp(value: int) -> bytes:
    return (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        b'<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="%d"/></rdf:RDF></x:xmpmeta>'
    ) % value


def raw_profile(body: bytes) -> bytes:
    """As ImageMagick writes Exif into a PNG's text."""
    return b"\nexif\n%8d\n" % len(body) + body.hex().encode() + b"\n"
