"""The network: it computes what its layers say, as they are in the file, step by step."""

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

from db import vision
from db.vision import LAST, SIDE, VisionUnavailable, features, weights
from db.vision.arrays import Array
from db.vision.features import COUNT, Network
from tests.conftest import ROOT

REPEATS = ((1, 1, 3), (2, 2, 3), (2, 2, 5), (3, 2, 3), (3, 1, 5), (4, 2, 5), (1, 1, 3))  # blocks, stride, kernel


@cache
def network() -> Network:
    return features.open_network()


def pixels() -> bytes:
    drawn = np.random.default_rng(1).integers(0, 256, (7, 7, 3), dtype=np.uint8)
    whole: bytes = drawn.repeat(SIDE // 7, axis=0).repeat(SIDE // 7, axis=1).tobytes()
    return whole


def convolved(image: Array, kernels: Array, stride: int) -> Array:
    """With the padding that TensorFlow calls SAME. `image` is of channels, rows and columns."""
    size, (out, each, *_) = kernels.shape[-1], kernels.shape
    found: Array
    if size == 1:
        found = np.einsum("oc,chw->ohw", kernels[:, :, 0, 0], image)
        return found
    padding = max(0, (-(-image.shape[1] // stride) - 1) * stride + size - image.shape[1])
    padded = np.pad(image, ((0, 0), *((padding // 2, padding - padding // 2),) * 2))
    windows = sliding_window_view(padded, (size, size), axis=(1, 2))[:, ::stride, ::stride]
    if each == 1 and len(image) == out:
        found = np.einsum("oij,ohwij->ohw", kernels[:, 0], windows)
    else:
        found = np.einsum("ocij,chwij->ohw", kernels, windows)
    return found


def reference(data: bytes) -> Array:
    """In double precision, with batch norms behind the convolutions."""
    w = {name: each.astype(np.float64) for name, each in weights.load().items()}

    def layer(image: Array, name: str, norm: str, stride: int = 1, top: float = 6.0, bottom: float = 0.0) -> Array:
        found = convolved(image, w[f"{name}.weight"], stride)
        mean, variance, gain, bias = (
            w[f"{norm}.{part}"][:, None, None] for part in ("running_mean", "running_var", "weight", "bias")
        )
        return np.clip((found - mean) / np.sqrt(variance + 1e-3) * gain + bias, bottom, top)

    given = np.frombuffer(data, np.uint8).reshape(SIDE, SIDE, 3).transpose(2, 0, 1)
    image = layer((given - 127.0) / 128.0, "_conv_stem", "_bn0", 2)
    middle, number = image, 0
    for blocks, first_stride, kernel in REPEATS:
        for block in range(blocks):
            name, stride = f"_blocks.{number}", first_stride if block == 0 else 1
            wide = layer(image, f"{name}._expand_conv", f"{name}._bn0") if number else image
            assert w[f"{name}._depthwise_conv.weight"].shape[-1] == kernel
            wide = layer(wide, f"{name}._depthwise_conv", f"{name}._bn1", stride)
            narrow = layer(wide, f"{name}._project_conv", f"{name}._bn2", 1, np.inf, -np.inf)
            image = narrow + image if block else narrow
            middle = image if number == 10 else middle
            number += 1
    last = layer(image, "_conv_head", "_bn1").mean(axis=(1, 2))
    return np.concatenate([last, middle.reshape(len(middle), 2, 7, 2, 7).mean(axis=(2, 4)).ravel()])


def test_the_features_are_those_of_the_layers() -> None:
    found = network().features(pixels())
    assert found.shape == (COUNT,)
    assert found.dtype == np.float32
    assert np.abs(found - reference(pixels())).max() < 1e-4
    assert (network().features(pixels()) == found).all(), "the same each time"


def test_kept_features_are_nearly_the_same() -> None:
    found = network().features(pixels())
    packed = features.pack(found)
    assert len(packed) == 2 * COUNT
    read = features.unpack([packed, packed])
    assert read.shape == (2, COUNT)
    assert read.dtype == np.float32
    assert found @ read[1] / np.linalg.norm(found) / np.linalg.norm(read[1]) > 0.999999
    assert features.unpack([]).shape == (0, COUNT)


def test_an_embedding_has_length_1() -> None:
    found = np.stack([network().features(pixels()), np.zeros(COUNT, np.float32)])
    embedded = features.embedding(found)
    assert embedded.shape == (2, LAST)
    assert np.linalg.norm(embedded, axis=1) == pytest.approx([1, 0])
    assert features.embedding(found[0]) == pytest.approx(embedded[0])


@pytest.mark.parametrize("data", [b"", bytes(3 * SIDE * SIDE - 1), bytes(3 * SIDE * SIDE + 3)])
def test_pixels_of_another_size_are_an_error(data: bytes) -> None:
    with pytest.raises(ValueError, match="reshape"):
        network().features(data)


def test_without_the_extra_it_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vision, "PACKAGES", ("no_such_package",))
    assert not vision.is_available()
    with pytest.raises(VisionUnavailable, match="labelgraph worker --vision"):
        features.open_network()


def test_the_library_that_runs_it_keeps_no_records_of_its_use(tmp_path: Path) -> None:
    """It would send them to its maker; before, it writes them into the cache of the user."""
    environment = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    run = "from db.vision import features; features.open_network()"
    subprocess.run([sys.executable, "-c", run], cwd=ROOT, env=environment, check=True)
    assert list(tmp_path.rglob("*")) == []
