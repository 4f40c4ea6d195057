"""The program that runs one ONNX model which somebody brought: pixels on stdin, suggestions on stdout.

It is a process of its own because a model may be made to fill the memory, never to end, or to crash the library that
runs it. It has few rights: no environment, limited memory, limited processor time for each image, no file to write, and
once the model is there, no file to open at all. It ends when its stdin does.
"""

import json
import math
import os
import re
import resource
import signal
import sys
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, BinaryIO, Final

import numpy as np
import onnxruntime

from db.vision import onnx_description, onnx_outputs
from db.vision.onnx_description import ModelDescription, ModelInput
from db.vision.onnx_file import ModelError, expect_whole
from db.vision.onnx_messages import DONE, HEADER, REFUSED, REQUEST, RESPONSE, TOO_MUCH

SOURCE: Final = re.compile(r"\[ONNXRuntimeError\] : \d+ : \w+ : |/\S+\.(cc|h):\d+ ")
TYPES: Final = {"tensor(float)": "float32", "tensor(float16)": "float16", "tensor(uint8)": "uint8"}


@dataclass(frozen=True, slots=True)
class Model:
    session: Any  # of ONNX Runtime, which has no types
    description: ModelDescription
    input_name: str
    input_type: str

    def suggestions(self, pixels: bytes, least: float) -> onnx_outputs.Found:
        given = onnx_outputs.as_input(pixels, self.description.input, self.input_type)
        names = [each.name for each in self.session.get_outputs()]
        values = self.session.run(names, {self.input_name: given})
        return onnx_outputs.suggestions(
            {name: value for name, value in zip(names, values, strict=True) if isinstance(value, np.ndarray)},
            self.description,
            least,
        )


def main(model: int, digest: str, memory: int, seconds: float) -> None:
    """Respond until stdin ends. `model` is a descriptor of the file, whose SHA-256 is `digest`; `memory` in bytes,
    `seconds` of processor time."""
    for stop in (signal.SIGINT, signal.SIGTERM):  # they are sent to the worker too, which ends this process
        signal.signal(stop, signal.SIG_IGN)
    os.nice(5)
    for limit, maximum in ((resource.RLIMIT_AS, memory), (resource.RLIMIT_CORE, 0), (resource.RLIMIT_FSIZE, 0)):
        resource.setrlimit(limit, (maximum, maximum))
    requests, responses = sys.stdin.buffer, sys.stdout.buffer
    allow(seconds)
    [length] = HEADER.unpack(requests.read(HEADER.size))
    opened: Model | None = None
    try:
        opened = open_model(whole(model, digest), onnx_description.parse(requests.read(length).decode()))
        respond(responses, DONE, [])
    except ModelError as refused:
        respond(responses, REFUSED, refused.message)
    except MemoryError:
        respond(responses, REFUSED, TOO_MUCH)
    size = 0 if opened is None else 3 * opened.description.input.width * opened.description.input.height
    while opened is not None and (request := requests.read(REQUEST.size)):
        allow(seconds)
        try:
            respond(responses, DONE, opened.suggestions(requests.read(size), *REQUEST.unpack(request)))
        except ModelError as refused:
            respond(responses, REFUSED, refused.message)
        except MemoryError:
            respond(responses, REFUSED, TOO_MUCH)
        except Exception as error:  # of ONNX Runtime
            respond(responses, REFUSED, said(error))


def allow(seconds: float) -> None:
    """So much processor time from now on; then the kernel ends this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    end = math.ceil(used.ru_utime + used.ru_stime + seconds)
    resource.setrlimit(resource.RLIMIT_CPU, (end, resource.RLIM_INFINITY))


def whole(model: int, digest: str) -> bytes:
    """Raises ModelError unless the file has stayed the one that its version is of."""
    with os.fdopen(model, "rb") as file:
        data = file.read()
    if sha256(data).hexdigest() != digest:
        raise ModelError("The model's file changes while it is read.")
    return data


def open_model(data: bytes, description: ModelDescription) -> Model:
    """Raises ModelError for one that cannot be used as described."""
    expect_whole(data)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    options.add_session_config_entry("session.load_model_format", "ONNX")
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))  # no file is opened from here on, whatever the model says
    try:
        session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        given = input_of(session.get_inputs(), description.input)
        onnx_outputs.expect_named({each.name for each in session.get_outputs()}, description.output)
    except (MemoryError, ModelError):
        raise
    except Exception as error:  # also for names that are not UTF-8
        raise ModelError(said(error)) from error
    return Model(session, description, given.name, TYPES[given.type])


def input_of(inputs: list[Any], described: ModelInput) -> Any:
    """The model's one input that is not optional, if it takes images of the size and layout that are described."""
    found = [each for each in inputs if described.name in (None, each.name)]
    if len(found) != 1:
        names = ", ".join(each.name for each in inputs)
        raise ModelError(f"The model has the inputs {names or 'none'}: `input.name` must be the one for an image.")
    [given] = found
    if given.type not in TYPES:
        raise ModelError(f"The model's input is a {given.type}, and it must be one of {', '.join(TYPES)}.")
    sizes = (described.height, described.width)
    expected = (1, 3, *sizes) if described.layout == "NCHW" else (1, *sizes, 3)
    fits = len(given.shape) == len(expected) and all(
        not isinstance(size, int) or size in (side, 0, -1) for size, side in zip(given.shape, expected, strict=True)
    )
    if not fits:
        raise ModelError(f"The model's input is of the shape {given.shape}, and {list(expected)} is described.")
    return given


def said(error: Exception) -> str:
    """The first line of what ONNX Runtime says, without where in its own source."""
    line = (str(error).splitlines() or [""])[0]
    return f"ONNX Runtime cannot run the model: {SOURCE.sub('', line)[:300]}"


def respond(responses: BinaryIO, status: bytes, value: Any) -> None:
    data = json.dumps(value).encode()
    responses.write(RESPONSE.pack(status, len(data)) + data)
    responses.flush()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))
