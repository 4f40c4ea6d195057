"""YOLO: a text file for each image, with a line for each object: the number of a class, and numbers from 0 to 1.

    class x y width height           a box: its centre and its size
    class x1 y1 x2 y2 x3 y3 …        a polygon: of segmentation, or the corners of an oriented box
    … confidence                     what a model wrote

Names of classes are in `data.yaml`, or in `classes.txt`, `obj.names` or another `.names`; which images are for which
usage in `data.yaml`, by their folders or in lists of them, unless it is one of ours that says that nothing is split.
Labels of whole images are in folders: `image_folder`.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any, Final

from db.errors import Invalid
from db.formats.annotations import ParsedAnnotation
from db.formats.datasets import usages
from db.formats.datasets.readers import values
from db.formats.datasets.readers.lines import text_lines
from db.formats.datasets.readers.pairs import Pair, Pairing, image_of, is_image, pairing, with_contents
from db.formats.datasets.readers.yaml_file import read_yaml
from db.formats.datasets.reading import MAX_ANNOTATIONS, Files, ImageRecord, Problem, ReadOptions, Usage, opened
from db.formats.datasets.yolo import NOT_SPLIT
from db.formats.shapes import BoundingBox, Polygon, Position, Shape
from db.formats.sidecars.content import decoded

MAX_BYTES: Final = 4 * 1024 * 1024  # of a label file
MAX_YAMLS: Final = 20  # that are looked at
MAX_CLASSES: Final = 100_000
SPLITS: Final[Mapping[str, Usage]] = {"train": "TRAIN", "val": "EVAL", "valid": "EVAL", "test": "TEST"}
CLASS_FILES: Final = ("classes.txt", "obj.names", "labels.txt")
NOT_LABELS: Final = frozenset({*CLASS_FILES, "train.txt", "val.txt", "valid.txt", "test.txt", "notes.txt"})
NO_NAMES: Final = "There is no `data.yaml` with `names`, nor a `classes.txt` or `obj.names`: nothing names the classes."


def read(files: Files, options: ReadOptions) -> Iterator[ImageRecord | Problem]:
    description = _Description.of(files)
    with pairing() as pairs:
        for name in files.names():
            if _is_label_file(name) and not description.is_list(name):
                pairs.add_label(name)
        description.list_usages(files, pairs)
        images = (name for name in files.names() if is_image(name))
        for pair in with_contents(files, pairs.pairs(images), MAX_BYTES + 1):
            yield _record(pair, description, pairs, options)


def _is_label_file(name: str) -> bool:
    lower = name.rpartition("/")[2].lower()
    return lower.endswith(".txt") and lower not in NOT_LABELS and not lower.startswith("readme")


class _Description:
    """What is said of all images: `folders` of a usage, lists of images, and the classes' names."""

    def __init__(self, classes: Mapping[int, str]) -> None:
        self.classes = classes
        self.folders: list[tuple[str, Usage]] = []
        self.lists: list[tuple[str, Usage]] = []
        self.has_keypoints = False
        self.is_split = True

    @classmethod
    def of(cls, files: Files) -> "_Description":
        """Raises Invalid."""
        yamls, named = list[str](), list[str]()
        for name in files.names():
            last = name.rpartition("/")[2].lower()
            if last.endswith((".yaml", ".yml")):
                yamls.append(name)
            elif last in CLASS_FILES or last.endswith(".names"):
                named.append(name)
        refused = Invalid(NO_NAMES)
        for name in sorted(yamls, key=lambda name: not name.endswith(("data.yaml", "dataset.yaml")))[:MAX_YAMLS]:
            try:
                found = read_yaml(files, name)
            except Invalid as wrong:
                refused = wrong
                continue
            if isinstance(found, dict) and found.get("names"):
                description = cls._of_yaml(found)
                with opened(files, name) as file:
                    description.is_split = file.read(len(NOT_SPLIT)) != NOT_SPLIT.encode()
                return description
        for name in named:
            with opened(files, name) as file:
                lines = [line.strip() for line, _ in zip(text_lines(file), range(MAX_CLASSES), strict=False)]
            while lines and not lines[-1]:
                lines.pop()
            return cls({number: values.text(line, name) for number, line in enumerate(lines) if line})
        raise refused

    @classmethod
    def _of_yaml(cls, found: Mapping[str, Any]) -> "_Description":
        names = found["names"]
        items: Iterable[tuple[Any, Any]] = names.items() if isinstance(names, dict) else enumerate(names)
        if not isinstance(names, dict | list):
            raise Invalid("`names` of `data.yaml` must be a list of names, or numbers with their names.")
        classes = {}
        for number, name in items:
            with suppress(ValueError):
                classes[int(number)] = values.text(name, "names")
        description = cls(classes)
        description.has_keypoints = "kpt_shape" in found
        for key, usage in SPLITS.items():
            said = found.get(key)
            for path in said if isinstance(said, list) else [said]:
                if isinstance(path, str) and path.strip():
                    parts = [part for part in path.strip().split("/") if part not in ("", ".", "..")]
                    kind = description.lists if path.endswith(".txt") else description.folders
                    kind.append(("/".join(parts), usage))
        return description

    def is_list(self, name: str) -> bool:
        return any(f"/{name}".endswith(f"/{path}") for path, _ in self.lists)

    def list_usages(self, files: Files, pairs: Pairing) -> None:
        lists = self.lists or [(f"{name}.txt", usage) for name, usage in SPLITS.items()]
        for name in files.names():
            usage = next((usage for path, usage in lists if f"/{name}".endswith(f"/{path}")), None)
            if usage is not None:
                with opened(files, name) as file:
                    for line in text_lines(file):
                        with suppress(Invalid):
                            pairs.add_usage(values.text(line, name), usage)

    def usage(self, path: str, pairs: Pairing) -> Usage | None:
        if not self.is_split:
            return None
        listed = pairs.usage(path)
        if listed is not None or self.lists:
            return listed
        if self.folders:
            found = [usage for folder, usage in self.folders if f"/{folder}/" in f"/{path}"]
            named = usages.in_path(path.rpartition("/")[0])
            return named if named in found else found[0] if found else None
        return usages.in_path(path.rpartition("/")[0])


def _record(pair: Pair, description: _Description, pairs: Pairing, options: ReadOptions) -> ImageRecord:
    path = pair.image or image_of(pair.label or "", "images")
    usage = description.usage(path, pairs)
    if pair.label is None or pair.data is None:
        return ImageRecord(path, path, usage=usage)
    annotations, problems = _parsed(pair.label, pair.data, description, options)
    return ImageRecord(
        path,
        pair.label,
        annotations,
        usage=usage,
        problems=tuple(problems),
        is_relative=True,
        has_suffix=pair.image is not None,
        within=f"{pair.label}:",
        drawn="UPRIGHT",
    )


def _parsed(
    name: str, data: bytes, description: _Description, options: ReadOptions
) -> tuple[tuple[ParsedAnnotation, ...] | None, list[Problem]]:
    text = decoded(data) if len(data) <= MAX_BYTES else None
    if text is None:
        message = f"A label file is text of at most {MAX_BYTES // 1024 // 1024} MiB; it was not read."
        return None, [Problem(name, message)]
    annotations, problems, seen = list[ParsedAnnotation](), list[Problem](), set[str]()
    for number, line in enumerate(text.replace("\r\n", "\n").replace("\r", "\n").split("\n"), start=1):
        numbers = line.split()
        if not numbers:
            continue
        if len(annotations) + len(problems) >= MAX_ANNOTATIONS:
            problems.append(Problem(f"{name}:{number}", f"An image has at most {MAX_ANNOTATIONS:,} annotations."))
            break
        try:
            found = _annotation(numbers, number, description, options.kind)
        except Invalid as refused:
            problems.append(Problem(f"{name}:{number}", refused.message))
            continue
        if found.shape is not None or found.label not in seen:
            seen.add(found.label)
            annotations.append(found)
    return tuple(annotations) if annotations or not problems else None, problems


def _annotation(numbers: list[str], line: int, description: _Description, kind: str) -> ParsedAnnotation:
    index = values.number(numbers[0], "class")
    label = description.classes.get(int(index)) if index.is_integer() else None
    if label is None:
        raise Invalid(f"No class has the number {numbers[0][:20]}.")
    shape, confidence = _shape([values.number(each, "coordinate") for each in numbers[1:]], description)
    return ParsedAnnotation(label, None if kind == "IMAGE_CLASSIFICATION" else shape, confidence, line=line)


def _shape(numbers: list[float], description: _Description) -> tuple[Shape | None, float | None]:
    count = len(numbers)
    if count == 0:
        return None, None
    if count in (4, 5) or (description.has_keypoints and count > 5):
        x, y, width, height = numbers[:4]
        box = BoundingBox(x - width / 2, y - height / 2, x + width / 2, y + height / 2)
        return box, values.confidence(numbers[4]) if count == 5 else None
    if count < 6:
        raise Invalid("A line must have a class and the four numbers of a box, or three points or more.")
    confidence = values.confidence(numbers.pop()) if count % 2 else None
    return Polygon(tuple(map(Position, numbers[::2], numbers[1::2]))), confidence
