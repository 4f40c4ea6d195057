"""The program that decodes images: requests on stdin, a socket, and responses on stdout, one image after the other. An
image is in a file that comes with its request, or else in one that is always shared.

It is a process of its own because a decoder that hangs, crashes or fills the memory cannot be stopped otherwise. It has
few rights: no environment, no files to write, limited memory, and limited processor time for each image. It ends when
its stdin does.
"""

import json
import math
import os
import resource
import signal
import socket
import struct
import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import Final

from db.formats import images
from db.formats.cached_files import read_cached
from db.formats.images import UnreadableImage

REQUEST: Final = struct.Struct("!cIIIQ")  # kind, argument, most pixels, most a side, bytes of the image
RESPONSE: Final = struct.Struct("!cQ")  # status, bytes that follow
CHECK, THUMBNAIL, RENDITION, COMPLETE = b"C", b"T", b"R", b"W"
RESIZED, LETTERBOXED, DIFFERENCE_HASH = b"S", b"L", b"H"
DONE, REFUSED, NOT_CACHED = b"D", b"R", b"N"
TOO_COSTLY: Final = "The image takes too much time or memory to decode."


def main(image: int, memory: int, seconds: float) -> None:
    """Respond until stdin ends. `image` is a descriptor, `memory` in bytes, `seconds` are of processor time."""
    for stop in (signal.SIGINT, signal.SIGTERM):  # they are sent to the server too, which ends this process
        signal.signal(stop, signal.SIG_IGN)
    os.nice(5)  # the server's processes have priority
    for limit, maximum in ((resource.RLIMIT_AS, memory), (resource.RLIMIT_CORE, 0), (resource.RLIMIT_FSIZE, 0)):
        resource.setrlimit(limit, (maximum, maximum))
    requests, responses = socket.socket(fileno=sys.stdin.fileno()), sys.stdout.buffer
    while True:
        request, files, _, _ = socket.recv_fds(requests, REQUEST.size, 1, socket.MSG_WAITALL)
        if not request:
            return
        used = resource.getrusage(resource.RUSAGE_SELF)
        end = math.ceil(used.ru_utime + used.ru_stime + seconds)  # then the kernel ends this process
        resource.setrlimit(resource.RLIMIT_CPU, (end, resource.RLIM_INFINITY))
        status, result = respond(request, files, image)
        responses.write(RESPONSE.pack(status, len(result)) + result)
        responses.flush()


def respond(request: bytes, files: list[int], image: int) -> tuple[bytes, bytes]:
    kind, argument, pixels, side, length = REQUEST.unpack(request)
    try:
        data = read_file(files[0], length) if files else os.pread(image, length, 0)
        return (NOT_CACHED, b"") if data is None else (DONE, FUNCTIONS[kind](data, argument, pixels, side))
    except UnreadableImage as refused:
        return REFUSED, refused.message.encode()
    except MemoryError:
        return REFUSED, TOO_COSTLY.encode()


def read_file(file: int, length: int) -> bytearray | None:
    """A disk that hangs must not hold this process, which other images need: so only what is in memory is read."""
    try:
        return read_cached(file, length)
    finally:
        os.close(file)


FUNCTIONS: Final[dict[bytes, Callable[[bytes | bytearray, int, int, int], bytes]]] = {
    CHECK: lambda data, _, pixels, side: json.dumps(asdict(images.check(bytes(data), pixels, side))).encode(),
    THUMBNAIL: lambda data, size, pixels, side: images.thumbnail(data, size, pixels, side)[0],
    RENDITION: lambda data, _, pixels, side: images.rendition(data, pixels, side),
    COMPLETE: lambda data, _, pixels, side: json.dumps(images.is_complete(bytes(data), pixels, side)).encode(),
    RESIZED: lambda data, size, pixels, side: images.resized(data, *divmod(size, 1 << 16), pixels, side),
    LETTERBOXED: lambda data, size, pixels, side: images.resized(
        data, *divmod(size, 1 << 16), pixels, side, letterbox=True
    ),
    DIFFERENCE_HASH: lambda data, _, pixels, side: json.dumps(images.difference_hash(data, pixels, side)).encode(),
}

if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))
