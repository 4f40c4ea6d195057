"""The labels of images that a classifier learns from."""

from collections.abc import Sequence

import numpy as np

from db.vision.arrays import Array


def of_one(targets: Sequence[Sequence[int]]) -> Array:
    """The number of each image's one label."""
    return np.array([label for [label] in targets], np.int64)


def of_several(targets: Sequence[Sequence[int]], count: int) -> Array:
    """A row for each image, which says of each of `count` labels whether the image has it."""
    found = np.zeros((len(targets), count), bool)
    for row, labels in zip(found, targets, strict=True):
        row[list(labels)] = True
    return found
