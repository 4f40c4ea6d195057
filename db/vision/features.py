"""Array of images: what EfficientNet-Lite0, trained on ImageNet, sees in them, by ONNX Runtime on one core.

Its weights come with a package of the extra; the graph is written when it is opened, so nothing is shipped or kept. The
features are the 1,280 numbers that its own classifier reads, and 448 of an earlier layer, which know more of shapes and
less of ImageNet's classes.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import onnxruntime

from db.vision import LAST, SIDE, require, weights
from db.vision.arrays import Array
from db.vision.onnx_graph import Graph, folded

NAME: Final = "efficientnet-lite0/1"  # of what is computed here: another whenever the features are
MIDDLE: Final = 448
COUNT: Final = LAST + MIDDLE
STRIDED: Final = frozenset({1, 3, 5, 11})  # blocks that halve width and height
MIDDLE_BLOCK: Final = 10
BLOCKS: Final = 16
EPSILON: Final = 1e-3
CENTER, SCALE = 127.0, 128.0  # of a pixel's numbers


@dataclass(frozen=True, slots=True)
class Network:
    session: Any  # of ONNX Runtime, which has no types

    def features(self, pixels: bytes) -> Array:
        """1,728 numbers of a square of 224 × 224 pixels: RGB, three bytes a pixel, row by row. They take 10 ms of one
        core, and no other thread of the process waits for them."""
        image = np.frombuffer(pixels, np.uint8).reshape(1, SIDE, SIDE, 3)
        found: Array = self.session.run(None, {"pixels": image})[0][0]
        return found


def open_network() -> Network:
    """Takes half a second, and 110 MB. Raises VisionUnavailable without the extra."""
    require()
    return Network(session(model(weights.load())))


def session(data: bytes) -> Any:
    """ONNX Runtime on one thread: with more, an image takes longer as soon as anything else runs."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])


def pack(features: Array) -> bytes:
    """To be kept: 3,456 bytes, in half precision."""
    packed: bytes = features.astype("<f2").tobytes()
    return packed


def unpack(packed: Iterable[bytes]) -> Array:
    """A row for each."""
    return np.frombuffer(b"".join(packed), "<f2").reshape(-1, COUNT).astype(np.float32)


def embedding(features: Array) -> Array:
    """What images are compared by: the last layer's numbers, of length 1."""
    last = features[..., :LAST]
    found: Array = last / np.maximum(np.linalg.norm(last, axis=-1, keepdims=True), 1e-12)
    return found


def model(tensors: weights.Tensors) -> bytes:
    """The network as ONNX, batch norms folded into its convolutions."""
    graph = Graph()
    for name, number in {"zero": 0.0, "six": 6.0, "center": CENTER, "scale": SCALE}.items():
        graph.constant(name, np.array(number, np.float32))
    graph.node("Cast", ["pixels"], "numbers", to=1)
    graph.node("Transpose", ["numbers"], "planes", perm=(0, 3, 1, 2))
    graph.node("Sub", ["planes", "center"], "centered")
    graph.node("Div", ["centered", "scale"], "image")
    found = _convolution(graph, tensors, "_conv_stem", "_bn0", "image", stride=2)
    for number in range(BLOCKS):
        found = _block(graph, tensors, f"_blocks.{number}", found, stride=2 if number in STRIDED else 1)
        if number == MIDDLE_BLOCK:
            graph.node("AveragePool", [found], "quarters", kernel_shape=(7, 7), strides=(7, 7))
            graph.node("Flatten", ["quarters"], "middle")
    found = _convolution(graph, tensors, "_conv_head", "_bn1", found)
    graph.node("GlobalAveragePool", [found], "pooled")
    graph.node("Flatten", ["pooled"], "last")
    graph.node("Concat", ["last", "middle"], "features", axis=1)
    return graph.model({"pixels": ("uint8", (1, SIDE, SIDE, 3))}, {"features": ("float32", (1, COUNT))})


def _block(graph: Graph, tensors: weights.Tensors, name: str, given: str, *, stride: int) -> str:
    found = given
    if f"{name}._expand_conv.weight" in tensors:
        found = _convolution(graph, tensors, f"{name}._expand_conv", f"{name}._bn0", found)
    found = _convolution(graph, tensors, f"{name}._depthwise_conv", f"{name}._bn1", found, stride=stride)
    found = _convolution(graph, tensors, f"{name}._project_conv", f"{name}._bn2", found, clipped=False)
    first = f"{name}._expand_conv" if f"{name}._expand_conv.weight" in tensors else f"{name}._depthwise_conv"
    channels = tensors[f"{first}.weight"].shape[1] if "_expand" in first else tensors[f"{first}.weight"].shape[0]
    if stride == 1 and tensors[f"{name}._project_conv.weight"].shape[0] == channels:
        found = graph.node("Add", [found, given], f"{name}.sum")
    return found


def _convolution(
    graph: Graph, tensors: weights.Tensors, name: str, norm: str, given: str, *, stride: int = 1, clipped: bool = True
) -> str:
    """With its batch norm, and ReLU6 behind it. Padding as TensorFlow's SAME: at an even size with stride 2, more at
    the end than at the beginning."""
    norms = {part: tensors[f"{norm}.{part}"] for part in ("weight", "bias", "running_mean", "running_var")}
    kernels, biases = folded(tensors[f"{name}.weight"], norms, EPSILON)
    size, before = kernels.shape[-1], (kernels.shape[-1] - stride) // 2
    after = size - stride - before
    found = graph.node(
        "Conv",
        [given, graph.constant(f"{name}.weight", kernels), graph.constant(f"{name}.bias", biases)],
        f"{name}.sum",
        kernel_shape=(size, size),
        strides=(stride, stride),
        pads=(before, before, after, after),
        group=kernels.shape[0] if "_depthwise" in name else 1,
    )
    return graph.node("Clip", [found, "zero", "six"], f"{name}.clipped") if clipped else found
