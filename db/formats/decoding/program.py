"""The program that decodes images: asked on stdin, answers on stdout, one image after the other.

It is a process of its own because a decoder that is made to hang, to crash or to fill the memory cannot be stopped
otherwise. It has few rights to begin with: no environment, no files to write, so much memory and no more, and so much
processor time for each image. It ends when nobody is there any more to ask.
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
from typing import BinaryIO, Final

from db.formats import images
from db.formats.images import UnreadableImage

QUESTION: Final = struct.Struct("!cIIQ")  # what is to be done, an argument of it, most pixels, bytes of the image
ANSWER: Final = struct.Struct("!cQ")  # how it went, bytes that follow
CHECK, THUMBNAIL, WHOLE = b"C", b"T", b"W"
DONE, REFUSED = b"D", b"R"
TOO_COSTLY: Final = "The image takes too much time or memory to decode."


def main(memory: int, seconds: float) -> None:
    """Answer until stdin ends. `memory` in bytes, `seconds` of processor time."""
    for stop in (signal.SIGINT, signal.SIGTERM):  # they come to us too, but are the server's business, which ends us
        signal.signal(stop, signal.SIG_IGN)
    os.nice(5)  # decoding gives way to answering
    for limit, most in ((resource.RLIMIT_AS, memory), (resource.RLIMIT_CORE, 0), (resource.RLIMIT_FSIZE, 0)):
        resource.setrlimit(limit, (most, most))
    questions, answers = sys.stdin.buffer, sys.stdout.buffer
    while asked := questions.read(QUESTION.size):
        _hold_to(seconds)
        _answer(questions, answers, *QUESTION.unpack(asked))


def _hold_to(seconds: float) -> None:
    """The kernel ends this process once it has used so much more processor time; it counts whole seconds."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    resource.setrlimit(
        resource.RLIMIT_CPU, (math.ceil(used.ru_utime + used.ru_stime + seconds), resource.RLIM_INFINITY)
    )


def _answer(questions: BinaryIO, answers: BinaryIO, kind: bytes, argument: int, pixels: int, length: int) -> None:
    try:
        how, told = DONE, WORK[kind](questions.read(length), argument, pixels)
    except UnreadableImage as refused:
        how, told = REFUSED, refused.message.encode()
    except MemoryError:
        how, told = REFUSED, TOO_COSTLY.encode()
    answers.write(ANSWER.pack(how, len(told)) + told)
    answers.flush()


def _check(data: bytes, _: int, pixels: int) -> bytes:
    return json.dumps(asdict(images.check(data, pixels))).encode()


def _thumbnail(data: bytes, size: int, pixels: int) -> bytes:
    return images.thumbnail(data, size, pixels)[0]


def _is_complete(data: bytes, _: int, pixels: int) -> bytes:
    return json.dumps(images.is_complete(data, pixels)).encode()


WORK: Final[dict[bytes, Callable[[bytes, int, int], bytes]]] = {
    CHECK: _check,
    THUMBNAIL: _thumbnail,
    WHOLE: _is_complete,
}

if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
