"""A line of a manifest, read: everything that the reference system and its tools write is understood, in all their
spellings; what is wrong is reported and passed over. Pure.
"""

import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, TypeVar

import orjson

from db.errors import Invalid
from db.formats import json_values, names
from db.formats.annotations import Author, ParsedAnnotation
from db.formats.datasets.readers import values
from db.formats.manifests import COLOR, LABELS, OBJECTS, SHORTCUT
from db.formats.shapes import BoundingBox, Circle, Point, Polygon, Polyline, Position, Shape
from db.formats.timestamps import said_moment

T = TypeVar("T")

USAGES: Final = ("TRAIN", "EVAL", "TEST", "INFERENCE")
HUMAN: Final = "human"  # who labelled, where a manifest does not say
OURS: Final = "model"  # how our own manifests begin the name of a machine
MAX_REPORTED: Final = 20  # problems of one line
SHAPE, FEATURE = "@modelarts:shape", "@modelarts:feature"


@dataclass(frozen=True, slots=True)
class LabelFile:
    """A file that contains the labels; `authors` of each of its objects, where they differ; and of labels their colours
    and shortcuts."""

    location: str
    author: Author = Author(HUMAN)
    confidence: float | None = None
    authors: tuple[Author, ...] = ()
    colors: dict[str, str] = field(default_factory=dict)
    shortcuts: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ManifestLine:
    """`annotations` None: the line says nothing about labels that could be used; empty: there are none."""

    source: str
    usage: str | None = None
    hard: bool | None = None
    annotations: tuple[ParsedAnnotation, ...] | None = ()
    files: tuple[LabelFile, ...] = ()
    problems: tuple[str, ...] = field(default=())
    refused_names: tuple[tuple[str, str], ...] = field(default=())  # with the sentence that says why
    refused_usage: str | None = None  # the sentence that says why


def parse(text: bytes, kind: str, rule: names.LabelNameRule = "STANDARD") -> ManifestLine:
    """A line for a dataset of this type and rule for label names. Raises Invalid when it is of no use at all."""
    notes = list[str]()
    try:
        found = json_values.loads(text, notes.append)
    except orjson.JSONDecodeError:
        raise Invalid("The line is not JSON.") from None
    if not isinstance(found, dict):
        raise Invalid("The line is not a JSON object.")
    return _Reader(kind, rule, notes).read(found)


def _get(item: Mapping[str, Any], name: str) -> Any:
    """A value by its key, written with hyphens or, as some tools do, with underscores."""
    found = item.get(name)
    return item.get(name.replace("-", "_")) if found is None else found


@dataclass(slots=True)
class _Reader:
    kind: str
    rule: names.LabelNameRule
    problems: list[str] = field(default_factory=list)
    refused_names: list[tuple[str, str]] = field(default_factory=list)
    refused_usage: str | None = None
    files: list[LabelFile] = field(default_factory=list)

    def read(self, line: Mapping[str, Any]) -> ManifestLine:
        source = _text(line.get("source"), "source")
        if source.startswith("content://"):
            raise Invalid("The sample is a text; only images are imported.")
        if _get(line, "sample-type") not in (None, "", 0, "0"):
            raise Invalid("The sample is not an image (`sample-type`); only images are imported.")
        found = line.get("annotation")
        items = [] if found is None else found if isinstance(found, list) else [found]
        annotations = [read for each in items if (read := self._tried(self._annotation, each)) is not None]
        is_useless = bool(items) and not annotations and not self.files
        return ManifestLine(
            source,
            self._usage(line.get("usage")),
            self._tried(_flag, line.get("hard")),
            None if is_useless else tuple(annotations),
            tuple(self.files),
            tuple(self.problems[:MAX_REPORTED]),
            tuple(self.refused_names),
            self.refused_usage,
        )

    def _usage(self, value: Any) -> str | None:
        if value is None or value == "":
            return None
        if str(value).strip().upper() in USAGES:
            return str(value).strip().upper()
        self.refused_usage = f"`usage` must be one of {', '.join(USAGES)}; it was ignored."
        return None

    def _tried(self, read: Callable[[Any], T | None], value: Any) -> T | None:
        try:
            return read(value)
        except names.LabelNameRefused as refused:
            self.refused_names.append((refused.name, refused.message))
        except Invalid as refused:
            self.problems.append(refused.message)
        return None

    def _annotation(self, item: Any) -> ParsedAnnotation | None:
        """None: its labels are in a file."""
        if not isinstance(item, dict):
            raise Invalid("An annotation must be a JSON object.")
        kind = item.get("type")
        if kind not in (None, ""):
            kind = str(kind).rpartition("/")[2].lower()
            if kind != self.kind.lower():
                raise Invalid(f"Annotations of the type `{names.excerpt(kind)}` do not fit this dataset.")
        by, confirmed = _who(_get(item, "annotated-by"), self.problems.append)
        author = Author(by, self._tried(_moment, _get(item, "creation-time")), confirmed)
        details = item.get("property")
        if isinstance(details, str):  # some tools write it as JSON text
            with suppress(orjson.JSONDecodeError):
                details = orjson.loads(details)
        details = details if isinstance(details, dict) else {}
        confidence = self._tried(_confidence, item.get("confidence"))
        location = _get(item, "annotation-loc")
        if self.kind != "IMAGE_CLASSIFICATION" and location is not None:
            colors = self._styles(details, "color", _color)
            shortcuts = self._styles(details, "shortcut", _shortcut)
            file = _text(location, "annotation-loc")
            objects = details.get(OBJECTS)
            objects = objects if isinstance(objects, list) else []
            authors = tuple(_author(each, self.problems.append) for each in objects)
            self.files.append(LabelFile(file, author, confidence, authors, colors, shortcuts))
            return None
        name = names.label_name(_text(item.get("name"), "name"), self.rule)
        shape = None if self.kind == "IMAGE_CLASSIFICATION" else _shape(details)
        color = self._tried(_color, details.get(COLOR))
        shortcut = self._tried(_shortcut, details.get(SHORTCUT))
        return ParsedAnnotation(name, shape, confidence, author=author, color=color, shortcut=shortcut)

    def _styles(self, details: Mapping[str, Any], name: str, check: Callable[[Any], str | None]) -> dict[str, str]:
        """The colours, or the shortcuts, of a label file's labels, by their names."""
        labels = details.get(LABELS)
        items = labels.items() if isinstance(labels, dict) else ()
        found = {label: self._tried(check, each.get(name)) for label, each in items if isinstance(each, dict)}
        return {label: value for label, value in found.items() if value is not None}


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str) or not value.strip() or not names.is_storable(value):
        raise Invalid(f"`{name}` is missing, or not a text.")
    return value.strip()


def _flag(value: Any) -> bool | None:
    match str(value).strip().lower():
        case "true" | "1":
            return True
        case "false" | "0":
            return False
        case "none" | "":
            return None
        case _:
            raise Invalid("`hard` must be true or false; it was ignored.")


def _confidence(value: Any) -> float | None:
    if value is None or value == "":
        return None
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = -1.0
    if not 0 <= number <= 1:
        raise Invalid("`confidence` must be a number from 0 to 1; it was ignored.")
    return number


def _moment(value: Any) -> datetime | None:
    """`YYYY-MM-DD HH:MM:SS`, which is UTC; or any other time of ISO 8601."""
    try:
        return said_moment(value, "creation-time")
    except Invalid:
        raise Invalid("`creation-time` is written YYYY-MM-DD HH:MM:SS; it was ignored.") from None


def _who(value: Any, note: values.Note) -> tuple[str, bool]:
    """A name, and whether a person bears it. `human/ann/ann` is ann; an account and its user stay what they are."""
    said = value.strip() if isinstance(value, str) else value and [value]  # a number is none
    text = values.author_name(said, "annotated-by", note)
    if text is None:
        return HUMAN, True
    kind, _, rest = text.partition("/")
    if kind not in (HUMAN, OURS) or not rest:
        return text, kind == HUMAN
    half = len(rest) // 2
    return rest[:half] if rest[half:] == f"/{rest[:half]}" else rest, kind == HUMAN


def _color(value: Any) -> str | None:
    return names.color(value.strip()) if isinstance(value, str) and value.strip() else None


def _shortcut(value: Any) -> str | None:
    return names.shortcut(value) if isinstance(value, str) and value else None


def _author(value: Any, note: values.Note) -> Author:
    item = value if isinstance(value, dict) else {}
    by, confirmed = _who(item.get("annotated-by"), note)
    try:
        return Author(by, _moment(item.get("creation-time")), confirmed)
    except Invalid as refused:
        note(refused.message)
        return Author(by, None, confirmed)


def _shape(details: Mapping[str, Any]) -> Shape | None:
    """A shape that is in the line itself, in the words of the reference's API."""
    kind, feature = details.get(SHAPE), details.get(FEATURE)
    if kind is None:
        return None
    try:
        if isinstance(feature, str):
            feature = orjson.loads(feature)
        return _drawn(str(kind), feature)
    except (KeyError, TypeError, ValueError, IndexError, OverflowError):
        raise Invalid(f"The shape `{names.excerpt(str(kind))}` cannot be read.") from None


def _drawn(kind: str, feature: Any) -> Shape:
    if kind == "circle":
        (x, y), (radius,) = feature
        return Circle(_position(x, y), _number(radius))
    points = tuple(_position(x, y) for x, y in feature)
    match kind:
        case "bndbox":
            first, second = points
            return BoundingBox(first.x, first.y, second.x, second.y)
        case "polygon":
            return Polygon(points)
        case "polyline" | "line" | "dashed":
            return Polyline(points)
        case "point":
            (point,) = points
            return Point(point)
    raise ValueError


def _position(x: Any, y: Any) -> Position:
    return Position(_number(x), _number(y))


def _number(value: Any) -> float:
    """A finite one: no other can be stored as JSON."""
    number = float(value)
    if not math.isfinite(number):
        raise ValueError
    return number
