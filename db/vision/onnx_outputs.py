"""What a model says, as suggestions. Nothing in it is trusted: numbers may be any, and shapes others than described."""

from collections.abc import Collection, Mapping
from typing import Final

import numpy as np

from db.vision.arrays import Array
from db.vision.onnx_description import ModelDescription, ModelInput, ModelOutput
from db.vision.onnx_file import ModelError

MAX_CANDIDATES: Final = 1_000  # boxes that are compared with each other
MAX_FOUND: Final = 300  # suggestions of an image
NO_NUMBER: Final = "The model says NaN or infinity, so nothing is suggested."

Outputs = Mapping[str, Array]
Found = list[list[float]]  # label, confidence, and of a box left, top, right, bottom as shares of the model's input


def as_input(pixels: bytes, described: ModelInput, kind: str) -> Array:
    """Of an image at the model's size. `kind`: the type of the model's input."""
    image = np.frombuffer(pixels, np.uint8).reshape(described.height, described.width, 3)
    if described.color == "BGR":
        image = image[:, :, ::-1]
    if kind != "uint8":
        mean, std = (np.array(each, np.float32) for each in (described.mean, described.std))
        image = ((image.astype(np.float32) - mean) / std).astype(kind)
    if described.layout == "NCHW":
        image = image.transpose(2, 0, 1)
    return np.ascontiguousarray(image[None])


def expect_named(names: Collection[str], output: ModelOutput) -> None:
    """Raises ModelError where the model has no output of a name that is described."""
    for name in (output.name, output.boxes, output.scores_name, output.labels):
        if name is not None and name not in names:
            raise ModelError(_no_output(name, names))


def _no_output(name: str | None, names: Collection[str]) -> str:
    return f"The model has no output `{name}`; it has {', '.join(f'`{each}`' for each in sorted(names)) or 'none'}."


def suggestions(outputs: Outputs, description: ModelDescription, least: float) -> Found:
    """The surest first, of at least that confidence. Raises ModelError where the outputs are not as described."""
    with np.errstate(all="ignore"):
        if description.kind == "CLASSIFICATION":
            return _classes(outputs, description, least)
        return _boxes(outputs, description, least)


def _classes(outputs: Outputs, description: ModelDescription, least: float) -> Found:
    given = _output(outputs, description.output.name)
    count = len(description.labels)
    if given.size != count:
        raise ModelError(f"The model says {given.size:,} numbers, and its description has {count:,} labels.")
    scores = _likely(given.reshape(count), description.output)
    if np.isnan(scores).any():
        raise ModelError(NO_NUMBER)
    best = np.argsort(-scores, kind="stable")[:MAX_FOUND]
    return [[int(label), float(scores[label])] for label in best if scores[label] >= least]


def _boxes(outputs: Outputs, description: ModelDescription, least: float) -> Found:
    read = _separate if description.output.format == "BOXES" else _yolo
    boxes, scores, labels = read(outputs, description)
    is_possible = (scores >= least) & (labels >= 0) & (labels < len(description.labels))
    if np.isnan(scores).any() or not np.isfinite(boxes[is_possible]).all():
        raise ModelError(NO_NUMBER)
    order = np.flatnonzero(is_possible)
    order = order[np.argsort(-scores[order], kind="stable")][:MAX_CANDIDATES]
    corners = _corners(boxes[order].astype(np.float64), description)
    kept = _distinct(corners, labels[order], description.output.iou)[:MAX_FOUND]
    return [
        [int(labels[order[place]]), float(scores[order[place]]), *(float(edge) for edge in corners[place])]
        for place in kept
    ]


def _yolo(outputs: Outputs, description: ModelDescription) -> tuple[Array, Array, Array]:
    """Boxes, the score of the best label of each, and that label. A row or a column for each box."""
    given, output = _output(outputs, description.output.name), description.output
    before = 5 if output.format == "YOLOV5" else 4  # numbers before those of the labels
    width = before + len(description.labels)
    table = given[0] if given.ndim == 3 and len(given) == 1 else given
    if table.ndim != 2 or width not in table.shape:
        shape = " × ".join(map(str, given.shape))
        raise ModelError(f"The model says {shape} numbers, and {width} for each box are described.")
    if (output.format == "YOLO" and table.shape[0] == width) or table.shape[1] != width:
        table = table.T
    scores = _likely(table[:, before:], output)
    if output.format == "YOLOV5":
        scores = scores * _likely(table[:, 4:5], output)
    labels = np.argmax(scores, axis=1)
    return table[:, :4], scores[np.arange(len(scores)), labels], labels


def _separate(outputs: Outputs, description: ModelDescription) -> tuple[Array, Array, Array]:
    """Likewise, of a model with an output for boxes and one for scores, which may be of each label."""
    output, count = description.output, len(description.labels)
    boxes = _output(outputs, output.boxes)
    boxes = boxes.reshape(-1, 4) if boxes.size % 4 == 0 else boxes.reshape(-1, boxes.shape[-1])
    given = _output(outputs, output.scores_name)
    if output.labels is not None:
        numbers = _output(outputs, output.labels).reshape(-1).astype(np.float64)
        scores = _likely(given.reshape(-1), output)
        labels = np.where(np.isfinite(numbers), numbers, -1).astype(np.int64) - output.first_label
    else:
        columns = count + output.first_label  # before the first label is the background
        if given.size % columns:
            raise ModelError(f"The model's scores are not {columns} for each box, as its description says.")
        table = _likely(given.reshape(-1, columns), output)[:, output.first_label :]
        labels = np.argmax(table, axis=1) if len(table) else np.empty(0, np.int64)
        scores = table[np.arange(len(table)), labels]
    if boxes.shape[1] != 4 or not len(boxes) == len(scores) == len(labels):
        raise ModelError(f"The model says {len(boxes):,} boxes, {len(scores):,} scores and {len(labels):,} labels.")
    return boxes, scores, labels


def _output(outputs: Outputs, name: str | None) -> Array:
    found = next(iter(outputs.values()), None) if name is None else outputs.get(name)
    if found is None:
        raise ModelError(_no_output(name, outputs))
    if found.dtype.kind not in "fiu" or found.ndim == 0:
        raise ModelError("The model says something else than lists of numbers.")
    return found


def _likely(scores: Array, output: ModelOutput) -> Array:
    """From 0 to 1; NaN where it is no number. The last dimension is of labels."""
    exact = scores.astype(np.float64)
    exact[np.isposinf(exact)] = np.nan
    if output.scores == "PROBABILITIES":  # minus infinity is what others say of labels that are out of the question
        exact[np.isinf(exact)] = np.nan
    if output.scores == "SIGMOID":
        exact = 0.5 * (1.0 + np.tanh(0.5 * exact))
    elif output.scores == "LOGITS" and exact.size:
        powers = np.exp(exact - exact.max(axis=-1, keepdims=True))
        exact = powers / powers.sum(axis=-1, keepdims=True)
    return np.clip(exact, 0.0, 1.0)


def _corners(boxes: Array, description: ModelDescription) -> Array:
    """Left, top, right and bottom, as shares of the model's input."""
    one, two, three, four = boxes.T
    match description.output.corners:
        case "XYXY":
            edges = one, two, three, four
        case "YXYX":
            edges = two, one, four, three
        case "XYWH":
            edges = one, two, one + three, two + four
        case _:
            edges = one - three / 2, two - four / 2, one + three / 2, two + four / 2
    found = np.stack(edges, axis=1)
    if description.output.units == "PIXELS":
        found /= (description.input.width, description.input.height) * 2
    return found


def _distinct(corners: Array, labels: Array, iou: float | None) -> list[int]:
    """The places of boxes, the surest first, that do not overlap a surer one of their label by more than `iou`."""
    if iou is None:
        return list(range(len(corners)))
    left, top, right, bottom = corners.T
    areas = np.maximum(right - left, 0) * np.maximum(bottom - top, 0)
    alive, kept = np.ones(len(corners), bool), []
    for place in range(len(corners)):
        if not alive[place]:
            continue
        kept.append(place)
        width = np.minimum(right, right[place]) - np.maximum(left, left[place])
        height = np.minimum(bottom, bottom[place]) - np.maximum(top, top[place])
        common = np.maximum(width, 0) * np.maximum(height, 0)
        alive &= (labels != labels[place]) | (common <= iou * (areas + areas[place] - common))
    return kept
