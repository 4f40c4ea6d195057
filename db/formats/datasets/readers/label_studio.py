"""Label Studio: an array of tasks, each with the `data` that was shown, `annotations` of people and `predictions`.

Of several annotations of a task those marked as ground truth are read, else the last. Predictions are suggestions. Also
the short form of its exports, JSON_MIN, is read. Numbers are in percent of the upright image. What we write into `meta`
of a result is read.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

from db.errors import Invalid
from db.formats.annotations import Attributes, Author, ParsedAnnotation
from db.formats.datasets.readers import turned, values
from db.formats.datasets.readers.json_parts import parts
from db.formats.datasets.reading import MAX_ANNOTATIONS, Files, ImageRecord, Problem, ReadOptions, opened
from db.formats.names import quoted
from db.formats.shapes import BoundingBox, Point, Polygon, Polyline, Position, Shape

UPLOADED: Final = re.compile(r"/data/upload/(?:[0-9]+/)?(?:[0-9a-f]{8}-)?(.+)")
LABELS: Final = ("rectanglelabels", "polygonlabels", "keypointlabels", "ellipselabels", "labels", "choices", "taxonomy")
MAX_REPEATED: Final = 100_000  # points of an image's regions, once for each label of a region but the first
IMAGE_KEYS: Final = ("path", "image", "img", "image_url", "url", "captioning", "photo")


def read(files: Files, options: ReadOptions) -> Iterator[ImageRecord | Problem]:
    names = [name for name in files.names() if name.lower().endswith(".json")]
    if not names:
        raise Invalid("There is no file of JSON.")
    for name in names:
        with opened(files, name) as file:
            has_task = False
            for part in parts(file):
                try:
                    yield _Task(name, part.pointer, part.object, options).record()
                    has_task = True
                except Invalid as refused:
                    yield Problem(f"{name}#{part.pointer}", refused.message)
            if not has_task:
                raise Invalid(f"{name} is no Label Studio file: it has no task with an image.")


def of_prediction(prediction: Mapping[str, Any], kind: str, upright: tuple[int, int]) -> ImageRecord:
    """What a machine learning backend answers about one image, for a dataset of this type. `upright`: the image's size
    as viewers show it, whatever the backend says."""
    size = dict(zip(("original_width", "original_height"), upright, strict=True))
    results = [{**each, **size} for each in _list(prediction.get("result"))]
    task = {"data": {"image": "image.png"}, "predictions": [{**prediction, "result": results}]}
    return _Task("", "", lambda _note: task, ReadOptions(kind)).record()


class _Task:
    """`read`: gives the task as an object, and takes what notes what was passed over in it."""

    def __init__(
        self, name: str, pointer: str, read: Callable[[values.Note], dict[str, Any]], options: ReadOptions
    ) -> None:
        self.name, self.options = name, options
        self.location = f"{name}#{pointer}"
        self.size: tuple[int, int] | None = None
        self.problems: list[Problem] = []
        self.repeated = 0  # points, of regions with several labels
        self.item = read(self._note)

    def record(self) -> ImageRecord:
        data = self.item.get("data")
        said: Mapping[str, Any] = data if isinstance(data, dict) else self.item
        path = _path(said)
        results = list(self._results() if isinstance(data, dict) else self._short_results())
        self.size = next((size for each, _, _ in results if (size := _size(each)) is not None), None)
        known = _Known()
        for index, (result, author, score) in enumerate(_merged(results)):
            try:
                for each in islice(self._annotations(result, author, score, index), MAX_ANNOTATIONS + 1):
                    known.add(each)
            except Invalid as refused:
                self.problems.append(Problem(self.location, refused.message))
            if max(len(known.annotations), len(self.problems)) > MAX_ANNOTATIONS:
                self.problems.append(Problem(self.location, f"An image has at most {MAX_ANNOTATIONS:,} annotations."))
                break
        annotations = known.annotations[:MAX_ANNOTATIONS]
        has_problem = bool(self.problems)
        name = next((name for name in ("usage", "split") if name in said), None)
        usage = said[name] if name else self.item.get("subset")
        usage = values.usage(usage, name or "subset", self.location, self.problems)
        return ImageRecord(
            path,
            self.location,
            tuple(annotations) if annotations or not has_problem else None,
            self.size,
            usage,
            problems=tuple(self.problems),
            is_relative=self.size is None,
            folder=self.name.rpartition("/")[0],
            within=f"{self.location}#",
            drawn="UPRIGHT",
            file=values.other_file(path, said["image"]) if path == said.get("path") and "image" in said else None,
        )

    def _results(self) -> Iterator[tuple[dict[str, Any], Author | None, float | None]]:
        found = self.item.get("annotations", self.item.get("completions"))
        made = [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []
        made = [each for each in made if not each.get("was_cancelled")]
        final = [each for each in made if each.get("ground_truth")] or made[-1:]
        if len(made) > len(final):
            message = (
                f"The task has {len(made):,} annotations; {len(final):,} of them, ground truth or the last, is read."
            )
            self.problems.append(Problem(self.location, message))
        for each in final:
            author = self._author(each, "completed_by")
            yield from ((result, author, None) for result in _list(each.get("result")))
        for each in _list(self.item.get("predictions")):
            author, score = self._author(each, "model_version", confirmed=False), self._score(each)
            yield from ((result, author, score) for result in _list(each.get("result")))

    def _short_results(self) -> Iterator[tuple[dict[str, Any], Author | None, float | None]]:
        """Of JSON_MIN: each control's values by its name."""
        author = self._author(self.item, "annotator")
        for key, value in self.item.items():
            if isinstance(value, list):
                yield from (({"value": each, **each}, author, None) for each in _list(value))
            elif isinstance(value, dict) and isinstance(value.get("choices"), list):
                yield {"value": value}, author, None
            elif key in ("choice", "label", "class") and isinstance(value, str):
                yield {"value": {"choices": [value]}}, author, None

    def _score(self, item: Mapping[str, Any]) -> float | None:
        return values.known_confidence(item.get("score"), "score", self._note)

    def _author(self, item: Mapping[str, Any], key: str, *, confirmed: bool = True) -> Author | None:
        by = item.get(key)
        by = by.get("email", by.get("id")) if isinstance(by, dict) else by
        return values.author(by, item.get("created_at"), self._note, confirmed=confirmed, names=(key, "created_at"))

    def _note(self, message: str) -> None:
        self.problems.append(Problem(self.location, message))

    def _annotations(
        self, result: Mapping[str, Any], author: Author | None, score: float | None, index: int
    ) -> Iterator[ParsedAnnotation]:
        value = result.get("value")
        if not isinstance(value, dict):
            raise Invalid("A result must have a `value`, and this one has none.")
        found = next((value[name] for name in LABELS if isinstance(value.get(name), list)), None)
        if "brushlabels" in value or value.get("format") == "rle":
            raise Invalid("Masks of a brush are not read.")
        if found is None:
            return
        if result.get("image_rotation") not in (None, 0):
            raise Invalid("What was drawn on an image that was turned in the tool is not read.")
        shape = None if self.options.kind == "IMAGE_CLASSIFICATION" else self._shape(value)
        if isinstance(shape, Polygon | Polyline):
            self.repeated += (len(found) - 1) * len(shape.points)
        if self.repeated > MAX_REPEATED:
            raise Invalid(f"Regions with several labels repeat more than {MAX_REPEATED:,} points of the image.")
        own = self._score(result)
        attributes, author = self._known(result.get("meta"), author)
        for label in found:
            text = values.text(label[-1] if isinstance(label, list) and label else label, "label")
            yield ParsedAnnotation(text, shape, score if own is None else own, attributes, index, author)

    def _known(self, meta: Any, author: Author | None) -> tuple[Attributes, Author | None]:
        """What a result says of itself goes before what its annotation or prediction says."""
        found = meta if isinstance(meta, dict) else {}
        own = values.author(found.get("labeled_by"), found.get("labeled_at"), self._note)
        if own is not None and author is not None:
            own = replace(own, confirmed=author.confirmed)
        return values.attributes(found, self._note), own or author

    def _shape(self, value: Mapping[str, Any]) -> Shape | None:
        width, height = self.size or (1, 1)

        def across(name: str) -> float:
            return values.number(value.get(name), name) * width / 100

        def down(name: str) -> float:
            return values.number(value.get(name), name) * height / 100

        degrees = values.number(value.get("rotation") or 0, "rotation")
        if degrees and self.size is None:
            raise Invalid("What is turned needs `original_width` and `original_height`.")
        if "points" in value:
            points = tuple(
                Position(values.number(x, "points") * width / 100, values.number(y, "points") * height / 100)
                for x, y in _pairs(value["points"])
            )
            return Polyline(points) if value.get("closed") is False else Polygon(points)
        if "x" not in value:
            return None
        corner = Position(across("x"), down("y"))
        if "radiusX" in value:
            return turned.ellipse(corner, across("radiusX"), down("radiusY"), degrees=degrees)
        if "keypointlabels" in value or "height" not in value:
            return Point(corner)
        sides = across("width"), down("height")
        if degrees:
            return turned.rectangle(corner.x, corner.y, *sides, degrees=degrees, around=corner)
        return BoundingBox(corner.x, corner.y, corner.x + sides[0], corner.y + sides[1])


class _Known:
    """A label of the whole image once; and no prediction that somebody took over."""

    def __init__(self) -> None:
        self.annotations: list[ParsedAnnotation] = []
        self.said = set[tuple[str, Shape | None]]()

    def add(self, annotation: ParsedAnnotation) -> None:
        said = annotation.label, annotation.shape
        is_prediction = annotation.author is not None and not annotation.author.confirmed
        if said not in self.said or not (annotation.shape is None or is_prediction):
            self.annotations.append(annotation)
            self.said.add(said)


def _merged(
    results: Sequence[tuple[dict[str, Any], Author | None, float | None]],
) -> list[tuple[dict[str, Any], Author | None, float | None]]:
    """A region and its labels may be two results of one id."""
    merged: dict[Any, tuple[dict[str, Any], Author | None, float | None]] = {}
    for number, (result, author, score) in enumerate(results):
        id_ = result.get("id")
        key = (id_, author) if isinstance(id_, str) else number
        before = merged.get(key)
        if before is not None and isinstance(result.get("value"), dict) and isinstance(before[0].get("value"), dict):
            before[0]["value"].update(result["value"])  # in place: there may be thousands of one id
            result = before[0]
        merged[key] = result, author, score
    return list(merged.values())


def _list(value: Any) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _pairs(value: Any) -> Iterator[tuple[Any, Any]]:
    for each in value if isinstance(value, list) else [None]:
        if not isinstance(each, list) or len(each) != 2:
            raise Invalid(f"`points` must be pairs of numbers, and one is {quoted(each)}.")
        yield each[0], each[1]


def _size(result: Mapping[str, Any]) -> tuple[int, int] | None:
    return values.size(result.get("original_width"), result.get("original_height"))


def _path(said: Mapping[str, Any]) -> str:
    """Of the image, as it was before Label Studio put its own folder and a number in front."""
    keys = sorted(said, key=lambda key: IMAGE_KEYS.index(key) if key in IMAGE_KEYS else len(IMAGE_KEYS))
    texts = [said[key] for key in keys if isinstance(said[key], str)]
    path = values.path(next((each for each in texts if "." in each or "/" in each), None), "image")
    uploaded = UPLOADED.fullmatch(path)
    if uploaded is not None:
        return values.path(unquote(uploaded[1]), "image")
    if "/data/local-files/" in path:
        return values.path(parse_qs(urlsplit(path).query).get("d", [""])[0], "image")
    return path
