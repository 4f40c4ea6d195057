"""The program that decodes images: requests on stdin, responses on stdout, one image after the other, each in a file
that is shared.

It is a process of its own because a decoder that hangs, crashes or fills the memory cannot be stopped otherwise. It has
few rights: no environment, no files to write, limited memory, and limited processor time for each image. It ends when
its stdin does.
"""

import json
import math
import os
import resource
import signal
import struct
import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import Final

from db.formats import images
from db.formats.images import UnreadableImage

REQUEST: Final = struct.Struct("!cIIIQ")  # kind, argument, most pixels, most a side, bytes of the image
RESPONSE: Final = struct.Struct("!cQ")  # status, bytes that follow
CHECK, THUMBNAIL, RENDITION, COMPLETE = b"C", b"T", b"R", b"W"
RESIZED, LETTERBOXED, DIFFERENCE_HASH = b"S", b"L", b"H"
DONE, REFUSED = b"D", b"R"
TOO_COSTLY: Final = "The image takes too much time or memory to decode."


def main(image: int, memory: int, seconds: float) -> None:
    """Respond until stdin ends. `image` is a descriptor, `memory` in bytes, `seconds` are of processor time."""
    for stop in (signal.SIGINT, signal.SIGTERM):  # they are sent to the server too, which ends this process
        signal.signal(stop, signal.SIG_IGN)
    os.nice(5)  # the server's processes have priority
    for limit, maximum in ((resource.RLIMIT_AS, memory), (resource.RLIMIT_CORE, 0), (resource.RLIMIT_FSIZE, 0)):
        resource.setrlimit(limit, (maximum, maximum))
    requests, responses = sys.stdin.buffer, sys.stdout.buffer
    while request := requests.read(REQUEST.size):
        used = resource.getrusage(resource.RUSAGE_SELF)
        end = math.ceil(used.ru_utime + used.ru_stime + seconds)  # then the kernel ends this process
        resource.setrlimit(resource.RLIMIT_CPU, (end, resource.RLIM_INFINITY))
        kind, argument, pixels, side, length = REQUEST.unpack(request)
        try:
            status, result = DONE, FUNCTIONS[kind](os.pread(image, length, 0), argument, pixels, side)
        except UnreadableImage as refused:
            status, result = REFUSED, refused.message.encode()
        except MemoryError:
            status, result = REFUSED, TOO_COSTLY.encode()
        responses.write(RESPONSE.pack(status, len(result)) + result)
        responses.flush()


FUNCTIONS: Final[dict[bytes, Callable[[bytes, int, int, int], bytes]]] = {
    CHECK: lambda data, _, pixels, side: json.dumps(asdict(images.check(data, pixels, side))).encode(),
    THUMBNAIL: lambda data, size, pixels, side: images.thumbnail(data, size, pixels, side)[0],
    RENDITION: lambda data, _, pixels, side: images.rendition(data, pixels, side),
    COMPLETE: lambda data, _, pixels, side: json.dumps(images.is_complete(data, pixels, side)).encode(),
    RESIZED: lambda data, size, pixels, side: images.resized(data, *divmod(size, 1 << 16), pixels, side),
    LETTERBOXED: lambda data, size, pixels, side: images.resized(
        data, *divmod(size, 1 << 16), pixels, side, letterbox=True
    ),
    DIFFERENCE_HASH: lambda data, _, pixels, side: json.dumps(images.difference_hash(data, pixels, side)).encode(),
}

if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))
