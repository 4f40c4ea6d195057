"""A line of a manifest, read: everything that the reference system and its tools write is understood, in all their
spellings; what is wrong is told and passed over. Pure.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

import orjson

from db.errors import Invalid
from db.formats import names, shapes
from db.formats.manifests import COLOR, LABELS, OBJECTS, SHORTCUT
from db.formats.shapes import BoundingBox, Circle, PointShape, Polygon, PolyLine, Position, Shape

T = TypeVar("T")

KINDS: Final = {
    "image_classification": "IMAGE_CLASSIFICATION",
    "object_detection": "OBJECT_DETECTION",
    "image_segmentation": "IMAGE_SEGMENTATION",
}
USAGES: Final = ("TRAIN", "EVAL", "TEST", "INFERENCE")
HUMAN: Final = "human"  # who labelled, where a manifest does not say
OURS: Final = "model"  # how our own manifests begin the name of a machine
WHO: Final = 256  # characters
TOLD: Final = 20  # problems of one line
EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)
LATEST: Final = datetime(9000, 1, 1, tzinfo=UTC)
SHAPE, FEATURE = "@modelarts:shape", "@modelarts:feature"


@dataclass(frozen=True, slots=True)
class Author:
    """Who put a label when. Without a time: when it is imported. Not `confirmed`: a machine did, and nobody agreed."""

    by: str = HUMAN
    at: datetime | None = None
    confirmed: bool = True


@dataclass(frozen=True, slots=True)
class ParsedAnnotation:
    """A label on the sample. `shape` and `attributes` as stored; colour and shortcut are those of the label."""

    name: str
    author: Author = Author()
    confidence: float | None = None
    shape: dict[str, Any] | None = None
    color: str | None = None
    shortcut: str | None = None
    attributes: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class LabelFile:
    """A file that holds the labels; `authors` of each of its objects, where they differ; and of labels their colours
    and shortcuts."""

    location: str
    author: Author = Author()
    confidence: float | None = None
    authors: tuple[Author, ...] = ()
    colors: dict[str, str] = field(default_factory=dict)
    shortcuts: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Entry:
    """`marks` None: the line says nothing about labels that could be used; empty: there are none."""

    source: str
    usage: str | None = None
    hard: bool | None = None
    marks: tuple[ParsedAnnotation, ...] | None = ()
    files: tuple[LabelFile, ...] = ()
    problems: tuple[str, ...] = field(default=())
    refused_names: tuple[tuple[str, str], ...] = field(default=())  # with the sentence that says why


def parse(text: bytes, kind: str, rule: names.LabelNameRule = "STANDARD") -> Entry:
    """A line for a dataset of this type and rule for label names. Raises Invalid when it is of no use at all."""
    return _Reader(kind, rule).entry(_object(text))


def _object(text: bytes) -> Mapping[str, Any]:
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise Invalid("The line is not JSON in UTF-8.") from None
    if not isinstance(found, dict):
        raise Invalid("The line is not a JSON object.")
    return found


def _get(given: Mapping[str, Any], name: str) -> Any:
    """A value by its key, written with hyphens or, as some tools do, with underscores."""
    found = given.get(name)
    return given.get(name.replace("-", "_")) if found is None else found


class _Reader:
    def __init__(self, kind: str, rule: names.LabelNameRule) -> None:
        self.kind = kind
        self.rule = rule
        self.problems: list[str] = []
        self.refused_names: list[tuple[str, str]] = []
        self.files: list[LabelFile] = []

    def entry(self, given: Mapping[str, Any]) -> Entry:
        source = _source(given)
        found = _annotations(given)
        marks = [mark for each in found if (mark := self._tried(self._annotation, each)) is not None]
        useless = bool(found) and not marks and not self.files
        return Entry(
            source,
            self._tried(_usage, given.get("usage")),
            self._tried(_flag, given.get("hard")),
            None if useless else tuple(marks),
            tuple(self.files),
            tuple(self.problems[:TOLD]),
            tuple(self.refused_names),
        )

    def _tried(self, read: Callable[[Any], T | None], given: Any) -> T | None:
        try:
            return read(given)
        except names.LabelNameRefused as refused:
            self.refused_names.append((refused.name, refused.message))
        except Invalid as refused:
            self.problems.append(refused.message)
        return None

    def _annotation(self, given: Any) -> ParsedAnnotation | None:
        if not isinstance(given, dict):
            raise Invalid("An annotation is a JSON object.")
        self._expect_type(given.get("type"))
        author, details = self._author(given), _details(given.get("property"))
        confidence = self._tried(_confidence, given.get("confidence"))
        location = _get(given, "annotation-loc")
        if self.kind != "IMAGE_CLASSIFICATION" and location is not None:
            colors, shortcuts = (
                self._styles(details, *style) for style in (("color", _color), ("shortcut", _shortcut))
            )
            where = _text(location, "annotation-loc")
            self.files.append(LabelFile(where, author, confidence, _authors(details), colors, shortcuts))
            return None
        name = names.label_name(_text(given.get("name"), "name"), self.rule)
        shape = None if self.kind == "IMAGE_CLASSIFICATION" else _shape(details)
        color, shortcut = (self._tried(check, details.get(key)) for key, check in CHECKS.items())
        return ParsedAnnotation(name, author, confidence, shape, color, shortcut)

    def _styles(self, details: Mapping[str, Any], name: str, check: Callable[[Any], str | None]) -> dict[str, str]:
        """What a label file's labels have of a kind, by their names."""
        given = details.get(LABELS)
        labels = given.items() if isinstance(given, dict) else ()
        found = {label: self._tried(check, each.get(name)) for label, each in labels if isinstance(each, dict)}
        return {label: value for label, value in found.items() if value is not None}

    def _expect_type(self, given: Any) -> None:
        if given in (None, ""):
            return
        last = str(given).rpartition("/")[2].lower()
        if KINDS.get(last) != self.kind:
            raise Invalid(f"Annotations of the type `{names.excerpt(last)}` are not those of this dataset.")

    def _author(self, given: Mapping[str, Any]) -> Author:
        by, confirmed = _who(_get(given, "annotated-by"))
        return Author(by, self._tried(_moment, _get(given, "creation-time")), confirmed)


def _source(given: Mapping[str, Any]) -> str:
    source = _text(given.get("source"), "source")
    if source.startswith("content://"):
        raise Invalid("The sample is a text; only images are imported.")
    if _get(given, "sample-type") not in (None, "", 0, "0"):
        raise Invalid("The sample is no image (`sample-type`); only images are imported.")
    return source


def _annotations(given: Mapping[str, Any]) -> list[Any]:
    found = given.get("annotation")
    if found is None:
        return []
    return found if isinstance(found, list) else [found]


def _text(given: Any, name: str) -> str:
    if not isinstance(given, str) or not given.strip() or not names.is_storable(given):
        raise Invalid(f"`{name}` is missing, or no text.")
    return given.strip()


def _usage(given: Any) -> str | None:
    if given is None or given == "":
        return None
    if str(given).strip().upper() not in USAGES:
        raise Invalid(f"`usage` is one of {', '.join(USAGES)}; it was passed over.")
    return str(given).strip().upper()


def _flag(given: Any) -> bool | None:
    match str(given).strip().lower():
        case "true" | "1":
            return True
        case "false" | "0":
            return False
        case "none" | "":
            return None
        case _:
            raise Invalid("`hard` is true or false; it was passed over.")


def _confidence(given: Any) -> float | None:
    if given is None or given == "":
        return None
    try:
        value = float(given)
    except (TypeError, ValueError, OverflowError):
        value = -1.0
    if not 0 <= value <= 1:
        raise Invalid("`confidence` is a number from 0 to 1; it was passed over.")
    return value


def _moment(given: Any) -> datetime | None:
    """`YYYY-MM-DD HH:MM:SS`, which is UTC; or any other time of ISO 8601."""
    if given is None or given == "":
        return None
    try:
        found = datetime.fromisoformat(str(given).strip())
        moment = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        moment = LATEST
    if not EARLIEST <= moment < LATEST:
        raise Invalid("`creation-time` is written YYYY-MM-DD HH:MM:SS; it was passed over.")
    return moment


def _who(given: Any) -> tuple[str, bool]:
    """A name, and whether a person bears it. `human/ann/ann` is ann; an account and its user stay what they are."""
    if not isinstance(given, str) or not given.strip() or not names.is_storable(given):
        return HUMAN, True
    text = given.strip()[:WHO]
    kind, _, rest = text.partition("/")
    if kind not in (HUMAN, OURS) or not rest:
        return text, kind == HUMAN
    half = len(rest) // 2
    return rest[:half] if rest[half:] == f"/{rest[:half]}" else rest, kind == HUMAN


def _details(given: Any) -> Mapping[str, Any]:
    """An annotation's `property`, which some tools write as JSON text."""
    if isinstance(given, str):
        try:
            given = orjson.loads(given)
        except orjson.JSONDecodeError:
            return {}
    return given if isinstance(given, dict) else {}


def _color(given: Any) -> str | None:
    return names.color(given.strip()) if isinstance(given, str) and given.strip() else None


def _shortcut(given: Any) -> str | None:
    return names.shortcut(given) if isinstance(given, str) and given else None


CHECKS: Final[Mapping[str, Callable[[Any], str | None]]] = {COLOR: _color, SHORTCUT: _shortcut}


def _authors(details: Mapping[str, Any]) -> tuple[Author, ...]:
    given = details.get(OBJECTS)
    if not isinstance(given, list):
        return ()
    return tuple(_one_author(each) for each in given)


def _one_author(given: Any) -> Author:
    each = given if isinstance(given, dict) else {}
    by, confirmed = _who(each.get("annotated-by"))
    try:
        return Author(by, _moment(each.get("creation-time")), confirmed)
    except Invalid:
        return Author(by, None, confirmed)


def _shape(details: Mapping[str, Any]) -> dict[str, Any] | None:
    """A shape that stands in the line itself, in the words of the reference's API."""
    kind, feature = details.get(SHAPE), details.get(FEATURE)
    if kind is None:
        return None
    try:
        if isinstance(feature, str):
            feature = orjson.loads(feature)
        return shapes.to_json(_drawn(str(kind), feature))
    except (KeyError, TypeError, ValueError, IndexError, OverflowError):
        raise Invalid(f"The shape `{names.excerpt(str(kind))}` cannot be read.") from None


def _drawn(kind: str, feature: Any) -> Shape:
    if kind == "circle":
        (x, y), (radius,) = feature
        return Circle(Position(float(x), float(y)), float(radius))
    points = tuple(Position(float(x), float(y)) for x, y in feature)
    match kind:
        case "bndbox":
            first, second = points
            return BoundingBox(first.x, first.y, second.x, second.y)
        case "polygon":
            return Polygon(points)
        case "polyline" | "line" | "dashed":
            return PolyLine(points)
        case "point":
            (point,) = points
            return PointShape(point)
    raise ValueError
