"""The JSON next to an ONNX file, of the same name: the input that the model takes, and how to read its output.
`docs/onnx-models.md` describes it. It needs neither NumPy nor ONNX Runtime.
"""

import json
import sys
from collections import Counter
from dataclasses import dataclass
from typing import Any, Final, Literal, cast, get_args

from db.formats.names import excerpt, quoted
from db.vision.onnx_file import ModelError

Kind = Literal["CLASSIFICATION", "DETECTION"]
Layout = Literal["NCHW", "NHWC"]
Color = Literal["RGB", "BGR"]
Resize = Literal["STRETCH", "LETTERBOX"]
Scores = Literal["PROBABILITIES", "LOGITS", "SIGMOID"]
Output = Literal["BOXES", "YOLO", "YOLOV5"]
Corners = Literal["XYXY", "XYWH", "CXCYWH", "YXYX"]
Units = Literal["PIXELS", "RELATIVE"]

MAX_TEXT: Final = 1_000_000  # characters of the whole file
MAX_LABELS: Final = 10_000
MAX_NAME: Final = 100  # characters
MAX_SIDE: Final = 4_096  # pixels
LEAST_SIDE: Final = 8
DEFAULT_IOU: Final = 0.45


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInput:
    """A number of a pixel, 0 to 255, minus `mean`, divided by `std`, is what the model gets."""

    width: int
    height: int
    name: str | None = None
    layout: Layout = "NCHW"
    color: Color = "RGB"
    resize: Resize = "STRETCH"
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (255.0, 255.0, 255.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelOutput:
    """Of a classification: `name`, its output, and what its numbers are: LOGITS become probabilities that add up to 1,
    SIGMOID is applied to each. Of a detection also how boxes are written. `boxes`, `scores_name` and `labels` are
    outputs of the format BOXES. `iou`: boxes of a label that overlap more are
    one; None: the model has seen to that."""

    name: str | None = None
    scores: Scores = "PROBABILITIES"
    format: Output = "YOLO"
    corners: Corners = "CXCYWH"
    units: Units = "PIXELS"
    boxes: str | None = None
    scores_name: str | None = None
    labels: str | None = None
    first_label: int = 0
    iou: float | None = DEFAULT_IOU


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelDescription:
    """`name` and `version`: None where the file's name and hash say them."""

    kind: Kind
    labels: tuple[str, ...]
    input: ModelInput
    output: ModelOutput
    name: str | None = None
    version: str | None = None


class Fields:
    """An object of the JSON. Each field is taken once; what is left over is not known."""

    def __init__(self, value: Any, path: str) -> None:
        if not isinstance(value, dict):
            what = f"`{path.removesuffix('.')}`" if path else "it"
            raise ModelError(f"The model's description: {what} must be a JSON object, and is {quoted(value)}.")
        self.left, self.path = dict(value), path

    def wrong(self, name: str, rule: str, value: object) -> ModelError:
        return self.error(name, f"must be {rule}, and is {quoted(value)}")

    def error(self, name: str, sentence: str) -> ModelError:
        return ModelError(f"The model's description: `{self.path}{name}` {sentence}.")

    def inner(self, name: str) -> "Fields":
        return Fields(self.left.pop(name, {}), f"{self.path}{name}.")

    def end(self) -> None:
        for name in self.left:
            raise self.error(excerpt(name, MAX_NAME), "is not known")

    def text(self, name: str) -> str | None:
        value = self.left.pop(name, None)
        if value is None:
            return None
        if not isinstance(value, str) or not 0 < len(value) <= MAX_NAME or not value.isprintable():
            raise self.wrong(name, f"a text of 1 to {MAX_NAME} characters", value)
        return value

    def one_of(self, name: str, allowed: Any, default: str | None = None) -> Any:
        value = self.left.pop(name, default)
        words = get_args(allowed)
        if value not in words:
            raise self.wrong(name, f"one of {', '.join(words)}", value)
        return value

    def whole(self, name: str, least: int, most: int, default: int | None = None) -> int:
        value = self.left.pop(name, default)
        if type(value) is not int or not least <= value <= most:
            raise self.wrong(name, f"a whole number from {least} to {most:,}", value)
        return value

    def channels(self, name: str, default: float) -> tuple[float, ...]:
        """One number for all three channels, or one for each."""
        value = self.left.pop(name, default)
        numbers = value if isinstance(value, list) else [value] * 3
        if len(numbers) != 3 or not all(map(_is_number, numbers)):
            raise self.wrong(name, "a number, or a list of three", value)
        return tuple(map(float, numbers))


def parse(text: str) -> ModelDescription:
    """Raises ModelError, whatever the text is."""
    if len(text) > MAX_TEXT:
        raise ModelError(f"The model's description is longer than {MAX_TEXT:,} characters.")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ModelError("The model's description is not JSON.") from error
    fields = Fields(value, "")
    kind = cast(Kind, fields.one_of("kind", Kind))
    found = ModelDescription(
        kind=kind,
        name=fields.text("name"),
        version=fields.text("version"),
        labels=_labels(fields),
        input=_input(fields.inner("input")),
        output=(_detection if kind == "DETECTION" else _classification)(fields.inner("output")),
    )
    fields.end()
    return found


def _labels(fields: Fields) -> tuple[str, ...]:
    value = fields.left.pop("labels", None)
    if not isinstance(value, list) or not 0 < len(value) <= MAX_LABELS:
        raise fields.wrong("labels", f"a list of 1 to {MAX_LABELS:,} names", value)
    for number, name in enumerate(value):
        if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME:
            raise fields.wrong(f"labels[{number}]", f"a text of 1 to {MAX_NAME} characters", name)
    [(name, times)] = Counter(value).most_common(1)
    if times > 1:
        raise fields.error("labels", f"must have each name once, and has '{excerpt(name)}' {times} times")
    return tuple(value)


def _input(fields: Fields) -> ModelInput:
    found = ModelInput(
        name=fields.text("name"),
        width=fields.whole("width", LEAST_SIDE, MAX_SIDE),
        height=fields.whole("height", LEAST_SIDE, MAX_SIDE),
        layout=fields.one_of("layout", Layout, "NCHW"),
        color=fields.one_of("color", Color, "RGB"),
        resize=fields.one_of("resize", Resize, "STRETCH"),
        mean=fields.channels("mean", 0.0),
        std=fields.channels("std", 255.0),
    )
    if not all(found.std):
        raise fields.error("std", "must not be 0")
    fields.end()
    return found


def _classification(fields: Fields) -> ModelOutput:
    found = ModelOutput(name=fields.text("name"), scores=fields.one_of("scores", Scores, "LOGITS"))
    fields.end()
    return found


def _detection(fields: Fields) -> ModelOutput:
    form = cast(Output, fields.one_of("format", Output))
    iou = fields.left.pop("iou", DEFAULT_IOU)
    if iou is not None and not (_is_number(iou) and 0 <= iou <= 1):
        raise fields.wrong("iou", "a number from 0 to 1, or null", iou)
    corners = fields.one_of("corners", Corners, "XYXY" if form == "BOXES" else "CXCYWH")
    units, scores = fields.one_of("units", Units, "PIXELS"), fields.one_of("scores", Scores, "PROBABILITIES")
    if scores == "LOGITS" and (form != "BOXES" or "labels" in fields.left):
        rule = "PROBABILITIES or SIGMOID, unless `format` is BOXES and there is no `labels`"
        raise fields.wrong("scores", rule, scores)
    if form == "BOXES":
        found = ModelOutput(
            format=form,
            scores=scores,
            corners=corners,
            units=units,
            iou=iou,
            boxes=_required(fields, "boxes"),
            scores_name=_required(fields, "scoresName"),
            labels=fields.text("labels"),
            first_label=fields.whole("firstLabel", 0, 1, 0),
        )
    else:
        name = fields.text("name")
        found = ModelOutput(format=form, scores=scores, corners=corners, units=units, iou=iou, name=name)
    fields.end()
    return found


def _required(fields: Fields, name: str) -> str:
    value = fields.text(name)
    if value is None:
        raise fields.wrong(name, "the name of an output", value)
    return value


def _is_number(value: object) -> bool:
    most = sys.float_info.max  # JSON has integers beyond it
    return type(value) in (int, float) and -most <= cast(float, value) <= most
